"""Cross-entropies and divergences, all on logits: what an output shows is seen through its softmax or sigmoid.

So nothing is cut off where probabilities saturate, as Keras has to do where it is given probabilities.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jgraph.errors import ArgumentError, check_flag
from jgraph.losses.checks import check_between
from jgraph.losses.loss import LibraryLoss, elementwise
from jgraph.typing import Array

EPSILON = 1e-7
"""Keras' `backend.epsilon()`: what is raised to a power is at least this, so that the power has a gradient."""


class BinaryCrossentropy(LibraryLoss):
    """`mean(-t log p - (1 - t) log(1 - p))` with `p = sigmoid(logits)`: targets [..., n] in [0, 1].

    With `label_smoothing`, `t = targets * (1 - label_smoothing) + label_smoothing / 2`. As
    `keras.losses.BinaryCrossentropy(from_logits=True)`.

    Raises:
        ArgumentError: `label_smoothing` is not in [0, 1].

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.BinaryCrossentropy(label_smoothing=0.1)(jnp.array([[1.0]]), jnp.array([[0.0]]))
    Array([0.6931472], dtype=float32)
    """

    label_smoothing: float = 0.0

    link = "sigmoid"

    def check(self) -> None:
        """Checks the smoothing."""
        check_between(type(self).__name__, 0, 1, label_smoothing=self.label_smoothing)

    def values(self, targets: Array, outputs: Array) -> Array:
        """The mean over the last axis."""
        targets = _smooth(targets, outputs, self.label_smoothing, 2)
        return elementwise(optax.losses.sigmoid_binary_cross_entropy, targets, outputs)


class BinaryFocalCrossentropy(LibraryLoss):
    """`mean((1 - q)^gamma * crossentropy)` with `q = t p + (1 - t)(1 - p)`, `p = sigmoid(logits)` (Lin et al. 2017).

    What is already right counts less. With `apply_class_balancing`, times `alpha t + (1 - alpha)(1 - t)`. Smoothing is
    that of `BinaryCrossentropy`. As `keras.losses.BinaryFocalCrossentropy(from_logits=True)`.

    Raises:
        ArgumentError: `alpha` or `label_smoothing` is not in [0, 1], or `gamma` is negative.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.BinaryFocalCrossentropy(gamma=1.0)(jnp.array([[1.0]]), jnp.array([[0.0]]))
    Array([0.3465736], dtype=float32)
    """

    apply_class_balancing: bool = False
    alpha: float = 0.25
    gamma: float = 2.0
    label_smoothing: float = 0.0

    link = "sigmoid"

    def check(self) -> None:
        """Checks all four."""
        where = type(self).__name__
        check_flag(where, apply_class_balancing=self.apply_class_balancing)
        check_between(where, 0, 1, alpha=self.alpha, label_smoothing=self.label_smoothing)
        check_between(where, 0, gamma=self.gamma)

    def values(self, targets: Array, outputs: Array) -> Array:
        """The mean over the last axis."""
        targets = _smooth(targets, outputs, self.label_smoothing, 2)
        return _focal(targets, outputs, self.alpha if self.apply_class_balancing else None, self.gamma)


class SigmoidFocalLoss(LibraryLoss):
    """`BinaryFocalCrossentropy` in optax' words: balanced where `alpha` is given. As `optax.losses.sigmoid_focal_loss`.

    Raises:
        ArgumentError: `alpha` is not in [0, 1], or `gamma` is negative.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.SigmoidFocalLoss(alpha=0.5, gamma=1.0)(jnp.array([[1.0]]), jnp.array([[0.0]]))
    Array([0.1732868], dtype=float32)
    """

    alpha: float | None = None
    gamma: float = 2.0

    link = "sigmoid"

    def check(self) -> None:
        """Checks both."""
        check_between(type(self).__name__, 0, gamma=self.gamma)
        if self.alpha is not None:
            check_between(type(self).__name__, 0, 1, alpha=self.alpha)

    def values(self, targets: Array, outputs: Array) -> Array:
        """The mean over the last axis."""
        return _focal(targets.astype(outputs.dtype), outputs, self.alpha, self.gamma)


class CategoricalCrossentropy(LibraryLoss):
    """`-sum(t log p)` with `p = softmax(logits)`: targets [..., classes] that sum to 1.

    With `label_smoothing`, `t = targets * (1 - label_smoothing) + label_smoothing / classes`. As
    `keras.losses.CategoricalCrossentropy(from_logits=True)`.

    Raises:
        ArgumentError: `label_smoothing` is not in [0, 1].

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.CategoricalCrossentropy()(jnp.array([[0.0, 1.0]]), jnp.array([[1.0, 1.0]]))
    Array([0.6931472], dtype=float32)
    """

    label_smoothing: float = 0.0

    link = "softmax"

    def check(self) -> None:
        """Checks the smoothing."""
        check_between(type(self).__name__, 0, 1, label_smoothing=self.label_smoothing)

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        targets = _smooth(targets, outputs, self.label_smoothing, outputs.shape[-1])
        return optax.losses.safe_softmax_cross_entropy(outputs, targets)


