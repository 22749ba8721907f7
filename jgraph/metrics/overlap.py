"""Intersection over union of classes, as in Keras 3."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, Self

import jax.numpy as jnp

from jgraph.errors import ArgumentError
from jgraph.metrics.checks import as_tuple, bound, check_integer, check_number, columns_of, refuse
from jgraph.metrics.matrix import counted
from jgraph.metrics.metric import Metric, check_shapes, check_values, ratio, spread, where_seen
from jgraph.typing import Array, Spec


def mean_overlap(sums: Any, classes: int, chosen: Sequence[int]) -> Any:
    """The mean of `tp / (tp + fp + fn)` over the chosen classes that occur; NaN where none does (Keras: 0)."""
    matrix = sums.reshape(classes, classes)
    both = matrix.diagonal()
    either = matrix.sum(0) + matrix.sum(1) - both
    numbers, picked = sums.__array_namespace__(), list(chosen)
    both, either = (numbers.stack([x[i] for i in picked]) for x in (both, either))
    return ratio(ratio(both, either).sum(), (either > 0).sum(), numbers.nan)


KINDS = {(True, False): "labels", (False, False): "same", (True, True): "same", (False, True): "free"}
"""What targets are, by whether they and the outputs are class numbers."""


class _Overlap(Metric):
    """The base: the confusion matrix of classes, flat. `chosen` are the classes that are averaged over."""

    num_classes: int | None
    ignore_class: int | None
    sparse_y_true: bool
    sparse_y_pred: bool

    @property
    def chosen(self) -> Sequence[int]:
        """All classes."""
        return range(bound(self, "num_classes"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_classes is not None:
            check_integer(self, "num_classes", least=2)
        if self.ignore_class is not None:
            check_integer(self, "ignore_class", least=-(2**31))
        object.__setattr__(self, "targets", KINDS[self.sparse_y_true, self.sparse_y_pred])

    def for_targets(self, targets: str) -> Metric | None:
        """Itself for targets of either kind, if outputs are scores."""
        if targets == "free" or self.sparse_y_pred:
            return super().for_targets(targets)
        return dataclasses.replace(self, sparse_y_true=targets == "labels")

    def for_output(self, output: Spec) -> Self:
        """The metric for as many classes as the output has."""
        if self.sparse_y_pred:
            return self
        columns = columns_of(self, output)
        if columns == 1 or self.num_classes not in (None, columns):
            wanted = "two or more" if self.num_classes is None else self.num_classes
            cure = (
                "For one probability there is BinaryIoU; for outputs that are class numbers write sparse_y_pred=True."
            )
            raise refuse(self, output, f"scores of {wanted} classes in the last axis", cure)
        return dataclasses.replace(self, num_classes=columns)

    def init(self) -> Array:
        """The sums of no examples."""
        return jnp.zeros(bound(self, "num_classes") ** 2, jnp.float32)

    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added; numbers that are no class do not count, as in Keras.

        Raises:
            ShapeError: the targets do not fit the outputs. LossError: the weights do not.
        """
        check_shapes(self, targets, outputs)
        found = outputs if self.sparse_y_pred else jnp.argmax(outputs, axis=-1)
        truth = targets if self.sparse_y_true else jnp.argmax(targets, axis=-1)
        check_values(f"{self.name!r}, a metric", found, outputs, weights)
        weights = spread(weights, found.shape)
        return sums + counted(truth, found, weights, bound(self, "num_classes"), self.ignore_class)

    def compute(self, sums: Any) -> Any:
        """The mean overlap; NaN where there was no example, or none of the classes."""
        return where_seen(mean_overlap(sums, bound(self, "num_classes"), self.chosen), sums.sum())


class _ChosenOverlap(_Overlap):
    """The base of those of some classes."""

    target_class_ids: Sequence[int]

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_chosen(self, self.num_classes)

    @property
    def chosen(self) -> Sequence[int]:
        """The classes that were asked for."""
        return self.target_class_ids


@dataclasses.dataclass(frozen=True)
class IoU(_ChosenOverlap):
    """The mean of `tp / (tp + fp + fn)` over `target_class_ids`: integer targets [...], outputs [..., classes].

    As `keras.metrics.IoU`, but outputs are scores, as those of models are, and the largest is what was found; with
    `sparse_y_pred` they are class numbers of the targets' shape, which is Keras' default. Without `sparse_y_true`
    targets are one-hot; beside a loss they are as it takes them, whatever was said. Classes that are neither true nor
    found are left out of the mean; targets of `ignore_class` do not count.

    Raises:
        ArgumentError: an argument has a value that it cannot have. LossError: the output has other classes.

    >>> import jgraph as jg
    >>> metric = jg.metrics.IoU(num_classes=2, target_class_ids=[0], sparse_y_pred=True)
    >>> round(float(metric([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    num_classes: int | None
    target_class_ids: Sequence[int]
    _: dataclasses.KW_ONLY
    name: str = "io_u"
    direction: Literal["min", "max"] | None = "max"
    ignore_class: int | None = None
    sparse_y_true: bool = True
    sparse_y_pred: bool = False


@dataclasses.dataclass(frozen=True)
class MeanIoU(_Overlap):
    """The mean of `tp / (tp + fp + fn)` over all classes: integer targets [...], outputs [..., classes].

    As `keras.metrics.MeanIoU`; all else is as for `IoU`. The number of classes is that of the output, if not given.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.MeanIoU(num_classes=2, sparse_y_pred=True)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    num_classes: int | None = None
    _: dataclasses.KW_ONLY
    name: str = "mean_io_u"
    direction: Literal["min", "max"] | None = "max"
    ignore_class: int | None = None
    sparse_y_true: bool = True
    sparse_y_pred: bool = False


