"""Where a run goes on in an iterable of batches: at the position that the data told, or behind a replay."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from jgraph.data.place import OTHER, Place, check_keeps, keeps_state, place_by
from jgraph.errors import ResumeError
from jgraph.storage.plain_state import from_plain, to_plain
from jgraph.train.state import Run


def with_place(run: Run, data: Any, resumed: bool) -> tuple[Run, list[str]]:
    """The run with the place where its data are read on, and what is to be said of it; `resumed` is from a checkpoint.

    Data that told no position are read again from their start. An iterator cannot be: without a position it only goes
    on between two epochs, in the process that has read it until then.

    Raises:
        ResumeError: it cannot go on with such data.
    """
    place, under_way, keeps = run.place, run.position.step > 0, keeps_state(data)
    if place is not None and place.has_state:
        if place.of == "data" and (under_way or resumed):
            check_keeps(data, "fit")
        return (run if under_way or keeps else dataclasses.replace(run, place=None)), []
    if isinstance(data, Iterator) and (under_way or (resumed and run.history)):
        raise ResumeError(
            "fit",
            expected="data that can be read again, or that told their position while the run was trained",
            got=f"an iterator ({type(data).__name__}) that did not, {run.position.step} steps after an epoch's begin",
            cure=f"Give an object whose __iter__ starts anew, or an iterator with get_state and set_state. {OTHER}",
        )
    if under_way:
        why = "the data told none, by get_state and set_state"
        return run, [f"reads {run.position.step} batches again to find its place, as {why}"]
    return dataclasses.replace(run, place=place_by(data, "data")), []


def check_plain(place: Place, where: str) -> None:
    """Checks that a checkpoint can hold a place.

    Raises:
        SaveError: it cannot, as its state is made of other things than numbers, texts, bytes, arrays and the like.
    """
    if place.has_state:
        to_plain(place.value, f"{where}, state of the {place.of}")


def plain_place(place: Place) -> list[Any]:
    """A place as what JSON can hold.

    Raises:
        SaveError: no file can hold its state.
    """
    return [place.of, to_plain(place.hashed().value, f"fit, state of the {place.of}"), place.rows]


def place_of(plain: list[Any]) -> Place:
    """The place that `plain_place` was given."""
    of, value, rows = plain
    return Place(of, from_plain(value), rows)
