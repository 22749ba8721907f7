"""Metrics: pairs of `init` and pure functions over weighted sums."""

from jgraph.metrics.library import METRICS as METRICS
from jgraph.metrics.library import binary_accuracy as binary_accuracy
from jgraph.metrics.library import categorical_accuracy as categorical_accuracy
from jgraph.metrics.library import mean_absolute_error as mean_absolute_error
from jgraph.metrics.library import mean_squared_error as mean_squared_error
from jgraph.metrics.library import (
    sparse_categorical_accuracy as sparse_categorical_accuracy,
)
from jgraph.metrics.metric import Mean as Mean
from jgraph.metrics.metric import Metric as Metric