@dataclasses.dataclass(frozen=True)
class OneHotIoU(_ChosenOverlap):
    """The mean of `tp / (tp + fp + fn)` over `target_class_ids`: one-hot targets and outputs [..., classes].

    As `keras.metrics.OneHotIoU`; all else is as for `IoU`. Beside a loss that takes integer labels, targets are those.

    >>> import jgraph as jg
    >>> metric = jg.metrics.OneHotIoU(num_classes=3, target_class_ids=[0, 2])
    >>> truth = [[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 0, 0]]
    >>> round(float(metric(truth, [[0.2, 0.3, 0.5], [0.1, 0.2, 0.7], [0.5, 0.3, 0.1], [0.1, 0.4, 0.5]])), 4)
    0.1667
    """

    num_classes: int | None
    target_class_ids: Sequence[int]
    _: dataclasses.KW_ONLY
    name: str = "one_hot_io_u"
    direction: Literal["min", "max"] | None = "max"
    ignore_class: int | None = None
    sparse_y_true: bool = False
    sparse_y_pred: bool = False


@dataclasses.dataclass(frozen=True)
class OneHotMeanIoU(_Overlap):
    """The mean of `tp / (tp + fp + fn)` over all classes: one-hot targets and outputs [..., classes].

    As `keras.metrics.OneHotMeanIoU`; all else is as for `IoU`. Beside a loss that takes integer labels, targets are
    those.

    >>> import jgraph as jg
    >>> truth = [[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 0, 0]]
    >>> scores = [[0.2, 0.3, 0.5], [0.1, 0.2, 0.7], [0.5, 0.3, 0.1], [0.1, 0.4, 0.5]]
    >>> round(float(jg.metrics.OneHotMeanIoU()(truth, scores)), 4)
    0.1111
    """

    num_classes: int | None = None
    _: dataclasses.KW_ONLY
    name: str = "one_hot_mean_io_u"
    direction: Literal["min", "max"] | None = "max"
    ignore_class: int | None = None
    sparse_y_true: bool = False
    sparse_y_pred: bool = False


@dataclasses.dataclass(frozen=True)
class BinaryIoU(Metric):
    """The mean of `tp / (tp + fp + fn)` over class 0 and class 1: targets 0 or 1 and outputs, both [..., n].

    As `keras.metrics.BinaryIoU`: class 1 are the outputs of at least `threshold`, and every entry counts.

    Raises:
        ArgumentError: an argument has a value that it cannot have.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])), 4)
    0.3333
    """

    target_class_ids: Sequence[int] = (0, 1)
    threshold: float = 0.5
    _: dataclasses.KW_ONLY
    name: str = "binary_io_u"
    direction: Literal["min", "max"] | None = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "threshold")
        _check_chosen(self, 2)

    def init(self) -> Array:
        """The sums of no examples."""
        return jnp.zeros(4, jnp.float32)

    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added.

        Raises:
            ShapeError: the targets do not fit the outputs. LossError: the weights do not.
        """
        check_shapes(self, targets, outputs)
        check_values(f"{self.name!r}, a metric", outputs, outputs, weights)
        return sums + counted(targets, outputs >= self.threshold, spread(weights, outputs.shape), 2)

    def compute(self, sums: Any) -> Any:
        """The mean overlap; NaN where there was no example, or none of the classes."""
        return where_seen(mean_overlap(sums, 2, self.target_class_ids), sums.sum())


def _check_chosen(metric: Any, classes: int | None) -> None:
    as_tuple(metric, "target_class_ids")
    chosen = metric.target_class_ids
    whole = isinstance(chosen, tuple) and all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in chosen)
    if not whole or not chosen or (classes is not None and max(chosen) >= classes):
        raise ArgumentError(
            f"{type(metric).__name__}, target_class_ids",
            expected="a list of classes, counted from 0" + (f", of {classes}" if classes else ""),
            got=repr(chosen),
            cure="Write target_class_ids=[0, 1], for example.",
        )
