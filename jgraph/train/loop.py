"""The loop: epochs folded over a run, with validation, history and progress at the edges."""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jgraph.data.rows import fill_up, order_of, take_rows
from jgraph.draw.terminal import Progress
from jgraph.errors import DataError
from jgraph.train.batches import Batch, Binding
from jgraph.train.objective import Objective
from jgraph.train.plan import Plan
from jgraph.train.programs import STEPS_PER_DISPATCH, OnDevice, Programs, loops, run_epoch
from jgraph.train.state import Run, TrainState, rates
from jgraph.train.step import gather
from jgraph.typing import Array, PyTree

Carry = tuple[TrainState, Array]

ON_DEVICE_BYTES = 2**30
"""Data of at most this size lies on the device for the whole of training."""


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Bound arrays and their number."""

    bound: PyTree
    count: int

    def small(self) -> bool:
        """Whether the rows are small enough to lie on the device."""
        return sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(self.bound)) <= ON_DEVICE_BYTES


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Where batches come from: rows, on the device or on the host, or an iterable of batches."""

    binding: Binding
    programs: Programs
    rows: Rows | None = None
    batches: Any = None
    where: str = "fit"
    resident: bool = False
    looping: bool = False

    def place(self, train_state: TrainState) -> "Source":
        """The source with small rows put on the device, once for all epochs, and its kind of program decided."""
        if self.rows is None or not self.rows.small():
            return self
        bound = self.binding.cast(self.rows.bound)
        rows, looping = dataclasses.replace(self.rows, bound=bound), loops(self.programs.step, train_state, bound)
        return dataclasses.replace(self, rows=rows, resident=True, looping=looping)

    def of(self, bound: PyTree) -> "Source":
        """The same source with a part of its rows."""
        assert self.rows is not None, "only rows have parts"
        return dataclasses.replace(
            self, rows=dataclasses.replace(self.rows, bound=bound, count=len(jax.tree.leaves(bound)[0]))
        )

    def host_batches(self, order: np.ndarray | None, steps: int | None) -> Iterator[tuple[Batch, np.ndarray]]:
        """The batches of one epoch on the device, each with 1.0 for its real rows.

        A batch that is smaller than the first one is filled up where that changes nothing, as it then needs no program
        of its own.
        """
        size = 0
        for bound, count in self._bound_batches(order, steps):
            size = count if self.binding.exact else max(size, count)
            batch, real = fill_up(bound, count, size)
            yield self.binding.cast(batch), real

    def _bound_batches(self, order: np.ndarray | None, steps: int | None) -> Iterator[tuple[Batch, int]]:
        if self.rows is not None and order is not None:
            for rows in order[:steps]:
                yield take_rows(self.rows.bound, rows), int((rows >= 0).sum())
            return
        for number, batch in enumerate(itertools.islice(self.batches, steps)):
            where = f"{self.where}, batch {number}"
            bound, count = self.binding.bind(batch, where)
            self.binding.check_values(bound, where)
            yield bound, count


def train(run: Run, source: Source, held_out: Source | None, plan: Plan) -> Run:
    """Folds the epochs that are left over a run: each gives the next run, with its row of history."""
    objective = source.binding.objective
    source = source.place(run.train_state)
    how = f"up to {STEPS_PER_DISPATCH} steps per dispatch" if source.looping else "one step per dispatch"
    run = dataclasses.replace(run, events=(*run.events, f"epoch {run.position.epoch}: {how}"))
    with Progress(plan.epochs, plan.progress) as progress:
        for epoch in range(run.position.epoch, plan.epochs):
            begin = time.perf_counter()
            carry = run.train_state, objective.init()
            train_state, sums = _epoch(source, carry, plan, epoch, progress)
            logs = read_logs(objective, sums) | {name: float(rate) for name, rate in rates(train_state).items()}
            seconds = time.perf_counter() - begin
            if held_out is not None:
                measured = measure(held_out, train_state, plan.batch_size)
                logs |= {f"val_{name}": value for name, value in measured.items()}
            run = run.after_epoch(train_state, logs, {"epoch_seconds": seconds})
            progress.epoch(epoch, logs, time.perf_counter() - begin)
    return run


