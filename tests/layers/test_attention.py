"""Attention against its formula in float64; its masks, and what it does where nothing is left to attend to."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import RandomKeyError

RANDOM = np.random.default_rng(0)
QUERY, VALUE = (jnp.asarray(RANDOM.normal(size=(2, steps, 4)), "float32") for steps in (3, 5))
KEEP = np.array([[True, True, False, True, False], [False] * 5])


def reference(query: Any, value: Any, keep: Any) -> np.ndarray:
    """`softmax(query @ value^T) @ value` over what is kept, in float64; 0 where nothing is."""
    q, v = np.asarray(query, "float64"), np.asarray(value, "float64")
    weights = np.exp(np.einsum("btn,bsn->bts", q, v)) * np.broadcast_to(keep, (2, 3, 5))
    return np.einsum("bts,bsn->btn", weights / np.maximum(weights.sum(-1, keepdims=True), 1e-30), v)


@pytest.mark.parametrize("causal", [False, True])
def test_values(causal: bool) -> None:
    keep = KEEP[:, None] & (np.tri(3, 5, dtype=bool) if causal else True)
    y, _ = jg.layers.Attention().apply({}, {}, [QUERY, VALUE], mask=(None, KEEP), use_causal_mask=causal)
    np.testing.assert_allclose(y, reference(QUERY, VALUE, keep), rtol=1e-5, atol=1e-6)
    asked = np.array([[True, False, True]] * 2)
    y, _ = jg.layers.Attention().apply({}, {}, [QUERY, VALUE], mask=(asked, KEEP))
    np.testing.assert_allclose(y, reference(QUERY, VALUE, KEEP[:, None]) * asked[..., None], rtol=1e-5, atol=1e-6)


def test_one_head_that_projects_nothing_is_plain_attention() -> None:
    layer = jg.layers.MultiHeadAttention(1, 4, use_bias=False)
    one = jnp.eye(4)
    params = {part: {"kernel": one[:, None]} for part in ("query", "key", "value")}
    params["attention_output"] = {"kernel": one[None]}
    y, _ = layer.apply(params, {}, 2 * QUERY, VALUE, mask=(None, KEEP))  # 2 is the root of key_dim
    np.testing.assert_allclose(y, reference(QUERY, VALUE, KEEP[:, None]), rtol=1e-5, atol=1e-6)


def test_masks_of_query_value_and_key_are_edges() -> None:
    texts = [jg.Input((None,), "int32", name=name) for name in ("query", "value")]
    query, value = (jg.layers.Embedding(9, 4, mask_zero=True)(t) for t in texts)
    for y in (
        jg.layers.MultiHeadAttention(2, 3)(query, value),
        jg.layers.MultiHeadAttention(2, 3)(query, value, value, use_causal_mask=True),
        jg.layers.Attention()([query, value]),
    ):
        assert y.mask is query.mask
        model = jg.Model(texts, jg.layers.GlobalAveragePooling1D()(y))
        params, state = model.init(jax.random.key(0))
        long = model.apply(params, state, [np.array([[1, 2, 0, 0]]), np.array([[3, 4, 5, 0, 0]])])[0]
        short = model.apply(params, state, [np.array([[1, 2]]), np.array([[3, 4, 5]])])[0]
        np.testing.assert_allclose(long, short, rtol=1e-5)
    y, weights = jg.layers.Attention()([query, value], return_attention_scores=True)
    assert (y.mask is query.mask, weights.mask) == (True, None)


def test_an_attention_mask_may_be_a_symbol_or_a_constant() -> None:
    query, value, seen = jg.Input((3, 4)), jg.layers.Masking()(jg.Input((5, 4), name="v")), jg.Input((3, 5), "bool")
    layer = jg.layers.MultiHeadAttention(2, 3)
    constant = np.tri(3, 5, dtype=bool)
    inputs = [query, value.call.args[0], seen]
    model = jg.Model(inputs, [layer(query, value, attention_mask=seen), layer(query, value, attention_mask=constant)])
    model = jg.Model(inputs, [*model.outputs, layer(query, value, use_causal_mask=True)])
    params, state = model.init(jax.random.key(0))
    drawn, fixed, causal = model.apply(params, state, [QUERY, VALUE, np.stack([constant] * 2)])[0]
    np.testing.assert_array_equal(drawn, fixed)
    np.testing.assert_allclose(fixed, causal, rtol=1e-6)


def test_dropout_drops_weights_while_training() -> None:
    layer = jg.layers.Attention(dropout=0.5)
    ones = jnp.ones((4, 50, 3))
    y, weights = layer.apply({}, {}, [ones, ones], return_attention_scores=True, train=True, key=jax.random.key(0))[0]
    assert abs(float((weights == 0).mean()) - 0.5) < 0.03
    np.testing.assert_allclose(y[..., 0], weights.sum(-1), rtol=1e-5)
    with pytest.raises(RandomKeyError):
        layer.apply({}, {}, [ones, ones], train=True)
    np.testing.assert_allclose(layer.apply({}, {}, [ones, ones])[0], ones, rtol=1e-5)
