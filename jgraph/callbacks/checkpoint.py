"""Checkpoints: the run is saved every so many epochs, steps or minutes, and the best one is kept."""

import math
import os

from jgraph.callbacks.monitor import check_count, check_flag, check_log, check_monitor, check_number, improves, watched
from jgraph.errors import ArgumentError
from jgraph.storage.appended_file import check_path
from jgraph.train.actions import Save
from jgraph.train.callback import Callback, Event, Result, Setup
from jgraph.train.state import TrainState
from jgraph.typing import PyTree


class Checkpoint(Callback):
    """Saves the run in `directory`, to go on with `fit(resume=directory)`, or to look at with `jg.load(directory)`.

    `every_epochs`, `every_steps` and `every_minutes` add up; `None` switches one off. The run is saved once more when
    `fit` ends, also where it is interrupted. Saving goes on beside training, and only the newest `max_to_keep`
    checkpoints stay (`None`: all).

    With a `monitor`, the checkpoint of the best epoch is kept among them, for `jg.load(directory, step="best")`. With
    `best_only`, an epoch is only saved where it is better than all before, and the end of `fit` is not.

    What is saved every so many minutes depends on the machine; what a resumed run computes does not.

    Raises:
        ArgumentError: an argument has a value that it cannot have, or does not go with another. MonitorError, before
            training: there will be no such log, or it is not known which way it is better.

    >>> import jgraph as jg
    >>> checkpoint = jg.callbacks.Checkpoint("runs/qa", every_epochs=2)
    >>> memory, actions = checkpoint.on_epoch_end(checkpoint.init(None), jg.callbacks.Event(epoch=1, step=200))
    >>> actions
    [Save(directory='runs/qa', max_to_keep=3, ...)]
    """

    directory: str | os.PathLike[str]
    monitor: str | None = None
    mode: str = "auto"
    best_only: bool = False
    every_epochs: int | None = 1
    every_steps: int | None = None
    every_minutes: float | None = None
    max_to_keep: int | None = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        where = type(self).__name__
        check_path(f"{where}, directory", self.directory)
        check_flag(where, "best_only", self.best_only)
        for argument in ("every_epochs", "every_steps", "max_to_keep"):
            if getattr(self, argument) is not None:
                check_count(where, argument, getattr(self, argument), least=1)
        if self.every_minutes is not None:
            check_number(where, "every_minutes", self.every_minutes, " above 0", 10)
        check_monitor(where, "loss" if self.monitor is None else self.monitor, self.mode)
        self._check_together()

    def _check_together(self) -> None:
        by_clock_or_step = self.every_steps is not None or self.every_minutes is not None
        if self.every_epochs is None and not by_clock_or_step:
            cure = "Give one of every_epochs, every_steps and every_minutes."
            raise _error("every_epochs", "something to save by", "None for all of them", cure)
        if self.monitor is None and (self.best_only or self.mode != "auto"):
            got = "best_only=True alone" if self.best_only else f"mode={self.mode!r} alone"
            raise _error("monitor", "a log to judge by", got, "Write monitor='val_loss', for example.")
        if self.best_only and by_clock_or_step:
            got = "every_steps or every_minutes beside it"
            cure = "Use a second Checkpoint in another directory for those."
            raise _error("best_only", "to judge at the end of an epoch, where the logs are", got, cure)
        if self.monitor is not None and not self.best_only and self.max_to_keep == 1:
            expected = "at least 2, for the best checkpoint and the newest"
            raise _error("max_to_keep", expected, "1", "Write max_to_keep=2, or best_only=True.")

    def init(self, train_state: TrainState) -> PyTree:
        """The step that was saved last, and when; the best value, and its step."""
        del train_state
        return {"last_step": -1, "saved_at": 0.0, "best": math.nan, "best_step": -1}

    def check(self, setup: Setup) -> None:
        """Checks that there will be the log to judge by, and that it is known which way it is better.

        Raises:
            MonitorError: it is not so.
        """
        if self.monitor is not None:
            check_log(type(self).__name__, self.monitor, self.mode, setup)

    def places(self) -> tuple[str, ...]:
        """The directory."""
        return (os.fspath(self.directory),)

    def directories(self) -> tuple[str, ...]:
        """The directory."""
        return self.places()

    def glances(self) -> bool:
        """Whether a clock is to be looked at."""
        return self.every_minutes is not None

    def on_train_begin(self, memory: PyTree, event: Event) -> Result:
        """Starts the clock, which counts the seconds of this `fit`."""
        del event
        return {**memory, "saved_at": 0.0}, []

    def on_step_end(self, memory: PyTree, event: Event) -> Result:
        """Saves where a number of steps or minutes is over, but leaves the last step of an epoch to the epoch's end."""
        due = self.every_steps is not None and event.step % self.every_steps == 0
        if self.every_minutes is not None:
            due |= event.timings["seconds"] - memory["saved_at"] >= 60 * self.every_minutes
        left = event.position.step == event.steps and self._ends(event)
        if not due or left or memory["last_step"] == event.step:
            return memory, []
        return self._save(memory, event)

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Saves where a number of epochs is over; with `best_only`, where the epoch is the best one."""
        if not self._ends(event):
            return memory, []
        if self.monitor is None:
            return self._save(memory, event)
        seen = watched(type(self).__name__, self.monitor, self.mode, event)
        if seen is None:  # an epoch without validation cannot be judged
            return (memory, []) if self.best_only else self._save(memory, event)
        value, mode = seen
        if improves(value, memory["best"], mode):
            memory = {**memory, "best": value, "best_step": event.step}
        elif self.best_only:
            return memory, []
        return self._save(memory, event, None if math.isnan(value) else value, mode)

    def on_train_end(self, memory: PyTree, event: Event) -> Result:
        """Saves the end of the run, where it is not saved already."""
        if self.best_only or memory["last_step"] == event.step:
            return memory, []
        return self._save(memory, event)

    def _ends(self, event: Event) -> bool:
        return self.every_epochs is not None and (event.epoch + 1) % self.every_epochs == 0

    def _save(self, memory: PyTree, event: Event, score: float | None = None, mode: str | None = None) -> Result:
        seconds = memory["saved_at"] if self.every_minutes is None else float(event.timings["seconds"])
        protect = (memory["best_step"],) if memory["best_step"] >= 0 and not self.best_only else ()
        monitor = None if score is None else self.monitor
        save = Save(self.directory, self.max_to_keep, protect, monitor, score, mode if monitor else None)
        return {**memory, "last_step": event.step, "saved_at": seconds}, [save]


def _error(argument: str, expected: str, got: str, cure: str) -> ArgumentError:
    return ArgumentError(f"Checkpoint, {argument}", expected=expected, got=got, cure=cure)
