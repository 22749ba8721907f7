"""Early stopping and plateaus beside those of Keras, on the same values.

Keras compares in float32, so the values are multiples of 1/8. Where the first value is NaN, Keras takes it as the best
one and never improves again; jgraph does not, so those sequences are left to the other tests.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jgraph.callbacks import EarlyStopping, ReduceLROnPlateau, Restore, ScaleLearningRate, Stop
from jgraph.train.callback import Event
from tests.callbacks.folding import after_epoch

EIGHTHS = st.integers(-8, 24).map(lambda n: n / 8)
VALUES = st.lists(
    st.one_of(EIGHTHS, EIGHTHS, st.sampled_from([math.nan, math.inf, -math.inf])), min_size=1, max_size=12
)
DELTAS = st.sampled_from([0.0, 0.125, 0.5, 1.0])
MODES = st.sampled_from(["min", "max"])


class Optimizer:
    """What Keras' plateau reads and sets."""

    learning_rate = 1.0


class Model:
    """What Keras' callbacks see of a model: its weights are the number of the epoch."""

    def __init__(self) -> None:
        self.weights, self.stop_training, self.optimizer = -1, False, Optimizer()

    def get_weights(self) -> int:
        return self.weights

    def set_weights(self, weights: int) -> None:
        self.weights = weights


def keras_run(callback: Any, values: list[float]) -> tuple[int, int, list[float]]:
    """The last epoch, the weights at the end, and the learning rate after each epoch."""
    model, rates, epoch = Model(), [], -1
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        model.weights = epoch
        callback.on_epoch_end(epoch, {"val_loss": value})
        rates.append(model.optimizer.learning_rate)
        if model.stop_training:
            break
    callback.on_train_end()
    return epoch, model.weights, rates


def our_run(callback: Any, values: list[float], mode: str) -> tuple[int, Any, list[float]]:
    """The same of ours, whose train states are a number too."""
    memory, rate, rates, stopped, epoch, state = callback.init(-1), 1.0, [], None, -1, -1
    for epoch, value in enumerate(values):
        state = epoch
        memory, actions = callback.on_epoch_end(
            memory, after_epoch(epoch, value, mode=mode, rate=rate, train_state=epoch)
        )
        for action in actions:
            if isinstance(action, Stop):
                stopped = action.reason
            elif isinstance(action, ScaleLearningRate):
                rate *= action.factor_at(rate)
        rates.append(rate)
        if stopped:
            break
    _, actions = callback.on_train_end(memory, Event(stopped=stopped))
    for action in actions:
        state = action.train_state
    return epoch, state, rates


@pytest.fixture(autouse=True)
def _numbers_are_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Restore, "__post_init__", lambda self: None)


def first_is_a_number(values: list[float], start: int = 0) -> bool:
    return not math.isnan(values[start]) if len(values) > start else True


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    values=VALUES,
    min_delta=DELTAS,
    patience=st.integers(0, 4),
    mode=MODES,
    baseline=st.none() | EIGHTHS,
    start=st.integers(0, 3),
    restore=st.booleans(),
)
def test_early_stopping(
    values: list[float], min_delta: float, patience: int, mode: str, baseline: float | None, start: int, restore: bool
) -> None:
    assume(first_is_a_number(values, start))
    same: dict[str, Any] = {"min_delta": min_delta, "patience": patience, "mode": mode, "baseline": baseline}
    same |= {"start_from_epoch": start}
    theirs = keras_run(keras.callbacks.EarlyStopping(**same, restore_best_weights=restore), values)
    assert our_run(EarlyStopping(**same, restore_best=restore), values, mode) == theirs


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    values=VALUES,
    min_delta=DELTAS,
    patience=st.integers(0, 3),
    mode=MODES,
    cooldown=st.integers(0, 3),
    factor=st.sampled_from([0.1, 0.5, 0.75]),
    min_lr=st.sampled_from([0.0, 0.01, 0.25, 1.0]),
)
def test_reduce_on_plateau(
    values: list[float], min_delta: float, patience: int, mode: str, cooldown: int, factor: float, min_lr: float
) -> None:
    assume(first_is_a_number(values))
    same: dict[str, Any] = {"min_delta": min_delta, "patience": patience, "mode": mode, "cooldown": cooldown}
    same |= {"factor": factor, "min_lr": min_lr}
    _, _, theirs = keras_run(keras.callbacks.ReduceLROnPlateau(**same), values)
    _, _, ours = our_run(ReduceLROnPlateau(**same), values, mode)
    assert ours == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("make", [keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau])
def test_where_keras_is_not_followed(make: Callable[..., Any]) -> None:
    """A first value that is NaN is the best one for good, so Keras stops a run that improves in each epoch."""
    callback = make(patience=2)
    callback.monitor_op = None
    epoch, _, rates = keras_run(callback, [math.nan, 0.5, 0.4, 0.3])
    assert epoch == 2 or rates[-1] < 1.0


def test_auto_is_min_for_a_loss() -> None:
    theirs = keras_run(keras.callbacks.EarlyStopping(patience=1), [0.5, 0.25, 0.375])
    assert our_run(EarlyStopping(patience=1), [0.5, 0.25, 0.375], "min") == theirs == (2, 2, [1.0] * 3)
