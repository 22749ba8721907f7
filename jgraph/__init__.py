"""jgraph: draw a model of many inputs and outputs, and train it with pure functions."""

from jgraph import layers as layers
from jgraph.core.layer import Input as Input
from jgraph.core.layer import Layer as Layer
from jgraph.core.layer import op as op
from jgraph.core.model import Model as Model
from jgraph.core.sequential import Sequential as Sequential
from jgraph.layers.lift import as_layer as as_layer
