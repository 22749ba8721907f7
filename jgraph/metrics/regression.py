"""Distances between numbers, as means over the examples, as in Keras 3."""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp
import optax

from jgraph.errors import ArgumentError
from jgraph.metrics.checks import check_number
from jgraph.metrics.metric import PerExample, mean_last
from jgraph.typing import Array

EPSILON = 1e-7
"""`keras.config.epsilon()`: where Keras keeps a divisor or the argument of a logarithm away from 0."""


@dataclasses.dataclass(frozen=True)
class MeanSquaredError(PerExample):
    """`mean((outputs - targets)^2)` over the last axis: both [..., n]. As `keras.metrics.MeanSquaredError`.

    >>> import jgraph as jg
    >>> float(jg.metrics.MeanSquaredError()([[0, 1], [0, 0]], [[1.0, 1.0], [0.0, 0.0]]))
    0.25
    """

    _: dataclasses.KW_ONLY
    name: str = "mean_squared_error"
    direction: Literal["min", "max"] | None = "min"

    def each(self, targets: Array, outputs: Array) -> Array:
        """The squared distance, averaged over the last axis."""
        return mean_last(jnp.square(outputs - targets.astype(outputs.dtype)))


@dataclasses.dataclass(frozen=True)
class RootMeanSquaredError(PerExample):
    """`sqrt(mean((outputs - targets)^2))` over all examples. As `keras.metrics.RootMeanSquaredError`.

    >>> import jgraph as jg
    >>> float(jg.metrics.RootMeanSquaredError()([[0, 1], [0, 0]], [[1.0, 1.0], [0.0, 0.0]]))
    0.5
    """

    _: dataclasses.KW_ONLY
    name: str = "root_mean_squared_error"
    direction: Literal["min", "max"] | None = "min"

    def each(self, targets: Array, outputs: Array) -> Array:
        """The squared distance, averaged over the last axis."""
        return mean_last(jnp.square(outputs - targets.astype(outputs.dtype)))

    def compute(self, sums: Any) -> Any:
        """The root of the mean; NaN where there was no example."""
        return sums.__array_namespace__().sqrt(super().compute(sums))


@dataclasses.dataclass(frozen=True)
class MeanAbsoluteError(PerExample):
    """`mean(|outputs - targets|)` over the last axis: both [..., n]. As `keras.metrics.MeanAbsoluteError`.

    >>> import jgraph as jg
    >>> float(jg.metrics.MeanAbsoluteError()([[0, 1], [0, 0]], [[1.0, 1.0], [0.0, 0.0]]))
    0.25
    """

    _: dataclasses.KW_ONLY
    name: str = "mean_absolute_error"
    direction: Literal["min", "max"] | None = "min"

    def each(self, targets: Array, outputs: Array) -> Array:
        """The distance, averaged over the last axis."""
        return mean_last(jnp.abs(outputs - targets.astype(outputs.dtype)))


@dataclasses.dataclass(frozen=True)
class MeanAbsolutePercentageError(PerExample):
    """`100 mean(|outputs - targets| / max(|targets|, 1e-7))` over the last axis: both [..., n]. As in Keras.

    >>> import jgraph as jg
    >>> float(jg.metrics.MeanAbsolutePercentageError()([[1.0, 2.0]], [[1.5, 2.0]]))
    25.0
    """

    _: dataclasses.KW_ONLY
    name: str = "mean_absolute_percentage_error"
    direction: Literal["min", "max"] | None = "min"

    def each(self, targets: Array, outputs: Array) -> Array:
        """The distance in percent of the target, averaged over the last axis."""
        targets = targets.astype(outputs.dtype)
        return 100.0 * mean_last(jnp.abs(outputs - targets) / jnp.maximum(jnp.abs(targets), EPSILON))


@dataclasses.dataclass(frozen=True)
class MeanSquaredLogarithmicError(PerExample):
    """`mean((log(1 + outputs) - log(1 + targets))^2)` over the last axis, of numbers of at least 1e-7. As in Keras.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.MeanSquaredLogarithmicError()([[0, 1], [0, 0]], [[1.0, 1.0], [0.0, 0.0]])), 4)
    0.1201
    """

    _: dataclasses.KW_ONLY
    name: str = "mean_squared_logarithmic_error"
    direction: Literal["min", "max"] | None = "min"

    def each(self, targets: Array, outputs: Array) -> Array:
        """The squared distance of logarithms, averaged over the last axis."""
        logs = [jnp.log(jnp.maximum(x.astype(outputs.dtype), EPSILON) + 1.0) for x in (outputs, targets)]
        return mean_last(jnp.square(logs[0] - logs[1]))


@dataclasses.dataclass(frozen=True)
class LogCoshError(PerExample):
    """`mean(log(cosh(outputs - targets)))` over the last axis: both [..., n]. As `keras.metrics.LogCoshError`.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.LogCoshError()([[0, 1], [0, 0]], [[1.0, 1.0], [0.0, 0.0]])), 4)
    0.1084
    """

    _: dataclasses.KW_ONLY
    name: str = "logcosh"
    direction: Literal["min", "max"] | None = "min"

    def each(self, targets: Array, outputs: Array) -> Array:
        """`log(cosh(distance))`, averaged over the last axis."""
        return mean_last(optax.losses.log_cosh(outputs, targets.astype(outputs.dtype)))


