"""What a run says of itself, as JSON lines."""

import os

from jgraph.callbacks.monitor import check_count
from jgraph.errors import check_path
from jgraph.storage.json_file import JSONFile
from jgraph.train.actions import Sink, Write
from jgraph.train.callback import Callback, Event, Result
from jgraph.train.state import TrainState
from jgraph.typing import PyTree


class JSONLogger(Callback):
    """Writes a line of JSON for each epoch, for each evaluation that a callback asked for, and every `every_steps`.

    A line has `event` (`"epoch"`, `"step"` or `"evaluation"`), `epoch`, counted from 0, `step`, the updates so far,
    `logs`, `learning_rate`, that of the next step (`null` where the trainer does not know it), and `timings`, which
    alone depend on the machine: `seconds` since `fit` began, and what else was measured. Those of a step are the means
    over the epoch so far.

    It is strict JSON: `"NaN"`, `"Infinity"` and `"-Infinity"` are texts, and `float(value)` reads each number back with
    the same bits. A run that goes on writes over the lines after the point it goes on from, and a new run writes over
    the file: however often it was killed, there is one line for each epoch.

    Raises:
        ArgumentError: the path is no text or path, or `every_steps` no integer of at least 1.

    >>> import jgraph as jg
    >>> logger = jg.callbacks.JSONLogger("runs/qa/log.jsonl")
    >>> event = jg.callbacks.Event(epoch=1, step=200, logs={"loss": 0.5})
    >>> logger.on_epoch_end(logger.init(None), event)[1][0].record
    {'event': 'epoch', 'epoch': 1, 'step': 200, 'logs': {'loss': 0.5}, 'learning_rate': None, 'timings': {}}
    """

    path: str | os.PathLike[str]
    every_steps: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_path("JSONLogger, path", self.path)
        if self.every_steps is not None:
            check_count("JSONLogger", "every_steps", self.every_steps, least=1)

    def default_name(self) -> str:
        """Its name, without the underlines that the rule would put into JSON."""
        return "json_logger"

    def init(self, train_state: TrainState) -> PyTree:
        """Makes the memory: the number of lines written."""
        del train_state
        return {"lines": 0}

    def places(self) -> tuple[str, ...]:
        """The file."""
        return (os.fspath(self.path),)

    def sinks(self, memory: PyTree) -> dict[Sink, int]:
        """The file, with the number of its lines."""
        return {self._file(): memory["lines"]}

    def on_step_end(self, memory: PyTree, event: Event) -> Result:
        """Writes the means over the epoch so far."""
        return self._written("step", memory, event)

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Writes the logs of the epoch."""
        return self._written("epoch", memory, event)

    def on_evaluate_end(self, memory: PyTree, event: Event) -> Result:
        """Writes the logs of the validation data."""
        return self._written("evaluation", memory, event)

    def _written(self, kind: str, memory: PyTree, event: Event) -> Result:
        record = {
            "event": kind,
            "epoch": event.epoch,
            "step": event.step,
            "logs": dict(event.logs),
            "learning_rate": event.learning_rate,
            "timings": dict(event.timings),
        }
        return {"lines": memory["lines"] + 1}, [Write(self._file(), record)]

    def _file(self) -> JSONFile:
        return JSONFile(os.fspath(self.path))
