"""Activation functions by Keras' names: those of `jax.nn`, and the few that it lacks or has other defaults for.

Other parameters than a name's are given with `functools.partial`, which is saved like the function itself:
`Dense(8, activation=partial(jax.nn.leaky_relu, negative_slope=0.1))`,
`Activation(partial(threshold, threshold=0.5, default_value=0.0))`.
"""

import jax
import jax.numpy as jnp

from jgraph.errors import ArgumentError, is_function, listing, nearest
from jgraph.typing import Array, Function


def linear(x: Array) -> Array:
    """The identity."""
    return x


def gelu(x: Array, approximate: bool = False) -> Array:
    """`x * Phi(x)`, exactly, as Keras' default (`jax.nn.gelu` approximates by default)."""
    return jax.nn.gelu(x, approximate)


def leaky_relu(x: Array, negative_slope: float = 0.2) -> Array:
    """`max(x, 0.2 x)`: Keras' slope of 0.2 (`jax.nn.leaky_relu` has 0.01)."""
    return jax.nn.leaky_relu(x, negative_slope)


def threshold(x: Array, threshold: float, default_value: float) -> Array:
    """`where(x > threshold, x, default_value)`, which has no name, as its numbers have no defaults.

    >>> import jax.numpy as jnp
    >>> threshold(jnp.array([1.0, 2.0, 3.0]), 2.0, -1.0)
    Array([-1., -1.,  3.], dtype=float32)
    """
    return jnp.where(x > threshold, x, default_value)


def hard_shrink(x: Array, threshold: float = 0.5) -> Array:
    """`where(abs(x) > threshold, x, 0)`.

    >>> import jax.numpy as jnp
    >>> hard_shrink(jnp.array([-1.0, 0.25, 2.0]))
    Array([-1.,  0.,  2.], dtype=float32)
    """
    return jnp.where(jnp.abs(x) > threshold, x, 0.0)


def soft_shrink(x: Array, threshold: float = 0.5) -> Array:
    """`sign(x) * max(abs(x) - threshold, 0)`.

    >>> import jax.numpy as jnp
    >>> soft_shrink(jnp.array([-1.0, 0.25, 2.0]))
    Array([-0.5,  0. ,  1.5], dtype=float32)
    """
    return jnp.where(x > threshold, x - threshold, jnp.where(x < -threshold, x + threshold, 0.0))


def tanh_shrink(x: Array) -> Array:
    """`x - tanh(x)`."""
    return x - jnp.tanh(x)


def sparsemax(x: Array, axis: int = -1) -> Array:
    """`max(x - t, 0)`, with `t` such that the axis sums to 1: the nearest point of the simplex.

    The `k` largest elements stay above zero, with the largest `k` for which the least of them is above
    `t = (sum of the k - 1) / k`. Gradients are the formula's: `g - mean(g)` over those elements, 0 elsewhere. Sums are
    taken in at least float32. Martins and Astudillo 2016, algorithm 1.

    Keras 3 on JAX adds up the running sums where their last is meant: with two equal elements it gives `[0, 0]` for
    `[1, 1]`, which does not sum to 1, and another result for `[2, 2]`. Where one element alone is left it is the same.

    >>> import jax.numpy as jnp
    >>> sparsemax(jnp.array([1.0, 1.5, -2.0]))
    Array([0.25, 0.75, 0.  ], dtype=float32)
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    wide = wide - jax.lax.stop_gradient(jnp.max(wide, axis, keepdims=True))  # the same result, of smaller sums
    ordered = jnp.sort(jax.lax.stop_gradient(wide), axis, descending=True)
    counts = 1 + jax.lax.broadcasted_iota(wide.dtype, x.shape, axis % x.ndim)
    above = 1 + counts * ordered > jnp.cumsum(ordered, axis)
    zero = wide < jnp.min(jnp.where(above, ordered, jnp.inf), axis, keepdims=True)
    number = jnp.sum(jnp.where(zero, 0.0, 1.0), axis, keepdims=True)
    t = (jnp.sum(jnp.where(zero, 0.0, wide), axis, keepdims=True) - 1) / number
    return jnp.where(zero, 0.0, wide - t).astype(x.dtype)


ACTIVATIONS: dict[str, Function] = {
    "linear": linear,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "sigmoid": jax.nn.sigmoid,
    "log_sigmoid": jax.nn.log_sigmoid,
    "sparse_sigmoid": jax.nn.sparse_sigmoid,
    "tanh": jnp.tanh,
    "tanh_shrink": tanh_shrink,
    "softmax": jax.nn.softmax,
    "log_softmax": jax.nn.log_softmax,
    "sparsemax": sparsemax,
    "softplus": jax.nn.softplus,
    "sparse_plus": jax.nn.sparse_plus,
    "squareplus": jax.nn.squareplus,
    "softsign": jax.nn.soft_sign,
    "soft_shrink": soft_shrink,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
    "elu": jax.nn.elu,
    "celu": jax.nn.celu,
    "selu": jax.nn.selu,
    "gelu": gelu,
    "glu": jax.nn.glu,
    "leaky_relu": leaky_relu,
    "hard_shrink": hard_shrink,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "hard_silu": jax.nn.hard_silu,
    "hard_swish": jax.nn.hard_silu,
    "hard_tanh": jax.nn.hard_tanh,
    "mish": jax.nn.mish,
    "exponential": jnp.exp,
}
"""Keras 3's names."""

ALONG_THE_LAST_AXIS: tuple[Function, ...] = (jax.nn.glu, jax.nn.log_softmax, jax.nn.softmax, sparsemax)
"""Functions where the elements of the last axis depend on each other, so that it must not be the batch axis."""

Activation = str | Function | None


def activation(value: Activation) -> Function:
    """The function that a layer's `activation` argument names; `None` is linear.

    >>> activation("relu") is jax.nn.relu
    True
    """
    return linear if value is None else value if callable(value) else ACTIVATIONS[value]


def check_activation(where: str, **arguments: Activation) -> None:
    """Checks that each argument is `None`, a known name or a function of arrays, which classes and layers are not.

    Raises:
        ArgumentError: it is none of these; the nearest name is suggested.
    """
    for argument, value in arguments.items():
        if not (value is None or is_function(value) or (isinstance(value, str) and value in ACTIVATIONS)):
            raise ArgumentError(
                f"{where}, {argument}",
                expected="the name of an activation, a function, or None",
                got=repr(value),
                cure=f"{nearest(value, ACTIVATIONS)}Known: {listing(ACTIVATIONS, 40)}; "
                "functools.partial(jax.nn.leaky_relu, negative_slope=0.1) has a parameter of your choice.",
            )
