"""Low-rank adaptation as graph surgery: what is trained, what stays, and the way back."""

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, PathError
from jgraph.tree import leaves_with_names

L = jg.layers
KEY = jax.random.key(0)


def text_model() -> jg.Model:
    """An embedding, attention, a recurrent and a shared layer, and a nested model."""
    text = jg.Input((6,), "int32", name="text")
    x = L.Embedding(9, 4, mask_zero=True, name="embed")(text)
    x = L.MultiHeadAttention(2, 3, name="attend")(x, x, use_causal_mask=True)
    x = L.LSTM(4, return_sequences=True, name="lstm")(x)
    inside = jg.Input((4,), name="inside")
    shared = L.Dense(4, "tanh", kernel_regularizer="l2", kernel_constraint="unit_norm", name="shared")
    nested = jg.Model(inside, shared(shared(inside)), name="nested")
    x = L.GlobalAveragePooling1D(name="mean")(x)
    return jg.Model(text, L.Dense(3, "softmax", name="head")(nested(x)))


def tokens() -> Any:
    return np.random.default_rng(0).integers(0, 9, (8, 6)).astype("int32")


def adapted_from(model: jg.Model, *patterns: str, **options: Any) -> tuple[jg.Model, Any, Any, Any]:
    adapted = jg.lora(model.freeze("*"), *patterns, **options)
    params, state = model.init(KEY)
    start, _ = adapted.init(jax.random.key(1))
    return adapted, jg.carry(model, adapted, params, start=start), params, state


def test_nothing_changes_at_first() -> None:
    model = text_model()
    adapted, carried, params, state = adapted_from(model, "*", rank=2)
    assert not carried.dropped
    assert all("lora_" in name for name in carried.new)
    assert list(adapted.layers) == list(model.layers)
    want, _ = model.apply(params, state, tokens())
    got, _ = adapted.apply(carried.tree, state, tokens())
    np.testing.assert_array_equal(got, want)


def test_only_the_factors_are_trained_and_merging_gives_the_same_outputs() -> None:
    model = text_model()
    adapted, carried, params, state = adapted_from(model, "attend", "nested/shared", "embed", rank=2, alpha=8.0)
    trainer = jg.Trainer(adapted, optimizer=optax.adamw(0.05), loss="sparse_categorical_crossentropy")
    train_state = trainer.init(KEY, params=carried.tree)
    assert len(jax.tree.leaves(train_state.opt_state[0].mu)) == 2 * (4 + 1 + 1)
    for _ in range(3):
        train_state, _ = trainer.step(train_state, (tokens(), np.arange(8) % 3))
    after, before = dict(leaves_with_names(train_state.params)), dict(leaves_with_names(carried.tree))
    moved = {name for name in after if not np.array_equal(after[name], before[name])}
    assert moved == {name for name in after if "lora_" in name}
    plain, merged = jg.merge_lora(adapted, train_state.params)
    assert jax.tree.map(jnp.shape, merged) == jax.tree.map(jnp.shape, params)
    drawn = {path: layer for path, layer in plain.layers.items() if not layer.is_graph}
    assert all(layer is model.layers[path] for path, layer in drawn.items())
    want, _ = adapted.apply(train_state.params, state, tokens())
    got, _ = model.apply(merged, state, tokens())
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert not np.allclose(got, model.apply(params, state, tokens())[0], rtol=1e-3)


@pytest.mark.parametrize("alpha", [None, 6.0])
def test_dense_is_that_of_keras(alpha: float | None) -> None:
    x = np.random.default_rng(1).normal(size=(5, 7)).astype("float32")
    theirs: Any = keras.layers.Dense(4, "tanh")
    theirs.build((None, 7))
    theirs.enable_lora(3, lora_alpha=alpha)  # an alpha given when the layer is made is lost
    layer = L.LoRA(L.Dense(4, "tanh"), 3, alpha)
    params, _ = layer.init(KEY, jax.ShapeDtypeStruct((5, 7), "float32"))
    assert {v.name: v.shape for v in theirs.weights} == {name: v.shape for name, v in leaves_with_names(params)}
    random = np.random.default_rng(2)
    params = jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype("float32"), params)
    for variable in theirs.weights:
        variable.assign(params[variable.name])
    np.testing.assert_allclose(layer.apply(params, {}, x)[0], theirs(x), rtol=1e-5)


def test_a_softmax_at_the_end_is_still_seen_through() -> None:
    adapted = jg.lora(text_model(), "head", rank=1)
    assert "logits" in str(jg.Trainer(adapted, optimizer=optax.sgd(0.1), loss="sparse_categorical_crossentropy"))


def test_saved_read_and_adapted_in_bfloat16() -> None:
    adapted = jg.lora(text_model().with_policy(jg.Policy({"head": {"param_dtype": "bfloat16"}})), "head", rank=1)
    again = jg.Model.from_json(adapted.to_json())
    assert again.fingerprint == adapted.fingerprint
    params, _ = again.init(KEY)
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(params["head"])} == {"bfloat16"}
    _, merged = jg.merge_lora(again, params)
    assert merged["head"]["kernel"].dtype == jnp.bfloat16


def test_what_cannot_be_adapted_is_refused() -> None:
    model, lift = text_model(), L.LoRA
    for patterns, message in ((("mean",), "matches none.*Known"), (("shard",), "Did you mean"), (("*x",), "none")):
        with pytest.raises(PathError, match=message):
            jg.lora(model, *patterns, rank=2)
    with pytest.raises(PathError, match="one without"):
        jg.merge_lora(model, model.init(KEY)[0])
    for make, message in (
        (lambda: jg.lora(model, rank=2), "expected patterns of paths"),
        (lambda: jg.lora(model, "*", rank=0), "LoRA, rank"),
        (lambda: jg.lora(model, "*", rank=1, alpha=-1.0), "LoRA, alpha"),
        (lambda: lift(model, 2), "a single layer"),
        (lambda: lift(lift(L.Dense(2), 2), 2), "not adapted yet"),
        (lambda: lift(L.BatchNormalization(), 2)(jg.Input((3,))), "a layer with a kernel"),
    ):
        with pytest.raises(ArgumentError, match=message):
            make()
    with pytest.raises(PathError, match="matches none"):
        jg.lora(jg.lora(model, "head", rank=2), "head", rank=2)
