"""A learning rate found by a range test before training."""

import os

from jgraph.errors import ArgumentError
from jgraph.train.actions import FindLearningRate
from jgraph.train.callback import Callback, Event, Result, Setup
from jgraph.train.learning_rate import KNOW_THE_RATE
from jgraph.train.state import TrainState
from jgraph.typing import PyTree


class LearningRateFinder(Callback):
    """Makes a range test before the first step, and sets the learning rate that it suggests; a schedule is scaled.

    The test, `jg.find_learning_rate`, trains a copy of the train state for `steps` steps with a rate that grows from
    `least` to `most`; training then begins from the state itself, on the same batches as ever. `run.events` says which
    rate it was, and `plot` is where the picture of the losses goes. A run that goes on keeps the rate that it has.

    Raises:
        ArgumentError: an argument has a value that it cannot have; before training: the trainer does not know its rate.

    >>> import jgraph as jg
    >>> finder = jg.callbacks.LearningRateFinder(most=0.1)
    >>> finder.on_train_begin(finder.init(None), jg.callbacks.Event())
    ({'asked': True}, [FindLearningRate(least=1e-07, most=0.1, steps=100, plot=None)])
    """

    least: float = 1e-7
    most: float = 1.0
    steps: int = 100
    plot: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._asks()

    def init(self, train_state: TrainState) -> PyTree:
        """Makes the memory: whether the test was asked for."""
        del train_state
        return {"asked": False}

    def check(self, setup: Setup) -> None:
        """Checks that the trainer knows its learning rate.

        Raises:
            ArgumentError: it does not.
        """
        if not setup.rate_known:
            got = "an optimizer that was made with its rate inside"
            expected = "a trainer that knows its learning rate"
            raise ArgumentError("LearningRateFinder", expected=expected, got=got, cure=KNOW_THE_RATE)

    def places(self) -> tuple[str, ...]:
        """The file of the picture."""
        return () if self.plot is None else (os.fspath(self.plot),)

    def on_train_begin(self, memory: PyTree, event: Event) -> Result:
        """Asks for the test, where nothing was trained yet."""
        if memory["asked"] or event.history or event.step:
            return memory, []
        return {"asked": True}, [self._asks()]

    def _asks(self) -> FindLearningRate:
        return FindLearningRate(self.least, self.most, self.steps, self.plot)
