"""Which logs share a panel, where panels stand, and which epoch was best."""

import math

import numpy as np
import pytest

from jgraph.draw.panels import Panel, best_epoch, panels, rows
from jgraph.errors import ArgumentError, MonitorError

NAN = math.nan


def history(*names: str, validation: bool = True) -> dict[str, list[float]]:
    random = np.random.default_rng(len(names))
    every = [*names, *(f"val_{name}" for name in names if validation)]
    return {name: random.uniform(0.1, 1, 3).tolist() for name in every}


HISTORIES = {
    "one": history("loss", validation=False),
    "two": history("loss", "accuracy"),
    "several": history("loss", "a/loss", "b/loss", "a/accuracy", "a/top5", "b/mae"),
    "rates": history("loss", "accuracy") | {"learning_rate": [1.0, 0.5, 0.25], "lr_scale": [1.0, 1.0, 1.0]},
    "twelve": history("loss", *(f"{o}/{m}" for o in "abcd" for m in ("loss", "mae")), "w/auc", "x/auc", "y/auc"),
    "eight outputs": history("loss", *(f"{o}/loss" for o in "abcdefgh")),
    "no loss": history("accuracy", validation=False),
    "validation alone": {"val_loss": [1.0]},
    "an output called val_a": history("loss", "val_a/loss", "b/loss"),
}
EVERY_HISTORY = pytest.mark.parametrize("name", HISTORIES)


@EVERY_HISTORY
def test_every_log_is_in_exactly_one_panel(name: str) -> None:
    logs = HISTORIES[name]
    drawn = panels(logs)
    shown = [p.name for p in drawn if p.training] + [f"val_{p.name}" for p in drawn if p.validation]
    assert sorted(shown) == sorted(logs)
    for panel in drawn:
        assert list(panel.training) == logs.get(panel.name, [])
        assert list(panel.validation) == logs.get(f"val_{panel.name}", [])


@EVERY_HISTORY
def test_every_panel_is_in_exactly_one_row(name: str) -> None:
    drawn = panels(HISTORIES[name])
    placed = rows(drawn)
    assert [panel for row in placed for panel in row.panels] == drawn
    widest = max(row.columns for row in placed)
    for row in placed:
        assert 1 <= len(row.panels) <= row.columns <= 4
        assert row.columns in (1, widest)


def test_the_order_is_total_outputs_metrics_round_by_round_rate() -> None:
    logs = history("a/top5", "learning_rate", "a/accuracy", "b/loss", "b/mae", "a/loss", "loss", validation=False)
    assert [(panel.name, panel.kind) for panel in panels(logs)] == [
        ("loss", "total"),
        ("b/loss", "loss"),
        ("a/loss", "loss"),
        ("a/top5", "metric"),
        ("b/mae", "metric"),
        ("a/accuracy", "metric"),
        ("learning_rate", "rate"),
    ]


def test_the_metrics_stand_below_the_losses_of_their_outputs() -> None:
    metrics = [f"{output}/{metric}" for output in "abc" for metric in ("accuracy", "top5")]
    placed = rows(panels(history("loss", "a/loss", "b/loss", "c/loss", *metrics)))
    assert [[panel.name for panel in row.panels] for row in placed] == [
        ["loss"],
        ["a/loss", "b/loss", "c/loss"],
        ["a/accuracy", "b/accuracy", "c/accuracy"],
        ["a/top5", "b/top5", "c/top5"],
    ]


@pytest.mark.parametrize(("training", "validation", "value"), [(1.0, 2.0, 2.0), (1.0, NAN, 1.0), (1.0, 1e300, 1.0)])
def test_the_value_of_a_panel_is_that_of_the_validation(training: float, validation: float, value: float) -> None:
    assert Panel("loss", "total", (training,), (validation,)).value_at(0) == value


def test_a_panel_without_a_number_has_no_value() -> None:
    assert math.isnan(Panel("loss", "total", (NAN,)).value_at(0))


LOGS = {"loss": [3.0, 1.0, 1.0, NAN], "val_loss": [NAN, 2.0, 3.0, 1.5], "auc": [0.1, math.inf, 0.3, 0.3]}


@pytest.mark.parametrize(
    ("monitor", "mode", "epoch"),
    [("val_loss", "auto", 3), ("loss", "auto", 1), ("loss", "max", 0), ("auc", "max", 2), ("auc", "min", 0)],
)
def test_best_epoch_is_the_first_best_finite_number(monitor: str, mode: str, epoch: int) -> None:
    assert best_epoch(LOGS, monitor, mode) == (monitor, epoch)


def test_without_validation_the_log_of_training_is_watched() -> None:
    assert best_epoch({"loss": LOGS["loss"]}) == ("loss", 1)
    assert best_epoch({"a/loss": [2.0, 1.0]}, "val_a/loss") == ("a/loss", 1)


def test_without_a_finite_number_no_epoch_is_best() -> None:
    assert best_epoch({"loss": [NAN, math.inf]}) is None
    assert best_epoch({"loss": []}) is None


@pytest.mark.parametrize(
    ("monitor", "message"), [("val_los", "Did you mean 'val_loss'?"), ("mae", "'loss', 'val_loss'")]
)
def test_a_log_that_is_not_there(monitor: str, message: str) -> None:
    with pytest.raises(MonitorError, match=message.replace("?", r"\?")):
        best_epoch(LOGS, monitor)


@pytest.mark.parametrize("monitor", ["auc", "closs"])
def test_a_log_whose_direction_is_not_known(monitor: str) -> None:
    with pytest.raises(MonitorError, match="Give mode='min' or mode='max'"):
        best_epoch({**LOGS, "closs": [1.0] * 4}, monitor)


def test_a_mode_that_is_none() -> None:
    with pytest.raises(ArgumentError, match="expected one of 'auto', 'min', 'max', got 'lowest'"):
        best_epoch(LOGS, mode="lowest")
