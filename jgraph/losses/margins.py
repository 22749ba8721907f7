"""Losses of scores: hinges and their kin, which ask that the right class is ahead by a margin.

Binary targets may be written 0 and 1, or -1 and 1: a 0 counts as -1, element by element. (Keras reads 0 so only where
the whole batch holds no other number than 0 and 1, which is the same for targets of one kind.)
"""

import jax.numpy as jnp
import optax

from jgraph.losses.loss import LibraryLoss, elementwise
from jgraph.typing import Array


class BinaryMargin(LibraryLoss):
    """The base of losses whose targets [..., n] are 0 and 1, or -1 and 1."""

    def bounds(self) -> tuple[float, float] | None:
        """Targets are from -1 to 1."""
        return -1, 1


class Hinge(BinaryMargin):
    """`mean(max(1 - t y, 0))` with `t` of -1 or 1, over the last axis. As `keras.losses.Hinge`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.Hinge()(jnp.array([[0.0, 1.0]]), jnp.array([[0.5, 0.5]]))
    Array([1.], dtype=float32)
    """

    def values(self, targets: Array, outputs: Array) -> Array:
        """The mean over the last axis."""
        return elementwise(optax.losses.hinge_loss, _signs(targets), outputs)


class SquaredHinge(BinaryMargin):
    """`mean(max(1 - t y, 0)^2)` with `t` of -1 or 1, over the last axis. As `keras.losses.SquaredHinge`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.SquaredHinge()(jnp.array([[0.0, 1.0]]), jnp.array([[0.5, 0.5]]))
    Array([1.25], dtype=float32)
    """

    def values(self, targets: Array, outputs: Array) -> Array:
        """The mean over the last axis."""
        return elementwise(lambda y, t: optax.losses.hinge_loss(y, t) ** 2, _signs(targets), outputs)


class PerceptronLoss(BinaryMargin):
    """`mean(max(-t y, 0))` with `t` of -1 or 1, over the last axis (Rosenblatt 1958).

    As `optax.losses.perceptron_loss`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.PerceptronLoss()(jnp.array([[0.0, 1.0]]), jnp.array([[0.5, 0.5]]))
    Array([0.25], dtype=float32)
    """

    def values(self, targets: Array, outputs: Array) -> Array:
        """The mean over the last axis."""
        return elementwise(optax.losses.perceptron_loss, _signs(targets), outputs)


class SparsemaxLoss(BinaryMargin):
    """`mean(sparse_plus(-t y))` with `t` of -1 or 1, over the last axis (Martins and Astudillo 2016).

    As `optax.losses.sparsemax_loss`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.SparsemaxLoss()(jnp.array([[0.0, 1.0]]), jnp.array([[0.0, 2.0]]))
    Array([0.125], dtype=float32)
    """

    def values(self, targets: Array, outputs: Array) -> Array:
        """The mean over the last axis."""
        return elementwise(lambda y, t: optax.losses.sparsemax_loss(y, t > 0), targets, outputs)


class CategoricalHinge(LibraryLoss):
    """`max(max((1 - t) y) - sum(t y) + 1, 0)`: one-hot targets and scores [..., classes].

    As `keras.losses.CategoricalHinge`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.CategoricalHinge()(jnp.array([[0.0, 1.0]]), jnp.array([[0.5, 0.75]]))
    Array([0.75], dtype=float32)
    """

    def bounds(self) -> tuple[float, float] | None:
        """Targets are from 0 to 1."""
        return 0, 1

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        targets, outputs = (a[:, None] if a.ndim == 1 else a for a in (targets.astype(outputs.dtype), outputs))
        right, wrong = jnp.sum(targets * outputs, axis=-1), jnp.max((1 - targets) * outputs, axis=-1)
        return jnp.maximum(wrong - right + 1, 0)


class MulticlassHingeLoss(LibraryLoss):
    """`max(y + 1 - onehot(t)) - y[t]`: integer targets [...], scores [..., classes] (Crammer and Singer 2001).

    As `optax.losses.multiclass_hinge_loss`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.MulticlassHingeLoss()(jnp.array([1]), jnp.array([[0.5, 0.75]]))
    Array([0.75], dtype=float32)
    """

    targets = "labels"

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example; NaN for a label that is out of range."""
        return _in_range(targets, outputs, optax.losses.multiclass_hinge_loss(outputs, targets))


class MulticlassPerceptronLoss(LibraryLoss):
    """`max(y) - y[t]`: integer targets [...], scores [..., classes]. As `optax.losses.multiclass_perceptron_loss`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.MulticlassPerceptronLoss()(jnp.array([0]), jnp.array([[0.5, 0.75]]))
    Array([0.25], dtype=float32)
    """

    targets = "labels"

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example; NaN for a label that is out of range."""
        return _in_range(targets, outputs, optax.losses.multiclass_perceptron_loss(outputs, targets))


class MulticlassSparsemaxLoss(LibraryLoss):
    """The loss of the sparsemax over classes: integer targets [...], scores [..., classes].

    From Martins and Astudillo (2016). As `optax.losses.multiclass_sparsemax_loss`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.MulticlassSparsemaxLoss()(jnp.array([0]), jnp.array([[0.0, 0.0]]))
    Array([0.25], dtype=float32)
    """

    targets = "labels"

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example; NaN for a label that is out of range."""
        flat = outputs.reshape(-1, outputs.shape[-1]), targets.reshape(-1)
        values = optax.losses.multiclass_sparsemax_loss(*flat).reshape(targets.shape)
        return _in_range(targets, outputs, values)


def _signs(targets: Array) -> Array:
    """0 as -1."""
    targets = targets.astype(jnp.float32)
    return jnp.where(targets == 0, -1, targets)


def _in_range(labels: Array, scores: Array, values: Array) -> Array:
    return jnp.where((labels < 0) | (labels >= scores.shape[-1]), jnp.nan, values)
