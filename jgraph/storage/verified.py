"""The arrays of a step, each compared with what its record says of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jgraph.errors import LoadError, listing
from jgraph.storage.arrays import ARRAYS, FILES, differing_files, load_arrays
from jgraph.storage.leaves import (
    KeyPath,
    branches,
    digest,
    of_stored,
    paths,
    rebuild,
    show,
    stored_dtype,
    stored_key,
)
from jgraph.storage.untrusted import check_room
from jgraph.typing import PyTree

SAVED = "what was saved"
CURE = "The step is damaged: take a copy of it, or another step."


def read_tree(place: Path, saved: PyTree, parts: Sequence[KeyPath]) -> Any:
    """The branches of a saved outline (see `leaves.outline`) with their arrays, in exactly the dtypes of the outline.

    Raises:
        LoadError: a leaf is missing, or not what the outline says; it is named. Or memory has no room for them all.
    """
    wanted = branches(saved, parts)
    check_room(str(place), {show(path): leaf for path, leaf in paths(wanted)})
    described = {path: leaf for path, leaf in paths(wanted) if 0 not in leaf[1]}  # Orbax keeps none without elements
    try:
        differing = differing_files(place)
    except (OSError, ValueError) as error:
        expected = f"checksums that can be read, in {FILES}"
        raise LoadError(str(place), expected=expected, got=said_by(error), cure=CURE) from error
    found = _read_one_by_one(place, described, differing) if differing else _read(place, described)
    return rebuild(wanted, lambda path, leaf: found[path] if path in found else np.zeros(leaf[1], leaf[0]))


def _read(place: Path, described: dict[KeyPath, Any]) -> dict[KeyPath, np.ndarray]:
    """All leaves at once."""
    structure: dict[str, Any] = {}
    for path in described:
        below = structure
        for key in path[:-1]:
            below = below.setdefault(stored_key(key), {})
        below[stored_key(path[-1])] = _spec(described[path])
    try:
        loaded = load_arrays(place / ARRAYS, structure) if described else {}
        found = {path: of_stored(_at(loaded, path), leaf[0]) for path, leaf in described.items()}
    except Exception:  # the leaf that Orbax stumbles over is named by the slower way
        return _read_one_by_one(place, described)
    if damaged := [path for path, leaf in described.items() if not _same(found[path], leaf)]:
        raise _damaged(place, "others", damaged)
    return found


def _read_one_by_one(
    place: Path, described: dict[KeyPath, Any], differing: Sequence[str] = (), most: int = 4
) -> dict[KeyPath, np.ndarray]:
    """Each leaf for itself, until so many are found to be damaged: what stands in other files may still be whole.

    `differing` are the files that are not as they were written.
    """
    found: dict[KeyPath, np.ndarray] = {}
    damaged: list[KeyPath] = []
    said = "others"
    for path, leaf in described.items():
        structure: Any = _spec(leaf)
        for key in reversed(path):
            structure = {stored_key(key): structure}
        try:
            found[path] = of_stored(_at(load_arrays(place / ARRAYS, structure), path), leaf[0])
        except Exception as error:
            said = f"what Orbax cannot read ({said_by(error)})"
            damaged.append(path)
        else:
            damaged += [] if _same(found[path], leaf) else [path]
        if len(damaged) == most:
            break
    if damaged:
        raise _damaged(place, said, damaged, differing)
    return found


def _spec(leaf: Any) -> jax.ShapeDtypeStruct:
    dtype, shape, _ = leaf
    return jax.ShapeDtypeStruct(tuple(shape), stored_dtype(np.dtype(dtype)))


def _at(loaded: Any, path: KeyPath) -> np.ndarray:
    for key in path:
        loaded = loaded[stored_key(key)]
    return loaded


def _same(array: np.ndarray, described: Any) -> bool:
    return [str(array.dtype), list(array.shape), digest(array)] == described


def said_by(error: Exception) -> str:
    """An error of another package in one short line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _damaged(place: Path, got: str, leaves: list[KeyPath], files: Sequence[str] = ()) -> LoadError:
    where = f", by the file {listing(files, 4)}" if files else ""
    got = f"{got} in the leaf {listing(map(show, leaves))}{where}"
    return LoadError(str(place), expected=SAVED, got=got, cure=CURE)
