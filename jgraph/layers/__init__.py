"""The layers: Keras 3's names, arguments, parameter names and shapes, as pairs of pure functions.

A layer is a frozen configuration. On symbols, `layer(x)` draws a call of it, and a layer that is called twice has one
set of weights. On arrays it is two functions: `layer.init(key, spec)` makes `(params, state)`, and
`layer.apply(params, state, x, train=False, key=None)` computes `(outputs, state)`. Channels are always last.

    layer = jg.layers.Dense(units=64, activation="relu")
    y = layer(x)                                              a symbol, for jg.Model
    params, state = layer.init(key, spec)                     spec: jax.ShapeDtypeStruct, with the batch axis
    y, state = layer.apply(params, state, x)                  an array

What means the same in all layers is explained here alone:

- `units`, `filters`: the size of the last axis of the outputs.
- `strides`: the step from one window to the next. As every size of space, one integer for all spatial axes, or one for
  each.
- `activation`, `*_activation`: a name (`"relu"`), or a function of an array such as `jax.nn.relu`, that is applied
  last, or where a formula says so; `None` is the identity. With parameters it is
  `functools.partial(jax.nn.elu, alpha=0.5)`, which is saved too.
- `use_bias`: whether there is a weight `bias`, which is added.
- `*_initializer`: how the weight of that name starts: a name (`"he_normal"`), a value of `jg.initializers`, or a
  function `(key, shape) -> array`.
- `*_regularizer`: a penalty on the weight of that name, which the training loss has once; a name (`"l2"`), a value of
  `jg.regularizers`, or a function `(array) -> scalar`. `activity_regularizer` is one on all outputs, at every call.
- `*_constraint`: what the weight of that name is brought back to after every update: a name (`"non_neg"`), a value of
  `jg.constraints`, or a function `(array) -> array`.
- `epsilon`: a small positive number, which keeps a divisor or a root from zero.
- `name`: what the layer is called in a model and in its params; without one, its class in small letters, numbered.
- `train`: whether this is training, for layers that then compute something else; `model.apply(..., train=True)`.
- `key`: the random key of layers that draw; a model gives every layer one of its own.
- `mask`: which rows or steps count, booleans [batch] or [batch, time]. A drawn layer finds the mask of its inputs by
  itself; `layer(x, mask=m)` sets it by hand.
"""

