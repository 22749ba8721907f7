"""Equinox modules as layers: what they compute and change is what the module, mapped over the rows, does."""

import pickle
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, RandomKeyError, SaveError, ShapeError
from jgraph.keys import fold
from tests.layers.adapting import (
    KEY,
    X,
    assert_close,
    assert_copies,
    assert_nests,
    assert_saves,
    assert_shared,
    assert_trains_and_resumes,
    drawn,
    value_and_grads,
)

IMAGES = np.random.default_rng(1).normal(size=(3, 2, 6, 6)).astype("float32")
SEED = jax.random.key(0)


class Block(eqx.Module):
    """Several layers, one with a state and one that draws; it asks for a key as Equinox's own examples do."""

    first: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    drop: eqx.nn.Dropout
    last: eqx.nn.Linear

    def __init__(self, key: jax.Array) -> None:
        one, two = jax.random.split(key)
        self.first, self.last = eqx.nn.Linear(5, 4, key=one), eqx.nn.Linear(4, 3, key=two)
        self.norm, self.drop = eqx.nn.BatchNorm(4, "rows", mode="batch"), eqx.nn.Dropout(0.4)

    def __call__(self, x: Any, state: Any, *, key: jax.Array) -> Any:
        _, own = jax.random.split(key)
        x, state = self.norm(self.first(x), state)
        return self.last(self.drop(x, key=own)), state


class Counter(eqx.Module):
    """A state of one's own, on an axis whose name nothing but the module says."""

    index: eqx.nn.StateIndex
    inference: bool

    def __init__(self) -> None:
        self.inference = False
        self.index = eqx.nn.StateIndex({"calls": jnp.zeros((), jnp.int32), "mean": 0.0})

    def __call__(self, x: Any, state: Any) -> Any:
        held = state.get(self.index)
        mean = held["mean"] if self.inference else jax.lax.pmean(x.mean(), "batch")
        return x - mean, state.set(self.index, {"calls": held["calls"] + 1, "mean": mean})


def convolutional() -> Any:
    one, two = jax.random.split(SEED)
    return eqx.nn.make_with_state(eqx.nn.Sequential)(
        [
            eqx.nn.Conv2d(2, 4, 3, padding=1, key=one),
            eqx.nn.BatchNorm(4, "batch", mode="ema"),
            eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.Conv2d(4, 3, 3, key=two),
        ]
    )


def theirs(module: Any, initial: Any, arrays: Any, values: Any, x: Any, train: bool, key: jax.Array) -> tuple:
    """The module itself, by Equinox's own means; its arrays and the State's values given as lists of leaves."""
    own, rest = eqx.partition(module, eqx.is_inexact_array)
    module = eqx.combine(jax.tree.unflatten(jax.tree.structure(own), arrays), rest)
    module = module if train else eqx.nn.inference_mode(module)
    keys = jax.random.split(fold(key, "it", 0), len(x))
    if initial is None:
        return jax.vmap(lambda x, key: module(x, key=key))(x, keys), []
    state = jax.tree.unflatten(jax.tree.structure(initial), values)
    names = [
        n.axis_name
        for n in jax.tree.leaves(module, is_leaf=lambda n: isinstance(n, eqx.nn.BatchNorm))
        if isinstance(n, eqx.nn.BatchNorm)
    ]
    mapped = jax.vmap(lambda x, s, k: module(x, s, key=k), (0, None, 0), (0, None), axis_name=names[0])
    outputs, state = mapped(x, state, keys)
    return outputs, jax.tree.leaves(state)


@pytest.mark.parametrize(
    ("given", "x", "train"),
    [
        ((eqx.nn.MLP(5, 3, 4, 2, jax.nn.tanh, key=SEED), None), X, False),
        (eqx.nn.make_with_state(Block)(SEED), X, False),
        (eqx.nn.make_with_state(Block)(SEED), X, True),
        (convolutional(), IMAGES, True),
    ],
    ids=["MLP", "Block", "Block, training", "convolutional"],
)
def test_outputs_state_and_gradients_are_those_of_equinox(given: Any, x: Any, train: bool) -> None:
    model, params, state = drawn(jg.as_layer(*given, name="it"), x.shape[1:])
    module, initial = given

    def ours(params: Any, x: Any) -> Any:
        outputs, after = model.apply(params, state, x, train=train, key=KEY if train else None)
        return outputs, leaves_in_order(after)

    def reference(params: Any, x: Any) -> Any:
        arrays = [leaf_at(params["it"], path) for path, _ in paths_of(eqx.filter(module, eqx.is_inexact_array))]
        return theirs(module, initial, arrays, leaves_in_order(state), x, train, KEY)

    assert_close(value_and_grads(ours, params, x), value_and_grads(reference, params, x))


def paths_of(tree: Any) -> Any:
    return jax.tree_util.tree_flatten_with_path(tree)[0]


