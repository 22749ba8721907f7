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

BATCH_BYTES = 2**18
"""The same for the arrays of a batch, which is hashed in less than a millisecond."""


def fingerprint(arrays: PyTree, most: int = WHOLE_BYTES) -> str:
    """The hash of the arrays of a tree: their shapes, dtypes and rows, of an array beyond `most` bytes some of them.

    >>> import numpy as np
    >>> fingerprint((np.arange(3), None)) == fingerprint((np.arange(3), None))
    True
    >>> fingerprint(np.arange(3)) == fingerprint(np.array([0, 2, 1]))
    False
    """
    digest = hashlib.sha256(str(jax.tree.structure(arrays)).encode())
    for array in jax.tree.leaves(arrays):
        digest.update(f"{np.shape(array)}{array.dtype}".encode())
        for part in _sample(array, most):
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def batches_hash(batches: PyTree) -> str:
    """The hash of some batches, to know them again when they are read again."""
    return fingerprint(batches, BATCH_BYTES)


def _sample(array: Any, most: int) -> Iterator[np.ndarray]:
    """The rows to hash, in parts."""
    size = array.size * array.dtype.itemsize
    if size <= most:
        yield from (np.asarray(part) for _, part in pieces(array))
        return
    rows = len(array)
    chosen = np.unique(np.linspace(0, rows - 1, max(1, rows * most // size)).astype(np.int64))
    piece = max(1, rows * PIECE_BYTES // size)
    yield from (take(array, chosen[start : start + piece]) for start in range(0, len(chosen), piece))
