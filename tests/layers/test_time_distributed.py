"""A layer on each time step: as a loop over the steps, with params, state, keys, masks and penalties handed on."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg

L = jg.layers
X = np.random.default_rng(0).normal(size=(2, 3, 4, 2)).astype("float32")


class Squares(L.Dense):
    """A layer whose outputs' squares are a penalty."""

    def penalty(self, params: Any, inputs: tuple, outputs: Any) -> Any:
        return jnp.sum(outputs**2)


def stack() -> Any:
    return jg.Sequential([L.Dense(3, "relu"), L.LSTM(2)])


def model() -> jg.Model:
    x = jg.Input((4, 2), name="x")
    return jg.Model(x, {"last": L.LSTM(2)(x), "mean": L.GlobalAveragePooling1D()(x)})


INNER = {
    "layer": lambda: L.LSTM(3, return_sequences=True, return_state=True),
    "stack": stack,
    "model": model,
    "flax": lambda: jg.as_layer(nn.Dense(3)),
    "op": lambda: jg.op(jnp.sin),
    "itself": lambda: L.TimeDistributed(L.Dense(3)),
}


@pytest.mark.parametrize("kind", INNER)
@pytest.mark.parametrize("time", [3, None], ids=["known", "free"])
def test_it_is_a_loop_over_the_steps(kind: str, time: int | None) -> None:
    inner = INNER[kind]()
    x = jg.Input((time, 4, 2), name="x")
    drawn = jg.Model(x, L.TimeDistributed(inner, name="each")(x))
    params, state = drawn.init(jax.random.key(0))
    own, kept = params.get("each", {}), state.get("each", {})
    made = jax.eval_shape(inner.init, jax.random.key(0), jax.ShapeDtypeStruct((2, 4, 2), "float32"))
    assert jax.tree.map(jnp.shape, (own, kept)) == jax.tree.map(jnp.shape, made)
    got = jax.jit(drawn.apply)(params, state, X)[0]
    steps = [inner.apply(own, kept, X[:, t])[0] for t in range(3)]
    want = jax.tree.map(lambda *ys: np.stack(ys, axis=1), *steps)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, want)


def test_batch_statistics_are_over_all_steps_that_count() -> None:
    x = jg.Input((3, 4), name="x")
    keep = jg.Input((3,), "bool", name="keep")
    layer = L.TimeDistributed(L.BatchNormalization(momentum=0.0), name="each")
    drawn = jg.Model([x, keep], [layer(x, mask=keep)])
    assert drawn.mixes_rows
    assert not jg.Model(x, L.TimeDistributed(jg.Sequential([L.Dense(2), L.Dropout(0.1)]))(x)).mixes_rows
    given, mask = X[..., 0], np.array([[1, 1, 0], [1, 0, 0]], bool)
    state = drawn.apply(*drawn.init(jax.random.key(0)), [given, mask], train=True)[1]
    np.testing.assert_allclose(state["each"]["moving_mean"], given[mask].astype("float64").mean(0), rtol=1e-5)


def test_every_step_draws_its_own_noise() -> None:
    y, _ = L.TimeDistributed(L.Dropout(0.5)).apply({}, {}, jnp.ones((1, 8, 64)), train=True, key=jax.random.key(0))
    assert len({tuple(np.asarray(step)) for step in y[0]}) == 8


def test_the_penalty_is_that_of_all_steps() -> None:
    x = jg.Input((4, 2), name="x")
    trainer = jg.Trainer(jg.Model(x, L.TimeDistributed(Squares(1))(x)), optax.sgd(0.1), loss="mse")
    train_state = trainer.init(jax.random.key(0))
    y = np.asarray(trainer.predict(train_state, X[:, 0]), "float64")
    logs = trainer.evaluate(train_state, (X[:, 0], np.zeros((2, 4, 1), "float32")))
    np.testing.assert_allclose(logs["loss"], (y**2).mean() + (y**2).sum(), rtol=1e-5)


def test_what_is_looked_up_in_a_step_is_known() -> None:
    assert L.TimeDistributed(L.Embedding(7, 2)).index_range() == 7
    assert L.TimeDistributed(L.Dense(2)).index_range() is None


class TestMasks:
    """Words within sentences: masks of two levels."""

    text = np.array([[[1, 2, 0], [3, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 4, 0], [1, 1, 1]]], "int32")

    def drawn(self) -> tuple[Any, Any]:
        text = jg.Input((3, 3), "int32", name="text")
        return text, L.TimeDistributed(L.Embedding(5, 2, mask_zero=True))(text)

    def test_a_mask_that_the_inner_layer_makes_goes_on(self) -> None:
        text, words = self.drawn()
        model = jg.Model(text, words.mask)
        np.testing.assert_array_equal(model.apply(*model.init(jax.random.key(0)), self.text)[0], self.text != 0)

    def test_a_step_counts_where_anything_in_it_does(self) -> None:
        text, words = self.drawn()
        sentences = L.TimeDistributed(L.LSTM(2))(words)
        model = jg.Model(text, {"mask": sentences.mask, "all": L.LSTM(2)(sentences)})
        params, state = model.init(jax.random.key(0))
        outputs = model.apply(params, state, self.text)[0]
        np.testing.assert_array_equal(outputs["mask"], (self.text != 0).any(-1))
        moved = self.text[:, [0, 1, 2]].copy()
        moved[0, 1] = [0, 0, 3]  # the same words, at masked places before them
        np.testing.assert_array_equal(model.apply(params, state, moved)[0]["all"], outputs["all"])

    def test_a_masked_step_is_masked_whole_and_the_mask_goes_on(self) -> None:
        x, keep = jg.Input((3, 4, 2), name="x"), jg.Input((3,), "bool", name="keep")
        y = L.TimeDistributed(L.LSTM(2))(x, mask=keep)
        assert y.mask is keep
        assert L.TimeDistributed(L.Dense(2))(x, mask=keep).mask is keep
        assert L.TimeDistributed(stack())(x, mask=keep).mask is keep
        model = jg.Model([x, keep], y)
        mask = np.array([[True, False, True], [False, True, True]])
        out = np.asarray(model.apply(*model.init(jax.random.key(0)), [X, mask])[0])
        np.testing.assert_array_equal(out.any(-1), mask)
        assert L.TimeDistributed(L.LSTM(2, return_sequences=True))(x, mask=keep).mask is keep


def test_logits_of_each_step() -> None:
    x = jg.Input((4, 2), name="x")
    model = jg.Model(x, L.TimeDistributed(L.Dense(3))(x))
    trainer = jg.Trainer(model, optax.sgd(0.1), loss="sparse_categorical_crossentropy")
    train_state = trainer.init(jax.random.key(0))
    labels = np.array([[0, 1, 2, 1], [2, 2, 0, 1]], "int32")
    scores = np.asarray(trainer.predict(train_state, X[:, 0]), "float64")
    chosen = np.take_along_axis(scores, labels[..., None], -1)[..., 0]
    want = (np.log(np.exp(scores).sum(-1)) - chosen).mean()
    np.testing.assert_allclose(trainer.evaluate(train_state, (X[:, 0], labels))["loss"], want, rtol=1e-5)
    assert L.TimeDistributed(L.Dense(3, "softmax")).opened()[1] is jax.nn.softmax
    assert L.TimeDistributed(L.Dense(3, "relu")).opened()[1] is jax.nn.relu
    assert L.TimeDistributed(L.LSTM(3)).logits == "unknown"
