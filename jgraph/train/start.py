"""How a run begins, or goes on: callbacks are named and checked, a checkpoint is found, places are made ready."""

import contextlib
import dataclasses
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.balance.numbers import Numbers, Schedules
from jgraph.core.fingerprint import differences
from jgraph.core.model import Model
from jgraph.data.fingerprint import fingerprint
from jgraph.errors import ArgumentError, CallbackError, LoadError, NameClashError, ResumeError, listing
from jgraph.storage.steps import clean, newest_whole, record_of, set_aside, steps_in
from jgraph.train.actions import INTERRUPTED
from jgraph.train.callback import Callback, Setup
from jgraph.train.configuration import plain
from jgraph.train.gradients import Whole
from jgraph.train.hooks import form
from jgraph.train.joint import Joint
from jgraph.train.loss_scale import Unscaled
from jgraph.train.objective import Target
from jgraph.train.outlets import Outlets
from jgraph.train.plan import Plan
from jgraph.train.record import check_leaves, check_record, check_same, key_like, run_of
from jgraph.train.source import Source
from jgraph.train.state import Run, TrainState
from jgraph.train.step import Step
from jgraph.typing import PyTree

PROBES = (0, 1, 10, 100, 1_000, 10_000, 100_000)
"""The steps at which two schedules are compared, as functions cannot be."""

Cast = dict[str, Callback]
Said = list[tuple[int, str]]
"""Levels of logging, and sentences."""


def cast_of(callbacks: Any) -> Cast:
    """The callbacks by name: explicit names, else the class in snake case, numbered where there are several.

    Raises:
        ArgumentError: something is not a callback. NameClashError: two have one name.
    """
    if not isinstance(callbacks, list | tuple):
        got, cure = f"a {type(callbacks).__name__}", "Put them in a list: callbacks=[...]."
        raise ArgumentError("fit, callbacks", expected="a list of callbacks", got=got, cure=cure)
    for place, callback in enumerate(callbacks):
        if not isinstance(callback, Callback):
            called = callable(callback) and not isinstance(callback, type)
            cure = (
                "Wrap a function: jg.callbacks.on_epoch_end(function)."
                if called
                else "Derive from it, and call the class."
            )
            raise ArgumentError(
                f"fit, callbacks[{place}]", expected="a jg.callbacks.Callback", got=repr(callback)[:80], cure=cure
            )
    explicit = [c.name for c in callbacks if c.name is not None]
    if twice := [name for name, count in Counter(explicit).items() if count > 1]:
        raise NameClashError(
            "fit, callbacks", expected="different names", got=f"{listing(twice)} twice", cure="Rename one of them."
        )
    cast: Cast = {}
    for callback in callbacks:
        own = callback.name or callback.default_name()
        taken, number = {*cast, *explicit}, 0
        name = own
        while callback.name is None and name in taken:
            number += 1
            name = f"{own}_{number}"
        cast[name] = callback
    return cast


def check_cast(cast: Cast, setup: Setup) -> None:
    """Lets every callback check that it fits the run, and that no two write one place.

    Raises:
        ArgumentError, MonitorError: as the callbacks say. NameClashError: two write one place.
    """
    writers: dict[str, str] = {}
    for name, callback in cast.items():
        callback.check(setup)
        if (watch := callback.watches()) is not None and setup.trainer is not None:
            watch.check(f"callback {name!r}, watches", setup.trainer.model.nodes)
        interval = callback.step_interval()
        if interval is not None and (isinstance(interval, bool) or not isinstance(interval, int) or interval < 1):
            raise ArgumentError(
                f"callback {name!r}, every_steps",
                expected="an integer of at least 1, or None",
                got=repr(interval),
                cure="Write every_steps=100, for example.",
            )
        for place in callback.places():
            other = writers.setdefault(os.path.realpath(place), name)
            if other != name:
                raise NameClashError(
                    "fit, callbacks",
                    expected="different places to write",
                    got=f"{str(place)!r} for both {other!r} and {name!r}",
                    cure="Give one of them another path.",
                )


@dataclasses.dataclass(frozen=True)
class About:
    """What a checkpoint says of its run beside the run: the model, what decides about the bits, and the callbacks."""

    model: str
    graph: str
    identity: dict[str, Any]
    callbacks: dict[str, Any]


