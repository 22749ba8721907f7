"""Masks are edges of the graph: wired when drawn, handed on or ended by layers, across the borders of nested models."""

import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import GraphError, SymbolError

L = jg.layers
KEY = jax.random.key(0)
TOKENS = np.array([[3, 1, 0, 0], [2, 2, 4, 1], [0, 0, 0, 0]], np.int32)


class Mean(jg.Layer):
    """The mean over the steps that count; takes a mask and ends it."""

    mixes_rows = False

    def apply(self, params: Any, state: Any, x: Any, *, mask: Any = None, train: bool = False, key: Any = None) -> Any:
        weights = jnp.ones(x.shape[:2]) if mask is None else mask.astype(x.dtype)
        return (x * weights[..., None]).sum(1) / jnp.maximum(weights.sum(1), 1.0)[:, None], state


class Pass(jg.Layer):
    """The identity, which hands its mask on without reading it."""

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
        return x, state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        return mask


class Every(jg.Layer):
    """Tells which of its inputs came with a mask."""

    def apply(self, params: Any, state: Any, *xs: Any, mask: Any = None, train: bool = False, key: Any = None) -> Any:
        assert isinstance(mask, tuple)
        counts = [jnp.full(xs[0].shape[:1], -1) if m is None else m.sum(1) for m in mask]
        return jnp.stack(counts, axis=1), state


def embedded(text: Any, width: int = 2) -> Any:
    return L.Embedding(10, width, mask_zero=True)(text)


def text(name: str = "text") -> Any:
    return jg.Input((4,), dtype="int32", name=name)


def test_an_embedding_carries_a_mask_symbol_that_is_computed_like_any_other() -> None:
    t = text()
    e = embedded(t)
    assert (e.mask.shape[1:], str(e.mask.dtype)) == ((4,), "bool")
    model = jg.Model(t, e.mask)
    np.testing.assert_array_equal(model.apply(*model.init(KEY), TOKENS)[0], TOKENS != 0)
    assert L.Embedding(10, 2)(t).mask is None


@pytest.mark.parametrize(
    "between", [[], [L.Dense(3)], [L.Dropout(0.1), L.Dense(3), L.Activation("relu")], [Pass()]], ids=str
)
def test_layers_that_pass_a_mask_on_reach_the_layer_that_reads_it(between: list[jg.Layer]) -> None:
    t = text()
    h = embedded(t)
    for layer in between:
        h = layer(h)
    model = jg.Model(t, Mean()(h))
    params, state = model.init(KEY)
    ends = jg.Model(t, h)
    values = np.asarray(ends.apply(ends.select(params, of=model), state, TOKENS)[0])
    expected = [values[0, :2].mean(0), values[1].mean(0), np.zeros(values.shape[-1])]
    np.testing.assert_allclose(model.apply(params, state, TOKENS)[0], expected, rtol=1e-5, atol=1e-7)


def test_a_masked_step_leaves_an_lstm_as_it_was() -> None:
    t = text()
    model = jg.Model(t, L.LSTM(3)(embedded(t)))
    params, state = model.init(KEY)
    other = {**params, "embedding": {"embeddings": params["embedding"]["embeddings"].at[0].set(99.0)}}
    one, same = model.apply(params, state, TOKENS)[0], model.apply(other, state, TOKENS)[0]
    np.testing.assert_array_equal(one, same)
    np.testing.assert_array_equal(one[2], np.zeros(3))


def test_masks_end_where_a_layer_does_not_pass_them() -> None:
    e = embedded(text())
    assert L.Dense(3)(e).mask is e.mask
    for ended in (L.Flatten()(e), e[:, :2], e * 2.0, L.LSTM(3)(e), Mean()(e), L.Reshape((8,))(e)):
        assert ended.mask is None
    assert L.LSTM(3, return_sequences=True)(e).mask is e.mask
    sequence, h, c = L.LSTM(3, return_sequences=True, return_state=True)(e)
    assert (sequence.mask is e.mask, h.mask, c.mask) == (True, None, None)


