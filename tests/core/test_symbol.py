"""Symbols do arithmetic, comparisons and slicing, keep shape and dtype, and refuse to be used as arrays."""

import copy
import operator
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, DTypeError, ShapeError, SymbolError

A = np.array([[1.5, -2.0, 3.0], [4.0, 5.5, -6.0]], np.float32)
B = np.array([[2.0, 3.0, -1.5], [0.5, 2.0, 4.0]], np.float32)

BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]


def evaluate(symbol: Any, inputs: dict[str, Any]) -> Any:
    """The value of a symbol drawn from the inputs `a` and `b`, without parameters."""
    model = jg.Model(inputs["symbols"], symbol)
    return np.asarray(model.apply({}, {}, inputs["arrays"])[0])


def pair() -> tuple[Any, Any, dict[str, Any]]:
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    return a, b, {"symbols": [a, b], "arrays": [A, B]}


@pytest.mark.parametrize("operation", BINARY, ids=lambda f: f.__name__)
def test_operators_are_those_of_jax_between_symbols_and_constants(operation: Callable[[Any, Any], Any]) -> None:
    a, b, inputs = pair()
    expected_a, expected_b = jnp.asarray(A), jnp.asarray(B)
    for drawn, expected in [
        (operation(a, b), operation(expected_a, expected_b)),
        (operation(a, 2.0), operation(expected_a, 2.0)),
        (operation(2.0, b), operation(2.0, expected_b)),
        (operation(a, B[:1]), operation(expected_a, expected_b[:1])),
        (operation(A[:1], b), operation(expected_a[:1], expected_b)),
        (operation(expected_a[:1], b), operation(expected_a[:1], expected_b)),
    ]:
        got = evaluate(drawn, inputs)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, np.asarray(expected))
        assert drawn.dtype == expected.dtype


def test_unary_operators_and_matrix_products() -> None:
    a, _, inputs = pair()
    w = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(evaluate(-a, inputs), -A)
    np.testing.assert_array_equal(evaluate(abs(a), inputs), abs(A))
    np.testing.assert_allclose(evaluate(a @ w, inputs), A @ w, rtol=1e-6)
    matrix = jg.Input((2, 3), name="m")
    product = jg.Model(matrix, np.ones((5, 2), np.float32) @ matrix)
    assert product.outputs.shape[1:] == (5, 3)
    np.testing.assert_allclose(product.apply({}, {}, np.ones((4, 2, 3)))[0], np.full((4, 5, 3), 2.0), rtol=1e-6)


