"""Orbax, as jgraph uses it: trees of JAX arrays for `jg.save`, and steps of NumPy arrays with a record beside them."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jgraph.typing import PyTree

ARRAYS, RECORD = "arrays", "jgraph"
"""The items of a step."""

FILES, MARK = "files", "commit_success.txt"
"""The checksums of a step's files of arrays, beside the record; and a file of Orbax that says nothing."""

DRAFT = ".orbax-checkpoint-tmp"
"""What Orbax adds to the name of a directory that it has not finished."""


def save_tree(path: Path, tree: PyTree) -> None:
    """Writes a tree of arrays as a directory of its own."""
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer(async_options=_promptly()) as checkpointer:
        checkpointer.save(path.absolute(), tree)
        checkpointer.wait_until_finished()


def load_tree(path: Path, specs: PyTree) -> PyTree:
    """Reads what `save_tree` wrote, as arrays on a device, in the structure, shapes and dtypes of `specs`."""
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    placed = jax.tree.map(lambda spec: jax.ShapeDtypeStruct(spec.shape, spec.dtype, sharding=device), specs)
    with _standard() as checkpointer:
        return checkpointer.restore(path.absolute(), placed)


def save_items(path: Path, tree: dict[str, Any], record: Mapping[str, Any]) -> None:
    """Writes a step of two items, the arrays (none: one item only) and the record; seen once all is on the disk.

    Orbax renames the draft. What it has not synchronised with the disk by then, and the renaming, is synchronised here;
    and the files of arrays get checksums, as an Orbax that reads damaged ones leaves errors behind in other threads.
    """
    import orbax.checkpoint as ocp

    class Lasting(ocp.path.atomicity.AtomicRenameTemporaryPath):
        async def finalize(self) -> None:
            draft = Path(self.get())
            (draft / RECORD / FILES).write_text(json.dumps(_checksums(draft, _files(draft))))
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
    """The record of a step."""
    import orbax.checkpoint as ocp

    handlers: dict[str, Any] = {RECORD: ocp.JsonCheckpointHandler()}
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler(**handlers)) as checkpointer:
        return checkpointer.restore(path.absolute(), ocp.args.Composite(**{RECORD: ocp.args.JsonRestore()}))[RECORD]


def load_arrays(path: Path, structure: dict[str, Any]) -> dict[str, Any]:
    """The arrays of a step as NumPy, those that `structure` has; there may be more."""
    import orbax.checkpoint as ocp

    numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), structure)
    arguments = ocp.args.PyTreeRestore(item=structure, restore_args=numpy, partial_restore=True)
    handlers: dict[str, Any] = {ARRAYS: ocp.PyTreeCheckpointHandler()}
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler(**handlers)) as checkpointer:
        return checkpointer.restore(path.absolute(), ocp.args.Composite(**{ARRAYS: arguments}))[ARRAYS]


def differing_files(path: Path) -> list[str]:
    """The files of a step's arrays that are not as they were written.

    Raises:
        OSError, ValueError: what was written of them cannot be read.
    """
    written = json.loads((path / RECORD / FILES).read_text())
    found = _checksums(path, [name for name in written if (path / name).is_file()])
    return [name for name in written if found.get(name) != written[name]]


def _files(path: Path) -> list[str]:
    files = [file for file in (path / ARRAYS).rglob("*") if file.is_file() and file.name != MARK]
    return sorted(file.relative_to(path).as_posix() for file in files)


def _checksums(path: Path, names: list[str]) -> dict[str, int]:
    found = {}
    for name in names:
        checksum = 0
        with (path / name).open("rb") as file:
            while chunk := file.read(1 << 20):
                checksum = zlib.crc32(chunk, checksum)
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


def _standard() -> Any:
    import orbax.checkpoint as ocp

    return ocp.StandardCheckpointer()