def test_a_mask_by_hand_is_an_edge_too() -> None:
    x, keep = jg.Input((4, 2), name="x"), jg.Input((4,), dtype="bool", name="keep")
    model = jg.Model([x, keep], Mean()(x, mask=keep))
    rows = np.arange(8, dtype=np.float32).reshape(1, 4, 2)
    np.testing.assert_array_equal(model.apply({}, {}, [rows, np.array([[True, False, True, False]])])[0], [[2.0, 3.0]])
    passed = L.Dense(2)(x, mask=keep)
    assert passed.mask is keep
    with pytest.raises(GraphError, match="'keep'"):
        jg.Model(x, Mean()(x, mask=keep))


def test_a_mask_by_hand_replaces_the_one_that_is_carried() -> None:
    t, keep = text(), jg.Input((4,), dtype="bool", name="keep")
    layer = Mean()
    e = embedded(t)
    model = jg.Model([t, keep], [layer(e), layer(e, mask=keep)])
    params, state = model.init(KEY)
    automatic, by_hand = model.apply(params, state, [TOKENS, np.ones((3, 4), bool)])[0]
    assert not np.allclose(automatic[0], by_hand[0])
    np.testing.assert_allclose(automatic[1], by_hand[1], rtol=1e-6)
    again = pickle.loads(pickle.dumps(model))
    jax.tree.map(
        np.testing.assert_array_equal,
        again.apply(params, state, [TOKENS, np.ones((3, 4), bool)])[0],
        [automatic, by_hand],
    )


def test_several_inputs_give_a_tuple_with_one_mask_each() -> None:
    one, other = text("one"), text("other")
    x = jg.Input((2,), name="x")
    model = jg.Model([one, other, x], Every()(embedded(one), x, embedded(other)))
    params, state = model.init(KEY)
    counts = model.apply(params, state, [TOKENS, TOKENS, np.ones((3, 2))])[0]
    np.testing.assert_array_equal(counts, [[2, -1, 2], [4, -1, 4], [0, -1, 0]])


def test_a_constant_beside_the_one_input_changes_nothing_about_its_mask() -> None:
    class Shifted(jg.Layer):
        def apply(
            self, params: Any, state: Any, x: Any, by: Any, *, mask: Any = None, train: bool = False, key: Any = None
        ) -> Any:
            return Mean().apply(params, state, x + by, mask=mask)

    t = text()
    e = embedded(t)
    model = jg.Model(t, [Shifted()(e, 0.0), Mean()(e)])
    one, other = model.apply(*model.init(KEY), TOKENS)[0]
    np.testing.assert_array_equal(one, other)


def test_merging_layers_follow_the_rules_of_keras() -> None:
    one, other, plain = embedded(text("one")), embedded(text("other")), jg.Input((4, 2))
    assert L.add([one, plain]).mask is None
    both = jg.Model([one.call.args[0], other.call.args[0]], L.add([one, other]).mask)
    left, right = np.array([[1, 0, 0, 1]], np.int32), np.array([[0, 0, 2, 2]], np.int32)
    np.testing.assert_array_equal(both.apply(*both.init(KEY), [left, right])[0], [[True, False, True, True]])
    joined = jg.Model([one.call.args[0], other.call.args[0]], L.concatenate([one, other], axis=1).mask)
    np.testing.assert_array_equal(
        joined.apply(*joined.init(KEY), [left, right])[0], [[True, False, False, True, False, False, True, True]]
    )


