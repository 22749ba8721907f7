"""Orbax, as jgraph uses it: trees of JAX arrays for `jg.save`, and steps of NumPy arrays with a record beside them."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jgraph.storage.leaves import paths
from jgraph.storage.untrusted import read_json
from jgraph.typing import PyTree

ARRAYS, RECORD = "arrays", "jgraph"
"""The items of a step."""

TOLD, FILES, MARK = "jgraph/metadata", "jgraph/files", "commit_success.txt"
"""The file of a step's record, that of the checksums of its files of arrays, and one of Orbax that says nothing."""

DRAFT = ".orbax-checkpoint-tmp"
"""What Orbax adds to the name of a directory that it has not finished."""


def save_tree(path: Path, tree: PyTree) -> None:
    """Writes a tree of arrays as a directory of its own."""
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer(async_options=_promptly()) as checkpointer:
        checkpointer.save(path.absolute(), tree)
        checkpointer.wait_until_finished()


def save_items(path: Path, tree: dict[str, Any], record: Mapping[str, Any]) -> None:
    """Writes a step of two items, the arrays (none: one item only) and the record; seen once all is on the disk.

    Orbax renames the draft. What it has not synchronised with the disk by then, and the renaming, is synchronised here;
    and the files of arrays get checksums, as an Orbax that reads damaged ones leaves errors behind in other threads.
    """
    import orbax.checkpoint as ocp

    class Lasting(ocp.path.atomicity.AtomicRenameTemporaryPath):
        async def finalize(self) -> None:
            draft = Path(self.get())
            (draft / FILES).write_text(
                json.dumps(checksums(draft, [name for name in files_in(draft) if Path(name).name != MARK]))
            )
            _sync_below(draft)
            await super().finalize()
            sync(Path(self.get_final()).parent)

    items: dict[str, Any] = {RECORD: ocp.args.JsonSave(record)}
    if tree:
        items[ARRAYS] = ocp.args.StandardSave(tree)
    handlers: dict[str, Any] = {ARRAYS: ocp.StandardCheckpointHandler(), RECORD: ocp.JsonCheckpointHandler()}
    options = ocp.CompositeOptions(async_options=_promptly())
    handler = ocp.CompositeCheckpointHandler(composite_options=options, **handlers)
    with ocp.Checkpointer(handler, temporary_path_class=Lasting) as checkpointer:
        checkpointer.save(path.absolute(), ocp.args.Composite(**items))


def load_record(path: Path) -> Any:
    """The record of a step.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    return read_json(path / TOLD)


def load_arrays(path: Path, specs: dict[str, Any]) -> dict[str, Any]:
    """The arrays in a directory as NumPy, those that nested dicts of specs have; there may be more.

    What is stored of each is looked at before there is memory for it, and nothing is cast.

    Raises:
        ValueError: an array is stored in another shape or dtype, or in pieces that are larger than itself.
    """
    import orbax.checkpoint as ocp

    wanted = {".".join(keys): spec for keys, spec in paths(specs)}

    class Compared(ocp.type_handlers.NumpyHandler):
        async def deserialize(self, infos: Any, args: Any = None) -> Any:
            stored: Any = await self.metadata(infos)
            for info, found in zip(infos, stored, strict=True):
                _compare(info.name, found, wanted[info.name], found.storage.chunk_shape)
            return await super().deserialize(infos, args)

    kinds = (np.ndarray, Compared()), (jax.Array, ocp.type_handlers.ArrayHandler())  # Orbax misses the second, unused
    registry = ocp.type_handlers.create_type_handler_registry(*kinds)
    numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), specs)
    arguments = ocp.args.PyTreeRestore(item=specs, restore_args=numpy, partial_restore=True)
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(type_handler_registry=registry)) as checkpointer:
        found = checkpointer.restore(path.absolute(), arguments)
    jax.tree.map(lambda array, spec: _compare("an array", np.asarray(array), spec), found, specs)  # or none
    return found


def _compare(name: str, found: Any, spec: Any, pieces: Any = ()) -> None:
    """Compares what is stored, or was read, with a spec; pieces are at most as large as the whole."""
    same = (found.shape, found.dtype) == (spec.shape, spec.dtype)
    if not same or any(piece > max(1, size) for piece, size in zip(pieces, spec.shape, strict=False)):
        got = f"{found.dtype}{list(found.shape)}" + f", in pieces of {list(pieces)}" * bool(pieces)
        raise ValueError(f"{name} is stored as {got}, not as {spec.dtype}{list(spec.shape)}")


def differing_files(path: Path) -> list[str]:
    """The files of a step's arrays that are not as they were written.

    Raises:
        OSError, ValueError: what was written of them cannot be read.
    """
    written = read_json(path / FILES)
    if not isinstance(written, dict):
        return [FILES]
    found = checksums(path, [name for name in files_in(path) if name in written])  # those of this directory alone
    return [name for name in written if found.get(name) != written[name]]


def files_in(path: Path) -> list[str]:
    """The files of arrays in a directory, by their paths within it."""
    return sorted(file.relative_to(path).as_posix() for file in (path / ARRAYS).rglob("*") if file.is_file())


def checksums(path: Path, names: list[str]) -> dict[str, int]:
    """The checksum of each of these files in a directory."""
    found, piece = {}, memoryview(bytearray(1 << 18))
    for name in names:
        checksum = 0
        with (path / name).open("rb", buffering=0) as file:
            while size := file.readinto(piece):
                checksum = zlib.crc32(piece[:size], checksum)
        found[name] = checksum
    return found


def sync(path: Path) -> None:
    """Makes sure that a file, or the names in a directory, outlive the machine's next crash."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_below(path: Path) -> None:
    for below in path.rglob("*"):
        sync(below)
    sync(path)


def _promptly() -> Any:
    """Directories are made before anything is written: where one cannot be, no thread waits for it for 20 minutes."""
    import orbax.checkpoint as ocp

    return ocp.AsyncOptions(create_directories_asynchronously=False)
