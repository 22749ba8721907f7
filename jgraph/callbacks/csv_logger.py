"""The logs of each epoch as a table in a file."""

import os

from jgraph.errors import ArgumentError
from jgraph.storage.appended_file import check_path
from jgraph.storage.csv_file import MISSING, CSVFile
from jgraph.train.actions import Sink, Write
from jgraph.train.callback import Callback, Event, Result
from jgraph.train.state import TrainState
from jgraph.typing import PyTree


class CSVLogger(Callback):
    """Writes a row for each epoch to a CSV file: `epoch`, counted from 0, and the logs in their order.

    The columns are those of the first row; a log that an epoch has not is `NA`, a new one is an error. A number reads
    back with the same bits. A run that goes on writes over the rows after the point it goes on from, and a new run
    writes over the file, where Keras has `append`.

    Raises:
        ArgumentError: the path is no text or path, or the separator not one character that can separate.

    >>> import jgraph as jg
    >>> jg.callbacks.CSVLogger("runs/qa/log.csv")
    CSVLogger(name=None, path='runs/qa/log.csv', separator=',')
    """

    path: str | os.PathLike[str]
    separator: str = ","

    def __post_init__(self) -> None:
        super().__post_init__()
        check_path("CSVLogger, path", self.path)
        if not isinstance(self.separator, str) or len(self.separator) != 1 or self.separator in '"\r\n':
            raise ArgumentError(
                "CSVLogger, separator",
                expected="one character that is neither a quote nor the end of a line",
                got=repr(self.separator),
                cure="Write separator=';', for example.",
            )

    def init(self, train_state: TrainState) -> PyTree:
        """Makes the memory: the number of rows written."""
        del train_state
        return {"rows": 0}

    def places(self) -> tuple[str, ...]:
        """The file."""
        return (os.fspath(self.path),)

    def sinks(self, memory: PyTree) -> dict[Sink, int]:
        """The file, with the number of its rows."""
        return {self._file(): memory["rows"]}

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Writes a row."""
        row = {"epoch": event.epoch, **event.logs, **dict.fromkeys(event.skipped, MISSING)}
        return {"rows": memory["rows"] + 1}, [Write(self._file(), row)]

    def _file(self) -> CSVFile:
        return CSVFile(os.fspath(self.path), self.separator)
