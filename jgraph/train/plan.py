"""What a call of `fit` is asked for, and the checks of it that need no data."""

import dataclasses
import os
from typing import Any

import numpy as np

from jgraph.data.rows import steps_of
from jgraph.errors import ArgumentError, check_flag
from jgraph.train.state import Run


@dataclasses.dataclass(frozen=True)
class Validation:
    """How a run is validated; each field is the argument `validation_...` of `fit`."""

    split: float = 0.0
    steps: int | None = None
    batch_size: int | None = None
    every: int = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What a call of `fit` was asked for, checked."""

    epochs: int
    batch_size: int
    seed: int
    shuffle: bool
    steps_per_epoch: int | None
    progress: bool
    initial_epoch: int = 0
    drop_last: bool = False
    data_on_device: bool | None = None
    validation: Validation = Validation()
    class_weight: Any = None


def check_plan(plan: Plan, train_state: Any, run: Any, resume: Any = None) -> None:
    """Checks the arguments of `fit` that need no data.

    Raises:
        ArgumentError: one has no meaning.
    """
    check_batch_size("fit", plan.batch_size)
    check_integer("fit, initial_epoch", plan.initial_epoch, 0)
    check_integer("fit, epochs", plan.epochs, plan.initial_epoch)
    check_seed("fit, seed", plan.seed)
    check_integer("fit, validation_every", plan.validation.every, 1)
    for name, value in (
        ("steps_per_epoch", plan.steps_per_epoch),
        ("validation_steps", plan.validation.steps),
        ("validation_batch_size", plan.validation.batch_size),
    ):
        if value is not None:
            check_integer(f"fit, {name}", value, 1)
    check_split(plan.validation.split)
    given = {} if plan.data_on_device is None else {"data_on_device": plan.data_on_device}
    check_flag("fit", shuffle=plan.shuffle, progress=plan.progress, drop_last=plan.drop_last, **given)
    if plan.initial_epoch and (run is not None or resume is not None):
        raise ArgumentError(
            "fit, initial_epoch",
            expected="it without run= and resume=, which know the epoch that they go on from",
            got=str(plan.initial_epoch),
            cure="Leave it out, or give train_state=run.train_state in place of the run.",
        )
    if run is not None and (train_state is not None or not isinstance(run, Run)):
        raise ArgumentError(
            "fit, run",
            expected="a Run alone, as fit returns it",
            got=type(run).__name__ + " beside train_state" * (train_state is not None),
            cure="Give run=run, which holds its train state, or train_state= alone.",
        )
    if resume is not None and (
        train_state is not None or run is not None or not isinstance(resume, str | os.PathLike) or not os.fspath(resume)
    ):
        raise ArgumentError(
            "fit, resume",
            expected="the directory of a Checkpoint, alone",
            got=repr(resume) if run is None and train_state is None else "it beside a run or train state",
            cure="Give resume='runs/name' to go on from what was saved there, or run=run to go on from memory.",
        )
    if run is not None and run.train_state is None:
        raise ArgumentError(
            "fit, run",
            expected="a run with its train state",
            got="one whose train state was lost with a program that failed on the device",
            cure="Go on with resume=, from the last checkpoint.",
        )
    if run is not None and plan.seed != run.seed:
        raise ArgumentError(
            "fit, seed",
            expected=f"the run's own, {run.seed}, from which the order of its data is drawn",
            got=str(plan.seed),
            cure=f"Write seed={run.seed}.",
        )
    if run is not None:
        check_epochs(plan, run)


def check_split(split: Any) -> None:
    """Checks which part of the rows is to be held out.

    Raises:
        ArgumentError: it is no number in [0, 1).
    """
    if isinstance(split, bool) or not isinstance(split, int | float) or not 0 <= split < 1:
        cure = "Write validation_split=0.1, or give validation_data."
        raise ArgumentError("fit, validation_split", expected="a number in [0, 1)", got=repr(split), cure=cure)


def check_epochs(plan: Plan, run: Run) -> None:
    """Checks that a run that goes on has not done more epochs than are asked for.

    Raises:
        ArgumentError: it has.
    """
    if plan.epochs < run.position.epoch:
        raise ArgumentError(
            "fit, epochs",
            expected=f"at least the {run.position.epoch} epochs that the run has done",
            got=str(plan.epochs),
            cure="`epochs` counts from the start of the run.",
        )


def check_batches(plan: Plan, rows: int | None, run: Run | None) -> dict[str, Any]:
    """How an epoch is cut into batches, checked to be the same where a run goes on in the midst of one.

    Raises:
        ArgumentError: it is not.
    """
    batches = {
        "batch_size": plan.batch_size,
        "shuffle": plan.shuffle,
        "rows": rows,
        "steps_per_epoch": plan.steps_per_epoch,
        "drop_last": plan.drop_last,
    }
    under_way = {} if run is None or not run.position.step else run.batches
    if differing := [name for name, value in under_way.items() if batches[name] != value]:
        raise ArgumentError(
            f"fit, {differing[0]}",
            expected=f"{under_way[differing[0]]}, as an epoch is under way",
            got=repr(batches[differing[0]]),
            cure="Finish the epoch as it began; between epochs it may change.",
        )
    return batches


def check_batch_size(where: str, batch_size: Any) -> None:
    """Checks the batch size of a call.

    Raises:
        ArgumentError: it is not a positive integer.
    """
    check_integer(f"{where}, batch_size", batch_size, 1)


def check_epoch(plan: Plan, rows: int | None, batches: int | None) -> None:
    """Checks that rows, or an iterable of perhaps as many batches, can be cut into epochs as they are asked for.

    Raises:
        ArgumentError: there are fewer batches, or `drop_last` or `data_on_device` is said of an iterable.
    """
    if rows is not None:
        if not (steps := steps_of(rows, plan.batch_size, plan.drop_last)):
            cure = f"Write batch_size={rows}, or leave drop_last out."
            raise ArgumentError(
                "fit, drop_last",
                expected="at least one full batch",
                got=f"{rows} rows for {plan.batch_size}",
                cure=cure,
            )
        check_steps("fit, steps_per_epoch", plan.steps_per_epoch, rows, steps)
        return
    check_steps("fit, steps_per_epoch", plan.steps_per_epoch, rows, batches)
    for name, cure in (
        ("drop_last", "Say it to what makes the batches (drop_last, drop_remainder)."),
        ("data_on_device", "Give a tuple of arrays; an iterable is read ahead, a few batches at a time."),
    ):
        if getattr(plan, name):
            raise ArgumentError(f"fit, {name}", expected="arrays", got="an iterable of batches", cure=cure)


def check_validation(plan: Plan, validates: bool, rows: int | None, batches: int | None) -> None:
    """Checks what is said of validation against the data for it: rows, or perhaps so many batches.

    Raises:
        ArgumentError: there are no such data, or fewer batches, or an iterable is given a batch size.
    """
    if not validates:
        said, unsaid = (dataclasses.asdict(each) for each in (plan.validation, Validation()))
        if given := [f"validation_{name}" for name in said if said[name] != unsaid[name]]:
            cure = "Give validation_data or validation_split."
            raise ArgumentError(f"fit, {given[0]}", expected="data to validate on", got="none", cure=cure)
        return
    if rows is None and plan.validation.batch_size is not None:
        raise ArgumentError(
            "fit, validation_batch_size",
            expected="arrays as validation_data",
            got="an iterable, which has batches already",
            cure="Leave it out.",
        )
    available = batches if rows is None else steps_of(rows, plan.validation.batch_size or plan.batch_size)
    check_steps("fit, validation_steps", plan.validation.steps, rows, available)


def check_seed(name: str, seed: Any) -> None:
    """Checks a seed.

    Raises:
        ArgumentError: it is not one of as many as JAX tells apart.
    """
    check_integer(name, seed, 0, 2**32 - 1)


def check_steps(where: str, steps: int | None, rows: int | None, available: int | None) -> None:
    """Checks that there are as many batches as are asked for, where it is known how many there are.

    Raises:
        ArgumentError: there are fewer.
    """
    if steps is not None and available is not None and steps > available:
        expected = f"at most the {available} batches that {'the data' if rows is None else f'{rows} rows'} give"
        raise ArgumentError(where, expected=expected, got=str(steps), cure="Leave it out for all of them.")


def sizes_of(plan: Plan, rows: int) -> list[int]:
    """The sizes of the batches of an epoch, each once.

    >>> sizes_of(Plan(1, 4, 0, True, None, False), 10)
    [4, 2]
    """
    full, last = divmod(rows, plan.batch_size)
    reached = not plan.drop_last and (plan.steps_per_epoch is None or plan.steps_per_epoch > full)
    return [plan.batch_size] * bool(full) + [last] * bool(reached and last)


def check_integer(name: str, value: Any, least: int, most: int | None = None) -> None:
    """Checks an integer.

    Raises:
        ArgumentError: it is none, or out of range.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        argument = name.rpartition(", ")[2]
        cure = f"Write {argument}={max(least, 32 if argument == 'batch_size' else 1)}, for example."
        raise ArgumentError(name, expected=f"an integer {bounds}", got=repr(value), cure=cure)
