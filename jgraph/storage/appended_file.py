"""A file that grows by whole records, as all that a run writes beside its checkpoints does."""

import contextlib
import errno
import os
from pathlib import Path

from jgraph.errors import LockedError
from jgraph.storage.lock import held_by_another
from jgraph.storage.places import failures, write_error


class AppendedFile:
    """A file that is open at its end: a record is with the operating system when `write` returns, or not there at all.

    Nothing is buffered here, so a record outlives a kill of this process; `flush` makes it outlive the machine, too.
    The file is cut to its first `size` bytes. Missing folders are made. `new` refuses a file that is there already.

    Raises:
        WriteError: the file cannot be opened. LockedError: another process has it open for writing.
    """

    def __init__(self, path: Path, size: int = 0, *, new: bool = False) -> None:
        self._path = path
        make_folder(path.parent)
        with failures(path):
            if path.is_fifo():  # opening it would wait for a reader
                raise OSError(errno.EINVAL, "It is a pipe")
            self._file = path.open("xb" if new else "ab", buffering=0)
            if held_by_another(self._file):
                self._file.close()
                raise LockedError(
                    str(path),
                    expected="a file that no other run writes to",
                    got="one that another process has open",
                    cure="Wait for the end of that run, or give this one another path.",
                )
            if os.fstat(self._file.fileno()).st_size > size:
                self._file.truncate(size)
        self.size = size

    def write(self, record: bytes) -> None:
        """Appends a record.

        Raises:
            WriteError: it cannot be written whole; what was written of it is taken back.
        """
        rest = memoryview(record)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]  # a disk that is filling up takes a part
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self.size)
            raise write_error(self._path, error) from error
        self.size += len(record)

    def flush(self) -> None:
        """Waits until all records are on the disk.

        Raises:
            WriteError: they cannot be.
        """
        with failures(self._path):
            os.fsync(self._file.fileno())

    def remove(self) -> None:
        """Takes the file away; what is written from here on is written to nothing."""
        with failures(self._path):
            self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Ends the writing.

        Raises:
            WriteError: a remote disk refuses now what it took before.
        """
        with failures(self._path):
            self._file.close()


def make_folder(folder: Path) -> None:
    """Makes a folder, and those around it, if it is not there.

    Raises:
        WriteError: it cannot be made, or is not a folder.
    """
    with failures(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error


def check_folder(folder: Path) -> None:
    """Checks that files can be made in a folder, which need not exist yet, without making anything.

    Raises:
        WriteError: they cannot.
    """
    with failures(folder):
        place = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
        if not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{place} is not a directory")
        if not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"{place}: {os.strerror(errno.EACCES)}")
