"""The loop: epochs folded over a run, with validation and callbacks at the edges."""

import contextlib
import functools
import time

import numpy as np

from jgraph.data.place import Place
from jgraph.train.actions import FindLearningRate
from jgraph.train.caching import caching
from jgraph.train.programs import STEPS_PER_DISPATCH
from jgraph.train.rate_search import RateSearch, endless, rates_between, searched
from jgraph.train.session import Session
from jgraph.train.source import Source, measure, read_logs
from jgraph.train.state import Run, TrainState, fresh_copy


def train(session: Session, source: Source, held_out: Source | None) -> Run:
    """Trains until all epochs are done, a callback stops it, or a signal comes.

    Whatever ends it, what was being written is finished; an error that comes carries the last good run as `run`.
    """
    try:
        with session.signals:
            try:
                with caching(session.setting.trainer.compilation_cache):
                    _train(session, source, held_out)
            except BaseException as error:
                session.fail(error)
                raise
    finally:
        session.signals.again()
    return session.current().left()


def _train(session: Session, source: Source, held_out: Source | None) -> None:
    """Opens what is written to, trains epoch after epoch, and closes it."""
    session.outlets.open(session.setting.sinks)
    source = source.place(session.run.train_state)
    held_out = None if held_out is None else held_out.place(session.run.train_state)
    how = f"up to {STEPS_PER_DISPATCH} steps per dispatch" if source.looping else "one step per dispatch"
    session.say(f"epoch {session.run.position.epoch + 1}: {how}")
    if held_out is not None:
        session.measuring = functools.partial(validated, session, held_out, whole=True)
    session.searching = functools.partial(search, session, source)
    session.fire("on_train_begin")
    session.outlets.wait()
    place = session.run.place
    while _goes_on(session):
        train_epoch(session, source, held_out, place)
        place = None  # from here on the data stand where they are
    session.fire("on_train_end")
    session.outlets.close()
    session.look()


def search(session: Session, source: Source, run: Run, asked: FindLearningRate) -> RateSearch:
    """A range test on a copy of a run's train state, over the batches that training begins with."""
    source.check_repeatable("FindLearningRate")
    batches = endless(source, session.setting.plan, run.position.epoch)
    rates = rates_between(asked.least, asked.most, asked.steps)
    found = searched(session.setting.programs, fresh_copy(run.train_state), batches, rates)
    if asked.plot is not None:
        found.plot(asked.plot)
    return found


def _goes_on(session: Session) -> bool:
    session.look()
    return session.going()


def train_epoch(session: Session, source: Source, held_out: Source | None, place: Place | None) -> None:
    """Trains what is left of an epoch; where something stops it, the run stays in the midst of it.

    An iterable is read from the place, if there is one.
    """
    plan, epoch, before = session.setting.plan, session.run.position.epoch, session.done
    begin, session.evaluating = time.perf_counter(), 0.0
    with contextlib.closing(source.epoch(plan, epoch, before, lambda: session.setting.programs, place)) as feed:
        session.steps = feed.steps
        if before == 0:
            session.fire("on_epoch_begin")
        session.pace.begin()
        while session.going() and session.dispatch(feed):
            session.say_compiled()
        session.check_guard(session.carry[1])
    if session.going():
        source.check_given(session.done, plan.steps_per_epoch, again=epoch > 0)
    if session.going():
        end_epoch(session, held_out, begin, session.done - before)


def end_epoch(session: Session, held_out: Source | None, begin: float, steps: int) -> None:
    """Reads the epoch's logs, validates, and tells the callbacks."""
    step, plan, run = session.setting.step, session.setting.plan, session.current()
    sums = np.asarray(session.carry[1])
    logs = read_logs(step.objective, sums[0])
    own = tuple(f"val_{name}" for name in logs)
    logs |= {name: float(value) for name, value in step.state_log(run.train_state).items()}
    seconds = time.perf_counter() - begin - session.evaluating
    timings = session.measured({"epoch_seconds": seconds, "steps_per_second": steps / seconds})
    due = held_out is not None and (run.position.epoch + 1) % plan.validation.every == 0
    if held_out is not None and due:
        logs |= validated(session, held_out, run.train_state)
        session.look()
        if not session.going():  # a signal came: the epoch ends, validated anew, when the run goes on
            return
    ended = session.current().after_epoch(run.train_state, logs, timings)
    skipped = () if held_out is None or due else own
    session.fire("on_epoch_end", run=ended, epoch=run.position.epoch, logs=logs, timings=timings, skipped=skipped)


def validated(session: Session, held_out: Source, train_state: TrainState, whole: bool = False) -> dict[str, float]:
    """The logs of the validation data, with `val_` in front; of a part, unless `whole`, where a signal comes."""
    setting, pace = session.setting, session.pace
    plan, judged = setting.plan, setting.step.judged(train_state)
    size, steps = plan.validation.batch_size or plan.batch_size, plan.validation.steps
    measured = measure(held_out, judged, size, steps, pace, lambda: whole or not session.signals.caught)
    pace.begin()
    session.say_compiled()
    return {f"val_{name}": value for name, value in measured.items()}
