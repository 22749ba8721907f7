"""Pooling over windows of any number of spatial axes, and over whole ones, channels last.

Means of low precision are summed in float32, and those of integers are float32.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jgraph.typing import Array


def max_pool(x: Array, window: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    """The largest element of each window: [batch, *space, channels] -> [batch, *space', channels]."""
    return _over_windows(x, lowest(x.dtype), lax.max, window, strides, padding)


def average_pool(x: Array, window: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    """The mean of each window; padding does not count: [batch, *space, channels] -> [batch, *space', channels]."""
    wide = x.astype(_wide(x.dtype))
    total = _over_windows(wide, 0.0, lax.add, window, strides, padding)
    counts: Any = math.prod(window)
    if padding == "same":
        counts = _over_windows(jnp.ones((1, *x.shape[1:-1], 1), wide.dtype), 0.0, lax.add, window, strides, padding)
    return _narrowed(total / counts, x)


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


def lowest(dtype: Any) -> Any:
    """The number of a dtype that no other is below, where a maximum starts from.

    >>> lowest("float32"), lowest("int8")
    (-inf, -128)
    """
    return -jnp.inf if jnp.issubdtype(dtype, jnp.floating) else int(jnp.iinfo(dtype).min)


def _over_windows(
    x: Array, start: float, combine: Any, window: Sequence[int], strides: Sequence[int], padding: str
) -> Array:
    sizes, steps = (1, *window, 1), (1, *strides, 1)
    initial = np.asarray(start, x.dtype)  # a number while tracing too, so that JAX knows how to differentiate it
    return lax.reduce_window(x, initial, combine, sizes, steps, padding.upper())


def _space(x: Array) -> tuple[int, ...]:
    return tuple(range(1, x.ndim - 1))


def _wide(dtype: Any) -> Any:
    """The dtype that elements are summed in."""
    return jnp.promote_types(dtype, jnp.float32)


def _narrowed(y: Array, x: Array) -> Array:
    """A mean in the dtype of its elements; those of integers stay floating."""
    return y.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else y
