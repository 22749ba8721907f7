"""Early stopping: Keras' machine, what it says, and what it puts back."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgraph.callbacks import EarlyStopping, Restore, Stop
from jgraph.errors import ArgumentError
from jgraph.train.callback import Event, Setup
from jgraph.train.state import TrainState
from tests.callbacks.folding import after_epoch, fold

NAN = math.nan


def train_state(value: float) -> TrainState:
    params = {"dense": {"kernel": jnp.full((2, 3), value)}}
    return TrainState(
        jnp.asarray(int(value)), params, {"bn": {"mean": jnp.ones(2)}}, (params,), jax.random.key(1), jnp.ones(())
    )


def stopped(callback: EarlyStopping, values: list[float]) -> tuple[int, str] | None:
    """The first epoch at which it stops, and what it says."""
    _, asked = fold(callback, values)
    found = [(epoch, actions[0].reason) for epoch, actions in enumerate(asked) if actions]  # pyright: ignore[reportAttributeAccessIssue]
    return found[0] if found else None


def test_it_stops_after_patience_and_says_why() -> None:
    reason = "val_loss has not improved for 3 epochs (best 0.25 in epoch 2)"
    assert stopped(EarlyStopping(patience=3), [0.5, 0.25, 0.3, 0.26, 0.25, 0.1]) == (4, reason)


@pytest.mark.parametrize("patience", [0, 1])
def test_patience_0_is_patience_1(patience: int) -> None:
    assert stopped(EarlyStopping(patience=patience), [0.5, 0.6, 0.7]) == (
        1,
        "val_loss has not improved for 1 epoch (best 0.5 in epoch 1)",
    )


def test_it_never_stops_after_the_first_epoch() -> None:
    assert stopped(EarlyStopping(patience=0), [NAN, NAN]) == (1, "val_loss has been NaN for 2 epochs")
    assert stopped(EarlyStopping(patience=0), [NAN, 0.5, 0.4]) is None


def test_a_small_improvement_is_none() -> None:
    assert stopped(EarlyStopping(patience=2, min_delta=0.5), [3.0, 2.75, 2.5]) is not None
    assert stopped(EarlyStopping(patience=2, min_delta=0.5), [3.0, 2.75, 2.25]) is None


def test_mode_max() -> None:
    assert stopped(EarlyStopping(patience=1, mode="max"), [0.1, 0.2, 0.2]) is not None
    assert stopped(EarlyStopping(patience=1, mode="max"), [0.1, 0.2, 0.3]) is None


def test_epochs_before_the_start_are_not_looked_at() -> None:
    callback = EarlyStopping(patience=1, start_from_epoch=2)
    assert stopped(callback, [0.1, 0.2, 0.9, 0.8, 0.85]) == (
        4,
        "val_loss has not improved for 1 epoch (best 0.8 in epoch 4)",
    )
    memory, _ = fold(callback, [0.1, 0.2])
    assert memory["best_epoch"] == -1


def test_an_improvement_that_misses_the_baseline_does_not_reset_the_wait() -> None:
    reason = "val_loss has not beaten the baseline 0.5 for 4 epochs (best 0.7 in epoch 3)"
    assert stopped(EarlyStopping(patience=3, baseline=0.5), [0.9, 0.8, 0.7, 0.75]) == (3, reason)
    assert stopped(EarlyStopping(patience=3, baseline=0.5), [0.9, 0.8, 0.4, 0.45, 0.43]) is None
    memory, _ = fold(EarlyStopping(patience=3, baseline=0.5), [0.9, 0.8, 0.4])
    assert memory["wait"] == 0


def test_a_resumed_memory_goes_on() -> None:
    callback, values, actions = EarlyStopping(patience=3), [0.5, 0.4, 0.6, 0.6, 0.6], []
    memory, _ = fold(callback, values[:3])
    for epoch, value in enumerate(values[3:], 3):
        memory, actions = callback.on_epoch_end(memory, after_epoch(epoch, value))
    assert actions == fold(callback, values)[1][-1] != []


def restoring(values: list[float], **given: Any) -> tuple[EarlyStopping, Any]:
    callback = EarlyStopping(restore_best=True, **given)
    memory = callback.init(train_state(-1.0))
    for epoch, value in enumerate(values):
        memory, _ = callback.on_epoch_end(memory, after_epoch(epoch, value, train_state=train_state(float(epoch))))
    return callback, memory


@pytest.mark.parametrize(
    ("values", "best"),
    [([0.5, 0.3, 0.4], 1), ([0.5, 0.6, 0.7], 0), ([NAN, NAN], 0), ([NAN, 0.5, 0.6], 1), ([0.5, NAN, 0.4], 2)],
)
@pytest.mark.parametrize("reason", [None, "val_loss has not improved", "not finite at step 3"])
def test_the_best_state_is_put_back_whoever_stopped(values: list[float], best: int, reason: str | None) -> None:
    callback, memory = restoring(values, patience=9)
    after, actions = callback.on_train_end(memory, Event(stopped=reason))
    assert after is memory
    [restore] = actions
    assert isinstance(restore, Restore)
    assert jax.tree.structure(restore.train_state) == jax.tree.structure(train_state(0.0))
    for kept, expected in zip(
        jax.tree.leaves(restore.train_state), jax.tree.leaves(train_state(float(best))), strict=True
    ):
        assert kept.dtype == expected.dtype
        assert (kept == expected).all()
    assert f"in epoch {best + 1}" in restore.reason


def test_an_interrupted_run_is_left_as_it_is() -> None:
    callback, memory = restoring([0.5, 0.3, 0.4], patience=9)
    assert callback.on_train_end(memory, Event(stopped="interrupted")) == (memory, [])


def test_nothing_is_put_back_before_an_epoch_was_looked_at_or_without_asking() -> None:
    callback, memory = restoring([0.5, 0.3], patience=9, start_from_epoch=5)
    assert callback.on_train_end(memory, Event())[1] == []
    memory, _ = fold(EarlyStopping(), [0.5])
    assert EarlyStopping().on_train_end(memory, Event())[1] == []


def test_the_state_is_kept_in_buffers_of_its_own() -> None:
    callback = EarlyStopping(restore_best=True)
    given = train_state(3.0)
    memory, _ = callback.on_epoch_end(callback.init(train_state(0.0)), after_epoch(0, 0.5, train_state=given))
    jax.tree.map(lambda leaf: leaf.delete(), given)
    np.testing.assert_array_equal(memory["train_state"].params["dense"]["kernel"], np.full((2, 3), 3.0))
    assert memory["train_state"].key.dtype == jax.random.key(1).dtype


def test_without_an_improvement_nothing_is_copied() -> None:
    callback = EarlyStopping(restore_best=True)
    memory, _ = callback.on_epoch_end(callback.init(train_state(0.0)), after_epoch(0, 0.5, train_state=train_state(0)))
    after, _ = callback.on_epoch_end(memory, after_epoch(1, 0.6, train_state=train_state(1)))
    assert after["train_state"] is memory["train_state"]


def test_the_stop_is_an_action() -> None:
    _, asked = fold(EarlyStopping(patience=1), [0.5, 0.6])
    assert [type(action) for action in asked[1]] == [Stop]


REACHED = "val_loss has reached 0.2, and stopping_threshold is 0.25"
DIVERGED = "val_loss has diverged to 3, beyond divergence_threshold 2"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5, 0.3, 0.2, 0.1], (2, REACHED)),
        ([0.2], (0, REACHED)),
        ([0.5, 2.0, 3.0], (2, DIVERGED)),
        ([3.0], (0, DIVERGED)),
        ([0.5, math.inf], (1, "val_loss has diverged to inf, beyond divergence_threshold 2")),
        ([0.5, NAN, 0.5, 0.26], None),
    ],
)
def test_a_threshold_needs_no_patience(values: list[float], expected: tuple[int, str] | None) -> None:
    callback = EarlyStopping(patience=9, stopping_threshold=0.25, divergence_threshold=2.0)
    assert stopped(callback, values) == expected


def test_a_threshold_itself_is_good_enough_and_not_yet_diverged() -> None:
    assert stopped(EarlyStopping(patience=9, stopping_threshold=0.5), [0.5]) is not None
    assert stopped(EarlyStopping(patience=9, divergence_threshold=0.5), [0.5]) is None


def test_thresholds_of_what_is_better_high() -> None:
    callback = EarlyStopping(patience=9, mode="max", stopping_threshold=0.9, divergence_threshold=0.1)
    assert stopped(callback, [0.5, 0.95]) == (1, "val_loss has reached 0.95, and stopping_threshold is 0.9")
    assert stopped(callback, [0.5, 0.05]) == (1, "val_loss has diverged to 0.05, beyond divergence_threshold 0.1")


def test_epochs_before_the_start_pass_no_threshold() -> None:
    callback = EarlyStopping(patience=9, start_from_epoch=2, stopping_threshold=0.25, divergence_threshold=2.0)
    assert stopped(callback, [0.1, 5.0, 0.5, 0.2]) == (3, REACHED)


def test_the_state_that_reached_the_threshold_is_the_best_one() -> None:
    _, memory = restoring([0.5, 0.4, 0.2], patience=9, stopping_threshold=0.25)
    assert memory["best_epoch"] == 2


@pytest.mark.parametrize("argument", ["stopping_threshold", "divergence_threshold"])
def test_a_threshold_is_a_number(argument: str) -> None:
    with pytest.raises(ArgumentError, match=f"EarlyStopping, {argument}: expected a number, got nan"):
        EarlyStopping(**{argument: NAN})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("mode", "good", "bad"), [("min", 2.0, 1.0), ("max", 1.0, 2.0), ("min", 1.0, 1.0)])
def test_thresholds_that_contradict_each_other_are_refused(mode: str, good: float, bad: float) -> None:
    callback = EarlyStopping(mode=mode, stopping_threshold=good, divergence_threshold=bad)
    side = "below" if mode == "min" else "above"
    with pytest.raises(
        ArgumentError, match=f"better than divergence_threshold={bad:g}, which for 'val_loss' is {side}"
    ):
        callback.check(Setup(logs=("loss", "val_loss"), directions={"val_loss": "min"}))
