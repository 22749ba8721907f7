"""Metrics over many thresholds at once: areas under curves, and one rate where another is high enough, as in Keras 3.

Their sums are two histograms, of what is true and of what is false, by how many thresholds a score exceeds. So they
add up exactly, and an update costs as much for 200 thresholds as for one.
"""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.errors import ArgumentError, check_one_of
from jgraph.metrics.checks import (
    as_tuple,
    bound,
    check_columns,
    check_integer,
    check_number,
    check_numbers,
    columns_of,
    refuse,
)
from jgraph.metrics.counts import Judged
from jgraph.metrics.metric import Metric, ratio, where_seen
from jgraph.typing import Array, Spec


class Rates(NamedTuple):
    """Counts at every threshold, each [labels, thresholds], the lowest threshold first."""

    tp: Any
    fp: Any
    tn: Any
    fn: Any


def even(scores: Array, count: int, above_first: bool) -> Array:
    """How many of `count` thresholds, evenly from 0 to 1, each score exceeds; the first is just below 0 in an AUC.

    The rounding is that of Keras: a score is put at its place by its product with `count - 1`.
    """
    exceeded = jnp.ceil(jnp.clip(scores, 0.0, 1.0) * (count - 1))
    return jnp.maximum(exceeded, 1.0 if above_first else 0.0).astype(jnp.int32)


def histograms(truth: Array, exceeded: Array, weights: Array, count: int) -> Array:
    """The weights of what is true and of what is false, by thresholds exceeded: [..., labels] -> [2, labels, count+1].

    Columns are labels of their own; an array of one column makes one pair of histograms.
    """
    labels = exceeded.shape[-1]
    place = jnp.clip(exceeded, 0, count) + (count + 1) * (jnp.arange(labels) + labels * (truth == 0))
    sums = jax.ops.segment_sum(weights.reshape(-1), place.reshape(-1), 2 * labels * (count + 1))
    return sums.reshape(2, labels, count + 1)


def rates(sums: Any, count: int) -> Rates:
    """The counts at every threshold, from the histograms."""
    numbers = sums.__array_namespace__()
    true, false = sums.reshape(2, -1, count + 1)
    tn, fn = (numbers.cumsum(h, axis=-1)[:, :-1] for h in (false, true))
    tp, fp = (numbers.flip(numbers.cumsum(numbers.flip(h, -1), axis=-1), -1)[:, 1:] for h in (true, false))
    return Rates(tp, fp, tn, fn)


