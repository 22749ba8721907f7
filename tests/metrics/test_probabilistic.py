"""Cross-entropies and distances of distributions against Keras and scikit-learn."""

from typing import Any

import jax
import keras
import numpy as np
import pytest
from sklearn import metrics as sklearn

import jgraph as jg
from jgraph.errors import ArgumentError
from tests.metrics.comparing import TOLERANCE, measured, measured_by_keras

M: Any = jg.metrics


def draw(*time: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, logits of 4 classes, and weights."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(40, *time, 4)).astype("float32")
    return random.integers(0, 4, (40, *time)), logits, random.uniform(0, 2, 40).astype("float32")


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropies_are_those_of_keras(from_logits: bool, smoothing: float) -> None:
    labels, logits, weights = draw()
    one_hot = np.eye(4, dtype="float32")[labels]
    options = {"from_logits": from_logits, "label_smoothing": smoothing}
    for name, link in (("BinaryCrossentropy", jax.nn.sigmoid), ("CategoricalCrossentropy", jax.nn.softmax)):
        outputs = logits if from_logits else np.asarray(link(logits))
        theirs = measured_by_keras(getattr(keras.metrics, name)(**options), one_hot, outputs, weights)
        assert measured(getattr(M, name)(**options), one_hot, outputs, weights) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("from_logits", [False, True])
def test_sparse_cross_entropy_is_that_of_keras(from_logits: bool) -> None:
    labels, logits, weights = draw()
    outputs = logits if from_logits else np.asarray(jax.nn.softmax(logits))
    theirs = measured_by_keras(
        keras.metrics.SparseCategoricalCrossentropy(from_logits=from_logits), labels, outputs, weights
    )
    ours = measured(M.SparseCategoricalCrossentropy(from_logits=from_logits), labels, outputs, weights)
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert measured(M.Perplexity(from_logits=from_logits), labels, outputs, weights) == pytest.approx(
        np.exp(theirs), rel=1e-5
    )


def test_cross_entropy_is_the_log_loss_of_scikit_learn() -> None:
    labels, logits, weights = draw()
    p = np.asarray(jax.nn.softmax(logits.astype("float64")))
    theirs = sklearn.log_loss(labels, p / p.sum(1, keepdims=True), sample_weight=weights)
    assert measured(M.SparseCategoricalCrossentropy(), labels, p, weights) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("name", ["SparseCategoricalCrossentropy", "Perplexity"])
def test_a_class_to_ignore_does_not_count(name: str) -> None:
    labels, logits, _ = draw(5)
    mask = np.random.default_rng(1).integers(0, 3, (40, 5))
    ignored, masked = np.where(mask > 0, labels, -1), labels * (mask > 0)
    metric = getattr(M, name)(from_logits=True)
    ours = measured(getattr(M, name)(from_logits=True, ignore_class=-1), ignored, logits, mask)
    assert ours == pytest.approx(measured(metric, masked, logits, mask), rel=TOLERANCE)
    assert np.isnan(measured(metric, ignored, logits))  # what is no label is not taken for one


@pytest.mark.parametrize("name", ["KLDivergence", "Poisson"])
def test_distances_of_distributions_are_those_of_keras(name: str) -> None:
    labels, logits, weights = draw()
    p, q = (np.asarray(jax.nn.softmax(x)) for x in (logits, logits[::-1]))
    for targets in (p, np.eye(4, dtype="float32")[labels]):
        theirs = measured_by_keras(getattr(keras.metrics, name)(), targets, q, weights)
        assert measured(getattr(M, name)(), targets, q, weights) == pytest.approx(theirs, rel=1e-5)


def test_the_brier_score_is_that_of_scikit_learn() -> None:
    labels, logits, weights = draw()
    p = np.asarray(jax.nn.softmax(logits.astype("float64")))
    p = p / p.sum(1, keepdims=True)
    options: dict[str, Any] = {"sample_weight": weights, "labels": range(4), "scale_by_half": False}
    theirs = sklearn.brier_score_loss(labels, p, **options)
    ours = [measured(M.BrierScore(), t, p, weights) for t in (labels, np.eye(4)[labels])]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    theirs = sklearn.brier_score_loss(labels > 1, p[:, 0], sample_weight=weights)
    for shape in ((40,), (40, 1)):
        ours = measured(M.BrierScore(), (labels > 1).reshape(shape), p[:, 0].reshape(shape), weights)
        assert ours == pytest.approx(theirs, rel=1e-5)


def test_arguments_are_checked() -> None:
    with pytest.raises(ArgumentError, match="label_smoothing: expected a finite number from 0 to 1"):
        M.BinaryCrossentropy(label_smoothing=1.5)
    with pytest.raises(ArgumentError, match="Perplexity, ignore_class: expected an integer"):
        M.Perplexity(ignore_class=0.5)
