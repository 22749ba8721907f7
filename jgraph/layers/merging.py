"""Several tensors into one: functions of two folded over a list, and concatenation; what becomes of their masks.

The tensors of a fold broadcast: along every axis they have one size, or 1. A tensor of fewer axes than the others gets
axes of size 1 behind the batch axis (Keras' rule):

    [batch, time, n] + [batch, 1, n]  ->  [batch, time, n]
    [batch, time, n] + [batch, n]     ->  [batch, time, n]     as if it were [batch, 1, n]
"""

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp

from jgraph.core.layer import Layer
from jgraph.draw.specs import show_tree
from jgraph.errors import ShapeError
from jgraph.layers.checks import check_axis
from jgraph.layers.masking import masks_of, widened
from jgraph.layers.standard import Standard
from jgraph.typing import Array, Function, Key, Params, PyTree, Spec, State


class _Merge(Standard):
    """A function of two tensors folded over a list of them, which broadcast.

    They do so along axes of size 1; a tensor of fewer axes gets such axes behind the batch axis (Keras' rule).
    """

    combine: ClassVar[Function]
    count: ClassVar[int | None] = None
    """How many inputs there have to be, `None` for any number."""
    leaves_out: ClassVar[bool] = False
    """Whether a masked step takes no part where another input's step counts."""
    mixes_rows = False

    def init(self, key: Key, xs: Sequence[Spec]) -> tuple[Params, State]:
        """Checks the inputs; there is nothing to keep."""
        expected = f"{self.count or ''} tensors whose shapes broadcast".strip()
        check_list(self, xs, expected, broadcast(xs) and (self.count is None or len(xs) == self.count))
        return {}, {}

    def apply(
        self,
        params: Params,
        state: State,
        xs: Sequence[Array],
        *,
        mask: Any = None,
        train: bool = False,
        key: Key | None = None,
    ) -> tuple[Array, State]:
        """Combines from left to right."""
        del params, train, key
        wide = lifted(xs, xs)
        if mask is None or not self.leaves_out:
            return functools.reduce(type(self).combine, wide), state
        return combine_counted(type(self).combine, wide, lifted(masks_of(self, mask, len(xs)), xs)), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """The union of the masks, if all inputs have one."""
        masks = lifted(masks_of(self, mask, len(inputs[0])), inputs[0])
        real = [m for m in masks if m is not None]
        wide = [widened(m, max(m.ndim for m in real)) for m in real]
        return functools.reduce(jnp.logical_or, wide) if len(real) == len(masks) else None


def broadcast(xs: Any) -> bool:
    """Whether a list of tensors can be combined: along every axis they have one size, or 1."""
    if not isinstance(xs, (list, tuple)) or not all(hasattr(x, "shape") and x.shape for x in xs):
        return False
    rank = max((len(x.shape) for x in xs), default=0)
    full = [x.shape[:1] + (1,) * (rank - len(x.shape)) + x.shape[1:] for x in xs]
    return all(len({str(size) for size in sizes} - {"1"}) < 2 for sizes in zip(*full, strict=True))


def lifted(arrays: Sequence[Any], xs: Sequence[Any]) -> list[Any]:
    """Arrays that belong to tensors, or masks of them, with axes of size 1 behind the batch axis up to one rank."""
    rank = max(x.ndim for x in xs)
    return [
        a if a is None or x.ndim == rank else a.reshape(a.shape[0], *[1] * (rank - x.ndim), *a.shape[1:])
        for a, x in zip(arrays, xs, strict=True)
    ]


def combine_counted(combine: Function, xs: Sequence[Array], masks: Sequence[Array | None]) -> Array:
    """Folds `combine` over the tensors; a step of one takes part where its mask says so, and 0 is where none does."""
    reals = [jnp.ones((), bool) if m is None else widened(m, x.ndim) for m, x in zip(masks, xs, strict=True)]
    total, counts = xs[0], reals[0]
    for x, real in zip(xs[1:], reals[1:], strict=True):
        total = jnp.where(counts, jnp.where(real, combine(total, x), total), x)
        counts = counts | real
    return jnp.where(counts, total, jnp.zeros((), total.dtype))


