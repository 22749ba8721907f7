"""The losses by Keras' names, on `optax.losses`; each averages over the last axis: one value is one example's."""

import jax.numpy as jnp
import optax

from jgraph.losses.loss import Loss
from jgraph.metrics.metric import mean_last
from jgraph.typing import Array


def _squared(targets: Array, outputs: Array) -> Array:
    return mean_last(optax.losses.squared_error(outputs, targets.astype(outputs.dtype)))


def _absolute(targets: Array, outputs: Array) -> Array:
    return mean_last(abs(outputs - targets.astype(outputs.dtype)))


def _huber(targets: Array, outputs: Array) -> Array:
    return mean_last(optax.losses.huber_loss(outputs, targets.astype(outputs.dtype), delta=1.0))


def _binary(targets: Array, logits: Array) -> Array:
    return mean_last(optax.losses.sigmoid_binary_cross_entropy(logits, targets.astype(logits.dtype)))


def _categorical(targets: Array, logits: Array) -> Array:
    return optax.losses.safe_softmax_cross_entropy(logits, targets.astype(logits.dtype))


def _sparse(targets: Array, logits: Array) -> Array:
    values = optax.losses.softmax_cross_entropy_with_integer_labels(logits, targets)
    return jnp.where(targets < 0, jnp.nan, values)  # JAX would count a negative label from the end


mean_squared_error = Loss("mean_squared_error", _squared, mixes_rows=False)
"""`mean((outputs - targets)^2)`: targets like the outputs [..., n]."""

mean_absolute_error = Loss("mean_absolute_error", _absolute, mixes_rows=False)
"""`mean(|outputs - targets|)`: targets like the outputs [..., n]."""

huber = Loss("huber", _huber, mixes_rows=False)
"""`mean(0.5 e^2 if |e| <= 1 else |e| - 0.5)` with `e = outputs - targets` (Huber 1964; Keras' delta of 1)."""

binary_crossentropy = Loss("binary_crossentropy", _binary, link="sigmoid", mixes_rows=False)
"""`mean(-t log p - (1 - t) log(1 - p))` with `p = sigmoid(logits)`, from the logits: targets [..., n] in [0, 1]."""

categorical_crossentropy = Loss("categorical_crossentropy", _categorical, link="softmax", mixes_rows=False)
"""`-sum(t log p)` with `p = softmax(logits)`, from the logits: targets [..., classes] that sum to 1."""

sparse_categorical_crossentropy = Loss(
    "sparse_categorical_crossentropy", _sparse, link="softmax", targets="labels", mixes_rows=False
)
"""`-log p[t]` with `p = softmax(logits)`, from the logits: integer targets [...], logits [..., classes]."""

LOSSES: dict[str, Loss] = {
    "mse": mean_squared_error,
    "mean_squared_error": mean_squared_error,
    "mae": mean_absolute_error,
    "mean_absolute_error": mean_absolute_error,
    "huber": huber,
    "binary_crossentropy": binary_crossentropy,
    "categorical_crossentropy": categorical_crossentropy,
    "sparse_categorical_crossentropy": sparse_categorical_crossentropy,
}
"""What strings name."""
