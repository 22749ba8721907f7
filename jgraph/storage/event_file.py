"""The event files of TensorBoard: framed records, written by a thread beside the loop."""

import dataclasses
import itertools
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from jgraph.errors import ResumeError
from jgraph.storage.appended_file import AppendedFile, check_folder
from jgraph.storage.messages import Record, checksum_of, message, step_of, version
from jgraph.storage.places import failures
from jgraph.storage.queued import Queued

FRAME = 8 + 4 + 4
"""The bytes around a record: its length, and the checksums of the length and of the record."""


@dataclasses.dataclass(frozen=True)
class EventFile:
    """The newest event file in a directory, of those that jgraph wrote; its records are those of `messages`.

    The file is made with its first record, so a run that has nothing to say leaves none behind. Records are written by
    a thread beside the loop, in order.

    >>> from jgraph.storage.messages import Scalars
    >>> import tempfile
    >>> directory = tempfile.mkdtemp()
    >>> file = EventFile(directory).open(None)
    >>> file.write(Scalars(step=10, values={"loss": 0.5}))
    >>> file.close()
    >>> [path.name for path in Path(directory).iterdir()]
    ['events.out.tfevents...jgraph']
    """

    directory: str

    def open(self, keep: int | None) -> Queued:
        """Begins a new file where `keep` is `None`, else the newest one, cut after the first `keep` records.

        It is cut before the first record with a wrong checksum, too: TensorBoard would read no further.

        Raises:
            WriteError: the directory cannot be written.
        """
        folder = Path(self.directory)
        check_folder(folder)
        newest = next(iter(_newest_first(folder, written=bool(keep)) or _newest_first(folder, written=False)), None)
        if newest is None:
            return Queued(EventWriter(folder, None), self.directory)
        if keep is None:  # made at once beside older ones, so that the newest is always that of the run that goes on
            return Queued(EventWriter(folder, _new_file(folder)), self.directory)
        with failures(newest):
            records = itertools.islice(read_records(newest), 1 + keep)
            size = sum(FRAME + len(record) for record in records)
        return Queued(EventWriter(folder, AppendedFile(newest, size)), self.directory)


class EventWriter:
    """An event file that is open, or that is made with its first record where there is none yet."""

    def __init__(self, folder: Path, file: AppendedFile | None) -> None:
        self._folder, self._file = folder, file

    def write(self, record: Record) -> None:
        """Appends a record, as of now.

        Raises:
            WriteError: the file cannot be written. ResumeError: there are files of a run that has come further.
        """
        if self._file is None:
            self._file = _new_file(self._folder)
        if self._file.size == 0:
            self._check_ahead(record.step)
        start = _framed(version()) if self._file.size == 0 else b""
        self._file.write(start + _framed(message(record)))

    def _check_ahead(self, step: int) -> None:
        """Checks that no other file has points beyond the step that this one begins at; else it is taken away."""
        assert self._file is not None, "it has been made"
        last = max(
            map(step_of, itertools.chain(*map(read_records, _newest_first(self._folder, written=True)[:1]))), default=0
        )
        if last > step:
            self._file.remove()
            raise ResumeError(
                str(self._folder),
                expected=f"a directory without event files of another run, as this one begins at step {step}",
                got=f"one with points up to step {last}, which TensorBoard would join with its own",
                cure="Go on with run= or resume=, give each run a directory of its own, or remove this one.",
            )

    def flush(self) -> None:
        """Waits until all records are on the disk.

        Raises:
            WriteError: they cannot be.
        """
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Ends the writing."""
        if self._file is not None:
            self._file.close()


def read_records(path: Path) -> Iterator[bytes]:
    """The records of an event file, the version first, up to the first one that is torn or has a wrong checksum."""
    with path.open("rb") as file:
        while len(head := file.read(12)) == 12 and checksum_of(head[:8]) == head[8:]:
            (length,) = struct.unpack("<Q", head[:8])
            record, checksum = file.read(length), file.read(4)
            if checksum_of(record) != checksum:
                return
            yield record


def _framed(record: bytes) -> bytes:
    """A record as it stands in the file: its length and its bytes, each with a checksum."""
    length = struct.pack("<Q", len(record))
    return length + checksum_of(length) + record + checksum_of(record)


def _newest_first(folder: Path, *, written: bool) -> list[Path]:
    """Our files in a folder, the newest first; where they must be `written`, those that have records."""
    files = [path for path in folder.glob("events.out.tfevents.*.jgraph") if _seconds(path) is not None]
    kept = [path for path in files if not written or path.stat().st_size]
    return sorted(kept, key=lambda path: (_seconds(path), path.name), reverse=True)


def _seconds(path: Path) -> int | None:
    seconds = path.name.split(".")[3]
    return int(seconds) if seconds.isdecimal() else None


def _new_file(folder: Path) -> AppendedFile:
    """A file of its own, later by its name than all of them, whatever the clock says."""
    older = [_seconds(path) or 0 for path in _newest_first(folder, written=False)]
    seconds = max(int(time.time()), 1 + max(older, default=0))
    return AppendedFile(folder / f"events.out.tfevents.{seconds:010d}.{socket.gethostname()}.jgraph", new=True)