class Add(_Merge):
    """The sum of a list of tensors, which broadcast. As `keras.layers.Add`.

    A mask is passed on where every input has one: true where any of them is. What a masked step
    holds is counted where another input's step counts (Keras' rules).

    Raises:
        ShapeError: no list of inputs, or shapes that do not go together.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.Add()([x, 2 * x])
    <Symbol float32[batch, 4]>
    """

    combine = staticmethod(jnp.add)
    logits = "as inputs"


class Subtract(_Merge):
    """The first of two tensors minus the second; they broadcast. As `keras.layers.Subtract`.

    A mask is passed on where every input has one: true where any of them is. What a masked step
    holds is counted where another input's step counts (Keras' rules).

    Raises:
        ShapeError: no list of two inputs, or shapes that do not go together.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.Subtract()([x, 2 * x])
    <Symbol float32[batch, 4]>
    """

    combine = staticmethod(jnp.subtract)
    count = 2
    logits = "as inputs"


class Multiply(_Merge):
    """The product of a list of tensors, which broadcast. As `keras.layers.Multiply`.

    A mask is passed on where every input has one: true where any of them is. A masked step takes no
    part where another input's step counts; where none does the output is 0 (Keras' rules).

    Raises:
        ShapeError: no list of inputs, or shapes that do not go together.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.Multiply()([x, 2 * x])
    <Symbol float32[batch, 4]>
    """

    combine = staticmethod(jnp.multiply)
    leaves_out = True


class Average(_Merge):
    """The mean of a list of tensors, which broadcast. As `keras.layers.Average`.

    A mask is passed on where every input has one: true where any of them is. What a masked step
    holds is counted where another input's step counts (Keras' rules).

    Raises:
        ShapeError: no list of inputs, or shapes that do not go together.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.Average()([x, 2 * x])
    <Symbol float32[batch, 4]>
    """

    combine = staticmethod(jnp.add)
    mixes_rows = False
    logits = "as inputs"

    def apply(
        self,
        params: Params,
        state: State,
        xs: Sequence[Array],
        *,
        mask: Any = None,
        train: bool = False,
        key: Key | None = None,
    ) -> tuple[Array, State]:
        """Adds, and divides by the number of inputs."""
        total, state = super().apply(params, state, xs, mask=mask, train=train, key=key)
        return total / len(xs), state


class Maximum(_Merge):
    """The largest of a list of tensors, which broadcast. As `keras.layers.Maximum`.

    A mask is passed on where every input has one: true where any of them is. A masked step takes no
    part where another input's step counts; where none does the output is 0 (Keras: what the first input holds).

    Raises:
        ShapeError: no list of inputs, or shapes that do not go together.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.Maximum()([x, 2 * x])
    <Symbol float32[batch, 4]>
    """

    combine = staticmethod(jnp.maximum)
    leaves_out = True


class Minimum(_Merge):
    """The smallest of a list of tensors, which broadcast. As `keras.layers.Minimum`.

    A mask is passed on where every input has one: true where any of them is. A masked step takes no
    part where another input's step counts; where none does the output is 0 (Keras: what the first input holds).

    Raises:
        ShapeError: no list of inputs, or shapes that do not go together.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.Minimum()([x, 2 * x])
    <Symbol float32[batch, 4]>
    """

    combine = staticmethod(jnp.minimum)
    leaves_out = True


