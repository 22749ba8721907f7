"""A metric: weighted sums on the device, merged by adding, read once an epoch."""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp

from jgraph.typing import Array, Function


@dataclasses.dataclass(frozen=True)
class Metric:
    """The weighted mean of per-example values: `sum(weight * value) / sum(weight)`.

    `values` maps (targets, outputs) to one value per example (and time step). Where the output is trained through a
    cross-entropy, `logit_values`, if given, is used on its logits instead. `targets` says whether a target has the
    output's shape, is an integer label for its last axis, or anything (`free`). As for layers, `mixes_rows` says that
    a row's value may depend on other rows of the batch. `direction` says which value is the better one, the smallest
    (`min`) or the largest (`max`); callbacks that watch a metric without one have to be told, by their `mode`.

    >>> import jax.numpy as jnp
    >>> metric = Metric("error", lambda targets, outputs: abs(targets - outputs))
    >>> sums = metric.update(metric.init(), jnp.array([1.0, 2.0]), jnp.array([1.0, 4.0]), jnp.array([1.0, 3.0]))
    >>> float(metric.compute(sums))
    1.5
    """

    name: str
    values: Function
    logit_values: Function | None = None
    targets: Literal["same", "labels", "free"] = "free"
    mixes_rows: bool = True
    direction: Literal["min", "max"] | None = None

    def init(self) -> Array:
        """The sums of no examples: [weighted values, weights]."""
        return jnp.zeros(2, jnp.float32)

    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added."""
        return sums + weighted_sums(self.values(targets, outputs), weights)

    def merge(self, a: Array, b: Array) -> Array:
        """The sums of two sets of examples together."""
        return a + b

    def compute(self, sums: Any) -> Any:
        """The mean; NaN where there was no example."""
        return sums[0] / sums[1]


def weighted_sums(values: Array, weights: Array) -> Array:
    """`[sum(weights * values), sum(weights)]` in float32, weights broadcast from the left; weight 0 erases a value."""
    weights = widen(weights, values.ndim) * jnp.ones(values.shape, jnp.float32)
    kept = jnp.where(weights != 0, values.astype(jnp.float32), 0.0)
    return jnp.stack([jnp.sum(weights * kept), jnp.sum(weights)])


def widen(weights: Array, rank: int) -> Array:
    """Weights [batch, ...] with axes of size 1 behind, up to a rank."""
    return weights.reshape(*weights.shape, *[1] * (rank - weights.ndim)).astype(jnp.float32)
