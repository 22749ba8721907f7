"""The layers that every law is held against: each with how it is made and what it is drawn on."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx
from jax.example_libraries import stax

import jgraph as jg
from jgraph.layers import (
    ELU,
    GRU,
    LSTM,
    RNN,
    Activation,
    ActivityRegularization,
    Add,
    AdditiveAttention,
    AlphaDropout,
    Attention,
    Average,
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    BatchNormalization,
    Bidirectional,
    Concatenate,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    Cropping1D,
    Cropping2D,
    Cropping3D,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Dot,
    Dropout,
    EinsumDense,
    Embedding,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    GroupNormalization,
    GroupQueryAttention,
    GRUCell,
    Identity,
    Lambda,
    LayerNormalization,
    LeakyReLU,
    LoRA,
    LSTMCell,
    Masking,
    Maximum,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
    Minimum,
    MultiHeadAttention,
    Multiply,
    Normalization,
    Permute,
    PReLU,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    ReLU,
    RepeatVector,
    Rescaling,
    Reshape,
    Resizing,
    RMSNormalization,
    SeparableConv1D,
    SeparableConv2D,
    SimpleRNN,
    SimpleRNNCell,
    Softmax,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
    StackedRNNCells,
    Subtract,
    TimeDistributed,
    UnitNormalization,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)


@dataclasses.dataclass(frozen=True)
class Member:
    """A layer on inputs of these shapes (without the batch axis).

    `dtype` is the inputs' in place of float32; `merges` says that they are one list, `cell` that those behind the first
    are one, `typed` that `make` takes a dtype.
    """

    id: str
    make: Callable[..., jg.Layer]
    shapes: tuple[Any, ...]
    dtype: str = "float32"
    merges: bool = False
    cell: bool = False
    typed: bool = False

    def draw(self, name: str = "it", dtype: str | None = None) -> jg.Model:
        """The layer alone in a model; its inputs are a list."""
        kind = self.dtype if self.dtype.startswith("int") else dtype or self.dtype
        inputs = [jg.Input(shape, kind, name=f"x{i}") for i, shape in enumerate(self.shapes)]
        layer = self.make(kind) if self.typed else self.make()
        object.__setattr__(layer, "name", name)
        given = (inputs,) if self.merges else (inputs[0], inputs[1:]) if self.cell else inputs
        return jg.Model(inputs, layer(*given))


def scaled(train_noise: bool) -> jg.Layer:
    """A pair of functions with params and state: it counts its training steps, and may draw noise."""

    def init(key: jax.Array, x: Any) -> Any:
        return {"gain": jax.random.normal(key, (x.shape[-1],))}, {"steps": jnp.zeros((), jnp.int32)}

    def apply(params: Any, state: Any, x: Any, train: bool, key: Any) -> Any:
        if train and train_noise:
            x = x + jax.random.normal(key, x.shape, x.dtype)
        return x * params["gain"], {"steps": state["steps"] + train}

    return jg.as_layer(init, apply)


def nested(dtype: str = "float32") -> jg.Model:
    """A model with a shared layer, state, dropout and a branch."""
    x = jg.Input((6,), dtype, name="x")
    shared = Dense(6, activation="tanh")
    y = BatchNormalization()(shared(shared(x)))
    return jg.Model(x, Add()([Dropout(0.5)(y), x[:, ::-1]]))


def masked() -> jg.Model:
    """A model through which a mask goes: made by an embedding, passed on, and used twice."""
    text = jg.Input((5,), "int32", name="text")
    y = LSTM(3, return_sequences=True, go_backwards=True)(Dropout(0.3)(Embedding(4, 3, mask_zero=True)(text)))
    return jg.Model(text, Concatenate()([LSTM(2)(y), GlobalAveragePooling1D()(y)]))


IMAGE = ((6, 5, 2),)
STEPS = ((5, 3),)
VOLUME = ((4, 3, 2, 2),)

LAYERS = [
    Member("activation", lambda: Activation("gelu"), ((4,),)),
    Member("activation-softmax", lambda: Activation("softmax"), STEPS),
    Member("activity_regularization", lambda: ActivityRegularization(0.1, 0.2), STEPS),
    Member("add", lambda: Add(), ((4,), (4,), (4,)), merges=True),
    Member("add-broadcast", lambda: Add(), ((1, 3), (5, 3)), merges=True),
    Member("additive_attention", lambda: AdditiveAttention(dropout=0.2), ((4, 3), (None, 3)), merges=True),
    Member("alpha_dropout", lambda: AlphaDropout(0.3, noise_shape=(None, None, 1)), STEPS),
    Member("attention", lambda: Attention(score_mode="concat"), ((4, 3), (5, 3), (5, 3)), merges=True),
    Member("average", lambda: Average(), ((4,), (4,), (4,)), merges=True),
    Member("average_pooling1d", lambda: AveragePooling1D(2), STEPS),
    Member("average_pooling2d", lambda: AveragePooling2D(2, padding="same"), IMAGE),
    Member("average_pooling3d", lambda: AveragePooling3D((1, 2, 2), padding="same"), VOLUME),
    Member(
        "bidirectional",
        lambda: Bidirectional(LSTM(2, return_sequences=True, return_state=True), merge_mode=None),
        ((None, 3),),
    ),
    Member("batch_normalization", lambda: BatchNormalization(), ((4,),)),
    Member("batch_normalization-axis", lambda: BatchNormalization(axis=1, momentum=0.5), IMAGE),
    Member("concatenate", lambda: Concatenate(), ((4,), (3,)), merges=True),
    Member("concatenate-time", lambda: Concatenate(axis=1), ((2, 3), (5, 3)), merges=True),
    Member("conv1d", lambda: Conv1D(4, 3, padding="causal", dilation_rate=2), STEPS),
    Member("conv1d-free", lambda: Conv1D(4, 3, strides=2, padding="same"), ((None, 3),)),
    Member("conv1d_transpose-free", lambda: Conv1DTranspose(2, 4, padding="same", strides=3), ((None, 3),)),
    Member("conv2d", lambda: Conv2D(4, (3, 2), activation="tanh", groups=2), IMAGE),
    Member("conv2d_transpose", lambda: Conv2DTranspose(2, (3, 2), strides=2, output_padding=(1, 0)), IMAGE),
    Member("conv3d", lambda: Conv3D(2, (1, 2, 2), padding="same", dilation_rate=2), ((2, 3, 2, 2),)),
    Member("conv3d_transpose", lambda: Conv3DTranspose(2, 2, activation="tanh"), ((2, 1, 2, 2),)),
    Member("cropping1d", lambda: Cropping1D((2, 0)), ((None, 3),)),
    Member("cropping2d", lambda: Cropping2D(((1, 2), (0, 1))), IMAGE),
    Member("cropping3d", lambda: Cropping3D((1, 1, 0)), VOLUME),
    Member("dense", lambda: Dense(4), ((3,),)),
    Member("dense-steps", lambda: Dense(4, activation="softplus", use_bias=False), ((None, 3),)),
    Member("depthwise_conv1d", lambda: DepthwiseConv1D(2, strides=2), STEPS),
    Member("depthwise_conv2d", lambda: DepthwiseConv2D(3, depth_multiplier=2, padding="same"), IMAGE),
    Member("dot", lambda: Dot((1, 2), normalize=True), ((5, 3), (4, 5)), merges=True),
    Member("dropout", lambda: Dropout(0.5), ((8,),)),
    Member("dropout-noise", lambda: Dropout(0.5, noise_shape=(None, 1, None)), STEPS),
    Member("einsum_dense", lambda: EinsumDense("abc,cde->abde", (None, 2, 3), "tanh", "de"), ((None, 3),)),
    Member("elu", lambda: ELU(0.5), STEPS),
    Member("embedding", lambda: Embedding(7, 3), ((5,),), "int32"),
    Member("flatten", lambda: Flatten(), IMAGE),
    Member("gaussian_dropout", lambda: GaussianDropout(0.3), ((8,),)),
    Member("gaussian_noise", lambda: GaussianNoise(0.3), ((8,),)),
    Member("global_average_pooling1d", lambda: GlobalAveragePooling1D(), ((None, 3),)),
    Member("global_average_pooling2d", lambda: GlobalAveragePooling2D(keepdims=True), IMAGE),
    Member("global_average_pooling3d", lambda: GlobalAveragePooling3D(), VOLUME),
    Member("global_max_pooling1d", lambda: GlobalMaxPooling1D(), STEPS),
    Member("global_max_pooling2d", lambda: GlobalMaxPooling2D(), IMAGE),
    Member("global_max_pooling3d", lambda: GlobalMaxPooling3D(keepdims=True), VOLUME),
    Member("gru", lambda: GRU(4, return_sequences=True, go_backwards=True), ((None, 3),)),
    Member("gru-before", lambda: GRU(3, dropout=0.3, recurrent_dropout=0.4, reset_after=False), STEPS),
    Member("gru_cell", lambda: GRUCell(4, recurrent_dropout=0.4), ((3,), (4,)), cell=True),
    Member(
        "group_query_attention",
        lambda: GroupQueryAttention(3, 4, 2, sliding_window=2, use_gate=True),
        ((4, 3), (5, 3), (5, 2)),
    ),
    Member("group_normalization", lambda: GroupNormalization(2, axis=2), ((3, 4, 2),)),
    Member("identity", lambda: Identity(), ((4,),)),
    Member("layer_normalization", lambda: LayerNormalization((1, -1), scale=False), IMAGE),
    Member("lambda", lambda: Lambda(jnp.tanh), STEPS),
    Member("leaky_relu", lambda: LeakyReLU(), STEPS),
    Member("lstm", lambda: LSTM(4), ((None, 3),)),
    Member(
        "lstm-dropout",
        lambda: LSTM(4, dropout=0.3, recurrent_dropout=0.4, return_sequences=True, return_state=True),
        STEPS,
    ),
    Member("lstm_cell", lambda: LSTMCell(4, dropout=0.3), ((3,), (4,), (4,)), cell=True),
    Member("lora", lambda: LoRA(Dense(4, "tanh"), 2, 3.0), ((3,),)),
    Member("masking", lambda: Masking(), ((None, 3),)),
    Member("max_pooling1d", lambda: MaxPooling1D(3, strides=1, padding="same"), STEPS),
    Member("max_pooling2d", lambda: MaxPooling2D(), IMAGE),
    Member("max_pooling3d", lambda: MaxPooling3D((2, 1, 2), strides=1), VOLUME),
    Member("maximum", lambda: Maximum(), ((1, 3), (5, 3)), merges=True),
    Member("minimum", lambda: Minimum(), ((4,), (4,)), merges=True),
    Member(
        "multi_head_attention-axes",
        lambda: MultiHeadAttention(2, 3, attention_axes=2, activity_regularizer="l2"),
        ((2, None, 4), (2, 3, 4)),
    ),
    Member(
        "multi_head_attention",
        lambda: MultiHeadAttention(2, 3, dropout=0.2, bias_initializer="normal"),
        ((None, 4), (5, 3)),
    ),
    Member("multiply", lambda: Multiply(), ((4,), (4,), (4,)), merges=True),
    Member("permute", lambda: Permute((3, 1, 2)), IMAGE),
    Member("random_brightness", lambda: RandomBrightness((-1.0, 0.5), (-1.0, 1.0)), IMAGE),
    Member("random_contrast", lambda: RandomContrast(0.5, (-2.0, 2.0)), IMAGE),
    Member("random_crop", lambda: RandomCrop(3, 2), IMAGE),
    Member("random_flip", lambda: RandomFlip("vertical"), IMAGE),
    Member("random_rotation", lambda: RandomRotation(0.3, "constant", fill_value=0.5), IMAGE),
    Member("random_translation", lambda: RandomTranslation(0.5, 0.5, "wrap"), ((None, 5, 2),)),
    Member("random_zoom", lambda: RandomZoom((-0.6, -0.2), interpolation="nearest"), IMAGE),
    Member("repeat_vector", lambda: RepeatVector(3), ((4,),)),
    Member("normalization", lambda: Normalization(mean=(1.0, 2.0, 3.0), variance=(1.0, 4.0, 0.25)), ((None, 3),)),
    Member("rescaling", lambda: Rescaling(0.5, offset=(1.0, 2.0, 3.0)), STEPS),
    Member("rms_normalization", lambda: RMSNormalization(axis=1), STEPS),
    Member("prelu", lambda: PReLU("normal", shared_axes=1), ((None, 3),)),
    Member("relu", lambda: ReLU(2.0, 0.1, 0.5), STEPS),
    Member("reshape", lambda: Reshape((-1, 2)), ((4, 3),)),
    Member("resizing", lambda: Resizing(4, 7, "bicubic", antialias=True), IMAGE),
    Member("resizing-free", lambda: Resizing(3, 4, crop_to_aspect_ratio=True), ((None, None, 2),)),
    Member("resizing-padded", lambda: Resizing(4, 3, "nearest", pad_to_aspect_ratio=True), ((None, 5, 2),)),
    Member("rnn", lambda: RNN([GRUCell(3), LSTMCell(2, dropout=0.3)], return_state=True), STEPS),
    Member("separable_conv1d", lambda: SeparableConv1D(3, 2, depth_multiplier=2), ((None, 3),)),
    Member("separable_conv2d", lambda: SeparableConv2D(3, 2, strides=2, activation="elu"), IMAGE),
    Member("simple_rnn", lambda: SimpleRNN(4, unroll=True, recurrent_dropout=0.3), STEPS),
    Member("simple_rnn_cell", lambda: SimpleRNNCell(4), ((3,), (4,)), cell=True),
    Member(
        "stacked_rnn_cells",
        lambda: StackedRNNCells([GRUCell(3), LSTMCell(2, name="top")]),
        ((3,), (3,), (2,), (2,)),
        cell=True,
    ),
    Member("softmax", lambda: Softmax(axis=(1, 2)), ((None, 3),)),
    Member("spatial_dropout1d", lambda: SpatialDropout1D(0.5), STEPS),
    Member("spatial_dropout2d", lambda: SpatialDropout2D(0.5), IMAGE),
    Member("spatial_dropout3d", lambda: SpatialDropout3D(0.5), ((2, 2, 1, 3),)),
    Member("subtract", lambda: Subtract(), ((4,), (4,)), merges=True),
    Member("unit_normalization", lambda: UnitNormalization(), ((None, 3),)),
    Member("time_distributed", lambda: TimeDistributed(LSTM(2, dropout=0.3)), ((None, 3, 2),)),
    Member("up_sampling1d", lambda: UpSampling1D(3), ((None, 3),)),
    Member("up_sampling2d", lambda: UpSampling2D((2, 1), interpolation="bilinear"), ((None, 5, 2),)),
    Member("up_sampling3d", lambda: UpSampling3D((1, 2, 2)), VOLUME),
    Member("zero_padding1d", lambda: ZeroPadding1D((2, 0)), ((None, 3),)),
    Member("zero_padding2d", lambda: ZeroPadding2D((1, 2)), IMAGE),
    Member("zero_padding3d", lambda: ZeroPadding3D(((0, 1), (1, 0), (0, 0))), VOLUME),
    Member("flax-dense", lambda: jg.as_layer(nn.Dense(4)), STEPS),
    Member("flax-batch_norm", lambda: jg.as_layer(nn.BatchNorm(momentum=0.9)), ((4,),)),
    Member("nnx-linear", lambda: jg.as_layer(nnx.Linear(3, 4, rngs=nnx.Rngs(0))), STEPS),
    Member("equinox-linear", lambda: jg.as_layer(eqx.nn.Linear(3, 4, key=jax.random.key(0))), ((3,),)),
    Member("stax-dense", lambda: jg.as_layer(stax.Dense(4)), ((3,),)),
    Member("flax-dropout", lambda: jg.as_layer(nn.Dropout(0.5)), ((8,),)),
    Member("pair", lambda: scaled(train_noise=False), ((4,),)),
    Member("pair-noise", lambda: scaled(train_noise=True), ((4,),)),
    Member("op", lambda: jg.op(jnp.hypot), ((4,), (4,))),
    Member("model", nested, ((6,),), typed=True),
    Member("model-masked", masked, ((5,),), "int32"),
]
"""Every layer, and the ways in which things become layers."""
