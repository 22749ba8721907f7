"""Cross-entropies and distances of distributions, as means over the examples, as in Keras 3."""

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import optax

from jgraph.metrics.checks import check_integer, check_number
from jgraph.metrics.metric import Metric, PerExample, mean_last, widen
from jgraph.metrics.regression import EPSILON
from jgraph.typing import Array


class _CrossEntropy(PerExample):
    """The base of cross-entropies, which are taken on logits where the output is trained through their `link`."""

    link: ClassVar[str] = "softmax"
    from_logits: bool

    def on_logits(self, link: str) -> Metric | None:
        """The same on logits."""
        own: Any = self
        return dataclasses.replace(own, from_logits=True) if link == self.link or self.from_logits else None


@dataclasses.dataclass(frozen=True)
class BinaryCrossentropy(_CrossEntropy):
    """`mean(-t log p - (1 - t) log(1 - p))` over the last axis: targets and outputs [..., n]. As in Keras.

    Where the output is trained through a cross-entropy of its sigmoid, it is taken on the logits. `from_logits` says
    that the outputs are logits elsewhere too. `label_smoothing` s turns targets into `t (1 - s) + 0.5 s`.

    Raises:
        ArgumentError: the smoothing is not a number from 0 to 1.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.BinaryCrossentropy()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    0.8149
    """

    _: dataclasses.KW_ONLY
    name: str = "binary_crossentropy"
    direction: Literal["min", "max"] | None = "min"
    from_logits: bool = False
    label_smoothing: float = 0.0

    link = "sigmoid"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "label_smoothing", 0.0, 1.0)

    def each(self, targets: Array, outputs: Array) -> Array:
        """The cross-entropy, averaged over the last axis."""
        targets = targets.astype(outputs.dtype)
        targets = targets * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        if self.from_logits:
            return mean_last(optax.losses.sigmoid_binary_cross_entropy(outputs, targets))
        p = jnp.clip(outputs, EPSILON, 1.0 - EPSILON)
        return mean_last(-targets * jnp.log(p) - (1.0 - targets) * jnp.log(1.0 - p))


@dataclasses.dataclass(frozen=True)
class CategoricalCrossentropy(_CrossEntropy):
    """`-sum(t log p)`: targets and outputs [..., classes]. As `keras.metrics.CategoricalCrossentropy`.

    Where the output is trained through a cross-entropy of its softmax, it is taken on the logits. `from_logits` says
    that the outputs are logits elsewhere too. `label_smoothing` s turns targets into `t (1 - s) + s / classes`.

    Raises:
        ArgumentError: the smoothing is not a number from 0 to 1.

    >>> import jgraph as jg
    >>> metric = jg.metrics.CategoricalCrossentropy()
    >>> round(float(metric([[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]])), 4)
    1.1769
    """

    _: dataclasses.KW_ONLY
    name: str = "categorical_crossentropy"
    direction: Literal["min", "max"] | None = "min"
    from_logits: bool = False
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "label_smoothing", 0.0, 1.0)

    def each(self, targets: Array, outputs: Array) -> Array:
        """The cross-entropy."""
        targets = targets.astype(outputs.dtype)
        targets = targets * (1.0 - self.label_smoothing) + self.label_smoothing / outputs.shape[-1]
        return -jnp.sum(targets * log_probabilities(outputs, self.from_logits), axis=-1)


