"""The layers: Keras 3's names, arguments, parameter names and shapes, as pairs of pure functions."""

from jgraph.layers.activation import Activation as Activation
from jgraph.layers.convolution import Conv1D as Conv1D
from jgraph.layers.convolution import Conv2D as Conv2D
from jgraph.layers.convolution import DepthwiseConv2D as DepthwiseConv2D
from jgraph.layers.convolution import SeparableConv2D as SeparableConv2D
from jgraph.layers.dense import Dense as Dense
from jgraph.layers.embedding import Embedding as Embedding
from jgraph.layers.flax_module import FlaxModule as FlaxModule
from jgraph.layers.lift import Pair as Pair
from jgraph.layers.merging import Add as Add
from jgraph.layers.merging import Concatenate as Concatenate
from jgraph.layers.merging import add as add
from jgraph.layers.merging import concatenate as concatenate
from jgraph.layers.normalization import BatchNormalization as BatchNormalization
from jgraph.layers.pooling import AveragePooling2D as AveragePooling2D
from jgraph.layers.pooling import GlobalAveragePooling1D as GlobalAveragePooling1D
from jgraph.layers.pooling import GlobalAveragePooling2D as GlobalAveragePooling2D
from jgraph.layers.pooling import GlobalMaxPooling1D as GlobalMaxPooling1D
from jgraph.layers.pooling import MaxPooling1D as MaxPooling1D
from jgraph.layers.pooling import MaxPooling2D as MaxPooling2D
from jgraph.layers.recurrent import LSTM as LSTM
from jgraph.layers.regularization import Dropout as Dropout
from jgraph.layers.reshaping import Flatten as Flatten
from jgraph.layers.reshaping import Reshape as Reshape
