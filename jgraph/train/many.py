"""Several runs that train as one: an ensemble or a sweep, whose members share the data and one compiled program.

On the device the members are stacked and mapped. On the host each has a session of its own, as in `fit`: its callbacks
see its logs alone, and what they ask for acts on it alone. So each member is an ordinary run.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.data.rows import order_of
from jgraph.draw.terminal import Line, Terminal
from jgraph.errors import ArgumentError, DataError
from jgraph.sharding.layout import Layout, Spread
from jgraph.train.batches import Binding
from jgraph.train.beginning import Begun, begin
from jgraph.train.callback import Callback
from jgraph.train.mapped import apart, stacked
from jgraph.train.members import Member, at_rate, callbacks_of
from jgraph.train.outlets import Outlets
from jgraph.train.plan import Plan
from jgraph.train.programs import DeviceFeed, Several, fold, one_by_one
from jgraph.train.session import Session
from jgraph.train.source import ON_DEVICE_BYTES, Source, read_logs
from jgraph.train.sources import sources_of
from jgraph.train.start import cast_of
from jgraph.train.state import Run, TrainState
from jgraph.train.step import gather
from jgraph.typing import Array, PyTree


def fit_members(
    trainer: Any,
    plan: Plan,
    data: tuple[Any, Any],
    members: Sequence[Member],
    callbacks: Sequence[Callback],
    defaults: Callable[..., list[Callback]],
    layout: Layout,
) -> list[Run]:
    """Trains members on data and validation data, each with callbacks of its own and those that are always there.

    Raises:
        ArgumentError: the trainer has a mesh. All errors of `fit_many`.
    """
    if isinstance(layout, Spread):
        raise ArgumentError(
            "fit_many",
            expected="a trainer without a mesh, as all members train in one program on one device",
            got=f"a mesh of {layout.mesh.size} devices",
            cure="Train each member by fit, or leave mesh= out.",
        )
    sources = functools.cache(
        functools.partial(sources_of, Binding(trainer.model, trainer.objective), plan, *data, None)
    )
    outlets = Outlets()

    def begun(member: Member) -> Begun:
        own = dataclasses.replace(plan, seed=member.seed, progress=False)
        start = at_rate(member, trainer.init(jax.random.key(member.seed)), trainer.step_function)
        chosen = callbacks_of(member, callbacks)
        cast = cast_of(chosen), cast_of([*chosen, *defaults(chosen, progress=False)])
        return begin(trainer, own, sources, *cast, start, None, None, outlets, member.number)

    return train_members(members, begun, plan.progress)


def train_members(members: Sequence[Member], begin: Callable[[Member], Begun], progress: bool) -> list[Run]:
    """Begins all members, and trains them until each has done its epochs or has stopped: their runs, in their order.

    They write to the same outlets, as saves go one after the other: Orbax needs it so.

    A signal stops all of them. An error carries the last good runs as `runs`.

    Raises:
        DataError: the data is no rows that lie on the device.
    """
    begun = [begin(member) for member in members]
    sessions, (_, source, held_out) = [session for session, _, _ in begun], begun[0]
    signals = sessions[0].signals
    for session in sessions:
        session.signals = signals
    try:
        with signals:
            try:
                state = sessions[0].run.train_state
                source = _placed(source, state)
                held_out = None if held_out is None else _placed(held_out, state)
                for session, member in zip(sessions, members, strict=True):
                    session.outlets.open(session.setting.sinks)
                    session.say(f"{member}, one of {len(members)} that train as one")
                _train(sessions, source, held_out, Terminal().open(None) if progress else None)
            except BaseException as error:
                _fail(sessions, error)
                raise
    finally:
        signals.again()
    return [session.current() for session in sessions]


def _placed(source: Source, train_state: TrainState) -> Source:
    """The data of a source on the device."""
    placed = source.place(train_state)
    if not placed.resident:
        got = "an iterable of batches" if source.rows is None else f"more than {ON_DEVICE_BYTES / 2**30:g} GiB"
        raise DataError(
            source.where.replace("fit", "fit_many", 1),
            expected="a tuple of arrays that lie on the device, as each member reads them in its own order",
            got=got,
            cure="Give arrays, or train the members one by one with fit.",
        )
    return placed


def _train(sessions: Sequence[Session], source: Source, held_out: Source | None, terminal: Any) -> None:
    """Trains all members to their ends."""
    for session in sessions:
        _fire(session, "on_train_begin")
    sessions[0].outlets.wait()
    while going := _going(sessions):
        epoch, begin = going[0].run.position.epoch, time.perf_counter()
        ended = train_epoch(sessions, going, source, held_out)
        if terminal is not None and ended:
            terminal.write(Line(_line(ended, epoch, time.perf_counter() - begin, len(sessions))))
    for session in sessions:
        _fire(session, "on_train_end")
    sessions[0].outlets.close()
    if terminal is not None:
        terminal.close()
    _going(sessions)


def _going(sessions: Sequence[Session]) -> list[Session]:
    """Those that have more to train; none where a signal has come."""
    for session in sessions:
        session.look()
    return [session for session in sessions if session.going()]


def train_epoch(
    sessions: Sequence[Session], going: Collection[Session], source: Source, held_out: Source | None
) -> list[Session]:
    """Trains an epoch of those that are going, which are all at the same one: those that have come to its end.

    The others take part, as the program is one for all, and what they compute is dropped: they are kept as they are.
    """
    begin = time.perf_counter()
    feed = _training(sessions, source, next(iter(going)).run.position.epoch)
    sessions[0].outlets.check()
    for session in going:
        session.steps = feed.steps
        _fire(session, "on_epoch_begin")
    if not (going := [session for session in going if session.going()]):
        return []
    carry, done = _fold(sessions, feed)
    for session, own in zip(sessions, apart(carry), strict=True):
        if session in going:
            session.take(own, done)
    if not any(session.going() for session in going):
        return []
    seconds = time.perf_counter() - begin
    logs = [{}] * len(sessions) if held_out is None else _measure(sessions, held_out, carry[0])
    ended = [(session, own) for session, own in zip(sessions, logs, strict=True) if session in going]
    ended = [(session, own) for session, own in ended if session in _going([session])]
    for session, own in ended:
        end_epoch(session, own, seconds, done)
    return [session for session, _ in ended]


def _fold(sessions: Sequence[Session], feed: DeviceFeed) -> tuple[tuple[TrainState, Array], int]:
    """Runs the steps of an epoch, or those until a signal comes: the stacked carry, and how many steps."""
    pace, signals = sessions[0].pace, sessions[0].signals
    carry, done = stacked([session.carry for session in sessions]), 0
    pace.begin()
    while True:
        work, count = feed.next(done, pace.count)
        if not count:
            break
        carry, done = feed.run(carry, work), done + count
        pace.follow(carry[1], count)
        if signals.caught is not None:
            break
    return carry, done


def _measure(sessions: Sequence[Session], held_out: Source, states: TrainState) -> list[dict[str, float]]:
    """The logs of all members on the data held out."""
    objective, signals = held_out.binding.objective, sessions[0].signals
    empty = jnp.broadcast_to(objective.init(), (len(sessions), *objective.init().shape))
    setting = sessions[0].setting
    feed = _measuring(setting.plan.batch_size, held_out, setting.step.judged(states))
    sums, _ = fold(feed, empty, sessions[0].pace, lambda: not signals.caught)
    logs = []
    for session, own in zip(sessions, np.asarray(sums), strict=True):
        state = session.carry[0]
        measured = read_logs(objective, own, objective.combined(state.balance, state.step))
        logs.append({f"val_{name}": value for name, value in measured.items()})
        session.say_compiled()
    return logs


def end_epoch(session: Session, measured: dict[str, float], seconds: float, steps: int) -> None:
    """Reads an epoch's logs of one member, and tells its callbacks."""
    step, run = session.setting.step, session.current()
    logs = read_logs(step.objective, np.asarray(session.carry[1])[0])
    logs |= {name: float(rate) for name, rate in step.state_log(run.train_state).items()} | measured
    timings = session.measured({"epoch_seconds": seconds, "steps_per_second": steps / seconds})
    ended = run.after_epoch(run.train_state, logs, timings)
    _fire(session, "on_epoch_end", run=ended, epoch=run.position.epoch, logs=logs, timings=timings)


