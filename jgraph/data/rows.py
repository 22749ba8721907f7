"""Rows of arrays: how many there are, the part for validation, and the order in which an epoch visits them."""

import math
from typing import Any

import jax
import numpy as np

from jgraph.arrays import take
from jgraph.errors import ArgumentError, DataError
from jgraph.tree import common_rows, show_rows
from jgraph.typing import PyTree


def count_rows(where: str, arrays: dict[str, Any]) -> int:
    """The number of rows that all arrays, given by name, have.

    Raises:
        DataError: there is none, or they differ; all lengths are named.
    """
    rows = common_rows(arrays)
    if not rows:
        raise DataError(
            where,
            expected="the same number of rows, at least 1, everywhere",
            got=show_rows(arrays),
            cure="Axis 0 of every array is the batch axis.",
        )
    return rows


def split_rows(arrays: PyTree, rows: int, fraction: float) -> tuple[PyTree, PyTree]:
    """All but the last `fraction` of the rows, and those (Keras' rule: the first has `floor(rows * (1 - fraction))`).

    Raises:
        ArgumentError: the fraction is not in [0, 1), or leaves one side empty.

    >>> split_rows(np.arange(5), 5, 0.4)
    (array([0, 1, 2]), array([3, 4]))
    """
    first = math.floor(rows * (1.0 - fraction)) if isinstance(fraction, (int, float)) and 0 < fraction < 1 else 0
    if not 0 < first < rows:
        raise ArgumentError(
            "fit, validation_split",
            expected=f"a fraction of {rows} rows that leaves some on both sides",
            got=repr(fraction),
            cure="Write validation_split=0.1, or give validation_data.",
        )
    return jax.tree.map(lambda a: a[:first], arrays), jax.tree.map(lambda a: a[first:], arrays)


def order_of(
    rows: int, batch_size: int, *, seed: int | None = None, epoch: int = 0, drop_last: bool = False
) -> np.ndarray:
    """The rows of each batch, [steps, batch_size], a last batch that is not full filled up with -1, or dropped.

    With a seed the order is a permutation drawn from (seed, epoch) alone; without one it is that of the rows.

    >>> order_of(5, 2)
    array([[ 0,  1],
           [ 2,  3],
           [ 4, -1]], dtype=int32)
    """
    order = np.arange(rows) if seed is None else np.random.default_rng((seed, epoch)).permutation(rows)
    steps = steps_of(rows, batch_size, drop_last)
    filled = np.full(steps * batch_size, -1, np.int32)
    filled[:rows] = order[: steps * batch_size]
    return filled.reshape(steps, batch_size)


def steps_of(rows: int, batch_size: int, drop_last: bool = False) -> int:
    """The number of batches that rows give.

    >>> steps_of(5, 2), steps_of(5, 2, drop_last=True)
    (3, 2)
    """
    return rows // batch_size if drop_last else -(-rows // batch_size)


def take_rows(arrays: PyTree, rows: np.ndarray) -> PyTree:
    """The named rows, copied to memory; the order's -1 is left out."""
    return jax.tree.map(lambda a: take(a, rows[rows >= 0]), arrays)


def fill_up(arrays: PyTree, count: int, size: int) -> tuple[PyTree, np.ndarray]:
    """`count` rows filled up to `size` with copies of the last one, and 1.0 for those that are real.

    >>> fill_up(np.array([7, 8]), 2, 4)
    (array([7, 8, 8, 8]), array([1., 1., 0., 0.], dtype=float32))
    """
    real = (np.arange(max(count, size)) < count).astype(np.float32)
    if count >= size:
        return arrays, real
    return jax.tree.map(lambda a: np.concatenate([a, np.repeat(a[-1:], size - count, axis=0)]), arrays), real
