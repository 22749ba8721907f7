"""Rows of arrays: their number, their order, the part for validation, and filling up."""

from typing import Any

import jax
import numpy as np
import pytest

from jgraph.data.rows import count_rows, fill_up, order_of, split_rows, take_rows
from jgraph.errors import ArgumentError, DataError


@pytest.mark.parametrize("rows", [1, 2, 5, 32, 33])
@pytest.mark.parametrize("size", [1, 2, 5, 32])
@pytest.mark.parametrize("seed", [None, 0, 2**32 - 1])
def test_an_epoch_visits_every_row_once(rows: int, size: int, seed: int | None) -> None:
    order = order_of(rows, size, seed=seed, epoch=3)
    assert order.shape == (-(-rows // size), size)
    assert order.dtype == np.int32
    flat = order.ravel()
    assert sorted(flat[:rows]) == list(range(rows))
    assert (flat[rows:] == -1).all()
    np.testing.assert_array_equal(order, order_of(rows, size, seed=seed, epoch=3))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {order_of(20, 20, seed=seed, epoch=epoch).tobytes() for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


@pytest.mark.parametrize(("rows", "fraction", "first"), [(10, 0.1, 9), (10, 0.25, 7), (3, 0.5, 1), (100, 0.29, 71)])
def test_the_last_rows_are_held_out(rows: int, fraction: float, first: int) -> None:
    arrays = {"a": np.arange(rows), "b": np.ones((rows, 2))}
    kept, last = split_rows(arrays, rows, fraction)
    np.testing.assert_array_equal(kept["a"], np.arange(first))
    np.testing.assert_array_equal(last["a"], np.arange(first, rows))
    assert (kept["b"].shape, last["b"].shape) == ((first, 2), (rows - first, 2))


@pytest.mark.parametrize("fraction", [0.0, 1.0, 1.5, -0.1, 0.99, float("nan"), "0.1", None, True])
def test_a_split_that_leaves_a_side_empty_is_refused(fraction: Any) -> None:
    with pytest.raises(ArgumentError, match=r"a fraction of 5 rows.*validation_split=0\.1"):
        split_rows(np.arange(5), 5, fraction)


def test_rows_are_counted_and_named() -> None:
    assert count_rows("here", {"x": np.ones((3, 2)), "y": jax.ShapeDtypeStruct((3,), "int32")}) == 3
    for arrays, message in [
        ({"x": np.ones(3), "y": np.ones(2)}, "x: 3, y: 2"),
        ({"x": np.ones(0)}, "x: 0"),
        ({"x": np.ones(())}, "x: None"),
        ({}, "nothing"),
    ]:
        with pytest.raises(DataError, match=f"here: expected the same number of rows, at least 1.*got {message}"):
            count_rows("here", arrays)


@pytest.mark.parametrize(("count", "size"), [(3, 5), (5, 5), (5, 3), (1, 4)])
def test_filling_up_repeats_the_last_row_without_weight(count: int, size: int) -> None:
    arrays = {"a": np.arange(count), "b": jax.numpy.ones((count, 2), "bfloat16"), "none": None}
    filled, real = fill_up(arrays, count, size)
    assert real.tolist() == [1.0] * count + [0.0] * max(0, size - count)
    np.testing.assert_array_equal(filled["a"], [*range(count), *[count - 1] * max(0, size - count)])
    assert filled["b"].dtype == "bfloat16"


def test_rows_are_taken_without_the_filling() -> None:
    taken = take_rows((np.arange(5) * 10, None), np.array([3, 0, -1]))
    np.testing.assert_array_equal(taken[0], [30, 0])
