"""What a callback may ask of the loop: plain values, which the loop applies when all hooks of an event have run."""

import dataclasses
import math
import numbers
import os
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.errors import ArgumentError, check_flag, check_one_of, check_path
from jgraph.train.state import TrainState

REACHED = 1e-6
"""The relative distance at which a learning rate, which the device keeps in float32, is at its bound."""

INTERRUPTED = "interrupted"
"""`run.stopped` after Ctrl-C or SIGTERM: the loop's own word, by which a run that is resumed knows to go on."""


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

    Raises:
        ArgumentError: the reason is no text, or the word that the loop has for Ctrl-C and SIGTERM.

    >>> import jgraph as jg
    >>> jg.callbacks.Stop("val_loss fell below 0.1")
    Stop(reason='val_loss fell below 0.1')
    """

    reason: str

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str) or not self.reason:
            raise ArgumentError("Stop, reason", expected="a text", got=repr(self.reason), cure="Say why.")
        if self.reason == INTERRUPTED:
            raise ArgumentError(
                "Stop, reason",
                expected="a reason of your own",
                got=f"{INTERRUPTED!r}, the loop's word for Ctrl-C and SIGTERM, after which a resumed run goes on",
                cure="Say it in other words: Stop('the time is up').",
            )


@dataclasses.dataclass(frozen=True)
class ScaleLearningRate:
    """Multiplies the learning rate of all later steps by a factor, and keeps it from `least` to `most`.

    The bounds hold for the rate when the action acts, after all actions before it; `None` is no bound. They need a
    trainer that knows the rate, `jg.Trainer(model, optax.adam, learning_rate=1e-3, ...)`. A rate that is beyond a bound
    already stays as it is rather than move against the factor, and so does a rate of 0.

    Raises:
        ArgumentError: the factor or `most` is not a finite number above 0, or `least` not one from 0 to `most`.

    >>> import jgraph as jg
    >>> jg.callbacks.ScaleLearningRate(0.5, least=1e-4).factor
    0.5
    """

    factor: float
    reason: str = ""
    least: float | None = dataclasses.field(default=None, kw_only=True)
    most: float | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _set_number(self, "factor", "above 0", "Write ScaleLearningRate(0.5) to halve it.")
        _check_reason(self)
        if self.least is not None:
            _set_number(self, "least", "of at least 0", "Leave it out for no bound.")
        if self.most is not None:
            _set_number(self, "most", "above 0", "Leave it out for no bound.")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ArgumentError(
                "ScaleLearningRate, least",
                expected=f"at most `most`, which is {self.most:g}",
                got=f"{self.least:g}",
                cure="Exchange the two.",
            )

    def factor_at(self, rate: float) -> float:
        """What a learning rate is multiplied by: the factor, or less of it where a bound is in its way.

        >>> import jgraph as jg
        >>> halve = jg.callbacks.ScaleLearningRate(0.5, least=0.75)
        >>> halve.factor_at(2.0), halve.factor_at(1.0), halve.factor_at(0.7)
        (0.5, 0.75, 1.0)
        """
        if self.least is None and self.most is None:
            return self.factor
        wanted = rate * self.factor
        bounded = min(max(wanted, self.least or 0.0), math.inf if self.most is None else self.most)
        if bounded == wanted:
            return self.factor
        change = bounded - rate
        moves = rate > 0 and change * (self.factor - 1) > 0 and abs(change) > REACHED * rate
        return bounded / rate if moves else 1.0


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
        _set_number(self, "rate", "of at least 0", "Write SetLearningRate(1e-3), for example.")
        _check_reason(self)


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
        _check_reason(self)


@dataclasses.dataclass(frozen=True)
class Freeze:
    """Trains what a pattern of paths matches no more, from the next step on: its params and state stay as they are.

    Patterns are those of `jg.Policy` and `model.freeze`. The train state keeps its form, and the optimizer its memory
    of these params, so that all that was saved of it, or kept by other callbacks, still fits; they get no gradients,
    and no update of any kind moves them. `run.frozen` has the patterns, with which a run goes on.

    Raises:
        ArgumentError: the pattern is no text.

    >>> import jgraph as jg
    >>> jg.callbacks.on_epoch_end(lambda event: jg.callbacks.Freeze("encoder/*") if event.epoch == 4 else None)
    on_epoch_end(<lambda>)
    """

    pattern: str
    reason: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.pattern, str) or not self.pattern:
            got, cure = repr(self.pattern), "Write Freeze('encoder/*')."
            raise ArgumentError("Freeze, pattern", expected="a pattern of paths", got=got, cure=cure)
        _check_reason(self)


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measures the validation data now, after all that was asked for at this event.

    The logs, with `val_` in front, stand in `run.events`, and `on_evaluate_end` of all callbacks is called with them.
    They are not part of the history, which has one number an epoch.

    >>> import jgraph as jg
    >>> jg.callbacks.on_step_end(lambda event: jg.callbacks.Evaluate(), every_steps=100)
    on_step_end(<lambda>, every_steps=100)
    """


