"""What layers that change pictures at random share: numbers drawn for each picture, and checks of their arguments."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, TypeGuard

import jax
import jax.numpy as jnp

from jgraph.core.spec import is_symbolic
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, ShapeError, check_one_of
from jgraph.layers.checks import check_numbers, check_rank, is_number
from jgraph.layers.regularization import need_key
from jgraph.layers.standard import Standard
from jgraph.ops.images import FILL_MODES, INTERPOLATIONS, MODES
from jgraph.typing import Array, Key, Params, Spec, State

Factor = float | Sequence[float]
Interval = tuple[float, float]


class Augmentation(Standard):
    """What these layers share: `intervals`, from which numbers are drawn for each picture, and what `change` does.

    The first is the random part, the second a pure function of pictures and numbers.
    """

    mixes_rows = False

    lowest: ClassVar[float] = -1.0
    """The smallest factor; the largest is 1."""

    above_lowest: ClassVar[bool] = False
    """Whether a factor has to be larger than that."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_augmentation(self)

    def intervals(self, x: Array) -> tuple[Interval, ...]:
        """The bounds of the numbers that are drawn for each picture, the upper ones excluded; here none are drawn."""
        del x
        return ()

    def change(self, x: Array, numbers: list[Array]) -> Array:
        """The pictures changed by numbers, [batch] each; here not at all."""
        del numbers
        return x

    def keep(self, x: Array) -> Array:
        """The pictures without training."""
        return x

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the input; there is nothing to keep."""
        check_pictures(self, x)
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Draws numbers and changes the pictures while training."""
        del params
        x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)
        if not train:
            return self.keep(x), state
        return self.change(x, draw_numbers(need_key(self, key), x.shape[0], self.intervals(x))), state


def draw_numbers(key: Key, rows: int, intervals: tuple[Interval, ...]) -> list[Array]:
    """For each interval one number a row, [rows], uniform and float32; a row's follow from the key and its place alone.

    >>> import jax
    >>> degrees, = draw_numbers(jax.random.key(0), 3, ((-90.0, 90.0),))
    >>> degrees.shape
    (3,)
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(rows))
    parts = jax.vmap(lambda key: jax.random.uniform(key, (len(intervals),), jnp.float32))(keys)
    return [low + (high - low) * parts[:, i] for i, (low, high) in enumerate(intervals)]


def bounds(value: Factor) -> Interval:
    """A pair in rising order; one number f is (-|f|, |f|).

    >>> bounds(0.2), bounds((0.3, -0.1))
    ((-0.2, 0.2), (-0.1, 0.3))
    """
    low, high = (-abs(value), abs(value)) if isinstance(value, (int, float)) else sorted(value)
    return low, high


def check_augmentation(layer: Augmentation) -> None:
    """Checks the fields that these layers have in common by their names.

    Raises:
        ArgumentError: a factor is out of range, a range empty, or a name not known.
    """
    where = type(layer).__name__
    named = {"mode": MODES, "fill_mode": FILL_MODES, "interpolation": INTERPOLATIONS}
    for field in dataclasses.fields(layer):
        name, value = field.name, getattr(layer, field.name)
        if name in named:
            check_one_of(where, name, value, named[name])
        elif name.endswith("factor") and not (value is None and field.default is None):
            check_factor(layer, name, value)
        elif name == "value_range" and not (is_pair(value) and min(value) < max(value)):
            cure = "Write (0, 255), or (0.0, 1.0) for pictures that were rescaled."
            raise ArgumentError(f"{where}, {name}", expected="two different numbers", got=repr(value), cure=cure)


def check_factor(layer: Augmentation, name: str, value: Any) -> None:
    """Checks that a factor is a number, or a pair of numbers, in the range of the layer.

    Raises:
        ArgumentError: it is not.
    """
    least, above = layer.lowest, layer.above_lowest
    numbers = value if is_pair(value) else (value,)
    if not all(is_number(v) and least <= v <= 1 and not (above and v == least) for v in numbers):
        raise ArgumentError(
            f"{type(layer).__name__}, {name}",
            expected=f"a number in {'(' if above else '['}{least:g}, 1], or a pair of them",
            got=repr(value),
            cure=f"Write {name}=0.2, or {name}=({max(least, -0.1):g}, 0.2) for bounds.",
        )


def is_pair(value: Any) -> TypeGuard[tuple[float, float]]:
    """True for two numbers."""
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(map(is_number, value))


def check_pictures(layer: Augmentation, x: Spec, *, known: bool = False) -> None:
    """Checks that an input is pictures of real numbers, whose height and width are `known` where they have to be.

    Raises:
        ShapeError: it is of another rank, or a size is free.
        DTypeError: it is of truth values or complex numbers.
    """
    check_rank(layer, x, 4, "[batch, height, width, channels]")
    if known and any(map(is_symbolic, x.shape[1:3])):
        raise ShapeError(
            repr(layer), expected="a known height and width", got=show(x), cure="Give them in place of None."
        )
    check_numbers(layer, x)
