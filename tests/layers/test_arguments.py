"""Arguments and inputs that a layer refuses: the class of the error, and words of its message."""

from collections.abc import Callable
from typing import Any

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
    (lambda: layers.TimeDistributed(abs), "TimeDistributed, layer: expected a layer.*jg.op"),
    (lambda: layers.TimeDistributed(jg.Sequential([Penalized()])), "a model without penalties"),
    (lambda: layers.Multiply()([inputs(3, 1)] * 2, mask=inputs(3, dtype="bool")), "one mask for each of its 2 inputs"),
    (lambda: layers.Add()([inputs(3, 1)] * 2, mask=[inputs(3, dtype="bool")]), "2 inputs, got 1 masks"),
    (lambda: layers.Attention()([inputs(3, 1)] * 2, mask=inputs(3, dtype="bool")), "got a single one"),
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
    (lambda: attended(inputs(3, 4, dtype="bool")), r"attention_mask: expected \[queries, keys\]"),
    (lambda: attended(inputs(5, dtype="bool")), r"attention_mask: expected \[queries, keys\]"),
    (lambda: layers.TimeDistributed(layers.Dense(3))(inputs()), "an axis beside the batch axis"),
    (lambda: layers.TimeDistributed(layers.Conv2D(3, 2))(inputs(5, 6, 2)), "rank 4"),
    (
        lambda: layers.TimeDistributed(layers.Dense(3))(inputs(5, 2), mask=inputs(4, dtype="bool")),
        r"mask: expected the batch and time axes.*Give a mask of shape \[batch, time\]",
    ),
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
