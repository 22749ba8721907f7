"""Correlations and R2 against Keras, scikit-learn and SciPy."""

from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from scipy import stats as scipy_stats
from sklearn import metrics as sklearn

import jgraph as jg
from jgraph.errors import ArgumentError, LossError
from tests.metrics.comparing import bound, measured, measured_by_keras, sums

M: Any = jg.metrics
stats: Any = scipy_stats


def draw(*shape: int, rows: int = 40, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    targets = random.normal(size=(rows, *shape)).astype("float32") + np.float32(offset)
    outputs = targets + random.normal(size=(rows, *shape)).astype("float32")
    return targets, outputs, random.uniform(0, 2, rows).astype("float32")


@pytest.mark.parametrize("name", ["PearsonCorrelation", "ConcordanceCorrelation"])
@pytest.mark.parametrize(("shape", "axis"), [((6,), -1), ((5, 6), -1), ((5, 6), 1)], ids=str)
def test_correlations_of_examples_are_those_of_keras(name: str, shape: tuple[int, ...], axis: int) -> None:
    targets, outputs, weights = draw(*shape)
    theirs = measured_by_keras(getattr(keras.metrics, name)(axis=axis), targets, outputs, weights)
    assert measured(getattr(M, name)(axis=axis), targets, outputs, weights) == pytest.approx(theirs, rel=2e-5)


@pytest.mark.parametrize("aggregation", ["uniform_average", "variance_weighted_average"])
def test_r2_is_that_of_keras(aggregation: str) -> None:
    targets, outputs, weights = draw(1)
    theirs = measured_by_keras(keras.metrics.R2Score(aggregation, 2), targets, outputs)
    assert measured(M.R2Score(aggregation, 2), targets, outputs) == pytest.approx(theirs, rel=1e-5)
    targets, outputs, weights = draw(3)
    theirs = measured_by_keras(keras.metrics.R2Score(aggregation), targets, outputs, weights)
    assert measured(M.R2Score(aggregation), targets, outputs, weights) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_r2_is_that_of_scikit_learn_where_means_are_large(offset: float) -> None:
    targets, outputs, weights = draw(3, offset=offset)
    wide = targets.astype("float64"), outputs.astype("float64")
    for ours, theirs in (("uniform_average", "uniform_average"), ("variance_weighted_average", "variance_weighted")):
        expected = sklearn.r2_score(*wide, sample_weight=weights, multioutput=theirs)
        assert measured(M.R2Score(ours), targets, outputs, weights) == pytest.approx(expected, abs=1e-5)


def test_r2_of_constant_targets_is_that_of_scikit_learn() -> None:
    ones = np.ones((40, 1))
    assert measured(M.R2Score(), ones, ones) == sklearn.r2_score(ones, ones) == 1.0
    assert measured(M.R2Score(), ones, ones + 1) == sklearn.r2_score(ones, ones + 1) == 0.0


def test_too_few_examples_for_the_regressors_are_no_number() -> None:
    targets, outputs, _ = draw(1)
    assert np.isnan(measured(M.R2Score(num_regressors=39), targets, outputs))
    assert np.isfinite(measured(M.R2Score(num_regressors=38), targets, outputs))


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_the_correlation_of_all_examples_is_that_of_scipy(offset: float) -> None:
    targets, outputs, _ = draw(3, offset=offset)
    wide = targets.astype("float64"), outputs.astype("float64")
    each = [float(stats.pearsonr(wide[0][:, i], wide[1][:, i])[0]) for i in range(3)]
    assert measured(M.PearsonR(), targets, outputs) == pytest.approx(np.mean(each), abs=1e-5)
    flat = measured(M.PearsonR(), targets[:, 0], outputs[:, 0])
    assert flat == pytest.approx(each[0], abs=1e-5)
    assert np.isnan(measured(M.PearsonR(), 0 * targets, outputs))


def test_sums_of_thousands_of_batches_lose_nothing() -> None:
    targets, outputs, _ = draw(1, rows=4000, offset=100.0)
    metric = M.PearsonR(columns=1)
    found = metric.init()
    for part in np.split(np.stack([targets, outputs], axis=1), 400):
        found = metric.update(found, jnp.asarray(part[:, 0]), jnp.asarray(part[:, 1]), jnp.ones(10))
    expected = stats.pearsonr(targets[:, 0].astype("float64"), outputs[:, 0].astype("float64"))[0]
    assert float(metric.compute(np.asarray(found, np.float64))) == pytest.approx(expected, abs=2e-6)


def test_ranks_are_those_of_scipy_to_the_grid() -> None:
    targets, outputs, _ = draw(2, rows=2000)
    each = [stats.spearmanr(targets[:, i], outputs[:, i])[0] for i in range(2)]
    assert measured(M.SpearmanCorrelation(), targets, outputs) == pytest.approx(np.mean(each), abs=1e-3)


def test_ranks_of_values_on_the_grid_are_exact() -> None:
    random = np.random.default_rng(3)
    targets = random.integers(-4, 5, (60, 1)).astype("float32")
    outputs = (targets + random.integers(-4, 5, (60, 1))).astype("float32")  # far fewer values than cells, with ties
    expected = stats.spearmanr(targets, outputs)[0]
    assert measured(M.SpearmanCorrelation(bins=256), targets, outputs) == pytest.approx(expected, abs=1e-6)
    weights = random.integers(0, 3, 60)
    repeated = (np.repeat(x, weights, axis=0) for x in (targets, outputs))
    ours = measured(M.SpearmanCorrelation(bins=256), targets, outputs, weights)
    assert ours == pytest.approx(stats.spearmanr(*repeated)[0], abs=1e-6)


def test_ranks_are_scaled_by_center_and_scale_and_hold_infinite_values() -> None:
    targets, outputs, _ = draw(1, rows=2000, offset=500.0)
    assert np.isnan(measured(M.SpearmanCorrelation(), targets, outputs))  # all in one cell
    expected = stats.spearmanr(targets, outputs)[0]
    assert measured(M.SpearmanCorrelation(center=500.0), targets, outputs) == pytest.approx(expected, abs=1e-3)
    targets, outputs, _ = draw(1, rows=2000)
    far = np.where(outputs == outputs.max(), np.inf, outputs)
    assert measured(M.SpearmanCorrelation(), targets, far) == pytest.approx(
        stats.spearmanr(targets, outputs)[0], abs=1e-3
    )


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: M.R2Score(class_aggregation=None), "A metric is one number"),
        (lambda: M.R2Score("uniform_averge"), "Did you mean 'uniform_average'?"),
        (lambda: M.R2Score(num_regressors=-1), "an integer of at least 0"),
        (lambda: M.PearsonCorrelation(axis=0), "there is PearsonR"),
        (lambda: M.SpearmanCorrelation(bins=1), "an integer from 2 to 2048"),
        (lambda: M.SpearmanCorrelation(scale=0.0), "SpearmanCorrelation, scale"),
        (lambda: M.R2Score().init(), "R2Score, columns: expected a size"),
    ],
)
def test_arguments_are_checked(make: Any, told: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert told in str(caught.value)


def test_outputs_are_checked() -> None:
    with pytest.raises(LossError, match="there is PearsonR"):
        bound(M.PearsonCorrelation(), *draw(1)[:2])
    with pytest.raises(LossError, match="Fewer bins"):
        bound(M.SpearmanCorrelation(bins=2048), *draw(5)[:2])
    assert len(sums(bound(M.R2Score(), *draw(3)[:2]), *draw(3)[:2])) == 21
