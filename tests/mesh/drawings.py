"""Small models of every kind, with data and rules that split them, for a mesh of 4 x 2 devices."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import jgraph as jg

L = jg.layers
ROWS = 32


class Case(NamedTuple):
    """A model, its data and losses, and rules for the axis "model"."""

    model: jg.Model
    data: tuple
    loss: Any
    rules: dict[str, Any]


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=(ROWS, *shape)).astype("float32")


def whole(most: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(most).integers(0, most, size=(ROWS, *shape)).astype("int32")


def dense() -> Case:
    """Batch normalisation, dropout, and a penalty."""
    x = jg.Input((16,), name="x")
    h = L.BatchNormalization(name="norm")(L.Dense(64, activation="relu", name="up")(x))
    h = L.Dense(32, activation="relu", kernel_regularizer="l2", name="down")(L.Dropout(0.1)(h))
    model = jg.Model(x, L.Dense(10, activation="softmax", name="y")(h))
    rules = {"up": {"units": "model"}, "down": {"features": "model"}}
    return Case(model, (normal(16), whole(10)), "sparse_categorical_crossentropy", rules)


def sequences() -> Case:
    """Two inputs, masks, one LSTM for both."""
    story, question = (jg.Input((n,), dtype="int32", name=name) for n, name in ((8, "story"), (4, "question")))
    words, encoder = L.Embedding(50, 16, mask_zero=True, name="words"), L.LSTM(8, name="encoder")
    model = jg.Model(
        [story, question],
        L.Dense(6, activation="softmax", name="y")(L.concatenate([encoder(words(story)), encoder(words(question))])),
    )
    return Case(
        model,
        ([whole(50, 8), whole(50, 4)], whole(6)),
        "sparse_categorical_crossentropy",
        {"words": {"features": "model"}},
    )


def heads() -> Case:
    """Convolutions along time, pools, and three outputs."""
    text = jg.Input((24,), dtype="int32", name="text")
    x = L.MaxPooling1D(3)(L.Conv1D(16, 5, activation="relu", name="near")(L.Embedding(50, 8)(text)))
    x = L.Dense(16, activation="relu")(L.GlobalMaxPooling1D()(L.Conv1D(16, 3, name="far")(x)))
    outputs = {"age": L.Dense(1, name="age")(x), "sex": L.Dense(1, activation="sigmoid", name="sex")(x)}
    outputs["income"] = L.Dense(8, activation="softmax", name="income")(x)
    targets = {"age": normal(1), "sex": whole(2, 1), "income": whole(8)}
    loss = {"age": "mse", "sex": "binary_crossentropy", "income": "sparse_categorical_crossentropy"}
    rules = {"near": {"filters": "model"}, "far": {"features": "model"}}
    return Case(jg.Model(text, outputs), (whole(50, 24), targets), loss, rules)


def pictures() -> Case:
    """Branches of convolutions, shortcuts, separable and grouped windows, norms: what has own kernels on CPUs."""
    image = jg.Input((8, 8, 3), name="image")
    x = L.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="stem")(image)
    x = L.ReLU()(L.BatchNormalization()(x))
    one, three = L.Conv2D(8, 1, name="one")(x), L.Conv2D(8, 3, padding="same", name="three")(x)
    y = L.concatenate([one, three, L.MaxPooling2D(3, strides=1, padding="same")(x)])
    y = L.add([y, L.SeparableConv2D(32, 3, padding="same", use_bias=False)(y)])
    y = L.GroupNormalization(4)(L.Conv2D(32, 3, padding="same", groups=4, name="grouped")(y))
    model = jg.Model(image, L.Dense(10, activation="softmax", name="y")(L.GlobalAveragePooling2D()(y)))
    rules = {"one": {"filters": "model"}, "stem": {"filters": "model"}}
    return Case(model, (normal(8, 8, 3), whole(10)), "sparse_categorical_crossentropy", rules)


def attention() -> Case:
    """Attention in heads."""
    text = jg.Input((8,), dtype="int32", name="text")
    x = L.Embedding(50, 16, mask_zero=True)(text)
    x = L.LayerNormalization()(L.add([x, L.MultiHeadAttention(4, 4, name="heads")(x, x)]))
    model = jg.Model(text, L.Dense(8, activation="softmax", name="y")(L.GlobalAveragePooling1D()(x)))
    return Case(model, (whole(50, 8), whole(8)), "sparse_categorical_crossentropy", {"heads": {"heads": "model"}})


CASES: tuple[Callable[[], Case], ...] = (dense, sequences, heads, pictures, attention)