@dataclasses.dataclass(frozen=True)
class AUC(Judged):
    """The area under the curve of rates (`ROC`) or of precision over recall (`PR`). As `keras.metrics.AUC`.

    Targets (0 is false, all else is true) and outputs are [..., n], probabilities; integer labels are made one-hot.
    Every entry counts as an example of its own. With `multi_label` each entry of the last axis has a curve of its own,
    and the areas are averaged, with `label_weights` if given; without it these weigh the entries. The curve is taken at
    `num_thresholds` evenly from 0 to 1, or at `thresholds` and both ends. Scores between two of them are not told
    apart: where all scores crowd, as near 0 for a rare class, the area is only near the exact one of scikit-learn with
    `thresholds` of their own. `summation_method` is `interpolation`, `minoring` or `majoring`; `PR` is interpolated as
    by Davis and Goadrich (2006). `PRGAIN` is that of Flach and Kull (2015). `from_logits` says that an output that is
    not trained through a cross-entropy is logits.

    Raises:
        ArgumentError: an argument has a value that it cannot have. LossError: the output has not `num_labels` columns.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.AUC(num_thresholds=3)([[0], [0], [1], [1]], [[0.0], [0.5], [0.3], [0.9]])), 4)
    0.75
    """

    num_thresholds: int = 200
    curve: str = "ROC"
    summation_method: str = "interpolation"
    _: dataclasses.KW_ONLY
    name: str = "auc"
    direction: Literal["min", "max"] | None = "max"
    thresholds: Sequence[float] | None = None
    multi_label: bool = False
    num_labels: int | None = None
    label_weights: Sequence[float] | None = None
    from_logits: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_one_of("AUC", "curve", self.curve, ("ROC", "PR", "PRGAIN", "roc", "pr", "prgain"))
        check_one_of(
            type(self).__name__, "summation_method", self.summation_method, ("interpolation", "minoring", "majoring")
        )
        check_integer(self, "num_thresholds", least=2)
        as_tuple(self, "thresholds")
        as_tuple(self, "label_weights")
        if self.thresholds is not None:
            check_numbers(self, "thresholds", 0.0, 1.0)
        if self.label_weights is not None:
            check_numbers(self, "label_weights", 0.0)
        if self.num_labels is not None:
            check_integer(self, "num_labels")
            if not self.multi_label:
                where, cure = "AUC, num_labels", "Write multi_label=True, or leave it out."
                raise ArgumentError(where, expected="None without multi_label", got=str(self.num_labels), cure=cure)

    def for_output(self, output: Spec) -> "AUC":
        """The metric for as many labels as the output has."""
        weights, labels = self.label_weights, columns_of(self, output)
        if self.num_labels not in (None, labels) or (weights is not None and len(weights) != labels):
            size = self.num_labels if weights is None else len(weights)
            raise refuse(self, output, f"an output of {size} columns", "Give one label weight for each column.")
        return dataclasses.replace(self, num_labels=labels) if self.multi_label else self

    def on_logits(self, link: str) -> Metric | None:
        """Itself, if it was made for logits."""
        del link
        return self if self.from_logits else None

    @property
    def edges(self) -> np.ndarray | None:
        """The thresholds, if they were given."""
        return None if self.thresholds is None else np.array([-1e-7, *sorted(self.thresholds), 1 + 1e-7], np.float32)

    @property
    def count(self) -> int:
        """How many thresholds there are."""
        return self.num_thresholds if self.thresholds is None else len(self.thresholds) + 2

    def init(self) -> Array:
        """The sums of no examples."""
        labels = bound(self, "num_labels") if self.multi_label else 1
        return jnp.zeros(2 * labels * (self.count + 1), jnp.float32)

    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added.

        Raises:
            ShapeError: the targets do not fit the outputs. LossError: the weights do not.
        """
        targets, weights = self.matched(targets, outputs, weights)
        if self.multi_label:
            check_columns(self, outputs, bound(self, "num_labels"))
        elif self.label_weights is not None:
            weights = weights * jnp.asarray(self.label_weights, jnp.float32)
        scores = jax.nn.sigmoid(outputs) if self.from_logits else outputs
        if self.edges is None:
            exceeded = even(scores, self.count, above_first=True)
        else:
            exceeded = jnp.searchsorted(jnp.asarray(self.edges), scores, side="left")
        shape = (-1, self.num_labels or 1)
        truth, exceeded, weights = (x.reshape(shape) for x in (targets, exceeded, weights))
        return sums + histograms(truth, exceeded, weights, self.count).reshape(-1)

    def compute(self, sums: Any) -> Any:
        """The area; NaN where there was no example, 0 where all are true or all are false, as in Keras."""
        numbers, found = sums.__array_namespace__(), rates(sums, self.count)
        areas = _area(self.curve.upper(), self.summation_method, found, numbers)
        if not self.multi_label:
            return where_seen(areas[0], sums.sum())
        weights = numbers.ones(len(areas)) if self.label_weights is None else numbers.asarray(self.label_weights)
        return where_seen(ratio((areas * weights).sum(), weights.sum()), sums.sum())


def _area(curve: str, method: str, at: Rates, numbers: Any) -> Any:
    recall, precision = ratio(at.tp, at.tp + at.fn), ratio(at.tp, at.tp + at.fp)
    if curve == "PR" and method == "interpolation":
        return _interpolated(at, numbers)
    if curve == "ROC":
        x, y = ratio(at.fp, at.fp + at.tn), recall
    elif curve == "PR":
        x, y = recall, precision
    else:
        scale = ratio(at.tp + at.fn, at.tn + at.fp)
        x = numbers.where(at.tp == 0, 0.0, numbers.maximum(1.0 - scale * ratio(at.fn, at.tp), 0.0))
        y = numbers.where(at.tp == 0, 1.0, 1.0 - scale * ratio(at.fp, at.tp))
    left, right = y[:, :-1], y[:, 1:]
    if method == "interpolation":
        heights = (left + right) / 2
    else:
        heights = numbers.minimum(left, right) if method == "minoring" else numbers.maximum(left, right)
    return ((x[:, :-1] - x[:, 1:]) * heights).sum(-1)


def _interpolated(at: Rates, numbers: Any) -> Any:
    """The area under precision over recall, where true positives are linear in positives between two thresholds."""
    p, gained = at.tp + at.fp, at.tp[:, :-1] - at.tp[:, 1:]
    slope = ratio(gained, p[:, :-1] - p[:, 1:])
    intercept = at.tp[:, 1:] - slope * p[:, 1:]
    both = (p[:, :-1] > 0) & (p[:, 1:] > 0)
    grown = numbers.where(both, ratio(p[:, :-1], p[:, 1:]), 1.0)
    grown = numbers.log(numbers.where(both, grown, 1.0))
    return ratio(slope * (gained + intercept * grown), at.tp[:, 1:] + at.fn[:, 1:]).sum(-1)


class _At(Judged):
    """The base: the largest value of one rate at the thresholds where another is at least as large as asked for."""

    num_thresholds: int
    class_id: int | None

    def check(self, asked: str) -> None:
        """Checks the arguments.

        Raises:
            ArgumentError: one has a value that it cannot have.
        """
        check_number(self, asked, 0.0, 1.0)
        check_integer(self, "num_thresholds")
        if self.class_id is not None:
            check_integer(self, "class_id", least=0)

    def for_output(self, output: Spec) -> Self:
        """Itself, where the output has the class."""
        if self.class_id is not None and (len(output.shape) < 2 or self.class_id >= columns_of(self, output)):
            raise refuse(self, output, f"an output that has class {self.class_id}", "Count classes from 0.")
        return self

    def init(self) -> Array:
        """The sums of no examples."""
        return jnp.zeros(2 * (self.num_thresholds + 1), jnp.float32)

    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added.

        Raises:
            ShapeError: the targets do not fit the outputs. LossError: the weights do not.
        """
        targets, weights = self.matched(targets, outputs, weights)
        if self.class_id is not None:
            targets, outputs, weights = (x[..., self.class_id] for x in (targets, outputs, weights))
        one = self.num_thresholds == 1  # Keras' single threshold is 0.5
        exceeded = (outputs > 0.5).astype(jnp.int32) if one else even(outputs, self.num_thresholds, above_first=False)
        truth, exceeded, weights = (x.reshape(-1, 1) for x in (targets, exceeded, weights))
        return sums + histograms(truth, exceeded, weights, self.num_thresholds).reshape(-1)

    def compute(self, sums: Any) -> Any:
        """The rate, 0 where no threshold is good enough; NaN where there was no example."""
        asked, given, found = self.pair(rates(sums, self.num_thresholds))
        return where_seen(sums.__array_namespace__().where(given >= asked, found, 0.0).max(), sums.sum())

    @abc.abstractmethod
    def pair(self, at: Rates) -> tuple[float, Any, Any]:
        """What is asked for, the rate that it is asked of, and the rate to be found."""