@dataclasses.dataclass(frozen=True)
class FindLearningRate:
    """Makes a range test on a copy of the train state, as training begins, and sets the rate that it suggests.

    It is `jg.find_learning_rate`, on the data of `fit`; `plot` is where its picture goes. Where it suggests nothing,
    the rate stays.

    Raises:
        ArgumentError: a field has a value that it cannot have.

    >>> import jgraph as jg
    >>> jg.callbacks.on_train_begin(lambda event: None if event.history else jg.callbacks.FindLearningRate(most=0.1))
    on_train_begin(<lambda>)
    """

    least: float = 1e-7
    most: float = 1.0
    steps: int = 100
    plot: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        _set_number(self, "least", "above 0", "Write least=1e-7, for example.")
        _set_number(self, "most", "above 0", "Write most=1.0, for example.")
        if self.least >= self.most:
            got, cure = f"{self.least:g}", "Exchange the two."
            expected = f"less than `most`, which is {self.most:g}"
            raise ArgumentError("FindLearningRate, least", expected=expected, got=got, cure=cure)
        if not _count(self.steps, 10):
            cure = "Write steps=100."
            expected = "an integer of at least 10"
            raise ArgumentError("FindLearningRate, steps", expected=expected, got=repr(self.steps), cure=cure)
        if self.plot is not None:
            check_path("FindLearningRate, plot", self.plot)


