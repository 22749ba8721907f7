"""How start values are drawn: Keras' initializers by name, or any function `(key, shape) -> array`."""

import math
from collections.abc import Callable

import jax.numpy as jnp

from jgraph.errors import ArgumentError, ShapeError, listing, nearest
from jgraph.keys import fold
from jgraph.ops import draws
from jgraph.typing import Array, Key

Initializer = str | Callable[[Key, tuple[int, ...]], Array]

# The standard deviation of a standard normal cut at two; Keras divides by it so that the variance comes out right.
_TRUNCATED_STDDEV = 0.87962566103423978


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """The numbers of inputs and outputs of a unit (Keras' `compute_fans`): kernels are `(*window, in, out)`.

    >>> fans((3, 3, 16, 32))
    (144, 288)
    """
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


def _scaled(mode: str, scale: float, distribution: str) -> Callable[[Key, tuple[int, ...]], Array]:
    """Variance scaling (Glorot and Bengio 2010, He et al. 2015): variance `scale / n`, n by mode."""

    def draw(key: Key, shape: tuple[int, ...]) -> Array:
        fan_in, fan_out = fans(shape)
        variance = scale / max(1.0, (fan_in + fan_out) / 2 if mode == "average" else float(fan_in))
        if distribution == "uniform":
            return draws.uniform(key, shape, math.sqrt(3.0 * variance))
        return draws.truncated_normal(key, shape, math.sqrt(variance) / _TRUNCATED_STDDEV)

    return draw


INITIALIZERS: dict[str, Callable[[Key, tuple[int, ...]], Array]] = {
    "zeros": lambda key, shape: draws.constant(shape, 0.0),
    "ones": lambda key, shape: draws.constant(shape, 1.0),
    "glorot_uniform": _scaled("average", 1.0, "uniform"),
    "glorot_normal": _scaled("average", 1.0, "normal"),
    "he_uniform": _scaled("in", 2.0, "uniform"),
    "he_normal": _scaled("in", 2.0, "normal"),
    "lecun_uniform": _scaled("in", 1.0, "uniform"),
    "lecun_normal": _scaled("in", 1.0, "normal"),
    "uniform": lambda key, shape: draws.uniform(key, shape, 0.05),
    "random_uniform": lambda key, shape: draws.uniform(key, shape, 0.05),
    "normal": lambda key, shape: draws.normal(key, shape, 0.05),
    "random_normal": lambda key, shape: draws.normal(key, shape, 0.05),
    "truncated_normal": lambda key, shape: draws.truncated_normal(key, shape, 0.05),
    "orthogonal": draws.orthogonal,
}
"""Keras 3's names and their defaults (`uniform` is within 0.05 of zero, `normal` has standard deviation 0.05)."""


def check_initializer(where: str, **arguments: Initializer) -> None:
    """Checks that each argument is a known name or a function.

    Raises:
        ArgumentError: it is neither; the nearest name is suggested.
    """
    for argument, value in arguments.items():
        if not (callable(value) or (isinstance(value, str) and value in INITIALIZERS)):
            raise ArgumentError(
                f"{where}, {argument}",
                expected="the name of an initializer, or a function (key, shape) -> array",
                got=repr(value),
                cure=f"{nearest(value, INITIALIZERS)}Known: {listing(INITIALIZERS, 20)}.",
            )


def draw(initializer: Initializer, key: Key, leaf: str, shape: tuple[int, ...]) -> Array:
    """Draws a leaf; its key is folded from its name, so that leaves do not depend on each other.

    Raises:
        ShapeError: an initializer of the user's gives another shape.
    """
    value = (INITIALIZERS[initializer] if isinstance(initializer, str) else initializer)(fold(key, leaf), shape)
    if jnp.shape(value) != shape:
        raise ShapeError(
            f"The initializer of {leaf!r}",
            expected=f"an array of shape {shape}",
            got=f"shape {jnp.shape(value)}",
            cure="Let it return an array of the shape it is given: (key, shape) -> array.",
        )
    return value