def read_logs(objective: Objective, sums: Array) -> dict[str, float]:
    """The sums, read once from the device, as logs."""
    with np.errstate(invalid="ignore", divide="ignore"):  # an output without weight in an epoch has the log NaN
        return {name: float(value) for name, value in objective.logs(np.asarray(sums, np.float64)).items()}


def _epoch(source: Source, carry: Carry, plan: Plan, epoch: int, progress: Progress) -> Carry:
    rows, programs = source.rows, source.programs
    order = None
    if rows is not None:
        order = order_of(rows.count, plan.batch_size, seed=plan.seed if plan.shuffle else None, epoch=epoch)
        order = order[: plan.steps_per_epoch]
    progress.start(epoch, plan.steps_per_epoch if order is None else len(order))
    if rows is None or order is None or not source.resident:
        return _on_host(source, carry, order, plan.steps_per_epoch, progress.step)

    def some(carry: Any, data: PyTree, order: Array, start: Any, count: Any) -> Any:
        return (
            programs.many(*carry, data, order, start, count)
            if source.looping
            else programs.at(*carry, data, order, start)
        )

    def one(carry: Any, data: PyTree, chosen: Array) -> Any:
        return programs.one(*carry, gather(data, chosen)[0])

    most = STEPS_PER_DISPATCH if source.looping else 1
    return run_epoch(one, some, OnDevice(rows.bound, order, source.binding.exact), carry, most, progress.step)


def _on_host(
    source: Source, carry: Carry, order: Any, steps: int | None, report: Callable[[int], None]
) -> tuple[TrainState, Array]:
    (train_state, sums), number = carry, 0
    waiting = sums
    for number, (batch, real) in enumerate(source.host_batches(order, steps), 1):
        jax.block_until_ready(waiting)  # one batch is made while another is computed
        waiting = sums
        train_state, sums = source.programs.one(train_state, sums, batch, real)
        report(number)
    check_given(source.where, number, steps)
    return train_state, sums


def check_given(where: str, number: int, steps: int | None) -> None:
    """Checks that an iterable gave as many batches as it should.

    Raises:
        DataError: it ended early, or was empty.
    """
    if number == 0 or (steps is not None and number < steps):
        raise DataError(
            where,
            expected=f"{steps or 'at least 1'} batches an epoch",
            got=f"{number}, then the data ended",
            cure="Give more data, or fewer steps_per_epoch.",
        )


def measure(source: Source, train_state: TrainState, batch_size: int) -> dict[str, float]:
    """Evaluates all data of a source that has been placed: its logs, without the prefix `val_`."""
    objective, programs, rows = source.binding.objective, source.programs, source.rows
    given, sums = (train_state.params, train_state.model_state), objective.init()
    order = None if rows is None else order_of(rows.count, batch_size)
    if rows is None or order is None or not source.resident:
        number = 0
        for batch, real in source.host_batches(order, None):
            sums, number = programs.measured(*given, sums, batch, real), number + 1
        check_given(source.where, number, None)
        return read_logs(objective, sums)

    def some(sums: Any, data: PyTree, order: Array, start: Any, count: Any) -> Any:
        if source.looping:
            return programs.measured_many(*given, sums, data, order, start, count)
        return programs.measured_at(*given, sums, data, order, start)

    def one(sums: Any, data: PyTree, chosen: Array) -> Any:
        return programs.measured(*given, sums, gather(data, chosen)[0])

    most = STEPS_PER_DISPATCH if source.looping else 1
    return read_logs(
        objective,
        run_epoch(one, some, OnDevice(rows.bound, order, source.binding.exact), sums, most, lambda done: None),
    )