@dataclasses.dataclass(frozen=True)
class Huber(PerExample):
    """`mean(0.5 e^2 if |e| <= delta else delta |e| - 0.5 delta^2)` with `e = outputs - targets` (Huber 1964).

    As the function `keras.metrics.huber`.

    Raises:
        ArgumentError: `delta` is not a number of at least 0.

    >>> import jgraph as jg
    >>> float(jg.metrics.Huber()([[0.0, 0.0]], [[1.0, 2.0]]))
    1.0
    """

    delta: float = 1.0
    _: dataclasses.KW_ONLY
    name: str = "huber"
    direction: Literal["min", "max"] | None = "min"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "delta", 0.0)

    def each(self, targets: Array, outputs: Array) -> Array:
        """The loss of Huber, averaged over the last axis."""
        return mean_last(optax.losses.huber_loss(outputs, targets.astype(outputs.dtype), delta=self.delta))


@dataclasses.dataclass(frozen=True)
class CosineSimilarity(PerExample):
    """`sum(targets * outputs) / (|targets| |outputs|)` along an axis of each example, averaged over the other axes.

    It is 0 where a vector is 0. As `keras.metrics.CosineSimilarity`: 1 for the same direction.

    Raises:
        ArgumentError: the axis is not an integer, or that of the batch.

    >>> import jgraph as jg
    >>> float(jg.metrics.CosineSimilarity()([[0.0, 1.0], [2.0, 0.0]], [[1.0, 0.0], [3.0, 0.0]]))
    0.5
    """

    _: dataclasses.KW_ONLY
    name: str = "cosine_similarity"
    direction: Literal["min", "max"] | None = "max"
    axis: int = -1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_axis(self)

    def each(self, targets: Array, outputs: Array) -> Array:
        """The cosine of the angle between targets and outputs."""
        targets = targets.astype(outputs.dtype)
        norms = [jnp.linalg.norm(x, axis=self.axis) for x in (targets, outputs)]
        norm = norms[0] * norms[1]
        cosine = jnp.sum(targets * outputs, axis=self.axis) / jnp.where(norm > 0, norm, 1.0)
        return left_over(jnp.where(norm > 0, cosine, 0.0), outputs, self.axis)


@dataclasses.dataclass(frozen=True)
class Hinge(PerExample):
    """`mean(max(1 - targets * outputs, 0))` over the last axis: targets -1 or 1, where 0 means -1. As in Keras.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.Hinge()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    1.3
    """

    _: dataclasses.KW_ONLY
    name: str = "hinge"
    direction: Literal["min", "max"] | None = "min"

    def each(self, targets: Array, outputs: Array) -> Array:
        """How far the outputs are from the margin, averaged over the last axis."""
        return mean_last(_margin(targets, outputs))


@dataclasses.dataclass(frozen=True)
class SquaredHinge(PerExample):
    """`mean(max(1 - targets * outputs, 0)^2)` over the last axis: targets -1 or 1, where 0 means -1. As in Keras.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.SquaredHinge()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    1.86
    """

    _: dataclasses.KW_ONLY
    name: str = "squared_hinge"
    direction: Literal["min", "max"] | None = "min"

    def each(self, targets: Array, outputs: Array) -> Array:
        """The squared distance to the margin, averaged over the last axis."""
        return mean_last(jnp.square(_margin(targets, outputs)))


@dataclasses.dataclass(frozen=True)
class CategoricalHinge(PerExample):
    """`max(1 + max((1 - targets) * outputs) - sum(targets * outputs), 0)`: both [..., classes]. As in Keras.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.CategoricalHinge()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    1.4
    """

    _: dataclasses.KW_ONLY
    name: str = "categorical_hinge"
    direction: Literal["min", "max"] | None = "min"

    def each(self, targets: Array, outputs: Array) -> Array:
        """How far the target's score is from being larger by 1 than all others."""
        targets = targets.astype(outputs.dtype)
        others = jnp.max((1.0 - targets) * outputs, axis=-1)
        return jnp.maximum(1.0 + others - jnp.sum(targets * outputs, axis=-1), 0.0)


def _margin(targets: Array, outputs: Array) -> Array:
    """Keras turns 0 into -1 where a whole batch is of 0 and 1; target by target no batch matters."""
    signs = jnp.where(targets == 0, -1, targets).astype(outputs.dtype)
    return jnp.maximum(1.0 - signs * outputs, 0.0)


def check_axis(metric: Any) -> None:
    """Checks that `axis` is an axis within an example.

    Raises:
        ArgumentError: it is not an integer, or that of the batch.
    """
    if not isinstance(metric.axis, int) or isinstance(metric.axis, bool) or metric.axis == 0:
        raise ArgumentError(
            f"{type(metric).__name__}, axis",
            expected="an axis within an example, which -1 or 1 is, and 0, that of the batch, is not",
            got=repr(metric.axis),
            cure="Write axis=-1; over all examples of the data there is PearsonR.",
        )


def left_over(values: Array, outputs: Array, axis: int) -> Array:
    """Values [...] along the last axis as they are; along another one, averaged over all axes of each example."""
    last = axis in (-1, outputs.ndim - 1)
    return values if last else jnp.mean(values, axis=tuple(range(1, values.ndim)))


mean_squared_error = MeanSquaredError(name="mse")
"""`mean((outputs - targets)^2)` over the last axis."""

mean_absolute_error = MeanAbsoluteError(name="mae")
"""`mean(|outputs - targets|)` over the last axis."""
