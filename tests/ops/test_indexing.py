"""Indexing as a function and in drawings."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.ops.indexing import getitem

X: Any = np.arange(24, dtype="float32").reshape(2, 3, 4)


@pytest.mark.parametrize(
    "index",
    [0, slice(None, None, -1), (slice(None), 1), (slice(None), None, slice(1, 3)), (..., -1), (slice(None), [2, 0])],
    ids=str,
)
def test_values(index: Any) -> None:
    index = tuple(np.asarray(i) if isinstance(i, list) else i for i in index) if isinstance(index, tuple) else index
    np.testing.assert_array_equal(getitem(X, index), X[index])


def test_a_drawn_slice() -> None:
    x = jg.Input((3, 4), name="x")
    model = jg.Model(x, x[:, 1:, ::2])
    np.testing.assert_array_equal(model.apply({}, {}, X)[0], X[:, 1:, ::2])


@pytest.mark.parametrize(
    "index",
    [
        2,
        -3,
        (slice(None), 3),
        (..., -4),
        (None, 2),
        (0, None, 3),
        np.array([0, 2]),
        (slice(None), np.array([[0], [5]])),
    ],
    ids=str,
)
def test_what_is_out_of_range_is_refused_as_numpy_does(index: Any) -> None:
    with pytest.raises(IndexError):
        np.ones((2, 3))[index]
    with pytest.raises(IndexError, match="out of range for axis"):
        getitem(jnp.ones((2, 3)), index)


@pytest.mark.parametrize(
    "index",
    [
        (..., 2),
        (np.array([True, False]), 1),
        (np.ones((2, 3), bool),),
        (True, 1),
        (None, ..., None, 2),
        -2,
        (np.array([0, 1]), np.array([2, -3])),
    ],
    ids=str,
)
def test_what_is_within_range_is_that_of_numpy(index: Any) -> None:
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(getitem(jnp.asarray(x), index), x[index])
