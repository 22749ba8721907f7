"""What is made of the confusion matrix, against scikit-learn."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn

import jgraph as jg
from jgraph.errors import ArgumentError, ShapeError
from tests.metrics.comparing import TOLERANCE, measured

M: Any = jg.metrics
CASES = [
    (M.BalancedAccuracy(), sklearn.balanced_accuracy_score, {}),
    (M.MatthewsCorrelation(), sklearn.matthews_corrcoef, {}),
    (M.CohenKappa(), sklearn.cohen_kappa_score, {}),
    (M.CohenKappa(weights="linear"), sklearn.cohen_kappa_score, {"weights": "linear"}),
    (M.CohenKappa(weights="quadratic"), sklearn.cohen_kappa_score, {"weights": "quadratic"}),
]
EVERY = pytest.mark.parametrize(("metric", "theirs", "options"), CASES, ids=lambda x: getattr(x, "name", ""))


@EVERY
def test_several_classes_are_those_of_scikit_learn(metric: Any, theirs: Any, options: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    labels, weights = random.integers(0, 4, 60), random.uniform(0, 2, 60)
    scores = random.random((60, 4)) + 0.5 * np.eye(4)[labels]
    expected = theirs(labels, scores.argmax(1), sample_weight=weights, **options)
    for targets in (labels, np.eye(4)[labels]):
        assert measured(metric, targets, scores, weights) == pytest.approx(expected, rel=1e-5)


@EVERY
def test_one_probability_is_two_classes(metric: Any, theirs: Any, options: dict[str, Any]) -> None:
    random = np.random.default_rng(1)
    targets, outputs, weights = random.integers(0, 2, 60), random.random(60), random.uniform(0, 2, 60)
    expected = theirs(targets, outputs > 0.5, sample_weight=weights, **options)
    for shape in ((60,), (60, 1)):
        assert measured(metric, targets.reshape(shape), outputs.reshape(shape), weights) == pytest.approx(
            expected, rel=1e-5
        )


def test_steps_that_are_masked_do_not_count() -> None:
    random = np.random.default_rng(2)
    labels, scores, mask = random.integers(0, 3, (40, 5)), random.random((40, 5, 3)), random.integers(0, 2, (40, 5))
    kept = mask.astype(bool)
    expected = sklearn.balanced_accuracy_score(labels[kept], scores[kept].argmax(1))
    assert measured(M.BalancedAccuracy(), labels, scores, mask) == pytest.approx(expected, rel=TOLERANCE)


def test_classes_that_are_never_true_or_never_found() -> None:
    labels, scores = np.array([0, 0, 1]), np.eye(4)[[0, 1, 1]]
    assert measured(M.BalancedAccuracy(), labels, scores) == pytest.approx(0.75)
    assert measured(M.MatthewsCorrelation(), np.zeros(3, int), scores) == 0.0
    assert np.isnan(measured(M.CohenKappa(), np.zeros(3, int), np.eye(4)[[0, 0, 0]]))


def test_arguments_and_shapes_are_checked() -> None:
    with pytest.raises(ArgumentError, match="num_classes: expected a size"):
        M.CohenKappa().init()
    with pytest.raises(ArgumentError, match="Did you mean 'linear'"):
        M.CohenKappa(weights="lineal")
    with pytest.raises(ArgumentError, match="an integer of at least 2"):
        M.BalancedAccuracy(num_classes=1)
    metric = M.BalancedAccuracy(num_classes=3)
    with pytest.raises(ShapeError, match="last axis has 3 entries"):
        metric.update(metric.init(), np.zeros((4, 2)), np.zeros((4, 2)), np.ones(4))
