"""Correlations, and how much of the targets' variance the outputs explain."""

import abc
import dataclasses
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp

from jgraph.errors import check_one_of
from jgraph.metrics.checks import bound, check_columns, check_integer, check_number, columns_of, refuse
from jgraph.metrics.metric import Metric, PerExample, check_shapes, check_values, ratio, spread, where_seen
from jgraph.metrics.regression import EPSILON, check_axis, left_over
from jgraph.typing import Array, Spec


class _AlongAxis(PerExample):
    """The base of what is computed along an axis of each example."""

    axis: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_axis(self)

    def for_output(self, output: Spec) -> Self:
        """Itself, where an example has several numbers."""
        _check_several(self, output)
        return self


@dataclasses.dataclass(frozen=True)
class PearsonCorrelation(_AlongAxis):
    """The linear correlation of targets and outputs along an axis of each example, averaged over the examples.

    As `keras.metrics.PearsonCorrelation`; NaN where one of them is constant. `PearsonR` is that of all examples.

    Raises:
        ArgumentError: the axis is not an integer, or that of the batch. LossError: an example is one number.

    >>> import jgraph as jg
    >>> metric = jg.metrics.PearsonCorrelation()
    >>> round(float(metric([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]])), 4)
    0.9967
    """

    _: dataclasses.KW_ONLY
    name: str = "pearson_correlation"
    direction: Literal["min", "max"] | None = "max"
    axis: int = -1

    def each(self, targets: Array, outputs: Array) -> Array:
        """The correlation of an example."""
        t, o = (_centred(x.astype(outputs.dtype), self.axis) for x in (targets, outputs))
        spreads = jnp.sqrt(jnp.sum(t * t, axis=self.axis)) * jnp.sqrt(jnp.sum(o * o, axis=self.axis))
        return left_over(jnp.sum(t * o, axis=self.axis) / spreads, outputs, self.axis)


@dataclasses.dataclass(frozen=True)
class ConcordanceCorrelation(_AlongAxis):
    """`2 cov / (var(targets) + var(outputs) + (difference of means)^2)` along an axis of each example (Lin 1989).

    As `keras.metrics.ConcordanceCorrelation`, averaged over the examples: 1 where outputs are the targets.

    Raises:
        ArgumentError: the axis is not an integer, or that of the batch. LossError: an example is one number.

    >>> import jgraph as jg
    >>> metric = jg.metrics.ConcordanceCorrelation()
    >>> round(float(metric([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]])), 4)
    0.9816
    """

    _: dataclasses.KW_ONLY
    name: str = "concordance_correlation"
    direction: Literal["min", "max"] | None = "max"
    axis: int = -1

    def each(self, targets: Array, outputs: Array) -> Array:
        """The concordance of an example."""
        targets = targets.astype(outputs.dtype)
        t, o = (_centred(x, self.axis) for x in (targets, outputs))
        apart = jnp.square(jnp.mean(targets, axis=self.axis) - jnp.mean(outputs, axis=self.axis))
        spreads = jnp.mean(t * t, axis=self.axis) + jnp.mean(o * o, axis=self.axis) + apart
        return left_over(2.0 * jnp.mean(t * o, axis=self.axis) / (spreads + EPSILON), outputs, self.axis)


