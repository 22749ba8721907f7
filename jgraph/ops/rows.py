"""Sums over the rows of a batch, a part at a time: what a part is made into stays in the cache until it is summed."""

import functools
import math
from collections.abc import Callable

from jax import lax

from jgraph.typing import Array

ROWS = 2048
"""The most rows of a part; measured, see scripts/notes-speed.md."""


def by_rows(product: Callable[[Array, Array], Array], x: Array, y: Array, start: Array) -> Array:
    """The sum of `product(x, y)` over parts of the batch, so small that what it makes of them stays in the cache."""
    batch, windows = len(y), math.prod(y.shape[1:-1])
    count = max((n for n in range(1, batch + 1) if batch % n == 0 and n * windows <= ROWS), default=1)
    if count == batch:
        return product(x, y)

    def add(i: Array, total: Array) -> Array:
        some = functools.partial(lax.dynamic_slice_in_dim, start_index=i * count, slice_size=count)
        return total + product(some(x), some(y))

    return lax.fori_loop(0, batch // count, add, start)
