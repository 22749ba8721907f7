"""Counts of what was found and missed at one threshold, and what is made of them, as in Keras 3."""

import abc
import dataclasses
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp

from jgraph.errors import check_one_of
from jgraph.metrics.checks import bound, check_columns, check_integer, check_number, columns_of, refuse
from jgraph.metrics.metric import Metric, check_shapes, check_values, ratio, spread, where_seen
from jgraph.typing import Array, Spec


class Judged(Metric):
    """The base of metrics of truths and scores of the same shape [..., n]; integer labels are made one-hot."""

    def for_targets(self, targets: str) -> Metric | None:
        """Itself, for labels too."""
        return dataclasses.replace(self, targets="labels") if targets == "labels" else super().for_targets(targets)

    def matched(self, targets: Any, outputs: Any, weights: Array) -> tuple[Array, Array]:
        """Targets like the outputs, and a weight for each entry of both.

        Raises:
            ShapeError: the targets do not fit the outputs. LossError: the weights do not.
        """
        check_shapes(self, targets, outputs)
        check_values(f"{self.name!r}, a metric", outputs, outputs, weights)
        if self.targets == "labels":
            targets = jax.nn.one_hot(targets, outputs.shape[-1])
        return targets, spread(weights, outputs.shape)


class _Counts(Judged):
    """The base: sums `[tp, fp, tn, fn]`, in which every entry of an output counts with the weight of its example."""

    thresholds: float | None
    top_k: int | None
    class_id: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.thresholds is not None:
            check_number(self, "thresholds", 0.0, 1.0)
        if self.top_k is not None:
            check_integer(self, "top_k")
        if self.class_id is not None:
            check_integer(self, "class_id", least=0)

    def for_output(self, output: Spec) -> Self:
        """Itself, where the output has the class, and more than the first `k`."""
        classes = columns_of(self, output) if len(output.shape) > 1 else 0
        if self.class_id is not None and self.class_id >= classes:
            raise refuse(self, output, f"an output that has class {self.class_id}", "Count classes from 0.")
        if self.top_k is not None and self.top_k > classes:
            raise refuse(self, output, f"an output of at least {self.top_k} classes", "Give a smaller top_k=.")
        return self

    def init(self) -> Array:
        """The sums of no examples."""
        return jnp.zeros(4, jnp.float32)

    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added.

        Raises:
            ShapeError: the targets do not fit the outputs. LossError: the weights do not.
        """
        targets, weights = self.matched(targets, outputs, weights)
        truth, found = targets != 0, self._found(outputs)
        if self.class_id is not None:
            truth, found, weights = (x[..., self.class_id] for x in (truth, found, weights))
        cells = truth & found, ~truth & found, ~truth & ~found, truth & ~found
        return sums + jnp.stack([jnp.sum(weights, where=cell) for cell in cells])

    def _found(self, outputs: Array) -> Array:
        if self.top_k is None:
            return outputs > (0.5 if self.thresholds is None else self.thresholds)
        chosen = jax.lax.top_k(outputs, self.top_k)[1]
        found = jnp.any(jax.nn.one_hot(chosen, outputs.shape[-1], dtype=jnp.bool_), axis=-2)
        return found if self.thresholds is None else found & (outputs > self.thresholds)

    def compute(self, sums: Any) -> Any:
        """The value; NaN where there was no example."""
        counts = sums[0], sums[1], sums[2], sums[3]
        return where_seen(self.value(*counts), sum(counts))

    @abc.abstractmethod
    def value(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        """The value of true and false positives, true and false negatives."""


@dataclasses.dataclass(frozen=True)
class TruePositives(_Counts):
    """The weight of what is 1 and was found: scores above `thresholds` (0.5). As `keras.metrics.TruePositives`.

    Targets (0 is false, all else is true) and outputs are [..., n], and every entry counts; integer labels are made
    one-hot. With `top_k`, the `k` largest scores of the last axis are what was found; with `class_id`, one column
    counts. A metric is one number, so there is one threshold.

    Raises:
        ArgumentError: an argument has a value that it cannot have. LossError: the output has no such class.

    >>> import jgraph as jg
    >>> float(jg.metrics.TruePositives()([[0], [1], [1], [1]], [[0.9], [0.2], [0.7], [0.8]]))
    2.0
    """

    thresholds: float | None = None
    top_k: int | None = None
    class_id: int | None = None
    _: dataclasses.KW_ONLY
    name: str = "true_positives"
    direction: Literal["min", "max"] | None = "max"

    def value(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        """`tp`."""
        del fp, tn, fn
        return tp


@dataclasses.dataclass(frozen=True)
class FalsePositives(_Counts):
    """The weight of what is 0 and was found. As `keras.metrics.FalsePositives`; arguments as of `TruePositives`.

    >>> import jgraph as jg
    >>> float(jg.metrics.FalsePositives()([[0], [1], [1], [1]], [[0.9], [0.2], [0.7], [0.8]]))
    1.0
    """

    thresholds: float | None = None
    top_k: int | None = None
    class_id: int | None = None
    _: dataclasses.KW_ONLY
    name: str = "false_positives"
    direction: Literal["min", "max"] | None = "min"

    def value(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        """`fp`."""
        del tp, tn, fn
        return fp


@dataclasses.dataclass(frozen=True)
class TrueNegatives(_Counts):
    """The weight of what is 0 and was not found. As `keras.metrics.TrueNegatives`; arguments as of `TruePositives`.

    >>> import jgraph as jg
    >>> float(jg.metrics.TrueNegatives()([[0], [1], [0], [1]], [[0.9], [0.2], [0.3], [0.8]]))
    1.0
    """

    thresholds: float | None = None
    top_k: int | None = None
    class_id: int | None = None
    _: dataclasses.KW_ONLY
    name: str = "true_negatives"
    direction: Literal["min", "max"] | None = "max"

    def value(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        """`tn`."""
        del tp, fp, fn
        return tn


@dataclasses.dataclass(frozen=True)
class FalseNegatives(_Counts):
    """The weight of what is 1 and was not found. As `keras.metrics.FalseNegatives`; arguments as of `TruePositives`.

    >>> import jgraph as jg
    >>> float(jg.metrics.FalseNegatives()([[0], [1], [1], [1]], [[0.9], [0.2], [0.7], [0.8]]))
    1.0
    """

    thresholds: float | None = None
    top_k: int | None = None
    class_id: int | None = None
    _: dataclasses.KW_ONLY
    name: str = "false_negatives"
    direction: Literal["min", "max"] | None = "min"

    def value(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        """`fn`."""
        del tp, fp, tn
        return fn


@dataclasses.dataclass(frozen=True)
class Precision(_Counts):
    """`tp / (tp + fp)`, the part of what was found that is right; 0 where nothing was found. As in Keras.

    Arguments as of `TruePositives`.

    >>> import jgraph as jg
    >>> float(jg.metrics.Precision()([[0], [1], [1], [1]], [[0.9], [0.2], [0.7], [0.3]]))
    0.5
    """

    thresholds: float | None = None
    top_k: int | None = None
    class_id: int | None = None
    _: dataclasses.KW_ONLY
    name: str = "precision"
    direction: Literal["min", "max"] | None = "max"

    def value(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        """`tp / (tp + fp)`."""
        del tn, fn
        return ratio(tp, tp + fp)


@dataclasses.dataclass(frozen=True)
class Recall(_Counts):
    """`tp / (tp + fn)`, the part of what is right that was found; 0 where nothing is right. As in Keras.

    Arguments as of `TruePositives`.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.Recall()([[0], [1], [1], [1]], [[0.9], [0.2], [0.7], [0.3]])), 4)
    0.3333
    """

    thresholds: float | None = None
    top_k: int | None = None
    class_id: int | None = None
    _: dataclasses.KW_ONLY
    name: str = "recall"
    direction: Literal["min", "max"] | None = "max"

    def value(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        """`tp / (tp + fn)`."""
        del fp, tn
        return ratio(tp, tp + fn)


@dataclasses.dataclass(frozen=True)
class Specificity(_Counts):
    """`tn / (tn + fp)`, the part of what is wrong that was not found; 0 where nothing is wrong.

    Arguments as of `TruePositives`.

    >>> import jgraph as jg
    >>> float(jg.metrics.Specificity()([[0], [1], [0], [1]], [[0.9], [0.2], [0.3], [0.8]]))
    0.5
    """

    thresholds: float | None = None
    top_k: int | None = None
    class_id: int | None = None
    _: dataclasses.KW_ONLY
    name: str = "specificity"
    direction: Literal["min", "max"] | None = "max"

    def value(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
        """`tn / (tn + fp)`."""
        del tp, fn
        return ratio(tn, tn + fp)


class _FScore(Judged):
    """The base: for every class sums of tp, fp and fn, and the weight of all examples: [3 classes + 1]."""

    average: str
    beta: float
    threshold: float | None
    num_classes: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        cure = "A metric is one number. One class alone: Precision and Recall with class_id=."
        check_one_of(type(self).__name__, "average", self.average, ("macro", "micro", "weighted"), cure)
        check_number(self, "beta", 1e-9)
        if self.threshold is not None:
            check_number(self, "threshold", 0.0, 1.0)
        if self.num_classes is not None:
            check_integer(self, "num_classes")

    def for_output(self, output: Spec) -> Self:
        """The metric for as many classes as the output has."""
        return dataclasses.replace(self, num_classes=columns_of(self, output))

    def init(self) -> Array:
        """The sums of no examples."""
        return jnp.zeros(3 * bound(self, "num_classes") + 1, jnp.float32)

    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added.

        Raises:
            ShapeError: the targets do not fit the outputs. LossError: the weights do not.
        """
        classes = bound(self, "num_classes")
        check_columns(self, outputs, classes)
        targets, weights = self.matched(targets, outputs, weights)
        targets = jnp.where(weights != 0, targets.astype(jnp.float32), 0.0)
        found = self._found(outputs).astype(jnp.float32)
        cells = targets * found, (1.0 - targets) * found, targets * (1.0 - found)
        own = [jnp.sum((weights * cell).reshape(-1, classes), axis=0) for cell in cells]
        return sums + jnp.concatenate([*own, jnp.sum(weights)[None]])

    def _found(self, outputs: Array) -> Array:
        if self.threshold is not None or self.num_classes == 1:
            return outputs > (0.5 if self.threshold is None else self.threshold)
        return (outputs >= jnp.max(outputs, axis=-1, keepdims=True)) & (jnp.abs(outputs) > 1e-9)

    def compute(self, sums: Any) -> Any:
        """The score; NaN where there was no example."""
        tp, fp, fn = sums[:-1].reshape(3, -1)
        numbers, square = sums.__array_namespace__(), self.beta**2
        support = tp + fn
        if self.average == "micro":
            tp, fp, fn = tp.sum(), fp.sum(), fn.sum()
        scores = ratio((1 + square) * tp, (1 + square) * tp + square * fn + fp)
        if self.average == "weighted":
            return where_seen(ratio((scores * support).sum(), support.sum()), sums[-1])
        return where_seen(numbers.mean(scores), sums[-1])


