"""Metrics: pure functions over one vector of weighted sums, which lies on the device and is read once an epoch."""

import abc
import dataclasses
from typing import Any, Literal, Self

import jax.numpy as jnp

from jgraph.errors import LossError
from jgraph.typing import Array, Function, Spec


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric(abc.ABC):
    """What a metric is: `init` makes its sums, one vector of float32; `update` adds examples; `compute` reads it.

    `merge` puts the sums of two sets of examples together: it is associative, `init()` is its unit, and merging the
    sums of parts gives those of the whole. As most do, this one adds. `compute` gives one number, from a NumPy or a JAX
    vector; NaN where there was no example. Weights are those of the examples, [batch] or [batch, time].

    `name` is that of the log. `targets` says whether a target has the output's shape (`same`), is an integer label for
    its last axis (`labels`), or anything (`free`). As for layers, `mixes_rows` says that a row's value may depend on
    other rows of the batch: where no row without weight changes the sums, it is false. `direction` says which value is
    the better one, the smallest (`min`) or the largest (`max`); callbacks that watch a metric without one have to be
    told, by their `mode`.
    """

    name: str
    targets: Literal["same", "labels", "free"] = "same"
    mixes_rows: bool = False
    direction: Literal["min", "max"] | None = None

    def for_output(self, output: Spec) -> Self:
        """The metric for an output of this spec, for those that depend on it, as on the number of classes."""
        del output
        return self

    def on_logits(self) -> "Metric | None":
        """The metric that takes logits instead, where the output is trained through a cross-entropy; none by default.

        Then the metric gets what the softmax or sigmoid gives.
        """
        return None

    @abc.abstractmethod
    def init(self) -> Array:
        """The sums of no examples."""

    @abc.abstractmethod
    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added."""

    def merge(self, a: Array, b: Array) -> Array:
        """The sums of two sets of examples together."""
        return a + b

    @abc.abstractmethod
    def compute(self, sums: Any) -> Any:
        """The value."""


@dataclasses.dataclass(frozen=True)
class Mean(Metric):
    """The weighted mean of per-example values: `sum(weight * value) / sum(weight)`.

    `values` maps (targets, outputs) to one value per example (and time step). Where the output is trained through a
    cross-entropy, `logit_values`, if given, is used on its logits instead.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> metric = jg.metrics.Mean(lambda targets, outputs: abs(targets - outputs), name="error")
    >>> sums = metric.update(metric.init(), jnp.array([1.0, 2.0]), jnp.array([1.0, 4.0]), jnp.array([1.0, 3.0]))
    >>> float(metric.compute(sums))
    1.5
    """

    values: Function
    logit_values: Function | None = None

    def on_logits(self) -> "Mean | None":
        """The mean of the values of logits, if there are such."""
        return self.logit_values and dataclasses.replace(self, values=self.logit_values)

    def init(self) -> Array:
        """The sums of no examples: [weighted values, weights]."""
        return jnp.zeros(2, jnp.float32)

    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added.

        Raises:
            LossError: `values` does not give one value per example.
        """
        values = check_values(f"{self.name!r}, a metric", self.values(targets, outputs), outputs, weights)
        return sums + weighted_sums(values, weights)

    def compute(self, sums: Any) -> Any:
        """The mean; NaN where there was no example."""
        return sums[0] / sums[1]


def check_values(where: str, values: Any, output: Array, weights: Array) -> Array:
    """What a loss or metric function gave, if it is one value per example, and per step where weights or a mask are.

    Raises:
        LossError: it is not.
    """
    shape = getattr(values, "shape", None)
    if not shape or shape != output.shape[: len(shape)]:
        raise LossError(
            where,
            expected=f"one value per example: as many as the first axes of the output, {shape_of(output)}, hold",
            got=shape_of(values) if shape is not None else type(values).__name__,
            cure="Do not average over the batch, and reshape targets that would broadcast.",
        )
    if weights.ndim > len(shape) or any(w not in (1, n) for w, n in zip(weights.shape, shape, strict=False)):
        raise LossError(
            where,
            expected=f"a value for each entry of the weights (or mask) {list(weights.shape)}",
            got=shape_of(values),
            cure="Average over the last axis only, or end the mask before the output.",
        )
    return values


def shape_of(array: Any) -> str:
    """Dtype and shape, for errors."""
    return f"{array.dtype}[{', '.join(map(str, array.shape))}]"


def weighted_sums(values: Array, weights: Array) -> Array:
    """`[sum(weights * values), sum(weights)]` in float32, weights broadcast from the left; weight 0 erases a value."""
    weights = widen(weights, values.ndim) * jnp.ones(values.shape, jnp.float32)
    kept = jnp.where(weights != 0, values.astype(jnp.float32), 0.0)
    return jnp.stack([jnp.sum(weights * kept), jnp.sum(weights)])


def widen(weights: Array, rank: int) -> Array:
    """Weights [batch, ...] with axes of size 1 behind, up to a rank."""
    return weights.reshape(*weights.shape, *[1] * (rank - weights.ndim)).astype(jnp.float32)
