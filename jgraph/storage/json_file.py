"""Records that grow by one at a time, as JSON lines."""

import dataclasses
import itertools
import json
import math
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jgraph.storage.appended_file import AppendedFile
from jgraph.storage.places import failures


@dataclasses.dataclass(frozen=True)
class JSONFile:
    """A file of JSON lines: records are dicts of numbers, texts, `None` and such dicts, each one line.

    It is JSON as its standard has it, which knows no NaN: numbers that are not finite are the texts `"NaN"`,
    `"Infinity"` and `"-Infinity"`. So `float(value)` reads every number back with the same bits.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "log.jsonl"
    >>> file = JSONFile(str(path)).open(None)
    >>> file.write({"epoch": 0, "logs": {"loss": 0.1, "accuracy": math.nan}})
    >>> file.close()
    >>> path.read_text().splitlines()
    ['{"epoch": 0, "logs": {"loss": 0.1, "accuracy": "NaN"}}']
    """

    path: str

    def open(self, keep: int | None) -> "JSONWriter":
        """Opens it: empty where `keep` is `None`, else cut after the first `keep` lines, or fewer if there are fewer.

        Raises:
            WriteError: it cannot be written.
        """
        path = Path(self.path)
        with failures(path):
            size = _size_of(path, keep) if keep and path.exists() else 0
        return JSONWriter(AppendedFile(path, size))


class JSONWriter:
    """A file of JSON lines that is open."""

    def __init__(self, file: AppendedFile) -> None:
        self._file = file

    def write(self, record: Mapping[str, Any]) -> None:
        """Appends a line.

        Raises:
            WriteError: the file cannot be written.
        """
        text = json.dumps(_plain(record), ensure_ascii=False, allow_nan=False)
        self._file.write(f"{text}\n".encode("utf-8", "surrogateescape"))

    def flush(self) -> None:
        """Waits until all lines are on the disk.

        Raises:
            WriteError: they cannot be.
        """
        self._file.flush()

    def close(self) -> None:
        """Ends the writing."""
        self._file.close()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(below) for name, below in value.items()}
    if value is None or isinstance(value, str | bool):
        return value
    try:
        return operator.index(value)
    except TypeError:
        number = float(value)
    if math.isnan(number):
        return "NaN"
    return number if math.isfinite(number) else "Infinity" if number > 0 else "-Infinity"


def _size_of(path: Path, lines: int) -> int:
    """The bytes of the first lines of a file. A last line that is torn does not count."""
    with path.open("rb") as file:
        return sum(len(line) for line in itertools.islice(file, lines) if line.endswith(b"\n"))
