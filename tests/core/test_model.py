"""A model as a pair of functions: any nesting of inputs and outputs, strict in keys, ranks and dtypes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import (
    ArgumentError,
    DTypeError,
    KeyMismatchError,
    PathError,
    RandomKeyError,
    ShapeError,
    SymbolError,
)
from jgraph.keys import fold

Dense = jg.layers.Dense
KEY = jax.random.key(7)


class Two(NamedTuple):
    """Inputs that are a named tuple."""

    left: Any
    right: Any


def sum_of(inputs: Any) -> jg.Model:
    """A model that adds all inputs, weighted 1, 2, ... in the order of their leaves."""
    leaves = jax.tree.leaves(inputs)
    total = leaves[0]
    for weight, leaf in enumerate(leaves[1:], 2):
        total = total + weight * leaf
    return jg.Model(inputs, {"total": total, "parts": [leaf * 1.0 for leaf in leaves]})


def x(name: str | None = None) -> Any:
    return jg.Input((2,), name=name)


ROWS = [np.full((3, 2), 10.0**n, np.float32) for n in range(3)]

NESTINGS = [
    ("single", x(), ROWS[0]),
    ("list", [x(), x()], ROWS[:2]),
    ("tuple", (x(), x()), tuple(ROWS[:2])),
    ("named tuple", Two(x(), x()), Two(*ROWS[:2])),
    ("dict", {"b": x(), "a": x()}, {"a": ROWS[0], "b": ROWS[1]}),
    ("nested", {"p": [x(), (x(),)], "a": {"q": x()}}, {"a": {"q": ROWS[0]}, "p": [ROWS[1], (ROWS[2],)]}),
]


@pytest.mark.parametrize(("inputs", "arrays"), [n[1:] for n in NESTINGS], ids=[n[0] for n in NESTINGS])
def test_inputs_and_outputs_are_any_tree(inputs: Any, arrays: Any) -> None:
    model = sum_of(inputs)
    outputs, state = model.apply({}, {}, arrays)
    leaves = jax.tree.leaves(arrays)
    np.testing.assert_array_equal(outputs["total"], sum(w * a for w, a in enumerate(leaves, 1)))
    for got, given in zip(outputs["parts"], leaves, strict=True):
        np.testing.assert_array_equal(got, given)
    assert state == {}
    assert jax.tree.structure(model.inputs) == jax.tree.structure(inputs)
    predicted = model.predict({}, {}, arrays, batch_size=2)
    jax.tree.map(np.testing.assert_array_equal, predicted, outputs)


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_model_takes_the_exact_set_of_its_explicit_names(kind: type) -> None:
    model = sum_of(kind([x("b"), x("a")]))
    by_list = model.apply({}, {}, kind(ROWS[:2]))[0]["total"]
    by_name = model.apply({}, {}, {"a": ROWS[1], "b": ROWS[0]})[0]["total"]
    np.testing.assert_array_equal(by_name, by_list)
    for wrong in ({"a": ROWS[0]}, {"a": ROWS[0], "b": ROWS[0], "c": ROWS[0]}, {"a": ROWS[0], "c": ROWS[0]}, {}):
        with pytest.raises(KeyMismatchError, match=r"'b'|'c'"):
            model.apply({}, {}, wrong)


def test_a_list_model_without_names_takes_no_dict() -> None:
    for inputs in ([x(), x()], [x("a"), x()]):
        with pytest.raises(KeyMismatchError, match="list"):
            sum_of(inputs).apply({}, {}, {"a": ROWS[0], "input": ROWS[1]})


def test_a_dict_model_never_takes_a_list() -> None:
    model = sum_of({"a": x("a"), "b": x("b")})
    for wrong in (ROWS[:2], tuple(ROWS[:2]), ROWS[0]):
        with pytest.raises(KeyMismatchError, match="a dict with exactly 'a', 'b'"):
            model.apply({}, {}, wrong)
    with pytest.raises(KeyMismatchError, match="Did you mean 'b'"):
        sum_of({"a": x(), "bb": x(), "b": x()}).apply({}, {}, {"a": ROWS[0], "bb": ROWS[0], "b1": ROWS[0]})


def test_a_dict_model_is_fed_by_its_keys_not_by_the_names_of_the_inputs() -> None:
    model = sum_of({"a": x("b"), "b": x("a")})
    np.testing.assert_array_equal(model.apply({}, {}, {"a": ROWS[0], "b": ROWS[1]})[0]["parts"][0], ROWS[0])


@pytest.mark.parametrize("wrong", [[ROWS[0]], {"x": ROWS[0]}, [ROWS[0], ROWS[1]], [[1.0, 2.0]]], ids=str)
def test_a_single_input_is_one_array(wrong: Any) -> None:
    with pytest.raises(KeyMismatchError, match="expected one array"):
        sum_of(x()).apply({}, {}, wrong)


@pytest.mark.parametrize(
    "wrong", [[], [ROWS[0]], ROWS, ROWS[0], (ROWS[0], ROWS[1])], ids=lambda w: f"{type(w).__name__}"
)
def test_lists_are_matched_in_length_and_kind(wrong: Any) -> None:
    with pytest.raises(KeyMismatchError, match="a list with exactly '0', '1'"):
        sum_of([x(), x()]).apply({}, {}, wrong)


def test_missing_and_extra_keys_are_named() -> None:
    model = sum_of({"a": x(), "b": x()})
    with pytest.raises(KeyMismatchError, match="missing 'b'"):
        model.apply({}, {}, {"a": ROWS[0]})
    with pytest.raises(KeyMismatchError, match="extra 'c'"):
        model.apply({}, {}, {"a": ROWS[0], "b": ROWS[0], "c": ROWS[0]})


FAULTS = [
    ("rank", np.ones(2, np.float32), ShapeError, "rank 2"),
    ("deeper", np.ones((3, 2, 1), np.float32), ShapeError, "rank 3"),
    ("width", np.ones((3, 4), np.float32), ShapeError, "axis 1: expected size 2"),
    ("none", None, SymbolError, "expected an array"),
    ("symbol", jg.Input((2,)), SymbolError, "apply and predict take arrays"),
    ("string", "abc", SymbolError, "expected an array"),
    ("strings", np.array([["a", "b"]]), DTypeError, "Convert it to numbers"),
    ("objects", np.array([[None, 1]], object), DTypeError, "Convert it to numbers"),
    ("complex", np.ones((3, 2)) * 1j, DTypeError, r"\.astype"),
]


@pytest.mark.parametrize(("array", "error", "said"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_what_does_not_fit_an_input_is_refused_by_name(array: Any, error: type[Exception], said: str) -> None:
    model = sum_of({"good": x(), "bad": x()})
    with pytest.raises(error, match=f"'bad'.*{said}"):
        model.apply({}, {}, {"good": ROWS[0], "bad": array})


def test_numbers_become_wider_kinds_and_never_lesser_ones() -> None:
    def feed(drawn: str, array: Any) -> Any:
        symbol = jg.Input((2,), dtype=drawn)
        return jg.Model(symbol, jg.op(jnp.positive)(symbol) if drawn != "bool" else symbol).apply({}, {}, array)[0]

    assert feed("float32", np.ones((1, 2), np.int64)).dtype == jnp.float32
    assert feed("float32", np.ones((1, 2), bool)).dtype == jnp.float32
    assert feed("float32", np.ones((1, 2), np.float64)).dtype == jnp.float32
    assert feed("int32", np.ones((1, 2), np.uint8)).dtype == jnp.int32
    assert feed("bfloat16", np.ones((1, 2), np.float32)).dtype == jnp.bfloat16
    for drawn, array in [("int32", np.ones((1, 2))), ("bool", np.full((1, 2), 5)), ("int32", np.ones((1, 2)) * 1j)]:
        with pytest.raises(DTypeError, match=r"\.astype"):
            feed(drawn, array)
    for drawn, value in [("int32", 2**40), ("uint8", 256), ("uint8", -1), ("int8", 128)]:
        with pytest.raises(DTypeError, match=f"values that {drawn} can hold"):
            feed(drawn, np.full((1, 2), value))


def test_a_number_that_does_not_fit_is_refused_by_predict_too() -> None:
    symbol = jg.Input((2,), dtype="int32")
    with pytest.raises(DTypeError, match="int32 can hold"):
        jg.Model(symbol, symbol + 1).predict({}, {}, np.full((3, 2), 2**40))


def test_batches_and_free_axes_must_agree() -> None:
    model = sum_of([x(), x()])
    with pytest.raises(ShapeError, match="as batch is elsewhere"):
        model.apply({}, {}, [ROWS[0], ROWS[1][:2]])
    with pytest.raises(ShapeError, match="same number of rows"):
        model.predict({}, {}, [ROWS[0], ROWS[1][:2]])


def test_free_axes_take_any_size_and_parameters_do_not_see_them() -> None:
    text = jg.Input((None,), dtype="int32", name="text")
    model = jg.Model(text, jg.layers.LSTM(3)(jg.layers.Embedding(10, 4)(text)))
    params, state = model.init(KEY)
    for time in (1, 5):
        assert model.apply(params, state, np.ones((2, time), np.int32))[0].shape == (2, 3)


def test_unused_inputs_are_still_asked_for() -> None:
    used, unused = x("used"), x("unused")
    model = jg.Model({"used": used, "unused": unused}, used * 2)
    with pytest.raises(KeyMismatchError, match="'unused'"):
        model.apply({}, {}, {"used": ROWS[0]})
    np.testing.assert_array_equal(model.apply({}, {}, {"used": ROWS[0], "unused": ROWS[1]})[0], 2 * ROWS[0])


def test_init_nests_by_path_and_leaves_out_layers_without_arrays() -> None:
    inputs = jg.Input((4,))
    y = jg.layers.BatchNormalization(name="norm")(jg.layers.Dropout(0.5)(Dense(3, use_bias=False)(inputs)))
    params, state = jg.Model(inputs, y).init(KEY)
    assert jax.tree.map(jnp.shape, params) == {"dense": {"kernel": (4, 3)}, "norm": {"gamma": (3,), "beta": (3,)}}
    assert jax.tree.map(jnp.shape, state) == {"norm": {"moving_mean": (3,), "moving_variance": (3,)}}


def test_start_values_are_a_function_of_key_and_path() -> None:
    inputs = jg.Input((4,))
    small = jg.Model(inputs, Dense(3, name="here")(inputs))
    large = jg.Model(inputs, Dense(3, name="here")(inputs) + Dense(3, name="there")(inputs))
    ours, theirs = small.init(KEY)[0]["here"]["kernel"], large.init(KEY)[0]
    np.testing.assert_array_equal(ours, theirs["here"]["kernel"])
    assert (ours != theirs["there"]["kernel"]).any()
    alone = Dense(3).init(fold(KEY, "here"), jax.ShapeDtypeStruct((1, 4), "float32"))[0]["kernel"]
    np.testing.assert_array_equal(ours, alone)
    assert (small.init(jax.random.key(8))[0]["here"]["kernel"] != ours).any()


def test_init_and_apply_are_pure_and_can_be_transformed() -> None:
    inputs, rows = jg.Input((2,)), np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 4.0]], np.float32)
    model = jg.Model(inputs, jg.layers.BatchNormalization()(Dense(3)(inputs)))
    params, state = jax.jit(model.init)(KEY)
    jax.tree.map(np.testing.assert_array_equal, (params, state), model.init(KEY))
    before = jax.tree.map(np.array, (params, state))
    one = model.apply(params, state, rows, train=True)
    other = jax.jit(lambda p, s, a: model.apply(p, s, a, train=True))(params, state, rows)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), one, other)
    jax.tree.map(np.testing.assert_array_equal, (params, state), before)
    gradient = jax.grad(lambda p: model.apply(p, state, rows)[0].sum())(params)
    assert jax.tree.structure(gradient) == jax.tree.structure(params)
    many = jax.vmap(lambda a: model.apply(params, state, a)[0])(jnp.stack([rows] * 3))
    assert many.shape == (3, 3, 3)


def test_apply_takes_exactly_its_own_tree() -> None:
    inputs = jg.Input((2,))
    model = jg.Model(inputs, jg.layers.BatchNormalization()(Dense(3)(inputs)))
    params, state = model.init(KEY)
    dense, norm = params["dense"], params["batch_normalization"]
    for wrong in (
        {},
        {"dense": dense},
        {**params, "extra": {"w": jnp.ones(1)}},
        {"dense": norm, "batch_normalization": norm},
    ):
        with pytest.raises(KeyMismatchError, match=r"params.*sub\.select"):
            model.apply(wrong, state, ROWS[0])
        with pytest.raises(KeyMismatchError, match=r"params.*sub\.select"):
            model.predict(wrong, state, ROWS[0])
    with pytest.raises(ShapeError, match=r"params, leaf 'dense/kernel'.*\(2, 3\)"):
        model.apply({**params, "dense": {**dense, "kernel": jnp.ones((3, 3))}}, state, ROWS[0])
    with pytest.raises(KeyMismatchError, match="state"):
        model.apply(params, {}, ROWS[0])
    with pytest.raises(KeyMismatchError, match="Did you mean 'dense/kernel'"):
        model.apply({**params, "dense": {"bias": dense["bias"], "kernle": dense["kernel"]}}, state, ROWS[0])


def test_a_drawing_layer_needs_a_key_only_while_training() -> None:
    inputs = jg.Input((2,))
    model = jg.Model(inputs, jg.layers.Dropout(0.5, name="drop")(inputs))
    np.testing.assert_array_equal(model.apply({}, {}, ROWS[0])[0], ROWS[0])
    np.testing.assert_array_equal(model.apply({}, {}, ROWS[0], key=KEY)[0], ROWS[0])
    with pytest.raises(RandomKeyError, match=r"train=True, key=jax\.random\.key"):
        model.apply({}, {}, ROWS[0], train=True)
    one, other = (model.apply({}, {}, ROWS[0], train=True, key=KEY)[0] for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_two_calls_of_one_dropout_draw_differently() -> None:
    inputs = jg.Input((50,))
    drop = jg.layers.Dropout(0.5)
    first, second = jg.Model(inputs, [drop(inputs), drop(inputs)]).apply({}, {}, np.ones((2, 50)), train=True, key=KEY)[
        0
    ]
    assert (first != second).any()


@pytest.mark.parametrize("rows", [1, 4, 5, 8, 11])
@pytest.mark.parametrize("mixing", [False, True])
def test_predict_in_batches_is_apply_on_the_rows(rows: int, mixing: bool) -> None:
    inputs = jg.Input((2,))
    h = Dense(3, activation="tanh")(inputs)
    model = jg.Model({"x": inputs}, {"y": jg.layers.BatchNormalization()(h) if mixing else h, "x": inputs})
    params, state = model.init(KEY)
    arrays = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2) / 10
    predicted = model.predict(params, state, {"x": arrays}, batch_size=4)
    expected = model.apply(params, state, {"x": arrays})[0]
    assert isinstance(predicted["y"], np.ndarray)
    np.testing.assert_array_equal(predicted["x"], arrays)
    np.testing.assert_allclose(predicted["y"], expected["y"], rtol=2e-6, atol=1e-7)  # other batch sizes, other sums


def test_a_ragged_last_batch_compiles_nothing_new_where_rows_do_not_mix() -> None:
    traces = []

    class Count(jg.Layer):
        def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
            traces.append(x.shape[0])
            return x, state

    for mixing, expected in [(False, [4]), (True, [4, 3])]:
        kind = type("Mixing", (Count,), {"mixes_rows": mixing})
        inputs = jg.Input((2,))
        model = jg.Model(inputs, kind()(inputs))
        traces.clear()
        assert model.predict({}, {}, np.ones((11, 2)), batch_size=4).shape == (11, 2)
        assert traces == expected


def test_predict_takes_no_rows_at_all_and_refuses_odd_batch_sizes() -> None:
    model = sum_of(x())
    assert model.predict({}, {}, np.ones((0, 2)))["total"].shape == (0, 2)
    for wrong in (0, -1, 2.0, "32", True, None):
        with pytest.raises(ArgumentError, match="batch_size=32"):
            model.predict({}, {}, ROWS[0], batch_size=wrong)  # pyright: ignore[reportArgumentType]


def test_predict_needs_outputs_with_one_row_per_row() -> None:
    inputs = jg.Input((2,), name="x")
    for name, output in [("mean", jg.op(jnp.mean)(inputs)), ("concatenate", jg.op(jnp.concatenate)([inputs, inputs]))]:
        model = jg.Model(inputs, output)
        model.apply({}, {}, ROWS[0])
        with pytest.raises(ShapeError, match=f"output '{name}'.*Use apply"):
            model.predict({}, {}, ROWS[0])


def test_predict_sees_new_parameters() -> None:
    inputs = jg.Input((2,))
    model = jg.Model(inputs, Dense(1)(inputs))
    params, state = model.init(KEY)
    first = model.predict(params, state, ROWS[0])
    second = model.predict(jax.tree.map(lambda p: 2 * p, params), state, ROWS[0])
    np.testing.assert_allclose(second, 2 * first, rtol=1e-6)


def test_output_of_finds_layers_inputs_and_calls() -> None:
    a, b = x("a"), x("b")
    shared = Dense(2)
    model = jg.Model([a, b], shared(a) + shared(b))
    assert model.output_of("add").shape[1:] == (2,)
    assert model.output_of("a").call.layer is a.call.layer
    with pytest.raises(PathError, match=r"call=0 on 'a'; call=1 on 'b'.*Say which call"):
        model.output_of("dense")
    for call, name in [(0, "a"), (1, "b")]:
        cut = jg.Model(model.inputs, model.output_of("dense", call=call))
        assert [n.path for n in cut.nodes][:2] == [name, "dense"]
    for wrong in (2, -1):
        with pytest.raises(PathError, match="Say which call"):
            model.output_of("dense", call=wrong)
    with pytest.raises(PathError, match="Did you mean 'dense'"):
        model.output_of("dens")


def test_layers_and_symbols_of_a_model_are_read_only_views_in_order() -> None:
    a, b = x("a"), x("b")
    shared = Dense(2)
    model = jg.Model({"b": b, "a": a}, {"y": shared(a) + shared(b)})
    assert list(model.layers) == ["a", "dense", "b", "add"]
    assert model.layers["dense"] is shared
    with pytest.raises(TypeError):
        model.layers["dense"] = shared  # pyright: ignore[reportIndexIssue]
    assert set(model.inputs) == {"a", "b"}
    assert repr(model) == "Model(5 nodes)"
    assert repr(jg.Model(a, a, name="same")) == "Model('same', 1 nodes)"


def test_a_model_is_called_on_symbols_only() -> None:
    model = sum_of([x("a"), x("b")])
    with pytest.raises(SymbolError, match=r"model\.apply"):
        model(ROWS[:2])
    for call in (
        lambda: model(x(), x()),
        lambda: model(),
        lambda: model([x(), x()], k=1),
    ):
        with pytest.raises(ArgumentError, match="one list or dict"):
            call()
    with pytest.raises(DTypeError, match="mask: expected bool"):
        model([x(), x()], mask=x())
    with pytest.raises(ArgumentError, match="expected 2 masks, got 1"):
        model([x(), x()], mask=x() > 0)
    with pytest.raises(KeyMismatchError, match="a list with exactly '0', '1'"):
        model(x())
    with pytest.raises(ShapeError, match="Draw the model for this shape"):
        model([x(), jg.Input((3,))])
    with pytest.raises(DTypeError, match="Draw the model for this dtype"):
        model([x(), jg.Input((2,), dtype="int32")])
    assert set(model({"a": x(), "b": x()})) == {"total", "parts"}