@dataclasses.dataclass(frozen=True)
class FBetaScore(_FScore):
    """`(1 + b^2) P R / (b^2 P + R)` of precision P and recall R, averaged over the classes; 0 where there is none.

    As `keras.metrics.FBetaScore`: targets and outputs [..., classes]; integer labels are made one-hot. What was found
    are the scores above `threshold`; without one, the largest of an example (of one score alone, if above 0.5, where
    Keras finds every one). `average` is `macro`, `micro` or `weighted` by how often a class is true. A metric is one
    number, so Keras' `None`, a number for each class, is not among them, and `macro` is the default.

    Raises:
        ArgumentError: an argument has a value that it cannot have.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.FBetaScore(beta=2.0)([[1, 0], [0, 1], [1, 0]], [[0.7, 0.3], [0.6, 0.4], [0.2, 0.8]])), 4)
    0.25
    """

    average: str = "macro"
    beta: float = 1.0
    threshold: float | None = None
    _: dataclasses.KW_ONLY
    name: str = "fbeta_score"
    direction: Literal["min", "max"] | None = "max"
    num_classes: int | None = None


@dataclasses.dataclass(frozen=True)
class F1Score(_FScore):
    """`2 P R / (P + R)` of precision P and recall R, averaged over the classes: `FBetaScore` with a beta of 1.

    Raises:
        ArgumentError: an argument has a value that it cannot have.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.F1Score()([[1], [0], [1], [1]], [[0.7], [0.6], [0.2], [0.8]])), 4)
    0.6667
    """

    average: str = "macro"
    threshold: float | None = None
    _: dataclasses.KW_ONLY
    name: str = "f1_score"
    direction: Literal["min", "max"] | None = "max"
    num_classes: int | None = None
    beta: float = dataclasses.field(default=1.0, init=False)
