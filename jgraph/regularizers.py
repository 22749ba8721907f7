"""Penalties on arrays, which training keeps small: Keras' regularizers by name, as values, or any function.

A regularizer of a weight counts once per layer, however often the layer is called; one of an activity counts at every
call, divided by the number of rows.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jgraph.errors import ArgumentError, ShapeError, is_function, is_one_of, listing, nearest
from jgraph.typing import Array

Regularizer = str | Callable[[Array], Array] | None


@dataclasses.dataclass(frozen=True)
class L1:
    """`l1 * sum(abs(x))`. As `keras.regularizers.L1`.

    Raises:
        ArgumentError: the factor is not a finite number of at least 0.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> float(jg.regularizers.L1(0.5)(jnp.array([1.0, -2.0])))
    1.5
    """

    l1: float = 0.01

    def __post_init__(self) -> None:
        check_factors("L1", l1=self.l1)

    def __call__(self, x: Array) -> Array:
        """The penalty."""
        return self.l1 * jnp.sum(jnp.abs(x))


@dataclasses.dataclass(frozen=True)
class L2:
    """`l2 * sum(x ** 2)`. As `keras.regularizers.L2`.

    Raises:
        ArgumentError: the factor is not a finite number of at least 0.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> float(jg.regularizers.L2(0.5)(jnp.array([1.0, -2.0])))
    2.5
    """

    l2: float = 0.01

    def __post_init__(self) -> None:
        check_factors("L2", l2=self.l2)

    def __call__(self, x: Array) -> Array:
        """The penalty."""
        return self.l2 * jnp.sum(jnp.square(x))


@dataclasses.dataclass(frozen=True)
class L1L2:
    """`l1 * sum(abs(x)) + l2 * sum(x ** 2)`. As `keras.regularizers.L1L2`.

    The name `"l1_l2"` means 0.01 for both, as Keras' documentation says (its code does not know that name, and takes 0,
    which does nothing, for `"l1l2"`).

    Raises:
        ArgumentError: a factor is not a finite number of at least 0.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> float(jg.regularizers.L1L2(l1=1.0, l2=0.5)(jnp.array([1.0, -2.0])))
    5.5
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        check_factors("L1L2", l1=self.l1, l2=self.l2)

    def __call__(self, x: Array) -> Array:
        """The penalty."""
        return self.l1 * jnp.sum(jnp.abs(x)) + self.l2 * jnp.sum(jnp.square(x))


@dataclasses.dataclass(frozen=True)
class OrthogonalRegularizer:
    """`factor` times the mean of `abs(cos)` over all pairs of rows, or columns, of a matrix.

    As `keras.regularizers.OrthogonalRegularizer`; a matrix with one row has no pairs, and no penalty (Keras: NaN).

    Raises:
        ArgumentError: the factor is not a finite number of at least 0, or the mode neither `rows` nor `columns`.
        ShapeError: called on what is no matrix.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> float(jg.regularizers.OrthogonalRegularizer(1.0)(jnp.array([[1.0, 0.0], [3.0, 0.0]])))
    1.0
    """

    factor: float = 0.01
    mode: str = "rows"

    def __post_init__(self) -> None:
        check_factors("OrthogonalRegularizer", factor=self.factor)
        if not is_one_of(self.mode, ("rows", "columns")):
            raise ArgumentError(
                "OrthogonalRegularizer, mode",
                expected="'rows' or 'columns'",
                got=repr(self.mode),
                cure=f"{nearest(self.mode, ('rows', 'columns'))}Choose one of them.",
            )

    def __call__(self, x: Array) -> Array:
        """The penalty."""
        if x.ndim != 2:
            raise ShapeError(
                "OrthogonalRegularizer",
                expected="a matrix",
                got=f"shape {x.shape}",
                cure="Regularize the kernel of a Dense layer with it.",
            )
        rows = x if self.mode == "rows" else x.T
        squares = jnp.sum(jnp.square(rows), axis=1, keepdims=True)
        unit = rows * jnp.where(squares > 0, 1 / jnp.sqrt(jnp.maximum(squares, 1e-12)), 0)
        cosines = jnp.abs(unit @ unit.T) * (1 - jnp.eye(len(rows), dtype=x.dtype))
        return self.factor * jnp.sum(cosines) / max(len(rows) * (len(rows) - 1), 1)


def regularizer(value: Regularizer) -> Callable[[Array], Array]:
    """The function that a layer's argument names.

    >>> regularizer("l2")
    L2(l2=0.01)
    """
    return REGULARIZERS[value] if isinstance(value, str) else value if value is not None else lambda x: jnp.zeros(())


def check_regularizer(where: str, **arguments: Any) -> None:
    """Checks that each argument is `None`, a known name or a function.

    Raises:
        ArgumentError: it is none of these; the nearest name is suggested.
    """
    for argument, value in arguments.items():
        known = value in REGULARIZERS if isinstance(value, str) else value is None or is_function(value)
        if not known:
            raise ArgumentError(
                f"{where}, {argument}",
                expected="the name of a regularizer, a function (array) -> scalar, or None",
                got=repr(value),
                cure=f"{nearest(value, REGULARIZERS)}Known: {listing(REGULARIZERS)}; jg.regularizers.L2(1e-4) has a "
                "factor of your choice.",
            )


def check_factors(where: str, **arguments: Any) -> None:
    """Checks that each argument is a finite number of at least 0.

    Raises:
        ArgumentError: it is not.
    """
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            raise ArgumentError(
                f"{where}, {name}",
                expected="a finite number of at least 0",
                got=repr(value),
                cure=f"Write {where}({name}=0.01).",
            )


REGULARIZERS: dict[str, Callable[[Array], Array]] = {
    "l1": L1(),
    "l2": L2(),
    "l1_l2": L1L2(0.01, 0.01),
    "orthogonal_regularizer": OrthogonalRegularizer(),
}
"""Keras 3's names, with its factors of 0.01."""
