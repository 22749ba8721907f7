"""Everything that `fit` finds out before training: data, callbacks, checkpoints and places fit each other."""

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jgraph.errors import ArgumentError
from jgraph.train.callback import Setup
from jgraph.train.learning_rate import inexact
from jgraph.train.outlets import Outlets
from jgraph.train.places import with_place
from jgraph.train.plan import Plan, check_batches, check_epochs
from jgraph.train.programs import Programs
from jgraph.train.record import check_sums
from jgraph.train.session import Session, Setting
from jgraph.train.source import Source
from jgraph.train.start import (
    Cast,
    about_run,
    check_cast,
    prepare_directories,
    reserve,
    resumed,
    sinks_of,
    with_memories,
)
from jgraph.train.state import Position, Run, TrainState, check_train_state, fresh_copy

Sources = Callable[[Programs], tuple[Source, Source | None, Any]]
"""From programs to the data for training and for validation, and the latter as users gave them."""

Begun = tuple[Session, Source, Source | None]
"""What training begins with: a session, the data, and the data held out."""

GUARDS = ("loss", "gradients", "update")
"""What a guard may watch, each with what stands before it."""


def begin(
    trainer: Any,
    plan: Plan,
    sources: Sources,
    given: Cast,
    everyone: Cast,
    train_state: TrainState | None,
    run: Run | None,
    resume: Any,
    outlets: Outlets,
    member: int | None = None,
) -> Begun:
    """A session that is ready to train, and its data; `everyone` are the callbacks `given` and those always there.

    Raises:
        All errors of `fit` that come before training; the `outlets` are closed then.
    """
    with contextlib.ExitStack() as failing:
        failing.callback(outlets.close)
        guard = max(filter(None, (callback.guards() for callback in everyone.values())), key=GUARDS.index, default=None)
        programs = trainer.compiled(guard, ())
        frozen = functools.partial(trainer.compiled, guard) if member is None else functools.partial(shared, programs)
        source, held_out, validation_data = sources(programs)
        check_cast(everyone, setup_of(trainer, plan, held_out is not None))
        about = functools.cache(
            lambda: about_run(trainer.model, programs.step, trainer.optimizer, plan, source, held_out, given)
        )
        if any(callback.directories() for callback in everyone.values()):
            source = dataclasses.replace(source, saved=True)
            about()
        held = reserve(everyone, outlets)
        found, said = (None, []) if resume is None else resumed(resume, trainer.template, given, about)
        if found is not None:
            check_epochs(plan, found)
            check_sums(found.sums, jax.eval_shape(programs.step.init))
        begun = _first(trainer, plan, source, train_state, found or run)
        if found is None:
            begun = dataclasses.replace(begun, stopped=None)
        if source.rows is not None:
            begun = dataclasses.replace(begun, place=None)
        elif begun.stopped is None and begun.position.epoch < plan.epochs:
            begun, replay = with_place(begun, source.batches, found is not None)
            said += [(logging.INFO, text) for text in replay]
        begun, new = with_memories(begun, everyone)
        said += held + prepare_directories(everyone, new, begun, resume, about)
        sinks = sinks_of(everyone, begun.memories, new, anew=resume is not None and found is None)
        setting = Setting(trainer, programs, frozen, plan, everyone, validation_data, sinks, about, member)
        session = Session(begun, setting, outlets)
        for level, text in said:
            session.say(text, level)
        failing.pop_all()
    return session, source, held_out


def _first(trainer: Any, plan: Plan, source: Source, train_state: TrainState | None, before: Run | None) -> Run:
    """The run that training begins with: the one before, or a new one of a train state, if there is one."""
    state = train_state if before is None else before.train_state
    if state is not None:
        check_train_state("fit", state, trainer.template)
    start = trainer.layout.kept(fresh_copy(state or trainer.init(jax.random.key(plan.seed))))
    batches = check_batches(plan, source.rows and source.rows.count, before)
    first = Run(start, position=Position(plan.initial_epoch), seed=plan.seed)
    return dataclasses.replace(before or first, train_state=start, batches=batches)


def shared(programs: Programs, frozen: tuple[str, ...]) -> Programs:
    """The programs that members of `fit_many` share.

    Raises:
        ArgumentError: one of them froze something.
    """
    if frozen:
        raise ArgumentError(
            "Freeze",
            expected="a run of its own, by fit",
            got="a member of fit_many, all of which are trained by one program",
            cure="Freeze before training: model.freeze(...).",
        )
    return programs


def setup_of(trainer: Any, plan: Plan, validates: bool) -> Setup:
    """What callbacks may know before training."""
    step, objective = trainer.step_function, trainer.objective
    known = objective.logs(np.ones(jax.eval_shape(objective.init).shape))
    measured = [*known, *jax.eval_shape(step.state_log, trainer.template)]
    return Setup(
        trainer=trainer,
        logs=(*measured, *(f"val_{name}" for name in known if validates)),
        step_logs=tuple(known),
        directions=objective.directions(),
        rate_known=step.rate is not None,
        inexact=None if step.rate is not None else inexact(step.optimizer),
        epochs=plan.epochs,
    )
