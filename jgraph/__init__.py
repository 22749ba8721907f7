"""jgraph: draw a model of many inputs and outputs, and train it with pure functions."""

from jgraph import balance as balance
from jgraph import callbacks as callbacks
from jgraph import constraints as constraints
from jgraph import errors as errors
from jgraph import initializers as initializers
from jgraph import interop as interop
from jgraph import layers as layers
from jgraph import losses as losses
from jgraph import metrics as metrics
from jgraph import optimizers as optimizers
from jgraph import regularizers as regularizers
from jgraph.core.carry import carry as carry
from jgraph.core.layer import Input as Input
from jgraph.core.layer import Layer as Layer
from jgraph.core.layer import op as op
from jgraph.core.model import Model as Model
from jgraph.core.policy import Policy as Policy
from jgraph.core.sequential import Sequential as Sequential
from jgraph.layers.lift import as_layer as as_layer
from jgraph.layers.lora import lora as lora
from jgraph.layers.lora import merge_lora as merge_lora
from jgraph.saving import load as load
from jgraph.saving import save as save
from jgraph.train.state import Run as Run
from jgraph.train.state import TrainState as TrainState
from jgraph.trainer import Trainer as Trainer
