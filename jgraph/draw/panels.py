"""What a picture of a run shows: which logs belong together, where their panels stand, and which epoch was best."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from jgraph.errors import ArgumentError, MonitorError, check_one_of, check_text, listing, nearest

RATES = ("learning_rate", "lr_scale")
HUGE = 1e100
"""Numbers from here on are not drawn, like those that are not finite."""

History = Mapping[str, Sequence[float]]
Kind = Literal["total", "loss", "metric", "rate"]


@dataclasses.dataclass(frozen=True)
class Panel:
    """One small picture: a log, as measured in training and in validation (empty where it was not).

    >>> [panel] = panels({"loss": [0.5, 0.25], "val_loss": [0.75, 0.5]})
    >>> panel.name, panel.kind, panel.validation
    ('loss', 'total', (0.75, 0.5))
    """

    name: str
    kind: Kind
    training: tuple[float, ...] = ()
    validation: tuple[float, ...] = ()

    def value_at(self, epoch: int) -> float:
        """Its number at an epoch, counted from 0: that of the validation if it has one; NaN where none can be drawn."""
        found = [values[epoch] for values in (self.validation, self.training) if values]
        return next((value for value in found if drawable(value)), math.nan)


@dataclasses.dataclass(frozen=True)
class Row:
    """Panels that stand side by side in so many columns; with one column a panel is as wide as the picture."""

    panels: tuple[Panel, ...]
    columns: int


def panels(history: History) -> list[Panel]:
    """The panels of a history: the total loss, each output's loss, the metrics, the learning rate.

    Every log is in exactly one panel. The metrics come round by round, the first ones of all outputs before the second
    ones, so that in a grid with one column an output they stand below their output's loss.

    >>> [panel.name for panel in panels({"a/loss": [1.0], "val_loss": [3.0], "a/mae": [1.0], "loss": [2.0]})]
    ['loss', 'a/loss', 'a/mae']
    """
    names = list(dict.fromkeys(_measured(name, history) for name in history))
    order: dict[Kind, list[str]] = {
        "total": [name for name in names if name == "loss"],
        "loss": [name for name in names if name.endswith("/loss")],
        "metric": _by_rounds([name for name in names if name not in ("loss", *RATES) and not name.endswith("/loss")]),
        "rate": [name for name in RATES if name in names],
    }
    return [
        Panel(name, kind, tuple(history.get(name, ())), tuple(history.get(f"val_{name}", ())))
        for kind, found in order.items()
        for name in found
    ]


def chosen(history: History, logs: Sequence[str]) -> History:
    """The history of some logs, each with what it was in validation.

    Raises:
        ArgumentError: there is no such log, or none is named.

    >>> list(chosen({"loss": [1.0], "val_loss": [2.0], "mae": [3.0]}, ["loss"]))
    ['loss', 'val_loss']
    """
    if not isinstance(logs, list | tuple) or not logs:
        cure = "Write logs=['loss'], or leave it out for all."
        raise ArgumentError("curves, logs", expected="a list of names", got=repr(logs), cure=cure)
    for name in logs:
        if name not in history:
            cure = f"{nearest(name, history)}Name some of {listing(history)}."
            raise ArgumentError("curves, logs", expected="logs of the run", got=repr(name), cure=cure)
    return {name: values for name, values in history.items() if name in logs or _measured(name, history) in logs}


def _measured(name: str, history: History) -> str:
    """What a log measures: `loss` for `val_loss` (but an output may itself be called `val_...`)."""
    bare = name.removeprefix("val_")
    return bare if bare in history or f"val_{name}" not in history else name


def _by_rounds(names: list[str]) -> list[str]:
    outputs = [name.rpartition("/")[0] for name in names]
    rounds = {name: outputs[:place].count(outputs[place]) for place, name in enumerate(names)}
    return sorted(names, key=lambda name: rounds[name])


def drawable(value: float) -> bool:
    """Whether a number has a place in a picture: it is finite, and not absurd."""
    return abs(value) < HUGE


def rows(drawn: Sequence[Panel]) -> list[Row]:
    """The panels row by row. The total loss of several outputs fills its row, as does a rate.

    >>> [len(row.panels) for row in rows(panels({name: [1.0] for name in ("loss", "a/loss", "b/loss", "a/mae")}))]
    [1, 2, 1]
    """
    total, outputs, metrics, rates = (
        [panel for panel in drawn if panel.kind == kind] for kind in ("total", "loss", "metric", "rate")
    )
    several = len(outputs) > 1
    groups = [outputs, metrics] if several else [[*total, *outputs, *metrics]]
    columns = _columns(len(groups[0]), several)
    small = [tuple(group[start : start + columns]) for group in groups for start in range(0, len(group), columns)]
    wide = [_alone(panel) for panel in total if several]
    return [*wide, *(Row(row, columns) for row in small), *(_alone(panel) for panel in rates)]


def _alone(panel: Panel) -> Row:
    return Row((panel,), 1)


def _columns(count: int, outputs: bool) -> int:
    """How many panels stand side by side, so that no row is nearly empty; up to four outputs stand in one row."""
    return max(count, 1) if count < (5 if outputs else 4) else {4: 2, 5: 3, 6: 3, 9: 3}.get(count, 4)


def best_epoch(history: History, monitor: str = "val_loss", mode: str = "auto") -> tuple[str, int] | None:
    """The log that was watched and its best epoch, counted from 0, the first of equals; `None` without a number.

    `mode` is `min`, `max` or `auto`, which is `min` for a loss. Where there was no validation, `val_loss` is `loss`.

    Raises:
        ArgumentError: the mode is none of these.
        MonitorError: there is no such log, or it is not known whether more of it is better.

    >>> best_epoch({"loss": [0.5, 0.25, 0.25], "accuracy": [0.5, 0.75, float("nan")]})
    ('loss', 1)
    """
    check_one_of("best epoch", "mode", mode, ("auto", "min", "max"), "Give mode='max' where more is better.")
    check_text("best epoch", monitor=monitor)
    name = monitor if monitor in history else monitor.removeprefix("val_")
    if name not in history:
        cure = f"{nearest(monitor, history)}Watch one of {listing(history)}."
        raise MonitorError("best epoch, monitor", expected="a log of the run", got=repr(monitor), cure=cure)
    if mode == "auto" and not re.fullmatch(r"(.*/|val_)?loss", name):
        cure = "Give mode='min' or mode='max'."
        raise MonitorError("best epoch, mode", expected=f"a direction for {name!r}", got="'auto'", cure=cure)
    sign = -1.0 if mode == "max" else 1.0
    numbers = [(sign * value, epoch) for epoch, value in enumerate(history[name]) if math.isfinite(value)]
    return (name, min(numbers)[1]) if numbers else None