class _Moments(Metric):
    """The base of what is made of means, variances and the covariance of every column: [..., columns].

    Sums are `[weight, mean of targets, mean of outputs, and sums of squares: (t - mean)^2, (o - mean)^2,
    (t - mean) (o - mean), (t - o)^2]` for each column. They are merged as Chan, Golub and LeVeque (1979) do, which
    loses nothing where means are large beside the variances.
    """

    columns: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.columns is not None:
            check_integer(self, "columns")

    def for_output(self, output: Spec) -> Self:
        """The metric for as many columns as the output has."""
        return dataclasses.replace(self, columns=columns_of(self, output))

    def init(self) -> Array:
        """The sums of no examples."""
        return jnp.zeros(7 * bound(self, "columns"), jnp.float32)

    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added.

        Raises:
            ShapeError: the targets do not fit the outputs. LossError: the weights do not.
        """
        t, o, w = columns_and_weights(self, targets, outputs, weights, bound(self, "columns"))
        total = jnp.sum(w, axis=0)
        t_mean, o_mean = (ratio(jnp.sum(w * x, axis=0), total) for x in (t, o))
        apart, t, o = t - o, t - t_mean, o - o_mean
        squares = [jnp.sum(w * x, axis=0) for x in (t * t, o * o, t * o, apart * apart)]
        return self.merge(sums, jnp.concatenate([total, t_mean, o_mean, *squares]))

    def merge(self, a: Array, b: Array) -> Array:
        """The sums of two sets of examples together."""
        a, b = a.reshape(7, -1), b.reshape(7, -1)
        total = a[0] + b[0]
        part, apart = ratio(b[0], total), b[1:3] - a[1:3]
        means = jnp.where(part == 1.0, b[1:3], a[1:3] + apart * part)
        across = a[0] * part * jnp.stack([apart[0] ** 2, apart[1] ** 2, apart[0] * apart[1], 0.0 * part])
        return jnp.concatenate([total[None], means, a[3:] + b[3:] + across]).reshape(-1)

    def compute(self, sums: Any) -> Any:
        """The value; NaN where there was no example."""
        rows = sums.reshape(7, -1)
        return where_seen(self.value(rows), rows[0, 0])

    @abc.abstractmethod
    def value(self, rows: Any) -> Any:
        """The value of the sums [7, columns]."""


@dataclasses.dataclass(frozen=True)
class PearsonR(_Moments):
    """The linear correlation of targets and outputs over all examples of the data, averaged over the columns.

    As `scipy.stats.pearsonr`: targets and outputs [..., n], a number for each column of the last axis, NaN where one is
    constant. Keras has it only along an axis of each example: `PearsonCorrelation`.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.PearsonR()([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0])), 4)
    0.8
    """

    _: dataclasses.KW_ONLY
    name: str = "pearson_r"
    direction: Literal["min", "max"] | None = "max"
    columns: int | None = None

    def value(self, rows: Any) -> Any:
        """The covariance in parts of the spreads."""
        numbers = rows.__array_namespace__()
        return ratio(rows[5], numbers.sqrt(rows[3]) * numbers.sqrt(rows[4]), numbers.nan).mean()


@dataclasses.dataclass(frozen=True)
class R2Score(_Moments):
    """`1 - sum((t - o)^2) / sum((t - mean)^2)` over all examples of the data: targets and outputs [..., columns].

    As `keras.metrics.R2Score`: the columns are averaged, with `variance_weighted_average` by the variance of their
    targets. A metric is one number, so Keras' `None`, a number for each column, is not among them. `num_regressors`
    adjusts the score for that many explaining numbers, `1 - (1 - R2) (n - 1) / (n - num_regressors - 1)`, `n` being the
    sum of weights; it is NaN where these are too few (Keras warns and does not adjust it). Where targets are constant a
    column's score is 1 if all outputs are right, as in scikit-learn (Keras: NaN), else 0.

    Raises:
        ArgumentError: an argument has a value that it cannot have.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 4)
    0.5714
    """

    class_aggregation: str = "uniform_average"
    num_regressors: int = 0
    _: dataclasses.KW_ONLY
    name: str = "r2_score"
    direction: Literal["min", "max"] | None = "max"
    columns: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        cure = "A metric is one number: average over the columns."
        check_one_of(
            type(self).__name__,
            "class_aggregation",
            self.class_aggregation,
            ("uniform_average", "variance_weighted_average"),
            cure,
        )
        check_integer(self, "num_regressors", least=0)

    def value(self, rows: Any) -> Any:
        """The score, averaged and adjusted."""
        numbers, spreads, apart = rows.__array_namespace__(), rows[3], rows[6]
        scores = numbers.where(spreads > 0, 1 - ratio(apart, spreads), numbers.where(apart > 0, 0.0, 1.0))
        score = scores.mean()
        if self.class_aggregation == "variance_weighted_average":
            score = ratio((spreads * scores).sum(), spreads.sum(), score)
        if not self.num_regressors:
            return score
        left = rows[0, 0] - self.num_regressors - 1
        return numbers.where(left > 0, 1 - (1 - score) * ratio(rows[0, 0] - 1, left), numbers.nan)


@dataclasses.dataclass(frozen=True)
class SpearmanCorrelation(Metric):
    """The correlation of the ranks of targets and outputs over all examples of the data, averaged over the columns.

    Ranks need all values at once. To keep the memory fixed and to merge exactly, values are first rounded to a grid of
    `bins` cells, and what is computed is the rank correlation of the rounded values, exactly, with ties (Spearman 1904;
    `scipy.stats.spearmanr`). The cells are even in `z / (1 + |z|)` with `z = (value - center) / scale`, so that all
    numbers have one and those around the center have the smallest, `2 scale / bins` wide: give the targets' mean and
    standard deviation. Of 2000 normal values in 128 cells the error is below 0.001. Sums are `bins^2` numbers a column.

    Raises:
        ArgumentError: an argument has a value that it cannot have.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.SpearmanCorrelation()([0.1, 0.2, 0.3, 0.4], [1.0, 9.0, 8.0, 30.0])), 4)
    0.8
    """

    bins: int = 128
    center: float = 0.0
    scale: float = 1.0
    _: dataclasses.KW_ONLY
    name: str = "spearman_correlation"
    direction: Literal["min", "max"] | None = "max"
    columns: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self, "bins", least=2, below=2049)
        if self.columns is not None:
            check_integer(self, "columns")
        check_number(self, "center")
        check_number(self, "scale", 1e-30)

    def for_output(self, output: Spec) -> Self:
        """The metric for as many columns as the output has."""
        columns = columns_of(self, output)
        if columns * self.bins**2 > 2**24:
            raise refuse(
                self, output, f"at most {2**24 // self.bins**2} columns of {self.bins}^2 cells", "Fewer bins=."
            )
        return dataclasses.replace(self, columns=columns)

    def init(self) -> Array:
        """The sums of no examples."""
        return jnp.zeros(bound(self, "columns") * self.bins**2, jnp.float32)

    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added.

        Raises:
            ShapeError: the targets do not fit the outputs. LossError: the weights do not.
        """
        columns = bound(self, "columns")
        t, o, w = columns_and_weights(self, targets, outputs, weights, columns)
        place = (jnp.arange(columns) * self.bins + self._cell(t)) * self.bins + self._cell(o)
        return sums + jax.ops.segment_sum(w.reshape(-1), place.reshape(-1), len(sums))

    def _cell(self, values: Array) -> Array:
        z = (values - self.center) / self.scale
        # Of an infinite number this is NaN; such go to the ends.
        squashed = jnp.where(jnp.isinf(z), jnp.sign(z), z / (1.0 + jnp.abs(z)))
        return jnp.clip(jnp.floor((squashed + 1.0) * (self.bins / 2)), 0, self.bins - 1).astype(jnp.int32)

    def compute(self, sums: Any) -> Any:
        """The correlation; NaN where there was no example, or where one of both is constant."""
        joint, numbers = sums.reshape(-1, self.bins, self.bins), sums.__array_namespace__()
        joint = joint / numbers.maximum(joint.sum((1, 2))[:, None, None], 1e-30)
        margins = joint.sum(2), joint.sum(1)
        ranks = [numbers.cumsum(m, axis=1) - m / 2 - 0.5 for m in margins]  # the middle of those that tie
        spreads = [(m * r * r).sum(1) for m, r in zip(margins, ranks, strict=True)]
        together = (joint * ranks[0][:, :, None] * ranks[1][:, None, :]).sum((1, 2))
        spread = numbers.sqrt(spreads[0] * spreads[1])
        return where_seen(ratio(together, spread * (spread > 1e-9), numbers.nan).mean(), sums.sum())


def columns_and_weights(
    metric: Metric, targets: Any, outputs: Any, weights: Array, columns: int
) -> tuple[Array, Array, Array]:
    """Targets, outputs and weights as [entries, columns] in float32; 0 where the weight is.

    Raises:
        ShapeError: the targets do not fit the outputs. LossError: the weights do not.
    """
    check_shapes(metric, targets, outputs)
    check_columns(metric, outputs, columns)
    check_values(f"{metric.name!r}, a metric", outputs, outputs, weights)
    weights = spread(weights, outputs.shape).reshape(-1, columns)
    t, o = (jnp.where(weights != 0, x.reshape(-1, columns).astype(jnp.float32), 0.0) for x in (targets, outputs))
    return t, o, weights


def _centred(x: Array, axis: int) -> Array:
    return x - jnp.mean(x, axis=axis, keepdims=True)


def _check_several(metric: Any, output: Spec) -> None:
    shape = output.shape
    within = -len(shape) < metric.axis < len(shape) and len(shape) > 1
    if not within or shape[metric.axis] == 1:
        cure = "Over all examples of the data there is PearsonR."
        raise refuse(metric, output, f"several numbers of an example along axis {metric.axis}", cure)
