"""Trees by path: leaves by name, reading and writing nested dicts, and the first difference named."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgraph.errors import KeyMismatchError, ShapeError
from jgraph.tree import check_keys, divide, leaves_with_names, match, read, together, write


class Point(NamedTuple):
    """A named tuple as a tree."""

    x: int
    y: int


def test_leaves_are_named_by_their_path() -> None:
    tree = {"b": [1, (2,)], "a": Point(3, 4)}
    assert leaves_with_names(tree) == [("a/x", 3), ("a/y", 4), ("b/0", 1), ("b/1/0", 2)]
    assert leaves_with_names(7) == [("", 7)]
    assert leaves_with_names({"a": None}) == []
    assert leaves_with_names({"a": None}, is_leaf=lambda x: x is None) == [("a", None)]


def test_writing_and_reading_at_a_path() -> None:
    tree: dict[str, Any] = {}
    write(tree, ("a", "b"), {"w": 1})
    write(tree, ("a",), {"v": 2})
    write(tree, ("c",), {})
    assert tree == {"a": {"b": {"w": 1}, "v": 2}}
    assert read(tree, ("a", "b")) == {"w": 1}
    assert read(tree, ("a", "x", "y")) == {}
    assert read(tree, ()) == tree


def test_matching_trees_pass_whatever_their_dtypes() -> None:
    spec = {"a": {"w": jax.ShapeDtypeStruct((2, 3), "float32")}, "s": jax.ShapeDtypeStruct((), "float32")}
    match({"a": {"w": jnp.ones((2, 3), jnp.bfloat16)}, "s": 1.0}, spec, "here", "Mend it.")


@pytest.mark.parametrize(
    ("tree", "error", "said"),
    [
        ({}, KeyMismatchError, "expected the leaf 'a/b', 'a/w'"),
        ({"a": {"w": jnp.ones(2)}}, KeyMismatchError, "expected the leaf 'a/b', got a tree without it"),
        ({"a": {"w": jnp.ones(2), "b": jnp.ones(1), "c": jnp.ones(1)}}, KeyMismatchError, "the extra leaf 'a/c'"),
        ({"a": {"w": jnp.ones(2), "bb": jnp.ones(1)}}, KeyMismatchError, "Did you mean 'a/b'"),
        (
            {"a": {"w": jnp.ones(3), "b": jnp.ones(1)}},
            ShapeError,
            r"here, leaf 'a/w': expected shape \(2,\), got \(3,\)",
        ),
        ({"a": {"w": "text", "b": jnp.ones(1)}}, ShapeError, "got str"),
        ({"a": {"w": jnp.ones(2), "b": jnp.ones(1)}, "z": {}}, KeyMismatchError, "PyTreeDef"),
        (None, KeyMismatchError, "a tree without it"),
    ],
)
def test_the_first_difference_is_named(tree: Any, error: type[Exception], said: str) -> None:
    spec = {"a": {"w": jax.ShapeDtypeStruct((2,), "float32"), "b": jax.ShapeDtypeStruct((1,), "float32")}}
    with pytest.raises(error, match=said):
        match(tree, spec, "here", "Mend it.")


def test_what_is_divided_comes_together_again() -> None:
    tree = {"a": {"b": {"c": 1, "d": 2}, "e": {}}, "f": {"g": 3}, "h": {}}
    for paths in ([], [("a",)], [("a", "b", "c")], [("a", "b"), ("f", "g")], [("a", "e"), ("h",)], [("nowhere", "x")]):
        rest, part = divide(tree, paths)
        assert together(rest, part) == tree
        assert len(jax.tree.leaves(rest)) + len(jax.tree.leaves(part)) == 3
    assert divide(tree, [("a", "b", "c"), ("a", "b", "d"), ("f",)]) == (
        {"a": {"e": {}}, "h": {}},
        {"a": {"b": {"c": 1, "d": 2}}, "f": {"g": 3}},
    )
    assert divide(tree, [])[0] is tree


@pytest.mark.parametrize(
    ("tree", "sortable", "names"),
    [
        ({"a": {1: 0, 2: 0}, "b": [{"c": 0}]}, True, True),
        ({"a": [{"b/c": 0}]}, True, False),
        ({"": 0}, True, False),
        ({(1, 2): 0}, True, False),
        ({None: 0}, True, False),
        ({"a": ({1: 0, "b": 0},)}, False, False),
    ],
    ids=str,
)
def test_keys_can_be_sorted_and_be_names(tree: Any, sortable: bool, names: bool) -> None:
    for named, fine in ((False, sortable), (True, names)):
        if fine:
            check_keys(tree, "here", named=named)
        else:
            with pytest.raises(KeyMismatchError, match=r"here: expected dicts whose keys.*got the keys"):
                check_keys(tree, "here", named=named)


def test_arrays_are_divided_at_any_depth() -> None:
    array = np.ones(2)
    tree = {"a": {"b": {"c": array, "d": array}}, "e": {"f": array}}
    rest, part = divide(tree, [("a", "b", "c"), ("e", "f")])
    assert jax.tree.map(len, (rest, part)) == ({"a": {"b": {"d": 2}}}, {"a": {"b": {"c": 2}}, "e": {"f": 2}})