class CategoricalFocalCrossentropy(LibraryLoss):
    """`-sum(alpha (1 - p)^gamma t log p)` with `p = softmax(logits)` (Lin et al. 2017): targets [..., classes].

    `alpha` is one number, or one for each class. Smoothing is that of `CategoricalCrossentropy`. As
    `keras.losses.CategoricalFocalCrossentropy(from_logits=True)`.

    Raises:
        ArgumentError: `alpha` or `gamma` is negative, or `label_smoothing` is not in [0, 1].

    >>> import jax.numpy as jnp, jgraph as jg
    >>> loss = jg.losses.CategoricalFocalCrossentropy(alpha=[1.0, 0.5], gamma=1.0)
    >>> loss(jnp.array([[0.0, 1.0]]), jnp.array([[1.0, 1.0]]))
    Array([0.1732868], dtype=float32)
    """

    alpha: float | Sequence[float] = 0.25
    gamma: float = 2.0
    label_smoothing: float = 0.0

    link = "softmax"

    def check(self) -> None:
        """Checks all three; several alphas become a tuple."""
        where = type(self).__name__
        alpha: Any = self.alpha
        if isinstance(alpha, list) or getattr(alpha, "ndim", 0) == 1:
            alpha = tuple(alpha if isinstance(alpha, list) else alpha.tolist())
            object.__setattr__(self, "alpha", alpha)
        for one in alpha if isinstance(alpha, tuple) and alpha else (alpha,):
            check_between(where, 0, alpha=one)
        check_between(where, 0, gamma=self.gamma)
        check_between(where, 0, 1, label_smoothing=self.label_smoothing)

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        alpha, classes = jnp.asarray(self.alpha, outputs.dtype), outputs.shape[-1]
        if alpha.shape not in ((), (classes,)):
            raise ArgumentError(
                f"{type(self).__name__}, alpha",
                expected=f"one number, or {classes}, as there are classes",
                got=f"{alpha.size}",
                cure="Give one alpha for each class.",
            )
        targets = _smooth(targets, outputs, self.label_smoothing, classes)
        log_p = jax.nn.log_softmax(outputs)
        factor = jnp.maximum(1 - jnp.exp(log_p), EPSILON) ** self.gamma
        return -jnp.sum(alpha * factor * targets * log_p, axis=-1)


class SparseCategoricalCrossentropy(LibraryLoss):
    """`-log p[t]` with `p = softmax(logits)`: integer targets [...], logits [..., classes].

    An example whose target is `ignore_class` (-1 or 255, say) counts for nothing, in the output's metrics neither. As
    `keras.losses.SparseCategoricalCrossentropy(from_logits=True)`, whose metrics do count it.

    Raises:
        ArgumentError: `ignore_class` is no integer.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.SparseCategoricalCrossentropy(ignore_class=-1)(jnp.array([1, -1]), jnp.ones((2, 2)))
    Array([0.6931472, 0.       ], dtype=float32)
    """

    ignore_class: int | None = None

    link, targets = "softmax", "labels"

    def check(self) -> None:
        """Checks the class."""
        if self.ignore_class is not None and type(self.ignore_class) is not int:
            raise ArgumentError(
                f"{type(self).__name__}, ignore_class",
                expected="an integer, or None",
                got=repr(self.ignore_class),
                cure="Write ignore_class=-1.",
            )

    def weights(self, targets: Any) -> Any:
        """0 where the target is to be ignored."""
        return None if self.ignore_class is None else targets != self.ignore_class

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example; NaN for a label that is out of range."""
        counts = self.weights(targets)
        targets = targets if counts is None else jnp.where(counts, targets, 0)
        values = optax.losses.softmax_cross_entropy_with_integer_labels(outputs, targets)
        values = jnp.where(targets < 0, jnp.nan, values)  # JAX would count a negative label from the end
        return values if counts is None else jnp.where(counts, values, 0)


class CategoricalGeneralizedCrossEntropy(LibraryLoss):
    """`(1 - p[t]^q) / q` with `p = softmax(logits)`, which noisy labels harm less (Zhang and Sabuncu 2018).

    Integer targets [...], logits [..., classes]; near `q = 0` it is the cross-entropy, at 1 the mean absolute error. As
    `keras.losses.CategoricalGeneralizedCrossEntropy`, which takes probabilities.

    Raises:
        ArgumentError: `q` is not between 0 and 1.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.CategoricalGeneralizedCrossEntropy(q=0.5)(jnp.array([0]), jnp.zeros((1, 4)))
    Array([1.], dtype=float32)
    """

    q: float = 0.5

    link, targets = "softmax", "labels"

    def check(self) -> None:
        """Checks `q`."""
        check_between(type(self).__name__, 0, 1, q=self.q, open_ends=True)

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example; NaN for a label that is out of range."""
        values = optax.losses.softmax_cross_entropy_with_integer_labels(outputs, targets)
        return -jnp.expm1(-self.q * jnp.where(targets < 0, jnp.nan, values)) / self.q


