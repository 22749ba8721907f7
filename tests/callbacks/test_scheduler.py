"""A schedule by epoch: how it is called, what it may return, and when nothing is set."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jgraph.callbacks import LearningRateScheduler, SetLearningRate
from jgraph.errors import ArgumentError
from jgraph.train.callback import Event, Setup
from tests.callbacks.folding import Rate


def rates(schedule: Callable[..., Any], epochs: int, rate: float = 0.1) -> list[float]:
    """The learning rate in each epoch."""
    callback, found = LearningRateScheduler(schedule), []
    for epoch in range(epochs):
        _, actions = callback.on_epoch_begin({}, Event(epoch=epoch, trainer=Rate(rate)))
        for action in actions:
            assert isinstance(action, SetLearningRate)
            rate = action.rate
        found.append(rate)
    return found


def test_a_schedule_of_the_epoch() -> None:
    assert rates(lambda epoch: 0.5**epoch, 3) == [1.0, 0.5, 0.25]


def test_a_schedule_of_the_epoch_and_the_rate() -> None:
    assert rates(lambda epoch, learning_rate: learning_rate * 0.5, 3, rate=1.0) == [0.5, 0.25, 0.125]


def test_what_has_a_default_is_left_to_it() -> None:
    assert rates(lambda epoch, decay=0.5: decay**epoch, 3) == [1.0, 0.5, 0.25]
    assert rates(lambda *given: 0.5 ** len(given), 1) == [0.5]


def test_a_schedule_of_optax() -> None:
    assert rates(optax.linear_schedule(1.0, 0.0, 4), 4) == pytest.approx([1.0, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), np.array(0.5), jnp.asarray(0.5), 1, np.int32(1)])
def test_numbers_of_numpy_and_jax_are_numbers(value: Any) -> None:
    _, [action] = LearningRateScheduler(lambda epoch: value).on_epoch_begin({}, Event())
    assert action == SetLearningRate(float(value), reason="epoch 1")
    assert type(action.rate) is float  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    "value", [None, "0.1", math.nan, math.inf, -0.1, True, np.array([0.1]), jnp.ones(2), 1j, np.array(1j), {}, [0.1]]
)
def test_anything_else_is_an_error_that_names_the_epoch(value: Any) -> None:
    with pytest.raises(
        ArgumentError, match=r"LearningRateScheduler, schedule\(7\): expected a finite number"
    ) as caught:
        LearningRateScheduler(lambda epoch: value).on_epoch_begin({}, Event(epoch=7))
    assert repr(value) in str(caught.value)


def test_a_rate_that_is_set_already_is_not_set_again() -> None:
    callback = LearningRateScheduler(lambda epoch: 0.1)
    assert callback.on_epoch_begin({}, Event(trainer=Rate(float(np.float32(0.1))))) == ({}, [])
    assert callback.on_epoch_begin({}, Event(trainer=Rate(0.2)))[1] == [SetLearningRate(0.1, reason="epoch 1")]


def test_it_needs_a_rate_that_is_known() -> None:
    callback = LearningRateScheduler(lambda epoch: 0.1)
    with pytest.raises(ArgumentError, match="learning_rate=1e-3"):
        callback.check(Setup())
    callback.check(Setup(rate_known=True))
