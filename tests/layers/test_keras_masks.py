"""Models through which masks go, drawn by the same lines with Keras and with jgraph: equal outputs and gradients."""

from typing import Any

import numpy as np
import pytest

from tests.references.keras_twin import check_drawing

TEXTS = {
    "one": np.array([[1, 2, 0, 0], [3, 0, 4, 0], [1, 1, 1, 1]], "int32"),
    "two": np.array([[2, 0, 0, 4], [3, 1, 0, 0], [0, 1, 2, 3]], "int32"),
}


def texts(layers: Any, Input: Any) -> Any:  # noqa: N803 (a class in Keras)
    inputs = {name: Input((4,), dtype="int32", name=name) for name in ("one", "two")}
    return inputs, [layers.Embedding(5, 3, mask_zero=True, name=f"words_{n}")(x) for n, x in inputs.items()]


def merges(layers: Any, Input: Any) -> Any:  # noqa: N803
    inputs, both = texts(layers, Input)
    kinds = (layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum)
    every = layers.Concatenate()([kind()(both) for kind in kinds])
    joined = layers.LSTM(2, name="joined")(layers.Concatenate(axis=1)(both))
    return inputs, layers.Concatenate()([layers.LSTM(2, name="every")(every), joined])


def sequences(layers: Any, Input: Any) -> Any:  # noqa: N803
    inputs, (one, two) = texts(layers, Input)
    y = layers.LSTM(3, return_sequences=True, name="first")(layers.Dropout(0.5)(one))
    y = layers.TimeDistributed(layers.Dense(3, activation="tanh"), name="each")(layers.Add()([y, two]))
    return inputs, layers.GlobalAveragePooling1D()(layers.Identity()(layers.Activation("tanh")(y)))


def heads(layers: Any, Input: Any) -> Any:  # noqa: N803
    """Nothing else may read `one` and `two`: Keras' layer takes the masks off its inputs, for all who read them."""
    inputs, (one, two) = texts(layers, Input)
    y = layers.MultiHeadAttention(2, 3, use_bias=False, name="heads")(one, two)
    return inputs, layers.LSTM(2, name="lstm")(y)


def attention(layers: Any, Input: Any) -> Any:  # noqa: N803
    inputs, (one, two) = texts(layers, Input)
    y = layers.AdditiveAttention(name="added")([one, two])
    return inputs, layers.Concatenate(axis=1)([y, layers.Attention(use_scale=True, name="dots")([two, y, one])])


@pytest.mark.parametrize("draw", [merges, sequences, heads, attention])
def test_drawings(draw: Any) -> None:
    check_drawing(draw, TEXTS)
