"""The arrays of a step, each compared with what its record says of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jgraph.errors import LoadError, listing
from jgraph.storage.arrays import load_arrays
from jgraph.storage.leaves import KeyPath, branches, digest, paths, rebuild, show, stored, stored_key
from jgraph.typing import PyTree

SAVED = "what was saved"
CURE = "The step is damaged: take a copy of it, or another step."


def read_tree(place: Path, saved: PyTree, parts: Sequence[KeyPath]) -> Any:
    """The branches of a saved outline (see `leaves.outline`) with their arrays, in exactly the dtypes of the outline.

    Raises:
        LoadError: a leaf is missing, or not what the outline says; it is named.
    """
    wanted = branches(saved, parts)
    found = _load(place, wanted, whole=wanted == saved)
    damaged: list[KeyPath] = []

    def leaf(path: KeyPath, described: Any) -> np.ndarray:
        dtype, shape, sha256 = described
        if 0 in shape:  # Orbax keeps no array without elements
            return np.zeros(shape, dtype)
        array: Any = found
        for key in path:
            array = array[stored_key(key)]
        if str(array.dtype) != dtype or list(array.shape) != shape or digest(array) != sha256:
            damaged.append(path)
        return array

    tree = rebuild(wanted, leaf)
    if damaged:
        raise _damaged(place, "others", damaged)
    return tree


def _load(place: Path, wanted: PyTree, *, whole: bool) -> dict[str, Any]:
    """The stored arrays of an outline; where Orbax cannot read them, the leaves that it stumbles over are named."""
    structure = rebuild(stored(wanted, _has_elements), lambda *_: 0)
    if not structure:
        return {}
    try:
        return load_arrays(place, structure, whole=whole)
    except Exception as error:
        leaves = [path for path, described in paths(wanted) if _has_elements(described)]
        raise _damaged(place, f"what Orbax cannot read ({said_by(error)})", _unreadable(place, leaves)) from error


def _has_elements(described: Any) -> bool:
    return 0 not in described[1]


def _unreadable(place: Path, leaves: list[KeyPath], most: int = 4) -> list[KeyPath]:
    found: list[KeyPath] = []
    for path in leaves:
        structure: Any = 0
        for key in reversed(path):
            structure = {stored_key(key): structure}
        try:
            load_arrays(place, structure, whole=False)
        except Exception:  # the error that is raised is that of the whole tree
            found.append(path)
        if len(found) == most:
            break
    return found


def said_by(error: Exception) -> str:
    """An error of another package in one short line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _damaged(place: Path, got: str, leaves: list[KeyPath]) -> LoadError:
    named = f" in the leaf {listing(map(show, leaves), 4)}" if leaves else ""
    return LoadError(str(place), expected=SAVED, got=got + named, cure=CURE)
