"""Pooling over windows of any number of spatial axes, channels last."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jgraph.typing import Array


def max_pool(x: Array, window: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    """The largest element of each window: [batch, *space, channels] -> [batch, *space', channels]."""
    return _over_windows(x, lowest(x.dtype), lax.max, window, strides, padding)


def lowest(dtype: Any) -> Any:
    """The number of a dtype that no other is below, where a maximum starts from.

    >>> lowest("float32"), lowest("int8")
    (-inf, -128)
    """
    return -jnp.inf if jnp.issubdtype(dtype, jnp.floating) else int(jnp.iinfo(dtype).min)


def average_pool(x: Array, window: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    """The mean of each window; padding does not count: [batch, *space, channels] -> [batch, *space', channels]."""
    total = _over_windows(x, 0.0, lax.add, window, strides, padding)
    counts = _over_windows(jnp.ones((1, *x.shape[1:-1], 1), x.dtype), 0.0, lax.add, window, strides, padding)
    return total / counts


def _over_windows(
    x: Array, start: float, combine: Any, window: Sequence[int], strides: Sequence[int], padding: str
) -> Array:
    sizes, steps = (1, *window, 1), (1, *strides, 1)
    initial = np.asarray(start, x.dtype)  # a number while tracing too, so that JAX knows how to differentiate it
    return lax.reduce_window(x, initial, combine, sizes, steps, padding.upper())
