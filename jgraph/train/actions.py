"""What a callback may ask of the loop: plain values, which the loop applies when all hooks of an event have run."""

import dataclasses
import math
import os
from typing import Any, Protocol

from jgraph.errors import ArgumentError
from jgraph.train.state import TrainState


class Outlet(Protocol):
    """A sink that is open."""

    def write(self, record: Any) -> None:
        """Writes a record; OSError where it cannot."""

    def flush(self) -> None:
        """Makes sure that what was written outlives this process."""

    def close(self) -> None:
        """Ends the writing."""


class Sink(Protocol):
    """A place outside of the program that records go to: a frozen, hashable configuration."""

    def open(self, keep: int | None) -> Outlet:
        """Opens it: anew where `keep` is `None`, else to go on after the first `keep` records, dropping all later ones.

        Raises:
            OSError: the place cannot be written.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Stop:
    """Ends training after this event; `run.stopped` is the reason.

    >>> import jgraph as jg
    >>> jg.callbacks.Stop("val_loss fell below 0.1")
    Stop(reason='val_loss fell below 0.1')
    """

    reason: str

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str) or not self.reason:
            raise ArgumentError("Stop, reason", expected="a text", got=repr(self.reason), cure="Say why.")


@dataclasses.dataclass(frozen=True)
class ScaleLearningRate:
    """Multiplies the learning rate of all later steps by a factor.

    Raises:
        ArgumentError: the factor is not a finite number above 0.

    >>> import jgraph as jg
    >>> jg.callbacks.ScaleLearningRate(0.5).factor
    0.5
    """

    factor: float
    reason: str = ""

    def __post_init__(self) -> None:
        if not _number(self.factor) or self.factor <= 0:
            raise ArgumentError(
                "ScaleLearningRate, factor",
                expected="a finite number above 0",
                got=repr(self.factor),
                cure="Write ScaleLearningRate(0.5) to halve it.",
            )


@dataclasses.dataclass(frozen=True)
class SetLearningRate:
    """Sets the learning rate; a schedule goes on from there, scaled.

    It needs a trainer that knows the rate, `jg.Trainer(model, optax.adam, learning_rate=1e-3, ...)`.

    Raises:
        ArgumentError: the rate is not a finite number of at least 0.

    >>> import jgraph as jg
    >>> jg.callbacks.SetLearningRate(1e-3).rate
    0.001
    """

    rate: float
    reason: str = ""

    def __post_init__(self) -> None:
        if not _number(self.rate) or self.rate < 0:
            raise ArgumentError(
                "SetLearningRate, rate",
                expected="a finite number of at least 0",
                got=repr(self.rate),
                cure="Write SetLearningRate(1e-3), for example.",
            )


@dataclasses.dataclass(frozen=True, eq=False)
class Restore:
    """Puts a train state in place of the present one: params, model state, optimizer and scale of the learning rate.

    The step goes on, as do the position in the data and, with the step, the randomness. The state is copied.

    Raises:
        ArgumentError: it is not a train state.

    >>> import jgraph as jg
    >>> class BackToStart(jg.callbacks.Callback):
    ...     def init(self, train_state):
    ...         return train_state  # the loop hands over a copy
    ...     def on_train_end(self, memory, event):
    ...         return memory, [jg.callbacks.Restore(memory)]
    """

    train_state: TrainState
    reason: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.train_state, TrainState):
            raise ArgumentError(
                "Restore, train_state",
                expected="a TrainState",
                got=type(self.train_state).__name__,
                cure="Keep a copy of event.train_state, and give it back.",
            )


@dataclasses.dataclass(frozen=True)
class Save:
    """Saves the run as it is after this event in a directory of steps, while training goes on.

    Only the newest `max_to_keep` steps are kept (`None`: all), the steps in `protect` among or beside them. `score`
    and `mode` tell `jg.load(directory, step="best")` which is the best one.

    Raises:
        ArgumentError: the directory is no path, or `max_to_keep` no number of steps.

    >>> import jgraph as jg
    >>> jg.callbacks.Save("runs/qa").max_to_keep
    3
    """

    directory: str | os.PathLike[str]
    max_to_keep: int | None = 3
    protect: tuple[int, ...] = ()
    monitor: str | None = None
    score: float | None = None
    mode: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.directory, str | os.PathLike):
            got, cure = repr(self.directory), "Write Save('runs/first'), for example."
            raise ArgumentError("Save, directory", expected="a path", got=got, cure=cure)
        most = self.max_to_keep
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
            got, cure = repr(most), "Write max_to_keep=None to keep all."
            raise ArgumentError("Save, max_to_keep", expected="an integer of at least 1, or None", got=got, cure=cure)


@dataclasses.dataclass(frozen=True)
class Write:
    """Hands a record to a sink, such as a file, which is open as long as `fit` runs.

    A callback names its sinks, with the number of records that it has written, in `sinks`.

    >>> import jgraph as jg
    >>> jg.callbacks.Write("a sink", {"loss": 0.5}).record
    {'loss': 0.5}
    """

    sink: Any
    record: Any


Action = Stop | ScaleLearningRate | SetLearningRate | Restore | Save | Write


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
