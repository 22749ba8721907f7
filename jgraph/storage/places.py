"""What went wrong with a place on disk, said with its path and the space that is left."""

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from jgraph.errors import WriteError

FULL = (errno.ENOSPC, errno.EDQUOT)


def write_error(path: str | os.PathLike[str], error: Exception) -> WriteError:
    """The error of a place that could not be written, with the free bytes of its disk.

    >>> "bytes free" in str(write_error("runs/log.csv", OSError(errno.ENOSPC, "No space left on device")))
    True
    """
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
    free = free_bytes(path)
    left = f", {free:,} bytes free on its disk" if free is not None else ""
    full = getattr(error, "errno", None) in FULL or "RESOURCE_EXHAUSTED" in reason or "No space left" in reason
    cure = "Free some space, or write elsewhere." if full else "Give a path that this process may write."
    return WriteError(str(path), expected="a place that can be written", got=f"{reason}{left}", cure=cure)


@contextlib.contextmanager
def failures(path: str | os.PathLike[str]) -> Iterator[None]:
    """What fails inside is an error of this place.

    Raises:
        WriteError: what was inside raised an OSError.
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        raise write_error(path, error) from error


def make_ready(directory: str | os.PathLike[str]) -> None:
    """Makes a directory, and tries whether a file can be made in it.

    Raises:
        WriteError: one cannot.
    """
    probe = Path(directory) / f".{uuid.uuid4().hex[:8]}.tmp"
    with failures(directory):
        Path(directory).mkdir(parents=True, exist_ok=True)
        probe.touch(exist_ok=False)
        probe.unlink()


def memory_bytes() -> int | None:
    """The memory of this machine, where the system tells."""
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in names else None


def free_bytes(path: str | os.PathLike[str]) -> int | None:
    """The bytes free on the disk of a path, which need not exist yet; `None` where that cannot be told."""
    place = Path(path).absolute()
    for folder in (place, *place.parents):
        try:
            return shutil.disk_usage(folder).free
        except OSError:
            continue
    return None