def about_run(
    model: Model, step: Step, optimizer: Any, plan: Plan, source: Source, held_out: Source | None, cast: Cast
) -> About:
    """What a checkpoint says of a run beside the run.

    Raises:
        SaveError: the model holds a function or class without a name.
    """
    text, rows = model.to_json(), source.rows
    rates = None if step.rate is None else {str(at): float(step.rate(at)) for at in PROBES}
    identity = {
        **{f"training of {t.name!r}": _told(t) for t in (*step.objective.targets, *step.objective.joints)},
        **_told_gradients(step),
        "optimizer": json.loads(json.dumps(plain(optimizer))),
        "learning rate by step": rates,
        "ema": step.ema,
        "validate_ema": step.validate_ema or None,
        "seed": plan.seed,
        "batch_size": plan.batch_size,
        "shuffle": plan.shuffle,
        "validation_split": plan.validation.split,
        "steps_per_epoch": plan.steps_per_epoch,
        "class_weight": json.loads(json.dumps(plain(plan.class_weight))),
        "drop_last": plan.drop_last,
        "data on the device": source.on_device_wanted,
        "validation_steps": plan.validation.steps,
        "validation_batch_size": plan.validation.batch_size,
        "validation_every": plan.validation.every,
        "rows": None if rows is None else rows.count,
        "data": None if rows is None else fingerprint(rows.bound),
        "validation data": None if held_out is None or held_out.rows is None else fingerprint(held_out.rows.bound),
    }
    return About(text, model.fingerprint, identity, configurations(cast))


def _told(target: Target | Joint) -> str:
    """How an output is trained."""
    weight = "its schedule" if callable(target.weight) else f"{target.weight:g}"
    loss = "no loss" if target.loss is None else f"{target.loss} x {weight}"
    return ", ".join([loss, *(metric.name for metric in target.metrics)])


def _told_gradients(step: Step) -> dict[str, Any]:
    """How losses and gradients are found, where it is not in the plain way."""
    balance, scheduled = step.objective.balance, [t for t in step.objective.losses if callable(t.weight)]
    told: dict[str, Any] = {
        f"loss weight of {t.name!r} by step": {str(at): float(t.weight(at)) for at in PROBES} for t in scheduled
    }
    if not isinstance(balance, Numbers | Schedules):
        told |= {f"balance, {name}": value for name, value in json.loads(json.dumps(plain(balance))).items()}
    if step.gradients != Whole():
        told["gradients"] = json.loads(json.dumps(plain(step.gradients)))
    if step.loss_scale != Unscaled():
        told["loss scale"] = json.loads(json.dumps(plain(step.loss_scale)))
    return told


def configurations(cast: Mapping[str, Callback]) -> dict[str, Any]:
    """The configuration of each callback, without the places it writes, which may move."""
    return {
        name: {
            key: value
            for key, value in json.loads(json.dumps(callback.configuration())).items()
            if not (isinstance(value, str) and value in callback.places())
        }
        for name, callback in cast.items()
    }


def resumed(
    directory: str | os.PathLike[str], template: TrainState, cast: Cast, about: Callable[[], About]
) -> tuple[Run | None, Said]:
    """The run of the newest whole checkpoint in a directory, or `None`; and what is to be said about it.

    Raises:
        LoadError: there are checkpoints, but none is whole. ResumeError: it belongs to another run.
    """
    where = str(directory)
    found = newest_whole(directory)
    if found is None and Path(directory).name.isdigit() and steps_in(Path(directory).parent):
        cure = f"Write resume={str(Path(directory).parent)!r}."
        raise ArgumentError("fit, resume", expected="a directory of steps", got="one of its steps", cure=cure)
    if found is None:
        return None, [(logging.WARNING, f"resume: there is no checkpoint in {where}, so the run starts anew")]
    step, tree, record, said = found
    check_record(f"{where}/{step}", tree, record)
    template = template.replace(key=key_like(record["key_impl"]))
    given, saved = about(), About(*(record[field.name] for field in dataclasses.fields(About)))
    check_leaves(where, tree["train_state"], template, optimizer=False)
    if saved.graph != given.graph:
        differing = differences(saved.model, given.model).items()
        old, new = ({f"model, {path or 'its ends'}": pair[side] for path, pair in differing} for side in (0, 1))
        check_same(where, old, new)
        check_same(where, {"model's graph": saved.graph}, {"model's graph": given.graph})
    check_leaves(where, tree["train_state"], template)  # an optimizer whose state differs beside the same model
    check_same(where, saved.identity, given.identity)
    both = [name for name in saved.callbacks if name in given.callbacks]
    for name in both:
        old, new = ({f"callback {name!r}, {k}": v for k, v in c.callbacks[name].items()} for c in (saved, given))
        check_same(where, old, new)
    new = [name for name in given.callbacks if name not in saved.callbacks]
    gone = [name for name in saved.callbacks if name not in given.callbacks]
    state = run_of(tree, record, template, {}).train_state
    run = run_of(tree, record, template, {name: first_memory(name, cast[name], state) for name in both})
    warned = [(logging.WARNING, f"resume: {text}") for text in said]
    told = [f"resume: goes on from step {step} in {where}, epoch {run.position.epoch + 1}"]
    told += [f"resume: callback {name!r} is new, and starts afresh" for name in new]
    told += [f"resume: callback {name!r} is gone, and its memory is dropped" for name in gone]
    stopped = None if run.stopped == INTERRUPTED else run.stopped
    return dataclasses.replace(run, stopped=stopped), [*warned, *((logging.INFO, text) for text in told)]


