"""A hash that tells data apart, so that a run does not go on with other data than it began with."""

import hashlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jgraph.arrays import PIECE_BYTES, pieces, take
from jgraph.typing import PyTree

WHOLE_BYTES = 2**26
"""Arrays of at most this size are hashed whole, larger ones by evenly spaced rows of this size together."""


def fingerprint(arrays: PyTree) -> str:
    """The hash of the arrays of a tree: their shapes, dtypes and rows.

    >>> import numpy as np
    >>> fingerprint((np.arange(3), None)) == fingerprint((np.arange(3), None))
    True
    >>> fingerprint(np.arange(3)) == fingerprint(np.array([0, 2, 1]))
    False
    """
    digest = hashlib.sha256(str(jax.tree.structure(arrays)).encode())
    for array in jax.tree.leaves(arrays):
        digest.update(f"{np.shape(array)}{array.dtype}".encode())
        for part in _sample(array):
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def _sample(array: Any) -> Iterator[np.ndarray]:
    """The rows to hash, in parts."""
    size = array.size * array.dtype.itemsize
    if size <= WHOLE_BYTES:
        yield from (np.asarray(part) for _, part in pieces(array))
        return
    rows = len(array)
    chosen = np.unique(np.linspace(0, rows - 1, max(1, rows * WHOLE_BYTES // size)).astype(np.int64))
    most = max(1, rows * PIECE_BYTES // size)
    yield from (take(array, chosen[start : start + most]) for start in range(0, len(chosen), most))
