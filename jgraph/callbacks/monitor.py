"""What callbacks that watch a log share: which way is better, what an improvement is, and how arguments are checked.

A best value that there is not yet is NaN, which everything but NaN improves on.
"""

import math
import numbers
from collections.abc import Mapping
from typing import Any

from jgraph.errors import ArgumentError, MonitorError, check_one_of, listing, nearest
from jgraph.train.callback import Event, Setup

MODES = ("auto", "min", "max")


def improves(value: float, best: float, mode: str, min_delta: float = 0.0) -> bool:
    """Whether a value is better than the best one by more than `min_delta`: `value < best - min_delta` for `min`.

    NaN is never better, and any number is better than NaN.

    >>> improves(0.5, 0.6, "min"), improves(0.5, 0.6, "min", min_delta=0.2), improves(0.5, float("nan"), "min")
    (True, False, True)
    """
    if math.isnan(value) or math.isnan(best):
        return not math.isnan(value)
    return value + min_delta < best if mode == "min" else value - min_delta > best


def direction(where: str, monitor: str, mode: str, directions: Mapping[str, str]) -> str:
    """`min` or `max`: the mode, or for `auto` what the log is known for.

    Raises:
        MonitorError: it is not known for either.
    """
    if mode != "auto":
        return mode
    if monitor not in directions:
        raise MonitorError(
            f"{where}, mode",
            expected=f"to know whether {monitor!r} is better low or high",
            got="mode='auto' for a log that does not say",
            cure="Write mode='min' or mode='max'.",
        )
    return directions[monitor]


def watched(where: str, monitor: str, mode: str, event: Event) -> tuple[float, str] | None:
    """The value of a log at the end of an epoch, and `min` or `max`; `None` where the epoch was not validated.

    Raises:
        MonitorError: there is no such log, or it is not known which way is better.
    """
    if monitor in event.skipped:
        return None
    if monitor not in event.logs:
        raise _no_log(where, monitor, event.logs)
    return float(event.logs[monitor]), direction(where, monitor, mode, event.directions)


def check_monitor(where: str, monitor: Any, mode: Any) -> None:
    """Checks the arguments `monitor` and `mode`.

    Raises:
        ArgumentError: the monitor is no text, or the mode none of `auto`, `min` and `max`.
    """
    if not isinstance(monitor, str) or not monitor:
        raise ArgumentError(
            f"{where}, monitor",
            expected="the name of a log",
            got=repr(monitor),
            cure="Write monitor='val_loss', for example.",
        )
    cure = "Say whether the smallest ('min') or the largest ('max') value is the best."
    check_one_of(where, "mode", mode, MODES, cure)


def check_log(where: str, monitor: str, mode: str, setup: Setup) -> None:
    """Checks, before training, that there will be a log, and that it is known which way is better.

    Raises:
        MonitorError: it is not so.
    """
    if monitor not in setup.logs:
        raise _no_log(where, monitor, setup.logs)
    direction(where, monitor, mode, setup.directions)


def check_count(where: str, argument: str, value: Any, least: int = 0) -> None:
    """Checks an argument that counts something.

    Raises:
        ArgumentError: it is not an integer of at least `least`.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise ArgumentError(
            f"{where}, {argument}",
            expected=f"an integer of at least {least}",
            got=repr(value),
            cure=f"Write {argument}={max(least, 3)}, for example.",
        )


def check_number(where: str, argument: str, value: Any, allowed: str, example: float) -> None:
    """Checks an argument that is a number; `allowed` is one of `ALLOWED`, and NaN is never one of them.

    Raises:
        ArgumentError: it is not.
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not ALLOWED[allowed](float(value)):
        raise ArgumentError(
            f"{where}, {argument}",
            expected=f"a number{allowed}",
            got=repr(value),
            cure=f"Write {argument}={example:g}, for example.",
        )


ALLOWED = {
    "": lambda x: not math.isnan(x),
    " of at least 0": lambda x: 0 <= x < math.inf,
    " above 0": lambda x: 0 < x < math.inf,
    " above 0, or inf": lambda x: x > 0,
    " between 0 and 1, both excluded": lambda x: 0 < x < 1,
    " above 1": lambda x: 1 < x < math.inf,
}
"""The ranges that numbers may be in, by how an error calls them."""


def epochs(count: int) -> str:
    """`1 epoch`, `2 epochs`."""
    return f"{count} epoch{'' if count == 1 else 's'}"


def _no_log(where: str, monitor: str, logs: Any) -> MonitorError:
    if monitor.startswith("val_") and not any(name.startswith("val_") for name in logs):
        cure = "Give fit validation_data or validation_split."
    else:
        cure = f"{nearest(monitor, logs)}Watch one of these."
    expected = f"one of the logs {listing(logs, 20)}"
    return MonitorError(f"{where}, monitor", expected=expected, got=repr(monitor), cure=cure)