def with_memories(run: Run, cast: Cast) -> tuple[Run, set[str]]:
    """The run with a memory for each callback, and the names of those that are new to it.

    Raises:
        CallbackError: `init` raised, or made no pytree. ResumeError: a memory has another form than the callback's.
    """
    memories, new = {}, set()
    for name, callback in cast.items():
        fresh = first_memory(name, callback, run.train_state)
        if name not in run.memories:
            new.add(name)
        elif form(run.memories[name]) != form(fresh):
            raise ResumeError(
                f"fit, run, memory of {name!r}",
                expected=f"the form that {callback!r} gives it",
                got="that of another callback of this name",
                cure="Give the callback another name=, and it starts afresh.",
            )
        memories[name] = run.memories.get(name, fresh)
    return dataclasses.replace(run, memories=memories), new


def first_memory(name: str, callback: Callback, train_state: TrainState) -> PyTree:
    """What a callback's `init` makes, copied.

    Raises:
        CallbackError: it raised an error, or made no pytree.
    """
    try:
        memory = callback.init(train_state)
        form(memory)
        return jax.tree.map(lambda leaf: jnp.copy(leaf) if isinstance(leaf, jax.Array) else leaf, memory)
    except Exception as error:
        got = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        cure = "Make a memory of numbers and arrays, in dicts whose keys can be sorted."
        raise CallbackError(f"callback {name!r}, init", expected="a pytree", got=got, cure=cure) from error


def reserve(cast: Cast, outlets: Outlets) -> Said:
    """Makes the directories of checkpoints, and holds them for this run; what was found there is returned.

    Raises:
        WriteError: one cannot be written. LockedError: another run writes to it.
    """
    said: Said = []
    for directory in (place for callback in cast.values() for place in callback.directories()):
        if left := outlets.reserve(directory):
            said.append((logging.INFO, f"{directory} was held by {left}, which was killed"))
        said += [(logging.INFO, text) for text in clean(directory)]
    return said


def prepare_directories(cast: Cast, new: set[str], run: Run, resume: Any, about: Callable[[], About]) -> Said:
    """Looks at the steps in directories of checkpoints, and puts aside those ahead; what was done is returned.

    Where a run is resumed from one directory, steps of the same run in another one may lie ahead of it, as after a kill
    before the first save in the one. They stay, as the run comes to the same bits again: a best step is never less good
    than it was.

    Raises:
        WriteError: one cannot be written. ResumeError: one has the checkpoints of another run.
    """
    said: Said = []
    for name, callback in cast.items():
        for directory in callback.directories():
            steps = steps_in(directory)
            own = resume is not None and os.path.realpath(resume) == os.path.realpath(directory)
            again = resume is not None and not own and bool(steps) and _same_run(directory, steps[-1], about)
            if steps and not own and not again and (name in new or not _belongs(directory, steps, run, about)):
                raise ResumeError(
                    f"callback {name!r}",
                    expected="a directory without checkpoints of another run",
                    got=f"{str(directory)!r} with such, up to step {steps[-1]}",
                    cure=f"Go on with resume={str(directory)!r}, choose another directory, or remove it.",
                )
            for ahead in (s for s in steps if s > int(run.train_state.step)):
                text = f"step {ahead} in {directory} lies ahead of the run, "
                if again:
                    said.append((logging.INFO, text + "which will come to it again"))
                else:
                    aside = Path(set_aside(directory, ahead)).name
                    said.append((logging.WARNING, text + f"and is put aside as {aside}"))
    return said


def _same_run(directory: str, step: int, about: Callable[[], About]) -> bool:
    """Whether all that decides about the bits was the same where a step was saved."""
    with contextlib.suppress(LoadError):
        record = record_of(directory, step)
        return all(record[field.name] == getattr(about(), field.name) for field in dataclasses.fields(About))
    return False


def _belongs(directory: str, steps: Iterable[int], run: Run, about: Callable[[], About]) -> bool:
    """Whether the newest checkpoint that can be read is of this run: one of the two histories continues the other."""
    for step in sorted(steps, reverse=True):
        with contextlib.suppress(LoadError):
            record = record_of(directory, step)
            check_record(f"{directory}/{step}", {"train_state": {}}, record)
            if (record["graph"], record["seed"]) != (about().graph, run.seed):
                return False
            shared = [name for name in record["history"] if name in run.history]
            if not shared:
                return record["identity"] == about().identity
            return all(_continues(record["history"][name], run.history[name]) for name in shared)
    return False


def _continues(a: list[float], b: list[float]) -> bool:
    return all(x == y or (x != x and y != y) for x, y in zip(a, b, strict=False))  # noqa: PLR0124 (NaN)


def sinks_of(cast: Cast, memories: Mapping[str, Any], new: Iterable[str], anew: bool) -> list[tuple[Any, int | None]]:
    """The sinks of all callbacks, each with the number of records to keep; `anew` where a run is done over."""
    fresh = 0 if anew else None
    return [
        (sink, fresh if name in new else count)
        for name, callback in cast.items()
        for sink, count in callback.sinks(memories[name]).items()
    ]
