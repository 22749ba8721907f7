"""Losses over more than one place at a time: sequences that are aligned, lists that are ranked, rows that are compared.

Those that compare rows say so (`mixes_rows`): each row's value depends on all rows of its batch.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jgraph.draw.specs import show
from jgraph.errors import LossError, check_flag
from jgraph.losses.checks import check_between
from jgraph.losses.loss import LibraryLoss
from jgraph.typing import Array


class CTC(LibraryLoss):
    """`-log P(targets)`, over all alignments of a label sequence with the steps of the logits (Graves et al. 2006).

    Integer targets [batch, length], filled up with the blank 0; logits [batch, steps, classes], class 0 the blank. As
    `keras.losses.CTC`, by `optax.losses.ctc_loss`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.CTC()(jnp.array([[1, 0]]), jnp.zeros((1, 2, 2)))
    Array([0.2876821], dtype=float32)
    """

    link, targets = "softmax", "free"

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        fits = targets.ndim == 2 and outputs.ndim == 3 and jnp.issubdtype(targets.dtype, jnp.integer)
        if not fits or len(targets) != len(outputs):
            raise LossError(
                "ctc",
                expected="integer targets [batch, length] and logits [batch, steps, classes]",
                got=f"{show(targets)} and {show(outputs)}",
                cure="Fill the label sequences up with 0, the blank.",
            )
        blank, steps = (targets == 0).astype(outputs.dtype), jnp.zeros(outputs.shape[:2], outputs.dtype)
        return optax.losses.ctc_loss(outputs, steps, targets, blank)


class RankingSoftmaxLoss(LibraryLoss):
    """`-sum(t log softmax(y))` over a list: relevances (of any sum) and scores [..., list] (Xia et al. 2008).

    As `optax.losses.ranking_softmax_loss`.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.RankingSoftmaxLoss()(jnp.array([[2.0, 0.0]]), jnp.array([[1.0, 1.0]]))
    Array([1.3862944], dtype=float32)
    """

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per list."""
        outputs, targets = (a[:, None] if a.ndim == 1 else a for a in (outputs, targets))
        return optax.losses.ranking_softmax_loss(outputs, targets, reduce_fn=None)