INDICES = [
    (slice(None), 0),
    (slice(None), slice(None, 2)),
    (slice(None), slice(None, None, -1)),
    (slice(None), None),
    (..., slice(1, 3)),
    (slice(None), np.array([2, 0])),
    (slice(None), -1),
    slice(None),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_slicing_is_that_of_numpy(index: Any) -> None:
    a, _, inputs = pair()
    drawn = a[index]
    assert drawn.shape[1:] == A[index].shape[1:]
    np.testing.assert_array_equal(evaluate(drawn, inputs), A[index])


def test_shape_dtype_and_rank_are_readable_and_print() -> None:
    x = jg.Input((None, 8), dtype="int32", name="tokens")
    assert (x.ndim, str(x.dtype), str(x.shape[0]), x.shape[2]) == (3, "int32", "batch", 8)
    assert repr(x) == "<Symbol int32[batch, tokens_1, 8]>"
    assert repr(jg.Input((None, 8))) == "<Symbol float32[batch, None, 8]>"
    assert (
        repr(jg.layers.Embedding(5, 2, mask_zero=True)(jg.Input((4,), "int32")))
        == "<Symbol float32[batch, 4, 2] masked>"
    )


def test_equality_is_identity_so_that_symbols_are_keys() -> None:
    a, b, _ = pair()
    assert a == a  # noqa: PLR0124 (that is the point)
    assert a != b
    assert {a: 1, b: 2}[a] == 1


def test_op_lifts_any_function_with_constants_in_the_call() -> None:
    a, b, inputs = pair()
    np.testing.assert_array_equal(evaluate(jg.op(jnp.clip)(a, 0.0, 1.0), inputs), np.clip(A, 0, 1))
    np.testing.assert_array_equal(evaluate(jg.op(jnp.clip)(a, max=1.0), inputs), np.minimum(A, 1))
    np.testing.assert_array_equal(evaluate(jg.op(jnp.where)(a > b, a, b), inputs), np.maximum(A, B))
    np.testing.assert_allclose(evaluate(jg.op(lambda x: jnp.sin(x) + 1)(a), inputs), np.sin(A) + 1, rtol=1e-5)
    first, second = jg.op(jnp.split)(a[:, :2], 2, axis=1)
    np.testing.assert_array_equal(evaluate([first, second][1], inputs), A[:, 1:2])
    np.testing.assert_array_equal(evaluate(jg.op(jnp.concatenate)([a, b], axis=-1), inputs), np.concatenate([A, B], -1))
    assert jg.Model(a, jg.op(jnp.tanh, name="squash")(a)).nodes[-1].path == "squash"


@pytest.mark.parametrize("function", [None, 3, "tanh", jnp.float32, jg.layers.Dense(2)], ids=str)
def test_op_refuses_what_is_no_function(function: Any) -> None:
    with pytest.raises(ArgumentError, match=r"jg\.op\(jnp\.clip\)\(x, 0\.0, 1\.0\)"):
        jg.op(function)


REFUSED: list[tuple[str, Callable[[Any], Any], str]] = [
    ("condition", bool, r"jg\.op\(jnp\.where\)"),
    ("iterate", list, r"x\[:, 0\]"),
    ("length", len, r"x\.shape"),
    ("jax array", jnp.asarray, r"jg\.op\(jnp\.sin\)\(x\)"),
    ("numpy array", np.asarray, r"jg\.op\(jnp\.sin\)\(x\)"),
    ("numpy function", np.mean, r"jg\.op\(jnp\.sin\)\(x\)"),
    ("pickle", pickle.dumps, r"jg\.Model"),
    ("copy", copy.copy, r"jg\.Model"),
    ("deepcopy", copy.deepcopy, r"jg\.Model"),
]


@pytest.mark.parametrize(("use", "cure"), [(use, cure) for _, use, cure in REFUSED], ids=[name for name, *_ in REFUSED])
def test_a_symbol_where_an_array_belongs_is_refused_with_the_cure(use: Callable[[Any], Any], cure: str) -> None:
    with pytest.raises(SymbolError, match=cure):
        use(jg.Input((3,)))


def test_a_jax_function_that_was_not_lifted_names_the_symbol() -> None:
    with pytest.raises(TypeError, match="Symbol"):
        jnp.sin(jg.Input((3,)))  # pyright: ignore[reportArgumentType]


def test_arrays_and_tracers_where_symbols_belong_are_refused() -> None:
    dense = jg.layers.Dense(2)
    with pytest.raises(SymbolError, match=r"layer\.apply"):
        dense(np.ones((2, 3)))
    with pytest.raises(SymbolError, match=r"layer\.apply"):
        dense()
    with pytest.raises(SymbolError, match=r"layer\.apply"):
        jax.jit(lambda x: jg.op(jnp.add)(jg.Input((3,)), x))(jnp.ones(3))


@pytest.mark.parametrize("word", ["train", "key"])
def test_train_and_key_belong_to_apply(word: str) -> None:
    with pytest.raises(ArgumentError, match=rf"apply\(params, state, inputs, {word}="):
        jg.layers.Dropout(0.5)(jg.Input((3,)), **{word: True})


def test_shapes_that_do_not_fit_are_an_error_where_they_are_drawn() -> None:
    with pytest.raises(ShapeError, match="add"):
        operator.add(jg.Input((3,)), jg.Input((4,)))
    with pytest.raises(ShapeError, match=r"rank 3"):
        jg.layers.LSTM(2)(jg.Input((3,)))


def test_free_axes_of_two_inputs_are_different_until_one_says_otherwise() -> None:
    x = jg.Input((None, 8))
    with pytest.raises(ShapeError, match=r"None#1.*None#2.*name them alike: jg\.Input"):
        operator.add(x, jg.Input((None, 8)))
    y = jg.Input(x.shape[1:])
    model = jg.Model([x, y], x + y)
    assert model.apply({}, {}, [np.ones((2, 5, 8))] * 2)[0].shape == (2, 5, 8)
    with pytest.raises(ShapeError, match="as None is elsewhere"):
        model.apply({}, {}, [np.ones((2, 5, 8)), np.ones((2, 6, 8))])
    again = pickle.loads(pickle.dumps(jg.Model([x, y], jg.layers.Add()([x, y]))))
    with pytest.raises(ShapeError, match="as None is elsewhere"):
        again.apply({}, {}, [np.ones((2, 5, 8)), np.ones((2, 6, 8))])


@pytest.mark.parametrize("axis", ["a b", "3", "batch", "", "4*", "h//2", "2*batch"])
def test_an_axis_with_a_name_is_an_expression_of_names(axis: str) -> None:
    with pytest.raises(ArgumentError, match=r"axis '.*expected (a dimension|an expression)"):
        jg.Input((axis,))


@pytest.mark.parametrize("shape", [5, (0,), (-1,), (True,), (2.0,), None, "abc"], ids=str)
def test_an_input_needs_a_tuple_of_sizes(shape: Any) -> None:
    with pytest.raises(ArgumentError, match=r"Input\(\(28, 28, 1\)\)"):
        jg.Input(shape)


def test_an_input_needs_a_dtype_that_exists_and_a_name_without_a_slash() -> None:
    with pytest.raises(ArgumentError, match="NumPy dtype"):
        jg.Input((3,), dtype="flaot32")
    for name in ("a/b", "", 3):
        with pytest.raises(ArgumentError, match="use '_'"):
            jg.Input((3,), name=name)  # pyright: ignore[reportArgumentType]


def test_a_mask_by_hand_is_a_symbol_of_booleans_for_a_layer_that_uses_it() -> None:
    x, lengths = jg.Input((5, 4)), jg.Input((5,), dtype="float32")
    lstm = jg.layers.LSTM(3)
    with pytest.raises(DTypeError, match=r"mask=m > 0"):
        lstm(x, mask=lengths)
    with pytest.raises(SymbolError, match="Draw the mask too"):
        lstm(x, mask=np.ones((2, 5), bool))
    with pytest.raises(SymbolError, match="Draw the mask too"):
        lstm(x, mask=())
    with pytest.raises(ArgumentError, match="pass_mask"):
        jg.layers.Flatten()(x, mask=lengths > 0)
    assert lstm(x, mask=lengths > 0).shape[1:] == (3,)


def test_conditions_go_together() -> None:
    x = jg.Input((3,), name="x")
    model = jg.Model(x, ((x > 0) & (x < 2)) | ~(x < 5))
    given = np.array([[-1.0, 1.0, 6.0]], "float32")
    np.testing.assert_array_equal(model.apply({}, {}, given)[0], [[False, True, True]])
    assert not model.mixes_rows
    flags = np.array([True, False, True])
    combined = jg.Model(x, [flags & (x > 0), flags | (x > 0), True ^ (x > 0), (x > 0) ^ flags])
    expected = [[False, False, True], [True, True, True], [True, False, False], [True, True, False]]
    for got, want in zip(combined.apply({}, {}, given)[0], expected, strict=True):
        np.testing.assert_array_equal(got, [want])
    assert not combined.mixes_rows
