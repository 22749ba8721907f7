"""Pytrees by path: reading, writing and comparing nested dicts, and naming leaves for messages."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

from jgraph.errors import KeyMismatchError, ShapeError, listing, nearest
from jgraph.typing import PyTree


def leaves_with_names(tree: PyTree, is_leaf: Callable[[Any], bool] | None = None) -> list[tuple[str, Any]]:
    """Each leaf with its path written as `a/b/0`; the path of a tree that is one leaf is empty.

    >>> leaves_with_names({"a": [1, 2], "b": 3})
    [('a/0', 1), ('a/1', 2), ('b', 3)]
    """
    return [(name_of(path), leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_leaf)[0]]


def name_of(path: Sequence[Any]) -> str:
    """A key path of JAX as `a/b/0`."""
    return "/".join(str(getattr(k, "key", getattr(k, "idx", getattr(k, "name", k)))) for k in path)


def check_keys(tree: PyTree, where: str, *, named: bool = False) -> None:
    """Checks that the keys of every dict can be sorted, as JAX does, and that they can be names where they are `named`.

    Names are strings without '/', which parts them, or integers.

    Raises:
        KeyMismatchError: they cannot.
    """

    def odd(node: Any) -> bool:
        return isinstance(node, dict) and not (_are_names(node) if named else _are_sortable(node))

    for node in jax.tree.leaves(tree, is_leaf=odd):
        if odd(node):
            parted = any(isinstance(key, str) and "/" in key for key in node)
            raise KeyMismatchError(
                where,
                expected="dicts whose keys are all strings"
                + (", not empty and without '/'," * named)
                + " or all integers",
                got=f"the keys {', '.join(map(repr, node))}",
                cure="Nest a dict in a dict instead of parting names by '/'."
                if parted
                else "Name all keys by strings.",
            )


def _are_names(keys: Iterable[Any]) -> bool:
    return {type(key) for key in keys} == {int} or all(isinstance(k, str) and k and "/" not in k for k in keys)


def _are_sortable(keys: Iterable[Any]) -> bool:
    try:
        sorted(keys)
    except TypeError:
        return False
    return True


def read(tree: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """The subtree of nested dicts at a path, or an empty dict where there is none."""
    for name in path:
        tree = tree.get(name, {})
    return tree


def write(tree: dict[str, Any], path: Sequence[str], subtree: dict[str, Any]) -> None:
    """Puts a subtree at a path of nested dicts that this caller is still building; an empty one leaves no trace."""
    if subtree:
        for name in path[:-1]:
            tree = tree.setdefault(name, {})
        tree.setdefault(path[-1], {}).update(subtree)


def put(tree: dict[str, Any], path: Sequence[str], leaves: dict[str, Any]) -> None:
    """Puts leaves into the dict at a path, which may be empty, of nested dicts that this caller is still building."""
    if path:
        write(tree, path, leaves)
    else:
        tree.update(leaves)


def divide(tree: dict[str, Any], paths: Iterable[Sequence[str]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Nested dicts in two: all but what is at these paths, and what is at them; what is left empty is left out.

    >>> divide({"a": {"b": 1, "c": 2}, "d": 3}, [("a", "b"), ("d",)])
    ({'a': {'c': 2}}, {'a': {'b': 1}, 'd': 3})
    """
    below: dict[str, list[Sequence[str]]] = {}
    for path in paths:
        below.setdefault(path[0], []).append(path[1:])
    if not below or not isinstance(tree, dict):
        return tree, {}
    rest, part = {}, {}
    for name, subtree in tree.items():
        inner = below.get(name, [])
        left, taken = ({}, subtree) if () in inner else divide(subtree, inner) if inner else (subtree, {})
        rest |= {name: left} if not inner or not isinstance(left, dict) or left else {}
        part |= {name: taken} if inner else {}
    return rest, part


def together(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The nested dicts that `divide` divided.

    >>> together({"a": {"c": 2}}, {"a": {"b": 1}, "d": 3})
    {'a': {'c': 2, 'b': 1}, 'd': 3}
    """
    common = {name: together(first[name], second[name]) for name in second if name in first}
    return {**first, **second, **common} if second else first


def overlaid(tree: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Nested dicts with the leaves of a part of them in place of their own.

    >>> overlaid({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 5}})
    {'a': {'b': 1, 'c': 5}, 'd': 3}
    """
    return {**tree, **{name: overlaid(tree[name], new) if isinstance(new, dict) else new for name, new in part.items()}}


def match(tree: PyTree, expected: PyTree, where: str, cure: str) -> None:
    """Checks that a tree of arrays has the leaves and shapes of a tree of specs; the first difference is named.

    Raises:
        KeyMismatchError: a leaf is missing or one too many.
        ShapeError: a leaf has another shape.
    """
    got, want = dict(leaves_with_names(tree)), dict(leaves_with_names(expected))
    missing, extra = [n for n in want if n not in got], [n for n in got if n not in want]
    if missing or extra:
        hint = nearest(extra[0], missing) if missing and extra else ""
        raise KeyMismatchError(
            where,
            expected="exactly the leaves " + listing(want) if not missing else "the leaf " + listing(missing),
            got=f"the extra leaf {listing(extra)}" if extra else "a tree without it",
            cure=hint + cure,
        )
    for name, spec in want.items():
        if tuple(getattr(got[name], "shape", ())) != tuple(spec.shape):
            shape = getattr(got[name], "shape", type(got[name]).__name__)
            raise ShapeError(f"{where}, leaf {name!r}", expected=f"shape {spec.shape}", got=str(shape), cure=cure)
    if jax.tree.structure(tree) != jax.tree.structure(expected):
        raise KeyMismatchError(
            where, expected=str(jax.tree.structure(expected)), got=str(jax.tree.structure(tree)), cure=cure
        )


def common_rows(arrays: dict[str, Any]) -> int | None:
    """The number of rows that all arrays have, or `None` where they differ, one has no axis, or there is none.

    >>> import numpy as np
    >>> common_rows({"x": np.ones((3, 2)), "y": np.ones(3)})
    3
    """
    sizes = {_rows_of(array) for array in arrays.values()}
    return sizes.pop() if len(sizes) == 1 else None


def show_rows(arrays: dict[str, Any]) -> str:
    """The rows of each array, for messages."""
    return ", ".join(f"{name}: {_rows_of(array)}" for name, array in arrays.items()) or "nothing"


def _rows_of(array: Any) -> int | None:
    return next(iter(np.shape(array)), None)
