"""Binding arrays and symbols to the inputs that were drawn: pairs, sizes and the number of rows."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.core.feed import as_array, batch_size_of, bind, check_symbols, match_inputs
from jgraph.core.graph import Ref
from jgraph.errors import DTypeError, KeyMismatchError, ShapeError, SymbolError


def model() -> jg.Model:
    a, b = jg.Input((2,), name="a"), jg.Input((None,), dtype="int32", name="b")
    return jg.Model({"b": b, "a": a}, {"y": a * 2.0, "z": b})


def test_inputs_are_paired_with_their_references_by_key() -> None:
    graph = model().graph
    pairs = match_inputs(graph, {"a": 1, "b": 2}, "here")
    assert pairs == [("a", Ref(0, 0), 1), ("b", graph.inputs["b"], 2)]


def test_bound_arrays_have_the_dtype_that_was_drawn() -> None:
    graph = model().graph
    bound = bind(graph, {"a": np.ones((3, 2)), "b": np.ones((3, 5), np.int64)}, "here")
    assert {place: str(array.dtype) for place, array in bound.items()} == {
        0: "float32",
        graph.inputs["b"].node: "int32",
    }
    assert all(isinstance(array, jax.Array) for array in bound.values())


def test_an_array_of_the_right_dtype_is_not_copied() -> None:
    array = jnp.ones((3, 2))
    assert as_array(array, jax.ShapeDtypeStruct((3, 2), "float32"), "here") is array


def test_tracers_are_bound_like_arrays() -> None:
    shapes = jax.eval_shape(
        lambda a, b: model().apply({}, {}, {"a": a, "b": b})[0], jnp.ones((3, 2)), jnp.ones((3, 4), int)
    )
    assert shapes["z"].shape == (3, 4)


@pytest.mark.parametrize(
    ("inputs", "error", "said"),
    [
        ({"a": np.ones((3, 2))}, KeyMismatchError, "here, inputs.*missing 'b'"),
        ({"a": np.ones((3, 2)), "c": np.ones((3, 2))}, KeyMismatchError, "missing 'b' and extra 'c'"),
        ({"a": {"x": np.ones((3, 2))}, "b": np.ones((3, 2), int)}, KeyMismatchError, "missing 'a' and extra 'a/x'"),
        ({"a": np.ones((3, 2)), "b": np.ones((3, 2))}, DTypeError, "here, input 'b'"),
        ({"a": np.ones((3, 2)), "b": np.ones((4, 2), int)}, ShapeError, "here, input 'b', axis 0.*batch is elsewhere"),
        ({"a": None, "b": np.ones((4, 2), int)}, SymbolError, "here, input 'a'"),
        (None, KeyMismatchError, "expected a dict"),
        ([], KeyMismatchError, "expected a dict"),
    ],
)
def test_faults_are_named(inputs: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        bind(model().graph, inputs, "here")


def test_symbols_are_checked_without_knowing_sizes() -> None:
    graph = model().graph
    a, b = jg.Input((2,)), jg.Input((7,), dtype="int32")
    assert check_symbols(graph, {"a": a, "b": b}, "here") == {(0, 0): a, (graph.inputs["b"].node, 0): b}
    with pytest.raises(SymbolError, match=r"here, input 'a'.*model\.apply"):
        check_symbols(graph, {"a": np.ones((3, 2)), "b": b}, "here")
    with pytest.raises(ShapeError, match="here, input 'a'"):
        check_symbols(graph, {"a": jg.Input((2, 2)), "b": b}, "here")


def test_the_number_of_rows_is_common_to_all_arrays() -> None:
    assert batch_size_of({"a": np.ones((3, 2)), "b": [np.ones(3)]}, "here") == 3
    for wrong in ({"a": np.ones(3), "b": np.ones(4)}, {"a": np.ones(())}, {}, 3.0):
        with pytest.raises(ShapeError, match="Axis 0 is the batch axis"):
            batch_size_of(wrong, "here")
