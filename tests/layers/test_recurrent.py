"""The LSTM against a loop over rows and steps; what masks, dropout and initial states do to recurrent layers."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from tests.references import numpy_layers as reference

RANDOM = np.random.default_rng(0)
X: Any = RANDOM.normal(size=(3, 5, 2)).astype("float32")
MASK: Any = np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0]], bool)
PARAMS = {
    "kernel": RANDOM.normal(size=(2, 12)).astype("float32"),
    "recurrent_kernel": RANDOM.normal(size=(3, 12)).astype("float32"),
    "bias": RANDOM.normal(size=12).astype("float32"),
}


@pytest.mark.parametrize(("backwards", "unroll"), [*itertools.product([False, True], repeat=2)])
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_values(mask: Any, backwards: bool, unroll: bool) -> None:
    layer = jg.layers.LSTM(3, return_sequences=True, return_state=True, go_backwards=backwards, unroll=unroll)
    outputs, state = layer.apply(PARAMS, {}, X, mask=mask)
    for got, want in zip(outputs, reference.lstm(X, PARAMS, mask, backwards), strict=True):
        reference.assert_near(got, want)
    assert state == {}


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_what_is_returned(mask: Any) -> None:
    sequence, h, c = reference.lstm(X, PARAMS, mask)
    for sequences, state in itertools.product([False, True], repeat=2):
        outputs, _ = jg.layers.LSTM(3, return_sequences=sequences, return_state=state).apply(PARAMS, {}, X, mask=mask)
        wanted = [sequence if sequences else h, *([h, c] if state else [])]
        for got, want in zip(outputs if state else [outputs], wanted, strict=True):
            reference.assert_near(got, want)


def test_padded_texts_end_where_they_end() -> None:
    """A mask made by an embedding gives the result of the text alone, also through a second LSTM and backwards."""
    text = jg.Input((None,), "int32", name="text")
    embedded = jg.layers.Embedding(6, 2, mask_zero=True)(text)
    middle = jg.layers.LSTM(3, return_sequences=True, go_backwards=True)(embedded)
    model = jg.Model(text, [jg.layers.LSTM(4)(embedded), jg.layers.LSTM(4)(middle)])
    params, state = model.init(jax.random.key(0))
    alone, _ = model.apply(params, state, np.array([[3, 1, 5]], "int32"))
    within, _ = model.apply(params, state, np.array([[3, 1, 5, 0, 0], [1, 2, 3, 4, 5]], "int32"))
    for a, b in zip(alone, within, strict=True):
        np.testing.assert_allclose(a[0], b[0], rtol=1e-5)


def test_a_mask_goes_on_with_a_sequence_alone() -> None:
    x, mask = jg.Input((5, 2), name="x"), jg.Input((5,), "bool", name="mask")
    assert jg.layers.LSTM(3)(x, mask=mask).mask is None
    assert jg.layers.LSTM(3, return_sequences=True)(x, mask=mask).mask is mask
    sequence, h, c = jg.layers.LSTM(3, return_sequences=True, return_state=True)(x, mask=mask)
    assert (sequence.mask, h.mask, c.mask) == (mask, None, None)


def test_forget_gate_starts_open() -> None:
    spec = jax.ShapeDtypeStruct((1, 5, 2), "float32")
    for layer, want in (
        (jg.layers.LSTM(2), [0, 0, 1, 1, 0, 0, 0, 0]),
        (jg.layers.LSTM(2, unit_forget_bias=False), [0] * 8),
        (jg.layers.LSTM(2, bias_initializer="ones", unit_forget_bias=False), [1] * 8),
    ):
        np.testing.assert_array_equal(layer.init(jax.random.key(0), spec)[0]["bias"], want)
    assert "bias" not in jg.layers.LSTM(2, use_bias=False).init(jax.random.key(0), spec)[0]


def compiled(layer: jg.Layer, train: bool = True) -> Any:
    """The outputs as a function of the key."""
    return jax.jit(lambda key: layer.apply(PARAMS, {}, X, train=train, key=key)[0])


def test_dropout_takes_the_same_inputs_at_every_step() -> None:
    """With the recurrence cut, a step's output shows which inputs were dropped: the same sets at all steps."""
    params = {**PARAMS, "recurrent_kernel": np.zeros((3, 12), "float32"), "kernel": np.zeros((40, 12), "float32")}
    params["kernel"][:, 6:9], params["bias"] = (
        1.0,
        np.repeat(np.array([20, -20, 0, 20], "float32"), 3),
    )  # h = tanh(tanh(sum of x))
    layer = jg.layers.LSTM(3, return_sequences=True, dropout=0.5)
    x = jnp.full((6, 4, 40), 0.01)
    y, _ = layer.apply(params, {}, x, train=True, key=jax.random.key(0))
    kept = np.arctanh(np.arctanh(np.asarray(y, "float64"))) / 0.02
    np.testing.assert_allclose(kept, np.round(kept), atol=1e-2)
    np.testing.assert_array_equal(np.round(kept), np.round(kept)[:, :1] + np.zeros((1, 4, 1)))
    assert len(np.unique(np.round(kept)[:, 0, 0])) > 1
    assert abs(kept.mean() - 20) < 5 * np.sqrt(10 / 6)


