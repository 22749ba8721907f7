"""What an initializer is: Keras' names, values of these classes, or any function `(key, shape) -> array`."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jgraph.errors import ArgumentError, ShapeError, is_function, listing, nearest
from jgraph.initializers.constants import STFT, Constant, Identity, Ones, Zeros
from jgraph.initializers.distributions import Orthogonal, RandomNormal, RandomUniform, TruncatedNormal
from jgraph.initializers.scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)
from jgraph.keys import fold
from jgraph.typing import Array, Key

Initializer = str | Callable[[Key, tuple[int, ...]], Array]

INITIALIZERS: dict[str, Callable[[], Callable[[Key, tuple[int, ...]], Array]]] = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "identity": Identity,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "variance_scaling": VarianceScaling,
    "uniform": RandomUniform,
    "random_uniform": RandomUniform,
    "normal": RandomNormal,
    "random_normal": RandomNormal,
    "truncated_normal": TruncatedNormal,
    "orthogonal": Orthogonal,
    "stft": STFT,
}
"""Keras 3's names, each for a class with its defaults: `uniform` is within 0.05 of zero, `normal` deviates by 0.05."""


def check_initializer(where: str, **arguments: Any) -> None:
    """Checks that each argument is a known name or a function.

    Raises:
        ArgumentError: it is neither; the nearest name is suggested.
    """
    for argument, value in arguments.items():
        known = value in INITIALIZERS if isinstance(value, str) else is_function(value)
        if not known:
            raise ArgumentError(
                f"{where}, {argument}",
                expected="the name of an initializer, or a function (key, shape) -> array",
                got=repr(value),
                cure=f"{nearest(value, INITIALIZERS)}Known: {listing(INITIALIZERS, 20)}.",
            )


def by_name(initializer: Initializer) -> Callable[[Key, tuple[int, ...]], Array]:
    """The function that a name stands for, with Keras' defaults; a function is itself."""
    return INITIALIZERS[initializer]() if isinstance(initializer, str) else initializer


def draw(initializer: Initializer, key: Key, leaf: str, shape: tuple[int, ...]) -> Array:
    """Draws a leaf; its key is folded from its name, so that leaves do not depend on each other.

    Raises:
        ShapeError: an initializer of the user's gives another shape.
    """
    value = by_name(initializer)(fold(key, leaf), shape)
    if jnp.shape(value) != shape:
        raise ShapeError(
            f"The initializer of {leaf!r}",
            expected=f"an array of shape {shape}",
            got=f"shape {jnp.shape(value)}",
            cure="Let it return an array of the shape it is given: (key, shape) -> array.",
        )
    return value
