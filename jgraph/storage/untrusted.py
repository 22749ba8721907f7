"""Directories that anyone may have written: nothing outside of them is read, and sizes are looked at first."""

import contextlib
import math
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jgraph.errors import LoadError, listing
from jgraph.parse import parse
from jgraph.storage.leaves import fits
from jgraph.storage.places import memory_bytes

MOST_BYTES = 2**30
"""What a record, a text of JSON, may take."""

MOST_AXES = 64
"""As many as an array of NumPy can have."""


def check_files(directory: Path) -> None:
    """Checks that a directory holds only files and directories: no link leads out of it, no pipe is waited for.

    Raises:
        LoadError: it holds something else, which is named.
    """
    odd = [path.relative_to(directory) for path in _below(directory) if not _is_plain(path)]
    if odd:
        cure = "Take a copy of it without links, pipes and devices."
        raise LoadError(str(directory), expected="files and directories", got=f"others at {listing(odd, 4)}", cure=cure)


def _below(directory: Path) -> Iterable[Path]:
    for folder, folders, files in os.walk(directory):
        yield from (Path(folder, name) for name in (*folders, *files))


def _is_plain(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISDIR(mode) or stat.S_ISREG(mode)


def read_json(path: Path) -> Any:
    """What a file of JSON says; see `parse`.

    Raises:
        OSError: it cannot be read. ValueError: it is no such file, or a very large one.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{size:,} bytes, more than the {MOST_BYTES:,} that a record may take")
    return parse(path.read_text(encoding="utf-8"))


@contextlib.contextmanager
def walking(where: str) -> Iterator[None]:
    """What is done inside walks through what a file says.

    Raises:
        LoadError: it nests too deep for that.
    """
    try:
        yield
    except RecursionError as error:
        cure = "The file is not sound."
        raise LoadError(where, expected="a record that nests less deep", got="a deeper one", cure=cure) from error


def is_described(leaf: Any) -> bool:
    """Whether something is dtype, shape and hash of an array that could be, as an `outline` has them.

    >>> is_described(["float32", [2, 3], "0" * 64]), is_described(["float32", [-1], "0" * 64])
    (True, False)
    """
    if not isinstance(leaf, list) or len(leaf) != 3:
        return False
    dtype, shape, sha256 = leaf
    if not isinstance(dtype, str) or not isinstance(shape, list) or not isinstance(sha256, str):
        return False
    counted = len(shape) <= MOST_AXES and all(type(size) is int and 0 <= size < 2**63 for size in shape)
    return counted and _is_dtype(dtype) and math.prod(max(1, size) for size in shape) < 2**59


def _is_dtype(name: str) -> bool:
    try:
        found = np.dtype(name) if name.isidentifier() else None
    except TypeError:
        return False
    return found is not None and str(found) == name and fits(found)


def check_room(where: str, leaves: Mapping[str, Any]) -> None:
    """Checks that leaves, each given as `[dtype, shape, sha256]`, could be in the memory of this machine together.

    Raises:
        LoadError: they could not; the largest one is named.
    """
    sizes = {name: math.prod(shape) * np.dtype(dtype).itemsize for name, (dtype, shape, _) in leaves.items()}
    most = memory_bytes()
    if most is not None and sum(sizes.values()) > most:
        largest = max(sizes, key=lambda name: sizes[name])
        raise LoadError(
            where,
            expected=f"leaves that fit into the {most:,} bytes of this machine's memory",
            got=f"{sum(sizes.values()):,} bytes, {sizes[largest]:,} of them in {largest!r}",
            cure="The file is not sound, or is for a larger machine.",
        )
