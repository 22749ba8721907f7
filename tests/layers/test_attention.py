"""Attention against its formula in float64; its masks, and what it does where nothing is left to attend to."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, RandomKeyError

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
    drawn = [
        jg.layers.MultiHeadAttention(2, 3)(query, value),
        jg.layers.MultiHeadAttention(2, 3)(query, value, value, use_causal_mask=True),
        jg.layers.GroupQueryAttention(3, 2, 1, sliding_window=2)(query, value),
        jg.layers.Attention()([query, value]),
    ]
    assert all(y.mask is query.mask for y in drawn)
    model = jg.Model(texts, [jg.layers.GlobalAveragePooling1D()(y) for y in drawn])
    params, state = model.init(jax.random.key(0))
    apply = jax.jit(model.apply)
    long = apply(params, state, [np.array([[1, 2, 0, 0]]), np.array([[3, 4, 5, 0, 0]])])[0]
    short = apply(params, state, [np.array([[1, 2]]), np.array([[3, 4, 5]])])[0]
    for padded, alone in zip(long, short, strict=True):
        np.testing.assert_allclose(padded, alone, rtol=1e-5)
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


def both(layer: Any, params: Any, *inputs: Any, **options: Any) -> tuple[Any, Any]:
    """The outputs as the kernel gives them, and beside the weights."""

    @jax.jit
    def run(params: Any, inputs: tuple) -> tuple[Any, Any]:
        y = layer.apply(params, {}, *inputs, **options)[0]
        return y, layer.apply(params, {}, *inputs, return_attention_scores=True, **options)[0][0]

    return run(params, inputs)


LAYERS: dict[str, Any] = {
    "attention": lambda: jg.layers.Attention(use_scale=True),
    "multi_head_attention": lambda: jg.layers.MultiHeadAttention(2, 3, bias_initializer="normal"),
    "group_query_attention": lambda: jg.layers.GroupQueryAttention(3, 4, 2, sliding_window=3, use_gate=True),
}
ASKED = np.array([[True, True, False], [True, False, True]])


def drawn(name: str, dtype: str) -> tuple[Any, Any, tuple, dict[str, Any]]:
    """A layer, its params and inputs, and masks that leave the second row of the batch with nothing."""
    layer, xs = LAYERS[name](), (QUERY, VALUE)
    specs = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in xs]
    specs = [specs] if name == "attention" else specs
    params, _ = jax.tree.map(lambda x: x.astype(dtype), layer.init(jax.random.key(3), *specs))
    inputs = tuple(x.astype(dtype) for x in xs)
    return layer, params, ([*inputs],) if name == "attention" else inputs, {"mask": (ASKED, KEEP)}


@pytest.mark.parametrize("causal", [False, True], ids=["whole", "causal"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_kernel_and_the_weights_agree_where_some_rows_see_nothing(name: str, dtype: str, causal: bool) -> None:
    layer, params, inputs, options = drawn(name, dtype)
    kernel, beside = both(layer, params, *inputs, use_causal_mask=causal, **options)
    assert kernel.dtype == beside.dtype == dtype
    eps = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(kernel.astype("float32"), beside.astype("float32"), rtol=8 * eps, atol=8 * eps)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_finite_where_nothing_is_seen(name: str, dtype: str) -> None:
    layer, params, inputs, options = drawn(name, dtype)

    def loss(params: Any, inputs: tuple, scores: bool) -> Any:
        made = layer.apply(params, {}, *inputs, return_attention_scores=scores, **options)[0]
        return sum(jnp.sum(jnp.sin(y)) for y in jax.tree.leaves(made))

    grad = jax.grad(loss, argnums=(0, 1))
    for gradients in jax.jit(lambda *args: (grad(*args, False), grad(*args, True)))(params, inputs):
        assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradients))
        query, value = jax.tree.leaves(gradients[1])
        assert not np.asarray(value[1], "float32").any()  # nobody saw it
        assert np.asarray(query[0], "float32").any()


def test_a_query_outside_of_all_windows_gives_the_bias() -> None:
    layer = jg.layers.MultiHeadAttention(2, 3, sliding_window=1, bias_initializer="ones")
    specs = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (VALUE, QUERY)]
    params, _ = layer.init(jax.random.key(0), *specs)
    for y in both(layer, params, VALUE, QUERY):
        np.testing.assert_array_equal(y[:, 3:], np.ones((2, 2, 4)))
        assert (np.asarray(y[:, :3]) != 1).all()


def test_groups_of_queries_share_keys_and_values() -> None:
    """Against the same heads with the keys' and values' projections repeated, in float64."""
    layer = jg.layers.GroupQueryAttention(3, 6, 2, use_bias=False)
    specs = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (QUERY, VALUE)]
    params, _ = layer.init(jax.random.key(0), *specs)
    kernels = {name: np.asarray(part["kernel"], "float64") for name, part in params.items()}
    x, y = np.asarray(QUERY, "float64"), np.asarray(VALUE, "float64")
    expected = np.zeros((2, 3, 4))
    for head in range(6):
        q = x @ kernels["query"][:, head]
        k, v = (y @ kernels[name][:, head // 3] for name in ("key", "value"))
        weights = np.exp(np.einsum("btn,bsn->bts", q, k) / np.sqrt(3))
        expected += weights / weights.sum(-1, keepdims=True) @ v @ kernels["attention_output"][head]
    np.testing.assert_allclose(layer.apply(params, {}, QUERY, VALUE)[0], expected, rtol=1e-5, atol=1e-6)


IMAGE = jnp.asarray(RANDOM.normal(size=(2, 3, 4, 5)), "float32")


def test_several_axes_are_one_sequence() -> None:
    """Over all axes, the last runs fastest; over one of them, each index of the other is by itself."""
    every = jg.layers.MultiHeadAttention(2, 3, sliding_window=5)
    rows = jg.layers.MultiHeadAttention(2, 3, sliding_window=2, attention_axes=-2)
    spec = jax.ShapeDtypeStruct(IMAGE.shape, IMAGE.dtype)
    params, _ = every.init(jax.random.key(0), spec, spec)
    mask = jnp.asarray(RANDOM.random((2, 3, 4)) < 0.7)

    @functools.partial(jax.jit, static_argnums=0)
    def run(layer: Any, x: Any, mask: Any) -> Any:
        options = {"mask": (mask, mask), "use_causal_mask": True, "return_attention_scores": True}
        return layer.apply(params, {}, x, x, **options)[0]

    y, weights = run(every, IMAGE, mask)
    flat, flat_weights = run(every, IMAGE.reshape(2, 12, 5), mask.reshape(2, 12))
    np.testing.assert_allclose(y.reshape(2, 12, 5), flat, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(weights.reshape(2, 2, 12, 12), flat_weights, rtol=1e-5, atol=1e-6)
    y, weights = run(rows, IMAGE, mask)
    for row in range(3):
        one, one_weights = run(rows, IMAGE[:, row], mask[:, row])
        np.testing.assert_allclose(y[:, row], one, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(weights[:, row], one_weights, rtol=1e-5, atol=1e-6)


def test_a_mask_of_time_holds_for_all_axes_behind() -> None:
    layer = jg.layers.MultiHeadAttention(2, 3)
    spec = jax.ShapeDtypeStruct(IMAGE.shape, IMAGE.dtype)
    params, _ = layer.init(jax.random.key(0), spec, spec)
    mask = jnp.asarray([[True, True, False]] * 2)
    short = jax.jit(lambda p: layer.apply(p, {}, IMAGE, IMAGE[:, :2])[0])(params)
    masked = jax.jit(lambda p: layer.apply(p, {}, IMAGE, IMAGE, mask=(None, mask))[0])(params)
    np.testing.assert_allclose(masked, short, rtol=1e-5, atol=1e-6)


def test_inputs_may_be_given_by_name() -> None:
    query, value, key = (jg.Input((None, 4), name=name) for name in ("query", "value", "key"))
    key = jg.op(lambda k, v: k[:, :1] + v)(key, value)
    for layer in (jg.layers.MultiHeadAttention(2, 3), jg.layers.GroupQueryAttention(3, 2, 1)):
        drawings = [
            layer(query, value, key),
            layer(query, value=value, key=key),
            layer(key=key, value=value, query=query),
        ]
        assert [d.call.args for d in drawings] == [(query, value, key)] * 3
        assert layer(query=query, value=value).call.args == (query, value)
        with pytest.raises(ArgumentError, match="by its place"):
            layer(query, key=key)


def test_masks_are_found_by_name_too() -> None:
    text = jg.layers.Embedding(9, 4, mask_zero=True)(jg.Input((None,), "int32"))
    y = jg.layers.MultiHeadAttention(2, 3)(value=text, query=text)
    assert y.mask is text.mask
    assert y.call.mask == (text.mask, text.mask)


def test_weights_are_regularized_and_constrained_in_every_projection() -> None:
    layer = jg.layers.GroupQueryAttention(3, 2, 1, kernel_regularizer="l2", bias_constraint="non_neg")
    spec = jax.ShapeDtypeStruct(QUERY.shape, QUERY.dtype)
    params, _ = layer.init(jax.random.key(0), spec, spec)
    kernels = [part["kernel"] for part in params.values()]
    np.testing.assert_allclose(layer.regularization(params), sum(0.01 * jnp.sum(k**2) for k in kernels), rtol=1e-6)
    held = layer.constrain(jax.tree.map(lambda x: x - 1.0, params))
    assert all(not np.asarray(part["bias"]).any() for part in held.values())
    np.testing.assert_array_equal(held["key"]["kernel"], params["key"]["kernel"] - 1.0)


def test_activities_are_regularized_in_a_model() -> None:
    x = jg.Input((3, 4), name="x")
    layer = jg.layers.MultiHeadAttention(2, 3, activity_regularizer="l1", use_gate=True)
    model = jg.Model(x, layer(x, x, return_attention_scores=True)[0])
    params, state = model.init(jax.random.key(0))
    trainer = jg.Trainer(model, optimizer=optax.sgd(0.0), loss="mse")
    target, _ = model.apply(params, state, QUERY)
    start = trainer.init(jax.random.key(0), params=params, state=state)
    logs = trainer.step(start, (QUERY, target))[1]
    (own,) = params.values()
    np.testing.assert_allclose(logs["loss"], layer.penalty(own, (QUERY, QUERY), target), rtol=1e-5)
    assert float(logs["loss"]) > 0
