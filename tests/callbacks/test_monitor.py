"""Which way is better, what an improvement is, and what is refused."""

import math

import numpy as np
import pytest

from jgraph.callbacks import Checkpoint, EarlyStopping, LearningRateScheduler, RaiseLROnPlateau, ReduceLROnPlateau
from jgraph.callbacks.monitor import direction, improves, watched
from jgraph.errors import ArgumentError, MonitorError
from jgraph.train.callback import Event, Setup

NAN, INF = math.nan, math.inf
LOGS = ("loss", "accuracy", "val_loss", "val_accuracy")
WATCHERS = [EarlyStopping, ReduceLROnPlateau, RaiseLROnPlateau]


@pytest.mark.parametrize(
    ("value", "best", "mode", "min_delta", "better"),
    [
        (1.0, 2.0, "min", 0.0, True),
        (2.0, 2.0, "min", 0.0, False),
        (1.5, 2.0, "min", 0.5, False),
        (1.25, 2.0, "min", 0.5, True),
        (3.0, 2.0, "max", 0.0, True),
        (2.5, 2.0, "max", 0.5, False),
        (2.75, 2.0, "max", 0.5, True),
        (NAN, 2.0, "min", 0.0, False),
        (NAN, NAN, "max", 0.0, False),
        (7.0, NAN, "min", 0.5, True),
        (INF, NAN, "min", 0.5, True),
        (INF, INF, "min", 0.0, False),
        (1.0, INF, "min", 0.0, True),
        (-INF, -5.0, "min", 0.5, True),
        (INF, 5.0, "max", 0.5, True),
    ],
)
def test_improves(value: float, best: float, mode: str, min_delta: float, better: bool) -> None:
    assert improves(value, best, mode, min_delta) is better


def test_the_mode_decides_before_what_is_known() -> None:
    assert direction("X", "val_loss", "max", {"val_loss": "min"}) == "max"
    assert direction("X", "val_loss", "auto", {"val_loss": "min"}) == "min"


@pytest.mark.parametrize("make", WATCHERS)
def test_a_log_of_unknown_direction_needs_a_mode(make: type) -> None:
    setup = Setup(logs=(*LOGS, "val_f1"), directions={"val_loss": "min"}, rate_known=True)
    with pytest.raises(MonitorError, match=r"mode: expected to know whether 'val_f1'.*Write mode='min' or mode='max'"):
        make(monitor="val_f1").check(setup)
    make(monitor="val_f1", mode="max").check(setup)
    make(monitor="val_loss").check(setup)


@pytest.mark.parametrize("make", [*WATCHERS, lambda **given: Checkpoint("runs/x", **given)])
def test_an_absent_log_is_named_beside_those_that_will_be(make: type) -> None:
    setup = Setup(logs=LOGS, directions=dict.fromkeys(LOGS, "min"), rate_known=True)
    with pytest.raises(MonitorError) as caught:
        make(monitor="val_acuracy").check(setup)
    assert all(repr(name) in str(caught.value) for name in LOGS)
    assert "got 'val_acuracy'" in str(caught.value)
    assert "Did you mean 'val_accuracy'?" in str(caught.value)


def test_a_validation_log_without_validation_data() -> None:
    with pytest.raises(MonitorError, match="Give fit validation_data or validation_split"):
        EarlyStopping().check(Setup(logs=("loss",), directions={"loss": "min"}))


def test_a_log_that_is_missing_after_all() -> None:
    with pytest.raises(MonitorError, match="EarlyStopping, monitor: expected one of the logs 'loss'"):
        watched("EarlyStopping", "val_loss", "min", Event(logs={"loss": 1.0}))


BAD = [
    ("monitor", [None, 3, "", ["val_loss"]]),
    ("mode", ["maximum", "mni", None, 1, ""]),
    ("patience", [-1, 1.5, True, "3", None, NAN]),
    ("min_delta", [-0.1, NAN, INF, True, "0", None]),
]


@pytest.mark.parametrize("make", WATCHERS)
@pytest.mark.parametrize(("argument", "value"), [(name, value) for name, values in BAD for value in values])
def test_arguments_are_checked_when_given(make: type, argument: str, value: object) -> None:
    with pytest.raises(ArgumentError, match=rf"{make.__name__}, {argument}: expected"):
        make(**{argument: value})


OWN = [
    (EarlyStopping, "baseline", [NAN, True, "1"]),
    (EarlyStopping, "start_from_epoch", [-1, 0.5, True]),
    (EarlyStopping, "restore_best", [1, None, "yes"]),
    (ReduceLROnPlateau, "factor", [0.0, 1.0, 2.0, -0.5, NAN, True, "0.1", None]),
    (ReduceLROnPlateau, "min_lr", [-1e-3, NAN, INF, True, None]),
    (ReduceLROnPlateau, "cooldown", [-1, 0.5, True]),
    (RaiseLROnPlateau, "factor", [1.0, 0.5, -2.0, NAN, INF, True, None]),
    (RaiseLROnPlateau, "max_lr", [0.0, -1.0, NAN, True, None]),
    (RaiseLROnPlateau, "cooldown", [-1, 0.5, True]),
    (LearningRateScheduler, "schedule", [None, 0.1, "epoch", [0.1], int, lambda: 0.1, lambda a, b, c: 0.1]),
]


@pytest.mark.parametrize(
    ("make", "argument", "value"), [(make, name, value) for make, name, values in OWN for value in values]
)
def test_own_arguments_are_checked_when_given(make: type, argument: str, value: object) -> None:
    with pytest.raises(ArgumentError, match=rf"{make.__name__}, {argument}: expected"):
        make(**{argument: value})


def test_a_typo_of_a_mode_is_told() -> None:
    with pytest.raises(ArgumentError, match="Did you mean 'max'"):
        EarlyStopping(mode="maxx")


@pytest.mark.parametrize("number", [np.int64(2), np.int32(2)])
def test_numbers_of_numpy_are_numbers(number: object) -> None:
    EarlyStopping(patience=number, min_delta=np.float32(0.5), baseline=number)  # pyright: ignore[reportArgumentType]
