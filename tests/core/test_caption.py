"""What layers are called in a picture: the class, its sizes, and what its user chose."""

from typing import Any

import jax.numpy as jnp
import pytest

import jgraph as jg
from jgraph import layers
from jgraph.core.caption import ROOMS, TIMES, caption, kind_of
from jgraph.draw.diagram import KINDS

X = jg.Input((8, 8, 3), name="x")
S = jg.Input((8, 4), name="s")
V = jg.Input((4,), name="v")

LISTS: Any = ([1, 1], [2, 2])

CASES: list[tuple[Any, str, str]] = [
    (layers.Dense(1000)(V), "Dense 1,000", "dense"),
    (layers.Dense(4, activation="relu", use_bias=False, kernel_initializer="he_normal")(V), "Dense 4 · relu", "dense"),
    (layers.Dense(4, activation=jnp.tanh)(V), "Dense 4 · tanh", "dense"),
    (layers.Conv2D(16, 3)(X), "Conv2D 16 · 3x3", "convolution"),
    (layers.Conv2D(16, (1, 7), strides=1, padding="same")(X), "Conv2D 16 · 1x7 · same", "convolution"),
    (layers.Conv2D(16, 3, dilation_rate=2)(X), "Conv2D 16 · 3x3 · dilation 2", "convolution"),
    (layers.DepthwiseConv2D(3, strides=(2, 1))(X), "DepthwiseConv2D · 3x3 · stride 2x1", "convolution"),
    (layers.MaxPooling2D()(X), "MaxPooling2D · 2x2", "pooling"),
    (layers.AveragePooling2D(3, strides=1)(X), "AveragePooling2D · 3x3 · stride 1", "pooling"),
    (layers.UpSampling2D(2)(X), "UpSampling2D", "pooling"),
    (layers.ZeroPadding2D((1, 2))(X), "ZeroPadding2D · 1x2", "reshaping"),
    (layers.ZeroPadding2D(LISTS)(X), "ZeroPadding2D", "reshaping"),
    (layers.Cropping2D(LISTS)(X), "Cropping2D", "reshaping"),
    (layers.LSTM(4, return_sequences=True)(S), "LSTM 4 · return_sequences", "recurrent"),
    (layers.Bidirectional(layers.GRU(4))(S), "Bidirectional · GRU 4", "recurrent"),
    (layers.TimeDistributed(layers.Dense(2))(S), "TimeDistributed · Dense 2", "dense"),
    (layers.MultiHeadAttention(2, 4)(S, S), "MultiHeadAttention 2 x 4", "attention"),
    (layers.BatchNormalization(momentum=0.9)(V), "BatchNormalization", "normalization"),
    (layers.BatchNormalization(center=False)(V), "BatchNormalization · center=False", "normalization"),
    (layers.Dropout(0.25)(V), "Dropout 0.25", "regularization"),
    (layers.Reshape((2, 2))(V), "Reshape (2, 2)", "reshaping"),
    (layers.Flatten()(X), "Flatten", "reshaping"),
    (layers.Concatenate(axis=1)([V, V]), "Concatenate · axis 1", "merging"),
    (layers.Activation("softmax")(V), "Activation softmax", "activation"),
    (V + 1.0, "add(x, 1.0)", "merging"),
    (jg.op(jnp.concatenate)([V, V]), "concatenate([x, y])", "merging"),
    (jg.op(jnp.sum)(S, axis=1), "sum(x, axis=1)", "op"),
    (V[:, None], "x[:, None]", "op"),
    (S[..., 0], "x[…, 0]", "op"),
    (V * jnp.ones(4), "multiply(x, …)", "merging"),
]


@pytest.mark.parametrize(("symbol", "text", "kind"), CASES, ids=[text for _, text, _ in CASES])
def test_captions(symbol: Any, text: str, kind: str) -> None:
    inputs = [x for x in (X, S, V) if x.call in _calls(symbol)]
    node = jg.Model(inputs, symbol).nodes[-1]
    assert caption(node).replace(TIMES, "x") == text
    assert kind_of(node.layer) == kind


def _calls(symbol: Any) -> list[Any]:
    """The call of a symbol and of all that it reads."""
    found = [symbol.call]
    for call in found:
        found += [source.call for source in call.sources() if source.call not in found]
    return found


def test_kinds_are_those_of_the_legend() -> None:
    assert set(ROOMS.values()) <= set(KINDS)


def test_a_layer_of_ones_own_made_from_one_of_ours_is_of_its_kind() -> None:
    class Wide(layers.Dense):
        pass

    class Own(jg.Layer):
        pass

    assert kind_of(Wide(4)) == "dense"
    assert kind_of(Own()) == "other"


class Tabled(jg.Layer):
    """A layer with fields that can hold anything."""

    table: Any = 1
    strides: Any = (1, 1)

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
        return x, state


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Tabled(([1], {"a": 2})), "Tabled"),
        (Tabled((jnp.ones(2), jnp.ones(2))), "Tabled"),
        (Tabled(strides=([2], [2])), "Tabled"),
        (Tabled(strides=(jnp.ones(2),)), "Tabled"),
        (Tabled(strides=()), "Tabled"),
        (Tabled(strides=1), "Tabled"),
        (Tabled((1, 2), strides=(3, 3)), "Tabled · table (1, 2) · stride 3"),
    ],
)
def test_fields_that_cannot_be_hashed_or_compared_are_no_hindrance(layer: jg.Layer, text: str) -> None:
    assert caption(jg.Model(V, layer(V)).nodes[-1]) == text
