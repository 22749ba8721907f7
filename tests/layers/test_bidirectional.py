"""Both directions: as two layers by hand, and what they hand on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, ShapeError

L = jg.layers
X: Any = np.random.default_rng(0).normal(size=(3, 5, 2)).astype("float32")
MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0]], bool)
SPEC = jax.ShapeDtypeStruct(X.shape, X.dtype)


def test_it_is_a_layer_and_its_mirror_image() -> None:
    layer = L.Bidirectional(L.GRU(3, return_sequences=True, return_state=True))
    params, state = layer.init(jax.random.key(0), SPEC)
    assert state == {}
    assert set(params) == {"forward_layer", "backward_layer"}
    y, first, second = layer.apply(params, {}, X, mask=MASK)[0]
    inner = L.GRU(3, return_sequences=True, return_state=True)
    one, h = inner.apply(params["forward_layer"], {}, X, mask=MASK)[0]
    two, g = inner.apply(params["backward_layer"], {}, X[:, ::-1], mask=MASK[:, ::-1])[0]
    want = np.concatenate([one, two[:, ::-1]], -1) * MASK[..., None]
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(first, h, rtol=1e-5)
    np.testing.assert_allclose(second, g, rtol=1e-5)


def test_the_directions_start_and_drop_differently() -> None:
    layer = L.Bidirectional(L.SimpleRNN(3, dropout=0.5), merge_mode=None)
    params, _ = layer.init(jax.random.key(0), SPEC)
    assert (params["forward_layer"]["kernel"] != params["backward_layer"]["kernel"]).all()
    own = {"kernel": jnp.eye(64), "recurrent_kernel": jnp.zeros((64, 64)), "bias": jnp.zeros(64)}
    wide = L.Bidirectional(L.SimpleRNN(64, dropout=0.5), merge_mode=None)
    given = {"forward_layer": own, "backward_layer": own}
    one, two = wide.apply(given, {}, jnp.ones((2, 3, 64)), train=True, key=jax.random.key(0))[0]
    assert (one != two).any()


def test_masks_and_texts_that_end() -> None:
    """A padded text gives what the text alone gives, in both directions, through two layers."""
    text = jg.Input((None,), "int32", name="text")
    y = L.Embedding(6, 2, mask_zero=True)(text)
    y = L.Bidirectional(L.LSTM(3, return_sequences=True))(y)
    assert y.mask is not None
    end = L.Bidirectional(L.GRU(2), merge_mode="ave")(y)
    assert end.mask is None
    model = jg.Model(text, end)
    params, state = model.init(jax.random.key(0))
    alone = model.apply(params, state, np.array([[3, 1, 5]], "int32"))[0]
    within = model.apply(params, state, np.array([[3, 1, 5, 0, 0], [1, 2, 3, 4, 5]], "int32"))[0]
    np.testing.assert_allclose(alone[0], within[0], rtol=1e-5)
    pair = L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode=None)(
        jg.Input((5, 2)), mask=jg.Input((5,), "bool")
    )
    assert [p.mask is not None for p in pair] == [True, True]


def test_a_drawing_with_initial_states_trains() -> None:
    """Both directions of a decoder start from what both of an encoder end with."""
    source, target = jg.Input((None, 2), name="source"), jg.Input((4, 2), name="target")
    _, *last = L.Bidirectional(L.LSTM(3, return_state=True))(source)
    y = L.Bidirectional(L.LSTM(3, return_sequences=True), name="write")(target, initial_state=last)
    model = jg.Model([source, target], L.Dense(1)(y))
    trainer = jg.Trainer(model, optax.adam(0.05), loss="mse")
    targets = X.sum(axis=(1, 2))[:, None, None] * np.ones((3, 4, 1), "float32")
    run = trainer.fit(([X, X[:, :4]], targets), epochs=30, batch_size=3, progress=False)
    assert run.history["loss"][-1] < 0.5 * run.history["loss"][0]


@pytest.mark.parametrize(("sequences", "state"), [(True, True), (False, False)])
def test_activities_are_regularized_for_each_direction(sequences: bool, state: bool) -> None:
    inner = L.LSTM(2, return_sequences=sequences, return_state=state, activity_regularizer=first_is_dear)
    other = L.GRU(3, go_backwards=True, return_sequences=sequences, return_state=state, activity_regularizer="l2")
    for mode in ("concat", None):
        layer = L.Bidirectional(inner, mode, other)
        params, _ = layer.init(jax.random.key(0), SPEC)
        outputs = layer.apply(params, {}, X)[0]
        want = 0.0
        for name, part in (("forward_layer", inner), ("backward_layer", other)):
            want += part.penalty(params[name], (X,), part.apply(params[name], {}, X)[0])
        np.testing.assert_allclose(layer.penalty(params, (X,), outputs), want, rtol=1e-5)
    with pytest.raises(ArgumentError, match="merge_mode='sum' does not keep its outputs"):
        L.Bidirectional(inner, "sum")


def first_is_dear(y: Any) -> Any:
    """A penalty to which the order of a sequence matters."""
    return jnp.sum(y[:, :1] ** 2) + jnp.sum(jnp.abs(y))


def test_weights_are_regularized_and_constrained_in_both() -> None:
    layer = L.Bidirectional(L.GRU(2, recurrent_regularizer="l1", kernel_constraint="non_neg"))
    params, _ = layer.init(jax.random.key(0), SPEC)
    want = sum(np.abs(np.asarray(p["recurrent_kernel"], "float64")).sum() for p in params.values())
    np.testing.assert_allclose(layer.regularization(params), 0.01 * want, rtol=1e-5)
    assert all((p["kernel"] >= 0).all() for p in layer.constrain(params).values())


def test_sums_are_of_one_width() -> None:
    with pytest.raises(ShapeError, match=r"two layers of one width.*concat"):
        L.Bidirectional(L.GRU(3), "sum", L.GRU(1, go_backwards=True))(jg.Input((5, 2)))
