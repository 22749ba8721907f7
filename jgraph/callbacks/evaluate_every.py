"""Validation every so many steps or epochs, beside that of `fit`."""

from jgraph.callbacks.monitor import check_count
from jgraph.errors import ArgumentError
from jgraph.train.actions import Evaluate
from jgraph.train.callback import Callback, Event, Result, Setup
from jgraph.train.state import TrainState
from jgraph.typing import PyTree


class EvaluateEvery(Callback):
    """Measures the validation data every `every_steps` steps, counted from the start of the run, or `every_epochs`.

    The two add up; a step is measured once. The logs go to `on_evaluate_end` of all callbacks, so to `TensorBoard`,
    `JSONLogger` and `CSVLogger(evaluations=...)`, and stand in `run.events`. They are not part of the history, which
    has one number an epoch, and training computes what it would without them. Where epochs are long, let
    `fit(validation_every=...)` validate seldom or never, and this often.

    Raises:
        ArgumentError: neither is given, or one is no integer of at least 1; before training: there are no validation
            data.

    >>> import jgraph as jg
    >>> every = jg.callbacks.EvaluateEvery(every_steps=100)
    >>> every.on_step_end(every.init(None), jg.callbacks.Event(step=200))
    ({'last_step': 200}, [Evaluate()])
    """

    every_steps: int | None = None
    every_epochs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for argument in ("every_steps", "every_epochs"):
            if getattr(self, argument) is not None:
                check_count("EvaluateEvery", argument, getattr(self, argument), least=1)
        if self.every_steps is None and self.every_epochs is None:
            raise ArgumentError(
                "EvaluateEvery, every_steps",
                expected="a number of steps or of epochs",
                got="neither",
                cure="Write every_steps=1000, for example.",
            )

    def init(self, train_state: TrainState) -> PyTree:
        """Makes the memory: the step that was measured last."""
        del train_state
        return {"last_step": -1}

    def check(self, setup: Setup) -> None:
        """Checks that there is something to measure.

        Raises:
            ArgumentError: there is not.
        """
        if not any(name.startswith("val_") for name in setup.logs):
            cure = "Give fit validation_data or validation_split."
            raise ArgumentError("EvaluateEvery", expected="validation data", got="none", cure=cure)

    def on_step_end(self, memory: PyTree, event: Event) -> Result:
        """Asks for it, as this is called where it is due."""
        return _asked(memory, event)

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Asks for it where a number of epochs is over."""
        due = self.every_epochs is not None and (event.epoch + 1) % self.every_epochs == 0
        return _asked(memory, event) if due else (memory, [])


def _asked(memory: PyTree, event: Event) -> Result:
    if memory["last_step"] == event.step:
        return memory, []
    return {**memory, "last_step": event.step}, [Evaluate()]
