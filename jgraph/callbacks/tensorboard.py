"""A run for TensorBoard, without TensorFlow: curves, histograms, the graph, pictures, points, hyperparameters."""

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jgraph.callbacks.board.graph import graph_of
from jgraph.callbacks.board.images import Images
from jgraph.callbacks.board.projector import Projector
from jgraph.callbacks.monitor import check_count
from jgraph.errors import ArgumentError, check_flag, check_path
from jgraph.storage.event_file import EventFile
from jgraph.storage.messages import Histograms, Scalars, SessionEnd, SessionStart, Texts
from jgraph.storage.messages import Images as Pictures
from jgraph.storage.projector_files import ProjectorFiles
from jgraph.storage.trace import Trace
from jgraph.train.actions import Action, Sink, Write, number_of
from jgraph.train.callback import Callback, Event, Result, Setup
from jgraph.train.state import TrainState
from jgraph.train.watch import Watch
from jgraph.typing import PyTree

VALIDATION = "val_"

Said = dict[str, list[Any]]
"""Records, by what they are written to."""


class TensorBoard(Callback):
    """Writes all that TensorBoard shows of a run. Look at it with `tensorboard --logdir DIRECTORY`.

    **Scalars**: at the end of each epoch, at the number of updates so far, every log under its own name (`loss`,
    `age/loss`, those of validation without `val_` as a run `validation` beside `train`), `epoch`, `steps_per_second`,
    what `Throughput` measures, and `learning_rate` or, where the trainer does not know it, `lr_scale`. With
    `every_steps=n` also the means over the epoch so far at every n steps, as `steps/loss`; that reads them from the
    device. What `EvaluateEvery` measures in between stands in the charts of validation.

    **Histograms**: `histograms=100`, or a `Watch` that says more, of params, gradients, updates and activations by node
    at every 100th step; where something is not finite, its number stands among the scalars, as `not_finite/...`. The
    run has the same bits as without. **Graphs** (`graph`): the model. **Text** (`text`): its summary, and the trainer.
    **Images**: `images=Images(inputs=...)`. **Projector**: `projector=Projector("embedding")`, or several in a list.
    **HParams**: `hparams={"units": 64}`, numbers, texts and truth values, in one table with the last scalars.
    **Profile**: `profile_steps=(10, 20)` traces these steps, counted from 0, the second one excluded.

    Records are written by a thread beside training, from a queue that holds 64; a disk that is full, or a thread that
    died, is one error at the next step. A run that goes on writes over what came after the point it goes on from. A run
    that begins before the last point of another one in its directory is an error.

    Raises:
        ArgumentError: a field has a value that it cannot have.

    >>> import jgraph as jg
    >>> board = jg.callbacks.TensorBoard("runs/qa/tensorboard", histograms=100, hparams={"units": 64})
    >>> board.histograms
    Watch(every_steps=100, of=('params', 'gradients', 'updates', 'activations'), nodes=('*',), bins=64)
    """

    directory: str | os.PathLike[str]
    every_steps: int | None = None
    _: dataclasses.KW_ONLY
    histograms: int | Watch | None = None
    graph: bool = True
    text: bool = True
    images: Images | None = None
    projector: Projector | list[Projector] | tuple[Projector, ...] = ()
    hparams: Mapping[str, float | str | bool] | None = None
    profile_steps: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_path("TensorBoard, directory", self.directory)
        if self.every_steps is not None:
            check_count("TensorBoard", "every_steps", self.every_steps, least=1)
        if self.histograms is not None and not isinstance(self.histograms, Watch):
            check_count("TensorBoard", "histograms", self.histograms, least=1)
            object.__setattr__(self, "histograms", Watch(every_steps=self.histograms))
        check_flag("TensorBoard", graph=self.graph, text=self.text)
        _check_kind("images", self.images, Images | None, "Write images=jg.callbacks.Images(inputs=x[:16]).")
        several = self.projector if isinstance(self.projector, list | tuple) else (self.projector,)
        for one in several:
            _check_kind("projector", one, Projector, "Write projector=jg.callbacks.Projector('embedding').")
        object.__setattr__(self, "projector", tuple(several))
        object.__setattr__(self, "hparams", None if self.hparams is None else _hparams(self.hparams))
        object.__setattr__(self, "profile_steps", _steps(self.profile_steps))

    # What it asks of the loop

    def check(self, setup: Setup) -> None:
        """Checks that the model has what is to be shown of it.

        Raises:
            PathError: a node or a pattern that is not there. ArgumentError, DataError, ShapeError: a sample, its labels
            or its pictures do not fit.
        """
        if (watch := self.watches()) is not None:
            watch.check("TensorBoard, histograms", setup.trainer.model.nodes)
        if self.images is not None:
            self.images.check(setup.trainer)
        for projector in self._projectors:
            projector.check(setup.trainer.model)

    def watches(self) -> Watch | None:
        """What histograms are made of."""
        assert not isinstance(self.histograms, int), "it has been made a Watch"
        return self.histograms

    def step_interval(self) -> int | None:
        """The greatest interval of which all steps at which something is to be done are multiples."""
        watch, profile = self.watches(), self.profile_steps or ()
        given = [self.every_steps, None if watch is None else watch.every_steps, *profile]
        return math.gcd(*(n for n in given if n is not None)) or None

    def due_from(self, step: int) -> int | None:
        """The first step from this one on at which something is to be done."""
        watch = self.watches()
        given = self.every_steps, None if watch is None else watch.every_steps
        due = [-(-step // n) * n for n in given if n is not None]
        due += [at for at in self.profile_steps or () if at >= step]
        return min(due, default=None)

    def init(self, train_state: TrainState) -> PyTree:
        """Makes the memory: the number of records written to each place."""
        del train_state
        return dict.fromkeys(self._files, 0)

    def places(self) -> tuple[str, ...]:
        """The directory."""
        return (os.fspath(self.directory),)

    def sinks(self, memory: PyTree) -> dict[Sink, int]:
        """The files that it writes, each with the number of its records."""
        traces: dict[Sink, int] = {Trace(os.fspath(self.directory)): 0} if self.profile_steps else {}
        return {file: memory[name] for name, file in self._files.items()} | traces

    # Hooks

    def on_train_begin(self, memory: PyTree, event: Event) -> Result:
        """Writes what does not change: the model and the hyperparameters, once for each run."""
        said: Said = {}
        if not memory["train"] and event.model is not None:
            said["train"] = [graph_of(event.model, event.step)] if self.graph else []
            said["train"] += [Texts(event.step, _texts(event))] if self.text else []
            if self.images is not None:
                said["train"].append(Pictures(event.step, self.images.pictures_of_inputs(event.model)))
        if self.hparams is not None and not memory["hparams"]:
            said["hparams"] = [SessionStart(event.step, self.hparams)]
        memory, actions = self._written(memory, said)
        return memory, [*actions, *self._traced(event, starts=True)]

    def on_step_end(self, memory: PyTree, event: Event) -> Result:
        """Writes the means over the epoch so far, and histograms, each at its own steps."""
        train: list[Any] = []
        if self.every_steps is not None and event.step % self.every_steps == 0:
            means = {**event.logs, **_measured(event)}
            train.append(Scalars(event.step, {f"steps/{name}": value for name, value in means.items()}))
        watch = self.watches()
        if watch is not None and (found := event.watched.get(watch)):
            train.append(Histograms(event.step, found))
            odd = {f"not_finite/{tag}": float(d.nan + d.inf) for tag, d in found.items() if d.nan + d.inf}
            train += [Scalars(event.step, odd)] if odd else []
        memory, actions = self._written(memory, {"train": train})
        return memory, [*actions, *self._traced(event)]

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Writes the logs of the epoch, of training and of validation, and pictures and points where they are due."""
        train = {name: value for name, value in event.logs.items() if not name.startswith(VALIDATION)}
        if "learning_rate" not in train and event.train_state is not None:
            train["lr_scale"] = float(event.train_state.lr_scale)
        train |= _measured(event)
        train["epoch"] = event.epoch
        validation = {
            name.removeprefix(VALIDATION): value for name, value in event.logs.items() if name.startswith(VALIDATION)
        }
        said: Said = {"train": [Scalars(event.step, train)]}
        said["validation"] = [Scalars(event.step, validation)] if validation else []
        if self.images is not None and (event.epoch + 1) % self.images.every_epochs == 0:
            said["train"].append(Pictures(event.step, self.images.pictures(event.trainer, event.train_state)))
        due = [p for p in self._projectors if (event.epoch + 1) % p.every_epochs == 0]
        said["projector"] = [p.snapshot(event.trainer, event.train_state, event.epoch) for p in due]
        return self._written(memory, said)

    def on_evaluate_end(self, memory: PyTree, event: Event) -> Result:
        """Writes the logs of an evaluation that a callback asked for, in the charts of validation."""
        found = {name.removeprefix(VALIDATION): value for name, value in event.logs.items()}
        return self._written(memory, {"validation": [Scalars(event.step, found)]})

    def on_train_end(self, memory: PyTree, event: Event) -> Result:
        """Writes that the run has ended, unless it was interrupted."""
        return memory, self._ended(event, "success") if event.stopped != "interrupted" else []

    def on_exception(self, memory: PyTree, event: Event) -> Result:
        """Writes that the run has failed."""
        return memory, self._ended(event, "failure")

    # Records

    def _ended(self, event: Event, status: str) -> list[Action]:
        """The record of an end. The memory does not count it, so that a run that goes on writes over it."""
        return [] if self.hparams is None else [Write(self._files["hparams"], SessionEnd(event.step, status))]

    def _written(self, memory: PyTree, said: Said) -> tuple[PyTree, list[Action]]:
        """The memory and the actions after some records."""
        actions: list[Action] = [
            Write(self._files[name], record) for name, records in said.items() for record in records
        ]
        return {name: count + len(said.get(name, ())) for name, count in memory.items()}, actions

    def _traced(self, event: Event, *, starts: bool = False) -> list[Action]:
        """Begins or ends the trace, where that is due; what has been dispatched before is waited for."""
        if self.profile_steps is None:
            return []
        begin, end = self.profile_steps
        if event.step not in (begin, end) and not starts:
            return []
        jax.block_until_ready(event.train_state)
        return [Write(Trace(os.fspath(self.directory)), begin <= event.step < end)]

    @property
    def _projectors(self) -> tuple[Projector, ...]:
        assert isinstance(self.projector, tuple), "it has been made one"
        return self.projector

    @property
    def _files(self) -> dict[str, Any]:
        """What records are written to, by the name in the memory."""
        folder = Path(self.directory)
        files: dict[str, Any] = {run: EventFile(str(folder / run)) for run in ("train", "validation")}
        files |= {"projector": ProjectorFiles(str(folder / "train"))} if self._projectors else {}
        return files | ({"hparams": EventFile(str(folder))} if self.hparams is not None else {})


def _measured(event: Event) -> dict[str, float]:
    """What was measured of the machine, but for the clock."""
    return {name: value for name, value in event.timings.items() if not name.endswith("seconds")}


def _texts(event: Event) -> dict[str, str]:
    """The model's summary and the trainer, as Markdown that keeps their columns."""
    said = {"summary": event.model.summary(), "trainer": str(event.trainer)}
    return {name: "\n".join(f"    {line}" for line in text.splitlines()) for name, text in said.items()}


def _check_kind(name: str, value: Any, kind: Any, cure: str) -> None:
    if not isinstance(value, kind):
        expected = f"a jg.callbacks.{name.capitalize()}"
        raise ArgumentError(f"TensorBoard, {name}", expected=expected, got=repr(value)[:80], cure=cure)


def _hparams(given: Any) -> dict[str, float | str | bool]:
    """Hyperparameters as TensorBoard's table can hold them.

    Raises:
        ArgumentError: one is neither a finite number, a text nor a truth value.
    """
    named = isinstance(given, Mapping) and given and all(isinstance(name, str) and name for name in given)
    if not named:
        got, cure = repr(given)[:80], "Write hparams={'units': 64, 'activation': 'relu'}."
        raise ArgumentError("TensorBoard, hparams", expected="a dict of names to values", got=got, cure=cure)
    found: dict[str, float | str | bool] = {}
    for name, value in given.items():
        value = value.item() if isinstance(value, np.bool_) else value
        number = 0.0 if isinstance(value, bool | str) else number_of(value)
        if not math.isfinite(number):
            raise ArgumentError(
                f"TensorBoard, hparams, {name!r}",
                expected="a finite number, a text, True or False",
                got=repr(value)[:80],
                cure="Write what tells the runs apart as one of these: str(value), for example.",
            )
        found[name] = value if isinstance(value, bool | str) else number
    return found


def _steps(given: Any) -> tuple[int, int] | None:
    """The steps to trace.

    Raises:
        ArgumentError: they are no two steps, one before the other.
    """
    if given is None:
        return None
    pair: Any = tuple(given) if isinstance(given, list | tuple) else ()
    whole = len(pair) == 2 and all(isinstance(n, int) and not isinstance(n, bool) for n in pair)
    if not whole or not 0 <= pair[0] < pair[1]:
        expected, cure = "two steps, the first before the second", "Write profile_steps=(10, 20)."
        raise ArgumentError("TensorBoard, profile_steps", expected=expected, got=repr(given), cure=cure)
    return pair
