"""Accuracies: how often the outputs are right, as in Keras 3."""

import dataclasses
import math
from typing import Literal

import jax.numpy as jnp

from jgraph.metrics.checks import check_integer, check_number, columns_of, refuse
from jgraph.metrics.metric import Metric, PerExample, mean_last
from jgraph.typing import Array, Spec


@dataclasses.dataclass(frozen=True)
class Accuracy(PerExample):
    """How often outputs equal their targets: both [..., n], averaged over the last axis. As `keras.metrics.Accuracy`.

    It is for outputs that are class numbers already. The names `"accuracy"` and `"acc"` mean another metric: the one
    of these that fits the output's loss.

    >>> import jgraph as jg
    >>> float(jg.metrics.Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]))
    0.75
    """

    _: dataclasses.KW_ONLY
    name: str = "accuracy"
    direction: Literal["min", "max"] | None = "max"

    def each(self, targets: Array, outputs: Array) -> Array:
        """1 where they are equal, averaged over the last axis."""
        return mean_last(_as_float(targets == outputs))


@dataclasses.dataclass(frozen=True)
class BinaryAccuracy(PerExample):
    """How often output and target are on the same side: of `threshold`, and of 0.5. As `keras.metrics.BinaryAccuracy`.

    Targets and outputs are [..., n]; the last axis is averaged over. On logits the threshold is `log(t / (1 - t))`.

    Raises:
        ArgumentError: the threshold is not a number.

    >>> import jgraph as jg
    >>> float(jg.metrics.BinaryAccuracy(threshold=0.4)([[1], [1], [0], [0]], [[0.98], [0.5], [0.0], [0.6]]))
    0.75
    """

    threshold: float = 0.5
    _: dataclasses.KW_ONLY
    name: str = "binary_accuracy"
    direction: Literal["min", "max"] | None = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "threshold")

    def on_logits(self, link: str) -> Metric | None:
        """The same with the threshold of logits, if they are those of a sigmoid."""
        if link != "sigmoid" or not 0 < self.threshold < 1:
            return None
        return dataclasses.replace(self, threshold=math.log(self.threshold / (1 - self.threshold)))

    def each(self, targets: Array, outputs: Array) -> Array:
        """1 where they are on the same side, averaged over the last axis."""
        return mean_last(_as_float((targets.astype(jnp.float32) > 0.5) == (outputs > self.threshold)))


class _Ranked(PerExample):
    """The base of accuracies that only need the order of the scores, which logits have too."""

    def on_logits(self, link: str) -> Metric | None:
        """Itself: softmax and sigmoid keep the order."""
        del link
        return self


@dataclasses.dataclass(frozen=True)
class CategoricalAccuracy(_Ranked):
    """How often the largest score is where the largest target is: both [..., classes]. As in Keras.

    >>> import jgraph as jg
    >>> float(jg.metrics.CategoricalAccuracy()([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0.0]]))
    0.5
    """

    _: dataclasses.KW_ONLY
    name: str = "categorical_accuracy"
    direction: Literal["min", "max"] | None = "max"

    def each(self, targets: Array, outputs: Array) -> Array:
        """1 where both are largest at the same index."""
        return _as_float(jnp.argmax(targets, axis=-1) == jnp.argmax(outputs, axis=-1))


@dataclasses.dataclass(frozen=True)
class SparseCategoricalAccuracy(_Ranked):
    """How often the largest score is at the target's index: targets [...], outputs [..., classes]. As in Keras.

    >>> import jgraph as jg
    >>> float(jg.metrics.SparseCategoricalAccuracy()([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0.0]]))
    0.5
    """

    _: dataclasses.KW_ONLY
    name: str = "sparse_categorical_accuracy"
    targets: Literal["same", "labels", "free"] = "labels"
    direction: Literal["min", "max"] | None = "max"

    def each(self, targets: Array, outputs: Array) -> Array:
        """1 where the largest score is the target's."""
        return _as_float(targets.astype(jnp.int32) == jnp.argmax(outputs, axis=-1))


