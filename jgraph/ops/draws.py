"""Random draws for start values: one compiled program a distribution serves all shapes.

Compiling one draw for each shape of a large model takes tens of seconds. Here a loop fills up to 32 blocks of 2,048
numbers, as many as are asked for, and what is needed is cut from them on the host. The values depend on the key and
their place alone.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jgraph.typing import Array, Key

BLOCK, BLOCKS = 2048, 32

Draw = Callable[[Key], Array]


def uniform(key: Key, shape: tuple[int, ...], scale: float = 1.0, mean: float = 0.0) -> Array:
    """Draws from the uniform distribution on `[mean - scale, mean + scale)`, float32.

    >>> import jax
    >>> uniform(jax.random.key(0), (2, 3)).shape
    (2, 3)
    """
    return _cut(_uniform, key, shape, scale, mean)


def truncated_normal(key: Key, shape: tuple[int, ...], scale: float = 1.0, mean: float = 0.0) -> Array:
    """Draws from the normal distribution, values beyond two standard deviations `scale` drawn again, float32."""
    return _cut(_truncated_normal, key, shape, scale, mean)


def normal(key: Key, shape: tuple[int, ...], scale: float = 1.0, mean: float = 0.0) -> Array:
    """Draws from the normal distribution of standard deviation `scale`, float32."""
    return _cut(_normal, key, shape, scale, mean)


def constant(shape: tuple[int, ...], value: float) -> Array:
    """The same number everywhere, float32; made on the host, as a program for every shape would take longer."""
    return jax.device_put(np.full(shape, value, np.float32))


def with_ones(drawn: Array, start: int, stop: int) -> Array:
    """A vector with ones from `start` to `stop`; changed on the host, as a program for every shape would take longer.

    >>> with_ones(constant((4,), 0.0), 1, 3)
    Array([0., 1., 1., 0.], dtype=float32)
    """
    if isinstance(drawn, Tracer):
        return drawn.at[start:stop].set(1.0)
    changed = np.array(drawn)
    changed[start:stop] = 1.0
    return jax.device_put(changed)


def orthogonal(key: Key, shape: tuple[int, ...], gain: float = 1.0) -> Array:
    """Draws `gain` times an orthogonal matrix, of the shape flattened to two axes (Saxe et al. 2014; Keras' signs)."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    drawn = normal(key, (max(rows, columns), min(rows, columns)))
    xp = jnp if isinstance(drawn, Tracer) else np
    q, r = xp.linalg.qr(drawn)
    q = q * xp.sign(xp.diagonal(r))
    return jax.device_put(((q.T if rows < columns else q).reshape(shape) * gain).astype(np.float32))


def _cut(draw: Draw, key: Key, shape: tuple[int, ...], scale: float, mean: float) -> Array:
    size, part = math.prod(shape), BLOCK * BLOCKS
    if isinstance(key, Tracer):
        drawn = _traced(draw, key, size) * np.float32(scale)
        return (drawn + np.float32(mean) if mean else drawn).reshape(shape)
    flat = np.empty(size, np.float32)  # first of all, so that a size that cannot be is refused at once
    for start in range(0, size, part):
        count = min(size - start, part)
        flat[start : start + count] = np.asarray(_filled(draw, key, start // BLOCK, -(-count // BLOCK))).ravel()[:count]
    flat *= np.float32(scale)
    flat += np.float32(mean) if mean else 0
    return jax.device_put(flat.reshape(shape))  # jnp.asarray would compile a program for every shape


def _traced(draw: Draw, key: Key, size: int) -> Array:
    """The same blocks in one loop, however many there are, cut to a size."""
    keys = functools.partial(jax.random.fold_in, key)
    return jax.lax.map(lambda place: draw(keys(place)), jnp.arange(-(-size // BLOCK))).reshape(-1)[:size]


@functools.partial(jax.jit, static_argnums=0)
def _filled(draw: Draw, key: Key, start: Array | int, count: Array | int) -> Array:
    """Blocks [32, 2048] of which the first `count` are drawn, each from a key of its own."""

    def fill(place: Array, blocks: Array) -> Array:
        return blocks.at[place].set(draw(jax.random.fold_in(key, start + place)))

    return jax.lax.fori_loop(0, count, fill, jnp.zeros((BLOCKS, BLOCK), jnp.float32))


def _uniform(key: Key) -> Array:
    return jax.random.uniform(key, (BLOCK,), jnp.float32, -1.0, 1.0)


def _truncated_normal(key: Key) -> Array:
    return jax.random.truncated_normal(key, -2.0, 2.0, (BLOCK,), jnp.float32)


def _normal(key: Key) -> Array:
    return jax.random.normal(key, (BLOCK,), jnp.float32)
