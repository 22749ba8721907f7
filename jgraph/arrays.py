"""Arrays as they are given: tensors of other libraries as NumPy's, and arrays that lie in files, read piece by piece.

What is read of a memory-mapped file counts as memory of the process until its pages are let go of: they are, after each
piece, so that a file of any size takes no more room than a piece.
"""

import mmap
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jgraph.errors import DataError
from jgraph.typing import PyTree

PIECE_BYTES = 2**24
"""How much of a file is read at once."""

AROUND_BYTES = 2**21
"""What Linux may map around a byte of a file that is touched, a huge page: the least that a row takes."""


def as_numpy(value: Any, where: str) -> Any:
    """A tensor or column of another library as a NumPy array, on the same memory where it can be; all else as it is.

    What counts is the protocol, `to_numpy` (pandas, Polars) or `__array__` (PyTorch, TensorFlow), so that none of
    these libraries is imported.

    Raises:
        DataError: NumPy cannot hold it, as a tensor on another device, with a gradient, or in bfloat16.

    >>> class Tensor:
    ...     def __array__(self, dtype=None, copy=None):
    ...         return np.arange(3)
    >>> as_numpy(Tensor(), "inputs"), as_numpy(7, "inputs")
    (array([0, 1, 2]), 7)
    """
    if isinstance(value, np.ndarray | np.generic | jax.Array | jax.ShapeDtypeStruct):
        return value
    columns = hasattr(value, "to_numpy")
    stored = isinstance(getattr(value, "dtype", None), np.dtype) and hasattr(value, "shape")
    if not columns and (stored or not hasattr(value, "__array__")):
        return value
    try:
        return np.asarray(value.to_numpy() if columns else value)
    except Exception as error:
        kind = f"{type(value).__module__.split('.')[0]}.{type(value).__name__}"
        raise DataError(
            where,
            expected="an array, or a tensor that NumPy can hold",
            got=f"a {kind} of {getattr(value, 'dtype', 'no dtype')}: {str(error).splitlines()[0]}",
            cure="Convert it first, in PyTorch by tensor.detach().cpu().float().",
        ) from error


def is_stored(array: Any) -> bool:
    """Whether an array lies in a file, as a `np.memmap` or a part of one does, and not in memory.

    >>> is_stored(np.ones(3))
    False
    """
    if isinstance(array, np.ndarray):
        return isinstance(_mapping(array)[0], mmap.mmap)
    return not isinstance(array, np.generic | jax.Array | jax.ShapeDtypeStruct) and hasattr(array, "__getitem__")


def let_go(array: Any) -> None:
    """Lets go of the pages of a mapped file that were read or written; they are read anew when they are next asked for.

    The pages of a copy on write stay, as they are nowhere else.
    """
    found, mode = _mapping(array)
    if isinstance(found, mmap.mmap) and mode in ("r", "r+", "w+") and hasattr(mmap, "MADV_DONTNEED"):
        found.madvise(mmap.MADV_DONTNEED)


def _mapping(array: Any) -> tuple[Any, str | None]:
    """What an array's memory belongs to, and the mode of the `np.memmap` that it is a part of."""
    mode = None
    while isinstance(array, np.ndarray):
        mode = getattr(array, "mode", None) or mode
        array = array.base
    return array, mode


def pieces(arrays: PyTree) -> Iterator[tuple[int, PyTree]]:
    """Rows of arrays of one length, piece by piece where one lies in a file, else as they are; with their first row.

    >>> list(pieces(np.arange(3)))
    [(0, array([0, 1, 2]))]
    """
    leaves = jax.tree.leaves(arrays)
    stored = [leaf for leaf in leaves if is_stored(leaf)]
    if not stored or not np.shape(stored[0]):
        yield 0, arrays
        return
    rows = np.shape(stored[0])[0]
    most = max(1, PIECE_BYTES // max(1, *(_row_bytes(leaf) for leaf in leaves)))
    for first in range(0, rows, most):
        yield first, jax.tree.map(lambda a, at=first: a[at : at + most], arrays)
        for leaf in stored:
            let_go(leaf)


def take(array: Any, rows: np.ndarray) -> np.ndarray:
    """The named rows, copied to memory; those of a file are read in the order in which they lie there.

    >>> take(np.arange(5) * 10, np.array([3, 0]))
    array([30,  0])
    """
    if not is_stored(array):
        return np.asarray(array[rows])
    order, size = np.argsort(rows, kind="stable"), _row_bytes(array)
    taken = np.empty((len(rows), *array.shape[1:]), array.dtype)
    around = np.unique(rows[order].astype(np.int64) * size // AROUND_BYTES, return_inverse=True)[1]
    piece = around // max(1, PIECE_BYTES // max(size, AROUND_BYTES))
    for some in np.split(order, np.flatnonzero(np.diff(piece)) + 1):
        taken[some] = array[rows[some]]
        let_go(array)
    return taken


def _row_bytes(array: Any) -> int:
    return array.dtype.itemsize * int(np.prod(array.shape[1:]))
