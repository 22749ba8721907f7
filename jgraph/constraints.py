"""What weights are brought back to after every update: Keras' constraints by name, as values, or any function."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from jgraph.errors import ArgumentError, is_function, listing, nearest
from jgraph.typing import Array

Constraint = str | Callable[[Array], Array] | None

EPSILON = 1e-7
"""What Keras adds to a norm before it divides by it."""


@dataclasses.dataclass(frozen=True)
class MaxNorm:
    """Norms along `axis` of at most `max_value`: `w * min(norm, max_value) / (norm + 1e-7)`.

    `axis` 0, the default, is the input axis of a Dense kernel; that of a convolution has the axes (0, 1, 2). As
    `keras.constraints.MaxNorm` (Srivastava et al. 2014).

    Raises:
        ArgumentError: the value is not a number of at least 0, or the axis no integers.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.constraints.MaxNorm(1.0)(jnp.array([[3.0], [4.0]])).round(3)
    Array([[0.6],
           [0.8]], dtype=float32)
    """

    max_value: float = 2
    axis: int | tuple[int, ...] = 0

    def __post_init__(self) -> None:
        check_norms("MaxNorm", self.axis, max_value=self.max_value)

    def __call__(self, w: Array) -> Array:
        """The nearest weights that comply."""
        norms = norms_of(w, self.axis)
        return w * (jnp.clip(norms, 0, self.max_value) / (EPSILON + norms))


@dataclasses.dataclass(frozen=True)
class MinMaxNorm:
    """Norms along `axis` between two values: `w * (rate * clip(norm, min, max) + (1 - rate) * norm) / (norm + 1e-7)`.

    A `rate` below 1 goes only part of the way at each update. As `keras.constraints.MinMaxNorm`.

    Raises:
        ArgumentError: a value is not a number of at least 0, the least above the largest, `rate` not in (0, 1], or the
        axis no integers.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.constraints.MinMaxNorm(1.0, 2.0)(jnp.array([[0.3], [0.4]])).round(3)
    Array([[0.6],
           [0.8]], dtype=float32)
    """

    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: int | tuple[int, ...] = 0

    def __post_init__(self) -> None:
        check_norms("MinMaxNorm", self.axis, min_value=self.min_value, max_value=self.max_value, rate=self.rate)
        if self.min_value > self.max_value or not 0 < self.rate <= 1:
            raise ArgumentError(
                "MinMaxNorm",
                expected="min_value of at most max_value, and a rate in (0, 1]",
                got=repr(self),
                cure="Write MinMaxNorm(min_value=0.5, max_value=2.0, rate=1.0).",
            )

    def __call__(self, w: Array) -> Array:
        """The weights brought towards what complies."""
        norms = norms_of(w, self.axis)
        wanted = self.rate * jnp.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return w * (wanted / (EPSILON + norms))


@dataclasses.dataclass(frozen=True)
class NonNeg:
    """No weight below zero: `max(w, 0)`. As `keras.constraints.NonNeg`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.constraints.NonNeg()(jnp.array([-1.0, 2.0]))
    Array([0., 2.], dtype=float32)
    """

    def __call__(self, w: Array) -> Array:
        """The nearest weights that comply."""
        return jnp.maximum(w, 0)


@dataclasses.dataclass(frozen=True)
class UnitNorm:
    """Norms of one along `axis`: `w / (norm + 1e-7)`. As `keras.constraints.UnitNorm`.

    Raises:
        ArgumentError: the axis is no integers.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.constraints.UnitNorm()(jnp.array([[3.0], [4.0]])).round(3)
    Array([[0.6],
           [0.8]], dtype=float32)
    """

    axis: int | tuple[int, ...] = 0

    def __post_init__(self) -> None:
        check_norms("UnitNorm", self.axis)

    def __call__(self, w: Array) -> Array:
        """The nearest weights that comply."""
        return w / (EPSILON + norms_of(w, self.axis))


def constraint(value: Constraint) -> Callable[[Array], Array]:
    """The function that a layer's argument names; `None` leaves weights as they are.

    >>> constraint("non_neg")
    NonNeg()
    """
    return CONSTRAINTS[value] if isinstance(value, str) else value if value is not None else lambda w: w


def check_constraint(where: str, **arguments: Any) -> None:
    """Checks that each argument is `None`, a known name or a function.

    Raises:
        ArgumentError: it is none of these; the nearest name is suggested.
    """
    for argument, value in arguments.items():
        known = value in CONSTRAINTS if isinstance(value, str) else value is None or is_function(value)
        if not known:
            raise ArgumentError(
                f"{where}, {argument}",
                expected="the name of a constraint, a function (array) -> array, or None",
                got=repr(value),
                cure=f"{nearest(value, CONSTRAINTS)}Known: {listing(CONSTRAINTS)}; jg.constraints.MaxNorm(3.0) has a "
                "bound of your choice.",
            )


def norms_of(w: Array, axis: int | Sequence[int]) -> Array:
    """The Euclidean norms along axes, which keep a size of one."""
    return jnp.sqrt(jnp.sum(jnp.square(w), axis=axis if isinstance(axis, int) else tuple(axis), keepdims=True))


def check_norms(where: str, axis: Any, **values: Any) -> None:
    """Checks that the axis is an integer or a tuple of them, and the values numbers of at least 0.

    Raises:
        ArgumentError: they are not.
    """
    axes = axis if isinstance(axis, (tuple, list)) and axis else (axis,)
    if not all(isinstance(a, int) and not isinstance(a, bool) for a in axes):
        raise ArgumentError(
            f"{where}, axis",
            expected="an integer, or a tuple of them",
            got=repr(axis),
            cure="Write axis=0 for a Dense kernel, axis=(0, 1, 2) for that of a Conv2D.",
        )
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise ArgumentError(
                f"{where}, {name}", expected="a number of at least 0", got=repr(value), cure=f"Write {where}({name}=1)."
            )


CONSTRAINTS: dict[str, Callable[[Array], Array]] = {
    "max_norm": MaxNorm(),
    "min_max_norm": MinMaxNorm(),
    "non_neg": NonNeg(),
    "unit_norm": UnitNorm(),
}
"""Keras 3's names and their defaults."""