class Concatenate(Standard):
    """Tensors put one after the other along an axis. As `keras.layers.Concatenate`.

    Along the last axis a mask is passed on where any input has one: true where any of them is, an unmasked input
    being true everywhere. Along a time axis the masks are joined as the tensors are (Keras' rule).

    Raises:
        ArgumentError: the axis is the batch axis.
        ShapeError: no list of inputs, or other axes that differ.

    >>> import jgraph as jg
    >>> jg.layers.Concatenate()([jg.Input((4,)), jg.Input((3,))])
    <Symbol float32[batch, 7]>
    """

    axis: int = -1

    mixes_rows = False
    logits = "as inputs"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_axis("Concatenate", self.axis)

    def init(self, key: Key, xs: Sequence[Spec]) -> tuple[Params, State]:
        """Checks the inputs; there is nothing to keep."""
        shapes = [list(getattr(x, "shape", ())) for x in xs] if isinstance(xs, (list, tuple)) else []
        fits = all(-len(s) < self.axis < len(s) and s[self.axis] for s in shapes) and shapes != []
        rest = (
            {tuple(map(str, s[: self.axis % len(s)] + s[self.axis % len(s) + 1 :])) for s in shapes} if fits else set()
        )
        check_list(self, xs, f"tensors that differ along axis {self.axis} alone", len(rest) == 1)
        return {}, {}

    def apply(
        self, params: Params, state: State, xs: Sequence[Array], *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Concatenates."""
        del params, train, key
        return jnp.concatenate(xs, axis=self.axis), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """The masks, widened to the inputs, joined as the inputs are; true where any channel is."""
        if mask is None:
            return None
        pairs = zip(masks_of(self, mask, len(inputs[0])), inputs[0], strict=True)
        wide = [jnp.broadcast_to(True if m is None else widened(m, x.ndim), x.shape) for m, x in pairs]
        return jnp.any(jnp.concatenate(wide, axis=self.axis), axis=-1)


def add(inputs: Sequence[Any], *, name: str | None = None) -> Any:
    """The sum of a list of symbols: `Add(name=name)(inputs)`.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.add([x, x])
    <Symbol float32[batch, 4]>
    """
    return Add(name=name)(inputs)


def subtract(inputs: Sequence[Any], *, name: str | None = None) -> Any:
    """The first of two symbols minus the second: `Subtract(name=name)(inputs)`.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.subtract([x, x])
    <Symbol float32[batch, 4]>
    """
    return Subtract(name=name)(inputs)


def multiply(inputs: Sequence[Any], *, name: str | None = None) -> Any:
    """The product of a list of symbols: `Multiply(name=name)(inputs)`.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.multiply([x, x])
    <Symbol float32[batch, 4]>
    """
    return Multiply(name=name)(inputs)


def average(inputs: Sequence[Any], *, name: str | None = None) -> Any:
    """The mean of a list of symbols: `Average(name=name)(inputs)`.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.average([x, x])
    <Symbol float32[batch, 4]>
    """
    return Average(name=name)(inputs)


def maximum(inputs: Sequence[Any], *, name: str | None = None) -> Any:
    """The largest of a list of symbols: `Maximum(name=name)(inputs)`.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.maximum([x, x])
    <Symbol float32[batch, 4]>
    """
    return Maximum(name=name)(inputs)


def minimum(inputs: Sequence[Any], *, name: str | None = None) -> Any:
    """The smallest of a list of symbols: `Minimum(name=name)(inputs)`.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.minimum([x, x])
    <Symbol float32[batch, 4]>
    """
    return Minimum(name=name)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, *, name: str | None = None) -> Any:
    """A list of symbols put one after the other: `Concatenate(axis, name=name)(inputs)`.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.concatenate([x, jg.Input((3,))])
    <Symbol float32[batch, 7]>
    """
    return Concatenate(axis, name=name)(inputs)


def check_list(layer: Layer, xs: PyTree, expected: str, fits: bool) -> None:
    """Checks that a merge got a list of tensors that go together; Keras takes a list of one too.

    Raises:
        ShapeError: it did not.
    """
    if not isinstance(xs, (list, tuple)) or not xs or not fits:
        raise ShapeError(
            repr(layer),
            expected=f"a list of {expected}",
            got=show_tree(xs),
            cure="Bring the inputs to fitting shapes, and give them as one list.",
        )
