"""Counts, precision, recall and F scores against Keras and scikit-learn."""

from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from sklearn import metrics as sklearn

import jgraph as jg
from jgraph.errors import ArgumentError, LossError, ShapeError
from tests.metrics.comparing import TOLERANCE, bound, measured, measured_by_keras

M: Any = jg.metrics
COUNTS = ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
RATES = ("Precision", "Recall")
OPTIONS: list[dict[str, Any]] = [
    {},
    {"thresholds": 0.3},
    {"thresholds": 0.0},
    {"class_id": 2},
    {"top_k": 2},
    {"top_k": 1, "class_id": 0},
    {"top_k": 3, "thresholds": 0.6},
]


def draw(columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    targets = random.integers(0, 2, (40, columns)).astype("float32")
    return targets, random.random((40, columns)).astype("float32"), random.uniform(0, 2, 40).astype("float32")


@pytest.mark.parametrize(
    ("name", "options"),
    [*((n, o) for n in COUNTS for o in OPTIONS[:3]), *((n, o) for n in RATES for o in OPTIONS)],
    ids=str,
)
def test_counts_and_rates_are_those_of_keras(name: str, options: dict[str, Any]) -> None:
    given = draw(4)
    theirs = measured_by_keras(getattr(keras.metrics, name)(**options), *given)
    assert measured(getattr(M, name)(**options), *given) == pytest.approx(theirs, rel=TOLERANCE)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("options", [{}, {"threshold": 0.4}, {"beta": 2.0}, {"beta": 0.5, "threshold": 0.7}], ids=str)
def test_f_scores_are_those_of_keras(average: str, options: dict[str, Any]) -> None:
    given = draw(3)
    names = ("FBetaScore",) if "beta" in options else ("FBetaScore", "F1Score")
    for name in names:
        theirs = measured_by_keras(getattr(keras.metrics, name)(average=average, **options), *given)
        ours = measured(getattr(M, name)(average=average, **options), *given)
        assert ours == pytest.approx(theirs, rel=1e-5)  # Keras adds 1e-7 to its divisors


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_scores_of_classes_are_those_of_scikit_learn(average: Any) -> None:
    random = np.random.default_rng(5)
    labels, scores, weights = random.integers(0, 4, 50), random.random((50, 4)), random.uniform(0, 2, 50)
    theirs = sklearn.f1_score(labels, scores.argmax(1), average=average, sample_weight=weights)
    ours = [measured(M.F1Score(average), targets, scores, weights) for targets in (labels, np.eye(4)[labels])]
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE)
    theirs = sklearn.fbeta_score(labels, scores.argmax(1), beta=2.0, average=average, sample_weight=weights)
    assert measured(M.FBetaScore(average, 2.0), labels, scores, weights) == pytest.approx(theirs, rel=TOLERANCE)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_rates_of_one_probability_are_those_of_scikit_learn(rank: int) -> None:
    random = np.random.default_rng(6)
    shape = (40, 1, 1)[:rank]
    targets, outputs = random.integers(0, 2, shape), random.random(shape)
    truth, found = targets.reshape(-1), outputs.reshape(-1) > 0.5
    for metric, theirs in [
        (M.Precision(), sklearn.precision_score(truth, found)),
        (M.Recall(), sklearn.recall_score(truth, found)),
        (M.Specificity(), sklearn.recall_score(truth, found, pos_label=0)),
        (M.F1Score(), sklearn.f1_score(truth, found)),
    ]:
        assert measured(metric, targets, outputs) == pytest.approx(theirs, rel=TOLERANCE)


@pytest.mark.parametrize("name", [*COUNTS, *RATES, "Specificity"])
def test_labels_are_made_one_hot(name: str) -> None:
    random = np.random.default_rng(7)
    labels, scores = random.integers(0, 4, (40, 3)), random.random((40, 3, 4))
    weights = random.integers(0, 3, (40, 3))
    one = measured(getattr(M, name)(thresholds=0.6), np.eye(4)[labels], scores, weights)
    assert measured(getattr(M, name)(thresholds=0.6), labels, scores, weights) == one


def test_nothing_found_is_zero_and_no_example_is_no_number() -> None:
    targets, outputs = np.array([[0.0], [1.0]]), np.array([[0.1], [0.2]])
    assert measured(M.Precision(), targets, outputs) == 0.0
    assert measured(M.F1Score(), targets, outputs) == 0.0
    assert measured(M.Recall(), np.zeros((2, 1)), outputs) == 0.0
    assert np.isnan(measured(M.Precision(), targets, outputs, np.zeros(2)))
    assert np.isnan(measured(M.F1Score(), targets, outputs, np.zeros(2)))


def test_steps_that_are_masked_do_not_count() -> None:
    random = np.random.default_rng(8)
    targets, outputs = random.integers(0, 2, (40, 5, 2)), random.random((40, 5, 2))
    mask = random.integers(0, 2, (40, 5))
    kept = mask.astype(bool)
    for metric in (M.Precision(), M.F1Score(threshold=0.5), M.TruePositives()):
        assert measured(metric, targets, outputs, mask) == pytest.approx(
            measured(metric, targets[kept], outputs[kept]), rel=TOLERANCE
        )


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: M.Precision(thresholds=[0.3, 0.6]), "make one for each thresholds, each with a name="),
        (lambda: M.Precision(thresholds=1.5), "a finite number from 0 to 1"),
        (lambda: M.Recall(top_k=0), "Recall, top_k: expected an integer of at least 1"),
        (lambda: M.Recall(class_id=-1), "an integer of at least 0"),
        (lambda: M.F1Score(average=None), "A metric is one number"),
        (lambda: M.F1Score(average="makro"), "Did you mean 'macro'?"),
        (lambda: M.FBetaScore(beta=0.0), "FBetaScore, beta"),
        (lambda: M.F1Score().init(), "call metric.for_output(outputs)"),
    ],
)
def test_arguments_are_checked(make: Any, told: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert told in str(caught.value)


def test_an_output_has_the_classes_that_are_asked_for() -> None:
    targets, outputs, _ = draw(3)
    with pytest.raises(LossError, match="that has class 3"):
        bound(M.Precision(class_id=3), targets, outputs)
    with pytest.raises(LossError, match="at least 4 classes"):
        bound(M.Recall(top_k=4), targets, outputs)
    with pytest.raises(ShapeError, match="last axis has 3 entries"):
        bound(M.F1Score(), targets, outputs).update(jnp.zeros(10), targets[:, :2], outputs[:, :2], jnp.ones(40))
    with pytest.raises(ShapeError, match="Reshape the targets"):
        M.Precision()(targets[:, 0], outputs)
