"""Indexing as a function, so that a drawn slice has a public name."""

from typing import Any

import numpy as np
from jax.core import Tracer

from jgraph.typing import Array


def getitem(x: Array, index: Any) -> Array:
    """`x[index]` for integers, slices, `None`, `...`, arrays, and tuples of them.

    Raises:
        IndexError: an integer, or one in an array of integers, is out of range, which JAX alone lets pass.

    >>> import jax.numpy as jnp
    >>> getitem(jnp.arange(6).reshape(2, 3), (slice(None), 0))
    Array([0, 3], dtype=int32)
    """
    axis, parts = 0, index if isinstance(index, tuple) else (index,)
    for place, part in enumerate(parts):
        if part is Ellipsis:
            axis = len(x.shape) - sum(map(_axes_of, parts[place + 1 :]))
            continue
        if _axes_of(part) == 1 and not isinstance(part, slice) and axis < len(x.shape):
            _check_range(part, axis, x.shape[axis])
        axis += _axes_of(part)
    return x[index]


def _axes_of(part: Any) -> int:
    """How many axes a part of an index goes over."""
    if part is None or part is Ellipsis or isinstance(part, (bool, np.bool_)):
        return 0
    is_flags = getattr(part, "dtype", None) == np.bool_ or (
        isinstance(part, list) and np.asarray(part).dtype == np.bool_
    )
    return np.ndim(part) if is_flags else 1


def _check_range(part: Any, axis: int, size: Any) -> None:
    if isinstance(part, Tracer) or not isinstance(size, int):
        return
    indices = np.asarray(part)
    if (
        np.issubdtype(indices.dtype, np.integer)
        and indices.size
        and not (-size <= indices.min() <= indices.max() < size)
    ):
        raise IndexError(f"index {part!r} is out of range for axis {axis}, of size {size}")
