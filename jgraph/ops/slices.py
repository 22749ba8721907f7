"""Slices along one axis, as the sums of shifts take them: with zeros beyond the ends, or every so many entries."""

import jax.numpy as jnp
from jax import lax

from jgraph.typing import Array


def cut(x: Array, start: int, stop: int, axis: int) -> Array:
    """`x[start:stop]` along the axis, with zeros for what lies outside of it.

    >>> import jax.numpy as jnp
    >>> cut(jnp.ones(3), -1, 2, 0)
    Array([0., 1., 1.], dtype=float32)
    """
    length, size = stop - start, x.shape[axis]
    first = min(max(start, 0), size)
    last = min(max(stop, first), size)
    before = min(max(-start, 0), length)
    pads = [(0, 0)] * x.ndim
    pads[axis] = (before, length - before - (last - first))
    part = lax.slice_in_dim(x, first, last, axis=axis)
    return part if pads[axis] == (0, 0) else jnp.pad(part, pads)


def every(x: Array, start: int, count: int, step: int, axis: int) -> Array:
    """`count` entries along the axis, `step` apart.

    >>> import jax.numpy as jnp
    >>> every(jnp.arange(6), 1, 2, 3, 0)
    Array([1, 4], dtype=int32)
    """
    return lax.slice_in_dim(x, start, start + (count - 1) * step + 1 if count else start, step, axis)