def leaf_at(tree: Any, path: Any) -> Any:
    for key in path:
        tree = tree[str(getattr(key, "name", getattr(key, "idx", None)))]
    return tree


def leaves_in_order(state: Any) -> list[Any]:
    """A State's leaves as it flattens: by place, not by the order of the places' digits as strings."""
    return [leaf for _, leaf in sorted(((tuple(str(k) for k in p), v) for p, v in paths_of(state)), key=lambda e: e[0])]


def test_params_and_state_are_the_module_s_own_arrays() -> None:
    module, initial = eqx.nn.make_with_state(Block)(SEED)
    for seed in (0, 1):
        params, state = drawn(jg.as_layer(module, initial, name="it"))[0].init(jax.random.key(seed))
        np.testing.assert_array_equal(params["it"]["first"]["weight"], module.first.weight)
    assert jax.tree.map(jnp.shape, params["it"]) == {
        "first": {"bias": (4,), "weight": (4, 5)},
        "norm": {"bias": (4,), "weight": (4,)},
        "last": {"bias": (3,), "weight": (3, 4)},
    }
    assert jax.tree.map(jnp.shape, state["it"]) == {"0": (), "1": {"0": (4,), "1": (4,)}}


def test_lists_are_dicts_of_their_places_and_whole_numbers_are_not_trained() -> None:
    class Table(eqx.Module):
        rows: list[Any]
        order: jax.Array

        def __call__(self, x: Any) -> Any:
            return x[self.order] * self.rows[0] + self.rows[1]["a/b"]

    layer = jg.as_layer(Table([jnp.full(5, 2.0), {"a/b": jnp.ones(5)}], jnp.arange(5)[::-1]), name="it")
    model, params, state = drawn(layer)
    assert jax.tree.map(jnp.shape, params) == {"it": {"rows": {"0": (5,), "1": {"a.b": (5,)}}}}
    assert_close(model.apply(params, state, X)[0], 2 * X[:, ::-1] + 1)


def test_a_module_and_its_state_may_be_given_as_one_or_as_two() -> None:
    pair = eqx.nn.make_with_state(Block)(SEED)
    one, two = (drawn(jg.as_layer(*given, name="it")) for given in ([pair], pair))
    assert_close(one[1:], two[1:])


def test_a_state_that_was_used_up_afterwards_does_not_matter() -> None:
    module, initial = eqx.nn.make_with_state(Counter)()
    model, params, state = drawn(jg.as_layer(module, initial, name="it"))
    initial.set(module.index, initial.get(module.index))  # from here on Equinox refuses it
    _, after = model.apply(params, state, X)
    assert (model.init(KEY)[1]["it"]["0"]["calls"], after["it"]["0"]["calls"]) == (0, 1)


def test_a_state_of_one_s_own_on_the_axis_batch() -> None:
    model, params, state = drawn(jg.as_layer(eqx.nn.make_with_state(Counter)(), name="it"))
    assert params == {}
    outputs, after = model.apply(params, state, X, train=True)
    assert_close(outputs, X - X.mean())
    assert_close(after, {"it": {"0": {"calls": 1, "mean": X.mean()}}})


def test_a_state_without_make_with_state() -> None:
    whole = eqx.nn.BatchNorm(5, "batch", mode="ema")
    model, params, state = drawn(jg.as_layer(whole, eqx.nn.State(whole), name="it"))
    assert set(params["it"]) == {"weight", "bias"}
    assert_close(model.apply(params, state, X, train=True)[0].mean(0), np.zeros(5))


def test_rows_are_mixed_only_where_there_is_a_state() -> None:
    plain, stateful = jg.as_layer(eqx.nn.Linear(5, 3, key=SEED)), jg.as_layer(eqx.nn.make_with_state(Block)(SEED))
    assert [drawn(layer)[0].mixes_rows for layer in (plain, stateful)] == [False, True]


