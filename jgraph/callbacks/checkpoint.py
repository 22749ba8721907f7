"""Checkpoints: the run is saved every so many epochs, steps or minutes, and the best one is kept."""

import dataclasses
import math
import os

import jax
import jax.numpy as jnp

from jgraph.callbacks.monitor import check_count, check_log, check_monitor, check_number, improves, watched
from jgraph.errors import ArgumentError, check_flag, check_path
from jgraph.train.actions import Save
from jgraph.train.callback import Callback, Event, Result, Setup
from jgraph.train.state import TrainState
from jgraph.typing import PyTree


class Checkpoint(Callback):
    """Saves the run in `directory`, to go on with `fit(resume=directory)`, or to look at with `jg.load(directory)`.

    `every_epochs`, `every_steps` and `every_minutes` add up; `None` switches one off. The run is saved once more when
    `fit` ends, also where it is interrupted. Saving goes on beside training, unless it is not `asynchronous`, and only
    the newest `max_to_keep` checkpoints stay (`None`: all). The directory is this run's alone while it trains.

    With a `monitor`, the checkpoint of the best epoch is kept among them, for `jg.load(directory, step="best")`, or
    those of the `top_k` best. With `best_only`, an epoch is only saved where it is among the best so far, and the end
    of `fit` is not. Of equal epochs the earlier is the better; NaN never is.

    The checkpoint of every `keep_every`-th epoch stays for ever, beside the `max_to_keep`. With `on_error`, the
    last good state is saved too when an error or a second Ctrl-C leaves `fit`, unless it has params that are not finite
    already; the error is the same, with a note where the saving failed.

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
    top_k: int = 1
    keep_every: int | None = None
    on_error: bool = False
    asynchronous: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        where = type(self).__name__
        check_path(f"{where}, directory", self.directory)
        check_flag(where, best_only=self.best_only, on_error=self.on_error, asynchronous=self.asynchronous)
        check_count(where, "top_k", self.top_k, least=1)
        for argument in ("every_epochs", "every_steps", "max_to_keep", "keep_every"):
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
        if self.monitor is None and self.top_k > 1:
            raise _error("top_k", "a log to judge by", f"{self.top_k} alone", "Write monitor='val_loss', for example.")
        least = self.top_k + (not self.best_only)
        if self.monitor is not None and self.max_to_keep is not None and self.max_to_keep < least:
            best = "the best checkpoint" if self.top_k == 1 else f"the {self.top_k} best checkpoints"
            expected = f"at least {least}, for {best}{' and the newest' * (not self.best_only)}"
            cure = f"Write max_to_keep={least}" + (", or best_only=True." if self.top_k == 1 else ".")
            raise _error("max_to_keep", expected, str(self.max_to_keep), cure)
        rarely = self.every_epochs is None or (self.keep_every or 0) % self.every_epochs
        if self.keep_every is not None and rarely:
            expected = "a multiple of every_epochs, as only what is saved can be kept"
            cure = "Write every_epochs=1, keep_every=10, for example."
            raise _error("keep_every", expected, f"{self.keep_every} beside every_epochs={self.every_epochs}", cure)

    def init(self, train_state: TrainState) -> PyTree:
        """The step that was saved last, and when; the best value, and its step; with `top_k`, the next best too."""
        del train_state
        more = {"next": [[math.nan, -1] for _ in range(self.top_k - 1)]} if self.top_k > 1 else {}
        return {"last_step": -1, "saved_at": 0.0, "best": math.nan, "best_step": -1, **more}

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
        """Starts the clock, which counts the seconds of this `fit`; saves again what a kill has kept from the disk.

        A run that goes on from one directory remembers what it saved in another one at the same step.
        """
        memory = {**memory, "saved_at": 0.0}
        if memory["last_step"] != event.step:
            return memory, []
        if event.position.step or self.monitor not in event.history:
            return self._save(memory, event, replace=False)
        logs = {name: values[-1] for name, values in event.history.items()}
        ended = dataclasses.replace(event, epoch=event.position.epoch - 1, logs=logs)
        return self._save(memory, ended, *self._judged(ended), replace=False)

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
        value, mode = self._judged(event)
        if value is not None and mode is not None:
            memory = _ranked(memory, value, event.step, mode)
        if self.best_only and (value is None or event.step not in _best(memory)):
            return memory, []
        return self._save(memory, event, value, mode)

    def on_train_end(self, memory: PyTree, event: Event) -> Result:
        """Saves the end of the run, where it is not saved already."""
        if self.best_only or memory["last_step"] == event.step:
            return memory, []
        return self._save(memory, event)

    def on_exception(self, memory: PyTree, event: Event) -> Result:
        """Saves the last good state, where that was asked for and it is not saved already."""
        if not self.on_error or memory["last_step"] == event.step or not _finite(event.train_state):
            return memory, []
        return self._save(memory, event)

    def _ends(self, event: Event) -> bool:
        return self.every_epochs is not None and (event.epoch + 1) % self.every_epochs == 0

    def _judged(self, event: Event) -> tuple[float | None, str | None]:
        """The value of an epoch and the way it is judged; none where there is no monitor or the epoch lacks it."""
        seen = None if self.monitor is None else watched(type(self).__name__, self.monitor, self.mode, event)
        return (None, None) if seen is None else seen

    def _save(
        self,
        memory: PyTree,
        event: Event,
        value: float | None = None,
        mode: str | None = None,
        replace: bool = True,
    ) -> Result:
        seconds = memory["saved_at"] if self.every_minutes is None else float(event.timings["seconds"])
        judged = (None, None, None) if value is None or math.isnan(value) else (self.monitor, value, mode)
        protect = () if self.best_only and self.top_k == 1 else _best(memory)
        ended = not event.position.step and self._ends(event)
        keep = ended and self.keep_every is not None and (event.epoch + 1) % self.keep_every == 0
        save = Save(self.directory, self.max_to_keep, protect, *judged, keep, self.asynchronous, replace)
        return {**memory, "last_step": event.step, "saved_at": seconds}, [save]


def _ranked(memory: PyTree, value: float, step: int, mode: str) -> PyTree:
    """The memory with a value among the best ones, if it is; of equal values the earlier is the better."""
    ranks = [[memory["best"], memory["best_step"]], *memory.get("next", [])]
    place = next((n for n, (other, _) in enumerate(ranks) if improves(value, other, mode)), None)
    if place is None:
        return memory
    (best, best_step), *others = [*ranks[:place], [value, step], *ranks[place:-1]]
    return {**memory, "best": best, "best_step": best_step, **({"next": others} if "next" in memory else {})}


def _best(memory: PyTree) -> tuple[int, ...]:
    """The steps of the best values, the best first."""
    steps = (memory["best_step"], *(step for _, step in memory.get("next", [])))
    return tuple(step for step in steps if step >= 0)


def _finite(train_state: TrainState) -> bool:
    """Whether all params and all of the model's state are finite."""
    leaves = jax.tree.leaves((train_state.params, train_state.model_state))
    return all(bool(jnp.isfinite(leaf).all()) for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.inexact))


def _error(argument: str, expected: str, got: str, cure: str) -> ArgumentError:
    return ArgumentError(f"Checkpoint, {argument}", expected=expected, got=got, cure=cure)
