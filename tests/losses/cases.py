"""The losses that are tried: each with data that suit it, and Keras' own."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from jgraph import losses as ours
from jgraph.losses.loss import Loss


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def data_for(loss: Loss, shape: tuple[int, ...], seed: int = 0, scale: float = 2.0) -> tuple[Any, Any]:
    """Targets and outputs (logits for a cross-entropy) of a shape that suit a loss; classes are on the last axis."""
    random = np.random.default_rng(seed)
    outputs = random.normal(size=shape) * scale
    name, bounds = str(loss.name), loss.bounds()
    if name in ("circle", "ntxent"):
        outputs = outputs.reshape(len(outputs), -1)
        outputs /= np.linalg.norm(outputs, axis=1, keepdims=True)
        return random.integers(0, 3, len(outputs)), outputs.astype("f4")
    if name == "ctc":
        labels = random.integers(1, shape[-1], (shape[0], 3))
        labels[: len(labels) // 2, 2] = 0
        return labels, outputs.astype("f4")
    if loss.targets == "labels":
        return random.integers(0, shape[-1], shape[:-1]), outputs.astype("f4")
    if name == "generalized_kl_divergence":
        return random.uniform(0, 3, shape).astype("f4"), outputs.astype("f4")
    if loss.of_probabilities or name in ("mean_squared_logarithmic_error", "poisson"):
        outputs = 1 / (1 + np.exp(-outputs)) if loss.of_probabilities else abs(outputs) + 0.1
    if bounds is None or name == "ranking_softmax_loss":
        targets = random.normal(size=shape) * scale
    elif bounds == (-np.inf, 0):
        targets = np.log(softmax(random.normal(size=shape)))
    elif bounds == (0, np.inf):
        targets = random.integers(0, 5, shape)
    elif loss.link == "softmax" or name == "categorical_hinge":
        targets = np.eye(shape[-1])[random.integers(0, shape[-1], shape[:-1])]
    else:
        targets = random.integers(0, 2, shape)
    return targets.astype("f4"), outputs.astype("f4")


LINKS = {None: lambda y: y, "softmax": jax.nn.softmax, "sigmoid": jax.nn.sigmoid}


@dataclasses.dataclass(frozen=True)
class Twin:
    """A loss of ours and the same of Keras; Keras gets what an output shows, so probabilities for a cross-entropy."""

    ours: Loss
    theirs: Any
    shape: tuple[int, ...] = (6, 4)

    def __repr__(self) -> str:
        return str(self.ours)

    def keras(self, targets: Any, outputs: Any) -> Any:
        shown = outputs if self.ours.name == "ctc" else LINKS[self.ours.link](outputs)
        values = self.theirs(targets, shown)
        return jnp.mean(values, axis=tuple(range(1, values.ndim))) if self.ours.of_probabilities else values


K, N = keras.losses, None


def generalized(q: float) -> Any:
    return lambda targets, outputs: K.categorical_generalized_cross_entropy(targets, outputs, q)


TWINS = [
    Twin(ours.mean_squared_error, K.MeanSquaredError(N)),
    Twin(ours.mean_absolute_error, K.MeanAbsoluteError(N)),
    Twin(ours.mean_absolute_percentage_error, K.MeanAbsolutePercentageError(N)),
    Twin(ours.mean_squared_logarithmic_error, K.MeanSquaredLogarithmicError(N)),
    Twin(ours.huber, K.Huber(reduction=N)),
    Twin(ours.Huber(delta=2.5), K.Huber(2.5, N), (3, 5, 4)),
    Twin(ours.log_cosh, K.LogCosh(N)),
    Twin(ours.poisson, K.Poisson(N)),
    Twin(ours.cosine_similarity, K.CosineSimilarity(reduction=N), (3, 5, 4)),
    Twin(ours.binary_crossentropy, K.BinaryCrossentropy(reduction=N)),
    Twin(ours.BinaryCrossentropy(label_smoothing=0.2), K.BinaryCrossentropy(label_smoothing=0.2, reduction=N)),
    Twin(ours.binary_focal_crossentropy, K.BinaryFocalCrossentropy(reduction=N)),
    Twin(
        ours.BinaryFocalCrossentropy(True, alpha=0.7, gamma=0.5, label_smoothing=0.1),
        K.BinaryFocalCrossentropy(True, 0.7, 0.5, label_smoothing=0.1, reduction=N),
    ),
    Twin(ours.categorical_crossentropy, K.CategoricalCrossentropy(reduction=N)),
    Twin(ours.CategoricalCrossentropy(label_smoothing=0.3), K.CategoricalCrossentropy(False, 0.3, reduction=N)),
    Twin(ours.categorical_focal_crossentropy, K.CategoricalFocalCrossentropy(reduction=N)),
    Twin(
        ours.CategoricalFocalCrossentropy(alpha=[0.1, 0.2, 0.3, 0.4], gamma=1.5, label_smoothing=0.1),
        K.CategoricalFocalCrossentropy([0.1, 0.2, 0.3, 0.4], 1.5, label_smoothing=0.1, reduction=N),
        (3, 5, 4),
    ),
    Twin(ours.sparse_categorical_crossentropy, K.SparseCategoricalCrossentropy(reduction=N), (3, 5, 4)),
    Twin(
        ours.SparseCategoricalCrossentropy(ignore_class=1), K.SparseCategoricalCrossentropy(ignore_class=1, reduction=N)
    ),
    Twin(ours.categorical_generalized_cross_entropy, generalized(0.5)),
    Twin(ours.CategoricalGeneralizedCrossEntropy(q=0.9), generalized(0.9)),
    Twin(ours.kl_divergence, K.KLDivergence(N)),
    Twin(ours.hinge, K.Hinge(N)),
    Twin(ours.squared_hinge, K.SquaredHinge(N)),
    Twin(ours.categorical_hinge, K.CategoricalHinge(N), (3, 5, 4)),
    Twin(ours.dice, K.Dice(N, axis=(1, 2)), (3, 5, 4)),
    Twin(ours.Dice(axis=(1, 2)), K.Dice(N, axis=(1, 2)), (2, 3, 5, 4)),
    Twin(ours.Dice(axis=-1), K.Dice(N, axis=-1), (2, 3, 5)),
    Twin(ours.tversky, K.Tversky(reduction=N, axis=1)),
    Twin(ours.Tversky(alpha=0.2, beta=0.9, axis=[1, 2]), K.Tversky(0.2, 0.9, N, axis=(1, 2)), (2, 3, 5, 4)),
    Twin(ours.ctc, K.CTC(N), (5, 7, 4)),
    Twin(ours.circle, K.Circle(reduction=N), (7, 4)),
    Twin(ours.Circle(gamma=8.0, margin=0.25, remove_diagonal=False), K.Circle(8.0, 0.25, False, N), (7, 4)),
]