@pytest.mark.parametrize("word", ["dropout", "recurrent_dropout"])
def test_dropout_is_for_training_and_follows_the_key(word: str) -> None:
    options: dict[str, Any] = {word: 0.5}
    run, key = compiled(jg.layers.LSTM(3, **options)), jax.random.key(0)
    still = compiled(jg.layers.LSTM(3, **options), train=False)(key)
    np.testing.assert_array_equal(still, compiled(jg.layers.LSTM(3))(key))
    np.testing.assert_array_equal(run(key), run(key))
    assert (run(key) != run(jax.random.key(1))).any()
    assert (run(key) != still).any()


def test_recurrent_dropout_does_not_change_the_first_step() -> None:
    plain, dropped = (
        compiled(jg.layers.LSTM(3, return_sequences=True, recurrent_dropout=rate))(jax.random.key(0))
        for rate in (0.0, 0.9)
    )
    np.testing.assert_allclose(plain[:, 0], dropped[:, 0], rtol=1e-6)
    assert (plain[:, 1] != dropped[:, 1]).any()


class TestInitialStates:
    """Memories that are given: as a list, alone, by place, as symbols."""

    def test_a_sequence_in_two_parts_is_the_whole(self) -> None:
        layer = jg.layers.LSTM(3, return_sequences=True, return_state=True)
        whole, *last = layer.apply(PARAMS, {}, X, mask=MASK)[0]
        first, *between = layer.apply(PARAMS, {}, X[:, :2], mask=MASK[:, :2])[0]
        second, *end = layer.apply(PARAMS, {}, X[:, 2:], between, mask=MASK[:, 2:])[0]
        np.testing.assert_allclose(np.concatenate([first, second], 1), whole, rtol=1e-5, atol=1e-6)
        for got, want in zip(end, last, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)

    def test_ways_to_give_them(self) -> None:
        x, h = jg.Input((5, 2), name="x"), jg.Input((3,), name="h")
        gru = jg.layers.GRU(3)
        ways = [gru(x, initial_state=h), gru(x, initial_state=[h]), gru(x, h), gru(x, [h])]
        model = jg.Model([x, h], ways)
        outputs = model.apply(*model.init(jax.random.key(0)), [X, X[:, 0, :1] + np.ones((3, 3), "float32")])[0]
        for other in outputs[1:]:
            np.testing.assert_array_equal(other, outputs[0])
        assert gru(x, None).shape == gru(x).shape

    def test_the_masks_of_what_is_given_are_left_out(self) -> None:
        x, h = jg.Input((5, 2), name="x"), jg.Input((3, 3), name="h")
        keep, other = jg.Input((5,), "bool", name="keep"), jg.Input((3,), "bool", name="other")
        masked = jg.layers.Identity()(h, mask=other)
        start = jg.op(jnp.sum)(masked, axis=1)
        y = jg.layers.GRU(3, return_sequences=True)(jg.layers.Identity()(x, mask=keep), initial_state=start)
        assert y.mask is not None
        by_hand = jg.layers.GRU(3, return_sequences=True)(x, initial_state=start, mask=keep)
        assert by_hand.mask is keep

    def test_an_encoder_and_a_decoder_train(self) -> None:
        source, target = jg.Input((None, 2), name="source"), jg.Input((5, 2), name="target")
        _, h, c = jg.layers.LSTM(4, return_state=True, name="read")(source)
        y = jg.layers.LSTM(4, return_sequences=True, name="write")(target, initial_state=[h, c])
        model = jg.Model([source, target], jg.layers.Dense(1)(y))
        trainer = jg.Trainer(model, optax.adam(0.05), loss="mse")
        targets = X.sum((1, 2))[:, None, None] * np.ones((3, 5, 1), "float32")
        run = trainer.fit(([X, X], targets), epochs=30, batch_size=3, progress=False)
        assert run.history["loss"][-1] < 0.5 * run.history["loss"][0]
        gradient = jax.grad(lambda p: model.apply(p, {}, [X, X])[0].sum())(run.train_state.params)
        assert np.abs(gradient["read"]["recurrent_kernel"]).max() > 0

    def test_a_row_that_is_masked_whole_gives_it_back(self) -> None:
        h = np.ones((3, 3), "float32")
        for sequences in (False, True):
            y = jg.layers.SimpleRNN(3, return_sequences=sequences).apply(simple(), {}, X, h, mask=MASK)[0]
            np.testing.assert_array_equal(y[2], np.ones(y[2].shape))