class _Labelled(_CrossEntropy):
    """The base of means of `-log p[t]`: integer targets [...], outputs [..., classes].

    Targets of `ignore_class` do not count.
    """

    ignore_class: int | None

    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added, but those of the class to ignore."""
        if self.ignore_class is not None and weights.ndim <= targets.ndim:
            weights = jnp.where(targets == self.ignore_class, 0.0, widen(weights, targets.ndim))
        return super().update(sums, targets, outputs, weights)

    def each(self, targets: Array, outputs: Array) -> Array:
        """The cross-entropy; NaN for what is no label."""
        labels = targets.astype(jnp.int32)
        found = jnp.take_along_axis(log_probabilities(outputs, self.from_logits), labels[..., None], axis=-1)[..., 0]
        return jnp.where((labels >= 0) & (labels < outputs.shape[-1]), -found, jnp.nan)


@dataclasses.dataclass(frozen=True)
class SparseCategoricalCrossentropy(_Labelled):
    """`-log p[t]`: integer targets [...], outputs [..., classes]. As `keras.metrics.SparseCategoricalCrossentropy`.

    Where the output is trained through a cross-entropy of its softmax, it is taken on the logits. `from_logits` says
    that the outputs are logits elsewhere too. Targets of `ignore_class` do not count, as if their weight were 0 (in
    Keras they do, with a value of 0, where there are no weights).

    Raises:
        ArgumentError: the class to ignore is not an integer.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.SparseCategoricalCrossentropy()([1, 2], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]])), 4)
    1.1769
    """

    _: dataclasses.KW_ONLY
    name: str = "sparse_categorical_crossentropy"
    targets: Literal["same", "labels", "free"] = "labels"
    direction: Literal["min", "max"] | None = "min"
    from_logits: bool = False
    ignore_class: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_ignored(self)


@dataclasses.dataclass(frozen=True)
class Perplexity(_Labelled):
    """`exp(mean(-log p[t]))` over all steps that count: integer targets [...], outputs [..., classes].

    As uncertain as the model is, as many equally likely classes there would be. Masked steps and targets of
    `ignore_class` do not count. As KerasHub's metric of this name; logits as for the cross-entropy.

    Raises:
        ArgumentError: the class to ignore is not an integer.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.Perplexity()([[1, 2]], [[[0.25, 0.5, 0.25], [0.25, 0.25, 0.5]]])), 4)
    2.0
    """

    _: dataclasses.KW_ONLY
    name: str = "perplexity"
    targets: Literal["same", "labels", "free"] = "labels"
    direction: Literal["min", "max"] | None = "min"
    from_logits: bool = False
    ignore_class: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_ignored(self)

    def compute(self, sums: Any) -> Any:
        """The exponential of the mean; NaN where there was no example."""
        return sums.__array_namespace__().exp(super().compute(sums))


@dataclasses.dataclass(frozen=True)
class BrierScore(PerExample):
    """`sum((p - t)^2)` over the classes, `(p - t)^2` of one probability: targets and outputs [..., n] (Brier 1950).

    Integer labels are made one-hot. As `sklearn.metrics.brier_score_loss`.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.BrierScore()([[0], [1]], [[0.1], [0.8]])), 4)
    0.025
    """

    _: dataclasses.KW_ONLY
    name: str = "brier_score"
    direction: Literal["min", "max"] | None = "min"

    def for_targets(self, targets: str) -> Metric | None:
        """Itself, for labels too."""
        return dataclasses.replace(self, targets="labels") if targets == "labels" else super().for_targets(targets)

    def each(self, targets: Array, outputs: Array) -> Array:
        """The squared distance."""
        if self.targets == "labels":
            targets = jax.nn.one_hot(targets, outputs.shape[-1])
        squared = jnp.square(outputs - targets.astype(outputs.dtype))
        return jnp.sum(squared, axis=-1) if squared.ndim > 1 else squared


@dataclasses.dataclass(frozen=True)
class KLDivergence(PerExample):
    """`sum(t log(t / p))` of numbers from 1e-7 to 1: targets and outputs [..., classes]. As in Keras.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.KLDivergence()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    0.4581
    """

    _: dataclasses.KW_ONLY
    name: str = "kl_divergence"
    direction: Literal["min", "max"] | None = "min"

    def each(self, targets: Array, outputs: Array) -> Array:
        """How many nats the outputs lose."""
        t, p = (jnp.clip(x.astype(outputs.dtype), EPSILON, 1.0) for x in (targets, outputs))
        return jnp.sum(t * jnp.log(t / p), axis=-1)


@dataclasses.dataclass(frozen=True)
class Poisson(PerExample):
    """`mean(outputs - targets log(outputs + 1e-7))` over the last axis: both [..., n]. As `keras.metrics.Poisson`.

    >>> import jgraph as jg
    >>> round(float(jg.metrics.Poisson()([[0, 1], [0, 0]], [[1.0, 1.0], [0.0, 0.0]])), 4)
    0.5
    """

    _: dataclasses.KW_ONLY
    name: str = "poisson"
    direction: Literal["min", "max"] | None = "min"

    def each(self, targets: Array, outputs: Array) -> Array:
        """The negative logarithm of the likelihood, but for what only targets are in."""
        return mean_last(outputs - targets.astype(outputs.dtype) * jnp.log(outputs + EPSILON))


def log_probabilities(outputs: Array, from_logits: bool) -> Array:
    """Their logarithms along the last axis; probabilities are made to sum to 1 and kept from 1e-7 to 1 - 1e-7."""
    if from_logits:
        return jax.nn.log_softmax(outputs)
    return jnp.log(jnp.clip(outputs / jnp.sum(outputs, axis=-1, keepdims=True), EPSILON, 1.0 - EPSILON))


def _check_ignored(metric: Any) -> None:
    if metric.ignore_class is not None:
        check_integer(metric, "ignore_class", least=-(2**31))
