"""Pairs of stax as layers: what they compute is what stax's `apply_fun` computes."""

import pickle
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.example_libraries import stax

import jgraph as jg
from jgraph.errors import RandomKeyError, SaveError, ShapeError
from jgraph.keys import fold
from tests.layers.adapting import (
    KEY,
    X,
    assert_close,
    assert_copies,
    assert_saves,
    assert_shared,
    assert_trains_and_resumes,
    drawn,
    value_and_grads,
)

IMAGES = np.random.default_rng(1).normal(size=(3, 6, 6, 2)).astype("float32")

PAIRS = {
    "serial": (stax.serial(stax.Dense(4), stax.Tanh, stax.serial(stax.Dense(3), stax.Identity)), X, False),
    "parallel": (
        stax.serial(stax.FanOut(2), stax.parallel(stax.Dense(4), stax.serial(stax.Dense(4), stax.Relu)), stax.FanInSum),
        X,
        False,
    ),
    "Dropout": (stax.serial(stax.Dense(4), stax.Dropout(0.6), stax.Dense(4)), X, True),
    "convolutional": (
        stax.serial(stax.Conv(4, (3, 3), padding="SAME"), stax.BatchNorm(), stax.Relu, stax.Flatten),
        IMAGES,
        True,
    ),
    "shape_dependent": (stax.shape_dependent(lambda shape: stax.Dense(shape[-1] - 1)), X, False),
}


@pytest.mark.parametrize("case", PAIRS)
def test_outputs_and_gradients_are_those_of_stax(case: str) -> None:
    (init, apply), x, train = PAIRS[case]
    model, params, state = drawn(jg.as_layer(init, apply, name="it"), x.shape[1:])
    made = init(fold(jax.random.key(0), "it"), x.shape)[1]
    structure = jax.tree.structure(made)
    assert_close(jax.tree.leaves(params), jax.tree.leaves(made))  # fewer than ten places: the same order as strings
    rng = fold(KEY, "it", 0) if train else jax.random.key(0)

    def ours(params: Any, x: Any) -> Any:
        return model.apply(params, state, x, train=train, key=KEY if train else None)

    def theirs(params: Any, x: Any) -> Any:
        return apply(jax.tree.unflatten(structure, jax.tree.leaves(params)), x, rng=rng), {}

    assert_close(value_and_grads(ours, params, x), value_and_grads(theirs, params, x))


def test_params_are_nested_dicts_of_places() -> None:
    _, params, state = drawn(jg.as_layer(PAIRS["serial"][0], name="it"))
    assert jax.tree.map(jnp.shape, params) == {
        "it": {"0": {"0": (5, 4), "1": (4,)}, "2": {"0": {"0": (4, 3), "1": (3,)}}}
    }
    assert state == {}


def test_more_than_ten_layers_keep_their_places() -> None:
    init, apply = stax.serial(*[stax.Dense(5)] * 11, stax.Dense(2))
    model, params, state = drawn(jg.as_layer(init, apply, name="it"))
    assert params["it"]["11"]["0"].shape == (5, 2)
    assert_close(model.apply(params, state, X)[0], apply(init(fold(jax.random.key(0), "it"), X.shape)[1], X))


def test_params_that_are_one_array_and_params_that_are_numbers() -> None:
    def init_fun(rng: Any, input_shape: Any) -> Any:
        return input_shape, 2.0

    model, params, state = drawn(jg.as_layer(init_fun, lambda params, inputs: params * inputs, name="it"))
    assert not params["it"]["value"].weak_type
    assert_close(model.apply(params, state, X, train=True)[0], 2 * X)


def test_a_pair_may_be_given_as_one_or_as_two() -> None:
    for layer in (jg.as_layer(stax.Dense(3)), jg.as_layer(*stax.Dense(3))):
        assert isinstance(layer, jg.layers.StaxPair)


def test_several_inputs_are_one_tuple() -> None:
    x, y = jg.Input((5,), name="x"), jg.Input((2,), name="y")
    model = jg.Model([x, y], jg.as_layer(stax.serial(stax.FanInConcat(), stax.Dense(3)), name="it")(x, y))
    params, state = model.init(KEY)
    assert params["it"]["1"]["0"].shape == (7, 3)
    joined = np.concatenate([X, X[:, :2]], axis=1)
    want = joined @ params["it"]["1"]["0"] + params["it"]["1"]["1"]
    assert_close(model.apply(params, state, [X, X[:, :2]])[0], want)


