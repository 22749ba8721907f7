"""Checks of layers' arguments and inputs, with one wording for all layers."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import jax.numpy as jnp

from jgraph.constraints import check_constraint
from jgraph.core.layer import Layer
from jgraph.core.spec import is_symbolic
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, DTypeError, ShapeError, check_flag
from jgraph.initializers.initializer import check_initializer
from jgraph.ops.activations import check_activation
from jgraph.regularizers import check_factors, check_regularizer

POSITIVE = (
    *("units", "filters", "groups", "depth_multiplier", "input_dim", "output_dim"),
    *("num_heads", "num_query_heads", "num_key_value_heads", "head_dim", "key_dim", "value_dim", "sliding_window"),
    *("n", "height", "width", "rank"),
)
"""Sizes that are one integer each; `None` too where that is the default."""
FRACTIONS = ("rate", "dropout", "recurrent_dropout", "momentum", "renorm_momentum")
FACTORS = ("alpha", "l1", "l2", "negative_slope", "stddev", "threshold")

BY_ENDING: dict[str, Callable[..., None]] = {
    "activation": check_activation,
    "_initializer": check_initializer,
    "_regularizer": check_regularizer,
    "_constraint": check_constraint,
}
"""Checks of fields whose names end so."""


def check_fields(layer: Layer) -> None:
    """Checks the fields of a layer of jgraph's by their names, which mean the same in all of them.

    Sizes are positive integers, rates and momenta in [0, 1), factors of at least 0, an epsilon is positive, a fill
    value a number; activations, initializers, regularizers and constraints are known; and what is true or false by
    default is true or false. Where a name means more in one layer, `checks_itself` of its class says that the layer
    checks that field.

    Raises:
        ArgumentError: one is not.

    >>> import jgraph as jg
    >>> jg.layers.Dense(4, use_bias="no")
    Traceback (most recent call last):
    ...
    jgraph.errors.ArgumentError: Dense, use_bias: expected True or False, got 'no'. Write use_bias=True.
    """
    where = type(layer).__name__
    for field in dataclasses.fields(layer):
        name, value = field.name, getattr(layer, field.name)
        if name in getattr(layer, "checks_itself", ()):
            continue
        if name in POSITIVE:
            if value is not None or field.default is not None:  # what may be None is so by default
                check_positive(where, **{name: value})
        elif name in FRACTIONS:
            check_fraction(where, **{name: value})
        elif name in FACTORS:
            check_factors(where, **{name: value})
        elif name == "epsilon":
            check_epsilon(where, value)
        elif name == "fill_value":
            check_fill_value(where, value)
        elif check := next((check for ending, check in BY_ENDING.items() if name.endswith(ending)), None):
            check(where, **{name: value})
        elif isinstance(field.default, bool):
            check_flag(where, **{name: value})


def is_number(value: Any) -> TypeGuard[float]:
    """True for a finite Python number, which a truth value is not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_integer(value: Any) -> TypeGuard[int]:
    """True for a Python integer, which a truth value is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_epsilon(where: str, epsilon: Any) -> None:
    """Checks that what is added before a division is a positive number.

    Raises:
        ArgumentError: it is not.
    """
    if not is_number(epsilon) or not epsilon > 0:
        raise ArgumentError(
            f"{where}, epsilon", expected="a positive number", got=repr(epsilon), cure="Keras' is 1e-3."
        )


def check_fill_value(where: str, fill_value: Any) -> None:
    """Checks that what is put where there are no pixels is a number.

    Raises:
        ArgumentError: it is not, or not finite.
    """
    if not is_number(fill_value):
        raise ArgumentError(
            f"{where}, fill_value", expected="a number", got=repr(fill_value), cure="Write 0.0, as Keras does."
        )


def check_positive(where: str, **arguments: Any) -> None:
    """Checks that each argument is a positive integer, or a tuple of them; those of `POSITIVE` are never several.

    Raises:
        ArgumentError: it is not.
    """
    for name, value in arguments.items():
        values = value if isinstance(value, (tuple, list)) and name not in POSITIVE else (value,)
        if not values or not all(is_integer(v) and v > 0 for v in values):
            raise ArgumentError(
                f"{where}, {name}",
                expected="positive integers",
                got=repr(value),
                cure=f"Give {name} a size of at least 1.",
            )


def check_fraction(where: str, **arguments: Any) -> None:
    """Checks that each argument is a number in [0, 1).

    Raises:
        ArgumentError: it is not.
    """
    for name, value in arguments.items():
        if not is_number(value) or not 0 <= value < 1:
            raise ArgumentError(
                f"{where}, {name}",
                expected="a number in [0, 1)",
                got=repr(value),
                cure=f"Give {name} a fraction such as 0.5.",
            )


def check_axis(where: str, axis: Any, name: str = "axis") -> None:
    """Checks that an argument is an axis other than the batch axis.

    Raises:
        ArgumentError: it is not.
    """
    if not is_integer(axis) or axis == 0:
        raise ArgumentError(
            f"{where}, {name}",
            expected="an integer other than 0, the batch axis",
            got=repr(axis),
            cure="Name an axis of the rows, usually -1.",
        )


def check_axes(where: str, axis: Any, name: str = "axis") -> None:
    """Checks that an argument is an axis other than the batch axis, or a list or tuple of several.

    Raises:
        ArgumentError: it is not.
    """
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    whole = all(map(is_integer, axes))
    if not axes or not whole or 0 in axes or len({*axes}) < len(axes):
        raise ArgumentError(
            f"{where}, {name}",
            expected="an integer other than 0, the batch axis, or a tuple of different ones",
            got=repr(axis),
            cure="Name axes of the rows: -1, or (1, 2, 3).",
        )


def sizes(where: str, name: str, value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """An integer for all axes, or one per axis, as a tuple.

    Raises:
        ArgumentError: not positive, or of another length.

    >>> sizes("Conv2D", "strides", 2, 2)
    (2, 2)
    """
    check_positive(where, **{name: value})
    values = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(values) != rank:
        raise ArgumentError(
            f"{where}, {name}",
            expected=f"an integer or {rank} integers",
            got=repr(value),
            cure=f"Give one number per spatial axis: {(values[0],) * rank!r}.",
        )
    return values


def check_rank(layer: Any, x: Any, rank: int, axes: str) -> None:
    """Checks the rank of an input.

    Raises:
        ShapeError: it has another.
    """
    if len(x.shape) != rank:
        raise ShapeError(
            repr(layer),
            expected=f"an input of rank {rank}: {axes}",
            got=f"rank {len(x.shape)}: {show(x)}",
            cure="Reshape the input, or use the layer of another rank.",
        )


def check_window(layer: Any, x: Any, window: Sequence[int], padding: str) -> None:
    """Checks that the spatial axes of an input hold a window once, where padding adds nothing to them.

    Raises:
        ShapeError: an axis is shorter than the window.
    """
    sizes = x.shape[1:-1]
    if padding == "valid" and any(not is_symbolic(n) and n < w for n, w in zip(sizes, window, strict=True)):
        raise ShapeError(
            repr(layer),
            expected=f"spatial axes of at least {tuple(window)}, the size of its window",
            got=show(x),
            cure="Give it a smaller window, a larger input, or padding='same'.",
        )


def check_width(layer: Any, x: Any, axis: int = -1) -> int:
    """The size of an axis that weights depend on.

    Raises:
        ShapeError: the axis does not exist or is free.
    """
    if not -len(x.shape) <= axis < len(x.shape) or len(x.shape) < 2:
        raise ShapeError(
            repr(layer),
            expected=f"an axis {axis} beside the batch axis",
            got=show(x),
            cure="Draw an input with more axes.",
        )
    if is_symbolic(x.shape[axis]):
        raise ShapeError(
            repr(layer),
            expected=f"a known size of axis {axis}, as the weights depend on it",
            got=show(x),
            cure="Give the input that size instead of None.",
        )
    return x.shape[axis]


def check_widths(layer: Any, x: Any, axis: int | Sequence[int]) -> tuple[int, ...]:
    """The sizes of axes that weights depend on, in ascending order of the numbers given (Keras' order).

    Raises:
        ShapeError: an axis does not exist, is free, is the batch axis, or is named twice.
    """
    axes = (axis,) if isinstance(axis, int) else sorted(axis)
    widths = tuple(check_width(layer, x, a) for a in axes)
    places = [a % len(x.shape) for a in axes]
    if 0 in places or len({*places}) < len(places):
        raise ShapeError(
            repr(layer),
            expected="different axes beside the batch axis",
            got=f"{show(x)}, of which it takes the axes {places}",
            cure="Name each axis once, and not the first.",
        )
    return widths


def check_features(layer: Any, x: Any) -> None:
    """Checks that an input has an axis beside the batch axis.

    Raises:
        ShapeError: it has none.
    """
    if len(x.shape) < 2:
        raise ShapeError(
            repr(layer),
            expected="an axis beside the batch axis",
            got=show(x),
            cure="Draw an input with more axes.",
        )


def check_real(layer: Any, x: Any) -> None:
    """Checks that an input holds no complex numbers, of which half would be lost.

    Raises:
        DTypeError: it does.
    """
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise DTypeError(
            repr(layer), expected="real numbers", got=show(x), cure="Give it the two parts: jg.op(jnp.real)(x)."
        )


def check_numbers(layer: Any, x: Any) -> None:
    """Checks that an input holds floating-point numbers or integers.

    Raises:
        DTypeError: it holds others, or none.
    """
    if not jnp.issubdtype(x.dtype, jnp.floating) and not jnp.issubdtype(x.dtype, jnp.integer):
        raise DTypeError(
            repr(layer),
            expected="floating-point numbers or integers",
            got=show(x),
            cure="Cast it first: jg.op(jnp.astype)(x, 'float32').",
        )
