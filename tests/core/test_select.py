"""A sub-model's part of a larger tree: found by layer or by a name that was handed on, never by a coincidence."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, KeyMismatchError, ShapeError

L = jg.layers
Dense = L.Dense
KEY = jax.random.key(5)
ROWS = np.arange(12, dtype=np.float32).reshape(3, 4) / 10


def autoencoder() -> tuple[Any, Any, jg.Model, Any]:
    """Four layers of one shape, so that nothing but the drawing tells them apart."""
    x = jg.Input((4,))
    code = Dense(4, activation="tanh")(Dense(4, activation="tanh")(x))
    image = Dense(4)(Dense(4, activation="tanh")(code))
    model = jg.Model(x, image)
    return x, code, model, model.init(KEY)[0]


def test_encoder_and_decoder_drawn_from_fresh_symbols() -> None:
    x, code, model, params = autoencoder()
    encoder = jg.Model(x, code)
    decoder_start = jg.Input((4,))
    last, before = model.layers["dense_3"], model.layers["dense_2"]
    decoder = jg.Model(decoder_start, last(before(decoder_start)))
    assert list(decoder.params_spec) == ["dense", "dense_1"]  # counted anew
    halves = encoder.select(params, of=model), decoder.select(params, of=model)
    np.testing.assert_array_equal(halves[1]["dense"]["kernel"], params["dense_2"]["kernel"])
    np.testing.assert_array_equal(halves[1]["dense_1"]["kernel"], params["dense_3"]["kernel"])
    middle, _ = encoder.apply(halves[0], {}, ROWS)
    np.testing.assert_array_equal(decoder.apply(halves[1], {}, middle)[0], model.apply(params, {}, ROWS)[0])


def test_encoder_and_decoder_cut_with_output_of() -> None:
    _, _, model, params = autoencoder()
    encoder = jg.Model(model.inputs, model.output_of("dense_1"))
    decoder = jg.Model(model.output_of("dense_1"), model.outputs)
    assert list(decoder.params_spec) == ["dense_2", "dense_3"]
    for of in (None, model):
        halves = encoder.select(params, of=of), decoder.select(params, of=of)
        middle, _ = encoder.apply(halves[0], {}, ROWS)
        np.testing.assert_array_equal(decoder.apply(halves[1], {}, middle)[0], model.apply(params, {}, ROWS)[0])


def test_a_middle_tensor_of_the_fresh_drawing() -> None:
    _, code, model, params = autoencoder()
    decoder = jg.Model(code, model.outputs)
    encoder = jg.Model(model.inputs, code)
    middle, _ = encoder.apply(encoder.select(params, of=model), {}, ROWS)
    part = decoder.select(params, of=model)
    np.testing.assert_array_equal(decoder.apply(part, {}, middle)[0], model.apply(params, {}, ROWS)[0])


def test_names_counted_anew_never_pick_by_coincidence() -> None:
    _, _, model, params = autoencoder()
    start = jg.Input((4,))
    last = model.layers["dense_3"]
    decoder = jg.Model(start, last(start))
    assert list(decoder.params_spec) == ["dense"]  # the same name and shape as the first layer's
    with pytest.raises(KeyMismatchError, match=r"'dense'.*sub\.select\(tree, of=model\)"):
        decoder.select(params)
    np.testing.assert_array_equal(decoder.select(params, of=model)["dense"]["kernel"], params["dense_3"]["kernel"])


def test_a_stranger_of_the_same_shape_is_refused() -> None:
    _, _, model, params = autoencoder()
    x = jg.Input((4,))
    stranger = jg.Model(x, Dense(4)(x))
    with pytest.raises(KeyMismatchError):
        stranger.select(params, of=model)
    with pytest.raises(KeyMismatchError):
        stranger.select(params)
    half = jg.Model(model.inputs, Dense(4)(model.output_of("dense")))
    with pytest.raises(KeyMismatchError, match=r"'dense_1'.*which is not.*output_of"):
        half.select(params, of=model)


def test_explicit_names_find_their_part_between_models_drawn_separately() -> None:
    def draw(tail: bool) -> jg.Model:
        x = jg.Input((4,))
        h = Dense(4, name="first")(x)
        return jg.Model(x, Dense(4, name="second")(h) if tail else h)

    large, small = draw(True), draw(False)
    params, _ = large.init(KEY)
    for of in (None, large):
        part = small.select(params, of=of)
        np.testing.assert_array_equal(part["first"]["kernel"], params["first"]["kernel"])
        assert list(part) == ["first"]


def test_a_whole_tree_selects_itself_and_of_an_equal_drawing() -> None:
    _, _, model, params = autoencoder()
    jax.tree.map(np.testing.assert_array_equal, model.select(params), params)
    jax.tree.map(np.testing.assert_array_equal, model.select(params, of=model), params)
    other = autoencoder()[2]
    jax.tree.map(np.testing.assert_array_equal, other.select(params), params)


def test_state_is_selected_like_params() -> None:
    x = jg.Input((4,))
    model = jg.Model(x, Dense(2)(L.BatchNormalization()(Dense(3)(L.BatchNormalization()(x)))))
    params, state = model.init(KEY)
    state = jax.tree.map(lambda s: s + 1, state)
    tail = jg.Model(model.output_of("dense"), model.outputs)
    for of in (None, model):
        assert set(tail.select(state, of=of)) == {"batch_normalization_1"}
        assert set(tail.select(params, of=of)) == {"batch_normalization_1", "dense_1"}
    middle = jg.Model(model.inputs, model.output_of("dense"))
    values, _ = middle.apply(middle.select(params), middle.select(state), ROWS)
    np.testing.assert_allclose(
        tail.apply(tail.select(params), tail.select(state), values)[0], model.apply(params, state, ROWS)[0], rtol=1e-6
    )
    stateless = jg.Model(model.output_of("batch_normalization_1"), model.outputs)
    assert stateless.select(state, of=model) == {}
    assert stateless.select(state) == {}


def test_parts_of_nested_models_keep_their_place() -> None:
    y = jg.Input((4,))
    inner = jg.Model(y, Dense(4)(Dense(4)(y)), name="inner")
    x = jg.Input((4,))
    model = jg.Model(x, Dense(4)(inner(x)))
    params, _ = model.init(KEY)
    part = inner.select(params, of=model)
    jax.tree.map(np.testing.assert_array_equal, part, params["inner"])
    whole = jg.Model(model.inputs, model.output_of("inner"))
    assert set(whole.select(params)) == {"inner"}
    last = jg.Model(model.output_of("inner/dense"), model.output_of("inner"))
    np.testing.assert_array_equal(
        last.select(params)["inner"]["dense_1"]["kernel"], params["inner"]["dense_1"]["kernel"]
    )


def test_gradients_and_other_trees_of_the_same_leaves_are_selected_too() -> None:
    _, _, model, params = autoencoder()
    gradient = jax.grad(lambda p: model.apply(p, {}, ROWS)[0].sum())(params)
    encoder = jg.Model(model.inputs, model.output_of("dense"))
    np.testing.assert_array_equal(encoder.select(gradient)["dense"]["kernel"], gradient["dense"]["kernel"])


def test_wrong_trees_are_refused() -> None:
    _, _, model, params = autoencoder()
    encoder = jg.Model(model.inputs, model.output_of("dense_1"))
    for wrong in ({"dense": params["dense"]}, {"other": {"w": jnp.ones(1)}}):
        with pytest.raises(KeyMismatchError, match="missing"):
            encoder.select(wrong, of=model)
    with pytest.raises(KeyMismatchError):
        encoder.select({"dense": params["dense"]})
    bent = {**params, "dense": {**params["dense"], "kernel": jnp.ones((5, 4))}}
    for of in (None, model):
        with pytest.raises(ShapeError, match=r"'dense'.*leaf 'kernel'"):
            encoder.select(bent, of=of)


@pytest.mark.parametrize("of", [3, 0, "model", {}, Dense(4), jg.Model], ids=lambda of: getattr(of, "__name__", str(of)))
def test_a_tree_belongs_to_a_model(of: Any) -> None:
    _, _, model, params = autoencoder()
    with pytest.raises(ArgumentError, match=r"select, of: expected a model, got .*Write sub\.select\(tree, of=model\)"):
        model.select(params, of=of)
