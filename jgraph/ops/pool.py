"""Pooling over windows of any number of spatial axes, and over whole ones, channels last.

Means of low precision are summed in float32, and those of integers are float32.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jgraph.ops.windows import largest, lowest, total, windows_over
from jgraph.typing import Array


def max_pool(x: Array, window: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    """The largest element of each window: [batch, *space, channels] -> [batch, *space', channels]."""
    return largest(x, windows_over(x.shape[1:-1], window, strides, padding))


def average_pool(x: Array, window: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    """The mean of each window; padding does not count: [batch, *space, channels] -> [batch, *space', channels]."""
    wide, windows = x.astype(_wide(x.dtype)), windows_over(x.shape[1:-1], window, strides, padding)
    counts: Any = math.prod(window)
    if padding == "same":
        counts = total(jnp.ones((1, *x.shape[1:-1], 1), wide.dtype), windows)
    return _narrowed(total(wide, windows) / counts, x)


def global_max(x: Array, keepdims: bool, real: Array | None = None) -> Array:
    """The largest of all elements that are `real`, 0 where none is: [batch, *space, channels] -> [batch, channels]."""
    axes = _space(x)
    if real is None:
        return jnp.max(x, axes, keepdims=keepdims)
    largest = jnp.max(jnp.where(real, x, lowest(x.dtype)), axes, keepdims=keepdims)
    return jnp.where(jnp.any(real, axes, keepdims=keepdims), largest, jnp.zeros((), x.dtype))


def global_average(x: Array, keepdims: bool, real: Array | None = None) -> Array:
    """The mean of all elements that are `real`, 0 where none is: [batch, *space, channels] -> [batch, channels]."""
    axes = _space(x)
    if real is None:
        return jnp.mean(x, axes, keepdims=keepdims)
    wide = _wide(x.dtype)
    total = jnp.sum(jnp.where(real, x, jnp.zeros((), x.dtype)), axes, keepdims=keepdims, dtype=wide)
    return _narrowed(total / jnp.maximum(jnp.sum(real, axes, keepdims=keepdims, dtype=wide), 1), x)


def _space(x: Array) -> tuple[int, ...]:
    return tuple(range(1, x.ndim - 1))


def _wide(dtype: Any) -> Any:
    """The dtype that elements are summed in."""
    return jnp.promote_types(dtype, jnp.float32)


def _narrowed(y: Array, x: Array) -> Array:
    """A mean in the dtype of its elements; those of integers stay floating."""
    return y.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else y
