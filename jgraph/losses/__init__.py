"""Losses: values per example, by Keras' names."""

from jgraph.losses.library import LOSSES as LOSSES
from jgraph.losses.library import binary_crossentropy as binary_crossentropy
from jgraph.losses.library import categorical_crossentropy as categorical_crossentropy
from jgraph.losses.library import huber as huber
from jgraph.losses.library import mean_absolute_error as mean_absolute_error
from jgraph.losses.library import mean_squared_error as mean_squared_error
from jgraph.losses.library import (
    sparse_categorical_crossentropy as sparse_categorical_crossentropy,
)
from jgraph.losses.loss import Loss as Loss
