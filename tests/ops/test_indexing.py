"""Indexing as a function and in drawings."""

from typing import Any

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
