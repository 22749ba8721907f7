"""Accuracies against Keras and scikit-learn."""

from typing import Any

import keras
import numpy as np
import pytest
from sklearn import metrics as sklearn

import jgraph as jg
from jgraph.errors import ArgumentError, LossError
from tests.metrics.comparing import TOLERANCE, bound, measured, measured_by_keras

M: Any = jg.metrics


def draw(*time: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    scores = random.normal(size=(40, *time, 6)).astype("float32").round(1)  # some are equal
    return random.integers(0, 6, (40, *time)), scores, random.uniform(0, 2, 40).astype("float32")


@pytest.mark.parametrize("time", [(), (5,)])
@pytest.mark.parametrize(
    ("name", "options"),
    [("CategoricalAccuracy", {}), ("TopKCategoricalAccuracy", {}), ("TopKCategoricalAccuracy", {"k": 2})],
    ids=str,
)
def test_accuracies_are_those_of_keras(name: str, options: dict[str, Any], time: tuple[int, ...]) -> None:
    labels, scores, weights = draw(*time)
    one_hot = np.eye(6, dtype="float32")[labels]
    theirs = measured_by_keras(getattr(keras.metrics, name)(**options), one_hot, scores, weights)
    assert measured(getattr(M, name)(**options), one_hot, scores, weights) == pytest.approx(theirs, rel=TOLERANCE)
    ours = measured(getattr(M, f"Sparse{name}")(**options), labels, scores, weights)
    theirs = measured_by_keras(getattr(keras.metrics, f"Sparse{name}")(**options), labels, scores, weights)
    assert ours == pytest.approx(theirs, rel=TOLERANCE)


def test_the_first_k_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    labels, scores, weights = random.integers(0, 6, 40), random.random((40, 6)), random.uniform(0, 2, 40)
    theirs = sklearn.top_k_accuracy_score(labels, scores, k=3, sample_weight=weights, labels=range(6))
    assert measured(M.SparseTopKCategoricalAccuracy(3), labels, scores, weights) == pytest.approx(theirs, rel=TOLERANCE)


def test_sorted_class_numbers() -> None:
    labels, scores, weights = draw()
    ids = np.argsort(-scores, axis=1).astype("float32")
    theirs = measured_by_keras(
        keras.metrics.SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True), labels, ids, weights
    )
    ours = measured(M.SparseTopKCategoricalAccuracy(2, from_sorted_ids=True), labels, ids, weights)
    assert ours == pytest.approx(theirs, rel=TOLERANCE)


@pytest.mark.parametrize("threshold", [0.2, 0.5, -0.3])
def test_binary_accuracy_is_that_of_keras(threshold: float) -> None:
    _, scores, weights = draw()
    targets = (draw()[1][::-1] > 0).astype("float32")
    theirs = measured_by_keras(keras.metrics.BinaryAccuracy(threshold=threshold), targets, scores, weights)
    assert measured(M.BinaryAccuracy(threshold), targets, scores, weights) == pytest.approx(theirs, rel=TOLERANCE)


def test_the_threshold_on_logits_is_that_of_probabilities() -> None:
    _, logits, weights = draw()
    targets = (draw()[1][::-1] > 0).astype("float32")
    on_logits = M.BinaryAccuracy(0.3).on_logits("sigmoid")
    probabilities = 1 / (1 + np.exp(-logits))
    assert measured(on_logits, targets, logits, weights) == measured(
        M.BinaryAccuracy(0.3), targets, probabilities, weights
    )
    assert M.BinaryAccuracy(0.3).on_logits("softmax") is None


def test_equality_is_that_of_keras() -> None:
    labels, scores, weights = draw()
    found = scores.argmax(1)
    theirs = measured_by_keras(keras.metrics.Accuracy(), labels[:, None], found[:, None], weights)
    assert measured(M.Accuracy(), labels[:, None], found[:, None], weights) == pytest.approx(theirs, rel=TOLERANCE)


def test_what_is_no_label_is_never_among_the_first() -> None:
    _, scores, _ = draw()
    for label in (-1, 6):
        assert measured(M.SparseTopKCategoricalAccuracy(2), np.full(40, label), scores) == 0.0


def test_arguments_are_checked() -> None:
    with pytest.raises(ArgumentError, match="k: expected an integer of at least 1"):
        M.TopKCategoricalAccuracy(k=0)
    with pytest.raises(ArgumentError, match="threshold: expected a finite number"):
        M.BinaryAccuracy(threshold="0.5")
    with pytest.raises(LossError, match="more than k=6 classes"):
        bound(M.SparseTopKCategoricalAccuracy(6), *draw()[:2])
