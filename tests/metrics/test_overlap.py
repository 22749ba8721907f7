"""Intersections over unions against Keras and scikit-learn."""

from typing import Any

import keras
import numpy as np
import pytest
from sklearn import metrics as sklearn

import jgraph as jg
from jgraph.errors import ArgumentError, LossError
from tests.metrics.comparing import bound, measured, measured_by_keras

M: Any = jg.metrics
pytestmark = pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64:UserWarning")  # by Keras
REL = 1e-5  # Keras adds 1e-7 to its divisors


def draw(*shape: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores of 4 classes, of which class 3 is neither true nor found, and weights."""
    random = np.random.default_rng(0)
    scores = random.random((40, *shape, 4)).astype("float32") * [1, 1, 1, 0]
    return random.integers(0, 3, (40, *shape)), scores, random.integers(1, 4, 40)


@pytest.mark.parametrize("options", [{}, {"ignore_class": 1}], ids=str)
def test_images_are_those_of_keras(options: dict[str, Any]) -> None:
    labels, scores, weights = draw(3, 3)
    each = np.broadcast_to(weights[:, None, None], labels.shape)  # Keras takes a weight for each pixel
    one_hot, chosen = np.eye(4)[labels], {"num_classes": 4, "target_class_ids": [0, 2]}
    sparse = keras.metrics.MeanIoU(4, sparse_y_pred=False, **options)
    expected = measured_by_keras(sparse, labels, scores, each)
    for metric, targets in (
        (M.MeanIoU(4, **options), labels),
        (M.MeanIoU(**options), one_hot),
        (M.OneHotMeanIoU(4, **options), one_hot),
        (M.OneHotMeanIoU(**options), labels),
    ):
        assert measured(metric, targets, scores, weights) == pytest.approx(expected, rel=REL)
    expected = measured_by_keras(keras.metrics.OneHotIoU(**chosen, **options), one_hot, scores, each)
    for metric, targets in ((M.OneHotIoU(**chosen, **options), one_hot), (M.IoU(**chosen, **options), labels)):
        assert measured(metric, targets, scores, weights) == pytest.approx(expected, rel=REL)


def test_class_numbers_are_those_of_keras() -> None:
    labels, scores, weights = draw()
    found = scores.argmax(1)
    expected = measured_by_keras(keras.metrics.MeanIoU(4), labels, found, weights)
    assert measured(M.MeanIoU(4, sparse_y_pred=True), labels, found, weights) == pytest.approx(expected, rel=REL)


@pytest.mark.parametrize("options", [{}, {"threshold": 0.3}, {"target_class_ids": [1]}], ids=str)
def test_binary_overlap_is_that_of_keras(options: dict[str, Any]) -> None:
    random = np.random.default_rng(1)
    targets, outputs = random.integers(0, 2, (40, 3, 1)), random.random((40, 3, 1)).astype("float32")
    weights = random.integers(1, 4, 40)
    each = np.broadcast_to(weights[:, None, None], targets.shape)
    expected = measured_by_keras(keras.metrics.BinaryIoU(**options), targets, outputs, each)
    assert measured(M.BinaryIoU(**options), targets, outputs, weights) == pytest.approx(expected, rel=REL)


def test_overlap_is_the_jaccard_score_of_scikit_learn() -> None:
    labels, scores, _ = draw()
    weights = np.random.default_rng(2).uniform(0, 2, 40)  # Keras makes integers of them
    expected = sklearn.jaccard_score(labels, scores.argmax(1), average="macro", sample_weight=weights)
    assert measured(M.MeanIoU(), labels, scores, weights) == pytest.approx(expected, rel=REL)


def test_none_of_the_classes_is_no_number() -> None:
    labels, scores, _ = draw()
    assert np.isnan(measured(M.IoU(4, [3]), labels, scores))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: M.IoU(2, [2]), "a list of classes, counted from 0, of 2"),
        (lambda: M.BinaryIoU([]), "target_class_ids=[0, 1]"),
        (lambda: M.BinaryIoU(threshold=None), "a finite number"),
        (lambda: M.MeanIoU(num_classes=1), "an integer of at least 2"),
        (lambda: M.MeanIoU(4, ignore_class="void"), "ignore_class: expected an integer"),
        (lambda: M.MeanIoU().init(), "num_classes: expected a size"),
    ],
)
def test_arguments_are_checked(make: Any, told: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert told in str(caught.value)


def test_an_output_has_the_classes_that_are_asked_for() -> None:
    labels, scores, _ = draw()
    with pytest.raises(LossError, match="scores of 3 classes"):
        bound(M.MeanIoU(3), labels, scores)
    with pytest.raises(LossError, match="there is BinaryIoU"):
        bound(M.MeanIoU(), labels[:, None], scores[:, :1])
