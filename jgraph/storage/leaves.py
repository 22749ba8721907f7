"""Nested dicts of NumPy arrays, described leaf by leaf, and rewritten with keys that Orbax keeps apart."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn
from urllib.parse import quote

import numpy as np

from jgraph.errors import SaveError
from jgraph.typing import PyTree

KeyPath = tuple[str, ...]
"""The keys that lead to a leaf or a branch of nested dicts."""


def digest(array: np.ndarray) -> str:
    """The sha256 of an array's bytes, row after row.

    >>> digest(np.zeros(2, "int8")) == hashlib.sha256(bytes(2)).hexdigest()
    True
    """
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()


def json_digest(content: Any) -> str:
    """The sha256 of what JSON can hold, whatever the order of its keys.

    >>> json_digest({"a": 1, "b": 2}) == json_digest({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def outline(tree: PyTree) -> Any:
    """Nested dicts as JSON can hold them: a leaf becomes `[dtype, shape, sha256]`; empty dicts stay.

    Raises:
        SaveError: a key is not a text, or a leaf is not a NumPy array of numbers; it is named.

    >>> outline({"a": {"b": np.zeros((2, 3))}})["a"]["b"][:2]
    ['float64', [2, 3]]
    """
    if not isinstance(tree, dict):
        _refuse((), "nested dicts", type(tree).__name__, "Put it into a dict.")
    return _outline(tree, ())


def _outline(tree: PyTree, path: KeyPath) -> Any:
    if isinstance(tree, dict):
        for key in tree:
            if not isinstance(key, str):
                _refuse(path, "keys that are texts", repr(key), "Write str(key).")
        return {key: _outline(below, (*path, key)) for key, below in tree.items()}
    if not isinstance(tree, np.ndarray | np.generic):
        _refuse(path, "nested dicts of NumPy arrays", type(tree).__name__, "Convert it with np.asarray.")
    if not fits(tree.dtype):
        expected = "numbers of at most 64 bits, or 128 if complex, in the byte order of this machine"
        _refuse(path, expected, str(tree.dtype), "Cast it.")
    return [str(tree.dtype), list(tree.shape), digest(np.asarray(tree))]


def fits(dtype: np.dtype) -> bool:
    """Whether a leaf of this dtype can be saved."""
    taught = dtype.isbuiltin == 2  # such as bfloat16, which NumPy knows from another package
    plain = dtype.kind in "biufc" and dtype.itemsize <= (16 if dtype.kind == "c" else 8)
    return dtype.isnative and (taught or plain)


def _refuse(path: KeyPath, expected: str, got: str, cure: str) -> NoReturn:
    raise SaveError(f"save_step, tree, {show(path)!r}", expected=expected, got=got, cure=cure)


def paths(tree: PyTree, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Each leaf of nested dicts, or of an outline, with the keys that lead to it.

    >>> list(paths({"a": {"b": 1}, "c": {}}))
    [(('a', 'b'), 1)]
    """
    if isinstance(tree, dict):
        for key, below in tree.items():
            yield from paths(below, (*path, key))
    else:
        yield path, tree


def rebuild(tree: PyTree, leaf: Callable[[KeyPath, Any], Any], path: KeyPath = ()) -> Any:
    """The same nested dicts with other leaves.

    >>> rebuild({"a": {"b": 1}, "c": {}}, lambda path, leaf: leaf + 1)
    {'a': {'b': 2}, 'c': {}}
    """
    if isinstance(tree, dict):
        return {key: rebuild(below, leaf, (*path, key)) for key, below in tree.items()}
    return leaf(path, tree)


def branches(tree: PyTree, parts: Sequence[KeyPath]) -> Any:
    """The tree with nothing in it but these branches, where it has them; the branch `()` is all of it.

    >>> branches({"a": {"b": 1, "c": 2}, "d": 3}, [("a", "c"), ("e",)])
    {'a': {'c': 2}}
    """
    if () in parts or not isinstance(tree, dict):
        return tree
    below = {key: [part[1:] for part in parts if part[0] == key] for key in tree}
    return {key: branches(tree[key], ends) for key, ends in below.items() if ends}


def stored(tree: PyTree) -> dict[str, Any]:
    """The arrays as they are handed to Orbax: those with elements, under keys that it keeps apart, without empty dicts.

    Orbax joins keys by dots, so all but letters, digits, `-`, `_` and `~` is written as `%` and two hexadecimal digits.
    Numbers of one byte that NumPy was taught, such as 8-bit floats, become plain bytes.

    >>> stored({"a.b": {"c d": np.arange(2), "e": np.zeros(0)}, "f": {}})
    {'a%2Eb': {'c%20d': array([0, 1])}}
    """
    found = {}
    for key, below in tree.items():
        if isinstance(below, dict):
            if inner := stored(below):
                found[stored_key(key)] = inner
        elif below.size:
            array = np.asarray(below)
            found[stored_key(key)] = array.view(stored_dtype(array.dtype))
    return found


def stored_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype in which `stored` hands an array to Orbax.

    >>> stored_dtype(np.dtype("float8_e4m3fn")), stored_dtype(np.dtype("float32"))
    (dtype('uint8'), dtype('float32'))
    """
    return np.dtype(np.uint8) if dtype.isbuiltin == 2 and dtype.itemsize == 1 else dtype


def of_stored(array: np.ndarray, dtype: str) -> np.ndarray:
    """An array as it was before `stored`, given its dtype.

    >>> of_stored(np.ones(1, "uint8"), "float8_e4m3fn").dtype
    dtype(float8_e4m3fn)
    """
    return array.view(dtype) if array.dtype == stored_dtype(np.dtype(dtype)) else array


def stored_key(key: str) -> str:
    """A key as it stands in the file; the empty one as a single `%`."""
    return quote(key, safe="", errors="surrogatepass").replace(".", "%2E") or "%"


def show(path: KeyPath) -> str:
    """The keys joined by `/`, for messages."""
    return "/".join(path)
