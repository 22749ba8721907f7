"""Activation functions by Keras' names; each is a function of `jax.nn`, or composed of one."""

import jax
import jax.numpy as jnp

from jgraph.errors import ArgumentError, listing, nearest
from jgraph.typing import Array, Function


def linear(x: Array) -> Array:
    """The identity."""
    return x


def gelu(x: Array) -> Array:
    """`x * Phi(x)`, exactly, as Keras' default (`jax.nn.gelu` approximates by default)."""
    return jax.nn.gelu(x, approximate=False)


def leaky_relu(x: Array) -> Array:
    """`max(x, 0.2 x)`: Keras' slope of 0.2 (`jax.nn.leaky_relu` has 0.01)."""
    return jax.nn.leaky_relu(x, 0.2)


ACTIVATIONS: dict[str, Function] = {
    "linear": linear,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "sigmoid": jax.nn.sigmoid,
    "log_sigmoid": jax.nn.log_sigmoid,
    "sparse_sigmoid": jax.nn.sparse_sigmoid,
    "tanh": jnp.tanh,
    "softmax": jax.nn.softmax,
    "log_softmax": jax.nn.log_softmax,
    "softplus": jax.nn.softplus,
    "sparse_plus": jax.nn.sparse_plus,
    "squareplus": jax.nn.squareplus,
    "softsign": jax.nn.soft_sign,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
    "elu": jax.nn.elu,
    "celu": jax.nn.celu,
    "selu": jax.nn.selu,
    "gelu": gelu,
    "leaky_relu": leaky_relu,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "hard_silu": jax.nn.hard_silu,
    "hard_swish": jax.nn.hard_silu,
    "hard_tanh": jax.nn.hard_tanh,
    "mish": jax.nn.mish,
    "exponential": jnp.exp,
}
"""Keras 3's names."""

Activation = str | Function | None


def activation(value: Activation) -> Function:
    """The function that a layer's `activation` argument names; `None` is linear.

    >>> activation("relu") is jax.nn.relu
    True
    """
    return linear if value is None else value if callable(value) else ACTIVATIONS[value]


def check_activation(where: str, **arguments: Activation) -> None:
    """Checks that each argument is `None`, a known name or a function.

    Raises:
        ArgumentError: it is none of these; the nearest name is suggested.
    """
    for argument, value in arguments.items():
        if not (value is None or callable(value) or (isinstance(value, str) and value in ACTIVATIONS)):
            raise ArgumentError(
                f"{where}, {argument}",
                expected="the name of an activation, a function, or None",
                got=repr(value),
                cure=f"{nearest(value, ACTIVATIONS)}Known: {listing(ACTIVATIONS, 40)}.",
            )
