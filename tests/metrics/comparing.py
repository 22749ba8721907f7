"""A metric over batches that are merged, as a run takes it, and Keras' metric over all at once."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from jgraph.metrics.metric import Metric

TOLERANCE = 2e-6
"""float32: both sum in their own order, over at most some hundred terms."""

CUTS = (10, 20, 30)


def bound(metric: Metric, targets: Any, outputs: Any) -> Metric:
    """The metric for outputs like these, and for labels where the targets are such."""
    labels = targets.ndim == outputs.ndim - 1
    fitting = metric.for_targets("labels" if labels else "same") if metric.targets != "free" else metric
    assert fitting is not None
    return fitting.for_output(jax.ShapeDtypeStruct(outputs.shape, outputs.dtype))


def sums(metric: Metric, targets: Any, outputs: Any, weights: Any = None, cuts: tuple[int, ...] = CUTS) -> Any:
    """The sums of parts, merged."""
    weights = np.ones(outputs.shape[:1]) if weights is None else weights
    parts = [[jnp.asarray(part) for part in np.split(x, cuts)] for x in (targets, outputs, weights)]
    made = [metric.update(metric.init(), *part) for part in zip(*parts, strict=True)]
    return functools.reduce(metric.merge, made, metric.init())


def measured(metric: Metric, targets: Any, outputs: Any, weights: Any = None) -> float:
    """The value as a run reads it, from float64 on the host."""
    metric = bound(metric, targets, outputs)
    value = metric.compute(np.asarray(sums(metric, targets, outputs, weights), np.float64))
    assert np.ndim(value) == 0
    return float(value)


def measured_by_keras(metric: keras.Metric, targets: Any, outputs: Any, weights: Any = None) -> float:
    """The value of Keras."""
    metric.update_state(targets, outputs, weights)
    value: Any = metric.result()
    return float(value)