def simple() -> Any:
    return {
        "kernel": PARAMS["kernel"][:, :3],
        "recurrent_kernel": PARAMS["recurrent_kernel"][:, :3],
        "bias": np.zeros(3, "float32"),
    }


@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM"])
def test_a_layer_is_its_cell_in_an_rnn(name: str) -> None:
    options: dict[str, Any] = {"dropout": 0.3, "recurrent_dropout": 0.4, "bias_initializer": "ones"}
    layer = getattr(jg.layers, name)(3, **options, return_sequences=True, go_backwards=True)
    taken = jg.layers.RNN(getattr(jg.layers, f"{name}Cell")(3, **options), True, go_backwards=True)
    spec, key = jax.ShapeDtypeStruct(X.shape, X.dtype), jax.random.key(0)
    params = layer.init(key, spec)[0]
    jax.tree.map(np.testing.assert_array_equal, params, taken.init(key, spec)[0])
    outputs = [one.apply(params, {}, X, mask=MASK, train=True, key=key)[0] for one in (layer, taken)]
    np.testing.assert_array_equal(*outputs)


def test_broadcasting_is_never_left_to_ranks() -> None:
    x = jax.ShapeDtypeStruct(X.shape, X.dtype)
    with jax.numpy_rank_promotion("raise"):
        for layer in (
            jg.layers.LSTM(3, dropout=0.1),
            jg.layers.GRU(3, recurrent_dropout=0.1),
            jg.layers.Bidirectional(jg.layers.SimpleRNN(3, return_sequences=True)),
        ):
            params, _ = layer.init(jax.random.key(0), x)
            layer.apply(params, {}, X, mask=MASK, train=True, key=jax.random.key(0))


def test_a_free_number_of_steps_may_be_unrolled() -> None:
    x = jg.Input((None, 2), name="x")
    models = [jg.Model(x, jg.layers.GRU(3, unroll=unroll, name="it")(x)) for unroll in (False, True)]
    params, state = models[0].init(jax.random.key(0))
    one, two = (model.apply(params, state, X)[0] for model in models)
    np.testing.assert_allclose(one, two, rtol=1e-5)