def test_masks_go_into_and_out_of_nested_models() -> None:
    x = jg.Input((None, 2), name="x")
    inner = jg.Model(x, {"steps": L.Dense(2)(x), "mean": Mean()(x)}, name="inner")
    assert inner.outputs["steps"].mask is None
    t = text()
    drawn = inner(embedded(t))
    assert drawn["steps"].mask is not None
    assert drawn["mean"].mask is None
    model = jg.Model(t, {**drawn, "after": Mean()(drawn["steps"])})
    params, state = model.init(KEY)
    outputs = model.apply(params, state, TOKENS)[0]
    cut = jg.Model(t, embedded(t))
    values = np.asarray(cut.apply({"embedding": params["embedding"]}, {}, TOKENS)[0])
    np.testing.assert_allclose(outputs["mean"][0], values[0, :2].mean(0), rtol=1e-5)
    np.testing.assert_allclose(outputs["after"][0], np.asarray(outputs["steps"])[0, :2].mean(0), rtol=1e-5)
    assert outputs["mean"][2].tolist() == [0, 0]


def test_a_mask_made_inside_a_nested_model_comes_out() -> None:
    inner_text = text()
    inner = jg.Model(inner_text, embedded(inner_text), name="inner")
    assert inner.outputs.mask is not None
    t = text()
    model = jg.Model(t, Mean()(inner(t)))
    params, state = model.init(KEY)
    values = np.asarray(inner.apply(params["inner"], {}, TOKENS)[0])
    np.testing.assert_allclose(model.apply(params, state, TOKENS)[0][0], values[0, :2].mean(0), rtol=1e-5)


def test_masks_pass_through_two_borders_and_through_copies() -> None:
    x = jg.Input((None, 2), name="x")
    inner = jg.Model(x, L.Dense(2)(x), name="inner")
    y = jg.Input((None, 2), name="y")
    outer = jg.Model(y, inner(inner(y)), name="outer")
    t = text()
    model = jg.Model(t, Mean()(outer(embedded(t))))
    params, state = model.init(KEY)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.apply(params, state, TOKENS)[0], again.apply(params, state, TOKENS)[0])
    assert [n.mask for n in again.nodes] == [n.mask for n in model.nodes]


def test_an_output_keeps_its_mask() -> None:
    t = text()
    model = jg.Model({"t": t}, {"y": L.Dense(2)(embedded(t))})
    assert model.outputs["y"].mask is not None
    assert model.outputs["y"].mask.call.path == "embedding"


def test_a_model_cut_behind_a_mask_takes_the_mask_as_an_input() -> None:
    t = text()
    model = jg.Model(t, Mean()(L.Dense(2)(embedded(t))))
    params, state = model.init(KEY)
    e = model.output_of("embedding")
    with pytest.raises(GraphError, match=r"'text'.*jg\.Model\(\[x, x\.mask\], \.\.\.\)"):
        jg.Model(e, model.outputs)
    second = jg.Model([e, e.mask], model.outputs)
    first = jg.Model(model.inputs, [e, e.mask])
    middle = first.apply(first.select(params), state, TOKENS)[0]
    expected = model.apply(params, state, TOKENS)[0]
    again = pickle.loads(pickle.dumps(second))
    symbols = [jg.Input((4, 2)), jg.Input((4,), dtype="bool")]
    called = jg.Model(symbols, second(symbols))
    for cut, own in [
        (second, second.select(params)),
        (again, again.select(params)),
        (called, {"model": second.select(params)}),
    ]:
        np.testing.assert_array_equal(cut.apply(own, state, middle)[0], expected)


def test_a_model_that_reads_a_mask_which_other_inputs_do_not_bring_says_so() -> None:
    class Unless(Pass):
        def pass_mask(self, mask: Any, *inputs: Any) -> Any:
            return inputs[0][..., 0] > 0 if mask is None else None

    x, y = jg.Input((4, 2)), jg.Input((4, 2))
    inner = jg.Model([x, y], Mean()(y, mask=Unless()(x).mask))
    assert jg.Model([x, y], inner([x, y])).outputs.shape[1:] == (2,)
    with pytest.raises(SymbolError, match=r"Unless\(\).*Draw the model for masked inputs"):
        inner([embedded(text()), y])


