"""The edges of a run: the sinks that are open while it trains, its directories, and the saves that are under way."""

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax

from jgraph.errors import CallbackError, LoadError, listing
from jgraph.storage.leaves import json_digest, outline
from jgraph.storage.lock import Lock
from jgraph.storage.places import make_ready
from jgraph.storage.queued import Queued
from jgraph.storage.saver import Saver
from jgraph.storage.steps import read_step, save_step, steps_in
from jgraph.train.actions import Outlet, Save, Sink

MACHINE = ("timings", "events")
"""What a record holds that depends on the machine and on kills."""


class Outlets:
    """All that training writes: records in order, to sinks that may have a queue; checkpoints in a thread."""

    def __init__(self) -> None:
        self._open: dict[Any, Outlet] = {}
        self._place = Path.cwd()  # where relative paths start, even if a callback goes elsewhere
        self._saver = Saver()
        self._locks: dict[str, Lock] = {}

    def reserve(self, directory: str) -> str:
        """Makes a directory, if it is not there, and holds it for this run: a killed run that had it, in words.

        Raises:
            LockedError: another run writes to it. WriteError: it cannot be written.
        """
        place = os.path.realpath(directory)
        if place in self._locks:
            return ""
        make_ready(place)
        self._locks[place] = Lock(place)
        return self._locks[place].left

    def open(self, sinks: Iterable[tuple[Sink, int | None]]) -> None:
        """Opens sinks, each to go on after so many records, or anew.

        Raises:
            WriteError: one cannot be written.
        """
        for sink, keep in sinks:
            self._open[sink] = sink.open(keep)

    def write(self, name: str, sink: Any, record: Any) -> None:
        """Hands a record of a callback to a sink that is open.

        Raises:
            WriteError: it cannot be written. CallbackError: the sink was not named before training.
        """
        if sink not in self._open:
            raise CallbackError(
                f"callback {name!r}, Write",
                expected=f"one of the sinks that callbacks name: {listing(self._open)}",
                got=repr(sink),
                cure="Return it, with the number of records written, from the callback's `sinks(memory)`.",
            )
        self._open[sink].write(record)

    def save(self, action: Save, step: int, tree: Any, record: Callable[[], dict[str, Any]]) -> None:
        """Saves a step while training goes on; first what was written until now is made to last."""
        directory = self._place / action.directory
        if not action.replace and step in steps_in(directory):
            return

        def write() -> None:
            for outlet in list(self._open.values()):
                outlet.flush()
            told = record()
            if not _is_there(directory, step, tree, told):
                save_step(directory, step, tree, told)

        size = sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
        self._saver.save(directory, step, write, size, action.max_to_keep, action.protect, action.keep)
        if not action.asynchronous:
            self._saver.wait()

    def wait(self) -> None:
        """Waits until all records are written; a place that cannot take them is known then."""
        for outlet in self._open.values():
            if isinstance(outlet, Queued):
                outlet.wait()

    def check(self) -> None:
        """Raises the error of a save, or of a record, that has failed meanwhile."""
        self._saver.check()
        for outlet in self._open.values():
            if isinstance(outlet, Queued):
                outlet.check()

    def close(self) -> None:
        """Waits for what is under way and closes everything, whatever fails; the first error is raised at the end."""
        errors = []
        outlets = (outlet.close for outlet in self._open.values())
        for close in (self._saver.close, *outlets, *(lock.release for lock in self._locks.values())):
            try:
                close()
            except Exception as error:
                errors.append(error)
        self._open, self._locks = {}, {}
        if errors:
            raise errors[0]


def _is_there(directory: Path, step: int, tree: Any, record: dict[str, Any]) -> bool:
    """Whether a step is there already, whole and with the same bits, as where a run comes to it again after a kill.

    It stays then as it is: while a step is replaced, a kill would leave the directory without it until the next start.
    """
    if step not in steps_in(directory):
        return False
    with contextlib.suppress(LoadError):
        there, before = read_step(directory, step)
        old, new = ({n: v for n, v in each.items() if n not in MACHINE} for each in (before, record))
        return outline(there) == outline(tree) and json_digest(old) == json_digest(new)
    return False