class Circle(LibraryLoss):
    """`softplus(logsumexp(gamma a (1 - m - s)) + ...)`: like rows closer than unlike ones (Sun et al. 2020).

    Integer targets [batch], embeddings [batch, n] of length 1. With `s` the cosine to another row, the loss of a row is
    `log(1 + sum over unlike exp(gamma [s + m]+ (s - m)) * sum over like exp(gamma [1 + m - s]+ (1 - m - s)))`; a row
    without like or unlike ones counts for nothing. `remove_diagonal` leaves a row out of those that are like it. As
    `keras.losses.Circle`. A row of weight 0 still is a partner of the others.

    Raises:
        ArgumentError: `gamma` or `margin` is negative.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> loss = jg.losses.Circle(gamma=1.0, margin=0.25)
    >>> loss(jnp.array([0, 0, 1]), jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])).shape
    (3,)
    """

    gamma: float = 80.0
    margin: float = 0.4
    remove_diagonal: bool = True

    targets, mixes_rows = "free", True

    def check(self) -> None:
        """Checks all three."""
        check_between(type(self).__name__, 0, gamma=self.gamma, margin=self.margin)
        check_flag(type(self).__name__, remove_diagonal=self.remove_diagonal)

    def weights(self, targets: Any) -> Any:
        """0 for a row without like or unlike ones."""
        like, unlike = _pairs(self, targets, self.remove_diagonal)
        return jnp.any(like, axis=1) & jnp.any(unlike, axis=1)

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per row."""
        like, unlike = _pairs(self, targets, self.remove_diagonal, outputs)
        distances = jnp.maximum(1 - outputs @ outputs.T, 0)
        near = -self.gamma * (self.margin + distances) * (self.margin - distances)
        far = self.gamma * jnp.maximum(1 + self.margin - distances, 0) * (1 - self.margin - distances)
        counts = jnp.any(like, axis=1) & jnp.any(unlike, axis=1)
        return jnp.where(counts, jax.nn.softplus(_logsumexp(near, like) + _logsumexp(far, unlike)), 0)


class Ntxent(LibraryLoss):
    """`-log(exp(s) / (exp(s) + sum over unlike exp(s')))`, as contrastive learning has it (Chen et al. 2020).

    The mean is over the rows that are like a row. Integer targets [batch], embeddings [batch, n]; `s` is the cosine to
    another row by `temperature`. A row weighs as many as are like it, so the loss is the mean over all pairs, as in
    `optax.losses.ntxent`. A row of weight 0 still is a partner of the others.

    Raises:
        ArgumentError: the temperature is not positive.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> loss = jg.losses.Ntxent(temperature=1.0)
    >>> loss(jnp.array([0, 0, 1]), jnp.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]))
    Array([0.6931472, 0.6931472, 0.       ], dtype=float32)
    """

    temperature: float = 0.07

    targets, mixes_rows = "free", True

    def check(self) -> None:
        """Checks the temperature."""
        check_between(type(self).__name__, 0, temperature=self.temperature, open_ends=True)

    def weights(self, targets: Any) -> Any:
        """How many rows are like each row."""
        return jnp.sum(_pairs(self, targets, True)[0], axis=1)

    def values(self, targets: Array, outputs: Array) -> Array:
        """One value per row."""
        like, unlike = _pairs(self, targets, True, outputs)
        squares = jnp.sum(outputs**2, axis=1, keepdims=True)
        unit = outputs / jnp.sqrt(jnp.maximum(squares, jnp.finfo(outputs.dtype).eps))
        cosines = unit @ unit.T / self.temperature
        pairs = jax.nn.softplus(_logsumexp(cosines, unlike)[:, None] - cosines)
        some = jnp.any(unlike, axis=1, keepdims=True) & like
        return jnp.sum(jnp.where(some, pairs, 0), axis=1) / jnp.maximum(jnp.sum(like, axis=1), 1)


class TripletMarginLoss(LibraryLoss):
    """`max(d(anchor, positive) - d(anchor, negative) + margin, 0)`, of three outputs or nodes (Balntas et al. 2016).

    `of` names them in that order, all [..., n]; `d(a, b) = (sum(|a - b|^norm_degree) + eps)^(1 / norm_degree)`. As
    `optax.losses.triplet_margin_loss`. Targets are not used.

    Raises:
        ArgumentError: `of` does not name three; `margin`, `norm_degree` or `eps` is not positive.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> loss = jg.losses.TripletMarginLoss(of=["anchor", "positive", "negative"], margin=1.0)
    >>> anchor, positive, negative = jnp.zeros((1, 2)), jnp.zeros((1, 2)), jnp.array([[0.0, 0.5]])
    >>> float(loss((None, None, None), (anchor, positive, negative))[0])
    0.50099...
    """

    of: Any
    margin: float = 1.0
    norm_degree: float = 2
    eps: float = 1e-6

    targets = "free"

    def check(self) -> None:
        """Checks all four."""
        where = type(self).__name__
        if self.of is None or len(self.of) != 3:
            raise LossError(
                f"{where}, of",
                expected="an anchor, a positive and a negative",
                got=repr(self.of),
                cure="Write of=['anchor', 'positive', 'negative'].",
            )
        options = {"margin": self.margin, "norm_degree": self.norm_degree, "eps": self.eps}
        check_between(where, 0, open_ends=True, **options)

    def values(self, targets: Any, outputs: Any) -> Array:
        """One value per example."""
        del targets
        anchor, *others = outputs

        def distance(other: Array) -> Array:  # optax raises the difference itself, which is NaN for odd norms
            powers = jnp.abs(anchor - other) ** self.norm_degree
            return (jnp.sum(powers, axis=-1) + self.eps) ** (1 / self.norm_degree)

        return jnp.maximum(distance(others[0]) - distance(others[1]) + self.margin, 0)


def _pairs(loss: LibraryLoss, labels: Any, other: bool, outputs: Any = None) -> tuple[Array, Array]:
    """Which rows are like each row, without itself where they have to be `other` ones; and which are not."""
    ids = labels[:, 0] if len(labels.shape) == 2 and labels.shape[1] == 1 else labels
    if ids.ndim != 1 or not jnp.issubdtype(ids.dtype, jnp.integer) or (outputs is not None and outputs.ndim != 2):
        raise LossError(
            f"{loss.name}",
            expected="integer targets [batch] and embeddings [batch, n]",
            got=" and ".join(show(a) for a in (labels, outputs) if a is not None),
            cure="Give rows that belong together the same integer.",
        )
    same = ids[:, None] == ids[None, :]
    return same & ~jnp.eye(len(ids), dtype=bool) if other else same, ~same


def _logsumexp(values: Array, among: Array) -> Array:
    """Over the entries of each row that are among those asked for; over all where none is, which has a gradient."""
    none = ~jnp.any(among, axis=1, keepdims=True)
    return jax.nn.logsumexp(jnp.where(among | none, values, -jnp.inf), axis=1)
