"""Making masks out of values, and the layer that leaves everything as it is."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jgraph as jg

X: Any = np.array([[[1, 2], [0, 0], [0, 3]], [[5, 5], [5, 0], [0, 0]]], "float32")


def test_steps_of_the_value_alone_are_masked_and_zero() -> None:
    layer = jg.layers.Masking()
    np.testing.assert_array_equal(layer.apply({}, {}, X)[0], X)
    np.testing.assert_array_equal(layer.pass_mask(None, X), [[True, False, True], [True, True, False]])
    fives = jg.layers.Masking(5)
    np.testing.assert_array_equal(fives.pass_mask(None, X), [[True] * 3, [False, True, True]])
    np.testing.assert_array_equal(fives.apply({}, {}, X)[0][1], [[0, 0], [5, 0], [0, 0]])


def test_a_masked_step_stays_masked_and_is_zero() -> None:
    keep: Any = np.array([[True, True, False], [True, False, True]])
    y, _ = jg.layers.Masking().apply({}, {}, X, mask=keep)
    np.testing.assert_array_equal(y, X * [[[1], [0], [0]], [[1], [0], [0]]])
    np.testing.assert_array_equal(jg.layers.Masking().pass_mask(keep, X), [[True, False, False], [True, False, False]])


def test_values_of_a_small_dtype() -> None:
    """0.1 is another number in bfloat16: the one in the data is what the value is compared with."""
    x = jnp.full((1, 2, 3), 0.1, "bfloat16")
    assert not jg.layers.Masking(0.1).pass_mask(None, x).any()


def test_the_identity_keeps_trees_masks_and_logits() -> None:
    x, other = jg.layers.Masking()(jg.Input((3, 2), name="x")), jg.Input((3,), name="other")
    drawn = jg.layers.Identity()({"masked": x, "plain": other})
    assert (drawn["masked"].mask is x.mask, drawn["plain"].mask) == (True, None)
    scores = jg.layers.Identity()(jg.layers.Dense(4)(other))
    trainer = jg.Trainer(jg.Model(other, scores), optax.sgd(0.1), loss="sparse_categorical_crossentropy")
    assert "logits" in str(trainer)


def test_a_recurrent_layer_reads_the_mask() -> None:
    x = jg.Input((None, 2), name="x")
    model = jg.Model(x, jg.layers.LSTM(2)(jg.layers.Masking()(x)))
    params, state = model.init(jax.random.key(0))
    short = np.array([[[1, 2], [0, 3]], [[5, 5], [5, 0]]], "float32")
    np.testing.assert_allclose(model.apply(params, state, X)[0], model.apply(params, state, short)[0], rtol=1e-6)
