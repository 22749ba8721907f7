"""Iterables of batches: read from their start, closed if they are ours, measured, and copied."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from jgraph.data.reading import copied, length_of, reading


class Dataset:
    """As `tf.data.Dataset`: tensors from `__iter__`, arrays from `as_numpy_iterator`, and a length that may fail."""

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("tensors")

    def __len__(self) -> int:
        raise TypeError("The dataset length is unknown.")

    def as_numpy_iterator(self) -> Iterator[np.ndarray]:
        return iter([np.ones(2)])


class Anew:
    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[int]:
        try:
            yield from range(5)
        finally:
            self.closed += 1


def test_what_was_opened_is_closed_and_no_more() -> None:
    anew = Anew()
    with reading(anew) as batches:
        assert next(batches) == 0
    assert anew.closed == 1
    own = iter(anew)
    with reading(own) as batches:
        assert next(batches) == 0
    assert next(own) == 1


def test_a_dataset_of_tensorflow_gives_arrays() -> None:
    with reading(Dataset()) as batches:
        np.testing.assert_array_equal(list(batches), [[1, 1]])


def test_lengths() -> None:
    assert [length_of(data) for data in ([1, 2], Dataset(), iter([1]), Anew())] == [2, None, None, None]


def test_copies_are_on_their_own() -> None:
    arrays = (np.zeros((16, 3), "float32"), None, jnp.ones(2))
    taken = copied(arrays)
    arrays[0][:] = 1
    assert (taken[0] == 0).all()
    assert taken[2] is arrays[2]
