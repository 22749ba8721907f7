"""A directory that holds a tree of arrays, by Orbax, and a record beside it; whole or not there at all.

It is written under another name and renamed when all is on the disk. The record has a checksum of every file, as
file systems notice no flipped bit and Orbax reads past many; and a hash of every leaf, so that what comes out is what
went in.
"""

import hashlib
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.errors import LoadError, SaveError, listing
from jgraph.storage.arrays import ARRAYS, checksums, files_in, load_arrays, save_tree, sync
from jgraph.storage.leaves import digest, json_digest
from jgraph.storage.untrusted import check_files, check_room, is_described, read_json, walking
from jgraph.tree import leaves_with_names, name_of
from jgraph.typing import PyTree

RECORD = "jgraph.json"
PARTS = ("leaves", "files", "record")
FORMAT, VERSION = "jgraph directory", 1
LISTED = 40
"""How many leaves an error lists."""

SAVED = "the bytes that were saved"
DAMAGED = "The file is damaged: take a copy of it, or save anew."


def write(directory: str | os.PathLike[str], tree: PyTree, record: dict[str, Any]) -> None:
    """Writes a tree of arrays and a record; a directory that was written here before is replaced.

    Raises:
        SaveError: something else stands at that place.
        OSError: the place cannot be written.
    """
    target = Path(directory).absolute()
    _check_place(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    draft.mkdir()
    try:
        tree = jax.tree.map(lambda leaf: np.asarray(jnp.asarray(leaf)), tree)  # in dtypes that JAX can read back
        leaves = dict(leaves_with_names(tree))
        if leaves:
            save_tree(draft / ARRAYS, tree)
        described = {name: describe(leaf) for name, leaf in leaves.items()}
        content = {"leaves": described, "files": checksums(draft, files_in(draft)), "record": record}
        text = json.dumps({"format": FORMAT, "version": VERSION, "sha256": json_digest(content), "content": content})
        with (draft / RECORD).open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _swap(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check_place(target: Path) -> None:
    """Only an empty place, or a directory that holds what `write` writes and nothing else, is written over."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    others = [p.name for p in target.iterdir() if p.name not in (RECORD, ARRAYS)] if target.is_dir() else [target.name]
    if others or not (target / RECORD).is_file():
        raise SaveError(
            str(target),
            expected="a new path, or a directory saved by jgraph",
            got=f"a place with {listing(others or [ARRAYS], 4)}, which jgraph did not write",
            cure="Choose another path.",
        )


def _hashes(directory: Path) -> dict[str, str]:
    """The sha256 of every file of arrays, in place of which there were no checksums before 2026-12."""
    found = {}
    for name in files_in(directory):
        with (directory / name).open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def describe(array: np.ndarray) -> dict[str, Any]:
    """Shape, dtype and hash of a leaf."""
    return {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": digest(array)}


def read_record(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """The record of a directory, `leaves` and `record`, once all files are found to be as they were written.

    Raises:
        LoadError: there is none, it or a file of arrays is damaged or missing, or the version is not known.
    """
    path = Path(directory) / RECORD
    check_files(path.parent)
    file = _read_file(directory, path)
    if not isinstance(file, dict) or file.get("format") != FORMAT or file.get("version") != VERSION:
        got = (
            f"{file.get('format')!r} of version {file.get('version')!r}" if isinstance(file, dict) else "something else"
        )
        cure = "Load it with the jgraph that saved it."
        raise LoadError(str(path), expected=f"{FORMAT!r} of version {VERSION}", got=got[:200], cure=cure)
    content = _checked(path, file)
    stored, names = content["files"], files_in(path.parent)
    hashed = any(isinstance(value, str) for value in stored.values())
    found = _hashes(path.parent) if hashed else checksums(path.parent, names)
    if differing := [name for name in {**stored, **found} if stored.get(name) != found.get(name)]:
        got = f"others, or none, in {listing(differing, 4)}"
        raise LoadError(str(directory), expected=SAVED, got=got, cure=DAMAGED)
    return content


def _read_file(directory: str | os.PathLike[str], path: Path) -> Any:
    try:
        return read_json(path)
    except OSError as error:
        raise LoadError(
            str(directory),
            expected=f"a directory with the file {RECORD}",
            got=error.strerror or type(error).__name__,
            cure="Give a path that jg.save wrote.",
        ) from None
    except ValueError as error:
        raise LoadError(str(path), expected="JSON", got=f"{error}"[:200], cure=DAMAGED) from error


def _checked(path: Path, file: dict[str, Any]) -> dict[str, Any]:
    """The content of a record, once its hash and its form are found to be right."""
    content: Any = file.get("content")
    with walking(str(path)):
        if json_digest(content) != file.get("sha256"):
            raise LoadError(str(path), expected=SAVED, got="others", cure=DAMAGED)
    expected = ""
    if not isinstance(content, dict) or {*content} != {*PARTS} or not all(isinstance(content[p], dict) for p in PARTS):
        expected = f"an object with the objects {listing(PARTS)}"
    elif wrong := [name for name, leaf in content["leaves"].items() if not _is_described(leaf)]:
        expected = f"shape, dtype and hash of an array for {listing(wrong, 4)}"
    if expected:
        raise LoadError(str(path), expected=expected, got="something else", cure=DAMAGED)
    check_room(str(path), {name: _outlined(leaf) for name, leaf in content["leaves"].items()})
    return content


def _is_described(leaf: Any) -> bool:
    return isinstance(leaf, dict) and {*leaf} == {"shape", "dtype", "sha256"} and is_described(_outlined(leaf))


def _outlined(leaf: dict[str, Any]) -> list[Any]:
    """A leaf as an outline has it."""
    return [leaf["dtype"], leaf["shape"], leaf["sha256"]]


def read_arrays(directory: str | os.PathLike[str], specs: PyTree, leaves: dict[str, Any]) -> PyTree:
    """The arrays in the structure and shapes of `specs`, in the dtypes of the record's `leaves`.

    Raises:
        LoadError: leaves are missing, extra, of another shape, or damaged; they are named.
    """
    compare(directory, specs, {name: {"shape": leaf["shape"]} for name, leaf in leaves.items()})
    if not leaves:
        return specs
    tree = _load_arrays(Path(directory).absolute() / ARRAYS, specs, leaves)
    if damaged := [n for n, leaf in leaves_with_names(tree) if describe(leaf) != leaves[n]]:
        raise LoadError(str(directory), expected=SAVED, got=f"others in {listing(damaged)}", cure=DAMAGED)
    return on_device(tree, str(directory))


def on_device(tree: PyTree, where: str) -> PyTree:
    """Arrays of the host as JAX's, of the same dtypes.

    Raises:
        LoadError: JAX would cast one, which is named.
    """
    for name, leaf in leaves_with_names(tree):
        if jax.dtypes.canonicalize_dtype(leaf.dtype) != leaf.dtype:
            cure = "Switch on jax_enable_x64, as it was when saving."
            expected = "a dtype of at most 32 bits"
            raise LoadError(f"{where}, leaf {name!r}", expected=expected, got=str(leaf.dtype), cure=cure)
    return jax.device_put(tree)  # all at once, which takes a fifth of the time that one by one would


def compare(directory: str | os.PathLike[str], specs: PyTree, leaves: dict[str, Any]) -> None:
    """Checks that a record's `leaves` are those of `specs`: of the same shapes, and of the same dtypes where it says.

    Raises:
        LoadError: leaves are missing, extra, of another shape or dtype; they are listed, with both sides.
    """
    typed = any("dtype" in leaf for leaf in leaves.values())
    wanted = {n: (list(spec.shape), str(spec.dtype) * typed) for n, spec in leaves_with_names(specs)}
    stored = {name: (leaf["shape"], leaf.get("dtype", "")) for name, leaf in leaves.items()}
    differing = [n for n in {**stored, **wanted} if stored.get(n) != wanted.get(n)]
    if not differing:
        return

    def show(side: dict[str, Any]) -> str:
        texts = [f"{n}: {side[n][1]}{side[n][0]}" if n in side else f"{n}: no leaf" for n in differing[:LISTED]]
        return "; ".join(texts) + f" (and {len(differing) - LISTED} more)" * (len(differing) > LISTED)

    raise LoadError(
        str(directory),
        expected=show(wanted),
        got=show(stored),
        cure="The weights belong to another model; jg.load(path, into=model, partial=True) takes those that fit.",
    )


def _swap(draft: Path, target: Path) -> None:
    """Renames the draft into place and makes the renaming last."""
    old = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.old")
    if target.exists():
        target.rename(old)
    try:
        draft.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _load_arrays(path: Path, specs: PyTree, leaves: dict[str, Any]) -> PyTree:
    def target(at: Any, spec: Any) -> Any:
        return jax.ShapeDtypeStruct(spec.shape, np.dtype(leaves[name_of(at)]["dtype"]))

    try:
        return load_arrays(path, jax.tree_util.tree_map_with_path(target, specs))
    except Exception as error:
        got = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise LoadError(str(path), expected="arrays that Orbax can read", got=got, cure=DAMAGED) from error