@dataclasses.dataclass(frozen=True)
class Save:
    """Saves the run as it is after this event in a directory of steps, while training goes on.

    Where it is not `asynchronous`, training waits for the save, and an error comes at once rather than a little later.
    Without `replace`, a step that is there already stays as it is.
    Only the newest `max_to_keep` steps are kept (`None`: all), the steps in `protect` among or beside them; one that
    was saved with `keep` stays for ever, and does not count. `score`, the value of the log `monitor`, and `mode`, `min`
    or `max`, tell `jg.load(directory, step="best")` which is the best one; they are given together or not at all. A
    score may be infinite, as a loss may, but not NaN.

    Raises:
        ArgumentError: an argument has a value that it cannot have, or does not go with another.

    >>> import jgraph as jg
    >>> jg.callbacks.Save("runs/qa", monitor="val_loss", score=0.5, mode="min").max_to_keep
    3
    """

    directory: str | os.PathLike[str]
    max_to_keep: int | None = 3
    protect: tuple[int, ...] = ()
    monitor: str | None = None
    score: float | None = None
    mode: str | None = None
    keep: bool = False
    asynchronous: bool = True
    replace: bool = True

    def __post_init__(self) -> None:
        check_path("Save, directory", self.directory)
        check_flag("Save", keep=self.keep, asynchronous=self.asynchronous, replace=self.replace)
        if self.max_to_keep is not None and not _count(self.max_to_keep, 1):
            got, cure = repr(self.max_to_keep), "Write max_to_keep=None to keep all."
            raise ArgumentError("Save, max_to_keep", expected="an integer of at least 1, or None", got=got, cure=cure)
        if not isinstance(self.protect, tuple) or not all(_count(step, 0) for step in self.protect):
            got, cure = repr(self.protect), "Write protect=(100,) for step 100."
            raise ArgumentError("Save, protect", expected="a tuple of steps", got=got, cure=cure)
        self._check_score()

    def _check_score(self) -> None:
        cure = "Write monitor='val_loss', score=0.5, mode='min'."
        if self.score is not None:
            score = number_of(self.score)
            if math.isnan(score):
                raise ArgumentError("Save, score", expected="a number", got=repr(self.score), cure=cure)
            object.__setattr__(self, "score", score)
        check_one_of("Save", "mode", self.mode, (None, "min", "max"), cure)
        if self.monitor is not None and (not isinstance(self.monitor, str) or not self.monitor):
            raise ArgumentError("Save, monitor", expected="the name of a log", got=repr(self.monitor), cure=cure)
        missing = [name for name in ("monitor", "score", "mode") if getattr(self, name) is None]
        if len(missing) in (1, 2):
            expected, got = "monitor, score and mode together", f"no {' and no '.join(missing)}"
            raise ArgumentError("Save, score", expected=expected, got=got, cure=cure)


@dataclasses.dataclass(frozen=True)
class Write:
    """Hands a record to a sink, such as a file, which is open as long as `fit` runs.

    A callback names its sinks, with the number of records that it has written, in `sinks`.

    Raises:
        ArgumentError: the sink is not hashable.

    >>> import jgraph as jg
    >>> jg.callbacks.Write("a sink", {"loss": 0.5}).record
    {'loss': 0.5}
    """

    sink: Any
    record: Any

    def __post_init__(self) -> None:
        try:
            hash(self.sink)
        except TypeError as error:
            raise ArgumentError(
                "Write, sink",
                expected="a sink that is hashable, as a frozen dataclass of plain fields is",
                got=type(self.sink).__name__,
                cure="Name it in the callback's `sinks(memory)`, and give the same one here.",
            ) from error


Action = Stop | ScaleLearningRate | SetLearningRate | Restore | Freeze | Evaluate | FindLearningRate | Save | Write


def number_of(value: Any) -> float:
    """A real number of Python, NumPy or JAX as a float; NaN for all that is none, as a bool or an array with axes.

    >>> import numpy as np
    >>> number_of(np.float32(0.5)), number_of(3), number_of(True), number_of("3"), number_of(np.ones(1))
    (0.5, 3.0, nan, nan, nan)
    """
    if isinstance(value, np.generic | np.ndarray | jax.Array):
        real = jnp.issubdtype(value.dtype, jnp.integer) or jnp.issubdtype(value.dtype, jnp.floating)
        return float(value) if real and value.shape == () else math.nan
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # an integer beyond the floats
        return -math.inf if value < 0 else math.inf


def _set_number(action: Any, argument: str, allowed: str, cure: str) -> None:
    """Makes an argument a float, where it is a finite number `above 0` or `of at least 0`."""
    given = getattr(action, argument)
    value = number_of(given)
    if not 0 <= value < math.inf or (value == 0 and allowed == "above 0"):
        where = f"{type(action).__name__}, {argument}"
        raise ArgumentError(where, expected=f"a finite number {allowed}", got=repr(given), cure=cure)
    object.__setattr__(action, argument, value)


def _check_reason(action: Any) -> None:
    if not isinstance(action.reason, str):
        where, cure = f"{type(action).__name__}, reason", "Say why, or leave it out."
        raise ArgumentError(where, expected="a text", got=repr(action.reason), cure=cure)


def _count(value: Any, least: int) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= least
