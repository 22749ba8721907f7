"""The learning rate, changed when a log has stopped improving: lowered, or raised."""

import math

from jgraph.callbacks.monitor import check_count, check_log, check_monitor, check_number, epochs, improves, watched
from jgraph.errors import ArgumentError
from jgraph.train.actions import ScaleLearningRate
from jgraph.train.callback import Callback, Event, Result, Setup
from jgraph.train.learning_rate import KNOW_THE_RATE
from jgraph.train.state import TrainState
from jgraph.typing import PyTree


class Plateau(Callback):
    """The base of both: counts the epochs without an improvement, and after a change first waits for `cooldown`.

    The machine is Keras': a value improves where it is better by more than `min_delta`, epochs are not counted while it
    cools down, and where the rate is at its bound the count goes on.
    """

    monitor: str = "val_loss"
    factor: float = 0.1
    patience: int = 10
    min_delta: float = 1e-4
    cooldown: int = 0

    def init(self, train_state: TrainState) -> PyTree:
        """The best value so far, the epochs since then, and those left to cool down."""
        del train_state
        return {"best": math.nan, "wait": 0, "cooldown": 0}

    def check_arguments(self, mode: str, factor: str, example: float) -> None:
        """Checks what both have in common; `factor` says which ones are allowed."""
        where = type(self).__name__
        check_monitor(where, self.monitor, mode)
        check_number(where, "factor", self.factor, factor, example)
        check_count(where, "patience", self.patience)
        check_number(where, "min_delta", self.min_delta, " of at least 0", 1e-4)
        check_count(where, "cooldown", self.cooldown)

    def check_run(self, setup: Setup, mode: str, bound: str | None) -> None:
        """Checks that the log can be watched and the learning rate changed; `bound` is the argument that needs it.

        Raises:
            MonitorError, ArgumentError: it is not so.
        """
        where = type(self).__name__
        check_log(where, self.monitor, mode, setup)
        if setup.rate_known or not (bound or setup.inexact):
            return
        if setup.inexact:
            expected, got = "an optimizer whose updates grow with its learning rate alone", setup.inexact
        else:
            where, expected = f"{where}, {bound}", "a trainer that knows its learning rate"
            got = "an optimizer that was made with its rate inside"
        cure = KNOW_THE_RATE
        raise ArgumentError(where, expected=expected, got=got, cure=cure)

    def watch(
        self, memory: PyTree, event: Event, mode: str, least: float | None = None, most: float | None = None
    ) -> Result:
        """The machine; the learning rate is kept from `least` to `most`."""
        seen = watched(type(self).__name__, self.monitor, mode, event)
        if seen is None:
            return memory, []
        value, mode = seen
        cooldown = max(memory["cooldown"] - 1, 0)
        wait = 0 if memory["cooldown"] else memory["wait"]
        if improves(value, memory["best"], mode, self.min_delta):
            return {"best": value, "wait": 0, "cooldown": cooldown}, []
        if cooldown:
            return {**memory, "wait": wait, "cooldown": cooldown}, []
        wait += 1
        reason = f"{self.monitor} flat for {epochs(wait)}"
        action = ScaleLearningRate(self.factor, reason, least=least, most=most)
        if wait < self.patience or _reached(event.learning_rate, action):
            return {**memory, "wait": wait, "cooldown": 0}, []
        return {**memory, "wait": 0, "cooldown": self.cooldown}, [action]


class ReduceLROnPlateau(Plateau):
    """Multiplies the learning rate by `factor` when `monitor` has not improved for `patience` epochs, as in Keras.

    It never takes the rate below `min_lr`, whatever other callbacks do to it at the same event; for this the trainer
    has to know the rate. After a change, `cooldown` epochs are not counted; those without validation never are. An
    improvement is a value that is better than the best one by more than `min_delta`; NaN is none.

    Raises:
        ArgumentError: an argument has a value that it cannot have; before training: the rate is not known, or scaling
            the updates of the optimizer would not be the same as another rate. MonitorError, before training: there
            will be no such log, or it is not known which way it is better.

    >>> import jgraph as jg
    >>> plateau = jg.callbacks.ReduceLROnPlateau(factor=0.5, patience=1)
    >>> memory = plateau.init(None)
    >>> for epoch, loss in enumerate([0.5, 0.6]):
    ...     event = jg.callbacks.Event(epoch=epoch, logs={"val_loss": loss}, directions={"val_loss": "min"})
    ...     memory, actions = plateau.on_epoch_end(memory, event)
    >>> actions
    [ScaleLearningRate(factor=0.5, reason='val_loss flat for 1 epoch', least=None, most=None)]
    """

    factor: float = 0.1
    min_lr: float = 0.0
    mode: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_arguments(self.mode, " between 0 and 1, both excluded", 0.5)
        check_number(type(self).__name__, "min_lr", self.min_lr, " of at least 0", 1e-6)

    def check(self, setup: Setup) -> None:
        """Checks that the log can be watched and the learning rate changed.

        Raises:
            MonitorError, ArgumentError: it is not so.
        """
        self.check_run(setup, self.mode, "min_lr" if self.min_lr > 0 else None)

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Looks at the log; lowers the learning rate where it is flat."""
        return self.watch(memory, event, self.mode, least=self.min_lr if self.min_lr > 0 else None)


class RaiseLROnPlateau(Plateau):
    """Multiplies the learning rate by `factor` when `monitor` has not improved: the mirror of `ReduceLROnPlateau`.

    It never takes the rate above `max_lr`, for which the trainer has to know it. A rate that a schedule holds at 0
    stays.

    Raises:
        ArgumentError, MonitorError: as `ReduceLROnPlateau` does.

    >>> import jgraph as jg
    >>> jg.callbacks.RaiseLROnPlateau(factor=3.0, patience=2, max_lr=0.1)
    RaiseLROnPlateau(name=None, monitor='val_loss', factor=3.0, patience=2, ..., max_lr=0.1, mode='auto')
    """

    factor: float = 2.0
    max_lr: float = math.inf
    mode: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_arguments(self.mode, " above 1", 2.0)
        check_number(type(self).__name__, "max_lr", self.max_lr, " above 0, or inf", 0.1)

    def check(self, setup: Setup) -> None:
        """Checks that the log can be watched and the learning rate changed.

        Raises:
            MonitorError, ArgumentError: it is not so.
        """
        self.check_run(setup, self.mode, "max_lr" if self.max_lr < math.inf else None)

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Looks at the log; raises the learning rate where it is flat."""
        return self.watch(memory, event, self.mode, most=self.max_lr if self.max_lr < math.inf else None)


def _reached(rate: float | None, action: ScaleLearningRate) -> bool:
    """Whether an action would not move the learning rate: it is at its bound or beyond, or a schedule holds it at 0."""
    return rate is not None and (rate == 0 or action.factor_at(rate) == 1)
