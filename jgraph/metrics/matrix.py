"""The confusion matrix of classes, and what is made of it whole."""

import abc
import dataclasses
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp

from jgraph.errors import check_one_of
from jgraph.metrics.checks import bound, check_columns, check_integer, check_number, columns_of
from jgraph.metrics.metric import Metric, check_shapes, check_values, ratio, spread, where_seen
from jgraph.typing import Array, Spec


def counted(truth: Array, found: Array, weights: Array, classes: int, ignore: int | None = None) -> Array:
    """The confusion matrix, flat, row by row of the true class; numbers that are no class do not count, as in Keras."""
    truth, found = truth.astype(jnp.int32), found.astype(jnp.int32)
    inside = (truth >= 0) & (truth < classes) & (found >= 0) & (found < classes)
    if ignore is not None:
        inside &= truth != ignore
    cells = jnp.where(inside, truth * classes + found, 0)
    weights = jnp.where(inside, weights, 0.0)
    return jax.ops.segment_sum(weights.reshape(-1), cells.reshape(-1), classes * classes)


class _Agreement(Metric):
    """The base of metrics of true and found classes, whose sums are the confusion matrix, flat."""

    threshold: float
    num_classes: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "threshold", 0.0, 1.0)
        if self.num_classes is not None:
            check_integer(self, "num_classes", least=2)

    def for_targets(self, targets: str) -> Metric | None:
        """Itself, for labels too."""
        return dataclasses.replace(self, targets="labels") if targets == "labels" else super().for_targets(targets)

    def for_output(self, output: Spec) -> Self:
        """The metric for as many classes as the output has: two for one probability."""
        return dataclasses.replace(self, num_classes=max(2, columns_of(self, output)))

    def init(self) -> Array:
        """The sums of no examples."""
        return jnp.zeros(bound(self, "num_classes") ** 2, jnp.float32)

    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added.

        Raises:
            ShapeError: the targets do not fit the outputs. LossError: the weights do not.
        """
        check_shapes(self, targets, outputs)
        classes = bound(self, "num_classes")
        if columns_of(self, outputs) == 1 and self.targets == "same":
            truth, found = targets > 0.5, outputs > self.threshold
        else:
            check_columns(self, outputs, classes)
            found = jnp.argmax(outputs, axis=-1)
            truth = targets if self.targets == "labels" else jnp.argmax(targets, axis=-1)
        check_values(f"{self.name!r}, a metric", found, outputs, weights)
        return sums + counted(truth, found, spread(weights, found.shape), classes)

    def compute(self, sums: Any) -> Any:
        """The value; NaN where there was no example."""
        size = bound(self, "num_classes")
        return where_seen(self.value(sums.reshape(size, size)), sums.sum())

    @abc.abstractmethod
    def value(self, matrix: Any) -> Any:
        """The value of a matrix [true class, found class]."""


@dataclasses.dataclass(frozen=True)
class BalancedAccuracy(_Agreement):
    """The mean over the classes of how often an example of the class is found. As scikit-learn's.

    Outputs are [..., classes], whose largest score is what was found, or one probability, which is compared with
    `threshold`; targets are like them, or integer labels. Classes that are never true are left out.

    Raises:
        ArgumentError: an argument has a value that it cannot have.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.BalancedAccuracy()([[0], [1], [1], [1]], [[0.2], [0.7], [0.3], [0.1]])), 4)
    0.6667
    """

    threshold: float = 0.5
    _: dataclasses.KW_ONLY
    name: str = "balanced_accuracy"
    direction: Literal["min", "max"] | None = "max"
    num_classes: int | None = None

    def value(self, matrix: Any) -> Any:
        """The mean recall."""
        support = matrix.sum(1)
        return ratio(ratio(matrix.diagonal(), support).sum(), (support > 0).sum())


@dataclasses.dataclass(frozen=True)
class MatthewsCorrelation(_Agreement):
    """The correlation of true and found classes, from -1 to 1 (Matthews 1975; several classes: Gorodkin 2004).

    As scikit-learn's `matthews_corrcoef`: 0 where all that is true, or all that was found, is of one class. Targets and
    outputs as for `BalancedAccuracy`.

    Raises:
        ArgumentError: an argument has a value that it cannot have.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.MatthewsCorrelation()([[0], [1], [1], [1]], [[0.2], [0.7], [0.3], [0.1]])), 4)
    0.3333
    """

    threshold: float = 0.5
    _: dataclasses.KW_ONLY
    name: str = "matthews_correlation"
    direction: Literal["min", "max"] | None = "max"
    num_classes: int | None = None

    def value(self, matrix: Any) -> Any:
        """`(c s - sum(t p)) / sqrt((s^2 - sum(p^2)) (s^2 - sum(t^2)))`, all as parts of the whole."""
        matrix = matrix / matrix.__array_namespace__().maximum(matrix.sum(), 1e-30)
        true, found = matrix.sum(1), matrix.sum(0)
        spreads = (1 - (true**2).sum()) * (1 - (found**2).sum())
        above = matrix.diagonal().sum() - (true * found).sum()
        return ratio(above, matrix.__array_namespace__().sqrt(spreads * (spreads > 1e-12)))


@dataclasses.dataclass(frozen=True)
class CohenKappa(_Agreement):
    """How much more often truth and output agree than by chance: `1 - disagreement / that by chance` (Cohen 1960).

    As scikit-learn's `cohen_kappa_score`: `weights` of a disagreement are 1, or `linear` or `quadratic` in the distance
    of the classes' numbers. NaN where there is but one class. Targets and outputs as for `BalancedAccuracy`.

    Raises:
        ArgumentError: an argument has a value that it cannot have.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.CohenKappa()([[0], [1], [1], [1]], [[0.2], [0.7], [0.3], [0.1]])), 4)
    0.2
    """

    threshold: float = 0.5
    weights: str | None = None
    _: dataclasses.KW_ONLY
    name: str = "cohen_kappa"
    direction: Literal["min", "max"] | None = "max"
    num_classes: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_one_of(type(self).__name__, "weights", self.weights, (None, "linear", "quadratic"))

    def value(self, matrix: Any) -> Any:
        """One minus the disagreement, in parts of that by chance."""
        numbers = matrix.__array_namespace__()
        places = numbers.arange(len(matrix))
        distance = abs(places[:, None] - places[None, :])
        costs = {"linear": distance, "quadratic": distance**2, None: distance > 0}[self.weights]
        chance = matrix.sum(1)[:, None] * matrix.sum(0)[None, :] / numbers.maximum(matrix.sum(), 1e-30)
        return 1 - ratio((costs * matrix).sum(), (costs * chance).sum(), numbers.nan)
