"""Losses of numbers: distances between targets and outputs, averaged over the last axis.

All take targets like the outputs, [..., n], and give one value per example, [...].
"""

from typing import Any

import jax.numpy as jnp
import optax

from jgraph.losses.checks import check_axes, check_between
from jgraph.losses.loss import LibraryLoss, elementwise
from jgraph.typing import Array

EPSILON = 1e-7
"""Keras' `backend.epsilon()`."""


class MeanSquaredError(LibraryLoss):
    """`mean((outputs - targets)^2)`, over the last axis. As `keras.losses.MeanSquaredError`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.MeanSquaredError()(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]))
    Array([2.], dtype=float32)
    """

    def values(self, targets: Array, outputs: Array) -> Array:
        """The mean of the squares."""
        return elementwise(optax.losses.squared_error, targets, outputs)


class L2Loss(LibraryLoss):
    """`mean((outputs - targets)^2) / 2`, over the last axis. The terms are those of `optax.losses.l2_loss`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.L2Loss()(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]))
    Array([1.], dtype=float32)
    """

    def values(self, targets: Array, outputs: Array) -> Array:
        """Half the mean of the squares."""
        return elementwise(optax.losses.l2_loss, targets, outputs)


class MeanAbsoluteError(LibraryLoss):
    """`mean(|outputs - targets|)`, over the last axis. As `keras.losses.MeanAbsoluteError`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.MeanAbsoluteError()(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]))
    Array([1.], dtype=float32)
    """

    def values(self, targets: Array, outputs: Array) -> Array:
        """The mean of the distances."""
        return elementwise(lambda y, t: abs(y - t), targets, outputs)


class MeanAbsolutePercentageError(LibraryLoss):
    """`100 * mean(|outputs - targets| / max(|targets|, 1e-7))`, over the last axis.

    As `keras.losses.MeanAbsolutePercentageError`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.MeanAbsolutePercentageError()(jnp.array([[2.0, 4.0]]), jnp.array([[1.0, 4.0]]))
    Array([25.], dtype=float32)
    """

    def values(self, targets: Array, outputs: Array) -> Array:
        """The mean of the distances, in percent of the targets."""
        return elementwise(lambda y, t: 100 * abs((y - t) / jnp.maximum(abs(t), EPSILON)), targets, outputs)


class MeanSquaredLogarithmicError(LibraryLoss):
    """`mean((log(1 + outputs) - log(1 + targets))^2)`, over the last axis; outputs below 1e-7 count as 1e-7.

    As `keras.losses.MeanSquaredLogarithmicError`, but that negative targets are refused instead of cut off.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.MeanSquaredLogarithmicError()(jnp.array([[0.0, 3.0]]), jnp.array([[0.0, 3.0]]))
    Array([0.], dtype=float32)
    """

    def bounds(self) -> tuple[float, float] | None:
        """No target is negative."""
        return 0, jnp.inf

    def values(self, targets: Array, outputs: Array) -> Array:
        """The mean of the squares of the logarithms' differences."""

        def log(x: Array) -> Array:
            return jnp.log(jnp.maximum(x, EPSILON) + 1)

        return elementwise(lambda y, t: jnp.square(log(y) - log(t)), targets, outputs)


class Huber(LibraryLoss):
    """`mean(0.5 e^2 if |e| <= delta else delta (|e| - 0.5 delta))` with `e = outputs - targets` (Huber 1964).

    As `keras.losses.Huber` and `optax.losses.huber_loss`.

    Raises:
        ArgumentError: `delta` is not positive.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.Huber(delta=2.0)(jnp.array([[0.0]]), jnp.array([[3.0]]))
    Array([4.], dtype=float32)
    """

    delta: float = 1.0

    def check(self) -> None:
        """Checks `delta`."""
        check_between("Huber", 0, delta=self.delta, open_ends=True)

    def values(self, targets: Array, outputs: Array) -> Array:
        """The mean over the last axis."""
        return elementwise(lambda y, t: optax.losses.huber_loss(y, t, delta=self.delta), targets, outputs)


class LogCosh(LibraryLoss):
    """`mean(log(cosh(outputs - targets)))`, over the last axis. As `keras.losses.LogCosh`, `optax.losses.log_cosh`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.LogCosh()(jnp.array([[1.0]]), jnp.array([[1.0]]))
    Array([0.], dtype=float32)
    """

    def values(self, targets: Array, outputs: Array) -> Array:
        """The mean over the last axis."""
        return elementwise(optax.losses.log_cosh, targets, outputs)


class Poisson(LibraryLoss):
    """`mean(outputs - targets * log(outputs + 1e-7))`, over the last axis: outputs are rates, above 0.

    As `keras.losses.Poisson`, but that negative targets, which no count is, are refused.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.Poisson()(jnp.array([[2.0]]), jnp.array([[1.0]])).round(4)
    Array([1.], dtype=float32)
    """

    def bounds(self) -> tuple[float, float] | None:
        """No count is negative."""
        return 0, jnp.inf

    def values(self, targets: Array, outputs: Array) -> Array:
        """The mean over the last axis."""
        return elementwise(lambda y, t: y - t * jnp.log(y + EPSILON), targets, outputs)


class CosineSimilarity(LibraryLoss):
    """`-sum(targets * outputs) / (|targets| |outputs|)` along an axis: -1 for the same direction, 1 for the opposite.

    Along the last axis there is a value for each vector; along another one, their mean for each example. A vector of
    zeros is similar to nothing. As `keras.losses.CosineSimilarity`, by `optax.losses.cosine_similarity`.

    Raises:
        ArgumentError: the axis is the batch axis, or none.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.CosineSimilarity()(jnp.array([[0.0, 2.0]]), jnp.array([[0.0, 1.0]]))
    Array([-1.], dtype=float32)
    """

    axis: int = -1

    def check(self) -> None:
        """Checks the axis."""
        check_axes(type(self).__name__, self.axis, several=False)

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        return -cosine(targets, outputs, self.axis)


class CosineDistance(LibraryLoss):
    """`1 - sum(targets * outputs) / (|targets| |outputs|)` along an axis: 0 for the same direction.

    As `CosineSimilarity` but for the 1; as `optax.losses.cosine_distance`.

    Raises:
        ArgumentError: the axis is the batch axis, or none.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.CosineDistance()(jnp.array([[0.0, 2.0]]), jnp.array([[0.0, 1.0]]))
    Array([0.], dtype=float32)
    """

    axis: int = -1

    def check(self) -> None:
        """Checks the axis."""
        check_axes(type(self).__name__, self.axis, several=False)

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        return 1 - cosine(targets, outputs, self.axis)


def cosine(targets: Array, outputs: Array, axis: int) -> Array:
    """The cosine between targets and outputs along an axis, its mean over the other ones where that is not the last."""
    pair: Any = (outputs, targets.astype(outputs.dtype))
    outputs, targets = (a[:, None] if a.ndim == 1 else a for a in pair)
    # Norms below Keras' epsilon count as that: a vector of zeros has a cosine of 0, and a gradient.
    values = optax.losses.cosine_similarity(outputs, targets, epsilon=EPSILON**2, axis=axis)
    last = axis in (-1, outputs.ndim - 1)
    return values if last else jnp.mean(values, axis=tuple(range(1, values.ndim)))
