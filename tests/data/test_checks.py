"""Checks of values: what is not finite, out of range or too large for the device is named by its row."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from jgraph.core.lookups import check_range
from jgraph.data.checks import check_finite, check_weights
from jgraph.errors import DataError

FLOATS = ["float16", "float32", "float64", ml_dtypes.bfloat16]
NUMBERS = [*FLOATS, "bool", "int8", "uint8", "int32", "int64", "uint32", "uint64"]


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
@pytest.mark.parametrize("shape", [(3,), (3, 2), (0,), (2, 0)], ids=str)
def test_numbers_pass(dtype: Any, shape: tuple[int, ...]) -> None:
    check_finite("here", np.ones(shape, dtype))
    check_weights("here", np.ones(shape, dtype))
    check_range("here", np.ones(shape, dtype), 0, 1, "bits")


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_found(dtype: Any, bad: float) -> None:
    values = np.ones((4, 2), dtype)
    values[2, 1] = bad
    with pytest.raises(DataError, match=r"here: expected finite numbers.*got 1 others, the first in row 2"):
        check_finite("here", values)


@pytest.mark.parametrize(
    ("value", "dtype", "becomes"),
    [
        (1e300, "float64", None),
        (-1e39, "float64", None),
        (2**31, "int64", None),
        (-(2**40), "int64", None),
        (2**32, "uint64", None),
        (1e5, "float32", "float16"),
    ],
)
def test_what_the_device_cannot_hold_is_found(value: float, dtype: str, becomes: str | None) -> None:
    with pytest.raises(DataError, match=r"finite numbers that .* can hold.*row 1"):
        check_finite("here", np.array([0, value], dtype), becomes)


@pytest.mark.parametrize("value", [3.4e38, -3.4e38, 1e-300])
def test_what_the_device_can_hold_passes(value: float) -> None:
    check_finite("here", np.array([value, 0.0]))


def test_large_sums_of_finite_numbers_pass() -> None:
    check_finite("here", np.full(100, 3e38, "float32"))


@pytest.mark.parametrize("bad", [-1, 10])
def test_a_number_out_of_range_is_named_by_its_row(bad: int) -> None:
    with pytest.raises(DataError, match="here: expected labels from 0 to 9, got others, the first in row 1"):
        check_range("here", np.array([[0, 9], [3, bad]]), 0, 9, "labels")


def test_negative_weights_are_refused() -> None:
    with pytest.raises(DataError, match="weights that are not negative"):
        check_weights("here", np.array([1.0, -1e-9]))
    check_weights("here", np.zeros(3))
