"""The logs of each epoch as a table in a file."""

import os

from jgraph.errors import ArgumentError, check_path
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

    What `EvaluateEvery` measures between epochs goes to a table of its own, the file `evaluations`, where one is given:
    `epoch`, `step` and the logs of validation.

    Raises:
        ArgumentError: a path is no text or path, both are the same, or the separator is not one character that can
            separate.

    >>> import jgraph as jg
    >>> jg.callbacks.CSVLogger("runs/qa/log.csv")
    CSVLogger(name=None, path='runs/qa/log.csv', separator=',', evaluations=None)
    """

    path: str | os.PathLike[str]
    separator: str = ","
    evaluations: str | os.PathLike[str] | None = None

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
        if self.evaluations is not None:
            check_path("CSVLogger, evaluations", self.evaluations)
            if os.path.realpath(self.evaluations) == os.path.realpath(self.path):
                got, cure = "that of the epochs", "Write evaluations='runs/evaluations.csv', for example."
                raise ArgumentError("CSVLogger, evaluations", expected="a file of its own", got=got, cure=cure)

    def init(self, train_state: TrainState) -> PyTree:
        """Makes the memory: the number of rows written, to each file."""
        del train_state
        return {"rows": 0} if self.evaluations is None else {"rows": 0, "evaluations": 0}

    def places(self) -> tuple[str, ...]:
        """The files."""
        return tuple(os.fspath(path) for path in (self.path, self.evaluations) if path is not None)

    def sinks(self, memory: PyTree) -> dict[Sink, int]:
        """The files, with the numbers of their rows."""
        return {CSVFile(path, self.separator): rows for path, rows in zip(self.places(), _rows(memory), strict=True)}

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Writes a row."""
        row = {"epoch": event.epoch, **event.logs, **dict.fromkeys(event.skipped, MISSING)}
        return {**memory, "rows": memory["rows"] + 1}, [Write(CSVFile(os.fspath(self.path), self.separator), row)]

    def on_evaluate_end(self, memory: PyTree, event: Event) -> Result:
        """Writes a row to the table of evaluations."""
        if self.evaluations is None:
            return memory, []
        row = {"epoch": event.epoch, "step": event.step, **event.logs}
        file = CSVFile(os.fspath(self.evaluations), self.separator)
        return {**memory, "evaluations": memory["evaluations"] + 1}, [Write(file, row)]


def _rows(memory: PyTree) -> list[int]:
    """The number of rows of each file: that of the epochs, then that of the evaluations."""
    return [memory[name] for name in ("rows", "evaluations") if name in memory]