def test_dropout_follows_train_and_key_row_by_row() -> None:
    model, params, state = drawn(jg.as_layer(eqx.nn.Dropout(0.5), name="it"))
    np.testing.assert_array_equal(model.apply(params, state, X)[0], X)
    draws = [np.asarray(model.apply(params, state, X, train=True, key=key)[0]) for key in (KEY, KEY, SEED)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()
    assert len(np.unique(draws[0] == 0, axis=0)) > 1
    fewer = np.asarray(model.apply(params, state, X[:3], train=True, key=KEY)[0])
    np.testing.assert_array_equal(fewer, draws[0][:3])


def test_an_inference_mode_that_was_set_by_hand_stays() -> None:
    model, params, state = drawn(jg.as_layer(eqx.nn.Dropout(0.5, inference=True), name="it"))
    np.testing.assert_array_equal(model.apply(params, state, X, train=True, key=KEY)[0], X)


@pytest.mark.parametrize(
    "given", [[eqx.nn.Dropout(0.5)], eqx.nn.make_with_state(Block)(SEED)], ids=["Dropout", "Block"]
)
def test_a_missing_key_is_an_error_with_its_cure(given: Any) -> None:
    model, params, state = drawn(jg.as_layer(*given, name="it"))
    with pytest.raises(RandomKeyError, match=r"as_layer\(.*key=jax\.random\.key\(0\)"):
        model.apply(params, state, X, train=True)


def test_a_module_that_does_not_draw_needs_no_key() -> None:
    model, params, state = drawn(jg.as_layer(eqx.nn.MLP(5, 3, 4, 1, key=SEED), name="it"))
    assert_close(model.apply(params, state, X, train=True)[0], model.apply(params, state, X)[0])


def test_several_inputs_numbers_and_keywords() -> None:
    class Mixed(eqx.Module):
        weight: jax.Array

        def __call__(self, x: Any, y: Any, power: int, *, scale: Any) -> Any:
            return (x @ self.weight + y) ** power * scale

    x, y, scale = jg.Input((5,), name="x"), jg.Input((3,), name="y"), jg.Input((3,), name="scale")
    module = Mixed(jax.random.normal(SEED, (5, 3)))
    model = jg.Model([x, y, scale], jg.as_layer(module, name="it")(x, y, 2, scale=scale))
    params, state = model.init(KEY)
    arrays = [X, X[:, :3], X[:, 1:4]]
    assert_close(model.apply(params, state, arrays)[0], (X @ module.weight + arrays[1]) ** 2 * arrays[2])


def test_it_trains_and_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    run = assert_trains_and_resumes(jg.as_layer(eqx.nn.make_with_state(Block)(SEED), name="it"), tmp_path)
    assert run.train_state.model_state["it"]["0"] == 8 * 2


def test_it_is_shared_nests_is_saved_and_copied(tmp_path: Path) -> None:
    layer = jg.as_layer(eqx.nn.make_with_state(Block)(SEED), name="it")
    assert_shared(layer)
    assert_saves(layer, tmp_path)
    assert_nests(layer)
    assert_copies(layer, pickles=False)
    assert_copies(jg.as_layer(eqx.nn.make_with_state(eqx.nn.BatchNorm)(5, "batch", mode="ema"), name="it"))


def test_what_cannot_be_pickled_says_so() -> None:
    layer = jg.as_layer(eqx.nn.Lambda(lambda x: 2 * x))
    with pytest.raises(SaveError, match=r"as_layer\(Lambda.*with def"):
        pickle.dumps(layer)


def test_it_is_called_as_its_module() -> None:
    x = jg.Input((5,), name="x")
    layer = jg.as_layer(eqx.nn.MLP(5, 3, 4, 1, key=SEED))
    model = jg.Model(x, layer(x))
    assert isinstance(layer, jg.layers.EquinoxModule)
    assert (list(model.layers), layer.describe()) == (["x", "mlp"], "equinox MLP")
    assert "equinox MLP" in model.summary()
    assert repr(layer) == "as_layer(MLP(...))"


def test_bad_modules_are_refused() -> None:
    whole = eqx.nn.BatchNorm(5, "batch", mode="ema")
    with pytest.raises(ArgumentError, match=r"BatchNorm.*with its State.*make_with_state"):
        jg.as_layer(whole)
    with pytest.raises(ArgumentError, match=r"with its State.*make_with_state"):
        jg.as_layer(eqx.nn.make_with_state(Block)(SEED)[0])
    with pytest.raises(ArgumentError, match=r"eqx\.nn\.State.*got dict"):
        jg.as_layer(eqx.nn.Linear(5, 3, key=SEED), {})
    with pytest.raises(ArgumentError, match=r"the class Linear.*Linear\(\.\.\.\)"):
        jg.as_layer(eqx.nn.Linear)

    class Two(eqx.Module):
        norms: list[Any]

        def __init__(self) -> None:
            self.norms = [eqx.nn.BatchNorm(5, axis, mode="ema") for axis in ("rows", "columns")]

        def __call__(self, x: Any, state: Any) -> Any:
            return x, state

    with pytest.raises(ArgumentError, match=r"'columns', 'rows'.*the same axis_name"):
        jg.as_layer(eqx.nn.make_with_state(Two)())

    class Silent(eqx.Module):
        weight: jax.Array

    with pytest.raises(ArgumentError, match=r"Silent.*__call__"):
        jg.as_layer(Silent(jnp.ones(3)))


def test_a_wrong_call_is_refused_when_drawn() -> None:
    with pytest.raises(ShapeError, match=r"as_layer\(Linear"):
        drawn(jg.as_layer(eqx.nn.Linear(5, 3, key=SEED)), (4,))
    with pytest.raises(ShapeError, match=r"as_layer\(Linear"):  # a State for a module that takes none
        drawn(jg.as_layer(eqx.nn.Linear(5, 3, key=SEED), eqx.nn.State(eqx.nn.Linear(5, 3, key=SEED))))
