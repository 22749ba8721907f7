"""The event files of TensorBoard, written at once and by this thread alone.

tensorboardX gives the messages and the checksum. Its own writer is not used: a thread of its own takes records from a
queue, and where that thread dies, of a full disk, training would wait for ever for room in the queue.
"""

import dataclasses
import itertools
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jgraph.storage.appended_file import AppendedFile, check_folder, failures

VERSION = "brain.Event:2"
"""What the first record of an event file says: the format that TensorBoard reads."""

FRAME = 8 + 4 + 4
"""The bytes around a record: its length, and the checksums of the length and of the record."""


class Scalars(NamedTuple):
    """Numbers at a step of training, by tag. The files hold them as float32."""

    step: int
    values: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class EventFile:
    """The newest event file in a directory, of those that jgraph wrote; its records are `Scalars`.

    The file is made with its first record, so a run that has nothing to say leaves none behind.

    >>> import tempfile
    >>> directory = tempfile.mkdtemp()
    >>> file = EventFile(directory).open(None)
    >>> file.write(Scalars(step=10, values={"loss": 0.5}))
    >>> file.close()
    >>> [path.name for path in Path(directory).iterdir()]
    ['events.out.tfevents...jgraph']
    """

    directory: str

    def open(self, keep: int | None) -> "EventWriter":
        """Opens a new file where `keep` is `None`, else the newest one, cut after the first `keep` records.

        It is cut before the first record with a wrong checksum, too: TensorBoard would read no further.

        Raises:
            WriteError: the directory cannot be written.
        """
        folder = Path(self.directory)
        check_folder(folder)
        newest = _newest(folder)
        if newest is None:
            return EventWriter(folder, None)
        if keep is None:  # made at once beside older ones, so that the newest is always that of the run that goes on
            return EventWriter(folder, _new_file(folder))
        with failures(newest):
            records = itertools.islice(read_records(newest), 1 + keep)
            size = sum(FRAME + len(record) for record in records)
        return EventWriter(folder, AppendedFile(newest, size))


class EventWriter:
    """An event file that is open, or that is made with its first record where there is none yet."""

    def __init__(self, folder: Path, file: AppendedFile | None) -> None:
        self._folder, self._file = folder, file

    def write(self, record: Scalars) -> None:
        """Appends the numbers of a step, as of now.

        Raises:
            WriteError: the file cannot be written.
        """
        if self._file is None:
            self._file = _new_file(self._folder)
        version = _framed(_event(file_version=VERSION)) if self._file.size == 0 else b""
        values = [{"tag": tag, "simple_value": float(value)} for tag, value in record.values.items()]
        self._file.write(version + _framed(_event(step=record.step, summary={"value": values})))

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
        while len(head := file.read(12)) == 12 and _checksum(head[:8]) == head[8:]:
            (length,) = struct.unpack("<Q", head[:8])
            record, checksum = file.read(length), file.read(4)
            if _checksum(record) != checksum:
                return
            yield record


def _framed(record: bytes) -> bytes:
    """A record as it stands in the file: its length and its bytes, each with a checksum."""
    length = struct.pack("<Q", len(record))
    return length + _checksum(length) + record + _checksum(record)


def _checksum(data: bytes) -> bytes:
    from tensorboardX.record_writer import masked_crc32c

    return struct.pack("<I", masked_crc32c(data))


def _event(**fields: Any) -> bytes:
    """An event as of now."""
    from tensorboardX.proto import event_pb2

    messages: Any = event_pb2  # it makes its classes when it is imported
    return messages.Event(wall_time=time.time(), **fields).SerializeToString()


def _newest(folder: Path) -> Path | None:
    files = [path for path in folder.glob("events.out.tfevents.*.jgraph") if _seconds(path) is not None]
    return max(files, key=lambda path: (_seconds(path), path.name), default=None)


def _seconds(path: Path) -> int | None:
    seconds = path.name.split(".")[3]
    return int(seconds) if seconds.isdecimal() else None


def _new_file(folder: Path) -> AppendedFile:
    """A file of its own, later by its name than all of them, whatever the clock says."""
    newest = _newest(folder)
    seconds = max(int(time.time()), 1 + (0 if newest is None else _seconds(newest) or 0))
    return AppendedFile(folder / f"events.out.tfevents.{seconds:010d}.{socket.gethostname()}.jgraph", new=True)