@dataclasses.dataclass(frozen=True)
class SensitivityAtSpecificity(_At):
    """The best sensitivity `tp / (tp + fn)` at thresholds where `tn / (tn + fp) >= specificity`. As in Keras.

    Targets (0 is false, all else is true) and outputs are [..., n], probabilities, and every entry counts; integer
    labels are made one-hot. With `class_id`, one column counts. The thresholds lie evenly from 0 to 1.

    Raises:
        ArgumentError: an argument has a value that it cannot have. LossError: the output has no such class.

    >>> import jgraph as jg
    >>> float(jg.metrics.SensitivityAtSpecificity(0.5)([[0], [0], [0], [1], [1]], [[0.0], [0.3], [0.8], [0.3], [0.8]]))
    0.5
    """

    specificity: float
    num_thresholds: int = 200
    class_id: int | None = None
    _: dataclasses.KW_ONLY
    name: str = "sensitivity_at_specificity"
    direction: Literal["min", "max"] | None = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("specificity")

    def pair(self, at: Rates) -> tuple[float, Any, Any]:
        """Sensitivity where the specificity is high enough."""
        return self.specificity, ratio(at.tn, at.tn + at.fp), ratio(at.tp, at.tp + at.fn)


@dataclasses.dataclass(frozen=True)
class SpecificityAtSensitivity(_At):
    """The best specificity `tn / (tn + fp)` at thresholds where `tp / (tp + fn) >= sensitivity`. As in Keras.

    All else is as for `SensitivityAtSpecificity`.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])), 4)
    0.6667
    """

    sensitivity: float
    num_thresholds: int = 200
    class_id: int | None = None
    _: dataclasses.KW_ONLY
    name: str = "specificity_at_sensitivity"
    direction: Literal["min", "max"] | None = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("sensitivity")

    def pair(self, at: Rates) -> tuple[float, Any, Any]:
        """Specificity where the sensitivity is high enough."""
        return self.sensitivity, ratio(at.tp, at.tp + at.fn), ratio(at.tn, at.tn + at.fp)


@dataclasses.dataclass(frozen=True)
class PrecisionAtRecall(_At):
    """The best precision `tp / (tp + fp)` at thresholds where `tp / (tp + fn) >= recall`. As in Keras.

    All else is as for `SensitivityAtSpecificity`.

    >>> import jgraph as jg
    >>> float(jg.metrics.PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    recall: float
    num_thresholds: int = 200
    class_id: int | None = None
    _: dataclasses.KW_ONLY
    name: str = "precision_at_recall"
    direction: Literal["min", "max"] | None = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("recall")

    def pair(self, at: Rates) -> tuple[float, Any, Any]:
        """Precision where the recall is high enough."""
        return self.recall, ratio(at.tp, at.tp + at.fn), ratio(at.tp, at.tp + at.fp)


@dataclasses.dataclass(frozen=True)
class RecallAtPrecision(_At):
    """The best recall `tp / (tp + fn)` at thresholds where `tp / (tp + fp) >= precision`. As in Keras.

    All else is as for `SensitivityAtSpecificity`.

    >>> import jgraph as jg
    >>> float(jg.metrics.RecallAtPrecision(0.8)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]))
    0.5
    """

    precision: float
    num_thresholds: int = 200
    class_id: int | None = None
    _: dataclasses.KW_ONLY
    name: str = "recall_at_precision"
    direction: Literal["min", "max"] | None = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("precision")

    def pair(self, at: Rates) -> tuple[float, Any, Any]:
        """Recall where the precision is high enough."""
        return self.precision, ratio(at.tp, at.tp + at.fp), ratio(at.tp, at.tp + at.fn)
