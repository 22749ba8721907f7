"""What holds for every metric: merging is associative, splits give the same value, weight 0 changes nothing."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgraph.metrics.library import METRICS
from jgraph.metrics.metric import Metric

EVERY_METRIC = pytest.mark.parametrize("metric", dict.fromkeys(METRICS.values()), ids=lambda metric: metric.name)


def examples(metric: Metric, steps: bool = False) -> tuple[Any, Any, Any]:
    """Targets, outputs and weights of 24 rows; sums of small integers and halves are exact in float32."""
    random = np.random.default_rng(4)
    shape = (24, 3, 2) if steps else (24, 2)
    outputs = random.integers(-4, 5, shape) / 2
    targets = random.integers(0, 2, shape[:-1] if metric.targets == "labels" else shape)
    weights = random.integers(0, 3, shape[:-1])
    return jnp.asarray(targets, "int32"), jnp.asarray(outputs, "float32"), jnp.asarray(weights, "float32")


def sums_of(metric: Metric, *parts: tuple[Any, Any, Any]) -> Any:
    return functools.reduce(lambda sums, part: metric.update(sums, *part), parts, metric.init())


@EVERY_METRIC
@pytest.mark.parametrize("steps", [False, True])
def test_merging_is_associative_and_has_a_unit(metric: Metric, steps: bool) -> None:
    a, b, c = (sums_of(metric, jax.tree.map(lambda x, i=i: x[i : i + 8], examples(metric, steps))) for i in (0, 8, 16))
    left, right = metric.merge(metric.merge(a, b), c), metric.merge(a, metric.merge(b, c))
    np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(metric.merge(metric.init(), a), a)
    np.testing.assert_array_equal(left, sums_of(metric, examples(metric, steps)))


@EVERY_METRIC
@pytest.mark.parametrize("cuts", [[1], [23], [5, 6, 20], list(range(1, 24))], ids=str)
def test_every_split_gives_the_same_value(metric: Metric, cuts: list[int]) -> None:
    whole = examples(metric)
    parts = [jax.tree.map(lambda x, i=i, j=j: x[i:j], whole) for i, j in zip([0, *cuts], [*cuts, 24], strict=True)]
    np.testing.assert_array_equal(sums_of(metric, *parts), sums_of(metric, whole))


@EVERY_METRIC
@pytest.mark.parametrize("bad", [0.0, 1e30, np.nan, np.inf])
def test_an_example_without_weight_changes_nothing(metric: Metric, bad: float) -> None:
    targets, outputs, weights = examples(metric)
    longer = jnp.concatenate([targets, targets[:1]]), jnp.concatenate([outputs, jnp.full((1, 2), bad)])
    sums = metric.update(metric.init(), *longer, jnp.concatenate([weights, jnp.zeros(1)]))
    np.testing.assert_array_equal(sums, sums_of(metric, (targets, outputs, weights)))


@EVERY_METRIC
def test_weights_repeat_examples(metric: Metric) -> None:
    targets, outputs, weights = examples(metric)
    repeated = jax.tree.map(lambda x: np.repeat(x, np.asarray(weights, int), axis=0), (targets, outputs))
    ones = jnp.ones(len(repeated[0]))
    np.testing.assert_array_equal(sums_of(metric, (*repeated, ones)), sums_of(metric, (targets, outputs, weights)))


@EVERY_METRIC
def test_no_example_is_no_number(metric: Metric) -> None:
    assert np.isnan(metric.compute(metric.init()))
