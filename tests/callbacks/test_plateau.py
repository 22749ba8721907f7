"""Plateaus: Keras' machine, its mirror, and the bounds of the learning rate."""

import math
from collections.abc import Callable

import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.callbacks import RaiseLROnPlateau, ReduceLROnPlateau, ScaleLearningRate
from jgraph.callbacks.plateau import Plateau
from jgraph.errors import ArgumentError, MonitorError
from jgraph.train.callback import Setup
from tests.callbacks.folding import after_epoch, fold

KNOWN = {"logs": ("loss", "val_loss"), "directions": {"loss": "min", "val_loss": "min"}}


def curve(callback: Plateau, values: list[float], rate: float) -> list[float]:
    """The learning rate after each epoch."""
    memory, rates = callback.init(None), []  # pyright: ignore[reportArgumentType]
    for epoch, value in enumerate(values):
        memory, actions = callback.on_epoch_end(memory, after_epoch(epoch, value, rate=rate))
        for action in actions:
            assert isinstance(action, ScaleLearningRate)
            rate *= action.factor_at(rate)
        rates.append(rate)
    return rates


def test_it_lowers_after_patience_and_says_why() -> None:
    _, asked = fold(ReduceLROnPlateau(factor=0.5, patience=2), [0.5, 0.5, 0.5, 0.5, 0.5])
    flat = ScaleLearningRate(0.5, reason="val_loss flat for 2 epochs")
    assert asked == [[], [], [flat], [], [flat]]


def test_it_cools_down() -> None:
    _, asked = fold(ReduceLROnPlateau(factor=0.5, patience=1, cooldown=2), [0.5] * 7)
    assert [len(actions) for actions in asked] == [0, 1, 0, 1, 0, 1, 0]
    _, asked = fold(ReduceLROnPlateau(factor=0.5, patience=1, cooldown=3), [0.5] * 7)
    assert [len(actions) for actions in asked] == [0, 1, 0, 0, 1, 0, 0]


def test_nan_is_flat_and_a_number_after_it_is_not() -> None:
    _, asked = fold(ReduceLROnPlateau(factor=0.5, patience=2), [math.nan, math.nan, 0.5, math.nan, 0.4])
    assert [len(actions) for actions in asked] == [0, 1, 0, 0, 0]


def test_it_stays_above_min_lr_and_is_silent_there() -> None:
    rates = curve(ReduceLROnPlateau(factor=0.1, patience=1, min_lr=0.002), [0.5] * 5, 0.1)
    assert rates == pytest.approx([0.1, 0.01, 0.002, 0.002, 0.002])
    memory, asked = fold(ReduceLROnPlateau(factor=0.1, patience=1, min_lr=0.002), [0.5] * 4, rate=0.002)
    assert asked == [[], [], [], []]
    assert memory["wait"] == 3


@pytest.mark.parametrize("rate", [0.002 * (1 + 1e-7), 0.001, 0.0])
def test_a_rate_at_the_bound_or_below_stays(rate: float) -> None:
    assert curve(ReduceLROnPlateau(factor=0.1, patience=1, min_lr=0.002), [0.5] * 3, rate) == [rate] * 3


def test_the_mirror_raises_up_to_max_lr() -> None:
    rates = curve(RaiseLROnPlateau(factor=10.0, patience=1, max_lr=0.5), [0.5] * 5, 0.01)
    assert rates == pytest.approx([0.01, 0.1, 0.5, 0.5, 0.5])


def test_a_rate_of_0_cannot_be_raised() -> None:
    assert curve(RaiseLROnPlateau(factor=10.0, patience=1), [0.5] * 3, 0.0) == [0.0] * 3


def test_the_mirror_waits_and_cools_down_alike() -> None:
    values = [0.5, 0.6, 0.4, 0.4, 0.4, 0.4, 0.7, 0.1, 0.3, 0.3]
    lowered, raised = (
        [bool(actions) for actions in fold(make(patience=2, cooldown=1), values)[1]]
        for make in (ReduceLROnPlateau, RaiseLROnPlateau)
    )
    assert lowered == raised
    assert any(raised)


def test_the_bound_is_left_to_the_action_which_knows_the_rate_of_its_moment() -> None:
    _, asked = fold(ReduceLROnPlateau(factor=0.5, patience=1, min_lr=0.04), [0.5] * 2, rate=0.06)
    assert asked[1] == [ScaleLearningRate(0.5, "val_loss flat for 1 epoch", least=0.04)]
    _, asked = fold(RaiseLROnPlateau(factor=3.0, patience=1, max_lr=0.1), [0.5] * 2, rate=0.06)
    assert asked[1] == [ScaleLearningRate(3.0, "val_loss flat for 1 epoch", most=0.1)]


@pytest.mark.parametrize(
    ("make", "factor", "bound"),
    [(ReduceLROnPlateau, 0.5, {"min_lr": 0.04}), (RaiseLROnPlateau, 2.0, {"max_lr": 0.25})],
    ids=["lower", "raise"],
)
def test_two_at_one_event_keep_the_bound_together(
    make: Callable[..., Plateau], factor: float, bound: dict[str, float]
) -> None:
    """The second one sees the rate from before the event too, but its bound holds for what the first one made of it."""
    pair = [make("loss", factor=factor, patience=1, min_delta=1e6, **bound, name=name) for name in "ab"]
    x = jg.Input((3,), name="x")
    own = jg.Trainer(jg.Model(x, jg.layers.Dense(1)(x)), optax.sgd, loss="mse", learning_rate=0.1)
    data = np.ones((4, 3), np.float32), np.ones(4, np.float32)
    run = own.fit(data, epochs=4, batch_size=4, progress=False, callbacks=pair)
    assert float(own.learning_rate_of(run.train_state)) == pytest.approx(*bound.values(), rel=1e-6)
    assert sum("learning rate" in text for text in run.events) == 2, "no more is asked for at the bound"


def test_without_a_rate_it_scales_by_its_factor() -> None:
    _, asked = fold(RaiseLROnPlateau(factor=3.0, patience=1), [0.5, 0.5])
    assert asked[1] == [ScaleLearningRate(3.0, reason="val_loss flat for 1 epoch")]


@pytest.mark.parametrize(
    ("callback", "argument"), [(ReduceLROnPlateau(min_lr=1e-5), "min_lr"), (RaiseLROnPlateau(max_lr=1.0), "max_lr")]
)
def test_a_bound_needs_a_rate_that_is_known(callback: Plateau, argument: str) -> None:
    with pytest.raises(ArgumentError, match=rf"{argument}: expected .* learning_rate=1e-3"):
        callback.check(Setup(**KNOWN))
    callback.check(Setup(**KNOWN, rate_known=True))


@pytest.mark.parametrize("callback", [ReduceLROnPlateau(), RaiseLROnPlateau()])
def test_an_optimizer_that_cannot_be_scaled_is_refused_by_name(callback: Plateau) -> None:
    with pytest.raises(ArgumentError, match=r"got schedule_free\. .* learning_rate=1e-3"):
        callback.check(Setup(**KNOWN, inexact="schedule_free"))
    callback.check(Setup(**KNOWN, inexact="schedule_free", rate_known=True))
    callback.check(Setup(**KNOWN))


def test_an_absent_monitor_comes_before_the_rate() -> None:
    with pytest.raises(MonitorError):
        ReduceLROnPlateau("val_los", min_lr=1e-5).check(Setup(**KNOWN))
