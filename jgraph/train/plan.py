"""What a call of `fit` is asked for, and the checks of it that need no data."""

import dataclasses
import os
from typing import Any

import numpy as np

from jgraph.errors import ArgumentError
from jgraph.train.state import Run


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What a call of `fit` was asked for, checked."""

    epochs: int
    batch_size: int
    seed: int
    shuffle: bool
    steps_per_epoch: int | None
    progress: bool
    validation_split: float = 0.0


def check_plan(plan: Plan, train_state: Any, run: Any, resume: Any = None) -> None:
    """Checks the arguments of `fit` that need no data.

    Raises:
        ArgumentError: one has no meaning.
    """
    check_batch_size(plan.batch_size)
    _check_integer("epochs", plan.epochs, 0)
    check_seed("seed", plan.seed)
    if plan.steps_per_epoch is not None:
        _check_integer("steps_per_epoch", plan.steps_per_epoch, 1)
    for name in ("shuffle", "progress"):
        if not isinstance(value := getattr(plan, name), bool):
            raise ArgumentError(f"fit, {name}", expected="True or False", got=repr(value), cure=f"Write {name}=False.")
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


def check_batch_size(batch_size: Any) -> None:
    """Checks a batch size.

    Raises:
        ArgumentError: it is not a positive integer.
    """
    _check_integer("batch_size", batch_size, 1)


def check_seed(name: str, seed: Any) -> None:
    """Checks a seed.

    Raises:
        ArgumentError: it is not one of as many as JAX tells apart.
    """
    _check_integer(name, seed, 0, 2**32 - 1)


def check_steps(plan: Plan, rows: int) -> None:
    """Checks that an epoch has as many batches as it is asked for.

    Raises:
        ArgumentError: there are fewer.
    """
    steps = -(-rows // plan.batch_size)
    if plan.steps_per_epoch is not None and plan.steps_per_epoch > steps:
        raise ArgumentError(
            "fit, steps_per_epoch",
            expected=f"at most the {steps} batches that {rows} rows give",
            got=str(plan.steps_per_epoch),
            cure="Leave it out for all rows.",
        )


def _check_integer(name: str, value: Any, least: int, most: int | None = None) -> None:
    """Raises ArgumentError for what is no integer, or out of range."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        cure = f"Write {name}={max(least, 32 if name == 'batch_size' else 1)}, for example."
        raise ArgumentError(name, expected=f"an integer {bounds}", got=repr(value), cure=cure)
