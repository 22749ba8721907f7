"""What there is to tell of a run: from the run itself, or from what a checkpoint says of it; nothing is executed."""

import dataclasses
import datetime
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jgraph.core.model import Model
from jgraph.errors import ArgumentError, LoadError
from jgraph.storage.steps import record_of, steps_in

SAID = re.compile(
    r"epoch (?P<epoch>\d+), step (?P<step>\d+): (?!evaluated: val_)(?:(?P<who>[^:]+): )?(?P<what>.*)", re.DOTALL
)
"""What was decided. What an evaluation found is none, though the session says it in the same form."""

CHANGE = re.compile(r"(?P<what>.*?) \((?P<why>.*)\)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Decision:
    """What was decided while training: at which epoch, counted from 1, and step; by which callback, what, and why."""

    epoch: int
    step: int
    who: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"epoch {self.epoch}: {self.what}{', ' * bool(self.why)}{self.why}"


@dataclasses.dataclass(frozen=True, eq=False)
class Told:
    """All that a page tells of a run; `missing` says what is not known, and why."""

    model: Model | None
    where: str
    when: str
    epoch: int
    step: int
    history: Mapping[str, list[float]]
    timings: Mapping[str, list[float]]
    events: tuple[str, ...]
    stopped: str | None
    training: Mapping[str, Any]
    callbacks: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, Any]
    missing: tuple[str, ...] = ()

    @property
    def decisions(self) -> list[Decision]:
        """The decisions, in order."""
        found = []
        for said in (SAID.fullmatch(text) for text in self.events):
            if said is not None:
                split = CHANGE.fullmatch(said["what"])
                what, why = (split["what"], split["why"]) if split else (said["what"], "")
                what = re.sub(r" -> ", " \N{RIGHTWARDS ARROW} ", what)
                found.append(Decision(int(said["epoch"]), int(said["step"]), said["who"] or "", what, why))
        return found

    @property
    def notes(self) -> list[str]:
        """What else was said, in order."""
        return [text for text in self.events if not SAID.fullmatch(text)]


def told_of(run: Any, model: Model | None, allow: Iterable[Any]) -> Told:
    """What there is to tell of a run in memory, or of the directory of a `Checkpoint`.

    Raises:
        ArgumentError: it is neither; a run comes without its model, or a model is not that of the directory.
        LoadError: the directory holds no checkpoint, or none that can be read.
    """
    if model is not None and not isinstance(model, Model):
        cure = "Give the model that was trained."
        raise ArgumentError("report, model", expected="a jg.Model", got=repr(model)[:80], cure=cure)
    if isinstance(run, str | os.PathLike):
        return _of_directory(Path(run), model, allow)
    if not all(hasattr(run, name) for name in ("history", "events", "position", "train_state", "batches")):
        cure = "Write jg.inspect.report('runs/x', 'report.html'), or report(run, 'report.html', model=model)."
        got = repr(run)[:80]
        raise ArgumentError("report, run", expected="the directory of a Checkpoint, or a jg.Run", got=got, cure=cure)
    if model is None:
        cure = "Write jg.inspect.report(run, path, model=trainer.model)."
        raise ArgumentError("report, model", expected="the model of the run", got="none", cure=cure)
    return Told(
        model,
        where="",
        when=_date(datetime.datetime.now(datetime.UTC)),
        epoch=run.position.epoch,
        step=0 if run.train_state is None else int(run.train_state.step),
        history=run.history,
        timings=run.timings,
        events=tuple(run.events),
        stopped=run.stopped,
        training={"seed": run.seed, **run.batches},
        callbacks={name: {} for name in run.memories},
        versions={},
    )


def _of_directory(directory: Path, model: Model | None, allow: Iterable[Any]) -> Told:
    step, record, missing = _newest(directory)
    if model is not None and model.fingerprint != record["graph"]:
        cure = "Leave out model=: the directory says what it is."
        raise ArgumentError("report, model", expected=f"the model of {directory}", got=repr(model), cure=cure)
    if model is None:
        try:
            model = Model.from_json(record["model"], allow=allow)
        except LoadError as error:
            missing.append(f"The graph and the summary are missing: {error}")
    saved = datetime.datetime.fromtimestamp((directory / str(step)).stat().st_mtime, datetime.UTC)
    return Told(
        model,
        where=str(directory),
        when=_date(saved),
        epoch=record["position"][0],
        step=step,
        history=record["history"],
        timings=record["timings"],
        events=tuple(record["events"]),
        stopped=record["stopped"],
        training=record["identity"],
        callbacks=record["callbacks"],
        versions=record["versions"],
        missing=tuple(missing),
    )


def _newest(directory: Path) -> tuple[int, dict[str, Any], list[str]]:
    """The newest step whose record is whole, and what is to be said of newer ones."""
    expected = "a directory in which a Checkpoint saved a run"
    if not directory.is_dir():
        cure = "Give the directory of jg.callbacks.Checkpoint, such as 'runs/x'."
        got = "a file" if directory.exists() else "no such directory"
        raise LoadError(str(directory), expected=expected, got=got, cure=cure)
    steps = steps_in(directory)
    if not steps:
        inside = directory.name.isdigit() and steps_in(directory.parent)
        cure = f"Give {str(directory.parent)!r}." if inside else "Give the directory of jg.callbacks.Checkpoint."
        got = "one of its steps" if inside else "no checkpoint"
        raise LoadError(str(directory), expected=expected, got=got, cure=cure)
    missing: list[str] = []
    for step in reversed(steps):
        try:
            return step, record_of(directory, step), missing
        except LoadError as error:
            missing.append(f"Step {step} cannot be read, so an earlier one is told of: got {error.got}.")
    cure = "Take a copy of the directory."
    raise LoadError(str(directory), expected=f"{expected} and that can be read", got="; ".join(missing), cure=cure)


def _date(moment: datetime.datetime) -> str:
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"  # not every platform has a day without a zero
