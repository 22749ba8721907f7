"""Losses of regions: how far two soft sets overlap, for segmentation. One value per example."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import optax

from jgraph.errors import LossError, check_flag
from jgraph.losses.checks import check_axes, check_between
from jgraph.losses.loss import LibraryLoss
from jgraph.typing import Array

EPSILON = 1e-7
"""Keras' `backend.epsilon()`."""


class Overlap(LibraryLoss):
    """The base of losses over probabilities as the output shows them: targets like the outputs, in [0, 1]."""

    of_probabilities = True

    def bounds(self) -> tuple[float, float] | None:
        """Targets are from 0 to 1."""
        return 0, 1


class Dice(Overlap):
    """`1 - 2 sum(t y) / (sum(t) + sum(y) + 1e-7)`, of the probabilities that the output shows (Dice 1945).

    The sums are over `axis`, all axes but the batch where it is not given; over axes that are left the mean is taken,
    so there is one value per example. As `keras.losses.Dice`, which without an axis sums over the batch too.

    Raises:
        ArgumentError: an axis is the batch axis, or none.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.Dice()(jnp.array([[1.0, 1.0, 0.0]]), jnp.array([[1.0, 0.0, 0.0]]))
    Array([0.3333333], dtype=float32)
    """

    axis: int | Sequence[int] | None = None

    def check(self) -> None:
        """Checks the axes."""
        _check_axes(self)

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        targets, axes = targets.astype(outputs.dtype), _axes(self.axis, outputs)
        both = jnp.sum(targets * outputs, axis=axes)
        all_of_them = jnp.sum(targets, axis=axes) + jnp.sum(outputs, axis=axes)
        return _per_example(1 - 2 * both / (all_of_them + EPSILON))


class Tversky(Overlap):
    """`1 - b / (b + alpha sum((1 - y) t) + beta sum(y (1 - t)) + 1e-7)` with `b = sum(t y)` (Salehi et al. 2017).

    With `alpha = beta = 0.5` it is `Dice`. The axes are those of `Dice`. As `keras.losses.Tversky`, whose `alpha`
    weighs what was missed, and `beta` what was wrongly found.

    Raises:
        ArgumentError: `alpha` or `beta` is negative; an axis is the batch axis, or none.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.Tversky(alpha=1.0, beta=0.0)(jnp.array([[1.0, 1.0, 0.0]]), jnp.array([[1.0, 0.0, 1.0]]))
    Array([0.5], dtype=float32)
    """

    alpha: float = 0.5
    beta: float = 0.5
    axis: int | Sequence[int] | None = None

    def check(self) -> None:
        """Checks all three."""
        check_between(type(self).__name__, 0, alpha=self.alpha, beta=self.beta)
        _check_axes(self)

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        targets, axes = targets.astype(outputs.dtype), _axes(self.axis, outputs)
        both = jnp.sum(targets * outputs, axis=axes)
        missed, wrong = jnp.sum((1 - outputs) * targets, axis=axes), jnp.sum(outputs * (1 - targets), axis=axes)
        return _per_example(1 - both / (both + self.alpha * missed + self.beta * wrong + EPSILON))


class DiceLoss(LibraryLoss):
    """`1 - (b + smooth) / (b + alpha (sum(p) - b) + beta (sum(t) - b) + smooth)` with `b = sum(t p)`, on logits.

    `p = softmax(logits)`. The sums are over all axes but the first and the last, [batch, ..., classes]; then the mean
    over the classes is taken, without the first one if `ignore_background`. As `optax.losses.dice_loss`.

    Raises:
        ArgumentError: `smooth`, `alpha` or `beta` is negative.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> targets = jnp.array([[[1.0, 0.0], [0.0, 1.0]]])
    >>> jg.losses.DiceLoss()(targets, jnp.zeros((1, 2, 2)))
    Array([0.25], dtype=float32)
    """

    smooth: float = 1.0
    alpha: float = 0.5
    beta: float = 0.5
    ignore_background: bool = False

    link = "softmax"

    def check(self) -> None:
        """Checks all four."""
        where = type(self).__name__
        check_between(where, 0, smooth=self.smooth, alpha=self.alpha, beta=self.beta)
        check_flag(where, ignore_background=self.ignore_background)

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        options = {f: getattr(self, f) for f in ("smooth", "alpha", "beta", "ignore_background")}
        return optax.losses.dice_loss(outputs, targets.astype(outputs.dtype), **options)


class BinaryDiceLoss(LibraryLoss):
    """`1 - (sum(t p) + smooth) / ((sum(t) + sum(p)) / 2 + smooth)` with `p = sigmoid(logits)`.

    The sums are over all axes but the batch. As `optax.losses.binary_dice_loss`.

    Raises:
        ArgumentError: `smooth` is negative.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.BinaryDiceLoss()(jnp.array([[1.0, 0.0]]), jnp.zeros((1, 2)))
    Array([0.25], dtype=float32)
    """

    smooth: float = 1.0

    link = "sigmoid"

    def check(self) -> None:
        """Checks `smooth`."""
        check_between(type(self).__name__, 0, smooth=self.smooth)

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        pair = (a.reshape(len(a), -1, 1) for a in (outputs, targets.astype(outputs.dtype)))
        return optax.losses.binary_dice_loss(*pair, smooth=self.smooth)


class MulticlassGeneralizedDiceLoss(LibraryLoss):
    """`DiceLoss` whose classes weigh as the inverse squares of how often the batch has them (Sudre et al. 2017).

    As `optax.losses.multiclass_generalized_dice_loss`, whose value is the mean over the batch.

    Raises:
        ArgumentError: `smooth` is negative.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> targets = jnp.array([[[1.0, 0.0], [0.0, 1.0]]])
    >>> jg.losses.MulticlassGeneralizedDiceLoss()(targets, jnp.zeros((1, 2, 2)))
    Array([0.25], dtype=float32)
    """

    smooth: float = 1.0
    ignore_background: bool = False

    link, mixes_rows = "softmax", True

    def check(self) -> None:
        """Checks both."""
        where = type(self).__name__
        check_between(where, 0, smooth=self.smooth)
        check_flag(where, ignore_background=self.ignore_background)

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        targets = targets.astype(outputs.dtype)
        often = jnp.sum(targets, axis=tuple(range(targets.ndim - 1)))
        weights = 1 / (often**2 + 1e-7)  # optax' epsilon
        weights = weights / jnp.sum(weights) * weights.size
        options = {f: getattr(self, f) for f in ("smooth", "ignore_background")}
        return optax.losses.dice_loss(outputs, targets, class_weights=weights, **options)


def _check_axes(loss: Dice | Tversky) -> None:
    """Checks the axes; several become a tuple."""
    if loss.axis is not None:
        check_axes(type(loss).__name__, loss.axis, several=True)
        if isinstance(loss.axis, list):
            object.__setattr__(loss, "axis", tuple(loss.axis))


def _axes(axis: Any, outputs: Array) -> tuple[int, ...]:
    """The axes to sum over: those given, or all but the first.

    Raises:
        LossError: the output has no such axis, or it is the batch's.
    """
    given = range(1, outputs.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(a + outputs.ndim * (a < 0) for a in given)
    if any(not 0 < a < outputs.ndim for a in axes):
        raise LossError(
            "axis", expected=f"axes behind the first of the {outputs.ndim}", got=repr(axis), cure="Leave axis out."
        )
    return axes


def _per_example(values: Array) -> Array:
    return values.mean(axis=tuple(range(1, values.ndim)))
