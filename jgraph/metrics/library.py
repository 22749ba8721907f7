"""The metrics by Keras' names."""

import jax.numpy as jnp

from jgraph.metrics.metric import Mean, Metric
from jgraph.typing import Array


def mean_last(values: Array) -> Array:
    """The mean over the last axis, which makes one value per example; values that are one per example stay."""
    return jnp.mean(values, axis=-1) if values.ndim > 1 else values


def _classes(targets: Array, scores: Array) -> Array:
    return jnp.asarray(targets.astype(jnp.int32) == jnp.argmax(scores, axis=-1), jnp.float32)


def _one_hot(targets: Array, scores: Array) -> Array:
    return jnp.asarray(jnp.argmax(targets, axis=-1) == jnp.argmax(scores, axis=-1), jnp.float32)


def _binary(targets: Array, outputs: Array) -> Array:
    return mean_last(jnp.asarray((targets.astype(jnp.float32) > 0.5) == (outputs > 0.5), jnp.float32))


def _binary_logits(targets: Array, logits: Array) -> Array:
    return mean_last(jnp.asarray((targets.astype(jnp.float32) > 0.5) == (logits > 0), jnp.float32))


def _squared(targets: Array, outputs: Array) -> Array:
    return mean_last(jnp.square(outputs - targets.astype(outputs.dtype)))


def _absolute(targets: Array, outputs: Array) -> Array:
    return mean_last(jnp.abs(outputs - targets.astype(outputs.dtype)))


sparse_categorical_accuracy = Mean(
    _classes, _classes, name="sparse_categorical_accuracy", targets="labels", direction="max"
)
"""How often the largest score is at the target's index: targets [...], outputs [..., classes]."""

categorical_accuracy = Mean(_one_hot, _one_hot, name="categorical_accuracy", direction="max")
"""How often the largest score is where the largest target is: targets and outputs [..., classes]."""

binary_accuracy = Mean(_binary, _binary_logits, name="binary_accuracy", direction="max")
"""How often output and target are on the same side of 0.5 (logits: of 0), averaged over the last axis."""

mean_squared_error = Mean(_squared, name="mse", direction="min")
"""`mean((outputs - targets)^2)` over the last axis."""

mean_absolute_error = Mean(_absolute, name="mae", direction="min")
"""`mean(|outputs - targets|)` over the last axis."""

METRICS: dict[str, Metric] = {
    "sparse_categorical_accuracy": sparse_categorical_accuracy,
    "categorical_accuracy": categorical_accuracy,
    "binary_accuracy": binary_accuracy,
    "mse": mean_squared_error,
    "mean_squared_error": mean_squared_error,
    "mae": mean_absolute_error,
    "mean_absolute_error": mean_absolute_error,
}
"""What strings name; `accuracy` (and `acc`) is the one that fits the output's loss."""