def test_dropout_draws_by_the_key_and_its_mode_is_stax_s_own() -> None:
    dropping, keeping = (jg.as_layer(stax.Dropout(0.5, mode=mode), name="it") for mode in ("train", "test"))
    model, params, state = drawn(dropping)
    assert_close(model.apply(params, state, X), model.apply(params, state, X))
    assert (np.asarray(model.apply(params, state, X)[0]) == 0).any()
    first, other = (np.asarray(model.apply(params, state, X, train=True, key=k)[0]) for k in (KEY, jax.random.key(2)))
    assert (first != other).any()
    model, params, state = drawn(keeping)
    np.testing.assert_array_equal(model.apply(params, state, X, train=True, key=KEY)[0], X)


def test_train_is_told_to_those_who_take_it() -> None:
    def dropout(rate: float) -> Any:
        (init_fun, drop), (_, keep) = stax.Dropout(rate), stax.Dropout(rate, mode="test")

        def apply_fun(params: Any, inputs: Any, train: bool = False, **options: Any) -> Any:
            return (drop if train else keep)(params, inputs, **options)

        return init_fun, apply_fun

    model, params, state = drawn(jg.as_layer(stax.serial(stax.Identity, dropout(0.5)), name="it"))
    np.testing.assert_array_equal(model.apply(params, state, X)[0], X)
    assert (np.asarray(model.apply(params, state, X, train=True, key=KEY)[0]) == 0).any()


def test_a_missing_key_is_an_error_with_its_cure() -> None:
    model, params, state = drawn(jg.as_layer(stax.Dropout(0.5), name="it"))
    with pytest.raises(RandomKeyError, match=r"as_layer\(.*key=jax\.random\.key\(0\)"):
        model.apply(params, state, X, train=True)


def test_free_axes_stay_free() -> None:
    model, params, state = drawn(jg.as_layer(stax.Dense(3), name="it"), (None, 5))
    for steps in (2, 7):
        assert model.apply(params, state, np.ones((4, steps, 5), "float32"))[0].shape == (4, steps, 3)


def test_it_trains_and_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    assert_trains_and_resumes(
        jg.as_layer(stax.serial(stax.Dense(4), stax.Relu, stax.Dropout(0.9)), name="it"), tmp_path
    )


def test_it_is_shared_nests_is_saved_and_copied(tmp_path: Path) -> None:
    layer = jg.as_layer(stax.serial(stax.Dense(4), stax.Relu), name="it")
    assert_shared(layer)
    assert_saves(layer, tmp_path)
    assert_copies(layer, pickles=False)
    with pytest.raises(SaveError, match=r"as_layer\(.*with def"):
        pickle.dumps(drawn(layer)[0])


def test_it_nests() -> None:
    inner, x = jg.Input((5,), name="inner"), jg.Input((5,), name="x")
    tower = jg.Model(inner, jg.as_layer(stax.Dense(4), name="it")(inner), name="tower")
    model = jg.Model(x, jg.Sequential([jg.as_layer(stax.Relu), jg.as_layer(stax.Dense(2))])(tower(x)))
    params, state = model.init(KEY)
    assert jax.tree.map(jnp.shape, params) == {
        "tower": {"it": {"0": (5, 4), "1": (4,)}},
        "sequential": {"stax_1": {"0": (4, 2), "1": (2,)}},
    }
    assert model.apply(params, state, X)[0].shape == (8, 2)


def test_names() -> None:
    layer = jg.as_layer(stax.Relu)
    assert (layer.default_name(), layer.describe()) == ("stax", "stax pair")
    assert [repr(layer), repr(jg.as_layer(stax.Relu, name="it"))] == [
        "as_layer(init_fun, apply_fun)",
        "as_layer(..., name='it')",
    ]


def test_a_wrong_call_is_refused_when_drawn() -> None:
    with pytest.raises(ShapeError, match=r"as_layer\("):
        drawn(jg.as_layer(stax.MaxPool((2, 2))), (5,))
