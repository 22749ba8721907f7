"""The callback: a frozen configuration with pure hooks, `(memory, event) -> (memory, actions)`."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, dataclass_transform

from jgraph.core.layer import snake_case
from jgraph.errors import ArgumentError
from jgraph.ops.distribution import Distribution
from jgraph.train.actions import Action, Sink
from jgraph.train.configuration import plain_fields
from jgraph.train.state import Position, TrainState
from jgraph.train.watch import Watch
from jgraph.typing import PyTree

HOOKS = (
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_step_begin",
    "on_step_end",
    "on_evaluate_end",
    "on_exception",
)

Result = tuple[PyTree, Sequence[Action]]


class StepLogs(Mapping[str, float]):
    """The means over the epoch so far. They are read from the device when they are first looked at."""

    def __init__(self, read: Callable[[], dict[str, float]]) -> None:
        self._read = read

    @functools.cached_property
    def _values(self) -> dict[str, float]:
        return self._read()

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Event:
    """All that is known when a hook is called.

    `epoch` counts from 0 and is the one that begins, runs or has just ended; `epochs` is how many there are to be.
    `step` counts the updates since the start of the run; `steps` is the number of an epoch's steps, where it is known.
    `position` is where a run that is saved now goes on. `logs` are those of the epoch at its end, and the means over
    the epoch so far at a step (read from the device when they are first looked at). `timings` has the `seconds` since
    `fit` began and, at the end of an epoch, its `epoch_seconds` and `steps_per_second`, and what callbacks measure
    (`Throughput`). `stopped` is the reason, once training ends early. `skipped` are the names of the logs that this
    epoch lacks, as it was not validated (`validation_every`). `watched` has what callbacks asked for (`watches`) of the
    step that has just been taken, by watch and tag. `directions` maps a log to `min` or `max`, where it is
    known which is better. `member` counts those of `fit_many` from 0, and is `None` in `fit`. `batch_size` is known
    where the data are rows. `train_state` lives until the hook returns: a callback that keeps it keeps a copy
    (`jax.tree.map(jnp.copy, ...)`). `learning_rate` is that of the next step, where the trainer knows it.

    >>> import jgraph as jg
    >>> event = jg.callbacks.Event(epoch=2, logs={"loss": 0.5})
    >>> jg.callbacks.on_epoch_end(lambda event: [jg.callbacks.Stop("low")] if event.logs["loss"] < 1 else None)
    on_epoch_end(...)
    """

    epoch: int = 0
    step: int = 0
    logs: Mapping[str, float] = dataclasses.field(default_factory=dict)
    history: Mapping[str, list[float]] = dataclasses.field(default_factory=dict)
    train_state: TrainState | Any = None
    model: Any = None
    trainer: Any = None
    validation_data: Any = None
    position: Position = dataclasses.field(default_factory=Position)
    timings: Mapping[str, float] = dataclasses.field(default_factory=dict)
    epochs: int = 1
    steps: int | None = None
    skipped: tuple[str, ...] = ()
    directions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    stopped: str | None = None
    exception: BaseException | None = None
    watched: Mapping[Watch, Mapping[str, Distribution]] = dataclasses.field(default_factory=dict)
    member: int | None = None
    batch_size: int | None = None

    @functools.cached_property
    def learning_rate(self) -> float | None:
        """The learning rate of the next step, as scaled; `None` where the trainer does not know it."""
        rate = None if self.trainer is None else self.trainer.learning_rate_of(self.train_state)
        return None if rate is None else float(rate)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Setup:
    """What a callback may check before training: the trainer, the names of the logs at the end of an epoch, and more.

    `step_logs` are the names at a step, which has no validation. `directions` maps a log's name to `min` or `max`
    where it is known which is better. `rate_known` says whether the trainer knows the learning rate (it was given
    `learning_rate`); `inexact` names the optimizer where scaling the updates would not be the same as another rate.
    """

    trainer: Any = None
    logs: tuple[str, ...] = ()
    step_logs: tuple[str, ...] = ()
    directions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    rate_known: bool = False
    inexact: str | None = None
    epochs: int = 1


@dataclass_transform(frozen_default=True)
@dataclasses.dataclass(frozen=True)
class Callback:
    """The base of all callbacks. It makes every subclass a frozen dataclass, with a keyword-only `name`.

    A callback remembers nothing itself: `init` makes its memory, a plain pytree, and each hook gives back the next
    one, of the same structure, shapes and dtypes, with a list of actions. So it is saved and resumed with the run.

    >>> import jgraph as jg
    >>> class Halve(jg.callbacks.Callback):
    ...     every: int = 10
    ...     def on_epoch_end(self, memory, event):
    ...         due = (event.epoch + 1) % self.every == 0
    ...         return memory, [jg.callbacks.ScaleLearningRate(0.5)] if due else []
    >>> Halve(every=5)
    Halve(name=None, every=5)

    Hooks: `on_train_begin`, `on_train_end` (both once for each `fit`, also where a run goes on), `on_epoch_begin`,
    `on_epoch_end`, `on_step_begin`, `on_step_end`, `on_evaluate_end` (after what `Evaluate` asks for), `on_exception`.
    The step hooks are called every `every_steps` steps, counted from the start of the run, and an action acts at its
    own step. A subclass declares it as a field or a class attribute; the default is 1, and `None` means never. They are
    called at the steps of what a callback `watches`, too.
    """

    name: str | None = dataclasses.field(default=None, kw_only=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(frozen=True)(cls)

    def __post_init__(self) -> None:
        check_callback_name(self)

    def init(self, train_state: TrainState) -> PyTree:
        """Makes the memory: a pytree of numbers and arrays."""
        del train_state
        return {}

    def guards(self) -> str | None:
        """What has to be finite for a step to be taken.

        "loss", "gradients" (the loss too), "update" (the params after the step too), or nothing.

        Where it is not, the state is kept as it was before the step, and training stops.
        """
        return None

    def locates(self) -> bool:
        """Whether a step that was refused is replayed, to say where it began."""
        return False

    def step_interval(self) -> int | None:
        """Every how many steps the step hooks are called: `every_steps` where the class has it, else 1."""
        return getattr(self, "every_steps", 1)

    def due_from(self, step: int) -> int | None:
        """The first step from this one on at which the step hooks are called, or `None` for never.

        It is the next multiple of the interval, or of that of what the callback `watches`.
        """
        interval, watch = self.step_interval(), self.watches()
        given = interval, None if watch is None else watch.every_steps
        return min((-(-step // n) * n for n in given if n is not None), default=None)

    def watches(self) -> Watch | None:
        """What is to be computed of every n-th step, and is in `event.watched` at `on_step_end` of that step."""
        return None

    def glances(self) -> bool:
        """Whether `on_step_end` is also called wherever the loop happens to pause, a few times a second.

        Where that is depends on the machine: it is for clocks and for what is only looked at.
        """
        return False

    def measures(self, memory: PyTree, event: Event) -> Mapping[str, float]:
        """What it measures of the machine at steps and at the ends of epochs, where the event is about to be told.

        It is added to `event.timings` for all callbacks, and at the end of an epoch to `run.timings`. Here alone may a
        callback look at what is outside of the run; nothing of it should decide about training.
        """
        del memory, event
        return {}

    def configuration(self) -> dict[str, Any]:
        """The class and its fields as plain values, the same in every process.

        Functions are called by module and name, so two functions of one name are taken for the same.

        >>> import jgraph as jg
        >>> class Halve(jg.callbacks.Callback):
        ...     every: int = 10
        >>> Halve(every=5).configuration()
        {'class': '...:Halve', 'name': None, 'every': 5}
        """
        return plain_fields(self)

    def check(self, setup: Setup) -> None:
        """Checks, before training, that the callback fits the run, and raises an error where it does not."""

    def default_name(self) -> str:
        """What it is called where its user gives no name: the class in snake case."""
        return snake_case(type(self).__name__)

    def directories(self) -> tuple[str, ...]:
        """The directories that `Save` saves to: cleaned, and checked for the checkpoints of others, before training."""
        return ()

    def places(self) -> tuple[str, ...]:
        """The files and directories that it writes; no two callbacks may write the same one."""
        return ()

    def sinks(self, memory: PyTree) -> dict[Sink, int]:
        """What `Write` writes to, each with the number of records that the memory counts."""
        del memory
        return {}

    def on_train_begin(self, memory: PyTree, event: Event) -> Result:
        """Called when `fit` begins."""
        return memory, ()

    def on_train_end(self, memory: PyTree, event: Event) -> Result:
        """Called when `fit` ends without an error; what is saved here is the run before anything is restored."""
        return memory, ()

    def on_epoch_begin(self, memory: PyTree, event: Event) -> Result:
        """Called before an epoch's first step."""
        return memory, ()

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Called after an epoch, with its logs."""
        return memory, ()

    def on_step_begin(self, memory: PyTree, event: Event) -> Result:
        """Called before the steps whose number is a multiple of `every_steps`."""
        return memory, ()

    def on_step_end(self, memory: PyTree, event: Event) -> Result:
        """Called after every `every_steps` steps."""
        return memory, ()

    def on_evaluate_end(self, memory: PyTree, event: Event) -> Result:
        """Called after each evaluation that a callback asked for (`Evaluate`), with the logs of the validation data."""
        return memory, ()

    def on_exception(self, memory: PyTree, event: Event) -> Result:
        """Called when an error or a second Ctrl-C leaves `fit`; `event.exception` is it."""
        return memory, ()


def check_callback_name(callback: Callback) -> None:
    """Checks the name of a callback.

    Raises:
        ArgumentError: it is neither `None` nor a text without `/`.
    """
    name = callback.name
    if name is not None and (not isinstance(name, str) or not name or "/" in name):
        raise ArgumentError(
            f"{type(callback).__name__}, name",
            expected="a text without '/', or None",
            got=repr(name),
            cure="Leave it out for a name made from the class.",
        )
