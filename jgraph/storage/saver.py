"""Saves that go on beside the loop and never hold it up, unless memory would run full of them."""

import os
import threading
from collections.abc import Callable, Collection
from typing import NamedTuple

from jgraph.storage.places import make_ready
from jgraph.storage.steps import kept_in, steps_in, trim
from jgraph.storage.writer import Writer

MOST_BYTES = 2**28
"""Saves that wait may hold so many bytes together; beyond that the loop waits for the one under way."""


class Waiting(NamedTuple):
    """A step that waits to be saved."""

    save: Callable[[], object]
    size: int


class Saver:
    """Saves steps in a thread, as if each were saved at once and the directory trimmed after it.

    Where saves come faster than the disk takes them, they wait: the newest is saved first, and one that would by now
    be deleted again is never written. So a crash costs what was done since the save under way began, and at the end
    the same steps are there as if every save had been waited for.
    """

    def __init__(self) -> None:
        self._writer, self._lock = Writer(), threading.Condition()
        self._waiting: dict[str, dict[int, Waiting]] = {}
        self._kept: dict[str, tuple[int | None, Collection[int]]] = {}
        self._for_ever: dict[str, set[int]] = {}
        self._working = False

    def save(
        self,
        directory: str | os.PathLike[str],
        step: int,
        save: Callable[[], object],
        size: int,
        max_to_keep: int | None,
        protect: Collection[int],
        keep: bool = False,
    ) -> None:
        """Saves a step with the function `save`, soon; `size` is the bytes that it holds until then.

        With `keep` it stays for ever, and does not count.

        Raises:
            WriteError: a save before this one has failed, or the directory cannot be written.
        """
        self.check()
        place = os.path.realpath(directory)
        if place not in self._kept:
            make_ready(place)
            self._for_ever[place] = kept_in(place)
        with self._lock:
            self._kept[place] = max_to_keep, {*protect}
            self._waiting.setdefault(place, {})[step] = Waiting(save, size)
            self._for_ever[place] = self._for_ever[place] - {step} | ({step} if keep else set())
            self._drop(place)
            while self._working and not self._room():
                self._lock.wait(0.1)
            idle, self._working = not self._working, True
        if idle:
            try:
                self._writer.submit(self._work)
            except BaseException:
                self._working = self._writer.busy()
                raise

    def check(self) -> None:
        """Raises the error of a save that has failed, once."""
        self._writer.check()

    def wait(self) -> None:
        """Waits until all is saved, and raises the error of a save that has failed."""
        self._writer.wait()

    def close(self) -> None:
        """Waits until all is saved, takes no more, and raises the error of a save that has failed."""
        self._writer.close()

    def _room(self) -> bool:
        """Whether more may wait: what can never be dropped, as all is kept, waits one at a time."""
        waiting = [w for steps in self._waiting.values() for w in steps.values()]
        all_kept = any(self._kept[place][0] is None and len(steps) > 1 for place, steps in self._waiting.items())
        return len(waiting) <= 1 or (not all_kept and sum(w.size for w in waiting) <= MOST_BYTES)

    def _drop(self, place: str) -> None:
        """Drops what would be deleted again: all but the protected steps and, with them, the newest `max_to_keep`.

        Those that stay for ever do not count.
        """
        (most, protect), waiting = self._kept[place], self._waiting[place]
        if most is None:
            return
        steps = sorted({*waiting, *steps_in(place)} - self._for_ever[place])
        held = [step for step in steps if step in protect]
        others = [step for step in steps if step not in protect]
        stay = {*self._for_ever[place], *held, *others[max(0, len(others) - max(most - len(held), 1)) :]}
        for step in [step for step in waiting if step not in stay]:
            del waiting[step]

    def _work(self) -> None:
        """Saves what waits until nothing does; what fails ends it, and what still waits then is lost with the disk."""
        try:
            while (chosen := self._next()) is not None:
                place, step, waiting = chosen
                waiting.save()
                most, protect = self._kept[place]
                trim(place, most, {*protect, max(steps_in(place), default=step)}, self._for_ever[place])
                with self._lock:
                    self._lock.notify_all()
        except BaseException:
            with self._lock:
                self._waiting, self._working = {}, False
            raise

    def _next(self) -> tuple[str, int, Waiting] | None:
        """The next step to save: of the directory where most wait, the newest, but first what that one builds on.

        Its record says which steps are the best ones, in all directories: those before it are written before it, or a
        run that goes on from it would miss them.
        """
        with self._lock:
            place = max(self._waiting, key=lambda place: len(self._waiting[place]), default=None)
            if place is None or not self._waiting[place]:
                self._working = False
                return None
            newest = max(self._waiting[place])
            held = {*self._kept[place][1], *self._for_ever[place]}
            before = [
                (step, other)
                for other, waiting in self._waiting.items()
                for step in waiting
                if step < newest and (other != place or step in held)
            ]
            step, place = min(before, default=(newest, place))
            return place, step, self._waiting[place].pop(step)
