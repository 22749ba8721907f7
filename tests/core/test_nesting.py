"""Models in models: nodes of their own inside the caller's graph, on the same weights, under the model's name."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.core.sequential import Stack
from jgraph.errors import ArgumentError, NameClashError, ShapeError

Dense = jg.layers.Dense
KEY = jax.random.key(3)


class Count(jg.Layer):
    """Adds the number of times it has been called to its input."""

    def init(self, key: Any, x: Any) -> Any:
        return {}, {"n": jnp.zeros(())}

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
        return x + state["n"], {"n": state["n"] + 1}


def tower(width: int = 3, units: int = 3, name: str | None = "tower") -> jg.Model:
    x = jg.Input((width,))
    return jg.Model(x, Dense(units)(Dense(4, activation="tanh")(x)), name=name)


def test_a_nested_model_keeps_its_nodes_under_its_name() -> None:
    x, inner = jg.Input((3,)), tower()
    model = jg.Model(x, Dense(1)(inner(x)))
    assert [n.path for n in model.nodes] == ["input", "tower/dense", "tower/dense_1", "tower", "dense"]
    params, _ = model.init(KEY)
    assert set(params) == {"tower", "dense"}
    assert set(params["tower"]) == {"dense", "dense_1"}
    assert model.layers["tower"] is inner
    assert model.layers["tower/dense"] is inner.layers["dense"]


def test_it_computes_what_the_inner_model_computes_on_its_part_of_the_tree() -> None:
    x, inner = jg.Input((3,)), tower()
    model = jg.Model(x, inner(x))
    params, state = model.init(KEY)
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(model.apply(params, state, rows)[0], inner.apply(params["tower"], state, rows)[0])


def test_a_model_called_twice_shares_its_weights_and_the_gradient_is_the_sum() -> None:
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    inner = tower()
    model = jg.Model([a, b], jg.layers.add([inner(a), inner(b)]))
    params, state = model.init(KEY)
    assert set(params) == {"tower"}
    rows = [np.full((2, 3), 0.5, np.float32), np.full((2, 3), -0.25, np.float32)]
    gradient = jax.grad(lambda p: model.apply(p, state, rows)[0].sum())(params)["tower"]
    parts = [jax.grad(lambda p, r=r: inner.apply(p, {}, r)[0].sum())(params["tower"]) for r in rows]
    jax.tree.map(lambda g, p, q: np.testing.assert_allclose(g, p + q, rtol=1e-5), gradient, *parts)
    assert [n.call for n in model.nodes if n.path == "tower"] == [0, 1]


def test_models_nest_to_any_depth() -> None:
    inner = tower(name="inner")
    x = jg.Input((3,))
    middle = jg.Model(x, Dense(3)(inner(x)), name="middle")
    y = jg.Input((3,))
    outer = jg.Model(y, middle(y), name="outer")
    z = jg.Input((3,))
    model = jg.Model(z, outer(z))
    params, state = model.init(KEY)
    assert list(model.layers) == [
        "input",
        "outer/middle/inner/dense",
        "outer/middle/inner/dense_1",
        "outer/middle/inner",
        "outer/middle/dense",
        "outer/middle",
        "outer",
    ]
    assert set(params["outer"]["middle"]) == {"inner", "dense"}
    rows = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(model.apply(params, state, rows)[0], outer.apply(params["outer"], {}, rows)[0])
    np.testing.assert_array_equal(
        model.apply(params, state, rows)[0], middle.apply(params["outer"]["middle"], {}, rows)[0]
    )


def test_nested_models_without_names_are_numbered_like_layers() -> None:
    x = jg.Input((3,))
    model = jg.Model(x, [tower(name=None)(x), tower(name=None)(x), Dense(2)(x)])
    assert set(model.init(KEY)[0]) == {"model", "model_1", "dense"}


def test_two_nested_models_of_one_name_clash() -> None:
    x = jg.Input((3,))
    with pytest.raises(NameClashError, match="'tower'"):
        jg.Model(x, [tower()(x), tower()(x)])
    with pytest.raises(NameClashError, match="'tower'"):
        jg.Model(x, [tower()(x), Dense(2, name="tower")(x)])


def test_a_layer_may_not_take_the_name_of_a_nested_model_of_which_a_part_is_here() -> None:
    x = jg.Input((3,))
    model = jg.Model(x, tower()(x))
    part = model.output_of("tower/dense")
    with pytest.raises(NameClashError, match="'tower'"):
        jg.Model(model.inputs, Dense(2, name="tower")(part))


@pytest.mark.parametrize("inside_first", [True, False])
def test_a_layer_shared_inside_and_outside_lives_where_it_comes_first(inside_first: bool) -> None:
    shared, x, y = Dense(3), jg.Input((3,)), jg.Input((3,))
    inner = jg.Model(y, shared(Dense(3)(y)), name="inner")
    output = Dense(5)(shared(inner(x)) if inside_first else inner(shared(x)))
    model = jg.Model(x, output)
    params, state = model.init(KEY)
    if inside_first:
        assert set(params) == {"inner", "dense"}
        assert set(params["inner"]) == {"dense", "dense_1"}
        assert params["dense"]["kernel"].shape == (3, 5)
    else:
        assert set(params) == {"dense", "inner", "dense_1"}
        assert set(params["inner"]) == {"dense"}
        assert params["dense_1"]["kernel"].shape == (3, 5)
    rows = np.ones((2, 3), np.float32)
    kernels = jax.grad(lambda p: model.apply(p, state, rows)[0].sum())(params)
    assert jax.tree.structure(kernels) == jax.tree.structure(params)


def test_an_explicitly_named_layer_shared_inside_a_model_leaves_its_name_free_outside() -> None:
    shared, x, y = Dense(3, name="core"), jg.Input((3,)), jg.Input((3,))
    inner = jg.Model(y, shared(y), name="inner")
    model = jg.Model(x, Dense(2, name="core")(shared(inner(x))))
    assert [n.path for n in model.nodes] == ["input", "inner/core", "inner", "inner/core", "core"]


def test_a_layer_shared_by_two_nested_models_lives_in_the_first() -> None:
    shared, x, y, z = Dense(3), jg.Input((3,)), jg.Input((3,)), jg.Input((3,))
    one, other = jg.Model(y, shared(y), name="one"), jg.Model(z, Dense(3)(shared(z)), name="other")
    params, _ = jg.Model(x, [other(x), one(x)]).init(KEY)
    assert {name: set(part) for name, part in params.items()} == {"other": {"dense", "dense_1"}}


def test_state_is_threaded_through_shared_layers_in_order() -> None:
    count, x, y = Count(), jg.Input((1,)), jg.Input((1,))
    inner = jg.Model(y, count(count(y)), name="inner")
    model = jg.Model(x, [count(x), inner(x), count(x)])
    params, state = model.init(KEY)
    assert state == {"count": {"n": 0}}
    outputs, state = model.apply(params, state, np.zeros((1, 1)))
    assert [float(o[0, 0]) for o in outputs] == [0, 1 + 2, 3]
    assert float(state["count"]["n"]) == 4


def test_state_and_randomness_inside_a_nested_model_work_as_outside() -> None:
    x, y = jg.Input((4,)), jg.Input((4,))
    inner = jg.Model(y, jg.layers.Dropout(0.5)(jg.layers.BatchNormalization()(y)), name="inner")
    model = jg.Model(x, [inner(x), inner(x)])
    params, state = model.init(KEY)
    rows = np.arange(8, dtype=np.float32).reshape(2, 4)
    (first, second), new = model.apply(params, state, rows, train=True, key=KEY)
    assert (first != second).any()
    moved = new["inner"]["batch_normalization"]["moving_mean"]
    mean = rows.mean(0)
    np.testing.assert_allclose(moved, mean * (1 - 0.99**2), rtol=1e-5)  # two calls, each moves it by one hundredth


def test_sub_models_come_out_of_nested_models() -> None:
    x, inner = jg.Input((3,)), tower()
    model = jg.Model(x, Dense(2)(inner(x)))
    params, state = model.init(KEY)
    rows = np.ones((2, 3), np.float32)
    feature = jg.Model(model.inputs, model.output_of("tower/dense"))
    assert [n.path for n in feature.nodes] == ["input", "tower/dense"]
    own = feature.select(params)
    assert set(own) == {"tower"}
    assert set(own["tower"]) == {"dense"}
    kernel, bias = params["tower"]["dense"]["kernel"], params["tower"]["dense"]["bias"]
    np.testing.assert_allclose(feature.apply(own, state, rows)[0], np.tanh(rows @ kernel + bias), rtol=1e-5)
    whole = jg.Model(model.inputs, model.output_of("tower"))
    np.testing.assert_array_equal(
        whole.apply(whole.select(params), state, rows)[0], inner.apply(params["tower"], {}, rows)[0]
    )


def test_sub_models_start_at_middle_tensors() -> None:
    x, inner = jg.Input((3,)), tower()
    model = jg.Model(x, Dense(2)(inner(x)))
    params, state = model.init(KEY)
    rows = np.ones((2, 3), np.float32)
    first, second = (
        jg.Model(model.inputs, model.output_of("tower/dense")),
        jg.Model(model.output_of("tower/dense"), model.outputs),
    )
    assert [n.path for n in second.nodes] == ["input", "tower/dense_1", "tower", "dense"]
    middle, _ = first.apply(first.select(params), state, rows)
    np.testing.assert_array_equal(
        second.apply(second.select(params), state, middle)[0], model.apply(params, state, rows)[0]
    )


def test_new_layers_may_follow_parts_of_nested_models() -> None:
    x, inner = jg.Input((3,)), tower()
    model = jg.Model(x, Dense(2)(inner(x)))
    probe = jg.Model(model.inputs, [model.outputs, Dense(7)(model.output_of("tower/dense"))])
    assert list(probe.layers) == ["input", "tower/dense", "tower/dense_1", "tower", "dense", "dense_1"]
    own, _ = probe.init(KEY)
    jax.tree.map(np.testing.assert_array_equal, {k: own[k] for k in ("tower", "dense")}, model.init(KEY)[0])


def test_models_take_and_give_trees_when_nested() -> None:
    a, b = jg.Input((2,), name="a"), jg.Input((2,), name="b")
    inner = jg.Model([a, b], {"sum": a + b, "both": [a * 2, b * 3]}, name="inner")
    p, q = jg.Input((2,), name="p"), jg.Input((2,), name="q")
    drawn = inner([p, q])
    assert set(drawn) == {"sum", "both"}
    model = jg.Model({"p": p, "q": q}, drawn)
    ones = np.ones((1, 2), np.float32)
    outputs, _ = model.apply({}, {}, {"p": ones, "q": 10 * ones})
    jax.tree.map(np.testing.assert_array_equal, outputs, {"sum": 11 * ones, "both": [2 * ones, 30 * ones]})
    named = jg.Model({"p": p, "q": q}, inner({"b": p, "a": q})["both"])
    np.testing.assert_array_equal(named.apply({}, {}, {"p": ones, "q": 10 * ones})[0][0], 20 * ones)


def test_a_free_axis_is_filled_by_the_caller() -> None:
    x = jg.Input((None, 3), name="x")
    inner = jg.Model(x, jg.layers.LSTM(2, return_sequences=True)(x), name="inner")
    y = jg.Input((7, 3))
    assert inner(y).shape[1:] == (7, 2)


def test_a_nested_model_that_hands_its_input_on() -> None:
    x, y = jg.Input((3,)), jg.Input((3,))
    inner = jg.Model(y, y, name="inner")
    model = jg.Model(x, inner(inner(x)))
    np.testing.assert_array_equal(model.apply({}, {}, np.ones((2, 3)))[0], np.ones((2, 3)))


def test_a_layer_on_two_widths_is_refused_across_borders() -> None:
    shared, x, y = Dense(2), jg.Input((3,)), jg.Input((4,))
    inner = jg.Model(y, shared(y), name="inner")
    with pytest.raises(ShapeError, match=r"inner/dense.*\[4, 2\].*\[3, 2\]"):
        jg.Model([x, y], [inner(y), shared(x)])


# Plain stacks


def stack() -> Any:
    return jg.Sequential([Dense(4, activation="relu"), jg.layers.Dropout(0.5), Dense(2)], name="stack")


def test_a_stack_that_begins_with_an_input_is_a_model() -> None:
    model = jg.Sequential([jg.Input((3,)), Dense(4), Dense(2)], name="s")
    assert isinstance(model, jg.Model)
    assert (model.name, list(model.layers)) == ("s", ["input", "dense", "dense_1"])


def test_a_stack_without_an_input_is_a_layer_that_nests_like_a_model() -> None:
    x = jg.Input((3,))
    layers = stack()
    assert isinstance(layers, Stack)
    model = jg.Model(x, layers(x))
    assert list(model.layers) == ["input", "stack/dense", "stack/dropout", "stack/dense_1", "stack"]
    assert model.layers["stack"] is layers
    twice = jg.Model(x, [layers(x), layers(x)])
    assert jax.tree.map(jnp.shape, twice.init(KEY)) == jax.tree.map(jnp.shape, model.init(KEY))
    assert list(jg.Model(x, jg.Sequential([Dense(2)])(x)).init(KEY)[0]) == ["sequential"]


def test_a_stack_alone_is_the_same_pair_of_functions() -> None:
    layers, x = stack(), jg.Input((3,))
    model = jg.Model(x, layers(x))
    params, state = layers.init(KEY, jax.ShapeDtypeStruct((2, 3), "float32"))
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(
        layers.apply(params, state, jnp.asarray(rows))[0], model.apply({"stack": params}, state, rows)[0]
    )
    trained, _ = layers.apply(params, state, jnp.asarray(rows), train=True, key=KEY)
    assert trained.shape == (2, 2)


def test_stacks_hold_stacks_and_models() -> None:
    x = jg.Input((3,))
    model = jg.Model(x, jg.Sequential([stack(), tower(width=2), jg.Sequential([Dense(1)])], name="all")(x))
    assert set(model.init(KEY)[0]["all"]) == {"stack", "tower", "sequential"}


def test_a_stack_shared_on_two_widths_is_refused() -> None:
    layers = stack()
    with pytest.raises(ShapeError, match="stack/dense"):
        jg.Model([a := jg.Input((3,)), b := jg.Input((4,))], [layers(a), layers(b)])


@pytest.mark.parametrize(
    "wrong", [[], [Dense(2), 3], [jg.Input((3,))], [None], [jax.nn.relu], [Dense(2), jg.Input((3,))]]
)
def test_a_stack_is_a_list_of_layers(wrong: list) -> None:
    with pytest.raises(ArgumentError, match=r"Lift functions with jg\.op"):
        jg.Sequential(wrong)


def test_a_stack_takes_one_symbol() -> None:
    layers = stack()
    for call in (
        lambda: layers(jg.Input((3,)), jg.Input((3,))),
        lambda: layers([jg.Input((3,))]),
        lambda: layers(np.ones(3)),
    ):
        with pytest.raises(ArgumentError, match="one input"):
            call()
