"""Areas under curves and rates at thresholds against Keras and scikit-learn."""

import dataclasses
import itertools
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.metrics.metrics_utils import AUCCurve, AUCSummationMethod
from sklearn import metrics as sklearn

import jgraph as jg
from jgraph.errors import ArgumentError, LossError
from tests.metrics.comparing import TOLERANCE, bound, measured, measured_by_keras, sums

M: Any = jg.metrics
SHARED: list[dict[str, Any]] = [
    {},
    {"num_thresholds": 2},
    {"num_thresholds": 21},
    {"thresholds": [0.1, 0.5, 0.51]},
    {"thresholds": [0.75, 0.5, 0.25]},
    {"num_thresholds": 50, "label_weights": [0.2, 1.0, 3.0]},
    {"multi_label": True},
    {"multi_label": True, "num_labels": 3, "label_weights": [0.2, 1.0, 3.0], "num_thresholds": 31},
    {"multi_label": True, "thresholds": [0.3, 0.6]},
]
AT = ("SensitivityAtSpecificity", "SpecificityAtSensitivity", "PrecisionAtRecall", "RecallAtPrecision")


def draw(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    targets = random.integers(0, 2, (40, 3)).astype("float32")
    noise = random.random((40, 3))
    outputs = np.round(0.3 * targets + 0.7 * noise, 2).astype("float32")  # many at a threshold, some 0 and 1
    outputs[:3] = [[0.0, 1.0, 0.5], [1.0, 0.0, 0.25], [0.0, 0.0, 1.0]]
    return targets, outputs, random.uniform(0, 2, 40).astype("float32")


@pytest.mark.parametrize("options", SHARED, ids=str)
def test_areas_are_those_of_keras(options: dict[str, Any]) -> None:
    targets, outputs, weights = draw()
    weights = None if options.get("multi_label") else weights  # Keras weighs labels, not examples, then
    theirs: Any = keras.metrics.AUC(**options)
    theirs.update_state(targets, outputs, weights)
    ours = bound(M.AUC(**options), targets, outputs)
    kept = np.asarray(sums(ours, targets, outputs, weights), np.float64)
    for curve, method in itertools.product(("ROC", "PR", "PRGAIN"), ("interpolation", "minoring", "majoring")):
        theirs.curve, theirs.summation_method = AUCCurve.from_str(curve), AUCSummationMethod.from_str(method)
        found = dataclasses.replace(ours, curve=curve, summation_method=method).compute(kept)
        assert found == pytest.approx(float(theirs.result()), rel=1e-5, abs=1e-6), (curve, method)


def test_areas_of_many_thresholds_come_close_to_the_exact_ones() -> None:
    random = np.random.default_rng(2)
    targets, weights = random.integers(0, 2, (2000, 1)), random.uniform(0, 2, 2000)
    outputs = 1 / (1 + np.exp(-random.normal(size=(2000, 1)) - targets))
    exact = sklearn.roc_auc_score(targets, outputs, sample_weight=weights)
    assert measured(M.AUC(), targets, outputs, weights) == pytest.approx(exact, abs=1e-4)
    exact = sklearn.average_precision_score(targets, outputs, sample_weight=weights)
    assert measured(M.AUC(1000, "PR"), targets, outputs, weights) == pytest.approx(exact, abs=2e-3)


def test_scores_that_crowd_want_thresholds_of_their_own() -> None:
    random = np.random.default_rng(2)
    targets = random.integers(0, 2, (2000, 1))
    outputs = 1e-3 * (random.random((2000, 1)) + targets)
    exact = sklearn.roc_auc_score(targets, outputs)
    assert measured(M.AUC(), targets, outputs) == pytest.approx(0.5)
    own = M.AUC(thresholds=np.quantile(outputs, np.linspace(0, 1, 100)))
    assert measured(own, targets, outputs) == pytest.approx(exact, abs=1e-3)


def test_a_curve_for_each_label_with_weights_of_examples() -> None:
    targets, outputs, weights = draw()
    one = [measured(M.AUC(), targets[:, i : i + 1], outputs[:, i : i + 1], weights) for i in range(3)]
    assert measured(M.AUC(multi_label=True), targets, outputs, weights) == pytest.approx(np.mean(one), rel=1e-6)


@pytest.mark.parametrize("name", AT)
@pytest.mark.parametrize("options", [{}, {"num_thresholds": 1}, {"num_thresholds": 11, "class_id": 1}], ids=str)
def test_rates_at_rates_are_those_of_keras(name: str, options: dict[str, Any]) -> None:
    targets, outputs, weights = draw()
    theirs, ours = getattr(keras.metrics, name)(0.5, **options), getattr(M, name)
    theirs.update_state(targets, outputs, weights)
    kept = np.asarray(sums(ours(0.5, **options), targets, outputs, weights), np.float64)
    for asked in (0.0, 0.4, 0.75, 1.0):
        theirs.value = asked
        assert ours(asked, **options).compute(kept) == pytest.approx(float(theirs.result()), rel=TOLERANCE)


def test_logits_of_an_output_without_a_cross_entropy() -> None:
    targets, outputs, weights = draw()
    logits = 4 * outputs - 2
    probabilities = 1 / (1 + np.exp(-logits))
    ours = measured(M.AUC(from_logits=True), targets, logits, weights)
    assert ours == pytest.approx(measured(M.AUC(), targets, probabilities, weights), rel=1e-6)


def test_labels_are_made_one_hot() -> None:
    random = np.random.default_rng(3)
    labels, scores = random.integers(0, 4, 40), random.dirichlet(np.ones(4), 40)
    for metric in (M.AUC(), M.AUC(multi_label=True), M.RecallAtPrecision(0.5, class_id=1)):
        assert measured(metric, labels, scores) == measured(metric, np.eye(4)[labels], scores)


def test_examples_of_one_kind_have_the_area_zero_as_in_keras() -> None:
    outputs = np.random.default_rng(0).random((40, 1)).astype("float32")
    for targets in (np.zeros((40, 1)), np.ones((40, 1))):
        assert measured(M.AUC(), targets, outputs) == measured_by_keras(keras.metrics.AUC(), targets, outputs)
    assert np.isnan(measured(M.AUC(), targets, outputs, np.zeros(40)))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: M.AUC(num_thresholds=1), "an integer of at least 2"),
        (lambda: M.AUC(curve="RO"), "Did you mean 'ROC'?"),
        (lambda: M.AUC(summation_method="trapezoid"), "'interpolation', 'minoring', 'majoring'"),
        (lambda: M.AUC(thresholds=[0.5, 2.0]), "a list of numbers from 0 to 1"),
        (lambda: M.AUC(num_labels=3), "None without multi_label"),
        (lambda: M.AUC(label_weights=[-1.0]), "a list of numbers of at least 0"),
        (lambda: M.PrecisionAtRecall(1.2), "PrecisionAtRecall, recall: expected a finite number from 0 to 1"),
        (lambda: M.RecallAtPrecision(0.5, num_thresholds=0), "an integer of at least 1"),
        (lambda: M.AUC(multi_label=True).init(), "AUC, num_labels: expected a size"),
    ],
)
def test_arguments_are_checked(make: Any, told: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert told in str(caught.value)


def test_an_output_has_the_columns_that_are_asked_for() -> None:
    targets, outputs, _ = draw()
    with pytest.raises(LossError, match="an output of 2 columns"):
        bound(M.AUC(label_weights=[1.0, 2.0]), targets, outputs)
    with pytest.raises(LossError, match="that has class 5"):
        bound(M.PrecisionAtRecall(0.5, class_id=5), targets, outputs)
