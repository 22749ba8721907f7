"""Arrays as they are given: foreign tensors, and files that are read piece by piece and let go of."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jgraph.arrays as arrays
from jgraph.arrays import as_numpy, is_stored, let_go, pieces, take
from jgraph.errors import DataError


class Tensor:
    """What PyTorch and TensorFlow share: a dtype of their own, and `__array__`."""

    def __init__(self, value: Any, error: Exception | None = None) -> None:
        self.value, self.error, self.dtype, self.shape = value, error, "library.float32", np.shape(value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        if self.error:
            raise self.error
        return np.asarray(self.value)


class Column:
    """What pandas and Polars share: `to_numpy`, beside an index that is not a position."""

    dtype = np.dtype("float64")
    shape = (2,)

    def to_numpy(self) -> np.ndarray:
        return np.array([1.0, 2.0])

    def __getitem__(self, label: Any) -> Any:
        raise AssertionError(label)


class Dataset:
    """What h5py and zarr share: shape and dtype, and reading by slices or growing indices."""

    def __init__(self, value: np.ndarray) -> None:
        self.value, self.shape, self.dtype = value, value.shape, value.dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        assert isinstance(rows, slice) or (np.diff(rows) > 0).all()
        return self.value[rows]


def mapped(folder: Path, value: Any, mode: Any = "r") -> np.memmap:
    path = folder / "array.bin"
    np.asarray(value).tofile(path)
    return np.memmap(path, dtype=np.asarray(value).dtype, mode=mode, shape=np.shape(value))


def test_tensors_and_columns_become_arrays() -> None:
    np.testing.assert_array_equal(as_numpy(Tensor([1.0, 2.0]), "here"), [1.0, 2.0])
    np.testing.assert_array_equal(as_numpy(Column(), "here"), [1.0, 2.0])
    for value in (np.ones(2), jnp.ones(2), np.float32(1), 3, [1, 2], None, "text", jax.ShapeDtypeStruct((2,), "int8")):
        assert as_numpy(value, "here") is value
    assert jax.jit(lambda x: as_numpy(x, "here") + 1)(1) == 2


def test_a_tensor_that_numpy_cannot_hold_is_named() -> None:
    tensor = Tensor([1], TypeError("Got unsupported ScalarType BFloat16\nmore"))
    with pytest.raises(
        DataError, match=r"fit, batch 3: .* of library\.float32: Got unsupported ScalarType BFloat16\. C"
    ):
        as_numpy(tensor, "fit, batch 3")


def test_what_lies_in_a_file_is_known(tmp_path: Path) -> None:
    array = mapped(tmp_path, np.ones((4, 3), "float32"))
    for part in (array, array[1:], array[:, 0], np.asarray(array), np.asarray(array)[2:].T, Dataset(np.ones(3))):
        assert is_stored(part)
    for value in (np.ones(3), np.ones((3, 2))[1:], array[np.array([0, 1])], array + 1, jnp.ones(2), np.float32(1)):
        assert not is_stored(value)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_letting_go_changes_no_value(tmp_path: Path, mode: str) -> None:
    array = mapped(tmp_path, np.arange(12.0).reshape(4, 3), mode)
    if mode != "r":
        array[1] = -1
    before = np.array(array)
    let_go(array[1:])
    np.testing.assert_array_equal(array, before)
    let_go(np.ones(3))


@settings(deadline=None)
@given(
    rows=st.lists(st.integers(0, 29), unique=True, max_size=30), piece=st.integers(1, 300), around=st.integers(1, 300)
)
def test_rows_of_a_file_are_those_of_the_array(rows: list[int], piece: int, around: int) -> None:
    value = np.arange(60, dtype="int16").reshape(30, 2)
    chosen = np.array(rows, np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "PIECE_BYTES", piece)
        patch.setattr(arrays, "AROUND_BYTES", around)
        for stored in (value, Dataset(value)):
            taken = take(stored, chosen)
            np.testing.assert_array_equal(taken, value[chosen])
            assert taken.dtype == "int16"
        found = [(first, part) for first, part in pieces({"a": Dataset(value), "b": value})]
    np.testing.assert_array_equal(np.concatenate([part["a"] for _, part in found]), value)
    np.testing.assert_array_equal(np.concatenate([part["b"] for _, part in found]), value)
    assert [first for first, _ in found] == list(np.cumsum([0, *(len(part["b"]) for _, part in found)])[:-1])
    assert max(part["a"].nbytes for _, part in found) <= max(piece, 4)


def test_what_is_in_memory_is_one_piece() -> None:
    value = (np.ones(3), None, jnp.ones((3, 2)))
    ((first, part),) = pieces(value)
    assert first == 0
    assert part is value
