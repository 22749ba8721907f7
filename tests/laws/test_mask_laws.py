"""What holds for every layer that reads or hands on masks: what is masked is of no account for what is not."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg

L = jg.layers
STEPS, WIDTH = 5, 4
FIRST = np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
OTHER = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 1], [0, 1, 1, 1, 1]], bool)


def inner() -> jg.Model:
    x = jg.Input((None, WIDTH), name="x")
    return jg.Model(x, L.Dense(3)(L.LSTM(4, return_sequences=True)(x)))


ONE: dict[str, Callable[[], Any]] = {
    "activation": lambda: L.Activation("tanh"),
    "bidirectional": lambda: L.Bidirectional(L.GRU(3, return_sequences=True)),
    "bidirectional-last": lambda: L.Bidirectional(L.SimpleRNN(3)),
    "batch_normalization": lambda: L.BatchNormalization(),
    "dense": lambda: L.Dense(3),
    "dropout": lambda: L.Dropout(0.5),
    "gaussian_noise": lambda: L.GaussianNoise(0.5),
    "global_average_pooling1d": lambda: L.GlobalAveragePooling1D(),
    "global_max_pooling1d": lambda: L.GlobalMaxPooling1D(),
    "identity": lambda: L.Identity(),
    "layer_normalization": lambda: L.LayerNormalization(),
    "leaky_relu": lambda: L.LeakyReLU(),
    "lstm": lambda: L.LSTM(3, return_sequences=True, go_backwards=True),
    "lstm-last": lambda: L.LSTM(3),
    "masking": lambda: L.Masking(),
    "model": inner,
    "rnn": lambda: L.RNN([L.GRUCell(3), L.LSTMCell(3)], return_sequences=True, zero_output_for_mask=True),
    "rescaling": lambda: L.Rescaling(0.5),
    "rms_normalization": lambda: L.RMSNormalization(),
    "softmax-time": lambda: L.Softmax(1),
    "stack": lambda: jg.Sequential([L.Dense(3), L.LSTM(2)]),
    "time_distributed": lambda: L.TimeDistributed(L.BatchNormalization()),
}
"""Layers of one input."""

MANY: dict[str, tuple[Callable[[], Any], int, bool]] = {
    "add": (lambda: L.Add(), 2, False),
    "additive_attention": (lambda: L.AdditiveAttention(), 2, True),
    "attention": (lambda: L.Attention(), 3, True),
    "average": (lambda: L.Average(), 2, False),
    "concatenate": (lambda: L.Concatenate(), 2, False),
    "concatenate-time": (lambda: L.Concatenate(1), 2, True),
    "group_query_attention": (lambda: Spread(L.GroupQueryAttention(3, 4, 2, sliding_window=3)), 3, True),
    "maximum": (lambda: L.Maximum(), 3, True),
    "minimum": (lambda: L.Minimum(), 2, True),
    "multi_head_attention": (lambda: Spread(L.MultiHeadAttention(2, 3)), 2, True),
    "multi_head_attention-key": (lambda: Spread(L.MultiHeadAttention(2, 3)), 3, True),
    "multiply": (lambda: L.Multiply(), 2, True),
    "subtract": (lambda: L.Subtract(), 2, False),
}
"""Layers of a list, how many it has, and whether its masks may differ: a sum counts what one input masks alone."""


class Spread:
    """A layer of several inputs that takes them as a list."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def __call__(self, xs: Any, mask: Any) -> Any:
        return self.layer(*xs, mask=mask)


CASES = {**{name: (make, 1, False) for name, make in ONE.items()}, **MANY}


@pytest.mark.parametrize("name", CASES)
def test_what_is_masked_changes_nothing_that_is_not(name: str) -> None:
    make, count, differ = CASES[name]
    xs = [jg.Input((STEPS, WIDTH), name=f"x{i}") for i in range(count)]
    keeps = [jg.Input((STEPS,), "bool", name=f"keep{i}") for i in range(count)]
    layer = make()
    y = layer(xs[0], mask=keeps[0]) if count == 1 else layer(xs, mask=tuple(keeps))
    model = jg.Model([*xs, *keeps], {"y": y, **({} if y.mask is None else {"mask": y.mask})})
    params, state = model.init(jax.random.key(0))
    masks = [OTHER if differ and i else FIRST for i in range(count)]
    random = np.random.default_rng(0)
    one = [random.normal(size=(4, STEPS, WIDTH)).astype("float32") for _ in masks]
    two = [
        np.where(m[..., None], x, random.normal(size=x.shape) * 9).astype("float32")
        for x, m in zip(one, masks, strict=True)
    ]
    run = jax.jit(lambda given: model.apply(params, state, given, train=True, key=jax.random.key(1)))
    (first, after), (second, then) = run([*one, *masks]), run([*two, *masks])
    counts = first.get("mask", jnp.ones(first["y"].shape[:2], bool))
    np.testing.assert_array_equal(counts, second.get("mask", counts))
    np.testing.assert_array_equal(first["y"][counts], second["y"][counts])
    jax.tree.map(np.testing.assert_array_equal, after, then)
    assert np.isfinite(first["y"]).all()
