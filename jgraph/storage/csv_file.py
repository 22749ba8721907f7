"""Tables that grow by a row at a time, as CSV files."""

import csv
import dataclasses
import itertools
import operator
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jgraph.errors import WriteError, listing
from jgraph.storage.appended_file import AppendedFile
from jgraph.storage.places import failures

MISSING = "NA"
"""What stands where a row has no value, as in the files of Keras."""


@dataclasses.dataclass(frozen=True)
class CSVFile:
    """A CSV file that records, dicts of column to number or text, go to: a header and a row for each.

    The columns are those of the first record, in its order. A number reads back with the same bits: `float(text)`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "log.csv"
    >>> file = CSVFile(str(path)).open(None)
    >>> file.write({"epoch": 0, "loss": 0.1})
    >>> file.write({"epoch": 1})
    >>> file.close()
    >>> path.read_text().splitlines()
    ['epoch,loss', '0,0.1', '1,NA']
    """

    path: str
    separator: str = ","

    def open(self, keep: int | None) -> "CSVWriter":
        """Opens it: empty where `keep` is `None`, else cut after the first `keep` rows, or fewer if there are fewer.

        Raises:
            WriteError: it cannot be written.
        """
        path = Path(self.path)
        with failures(path):
            columns, size = _head(path, self.separator, keep) if keep and path.exists() else ((), 0)
        return CSVWriter(path, self.separator, columns, AppendedFile(path, size))


class CSVWriter:
    """A CSV file that is open; it has `columns` once it has a header."""

    def __init__(self, path: Path, separator: str, columns: tuple[str, ...], file: AppendedFile) -> None:
        self._path, self._separator, self._columns, self._file = path, separator, columns, file

    def write(self, record: Mapping[str, Any]) -> None:
        """Appends a row, and the header before the first one; a column without a value has `NA`.

        Raises:
            WriteError: the record has a column that the header has not, or the file cannot be written.
        """
        columns = self._columns or tuple(record)
        if unknown := [name for name in record if name not in columns]:
            raise WriteError(
                str(self._path),
                expected=f"the columns of its first row: {listing(columns)}",
                got=f"{listing(unknown)} too",
                cure="Write to another file when there is more to log.",
            )
        row = [_text(record[name]) if name in record else MISSING for name in columns]
        self._file.write(_encoded([row] if self._columns else [columns, row], self._separator))
        self._columns = columns

    def flush(self) -> None:
        """Waits until all rows are on the disk.

        Raises:
            WriteError: they cannot be.
        """
        self._file.flush()

    def close(self) -> None:
        """Ends the writing."""
        self._file.close()


def _text(value: Any) -> str:
    """A number with all its bits: the shortest text that reads back as the same one."""
    if isinstance(value, str):
        return value
    try:
        return str(operator.index(value))
    except TypeError:
        return repr(float(value))


def _encoded(rows: Iterable[Sequence[str]], separator: str) -> bytes:
    """The rows as lines. `csv.writer` of Python 3.11 would leave a carriage return without its quotes."""
    quoted = {separator, '"', "\r", "\n"}
    cells = [['"' + c.replace('"', '""') + '"' if not c or quoted & set(c) else c for c in row] for row in rows]
    return "".join(separator.join(row) + "\n" for row in cells).encode("utf-8", "surrogateescape")


def _head(path: Path, separator: str, rows: int) -> tuple[tuple[str, ...], int]:
    """The header of a file, and the bytes of it and the first rows. A last row that is torn does not count."""
    columns, size = (), 0
    with path.open("rb") as file:
        whole = (line.decode("utf-8", "surrogateescape") for line in file if line.endswith(b"\n"))
        reader = csv.reader(whole, delimiter=separator, strict=True)
        try:
            for row in itertools.islice(reader, rows + 1):
                columns, size = columns or tuple(row), file.tell()
        except csv.Error:  # it ends within a quoted text
            pass
    return columns, size