@dataclasses.dataclass(frozen=True)
class TopKCategoricalAccuracy(_Ranked):
    """How often fewer than `k` scores are larger than that of the target's class: both [..., classes]. As in Keras.

    Raises:
        ArgumentError: `k` is not a positive integer. LossError: there are no more than `k` classes.

    >>> import jgraph as jg
    >>> float(jg.metrics.TopKCategoricalAccuracy(k=2)([[0, 0, 1], [1, 0, 0]], [[0.1, 0.9, 0.8], [0.05, 0.9, 0.1]]))
    0.5
    """

    k: int = 5
    _: dataclasses.KW_ONLY
    name: str = "top_k_categorical_accuracy"
    direction: Literal["min", "max"] | None = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self, "k")

    def for_output(self, output: Spec) -> "TopKCategoricalAccuracy":
        """Itself, where the output has more than `k` classes."""
        _check_classes(self, self.k, output)
        return self

    def each(self, targets: Array, outputs: Array) -> Array:
        """1 where the target's class is among the first `k`."""
        return among_first(jnp.argmax(targets, axis=-1), outputs, self.k)


@dataclasses.dataclass(frozen=True)
class SparseTopKCategoricalAccuracy(_Ranked):
    """How often fewer than `k` scores are larger than that of the target: targets [...], outputs [..., classes].

    As `keras.metrics.SparseTopKCategoricalAccuracy`. With `from_sorted_ids` the outputs are not scores, but class
    numbers, the most likely one first, of which the first `k` count.

    Raises:
        ArgumentError: `k` is not a positive integer. LossError: there are no more than `k` classes.

    >>> import jgraph as jg
    >>> float(jg.metrics.SparseTopKCategoricalAccuracy(k=2)([2, 0], [[0.1, 0.9, 0.8], [0.05, 0.9, 0.1]]))
    0.5
    """

    k: int = 5
    from_sorted_ids: bool = False
    _: dataclasses.KW_ONLY
    name: str = "sparse_top_k_categorical_accuracy"
    targets: Literal["same", "labels", "free"] = "labels"
    direction: Literal["min", "max"] | None = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self, "k")

    def for_output(self, output: Spec) -> "SparseTopKCategoricalAccuracy":
        """Itself, where the output has more than `k` classes."""
        if not self.from_sorted_ids:
            _check_classes(self, self.k, output)
        return self

    def each(self, targets: Array, outputs: Array) -> Array:
        """1 where the target is among the first `k`."""
        if self.from_sorted_ids:
            return _as_float(jnp.any(targets[..., None] == outputs[..., : self.k], axis=-1))
        return among_first(targets, outputs, self.k)


def among_first(labels: Array, scores: Array, k: int) -> Array:
    """1 where fewer than `k` scores are larger than that of the label; a NaN counts as larger."""
    own = jnp.take_along_axis(scores, labels.astype(jnp.int32)[..., None], axis=-1)
    return _as_float((jnp.sum(~(scores <= own), axis=-1) < k) & (labels >= 0))


def _check_classes(metric: Metric, k: int, output: Spec) -> None:
    if columns_of(metric, output) <= k:
        raise refuse(metric, output, f"an output of more than k={k} classes, else it is 1", "Give a smaller k=.")


def _as_float(right: Array) -> Array:
    return jnp.asarray(right, jnp.float32)


sparse_categorical_accuracy = SparseCategoricalAccuracy()
"""How often the largest score is at the target's index: targets [...], outputs [..., classes]."""

categorical_accuracy = CategoricalAccuracy()
"""How often the largest score is where the largest target is: targets and outputs [..., classes]."""

binary_accuracy = BinaryAccuracy()
"""How often output and target are on the same side of 0.5 (logits: of 0), averaged over the last axis."""
