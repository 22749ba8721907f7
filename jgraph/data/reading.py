"""Iterables of batches: how they are read from their start, how long they are, and copies of what they give."""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jgraph.typing import PyTree


@contextlib.contextmanager
def reading(data: Any) -> Iterator[Iterator[Any]]:
    """The batches of an iterable from its start, of a `tf.data.Dataset` as NumPy arrays.

    An iterator that was made for this is closed in the end; one that is the data itself stays its owner's.

    >>> with reading([1, 2]) as batches:
    ...     list(batches)
    [1, 2]
    """
    made = data.as_numpy_iterator() if hasattr(data, "as_numpy_iterator") else iter(data)
    try:
        yield made
    finally:
        if made is not data and hasattr(made, "close"):
            made.close()


def named(batches: Iterator[Any], where: str) -> Iterator[tuple[str, Any]]:
    """Batches with their names; an error that comes from reading one says which it was to be.

    >>> [name for name, _ in named(iter("ab"), "fit")]
    ['fit, batch 0', 'fit, batch 1']
    """
    for number in itertools.count():
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
