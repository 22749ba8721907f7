"""Arguments and inputs that a layer refuses: the class of the error, and words of its message."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, DTypeError, ShapeError

# Typed as anything, so that the type checker lets wrong arguments pass.
layers: Any = jg.layers
lift: Any = jg


class Penalized(jg.Layer):
    """A layer with a penalty."""

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
        return x, state

    def penalty(self, params: Any, inputs: Any, outputs: Any) -> Any:
        return outputs.sum()


def inputs(*shape: Any, dtype: str = "float32") -> Any:
    return jg.Input(shape, dtype)


ARGUMENTS: list[tuple[Callable[[], Any], str]] = [
    (lambda: layers.Dense(0), "Dense, units: expected positive integers, got 0"),
    (lambda: layers.Dense(-3), "Dense, units.*got -3"),
    (lambda: layers.Dense(3.0), "Dense, units.*got 3.0"),
    (lambda: layers.Dense(True), "Dense, units.*got True"),
    (lambda: layers.Dense(3, activation="rellu"), "Dense, activation.*Did you mean 'relu'"),
    (lambda: layers.Dense(3, activation=["relu"]), "Dense, activation.*got"),
    (lambda: layers.Dense(3, activation=7), "Dense, activation.*got 7"),
    (lambda: layers.Dense(3, kernel_initializer="glorot_unifrom"), "kernel_initializer.*Did you mean 'glorot_uniform'"),
    (lambda: layers.Dense(3, bias_initializer=None), "bias_initializer.*got None"),
    (lambda: layers.Dense(3, bias_initializer=["zeros"]), "bias_initializer.*got"),
    (lambda: layers.Dense(3, name="a/b"), "Dense.*name.*'/'"),
    (lambda: layers.Activation("sofmax"), "Activation, activation.*Did you mean 'softmax'"),
    (lambda: layers.Conv1D(0, 3), "Conv1D, filters"),
    (lambda: layers.Conv1D(4, (3, 3)), r"Conv1D, kernel_size.*an integer or 1 integers.*\(3,\)"),
    (lambda: layers.Conv1D(4, 3, padding="casual"), "Conv1D, padding.*Did you mean 'causal'"),
    (lambda: layers.Conv2D(4, 3, padding="causal"), "Conv2D, padding: expected one of 'valid', 'same', got 'causal'"),
    (lambda: layers.Conv2D(4, 3, padding=["same"]), "Conv2D, padding"),
    (lambda: layers.Conv2D(4, (3, 0)), r"Conv2D, kernel_size.*got \(3, 0\)"),
    (lambda: layers.Conv2D(4, ()), r"Conv2D, kernel_size.*got \(\)"),
    (lambda: layers.Conv2D(4, 3, strides=0), "Conv2D, strides"),
    (lambda: layers.Conv2D(4, 3, strides=(1, 1, 1)), "Conv2D, strides.*2 integers"),
    (lambda: layers.Conv2D(4, 3, dilation_rate=1.5), "Conv2D, dilation_rate"),
    (lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2), "not both.*Set one of them to 1"),
    (lambda: layers.Conv2D(4, 3, groups=3), "groups: expected a divisor of filters, got groups=3, filters=4"),
    (lambda: layers.Conv3D(4, 3, padding="causal"), "Conv3D, padding: expected one of 'valid', 'same', got 'causal'"),
    (lambda: layers.Conv3D(4, (3, 3)), r"Conv3D, kernel_size.*3 integers.*\(3, 3, 3\)"),
    (lambda: layers.Conv1D(4, True), "Conv1D, kernel_size.*got True"),
    (lambda: layers.Conv1D(4, 3, groups=0), "Conv1D, groups"),
    (lambda: layers.Conv2D(4, 3, kernel_regularizer="l3"), "Conv2D, kernel_regularizer.*got 'l3'"),
    (lambda: layers.Conv1DTranspose(4.0, 3), "Conv1DTranspose, filters"),
    (
        lambda: layers.Conv1DTranspose(4, 3, padding="causal"),
        "Conv1DTranspose, padding: expected one of 'valid', 'same'",
    ),
    (lambda: layers.Conv1DTranspose(4, 3, output_padding=0.5), "output_padding.*got output_padding=0.5"),
    (lambda: layers.Conv1DTranspose(4, 3, strides=2, output_padding=True), "output_padding.*got output_padding=True"),
    (lambda: layers.Conv1DTranspose(4, 3, strides=2, output_padding=-1), "output_padding: expected.*at least 0"),
    (lambda: layers.Conv2DTranspose(4, 3, strides=(3, 2), output_padding=2), r"below its stride, got output_padding=2"),
    (lambda: layers.Conv2DTranspose(4, 3, strides=2, output_padding=(1,)), "output_padding.*2 integers"),
    (lambda: layers.Conv3DTranspose(4, 3, output_padding=1), "below its stride.*Leave it out"),
    (lambda: layers.Conv3DTranspose(4, 3, strides=(1, 1, 2), dilation_rate=2), "not both.*Keras' rule"),
    (lambda: layers.DepthwiseConv1D((3, 3)), "DepthwiseConv1D, kernel_size"),
    (lambda: layers.DepthwiseConv1D(3, padding="causal"), "DepthwiseConv1D, padding"),
    (lambda: layers.SeparableConv1D(4, 3, depth_multiplier=1.5), "SeparableConv1D, depth_multiplier"),
    (lambda: layers.SeparableConv1D(4, 3, padding="SAME"), "SeparableConv1D, padding.*got 'SAME'"),
    (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), "DepthwiseConv2D, depth_multiplier"),
    (lambda: layers.DepthwiseConv2D(3, depthwise_initializer="he"), "depthwise_initializer"),
    (lambda: layers.SeparableConv2D(4, 3, pointwise_initializer="ortogonal"), "pointwise.*Did you mean 'orthogonal'"),
    (lambda: layers.MaxPooling1D(0), "MaxPooling1D, pool_size"),
    (lambda: layers.MaxPooling2D((2, 2, 2)), "MaxPooling2D, pool_size.*2 integers"),
    (lambda: layers.AveragePooling2D(2, padding="sane"), "AveragePooling2D, padding.*Did you mean 'same'"),
    (lambda: layers.AveragePooling2D(2, strides=-1), "AveragePooling2D, strides"),
    (lambda: layers.BatchNormalization(axis=0), "BatchNormalization, axis.*batch axis, got 0"),
    (lambda: layers.BatchNormalization(axis=(1, 2)), "BatchNormalization, axis"),
    (lambda: layers.BatchNormalization(momentum=1.0), "BatchNormalization, momentum.*got 1.0"),
    (lambda: layers.BatchNormalization(epsilon=0), "BatchNormalization, epsilon.*got 0"),
    (lambda: layers.BatchNormalization(epsilon="a"), "BatchNormalization, epsilon"),
    (lambda: layers.BatchNormalization(gamma_initializer="one"), "gamma_initializer.*Did you mean 'ones'"),
    (lambda: layers.Dropout(1.0), r"Dropout, rate: expected a number in \[0, 1\), got 1.0"),
    (lambda: layers.Dropout(-0.1), "Dropout, rate"),
    (lambda: layers.Dropout(float("nan")), "Dropout, rate"),
    (lambda: layers.Dropout("0.5"), "Dropout, rate"),
    (lambda: layers.Dropout(0.5, noise_shape="ab"), "Dropout, noise_shape"),
    (lambda: layers.Dropout(0.5, noise_shape=3), "Dropout, noise_shape"),
    (lambda: layers.Dropout(0.5, noise_shape=(None, 0)), "Dropout, noise_shape"),
    (lambda: layers.Embedding(0, 4), "Embedding, input_dim"),
    (lambda: layers.Embedding(4, 2.5), "Embedding, output_dim"),
    (lambda: layers.Embedding(4, 2, embeddings_initializer="unifrm"), "Did you mean 'uniform'"),
    (lambda: layers.LSTM(0), "LSTM, units"),
    (lambda: layers.LSTM(4, dropout=1), "LSTM, dropout"),
    (lambda: layers.LSTM(4, recurrent_dropout=2.0), "LSTM, recurrent_dropout"),
    (lambda: layers.LSTM(4, recurrent_activation="sigmoyd"), "recurrent_activation.*Did you mean 'sigmoid'"),
    (lambda: layers.LSTM(4, recurrent_initializer=3), "recurrent_initializer"),
    (lambda: layers.Concatenate(axis=0), "Concatenate, axis.*batch axis, got 0"),
    (lambda: layers.Concatenate(axis=True), "Concatenate, axis"),
    (lambda: layers.Concatenate(axis="last"), "Concatenate, axis"),
    (lambda: layers.Masking("0"), "Masking, mask_value.*got '0'"),
    (lambda: layers.Masking(float("nan")), "Masking, mask_value.*not NaN.*such as -1.0"),
    (lambda: layers.Dot(0), "Dot, axis.*batch axis, got 0"),
    (lambda: layers.Dot((1, 2, 3)), r"Dot, axes.*one for each input, got \(1, 2, 3\)"),
    (lambda: layers.Dot(1.0), "Dot, axis"),
    (lambda: layers.Attention(score_mode="cat"), "Attention, score_mode: expected one of 'dot', 'concat'"),
    (lambda: layers.AdditiveAttention(dropout=1.0), "AdditiveAttention, dropout"),
    (lambda: layers.MultiHeadAttention(0, 3), "MultiHeadAttention, num_heads"),
    (lambda: layers.MultiHeadAttention(2, 3, value_dim=0), "MultiHeadAttention, value_dim"),
    (lambda: layers.MultiHeadAttention(2, 3, output_shape=()), "MultiHeadAttention, output_shape"),
    (lambda: layers.MultiHeadAttention(2, 3, kernel_initializer="he"), "kernel_initializer"),
    (lambda: layers.MultiHeadAttention(2, 3.0), "MultiHeadAttention, key_dim"),
    (lambda: layers.MultiHeadAttention((2, 2), 3), r"num_heads: expected positive integers, got \(2, 2\)"),
    (lambda: layers.MultiHeadAttention(2, None), "MultiHeadAttention, key_dim"),
    (lambda: layers.MultiHeadAttention(2, 3, output_shape=(2, -1)), "MultiHeadAttention, output_shape"),
    (lambda: layers.MultiHeadAttention(2, 3, attention_axes=0), "attention_axes: .*other than 0, the batch axis"),
    (lambda: layers.MultiHeadAttention(2, 3, attention_axes=(1, 1)), "attention_axes: .*a tuple of different ones"),
    (lambda: layers.MultiHeadAttention(2, 3, attention_axes=()), "MultiHeadAttention, attention_axes"),
    (lambda: layers.MultiHeadAttention(2, 3, sliding_window=0), "MultiHeadAttention, sliding_window"),
    (lambda: layers.MultiHeadAttention(2, 3, use_gate=1), "MultiHeadAttention, use_gate: expected True or False"),
    (lambda: layers.MultiHeadAttention(2, 3, kernel_regularizer="l3"), "kernel_regularizer.*Did you mean 'l1'"),
    (lambda: layers.GroupQueryAttention(0, 4, 2), "GroupQueryAttention, head_dim"),
    (lambda: layers.GroupQueryAttention(3, 4, True), "GroupQueryAttention, num_key_value_heads"),
    (lambda: layers.GroupQueryAttention(3, 4, 3), "num_key_value_heads: .*divides num_query_heads=4, got 3"),
    (lambda: layers.TimeDistributed(abs), "TimeDistributed, layer: expected a layer.*jg.op"),
    (lambda: layers.TimeDistributed(jg.Sequential([Penalized()])), "a model without penalties"),
    (lambda: layers.Multiply()([inputs(3, 1)] * 2, mask=inputs(3, dtype="bool")), "one mask for each of its 2 inputs"),
    (lambda: layers.Add()([inputs(3, 1)] * 2, mask=[inputs(3, dtype="bool")]), "2 inputs, got 1 masks"),
    (lambda: layers.Attention()([inputs(3, 1)] * 2, mask=inputs(3, dtype="bool")), "got a single one"),
    (lambda: layers.MaxPooling3D((2, 2)), "MaxPooling3D, pool_size.*3 integers"),
    (lambda: layers.AveragePooling3D(2, strides=1.5), "AveragePooling3D, strides.*got 1.5"),
    (lambda: layers.AveragePooling1D(True), "AveragePooling1D, pool_size.*got True"),
    (lambda: layers.MaxPooling1D(padding="causal"), "MaxPooling1D, padding: expected one of 'valid', 'same'"),
    (lambda: layers.GlobalMaxPooling2D(keepdims=1), "GlobalMaxPooling2D, keepdims: expected True or False, got 1"),
    (lambda: layers.Permute((0, 1)), r"Permute, dims: expected each axis of a row once.*Permute\(\(2, 1\)\)"),
    (lambda: layers.Permute((1, 3)), r"Permute, dims.*got \(1, 3\)"),
    (lambda: layers.Permute((1, 1)), "Permute, dims"),
    (lambda: layers.Permute((1.0, 2)), "Permute, dims"),
    (lambda: layers.Permute((True, 2)), "Permute, dims"),
    (lambda: layers.Permute(2), "Permute, dims.*got 2"),
    (lambda: layers.RepeatVector(0), "RepeatVector, n: expected positive integers, got 0"),
    (lambda: layers.RepeatVector((2,)), r"RepeatVector, n.*got \(2,\)"),
    (lambda: layers.RepeatVector(2.0), "RepeatVector, n.*got 2.0"),
    (lambda: layers.Cropping1D(-1), r"Cropping1D, cropping: expected an integer of at least 0, or two of them, got -1"),
    (lambda: layers.Cropping1D((1, 2, 3)), r"Cropping1D, cropping.*cropping=\(1, 2\)"),
    (lambda: layers.Cropping1D(True), "Cropping1D, cropping.*got True"),
    (lambda: layers.Cropping2D((1, 2, 3)), "Cropping2D, cropping: .* 2 integers, or 2 pairs of them"),
    (lambda: layers.Cropping2D(((1, 2), (1, 2, 3))), r"Cropping2D, cropping.*cropping=\(\(1, 2\), \(1, 2\)\)"),
    (lambda: layers.Cropping3D(1.5), "Cropping3D, cropping.*got 1.5"),
    (lambda: layers.ZeroPadding1D("same"), "ZeroPadding1D, padding: .*got 'same'"),
    (lambda: layers.ZeroPadding2D(((0, 1), (0, -1))), "ZeroPadding2D, padding"),
    (lambda: layers.ZeroPadding3D((1, 1)), "ZeroPadding3D, padding: .* 3 integers"),
    (lambda: layers.UpSampling1D(0), "UpSampling1D, size"),
    (lambda: layers.UpSampling2D((2, 2, 2)), "UpSampling2D, size.*2 integers"),
    (lambda: layers.UpSampling2D(interpolation="bilinaer"), "interpolation.*Did you mean 'bilinear'"),
    (lambda: layers.UpSampling3D(2.5), "UpSampling3D, size"),
    (lambda: layers.Resizing(0, 4), "Resizing, height.*got 0"),
    (lambda: layers.Resizing(4, 4.0), "Resizing, width.*got 4.0"),
    (lambda: layers.Resizing((4, 4), 4), "Resizing, height"),
    (
        lambda: layers.Resizing(4, 4, "area"),
        "Resizing, interpolation: expected one of 'nearest', 'bilinear', 'bicubic'",
    ),
    (lambda: layers.Resizing(4, 4, fill_mode="reflect"), "Resizing, fill_mode: expected one of 'constant'"),
    (lambda: layers.Resizing(4, 4, fill_value="0"), "Resizing, fill_value: expected a number.*got '0'"),
    (lambda: layers.Resizing(4, 4, fill_value=float("nan")), "Resizing, fill_value"),
    (lambda: layers.Resizing(4, 4, antialias=1), "Resizing, antialias: expected True or False"),
    (
        lambda: layers.Resizing(4, 4, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
        "either crop_to_aspect_ratio or pad_to_aspect_ratio, got both",
    ),
    (lambda: layers.Reshape((-1, -1)), "Reshape, target_shape.*at most one"),
    (lambda: layers.Reshape((0, 2)), "Reshape, target_shape"),
    (lambda: layers.Reshape((True, 2)), "Reshape, target_shape"),
    (lambda: layers.Reshape(3), "Reshape, target_shape.*Leave out the batch axis"),
    (lambda: lift.as_layer(3), "as_layer.*got int"),
    (lambda: lift.as_layer(lambda key, x: ({}, {})), "as_layer.*got function"),
    (lambda: lift.as_layer(lambda key, x: ({}, {}), 3), "as_layer.*got function and int"),
    (lambda: lift.op(3), "op.*got int"),
]
"""What is refused when the layer is made, or is given masks."""


def attended(mask: Any) -> Any:
    return layers.MultiHeadAttention(2, 3)(inputs(3, 4), inputs(5, 4), attention_mask=mask)


SHAPES: list[tuple[Callable[[], Any], str]] = [
    (lambda: layers.Dense(3)(inputs()), "an axis -1 beside the batch axis"),
    (lambda: layers.Dense(3)(inputs(None)), "a known size of axis -1.*Give the input that size instead of None"),
    (lambda: layers.Conv1D(3, 2)(inputs(5)), r"rank 3: \[batch, steps, channels\], got rank 2"),
    (lambda: layers.Conv2D(3, 2)(inputs(5, 5)), r"rank 4: \[batch, height, width, channels\], got rank 3"),
    (lambda: layers.Conv2D(3, 2)(inputs(5, 5, None)), "a known size of axis -1"),
    (lambda: layers.Conv2D(3, 4)(inputs(3, 8, 1)), r"at least \(4, 4\).*padding='same'"),
    (lambda: layers.Conv1D(3, 3, dilation_rate=3)(inputs(6, 1)), r"at least \(7,\)"),
    (lambda: layers.Conv2D(4, 2, groups=2)(inputs(5, 5, 3)), "channels that 2 groups divide, got 3"),
    (lambda: layers.Conv3D(4, 2)(inputs(5, 5, 3)), r"rank 5: \[batch, depth, height, width, channels\], got rank 4"),
    (lambda: layers.Conv3D(4, (1, 2, 3))(inputs(5, 5, 2, 3)), r"at least \(1, 2, 3\)"),
    (lambda: layers.Conv1DTranspose(4, 2)(inputs(5)), "rank 3"),
    (lambda: layers.Conv2DTranspose(4, 2)(inputs(5, 5, None)), "a known size of axis -1"),
    (lambda: layers.Conv2DTranspose(4, 2, padding="same", output_padding=0)(inputs(5, 1, 2)), "makes no output, got"),
    (lambda: layers.DepthwiseConv1D(3, dilation_rate=2)(inputs(4, 2)), r"at least \(5,\)"),
    (lambda: layers.SeparableConv1D(4, 3)(inputs(2, 2)), r"at least \(3,\)"),
    (lambda: layers.DepthwiseConv2D(6)(inputs(5, 5, 3)), r"at least \(6, 6\)"),
    (lambda: layers.SeparableConv2D(2, 2)(inputs(5, 3)), "rank 4"),
    (lambda: layers.MaxPooling1D()(inputs(5)), "rank 3"),
    (lambda: layers.MaxPooling2D(4)(inputs(3, 3, 1)), r"at least \(4, 4\)"),
    (lambda: layers.AveragePooling2D(2)(inputs(3, 3)), "rank 4"),
    (lambda: layers.GlobalMaxPooling1D()(inputs(3, 3, 3)), "rank 3"),
    (lambda: layers.GlobalAveragePooling1D()(inputs(3)), "rank 3"),
    (lambda: layers.BatchNormalization(axis=2)(inputs(4)), "an axis 2"),
    (lambda: layers.BatchNormalization(axis=-2)(inputs(4)), "a known size of axis -2"),
    (lambda: layers.BatchNormalization(axis=1)(inputs(None, 4)), "a known size of axis 1"),
    (lambda: layers.Dropout(0.5, (None, 1))(inputs(3, 4)), "noise_shape"),
    (lambda: layers.Dropout(0.5, (None, 2))(inputs(4)), "noise_shape"),
    (lambda: layers.Dropout(0.5, (32, None))(inputs(4)), "noise_shape.*Write None"),
    (lambda: layers.LSTM(3)(inputs(4)), r"rank 3: \[batch, time, features\]"),
    (lambda: layers.LSTM(3)(inputs(5, None)), "a known size of axis -1"),
    (lambda: layers.LSTM(3)(inputs(5, 2), mask=inputs(4, dtype="bool")), "LSTM"),
    (lambda: layers.Add()(inputs(3)), "a list of tensors"),
    (lambda: layers.Add()([inputs(3), inputs(2, 3)]), "one rank"),
    (lambda: layers.Add()([inputs(3), inputs(4)]), "Add"),
    (lambda: layers.Add()({"a": inputs(3), "b": inputs(3)}), "a list of tensors"),
    (lambda: layers.Concatenate()(inputs(3)), "a list of tensors"),
    (lambda: layers.Concatenate()([inputs(3), inputs(2, 3)]), "differ along axis -1 alone"),
    (lambda: layers.Concatenate(1)([inputs(2, 3), inputs(2, 4)]), "differ along axis 1 alone"),
    (lambda: layers.Concatenate(-2)([inputs(3), inputs(3)]), "axis -2"),
    (lambda: layers.Concatenate(2)([inputs(3), inputs(3)]), "axis 2"),
    (lambda: layers.Subtract()([inputs(3)] * 3), "a list of 2 tensors of one rank"),
    (lambda: layers.Maximum()(inputs(3)), "a list of tensors"),
    (lambda: layers.Dot(1)([inputs(3), inputs(4)]), "2 tensors with one size along the axes 1"),
    (lambda: layers.Dot(1)([inputs(None), inputs(None)]), "one size along the axes 1"),
    (lambda: layers.Dot(-2)([inputs(3), inputs(3)]), "one size along"),
    (lambda: layers.Dot(1)([inputs(3)]), "a list of 2 tensors"),
    (lambda: layers.Masking()(inputs()), "an axis beside the batch axis"),
    (lambda: layers.Attention()([inputs(3, 4)]), r"two or three tensors.*Give it \[query, value\]"),
    (lambda: layers.Attention()([inputs(3, 4), inputs(5, 2)]), "queries as wide as the keys"),
    (lambda: layers.AdditiveAttention()([inputs(4), inputs(5, 4)]), "rank 3"),
    (lambda: layers.MultiHeadAttention(2, 3)(inputs(3, 4), inputs(5, 4), inputs(6, 4)), "as many keys as values"),
    (lambda: layers.MultiHeadAttention(2, 3)(inputs(3, 4), inputs(5, None)), "a known size of axis -1"),
    (lambda: layers.MultiHeadAttention(2, 3)(inputs(4), inputs(4)), "one rank of at least 3"),
    (lambda: layers.MultiHeadAttention(2, 3)(inputs(3, 4), inputs(2, 5, 4)), "one rank of at least 3"),
    (
        lambda: layers.MultiHeadAttention(2, 3, attention_axes=2)(inputs(3, 4), inputs(5, 4)),
        "attention_axes.*got \\(2,\\)",
    ),
    (lambda: layers.MultiHeadAttention(2, 3, attention_axes=-3)(inputs(3, 4), inputs(5, 4)), "attention_axes"),
    (lambda: layers.MultiHeadAttention(2, 3, attention_axes=(1, -2))(*[inputs(3, 4)] * 2), r"got \(1, 1\)"),
    (
        lambda: layers.MultiHeadAttention(2, 3, attention_axes=2)(inputs(3, 5, 4), inputs(2, 5, 4)),
        "query and value alike",
    ),
    (lambda: layers.GroupQueryAttention(3, 4, 2)(inputs(2, 3, 4), inputs(2, 5, 4)), "rank 3"),
    (lambda: layers.GroupQueryAttention(3, 4, 2)(inputs(3, 4), inputs(5, 4), inputs(6, 4)), "as many keys as values"),
    (lambda: attended(inputs(3, 3, 5, dtype="bool")), r"attention_mask: expected .*got bool\[batch, 3, 3, 5\]"),
    (lambda: attended(jnp.ones((2, 1, 3, 5), bool)), "attention_mask: expected"),
    (lambda: attended(inputs(3, 4, dtype="bool")), r"attention_mask: expected \[queries, keys\]"),
    (lambda: attended(inputs(5, dtype="bool")), r"attention_mask: expected \[queries, keys\]"),
    (lambda: layers.TimeDistributed(layers.Dense(3))(inputs()), "an axis beside the batch axis"),
    (lambda: layers.TimeDistributed(layers.Conv2D(3, 2))(inputs(5, 6, 2)), "rank 4"),
    (
        lambda: layers.TimeDistributed(layers.Dense(3))(inputs(5, 2), mask=inputs(4, dtype="bool")),
        r"mask: expected the batch and time axes.*Give a mask of shape \[batch, time\]",
    ),
    (lambda: layers.MaxPooling3D()(inputs(4, 4, 1)), r"rank 5: \[batch, depth, height, width, channels\], got rank 4"),
    (lambda: layers.AveragePooling3D((1, 2, 3))(inputs(4, 4, 2, 1)), r"at least \(1, 2, 3\)"),
    (lambda: layers.GlobalAveragePooling3D()(inputs(4, 4, 1)), "rank 5"),
    (lambda: layers.Permute((2, 1))(inputs(3)), "rank 3: the batch axis and the 2 of dims, got rank 2"),
    (lambda: layers.RepeatVector(2)(inputs(3, 4)), r"rank 2: \[batch, features\], got rank 3"),
    (lambda: layers.Cropping1D((1, 2))(inputs(3, 2)), r"longer than \(3,\), which is cropped.*Crop less"),
    (lambda: layers.Cropping2D(((0, 0), (2, 3)))(inputs(None, 5, 2)), r"longer than \(0, 5\)"),
    (lambda: layers.Cropping3D(2)(inputs(5, 4, 5, 1)), r"longer than \(4, 4, 4\)"),
    (lambda: layers.ZeroPadding2D()(inputs(5, 2)), "rank 4"),
    (lambda: layers.UpSampling1D()(inputs(5, 5, 2)), "rank 3"),
    (lambda: layers.Resizing(4, 4)(inputs(5, 5)), "rank 4"),
    (lambda: layers.Reshape((2, 3))(inputs(7)), "rows of 6 elements, got 7"),
    (lambda: layers.Reshape((2, -1))(inputs(7)), "a multiple of 2 elements, got 7"),
]
"""What is refused when the layer is drawn."""

DTYPES: list[tuple[Callable[[], Any], str]] = [
    (lambda: layers.Conv2D(3, 2)(inputs(5, 5, 2, dtype="bool")), "Conv2D.*numbers or integers, got bool"),
    (lambda: layers.Conv1DTranspose(3, 2)(inputs(5, 2, dtype="complex64")), "Conv1DTranspose.*got complex64"),
    (lambda: layers.Embedding(3, 2)(inputs(4)), "expected integers, got float32.*dtype='int32'"),
    (lambda: layers.Dropout(0.5)(inputs(4, dtype="int32")), "floating-point numbers, got int32"),
    (lambda: layers.LSTM(3)(inputs(5, 2), mask=inputs(5)), "mask.*bool"),
    (lambda: attended(inputs(3, 5)), "attention_mask: expected bool.*got float32.*mask > 0"),
    (
        lambda: layers.Attention()([inputs(3, 4, dtype="int32"), inputs(5, 4)]),
        "expected floating-point numbers, got int32",
    ),
    (
        lambda: layers.MultiHeadAttention(2, 3)(inputs(3, 4), inputs(5, 4, dtype="bool")),
        "floating-point numbers, got bool",
    ),
    (lambda: layers.MaxPooling1D()(inputs(4, 2, dtype="bool")), "floating-point numbers or integers, got bool.*Cast"),
    (lambda: layers.GlobalAveragePooling2D()(inputs(4, 4, 2, dtype="complex64")), "numbers or integers, got complex64"),
    (lambda: layers.Resizing(4, 4)(inputs(5, 5, 1, dtype="bool")), "numbers or integers, got bool"),
    (lambda: layers.UpSampling2D(2, "bicubic")(inputs(5, 5, 1, dtype="bool")), "numbers or integers, got bool"),
]


@pytest.mark.parametrize(("make", "message"), ARGUMENTS, ids=[message for _, message in ARGUMENTS])
def test_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(("make", "message"), SHAPES, ids=[message for _, message in SHAPES])
def test_shapes(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        make()


@pytest.mark.parametrize(("make", "message"), DTYPES, ids=[message for _, message in DTYPES])
def test_dtypes(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(DTypeError, match=message):
        make()
