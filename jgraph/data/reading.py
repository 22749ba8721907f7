"""Iterables of batches: how they are read, from their start or a place, how long they are, and copies of batches."""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jgraph.data.place import OTHER, Place, place_by, restore
from jgraph.errors import ResumeError
from jgraph.typing import PyTree


@contextlib.contextmanager
def reading(data: Any, place: Place | None = None, where: str = "data") -> Iterator[Iterator[Any]]:
    """The batches of an iterable from its start, or from a place with a state; a `tf.data.Dataset` gives NumPy arrays.

    An iterator that was made for this is closed in the end; one that is the data itself stays its owner's.

    Raises:
        ResumeError: the data do not take the state.

    >>> with reading([1, 2]) as batches:
    ...     list(batches)
    [1, 2]
    """
    if place is not None and place.of == "data":
        restore(data, place.value, where)  # before it is iterated over, as torchdata needs it
    made = data.as_numpy_iterator() if hasattr(data, "as_numpy_iterator") else iter(data)
    try:
        if place is not None and place.of == "iterator":
            restore(made, place.value, where)
        yield made
    finally:
        if made is not data and hasattr(made, "close"):
            made.close()


def place_behind(data: Any, batches: Iterator[Any], seen: PyTree, rows: int) -> Place:
    """The place behind a batch that has just been read; where there is no state, what was `seen` stands in it."""
    own = None if batches is data else place_by(batches, "iterator", rows)
    return own or place_by(data, "data", rows) or Place("batches", seen, rows)


def pass_end(data: Any, place: Place, cut: bool, where: str) -> None:
    """Brings data that keep their own state to the end of the epoch whose last batch they stand behind.

    An iterator simply goes on. Of an iterable the epoch's iterator is made again, and read to its end unless the epoch
    was `cut` before it: so the next one begins as it would have.

    Raises:
        ResumeError: the data do not take the state, or do not end there.
    """
    with reading(data, place, where) as batches:
        if batches is not data and not cut and any(True for _ in itertools.islice(batches, 1)):
            expected = "data that end where the last epoch of the run ended"
            raise ResumeError(where, expected=expected, got="another batch", cure=OTHER)


def named(batches: Iterator[Any], where: str, first: int = 0) -> Iterator[tuple[str, Any]]:
    """Batches with their names; an error that comes from reading one says which it was to be.

    >>> [name for name, _ in named(iter("ab"), "fit")]
    ['fit, batch 0', 'fit, batch 1']
    """
    for number in itertools.count(first):
        name = f"{where}, batch {number}"
        try:
            batch = next(batches)
        except StopIteration:
            return
        except Exception as error:
            error.add_note(f"Raised by the data, where {name} was to be read.")
            raise
        yield name, batch


def length_of(data: Any) -> int | None:
    """The number of batches of an iterable that knows it.

    >>> length_of([1, 2]), length_of(iter([1, 2]))
    (2, None)
    """
    try:
        return len(data)
    except TypeError:  # as loaders raise, too, that cannot know it
        return None


def copied(batch: PyTree) -> PyTree:
    """A batch with NumPy arrays of its own: a loader may use the same ones again, and JAX would share their memory."""
    return jax.tree.map(lambda a: a if isinstance(a, jax.Array) else np.array(a), batch)
