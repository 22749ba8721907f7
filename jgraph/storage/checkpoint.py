"""A directory that holds a tree of arrays, by Orbax, and a record beside it; whole or not there at all.

It is written under another name and renamed when all is on the disk. The record has a hash of every leaf, as neither
file systems nor array formats notice a flipped bit.
"""

import hashlib
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jgraph.errors import LoadError, SaveError, listing
from jgraph.tree import leaves_with_names
from jgraph.typing import PyTree

RECORD, ARRAYS = "jgraph.json", "arrays"
VERSION = 1


def write(directory: str | os.PathLike[str], tree: PyTree, record: dict[str, Any]) -> None:
    """Writes a tree of arrays and a record; a directory that was written here before is replaced.

    Raises:
        SaveError: something else stands at that place.
        OSError: the place cannot be written.
    """
    target = Path(directory).absolute()
    if target.exists() and not (target / RECORD).is_file():
        raise SaveError(
            str(directory), expected="a new path, or a directory saved by jgraph", got="something else", cure="Choose another."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    draft.mkdir()
    try:
        leaves = dict(leaves_with_names(tree))
        if leaves:
            _save_arrays(draft / ARRAYS, tree)
        described = {name: describe(leaf) for name, leaf in leaves.items()}
        text = json.dumps({"format": "jgraph directory", "version": VERSION, "leaves": described, "record": record})
        with open(draft / RECORD, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _swap(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def describe(leaf: Any) -> dict[str, Any]:
    """Shape, dtype and hash of a leaf."""
    array = np.asarray(leaf)
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": digest}


def read_record(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """The record of a directory: `leaves` and `record`.

    Raises:
        LoadError: there is none, it is damaged, or of a version that is not known.
    """
    path = Path(directory) / RECORD
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LoadError(
            str(directory), expected=f"a directory with the file {RECORD}", got="none", cure="Give a path that jg.save wrote."
        ) from None
    except ValueError as error:
        raise LoadError(str(path), expected="JSON", got=f"{error}", cure="The file is damaged: take a copy.") from error
    if not isinstance(content, dict) or content.get("format") != "jgraph directory" or content.get("version") != VERSION:
        version = content.get("version") if isinstance(content, dict) else None
        raise LoadError(
            str(path), expected=f"version {VERSION}", got=f"version {version!r}", cure="Load it with the jgraph that saved it."
        )
    return content


def read_arrays(directory: str | os.PathLike[str], specs: PyTree, leaves: dict[str, Any]) -> PyTree:
    """The arrays in the structure of `specs`, compared with the record's `leaves` before and after reading.

    Raises:
        LoadError: leaves are missing, extra, of another shape or dtype, or damaged; they are named.
    """
    wanted = dict(leaves_with_names(specs))
    stored = {name: (tuple(d["shape"]), d["dtype"]) for name, d in leaves.items()}
    expected = {name: (tuple(s.shape), str(s.dtype)) for name, s in wanted.items()}
    differing = [n for n in {**stored, **expected} if stored.get(n) != expected.get(n)]
    if differing:
        raise LoadError(
            str(directory),
            expected="; ".join(f"{n}: {expected.get(n, 'no leaf')}" for n in differing[:8]),
            got="; ".join(f"{n}: {stored.get(n, 'no leaf')}" for n in differing[:8]),
            cure="The weights belong to another model.",
        )
    if not wanted:
        return specs
    tree = _load_arrays(Path(directory).absolute() / ARRAYS, specs)
    damaged = [n for n, leaf in leaves_with_names(tree) if describe(leaf)["sha256"] != leaves[n]["sha256"]]
    if damaged:
        raise LoadError(
            str(directory), expected="the bytes that were saved", got=f"others in {listing(damaged)}", cure="Take a copy of it."
        )
    return tree


def _swap(draft: Path, target: Path) -> None:
    """Renames the draft into place and makes the renaming last."""
    old = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.old")
    if target.exists():
        target.rename(old)
    draft.rename(target)
    handle = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    shutil.rmtree(old, ignore_errors=True)


def _save_arrays(path: Path, tree: PyTree) -> None:
    with _checkpointer() as checkpointer:
        checkpointer.save(path, jax.tree.map(np.asarray, tree))
        checkpointer.wait_until_finished()


def _load_arrays(path: Path, specs: PyTree) -> PyTree:
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    target = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=device), specs)
    try:
        with _checkpointer() as checkpointer:
            return checkpointer.restore(path, target)
    except Exception as error:
        got = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise LoadError(str(path), expected="arrays that Orbax can read", got=got, cure="Take a copy of it.") from error


def _checkpointer() -> Any:
    import orbax.checkpoint

    return orbax.checkpoint.StandardCheckpointer()