class PolyLossCrossEntropy(LibraryLoss):
    """`-sum(t log p) + epsilon * sum(t (1 - p))` with `p = softmax(logits)` (Leng et al. 2022): targets [..., classes].

    As `optax.losses.poly_loss_cross_entropy`.

    Raises:
        ArgumentError: `epsilon` is not a finite number.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.PolyLossCrossEntropy(epsilon=2.0)(jnp.array([[0.0, 1.0]]), jnp.array([[1.0, 1.0]]))
    Array([1.6931472], dtype=float32)
    """

    epsilon: float = 2.0

    link = "softmax"

    def check(self) -> None:
        """Checks `epsilon`."""
        check_between(type(self).__name__, -jnp.inf, epsilon=self.epsilon)

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        targets = targets.astype(outputs.dtype)
        return optax.losses.poly_loss_cross_entropy(outputs, targets, epsilon=self.epsilon)


class KLDivergence(LibraryLoss):
    """`sum(t log(t / p))` with `p = softmax(logits)`, 0 where `t` is 0: targets [..., classes] that sum to 1.

    As `keras.losses.KLDivergence`, which takes probabilities and cuts both off at 1e-7, and
    `optax.losses.kl_divergence`, which takes their logarithms.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.KLDivergence()(jnp.array([[0.0, 1.0]]), jnp.array([[1.0, 1.0]]))
    Array([0.6931472], dtype=float32)
    """

    link = "softmax"

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        return optax.losses.kl_divergence(jax.nn.log_softmax(outputs), targets.astype(outputs.dtype))


class KLDivergenceWithLogTargets(LibraryLoss):
    """`sum(exp(t) (t - log p))` with `p = softmax(logits)`: targets [..., classes] are logarithms of probabilities.

    As `optax.losses.kl_divergence_with_log_targets` of the logarithms of `p`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.KLDivergenceWithLogTargets()(jnp.log(jnp.array([[0.5, 0.5]])), jnp.array([[1.0, 1.0]]))
    Array([0.], dtype=float32)
    """

    link = "softmax"

    def bounds(self) -> tuple[float, float] | None:
        """A probability is at most 1."""
        return -jnp.inf, 0

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        log_p = jax.nn.log_softmax(outputs)
        return optax.losses.kl_divergence_with_log_targets(log_p, targets.astype(outputs.dtype))


class GeneralizedKLDivergence(LibraryLoss):
    """`sum(t log t - t y + exp(y) - t)`, 0 where `t` is 0: outputs [..., n] are logarithms of masses of any sum.

    As `optax.losses.generalized_kl_divergence`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.GeneralizedKLDivergence()(jnp.array([[2.0, 0.0]]), jnp.log(jnp.array([[2.0, 1.0]])))
    Array([1.], dtype=float32)
    """

    def bounds(self) -> tuple[float, float] | None:
        """No mass is negative."""
        return 0, jnp.inf

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        outputs, targets = (a[:, None] if a.ndim == 1 else a for a in (outputs, targets.astype(outputs.dtype)))
        return optax.losses.generalized_kl_divergence(outputs, targets)


def _smooth(targets: Array, outputs: Array, smoothing: float, classes: int) -> Array:
    """Targets mixed with an even share for each class, in the outputs' dtype."""
    targets = targets.astype(outputs.dtype)
    return targets if smoothing == 0 else targets * (1 - smoothing) + smoothing / classes


def _focal(targets: Array, logits: Array, alpha: float | None, gamma: float) -> Array:
    """As `optax.losses.sigmoid_focal_loss`, whose gradient is NaN where probabilities saturate."""

    def focal(logits: Array, t: Array) -> Array:
        wrong = t * jax.nn.sigmoid(-logits) + (1 - t) * jax.nn.sigmoid(logits)
        values = jnp.maximum(wrong, EPSILON) ** gamma * optax.losses.sigmoid_binary_cross_entropy(logits, t)
        return values if alpha is None else values * (alpha * t + (1 - alpha) * (1 - t))

    return elementwise(focal, targets, logits)
