"""Checks of metrics' arguments, with one wording for all."""

import math
from typing import Any, TypeGuard

import numpy as np

from jgraph.errors import ArgumentError, LossError, ShapeError
from jgraph.metrics.metric import Metric, shape_of


def check_number(metric: Metric, argument: str, low: float = -math.inf, high: float = math.inf) -> None:
    """Checks that an argument is a number from `low` to `high`.

    Raises:
        ArgumentError: it is not.
    """
    value = getattr(metric, argument)
    if not _is_real(value) or not low <= value <= high:
        where, bounds = f"{type(metric).__name__}, {argument}", f" from {low:g} to {high:g}" * (low > -math.inf)
        bounds = f" of at least {low:g}" if -math.inf < low and high == math.inf else bounds
        cure = f"Write {argument}={0.5 if high == 1 else max(low, 1.0):g}, for example."
        if isinstance(value, (list, tuple)):
            cure = f"A metric is one number: make one for each {argument}, each with a name=."
        raise ArgumentError(where, expected=f"a finite number{bounds}", got=repr(value), cure=cure)


def check_integer(metric: Metric, argument: str, least: int = 1, below: int | None = None) -> None:
    """Checks that an argument is an integer of at least `least`, and smaller than `below`.

    Raises:
        ArgumentError: it is not.
    """
    value: Any = getattr(metric, argument)
    if (
        not isinstance(value, (int, np.integer))
        or isinstance(value, bool)
        or value < least
        or (below is not None and value >= below)
    ):
        bounds = f" of at least {least}" if below is None else f" from {least} to {below - 1}"
        raise ArgumentError(
            f"{type(metric).__name__}, {argument}",
            expected=f"an integer{bounds}",
            got=repr(value),
            cure=f"Write {argument}={least}, for example.",
        )


def check_numbers(metric: Metric, argument: str, low: float, high: float = math.inf) -> None:
    """Checks that an argument is a list of numbers from `low` to `high`.

    Raises:
        ArgumentError: it is not.
    """
    value = getattr(metric, argument)
    listed = isinstance(value, tuple) and value
    if not listed or not all(_is_real(v) and low <= v <= high for v in value):
        bounds = f" of at least {low:g}" if high == math.inf else f" from {low:g} to {high:g}"
        raise ArgumentError(
            f"{type(metric).__name__}, {argument}",
            expected=f"a list of numbers{bounds}",
            got=repr(value),
            cure=f"Write {argument}=[{max(low, 0.25):g}, {min(high, 0.75):g}], for example.",
        )


def as_tuple(metric: Metric, argument: str) -> None:
    """Makes a list or array that was given as an argument a tuple, so that the metric stays a value."""
    value = getattr(metric, argument)
    if isinstance(value, list | tuple | range) or getattr(value, "ndim", 0) == 1:
        items: list[Any] = list(value)
        object.__setattr__(metric, argument, tuple(i.item() if hasattr(i, "item") else i for i in items))


def columns_of(metric: Metric, output: Any) -> int:
    """The size of an output's last axis; 1 for one number per example.

    Raises:
        LossError: it is not known.
    """
    size = output.shape[-1] if len(output.shape) > 1 else 1
    if not isinstance(size, int):
        raise LossError(
            f"{metric.name!r}, a metric",
            expected="an output whose last axis has a known size",
            got=shape_of(output),
            cure="Give the axis its size where the input is drawn.",
        )
    return size


def check_columns(metric: Metric, outputs: Any, columns: int) -> None:
    """Checks that outputs have the last axis that a metric was made for.

    Raises:
        ShapeError: they have another one.
    """
    if columns_of(metric, outputs) != columns:
        raise ShapeError(
            f"{metric.name!r}, a metric",
            expected=f"outputs whose last axis has {columns} entries",
            got=shape_of(outputs),
            cure="Call metric.for_output(outputs) first.",
        )


def bound(metric: Metric, argument: str) -> int:
    """A size that the metric needs to make its sums: given as an argument, or found by `for_output`.

    Raises:
        ArgumentError: neither was done.
    """
    value = getattr(metric, argument)
    if value is None:
        raise ArgumentError(
            f"{type(metric).__name__}, {argument}",
            expected="a size before there are sums",
            got="None",
            cure=f"Write {argument}=10, for example, or call metric.for_output(outputs), as a trainer does.",
        )
    return value


def refuse(metric: Metric, output: Any, expected: str, cure: str) -> LossError:
    """The error of a metric that has no meaning for an output."""
    return LossError(f"{metric.name!r}, a metric", expected=expected, got=shape_of(output), cure=cure)


def _is_real(value: Any) -> TypeGuard[float]:
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return real and math.isfinite(value)
