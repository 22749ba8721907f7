"""Distances of numbers against Keras and scikit-learn."""

from typing import Any

import keras
import numpy as np
import pytest
from sklearn import metrics as sklearn

import jgraph as jg
from jgraph.errors import ArgumentError, LossError, ShapeError
from tests.metrics.comparing import TOLERANCE, bound, measured, measured_by_keras

M: Any = jg.metrics


def draw(*shape: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    targets, outputs = (random.normal(size=(40, *shape)).astype("float32") for _ in range(2))
    return targets, outputs, random.uniform(0, 2, 40).astype("float32")


CASES: list[tuple[str, dict[str, Any]]] = [
    ("MeanSquaredError", {}),
    ("RootMeanSquaredError", {}),
    ("MeanAbsoluteError", {}),
    ("MeanAbsolutePercentageError", {}),
    ("MeanSquaredLogarithmicError", {}),
    ("LogCoshError", {}),
    ("CosineSimilarity", {}),
    ("CosineSimilarity", {"axis": 1}),
    ("CategoricalHinge", {}),
]


@pytest.mark.parametrize("shape", [(3,), (5, 3)], ids=str)
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_distances_are_those_of_keras(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    targets, outputs, weights = draw(*shape)
    theirs = measured_by_keras(getattr(keras.metrics, name)(**options), targets, outputs, weights)
    assert measured(getattr(M, name)(**options), targets, outputs, weights) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("name", ["Hinge", "SquaredHinge"])
@pytest.mark.parametrize("zero", [0.0, -1.0])
def test_hinges_are_those_of_keras(name: str, zero: float) -> None:
    targets, outputs, weights = draw(3)
    signs = np.where(targets > 0, 1.0, zero).astype("float32")
    theirs = measured_by_keras(getattr(keras.metrics, name)(), signs, outputs, weights)
    assert measured(getattr(M, name)(), signs, outputs, weights) == pytest.approx(theirs, rel=TOLERANCE)


def test_huber_is_the_function_of_keras() -> None:
    targets, outputs, weights = draw(3)
    theirs = np.average(np.asarray(keras.losses.huber(targets, outputs, delta=0.7)), weights=weights)
    assert measured(M.Huber(0.7), targets, outputs, weights) == pytest.approx(theirs, rel=TOLERANCE)


def test_errors_are_those_of_scikit_learn() -> None:
    targets, outputs, weights = draw(3)
    positive, also = np.abs(targets), np.abs(outputs)
    for metric, theirs in [
        (M.RootMeanSquaredError(), np.sqrt(sklearn.mean_squared_error(positive, also, sample_weight=weights))),
        (M.MeanSquaredLogarithmicError(), sklearn.mean_squared_log_error(positive, also, sample_weight=weights)),
        (
            M.MeanAbsolutePercentageError(),
            100 * sklearn.mean_absolute_percentage_error(positive, also, sample_weight=weights),
        ),
    ]:
        assert measured(metric, positive, also, weights) == pytest.approx(theirs, rel=1e-5)


def test_a_vector_of_zeros_has_no_direction() -> None:
    targets, outputs, _ = draw(3)
    assert measured(M.CosineSimilarity(), 0 * targets, outputs) == 0.0


def test_arguments_and_shapes_are_checked() -> None:
    targets, outputs, weights = draw(3)
    with pytest.raises(ArgumentError, match="an axis within an example"):
        M.CosineSimilarity(axis=0)
    with pytest.raises(ArgumentError, match="Huber, delta"):
        M.Huber(delta=float("nan"))
    with pytest.raises(ShapeError, match="Reshape the targets"):
        M.MeanSquaredError()(targets[:, 0], outputs)
    with pytest.raises(LossError, match="a value for each entry of the weights"):
        measured(M.CosineSimilarity(axis=1), *draw(5, 3)[:2], np.ones((40, 5)))
    assert bound(M.MeanSquaredError(), targets, outputs).name == "mean_squared_error"
    del weights