from jgraph.layers.activation import Activation as Activation
from jgraph.layers.activation import Identity as Identity
from jgraph.layers.activation import Softmax as Softmax
from jgraph.layers.attention import AdditiveAttention as AdditiveAttention
from jgraph.layers.attention import Attention as Attention
from jgraph.layers.augmentation import RandomBrightness as RandomBrightness
from jgraph.layers.augmentation import RandomContrast as RandomContrast
from jgraph.layers.augmentation import RandomCrop as RandomCrop
from jgraph.layers.augmentation import RandomFlip as RandomFlip
from jgraph.layers.augmentation import RandomRotation as RandomRotation
from jgraph.layers.augmentation import RandomTranslation as RandomTranslation
from jgraph.layers.augmentation import RandomZoom as RandomZoom
from jgraph.layers.batch_normalization import BatchNormalization as BatchNormalization
from jgraph.layers.bidirectional import Bidirectional as Bidirectional
from jgraph.layers.borders import Cropping1D as Cropping1D
from jgraph.layers.borders import Cropping2D as Cropping2D
from jgraph.layers.borders import Cropping3D as Cropping3D
from jgraph.layers.borders import ZeroPadding1D as ZeroPadding1D
from jgraph.layers.borders import ZeroPadding2D as ZeroPadding2D
from jgraph.layers.borders import ZeroPadding3D as ZeroPadding3D
from jgraph.layers.cells import StackedRNNCells as StackedRNNCells
from jgraph.layers.convolution import Conv1D as Conv1D
from jgraph.layers.convolution import Conv2D as Conv2D
from jgraph.layers.convolution import Conv3D as Conv3D
from jgraph.layers.convolution_transpose import Conv1DTranspose as Conv1DTranspose
from jgraph.layers.convolution_transpose import Conv2DTranspose as Conv2DTranspose
from jgraph.layers.convolution_transpose import Conv3DTranspose as Conv3DTranspose
from jgraph.layers.dense import Dense as Dense
from jgraph.layers.dot import Dot as Dot
from jgraph.layers.dot import dot as dot
from jgraph.layers.einsum_dense import EinsumDense as EinsumDense
from jgraph.layers.embedding import Embedding as Embedding
from jgraph.layers.equinox_module import EquinoxModule as EquinoxModule
from jgraph.layers.flax_module import FlaxModule as FlaxModule
from jgraph.layers.flax_module import NNXModule as NNXModule
from jgraph.layers.lambda_layer import Lambda as Lambda
from jgraph.layers.lift import Pair as Pair
from jgraph.layers.lora import LoRA as LoRA
from jgraph.layers.masking import Masking as Masking
from jgraph.layers.merging import Add as Add
from jgraph.layers.merging import Average as Average
from jgraph.layers.merging import Concatenate as Concatenate
from jgraph.layers.merging import Maximum as Maximum
from jgraph.layers.merging import Minimum as Minimum
from jgraph.layers.merging import Multiply as Multiply
from jgraph.layers.merging import Subtract as Subtract
from jgraph.layers.merging import add as add
from jgraph.layers.merging import average as average
from jgraph.layers.merging import concatenate as concatenate
from jgraph.layers.merging import maximum as maximum
from jgraph.layers.merging import minimum as minimum
from jgraph.layers.merging import multiply as multiply
from jgraph.layers.merging import subtract as subtract
from jgraph.layers.multi_head_attention import GroupQueryAttention as GroupQueryAttention
from jgraph.layers.multi_head_attention import MultiHeadAttention as MultiHeadAttention
from jgraph.layers.normalization import GroupNormalization as GroupNormalization
from jgraph.layers.normalization import LayerNormalization as LayerNormalization
from jgraph.layers.normalization import RMSNormalization as RMSNormalization
from jgraph.layers.normalization import UnitNormalization as UnitNormalization
from jgraph.layers.pooling import AveragePooling1D as AveragePooling1D
from jgraph.layers.pooling import AveragePooling2D as AveragePooling2D
from jgraph.layers.pooling import AveragePooling3D as AveragePooling3D
from jgraph.layers.pooling import GlobalAveragePooling1D as GlobalAveragePooling1D
from jgraph.layers.pooling import GlobalAveragePooling2D as GlobalAveragePooling2D
from jgraph.layers.pooling import GlobalAveragePooling3D as GlobalAveragePooling3D
from jgraph.layers.pooling import GlobalMaxPooling1D as GlobalMaxPooling1D
from jgraph.layers.pooling import GlobalMaxPooling2D as GlobalMaxPooling2D
from jgraph.layers.pooling import GlobalMaxPooling3D as GlobalMaxPooling3D
from jgraph.layers.pooling import MaxPooling1D as MaxPooling1D
from jgraph.layers.pooling import MaxPooling2D as MaxPooling2D
from jgraph.layers.pooling import MaxPooling3D as MaxPooling3D
from jgraph.layers.preprocessing import Normalization as Normalization
from jgraph.layers.preprocessing import Rescaling as Rescaling
from jgraph.layers.rectifiers import ELU as ELU
from jgraph.layers.rectifiers import LeakyReLU as LeakyReLU
from jgraph.layers.rectifiers import PReLU as PReLU
from jgraph.layers.rectifiers import ReLU as ReLU
from jgraph.layers.recurrent import GRU as GRU
from jgraph.layers.recurrent import LSTM as LSTM
from jgraph.layers.recurrent import RNN as RNN
from jgraph.layers.recurrent import SimpleRNN as SimpleRNN
from jgraph.layers.recurrent_cells import GRUCell as GRUCell
from jgraph.layers.recurrent_cells import LSTMCell as LSTMCell
from jgraph.layers.recurrent_cells import SimpleRNNCell as SimpleRNNCell
from jgraph.layers.regularization import ActivityRegularization as ActivityRegularization
from jgraph.layers.regularization import AlphaDropout as AlphaDropout
from jgraph.layers.regularization import Dropout as Dropout
from jgraph.layers.regularization import GaussianDropout as GaussianDropout
from jgraph.layers.regularization import GaussianNoise as GaussianNoise
from jgraph.layers.regularization import SpatialDropout1D as SpatialDropout1D
from jgraph.layers.regularization import SpatialDropout2D as SpatialDropout2D
from jgraph.layers.regularization import SpatialDropout3D as SpatialDropout3D
from jgraph.layers.resampling import Resizing as Resizing
from jgraph.layers.resampling import UpSampling1D as UpSampling1D
from jgraph.layers.resampling import UpSampling2D as UpSampling2D
from jgraph.layers.resampling import UpSampling3D as UpSampling3D
from jgraph.layers.reshaping import Flatten as Flatten
from jgraph.layers.reshaping import Permute as Permute
from jgraph.layers.reshaping import RepeatVector as RepeatVector
from jgraph.layers.reshaping import Reshape as Reshape
from jgraph.layers.separable import DepthwiseConv1D as DepthwiseConv1D
from jgraph.layers.separable import DepthwiseConv2D as DepthwiseConv2D
from jgraph.layers.separable import SeparableConv1D as SeparableConv1D
from jgraph.layers.separable import SeparableConv2D as SeparableConv2D
from jgraph.layers.stax_pair import StaxPair as StaxPair
from jgraph.layers.time_distributed import TimeDistributed as TimeDistributed
