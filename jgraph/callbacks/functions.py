"""Plain functions as callbacks: each is called with the event of one hook, and returns what is to be done."""

from typing import Any

from jgraph.callbacks.monitor import check_count
from jgraph.errors import ArgumentError, CallbackError, is_function
from jgraph.train.actions import Action
from jgraph.train.callback import Callback, Event, Result
from jgraph.typing import Function, PyTree


class FunctionCallback(Callback):
    """The base of all: it has no memory, and is called and shown by its hook."""

    function: Function

    def __init_subclass__(cls, **kwargs: Any) -> None:
        cls.__repr__ = FunctionCallback.__repr__  # else each dataclass makes its own
        super().__init_subclass__(**kwargs)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_function(self.function):
            hook = self.default_name()
            cure = f"Write jg.callbacks.{hook}(lambda event: print(event.logs)), for example."
            raise ArgumentError(
                f"{hook}, function", expected="a function of the event", got=repr(self.function), cure=cure
            )

    def __repr__(self) -> str:
        extra = [f"{n}={v!r}" for n, v in vars(self).items() if n != "function" and v is not None]
        return f"{self.default_name()}({', '.join([_name(self.function), *extra])})"

    def call(self, event: Event) -> list[Action]:
        """Calls the function: a list of what it asks for.

        Raises:
            CallbackError: it returned something else than an action, a list of them, or nothing.
        """
        found: Any = self.function(event)
        actions = [] if found is None else list(found) if isinstance(found, list | tuple) else [found]
        if wrong := [action for action in actions if not isinstance(action, Action)]:
            raise CallbackError(
                f"{self.default_name()}, {_name(self.function)}",
                expected="an action, a list of actions, or None",
                got=repr(wrong[0])[:80],
                cure="Return jg.callbacks.Stop('enough'), for example, or nothing.",
            )
        return actions


class OnTrainBegin(FunctionCallback):
    """Calls a function when `fit` begins."""

    def on_train_begin(self, memory: PyTree, event: Event) -> Result:
        """Calls the function."""
        return memory, self.call(event)


class OnTrainEnd(FunctionCallback):
    """Calls a function when `fit` ends."""

    def on_train_end(self, memory: PyTree, event: Event) -> Result:
        """Calls the function."""
        return memory, self.call(event)


class OnEpochBegin(FunctionCallback):
    """Calls a function before each epoch."""

    def on_epoch_begin(self, memory: PyTree, event: Event) -> Result:
        """Calls the function."""
        return memory, self.call(event)