def _fire(session: Session, hook: str, **facts: Any) -> None:
    """Calls a hook of the callbacks of one member; an error says whose."""
    try:
        session.fire(hook, **facts)
    except Exception as error:
        error.add_note(f"In member {session.setting.member}, of seed {session.setting.plan.seed}.")
        raise


def _fail(sessions: Sequence[Session], error: BaseException) -> None:
    """Gives an error the last good runs, as `runs`, and that of the first member as `run`."""
    runs = []
    for session in sessions:
        session.told(error)
        runs.append(error.__dict__["run"])
    sessions[0].closed(error)  # they write to the same outlets
    error.__dict__.update(run=runs[0], runs=runs)


def _line(ended: Sequence[Session], epoch: int, seconds: float, count: int) -> str:
    """One epoch's logs of all members for people: the smallest and the largest of each."""
    epochs, history = ended[0].setting.plan.epochs, [session.run.history for session in ended]
    start = f"epoch {epoch + 1:{len(str(epochs))}d}/{epochs}   {seconds:.1f} s   {len(ended)} of {count} members"
    ranges = {name: np.array([own[name][-1] for own in history if name in own]) for name in history[0]}
    return "   ".join([start, *(f"{name} {v.min():.4g} to {v.max():.4g}" for name, v in ranges.items())])


