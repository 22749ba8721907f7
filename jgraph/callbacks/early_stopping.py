"""Early stopping: training ends when a log has stopped improving."""

import math

from jgraph.callbacks.monitor import (
    check_count,
    check_log,
    check_monitor,
    check_number,
    direction,
    epochs,
    improves,
    watched,
)
from jgraph.errors import ArgumentError, check_flag
from jgraph.train.actions import INTERRUPTED, Restore, Stop
from jgraph.train.callback import Callback, Event, Result, Setup
from jgraph.train.state import TrainState, fresh_copy
from jgraph.typing import PyTree


class EarlyStopping(Callback):
    """Stops training when `monitor` has not improved for `patience` epochs, as in Keras.

    An improvement is a value that is better than the best one by more than `min_delta`; NaN is none. Epochs before
    `start_from_epoch` (counted from 0), and those without validation (`validation_every`), are not looked at. With a
    `baseline`, only improvements that beat it too are waited on. Training never stops after its first epoch, so a
    patience of 0 is one of 1.

    Without any patience it stops where the log is at `stopping_threshold` or better, as there is nothing more to gain,
    and where it is worse than `divergence_threshold`: the two thresholds of Lightning's `EarlyStopping`. NaN is
    neither: `TerminateOnNaN` sees to it.

    With `restore_best`, the train state of the best epoch is put back when `fit` ends, whoever stopped it: params,
    model state, optimizer and the scale of the learning rate. The state is kept in the memory: it takes as much room
    as the train state once more, on the device and in every checkpoint. A run that was interrupted is left as it is,
    to go on later.

    Raises:
        ArgumentError: an argument has a value that it cannot have. MonitorError, before training: there will be no
            such log, or it is not known which way it is better.

    >>> import jgraph as jg
    >>> stopping = jg.callbacks.EarlyStopping(patience=1)
    >>> memory = stopping.init(None)
    >>> for epoch, loss in enumerate([0.5, 0.6]):
    ...     event = jg.callbacks.Event(epoch=epoch, logs={"val_loss": loss}, directions={"val_loss": "min"})
    ...     memory, actions = stopping.on_epoch_end(memory, event)
    >>> actions
    [Stop(reason='val_loss has not improved for 1 epoch (best 0.5 in epoch 1)')]
    """

    monitor: str = "val_loss"
    min_delta: float = 0.0
    patience: int = 0
    mode: str = "auto"
    baseline: float | None = None
    start_from_epoch: int = 0
    restore_best: bool = False
    stopping_threshold: float | None = None
    divergence_threshold: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        where = type(self).__name__
        check_monitor(where, self.monitor, self.mode)
        check_number(where, "min_delta", self.min_delta, " of at least 0", 0.001)
        check_count(where, "patience", self.patience)
        check_count(where, "start_from_epoch", self.start_from_epoch)
        check_flag(where, restore_best=self.restore_best)
        for argument in ("baseline", "stopping_threshold", "divergence_threshold"):
            if getattr(self, argument) is not None:
                check_number(where, argument, getattr(self, argument), "", 0.5)

    def check(self, setup: Setup) -> None:
        """Checks that there will be the log, that it is known which way it is better, and that thresholds go together.

        Raises:
            MonitorError: it is not so. ArgumentError: what is good enough is no better than what has diverged.
        """
        check_log(type(self).__name__, self.monitor, self.mode, setup)
        good, bad = self.stopping_threshold, self.divergence_threshold
        mode = direction(type(self).__name__, self.monitor, self.mode, setup.directions)
        if good is not None and bad is not None and not improves(good, bad, mode):
            raise ArgumentError(
                "EarlyStopping, stopping_threshold",
                expected=f"a value better than divergence_threshold={bad:g}, which for {self.monitor!r} is "
                + ("below" if mode == "min" else "above"),
                got=f"{good:g}",
                cure="Exchange the two, or give the other mode.",
            )

    def init(self, train_state: TrainState) -> PyTree:
        """The best value, and its epoch, so far; the epochs since then; and where it is to be restored, its state."""
        kept = {"train_state": train_state} if self.restore_best else {}  # the loop copies what `init` gives
        return {"best": math.nan, "best_epoch": -1, "wait": 0, **kept}

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Looks at the log; stops where it has not improved for too long."""
        seen = watched(type(self).__name__, self.monitor, self.mode, event)
        if seen is None or event.epoch < self.start_from_epoch:
            return memory, []
        value, mode = seen
        better, wait = improves(value, memory["best"], mode, self.min_delta), memory["wait"] + 1
        if better or memory["best_epoch"] < 0:  # the first epoch is kept, whatever it is
            kept = {"train_state": fresh_copy(event.train_state)} if self.restore_best else {}
            memory = {**memory, "best": value if better else memory["best"], "best_epoch": event.epoch, **kept}
        if better and (self.baseline is None or improves(value, self.baseline, mode, self.min_delta)):
            wait = 0
        memory, reason = {**memory, "wait": wait}, self._passed(value, mode)
        if reason is None and not better and wait >= self.patience and event.epoch > 0:
            reason = self._reason(memory, wait, mode)
        return memory, [] if reason is None else [Stop(reason)]

    def on_train_end(self, memory: PyTree, event: Event) -> Result:
        """Puts the best train state back, where that was asked for."""
        if not self.restore_best or memory["best_epoch"] < 0 or event.stopped == INTERRUPTED:
            return memory, []
        return memory, [Restore(memory["train_state"], reason=f"{self.monitor}: {self._best(memory)}")]

    def _passed(self, value: float, mode: str) -> str | None:
        """Why a value is reason enough to stop by itself, if it is."""
        good, bad = self.stopping_threshold, self.divergence_threshold
        if good is not None and not math.isnan(value) and not improves(good, value, mode):
            return f"{self.monitor} has reached {value:.4g}, and stopping_threshold is {good:.4g}"
        if bad is not None and not math.isnan(value) and improves(bad, value, mode):
            return f"{self.monitor} has diverged to {value:.4g}, beyond divergence_threshold {bad:.4g}"
        return None

    def _reason(self, memory: PyTree, wait: int, mode: str) -> str:
        if math.isnan(memory["best"]):
            return f"{self.monitor} has been NaN for {epochs(wait)}"
        low = self.baseline is not None and not improves(memory["best"], self.baseline, mode, self.min_delta)
        missed = f"beaten the baseline {self.baseline:.4g}" if low else "improved"
        return f"{self.monitor} has not {missed} for {epochs(wait)} ({self._best(memory)})"

    def _best(self, memory: PyTree) -> str:
        return f"best {memory['best']:.4g} in epoch {memory['best_epoch'] + 1}"
