"""Indexing as a function, so that a drawn slice has a public name."""

from typing import Any

from jgraph.typing import Array


def getitem(x: Array, index: Any) -> Array:
    """`x[index]` for integers, slices, `None`, `...`, arrays, and tuples of them.

    >>> import jax.numpy as jnp
    >>> getitem(jnp.arange(6).reshape(2, 3), (slice(None), 0))
    Array([0, 3], dtype=int32)
    """
    return x[index]