# The feeds: those of a source, with mapped programs


def _training(sessions: Sequence[Session], source: Source, epoch: int) -> DeviceFeed:
    """The batches of an epoch, each member's in its own order; the carry is (train states, sums)."""
    plan, programs = sessions[0].setting.plan, source.programs.mapped
    seeds = [session.setting.plan.seed if plan.shuffle else None for session in sessions]
    assert source.rows is not None, "it has been placed"
    orders = [order_of(source.rows.count, plan.batch_size, seed=seed, epoch=epoch) for seed in seeds]

    def several(carry: Any, *given: Any) -> Any:
        return programs.many(*carry, *given)

    def at(carry: Any, *given: Any) -> Any:
        return programs.at(*carry, *given)

    return _feed(
        source,
        several if source.looping else one_by_one(at),
        lambda carry, *chosen: programs.one(*carry, *chosen),
        np.stack(orders, 1)[: plan.steps_per_epoch],
    )


def _measuring(batch_size: int, source: Source, states: TrainState) -> DeviceFeed:
    """All batches of the data held out; the carry is the sums of all members."""
    given, programs = (states.params, states.model_state), source.programs.mapped
    assert source.rows is not None, "it has been placed"

    def several(sums: Any, *chosen: Any) -> Any:
        return programs.measured_many(*given, sums, *chosen)

    def at(sums: Any, *chosen: Any) -> Any:
        return programs.measured_at(*given, sums, *chosen)

    def one(sums: Any, data: PyTree, chosen: Array) -> Any:
        return programs.measured(*given, sums, gather(data, chosen)[0])

    return _feed(source, several if source.looping else one_by_one(at), one, order_of(source.rows.count, batch_size))


def _feed(source: Source, some: Several, one: Callable[..., Any], order: np.ndarray) -> DeviceFeed:
    assert source.rows is not None, "it has been placed"
    return DeviceFeed(some, one, source.rows.bound, order, source.binding.exact)