def test_summary_shows_where_masks_are_made_handed_on_and_end() -> None:
    t = text()
    keep = jg.Input((4,), dtype="bool", name="keep")
    x = jg.Input((4, 2), name="x")
    y = L.Flatten(name="flat")(L.Dense(2, name="dense")(embedded(t)))
    lines = jg.Model([t, x, keep], [y, Mean(name="mean")(x, mask=keep)]).summary().splitlines()
    column = {line.split()[0]: line for line in lines if line.strip()}
    assert column["embedding"].endswith("made here")
    assert column["dense"].endswith("from embedding")
    assert column["flat"].endswith("ends here")
    assert column["text"].endswith("-")
    assert "x, mask=keep" in column["mean"]
    assert column["mean"].endswith("ends here")


@pytest.mark.parametrize("kind", ["model", "stack"])
def test_a_mask_set_by_hand_reaches_into_a_nested_model(kind: str) -> None:
    """As if the input had carried it: what is masked changes nothing, in a copy of the model too."""
    frames = jg.Input((4, 3), name="frames")
    nested: Any = (
        jg.Sequential([jg.layers.LSTM(2)], name="nested")
        if kind == "stack"
        else jg.Model(frames, jg.layers.LSTM(2)(frames), name="nested")
    )
    x, keep = jg.Input((4, 3), name="x"), jg.Input((4,), dtype="bool", name="keep")
    model = jg.Model([x, keep], [nested(x, mask=keep), nested(x)])
    params, state = model.init(jax.random.key(0))
    given = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    mask = np.array([[True, True, False, False], [True, False, True, True]])
    masked, plain = model.apply(params, state, [given, mask])[0]
    noisy = np.where(mask[..., None], given, 9.0).astype("float32")
    np.testing.assert_array_equal(model.apply(params, state, [noisy, mask])[0][0], masked)
    assert not np.array_equal(masked, plain)
    copied = pickle.loads(pickle.dumps(model)).apply(params, state, [given, mask])[0]
    np.testing.assert_array_equal(copied[0], masked)
    np.testing.assert_array_equal(copied[1], plain)


def test_one_mask_for_each_input_of_a_nested_model() -> None:
    a, b = jg.Input((4, 3), name="a"), jg.Input((4, 3), name="b")
    nested = jg.Model([a, b], [jg.layers.LSTM(2)(a), jg.layers.LSTM(2)(b)], name="nested")
    x, keep = jg.Input((4, 3), name="x"), jg.Input((4,), dtype="bool", name="keep")
    model = jg.Model([x, keep], nested([x, 2 * x], mask=[None, keep]))
    masks = [node.mask for node in model.nodes if isinstance(node.layer, jg.layers.LSTM)]
    assert [mask is None for mask in masks] == [True, False]


def tagged() -> tuple[jg.Model, np.ndarray, np.ndarray]:
    """A label for every token: Embedding, LSTM, TimeDistributed; with tokens and labels."""
    t = text()
    hidden = L.LSTM(3, return_sequences=True)(embedded(t))
    model = jg.Model(t, L.TimeDistributed(L.Dense(4), name="tags")(hidden))
    return model, TOKENS, np.array([[1, 3, -1, -1], [0, 2, 2, 3], [-1, -1, -1, -1]], np.int32)