class OnEpochEnd(FunctionCallback):
    """Calls a function after each epoch."""

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Calls the function."""
        return memory, self.call(event)


class OnEvaluateEnd(FunctionCallback):
    """Calls a function after each evaluation that a callback asked for."""

    def on_evaluate_end(self, memory: PyTree, event: Event) -> Result:
        """Calls the function."""
        return memory, self.call(event)


class OnException(FunctionCallback):
    """Calls a function when an error leaves `fit`."""

    def on_exception(self, memory: PyTree, event: Event) -> Result:
        """Calls the function."""
        return memory, self.call(event)


class EverySteps(FunctionCallback):
    """The base of those that are called at steps."""

    every_steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.default_name(), "every_steps", self.every_steps, least=1)


class OnStepBegin(EverySteps):
    """Calls a function before every n-th step."""

    def on_step_begin(self, memory: PyTree, event: Event) -> Result:
        """Calls the function."""
        return memory, self.call(event)


class OnStepEnd(EverySteps):
    """Calls a function after every n-th step."""

    def on_step_end(self, memory: PyTree, event: Event) -> Result:
        """Calls the function."""
        return memory, self.call(event)


def on_train_begin(function: Function, name: str | None = None) -> Callback:
    """A callback that calls `function(event)` when `fit` begins, also where a run goes on.

    The function returns an action, a list of actions, or nothing.

    Raises:
        ArgumentError: it is no function.

    >>> import jgraph as jg
    >>> jg.callbacks.on_train_begin(print)
    on_train_begin(print)
    """
    return OnTrainBegin(function, name=name)


def on_train_end(function: Function, name: str | None = None) -> Callback:
    """A callback that calls `function(event)` when `fit` ends without an error.

    The function returns an action, a list of actions, or nothing.

    Raises:
        ArgumentError: it is no function.

    >>> import jgraph as jg
    >>> jg.callbacks.on_train_end(lambda event: print(event.stopped))
    on_train_end(<lambda>)
    """
    return OnTrainEnd(function, name=name)


def on_epoch_begin(function: Function, name: str | None = None) -> Callback:
    """A callback that calls `function(event)` before each epoch.

    The function returns an action, a list of actions, or nothing.

    Raises:
        ArgumentError: it is no function.

    >>> import jgraph as jg
    >>> jg.callbacks.on_epoch_begin(lambda event: jg.callbacks.ScaleLearningRate(0.9))
    on_epoch_begin(<lambda>)
    """
    return OnEpochBegin(function, name=name)


def on_epoch_end(function: Function, name: str | None = None) -> Callback:
    """A callback that calls `function(event)` after each epoch, with its logs.

    The function returns an action, a list of actions, or nothing.

    Raises:
        ArgumentError: it is no function.

    >>> import jgraph as jg
    >>> def enough(event):
    ...     if event.logs["val_accuracy"] > 0.99:
    ...         return jg.callbacks.Stop("99 % are right")
    >>> callback = jg.callbacks.on_epoch_end(enough)
    >>> callback.on_epoch_end({}, jg.callbacks.Event(logs={"val_accuracy": 0.995}))
    ({}, [Stop(reason='99 % are right')])
    """
    return OnEpochEnd(function, name=name)


def on_step_begin(function: Function, every_steps: int = 1, name: str | None = None) -> Callback:
    """A callback that calls `function(event)` before the steps whose number is a multiple of `every_steps`.

    The function returns an action, a list of actions, or nothing.

    Raises:
        ArgumentError: it is no function, or `every_steps` no integer of at least 1.

    >>> import jgraph as jg
    >>> jg.callbacks.on_step_begin(print, every_steps=100)
    on_step_begin(print, every_steps=100)
    """
    return OnStepBegin(function, every_steps, name=name)


def on_step_end(function: Function, every_steps: int = 1, name: str | None = None) -> Callback:
    """A callback that calls `function(event)` after every `every_steps` steps, with the means over the epoch so far.

    The function returns an action, a list of actions, or nothing; an action acts at its own step.

    Raises:
        ArgumentError: it is no function, or `every_steps` no integer of at least 1.

    >>> import jgraph as jg
    >>> jg.callbacks.on_step_end(lambda event: print(event.logs["loss"]), every_steps=100, name="show")
    on_step_end(<lambda>, name='show', every_steps=100)
    """
    return OnStepEnd(function, every_steps, name=name)


def on_evaluate_end(function: Function, name: str | None = None) -> Callback:
    """A callback that calls `function(event)` after each evaluation that a callback asked for (`Evaluate`).

    `event.logs` are those of the validation data, with `val_` in front. The function returns an action, a list of
    actions, or nothing.

    Raises:
        ArgumentError: it is no function.

    >>> import jgraph as jg
    >>> jg.callbacks.on_evaluate_end(lambda event: print(event.step, event.logs["val_loss"]))
    on_evaluate_end(<lambda>)
    """
    return OnEvaluateEnd(function, name=name)


def on_exception(function: Function, name: str | None = None) -> Callback:
    """A callback that calls `function(event)` when an error or a second Ctrl-C leaves `fit`; `event.exception` is it.

    The function returns an action, a list of actions, or nothing.

    Raises:
        ArgumentError: it is no function.

    >>> import jgraph as jg
    >>> jg.callbacks.on_exception(lambda event: print(event.exception))
    on_exception(<lambda>)
    """
    return OnException(function, name=name)


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", type(function).__name__).split(".")[-1]
