"""Random draws for start values, made in flat blocks so that few programs serve all shapes.

Compiling one draw for each shape of a large model takes tens of seconds; a block of the next power of two is compiled
once, and what is needed is cut from it on the host. The values depend on the key and the number of elements alone.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jgraph.typing import Array, Key

Draw = Callable[[Key, int], Array]


def uniform(key: Key, shape: tuple[int, ...], scale: float = 1.0) -> Array:
    """Draws from the uniform distribution on [-scale, scale), float32.

    >>> import jax
    >>> uniform(jax.random.key(0), (2, 3)).shape
    (2, 3)
    """
    return _cut(_uniform, key, shape, scale)


def truncated_normal(key: Key, shape: tuple[int, ...], scale: float = 1.0) -> Array:
    """Draws `scale` times the standard normal distribution, values beyond two deviations drawn again, float32."""
    return _cut(_truncated_normal, key, shape, scale)


def normal(key: Key, shape: tuple[int, ...], scale: float = 1.0) -> Array:
    """Draws `scale` times the standard normal distribution, float32."""
    return _cut(_normal, key, shape, scale)


def constant(shape: tuple[int, ...], value: float) -> Array:
    """The same number everywhere, float32; made on the host, as a program for every shape would take longer."""
    return jax.device_put(np.full(shape, value, np.float32))


def orthogonal(key: Key, shape: tuple[int, ...]) -> Array:
    """Draws an orthogonal matrix of the shape flattened to two axes (Saxe et al. 2013; Keras' sign convention)."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    drawn = normal(key, (max(rows, columns), min(rows, columns)))
    xp = jnp if isinstance(drawn, Tracer) else np
    q, r = xp.linalg.qr(drawn)
    q = q * xp.sign(xp.diagonal(r))
    return jnp.asarray((q.T if rows < columns else q).reshape(shape), jnp.float32)


def _cut(draw: Draw, key: Key, shape: tuple[int, ...], scale: float) -> Array:
    size = math.prod(shape)
    block = draw(key, 1 << max(size - 1, 0).bit_length())
    if isinstance(block, Tracer):
        return (block[:size] * np.float32(scale)).reshape(shape)
    drawn = (np.asarray(block)[:size] * np.float32(scale)).reshape(shape)
    return jax.device_put(drawn)  # jnp.asarray would compile a program for every shape


@functools.partial(jax.jit, static_argnums=1)
def _uniform(key: Key, size: int) -> Array:
    return jax.random.uniform(key, (size,), jnp.float32, -1.0, 1.0)


@functools.partial(jax.jit, static_argnums=1)
def _truncated_normal(key: Key, size: int) -> Array:
    return jax.random.truncated_normal(key, -2.0, 2.0, (size,), jnp.float32)


@functools.partial(jax.jit, static_argnums=1)
def _normal(key: Key, size: int) -> Array:
    return jax.random.normal(key, (size,), jnp.float32)
