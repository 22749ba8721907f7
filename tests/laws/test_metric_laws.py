"""What holds for every metric: merging is associative, splits give the same value, weight 0 changes nothing.

A part of the data is the whole under weights that are 0 elsewhere, so that each metric is compiled once; real splits
are among them.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jgraph as jg
from jgraph.metrics.library import METRICS
from jgraph.metrics.metric import Mean, Metric

ROWS, CLASSES = 24, 6
M: Any = jg.metrics

NAMED = dict.fromkeys(METRICS.values())
WITH_OPTIONS: list[Metric] = [
    M.SensitivityAtSpecificity(0.5, name="sensitivity_at_specificity"),
    M.SpecificityAtSensitivity(0.5, num_thresholds=1),
    M.PrecisionAtRecall(0.5, class_id=1),
    M.RecallAtPrecision(0.5),
    M.IoU(CLASSES, [0, 2]),
    M.IoU(CLASSES, [0, 2], sparse_y_pred=True, name="io_u_of_class_numbers"),
    M.OneHotIoU(CLASSES, [0, 2], ignore_class=1),
    M.AUC(curve="PR", multi_label=True, name="auc_of_labels"),
    M.AUC(thresholds=[0.3, 0.4], label_weights=range(CLASSES), name="auc_at_thresholds"),
    M.Precision(top_k=2, targets="labels", name="precision_of_labels"),
    M.Recall(class_id=3, thresholds=0.25, name="recall_of_a_class"),
    M.F1Score("weighted", threshold=0.5, name="f1_of_bits"),
    M.F1Score("micro", name="f1_of_all"),
    M.R2Score("variance_weighted_average", num_regressors=2, name="r2_adjusted"),
    M.CohenKappa(weights="quadratic", targets="labels", name="kappa_of_labels"),
    M.MatthewsCorrelation(targets="labels", name="matthews_of_labels"),
    M.SparseCategoricalCrossentropy(ignore_class=1, name="cross_entropy_but_a_class"),
    M.BrierScore(targets="labels", name="brier_of_labels"),
    M.CosineSimilarity(axis=1, name="cosine_of_rows"),
    Mean(lambda targets, outputs: jnp.abs(targets - outputs), name="any_function"),
]
EVERY = [*NAMED, *WITH_OPTIONS]
EVERY_METRIC = pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)

INEXACT = {
    *("binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy", "kl_divergence"),
    *("poisson", "perplexity", "mean_absolute_percentage_error", "mean_squared_logarithmic_error", "logcosh"),
    *("cosine_similarity", "cosine_of_rows", "cross_entropy_but_a_class", "brier_of_labels", "brier_score"),
    *("pearson_correlation", "concordance_correlation", "pearson_r", "r2_score", "r2_adjusted"),
    *("mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "huber", "any_function"),
    *("accuracy", "binary_accuracy", "hinge", "squared_hinge", "categorical_hinge"),
}
"""Whose sums are of fractions; all others count, and their sums are the same to the last bit."""


def bound(metric: Metric, shape: tuple[int, ...] = (ROWS, CLASSES)) -> Metric:
    return metric.for_output(jax.ShapeDtypeStruct(shape, jnp.float32))


def examples(metric: Metric, steps: bool = False) -> tuple[Any, Any, Any]:
    """Targets, outputs and weights; the weights are small integers."""
    random = np.random.default_rng(4)
    shape = (ROWS, 3, CLASSES) if steps else (ROWS, CLASSES)
    outputs = random.integers(1, 9, shape) / 8
    targets = random.integers(0, CLASSES, shape[:-1]) if metric.targets == "labels" else random.integers(0, 2, shape)
    if "sparse_y_pred=True" in repr(metric):
        outputs = random.integers(0, CLASSES, shape)
    weights = random.integers(0, 3, shape[:-1])
    kind = "int32" if metric.targets == "labels" else "float32"
    return jnp.asarray(targets, kind), jnp.asarray(outputs, "float32"), jnp.asarray(weights, "float32")


@functools.cache
def updating(metric: Metric) -> tuple[Metric, Callable[..., Any]]:
    """The metric for the examples, and its update, compiled."""
    made = bound(metric)
    return made, jax.jit(lambda targets, outputs, weights: made.update(made.init(), targets, outputs, weights))


def assert_same(metric: Metric, a: Any, b: Any) -> None:
    if metric.name in INEXACT:
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-5)  # sums of some hundred, in another order
    else:
        np.testing.assert_array_equal(a, b)


@EVERY_METRIC
def test_merging_is_associative_and_has_a_unit(metric: Metric) -> None:
    metric, update = updating(metric)
    targets, outputs, weights = examples(metric)
    eight = [update(targets, outputs, weights * (np.arange(ROWS) // 3 == part)) for part in range(8)]
    whole, nothing = update(targets, outputs, weights), metric.init()
    from_the_left = functools.reduce(metric.merge, eight)
    pairs = [metric.merge(a, b) for a, b in zip(eight[::2], eight[1::2], strict=True)]
    as_a_tree = metric.merge(metric.merge(pairs[0], pairs[1]), metric.merge(pairs[2], pairs[3]))
    assert_same(metric, from_the_left, as_a_tree)
    assert_same(metric, from_the_left, whole)
    for merged in (metric.merge(nothing, eight[0]), metric.merge(eight[0], nothing)):
        np.testing.assert_array_equal(merged, eight[0])


@pytest.mark.parametrize("metric", [m for m in EVERY if m.name != "cosine_of_rows"], ids=lambda m: m.name)
def test_time_steps_are_examples_of_their_own(metric: Metric) -> None:
    targets, outputs, weights = examples(metric, steps=True)
    metric = bound(metric, outputs.shape)
    flat = jax.tree.map(lambda x: x.reshape(ROWS * 3, *x.shape[2:]), (targets, outputs, weights))
    assert_same(metric, metric.update(metric.init(), targets, outputs, weights), metric.update(metric.init(), *flat))


@EVERY_METRIC
def test_every_split_gives_the_same_value(metric: Metric) -> None:
    metric, update = updating(metric)
    targets, outputs, weights = examples(metric)
    whole = update(targets, outputs, weights)

    @settings(max_examples=5, deadline=None, database=None, derandomize=True)
    @given(st.lists(st.integers(0, 4), min_size=ROWS, max_size=ROWS))
    def splits(parts: list[int]) -> None:
        made = [update(targets, outputs, weights * (np.array(parts) == part)) for part in range(5)]
        merged = functools.reduce(metric.merge, made, metric.init())
        assert_same(metric, merged, whole)
        np.testing.assert_allclose(metric.compute(np.float64(merged)), metric.compute(np.float64(whole)), rtol=1e-5)

    splits()
    cut = [jax.tree.map(lambda x: x[:17], (targets, outputs, weights)), (targets[17:], outputs[17:], weights[17:])]
    real = functools.reduce(lambda sums, part: metric.update(sums, *part), cut, metric.init())
    assert_same(metric, real, whole)


@EVERY_METRIC
def test_an_example_without_weight_changes_nothing(metric: Metric) -> None:
    metric, update = updating(metric)
    targets, outputs, weights = examples(metric)
    weights = weights.at[5].set(0.0)
    expected = update(targets, outputs, weights)
    for bad in (0.0, 1e30, np.nan, np.inf, -np.inf):
        other = targets if metric.targets == "labels" else targets.at[5].set(bad)
        np.testing.assert_array_equal(update(other, outputs.at[5].set(bad), weights), expected)


@EVERY_METRIC
def test_weights_repeat_examples(metric: Metric) -> None:
    metric, update = updating(metric)
    targets, outputs, weights = examples(metric)
    once, twice = (update(targets, outputs, (weights >= times).astype("float32")) for times in (1, 2))
    assert_same(metric, metric.merge(once, twice), update(targets, outputs, weights))


@EVERY_METRIC
def test_the_value_is_one_number_on_the_device_too(metric: Metric) -> None:
    metric, update = updating(metric)
    sums = update(*examples(metric))
    on_host = metric.compute(np.asarray(sums, np.float64))
    assert np.ndim(on_host) == 0
    np.testing.assert_allclose(jax.jit(metric.compute)(sums), on_host, rtol=1e-5, atol=1e-5)
    assert np.isfinite(on_host)


@EVERY_METRIC
def test_no_example_is_no_number(metric: Metric) -> None:
    metric = bound(metric)
    assert np.isnan(metric.compute(metric.init()))
    assert np.isnan(metric.compute(np.asarray(metric.init(), np.float64)))  # and no warning


@EVERY_METRIC
def test_a_metric_is_a_value_that_knows_which_way_is_better(metric: Metric) -> None:
    assert {metric: 1}[metric] == 1
    assert metric.direction in ("min", "max") or type(metric) is Mean
    assert not metric.mixes_rows