def test_masked_steps_are_out_of_loss_and_metric_of_a_sequence() -> None:
    """Against float64: the mean over the steps of all rows that count, in evaluate and in the step."""
    model, tokens, labels = tagged()
    trainer = jg.Trainer(model, optax.sgd(0.0), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    train_state = trainer.init(KEY)
    scores = np.asarray(model.apply(train_state.params, train_state.model_state, tokens)[0], "float64")
    counts = tokens != 0
    chosen = np.take_along_axis(scores, np.maximum(labels, 0)[..., None], -1)[..., 0]
    loss = (np.log(np.exp(scores).sum(-1)) - chosen)[counts].mean()
    accuracy = (scores.argmax(-1) == labels)[counts].mean()
    for logs in (
        trainer.evaluate(train_state, (tokens, labels)),
        trainer.evaluate(train_state, (tokens, labels), batch_size=2),
        trainer.step(train_state, (tokens, labels))[1],
    ):
        np.testing.assert_allclose(logs["loss"], loss, rtol=1e-5)
        np.testing.assert_allclose(logs["accuracy"], accuracy, rtol=1e-6)


def test_what_stands_at_masked_steps_moves_no_weight() -> None:
    model, tokens, labels = tagged()
    trainer = jg.Trainer(model, optax.sgd(0.1), loss="sparse_categorical_crossentropy")
    train_state = trainer.init(KEY)
    params = train_state.params
    noisy = {**params, "embedding": {"embeddings": params["embedding"]["embeddings"].at[0].set(9.0)}}
    moved = [
        trainer.step(train_state.replace(params=p), (tokens, np.where(tokens != 0, labels, other)))[0].params
        for p, other in ((params, 0), (noisy, 2))
    ]
    for part in ("lstm", "tags"):
        jax.tree.map(np.testing.assert_array_equal, moved[0][part], moved[1][part])
    np.testing.assert_array_equal(moved[0]["embedding"]["embeddings"][1:], moved[1]["embedding"]["embeddings"][1:])
    np.testing.assert_array_equal(moved[1]["embedding"]["embeddings"][0], [9.0, 9.0])


def test_masks_of_the_new_layers_cross_the_borders_of_models() -> None:
    """Attention inside reads masks from outside; the mask that Masking makes inside comes out."""
    a, b = jg.Input((None, 2), name="a"), jg.Input((None, 2), name="b")
    y = L.MultiHeadAttention(1, 2)(L.Identity()(a), b)
    inner = jg.Model([a, b], L.TimeDistributed(L.Dense(2))(L.add([y, a])), name="inner")
    steps = jg.Input((None, 2), name="steps")
    made = jg.Model(steps, L.Masking()(steps), name="made")
    one, two = jg.Input((4, 2), name="one"), jg.Input((4, 2), name="two")
    drawn = inner([made(one), made(two)])
    model = jg.Model([one, two], L.GlobalMaxPooling1D()(drawn))
    params, state = model.init(KEY)
    x = np.random.default_rng(0).normal(size=(2, 2, 4, 2)).astype("float32")
    x[0, :, 3], x[1, :, 2:] = 0, 0
    short = jg.Model([a, b], L.GlobalMaxPooling1D()(inner([a, b])))
    want = short.apply({"inner": params["inner"]}, {}, [x[0, :, :3], x[1, :, :2]])[0]
    np.testing.assert_allclose(model.apply(params, state, [*x])[0], want, rtol=1e-5, atol=1e-6)


def test_summary_shows_where_the_masks_of_the_new_layers_end() -> None:
    t = text()
    e = embedded(t)
    y = L.TimeDistributed(L.Dense(2), name="each")(L.MultiHeadAttention(1, 2, name="heads")(e, e))
    outputs = [
        L.GlobalMaxPooling1D(name="largest")(y),
        L.AveragePooling1D(2, name="windows")(L.Subtract(name="minus")([y, e])),
        L.Dot(1, name="products")([L.Masking(name="again")(y), e]),
    ]
    lines = jg.Model(t, outputs).summary().splitlines()
    column = {line.split()[0]: line.rstrip() for line in lines if line.strip()}
    for name, end in {
        "heads": "from embedding",
        "each": "from embedding",
        "minus": "made here",
        "again": "made here",
        "largest": "ends here",
        "windows": "ends here",
        "products": "ends here",
    }.items():
        assert column[name].endswith(end), column[name]
