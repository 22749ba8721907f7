"""A learning rate that is set at the beginning of each epoch."""

import inspect
import math
from typing import Any

import numpy as np

from jgraph.errors import ArgumentError, is_function
from jgraph.train.actions import SetLearningRate, number_of
from jgraph.train.callback import Callback, Event, Result, Setup
from jgraph.train.learning_rate import KNOW_THE_RATE
from jgraph.typing import Function, PyTree

CURE = "Give a function such as `lambda epoch: 1e-3 * 0.9**epoch`."


class LearningRateScheduler(Callback):
    """Sets the learning rate to `schedule(epoch)`, or `schedule(epoch, learning_rate)`, as each epoch begins.

    Epochs count from 0. A schedule that can be called with the epoch alone is; else it is given the present rate too.
    For a rate that changes within an epoch, give the trainer an optax schedule as its `learning_rate`.

    Raises:
        ArgumentError: the schedule cannot be called so; before training: the trainer does not know its rate; while
            training: the schedule returns something else than a finite number of at least 0.

    >>> import jgraph as jg
    >>> scheduler = jg.callbacks.LearningRateScheduler(lambda epoch: 0.1 * 0.5**epoch)
    >>> scheduler.on_epoch_begin({}, jg.callbacks.Event(epoch=2))
    ({}, [SetLearningRate(rate=0.025, reason='epoch 3')])
    """

    schedule: Function

    def __post_init__(self) -> None:
        super().__post_init__()
        _takes_rate(self.schedule)

    def check(self, setup: Setup) -> None:
        """Checks that the trainer knows its learning rate.

        Raises:
            ArgumentError: it does not.
        """
        if not setup.rate_known:
            raise ArgumentError(
                type(self).__name__,
                expected="a trainer that knows its learning rate",
                got="an optimizer that was made with its rate inside",
                cure=KNOW_THE_RATE,
            )

    def on_epoch_begin(self, memory: PyTree, event: Event) -> Result:
        """Asks the schedule, and sets the rate where it is another one."""
        given = (event.epoch, event.learning_rate) if _takes_rate(self.schedule) else (event.epoch,)
        rate = _checked(event.epoch, self.schedule(*given))
        present = event.learning_rate
        same = present is not None and np.float32(present) == np.float32(rate)
        return memory, [] if same else [SetLearningRate(rate, reason=f"epoch {event.epoch + 1}")]


def _takes_rate(schedule: Any) -> bool:
    """Whether a schedule is to be called with the learning rate beside the epoch."""
    where, expected = (
        "LearningRateScheduler, schedule",
        "a function of the epoch, or of the epoch and the learning rate",
    )
    if not is_function(schedule):
        raise ArgumentError(where, expected=expected, got=repr(schedule), cure=CURE)
    try:
        signature = inspect.signature(schedule)
    except ValueError:  # some builtins tell nothing of their arguments
        return False
    for given in ((0,), (0, 0.1)):
        try:
            signature.bind(*given)
        except TypeError:
            continue
        return len(given) > 1
    raise ArgumentError(where, expected=expected, got=f"one with the arguments {signature}", cure=CURE)


def _checked(epoch: int, returned: Any) -> float:
    """What a schedule returned, as a float; numbers of NumPy and JAX are numbers too."""
    rate = number_of(returned)
    if not 0 <= rate < math.inf:
        raise ArgumentError(
            f"LearningRateScheduler, schedule({epoch})",
            expected="a finite number of at least 0",
            got=repr(returned),
            cure=CURE,
        )
    return rate
