"""The logs of each epoch, or of every few steps, as curves in TensorBoard."""

import os
from collections.abc import Mapping
from pathlib import Path

from jgraph.callbacks.monitor import check_count
from jgraph.storage.appended_file import check_path
from jgraph.storage.event_file import EventFile, Scalars
from jgraph.train.actions import Sink, Write
from jgraph.train.callback import Callback, Event, Result
from jgraph.train.state import TrainState
from jgraph.typing import PyTree

VALIDATION = "val_"


class TensorBoard(Callback):
    """Writes event files for TensorBoard, as two runs, `train` and `validation`, that share their charts.

    At the end of each epoch, at the number of updates so far: every log under its own name (`loss`, `age/loss`, those
    of validation without `val_`), `epoch`, `steps_per_second` and what `Throughput` measures, and `learning_rate` or,
    where the trainer does not know it, `lr_scale`. With `every_steps=n` also the means over the epoch so far at every n
    steps, as `steps/loss`; that reads them from the device. What `EvaluateEvery` measures in between stands in the
    charts of validation. Look at them with `tensorboard --logdir DIRECTORY`.

    Keras calls them `epoch_loss` and `batch_loss`, and draws those of epochs over the number of the epoch. TensorFlow
    is not needed here. Weights as histograms, images, the graph and profiles are not written.

    A run that goes on writes over what came after the point it goes on from. A new run makes files beside older ones,
    and TensorBoard joins them: give each run a directory of its own.

    Raises:
        ArgumentError: the directory is no text or path, or `every_steps` no integer of at least 1.

    >>> import jgraph as jg
    >>> jg.callbacks.TensorBoard("runs/qa/tensorboard")
    TensorBoard(name=None, directory='runs/qa/tensorboard', every_steps=None)
    """

    directory: str | os.PathLike[str]
    every_steps: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_path("TensorBoard, directory", self.directory)
        if self.every_steps is not None:
            check_count("TensorBoard", "every_steps", self.every_steps, least=1)

    def init(self, train_state: TrainState) -> PyTree:
        """Makes the memory: the number of records written of each run."""
        del train_state
        return {"train": 0, "validation": 0}

    def places(self) -> tuple[str, ...]:
        """The directory."""
        return (os.fspath(self.directory),)

    def sinks(self, memory: PyTree) -> dict[Sink, int]:
        """The event files of the two runs, each with the number of its records."""
        return {self._file(run): memory[run] for run in ("train", "validation")}

    def on_step_end(self, memory: PyTree, event: Event) -> Result:
        """Writes the means over the epoch so far."""
        means = {f"steps/{name}": value for name, value in {**event.logs, **_measured(event)}.items()}
        return self._written(memory, event, {"train": means})

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Writes the logs of the epoch, of training and of validation."""
        train = {name: value for name, value in event.logs.items() if not name.startswith(VALIDATION)}
        if "learning_rate" not in train and event.train_state is not None:
            train["lr_scale"] = float(event.train_state.lr_scale)
        train |= _measured(event)
        train["epoch"] = event.epoch
        validation = {
            name.removeprefix(VALIDATION): value for name, value in event.logs.items() if name.startswith(VALIDATION)
        }
        return self._written(memory, event, {"train": train, "validation": validation})

    def on_evaluate_end(self, memory: PyTree, event: Event) -> Result:
        """Writes the logs of an evaluation that a callback asked for, in the charts of validation."""
        found = {name.removeprefix(VALIDATION): value for name, value in event.logs.items()}
        return self._written(memory, event, {"validation": found})

    def _written(self, memory: PyTree, event: Event, runs: Mapping[str, Mapping[str, float]]) -> Result:
        """The memory and the actions after a record for each run that has something to say."""
        said = {run: values for run, values in runs.items() if values}
        actions = [Write(self._file(run), Scalars(event.step, values)) for run, values in said.items()]
        return {run: count + (run in said) for run, count in memory.items()}, actions

    def _file(self, run: str) -> EventFile:
        return EventFile(str(Path(self.directory) / run))


def _measured(event: Event) -> dict[str, float]:
    """What was measured of the machine, but for the clock."""
    return {name: value for name, value in event.timings.items() if not name.endswith("seconds")}
