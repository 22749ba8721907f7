"""From what users give as a loss to a `Loss`: names, losses, functions, and functions of optax."""

import dataclasses
import functools
from typing import Any

import jax.numpy as jnp
import optax

from jgraph.errors import ArgumentError, listing, nearest
from jgraph.losses import library
from jgraph.losses.checks import home_of
from jgraph.losses.library import LOSSES
from jgraph.losses.loss import Loss
from jgraph.metrics.metric import mean_last
from jgraph.typing import Array, Function

OPTAX: dict[Function, Loss] = {
    optax.losses.squared_error: library.mean_squared_error,
    optax.losses.l2_loss: library.l2_loss,
    optax.losses.huber_loss: library.huber,
    optax.losses.log_cosh: library.log_cosh,
    optax.losses.cosine_distance: library.cosine_distance,
    optax.losses.sigmoid_binary_cross_entropy: library.binary_crossentropy,
    optax.losses.sigmoid_focal_loss: library.sigmoid_focal_loss,
    optax.losses.softmax_cross_entropy: library.categorical_crossentropy,
    optax.losses.safe_softmax_cross_entropy: library.categorical_crossentropy,
    optax.losses.softmax_cross_entropy_with_integer_labels: library.sparse_categorical_crossentropy,
    optax.losses.poly_loss_cross_entropy: library.poly_loss_cross_entropy,
    optax.losses.generalized_kl_divergence: library.generalized_kl_divergence,
    optax.losses.hinge_loss: library.hinge,
    optax.losses.perceptron_loss: library.perceptron_loss,
    optax.losses.sparsemax_loss: library.sparsemax_loss,
    optax.losses.multiclass_hinge_loss: library.multiclass_hinge_loss,
    optax.losses.multiclass_perceptron_loss: library.multiclass_perceptron_loss,
    optax.losses.multiclass_sparsemax_loss: library.multiclass_sparsemax_loss,
    optax.losses.dice_loss: library.dice_loss,
    optax.losses.binary_dice_loss: library.binary_dice_loss,
}
"""Losses of optax (outputs, targets), and ours of the same values per example."""

WHOLE: dict[Function, str] = {
    optax.losses.kl_divergence: "KLDivergence()",
    optax.losses.kl_divergence_with_log_targets: "KLDivergenceWithLogTargets()",
    optax.losses.cosine_similarity: "CosineSimilarity()",
    optax.losses.multiclass_generalized_dice_loss: "MulticlassGeneralizedDiceLoss()",
    optax.losses.ranking_softmax_loss: "RankingSoftmaxLoss()",
    optax.losses.ntxent: "Ntxent()",
    optax.losses.triplet_margin_loss: "TripletMarginLoss(of=['anchor', 'positive', 'negative'])",
    optax.losses.ctc_loss: "CTC()",
    optax.losses.ctc_loss_with_forward_probs: "CTC()",
}
"""Those of optax that cannot be taken as they are: one value for a batch, other arguments, or what is no loss."""


def resolve(where: str, value: Any) -> Loss:
    """A loss from its name, from a `Loss`, or from any function (targets, outputs) -> per-example values.

    A function of optax, which takes (outputs, targets), is the loss of ours that has its values; with options, by
    `functools.partial`, it is called the right way round.

    Raises:
        ArgumentError: the name is not known (the nearest one is suggested), or it is a loss of another library.
    """
    if isinstance(value, Loss):
        return value
    if isinstance(value, str) and value in LOSSES:
        return LOSSES[value]
    home = home_of(value)
    if home == "optax":
        return _of_optax(where, value)
    if home in ("keras", "tf_keras", "tensorflow", "torch"):
        own = value if isinstance(value, type) or hasattr(value, "__qualname__") else type(value)
        raise _foreign(where, value, home, LOSSES.get(getattr(own, "__name__", "")))
    if isinstance(value, type) and issubclass(value, Loss):
        cure = f"Call it: jg.losses.{value.__name__}()."
        raise ArgumentError(where, expected="a loss", got=f"the class {value.__name__}", cure=cure)
    if callable(value) and not isinstance(value, type):
        return Loss(value)
    raise ArgumentError(
        where,
        expected="the name of a loss, a function (targets, outputs) -> per-example values, or None",
        got=repr(value),
        cure=f"{nearest(value, LOSSES)}Known: {listing(LOSSES, 20)}.",
    )


def _of_optax(where: str, value: Any) -> Loss:
    whole = value.func if isinstance(value, functools.partial) else value
    own = OPTAX.get(whole)
    if own is not None and value is whole:
        return own
    if own is not None and not value.args:
        kinds = {"targets": own.targets, "link": own.link, "mixes_rows": own.mixes_rows}
        return Loss(Swapped(value), name=_name(value), **kinds)
    same = f"jg.losses.{WHOLE[whole]}" if whole in WHOLE else "lambda targets, outputs: ..."
    raise ArgumentError(
        where,
        expected="a function (targets, outputs) -> per-example values",
        got=f"{getattr(whole, '__name__', whole)!r} of optax, which is none",
        cure=f"Write loss={same}.",
    )


@dataclasses.dataclass(frozen=True)
class Swapped:
    """A function (outputs, targets) of optax as one (targets, outputs); values per element become their mean."""

    function: Function

    def __call__(self, targets: Array, outputs: Array) -> Array:
        """One value per example."""
        labels = targets.ndim < outputs.ndim and jnp.issubdtype(targets.dtype, jnp.integer)
        values = self.function(outputs, targets if labels else targets.astype(outputs.dtype))
        return mean_last(values) if values.shape == outputs.shape else values


def _name(partial: functools.partial) -> str:
    options = ", ".join(f"{name}={value!r}" for name, value in partial.keywords.items())
    return f"{partial.func.__name__}({options})"


def _foreign(where: str, value: Any, home: str, own: Loss | None) -> ArgumentError:
    name = getattr(value, "__name__", type(value).__name__)
    if own is not None:
        cure = f"Write loss={own.name!r}, or jg.losses.{type(own).__name__}(...) with its options."
    else:
        cure = "Write it in jax.numpy, as a function (targets, outputs) -> per-example values."
    return ArgumentError(where, expected="a loss of jgraph or a function of JAX", got=f"{name} of {home}", cure=cure)
