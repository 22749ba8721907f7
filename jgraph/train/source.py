"""Where batches come from: rows on the device or on the host, or an iterable of batches; and how they are measured."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jgraph.arrays import is_stored
from jgraph.data.fingerprint import batches_hash
from jgraph.data.place import OTHER, Place, keeps_state
from jgraph.data.prefetch import Prefetch
from jgraph.data.reading import copied, length_of, named, pass_end, place_behind, reading
from jgraph.data.rows import fill_up, order_of, take_rows
from jgraph.errors import ArgumentError, DataError, ResumeError
from jgraph.train.batches import Batch, Binding
from jgraph.train.class_weight import ClassWeights
from jgraph.train.objective import Objective
from jgraph.train.places import check_plain
from jgraph.train.plan import Plan
from jgraph.train.programs import (
    DeviceFeed,
    Feed,
    HostFeed,
    Pace,
    Programs,
    Ready,
    Several,
    fold,
    loops,
    one_by_one,
)
from jgraph.train.state import TrainState
from jgraph.train.step import gather
from jgraph.typing import Array, PyTree

ON_DEVICE_BYTES = 2**30
"""Data of at most this size lies on the device for the whole of training."""

SAME = "Let the data give the same batches whenever they are read from their start, or have get_state and set_state."


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Bound arrays and their number."""

    bound: PyTree
    count: int

    def small(self) -> bool:
        """Whether the rows are in memory, and small enough to lie on the device."""
        arrays = jax.tree.leaves(self.bound)
        return sum(a.size * a.dtype.itemsize for a in arrays) <= ON_DEVICE_BYTES and not any(map(is_stored, arrays))


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Where batches come from: rows, on the device or on the host, or an iterable of batches.

    Rows lie on the device where `on_device` says so, and, where it says nothing, if they are few and in memory. Batches
    from the host are read, checked and brought to the device in a thread, a few ahead of the step. Where there are
    weights by class, batches have them; `rows` are as they were given. Where runs are `saved`, the position of an
    iterable has to be one that a checkpoint can hold.
    """

    binding: Binding
    programs: Programs
    rows: Rows | None = None
    batches: Any = None
    where: str = "fit"
    on_device: bool | None = None
    resident: bool = False
    looping: bool = False
    class_weights: ClassWeights | None = None
    saved: bool = False

    def place(self, train_state: TrainState) -> "Source":
        """The source with small rows put on the device, once for all epochs, and its kind of program decided."""
        if self.rows is None or not self.on_device_wanted:
            return self
        bound = self.binding.layout.whole(self.binding.cast(self._weighed(self.rows.bound)))
        rows, looping = dataclasses.replace(self.rows, bound=bound), loops(self.programs.step, train_state, bound)
        return dataclasses.replace(self, rows=rows, resident=True, looping=looping)

    @property
    def on_device_wanted(self) -> bool:
        """Whether the rows are to lie on the device."""
        return self.rows is not None and (self.rows.small() if self.on_device is None else self.on_device)

    @property
    def size(self) -> tuple[int | None, int | None]:
        """The number of rows, or of the batches of an iterable that knows it."""
        return (None, length_of(self.batches)) if self.rows is None else (self.rows.count, None)

    def of(self, bound: PyTree) -> "Source":
        """The same source with a part of its rows."""
        return dataclasses.replace(self, rows=Rows(bound, len(jax.tree.leaves(bound)[0])))

    def check_repeatable(self, where: str) -> None:
        """Checks that reading the batches leaves them as they are.

        Raises:
            ArgumentError: they come from an iterator, or from what keeps its own position.
        """
        kind, used_up = type(self.batches).__name__, isinstance(self.batches, Iterator)
        if used_up or keeps_state(self.batches):
            got = f"an iterator ({kind}), which a range test would use up"
            raise ArgumentError(
                where,
                expected="data that can be read again",
                got=got if used_up else f"a {kind}, which a range test would bring to another place",
                cure="Give an object whose __iter__ starts anew.",
            )

    def epoch(
        self, plan: Plan, epoch: int, done: int, programs: Callable[[], Programs], place: Place | None = None
    ) -> Feed:
        """The batches of an epoch for training, of which some are done already; the carry is (train_state, sums).

        The order of rows is drawn from (seed, epoch). An iterable is read from a place with a state; without one, from
        its start, and the batches that are done are passed over. Each dispatch asks for the programs, which are others
        once params have been frozen.
        """
        order, steps = None, plan.steps_per_epoch
        if self.rows is not None:
            seed = plan.seed if plan.shuffle else None
            order = order_of(self.rows.count, plan.batch_size, seed=seed, epoch=epoch, drop_last=plan.drop_last)

        def several(carry: Any, *given: Any) -> Any:
            return programs().many(*carry, *given)

        def at(carry: Any, *given: Any) -> Any:
            return programs().at(*carry, *given)

        def one(carry: Any, *given: Any) -> Any:
            return programs().one(*carry, *given)

        some = several if self.looping else one_by_one(at)
        return self._feed(some, one, order, steps, lambda: self._read(steps, done, place), done)

    def whole(self, train_state: TrainState, batch_size: int, steps: int | None = None) -> Feed:
        """All batches in their order, or the first `steps`, for measuring; the carry is the sums."""
        order = None if self.rows is None else order_of(self.rows.count, batch_size)
        given, programs = (train_state.params, train_state.model_state), self.programs

        def several(sums: Any, *chosen: Any) -> Any:
            return programs.measured_many(*given, sums, *chosen)

        def at(sums: Any, *chosen: Any) -> Any:
            return programs.measured_at(*given, sums, *chosen)

        some = several if self.looping else one_by_one(at)

        def one(sums: Any, *batch: Any) -> Any:
            return programs.measured(*given, sums, *batch)

        return self._feed(some, one, order, steps, lambda: self._read(steps, told=False))

    def _feed(
        self,
        some: Several,
        one: Callable[..., Any],
        order: np.ndarray | None,
        steps: int | None,
        read: Callable[[], Iterator[Ready]],
        done: int = 0,
    ) -> Feed:
        order = None if order is None else order[:steps]
        if self.rows is not None and order is not None and self.resident:

            def last(carry: Any, data: PyTree, chosen: Array) -> Any:
                return one(carry, gather(data, chosen)[0])

            return DeviceFeed(some, last, self.rows.bound, order, self.binding.exact)
        known = len(order) if order is not None else self.size[1] if steps is None else steps
        if self.rows is not None and order is not None:
            bound, rest = self.rows.bound, order[done:]
            return HostFeed(one, Prefetch(lambda: self._taken(bound, rest)), known)
        return HostFeed(one, Prefetch(read), known)

    def _taken(self, bound: PyTree, order: np.ndarray) -> Iterator[Ready]:
        """Batches of rows, on the device."""
        for rows in order:
            yield self._ready(self._weighed(take_rows(bound, rows)), int((rows >= 0).sum()), len(rows))

    def _read(self, steps: int | None, done: int = 0, place: Place | None = None, told: bool = True) -> Iterator[Ready]:
        """The batches of an iterable that are still to be taken, on the device, each `told` with the place behind it.

        From a place with a state the reading goes on; else what is done is read again, and compared.
        """
        if place is not None and place.rows and not done:
            pass_end(self.batches, place, steps is not None, self.where)
            place = None
        known = place is not None and place.has_state
        first, size, begun = (done, place.rows, None) if place is not None and known else (0, 0, None)
        with reading(self.batches, place, self.where) as batches:
            rest = named(itertools.islice(batches, None if steps is None else steps - first), self.where, first)
            if done and not known:
                begun, size = self._read_again(itertools.islice(rest, done), done, place)
            for number, (where, batch) in enumerate(rest):
                bound, count = self.binding.bind(batch, where)
                self.binding.check_values(bound, where)
                if begun is None:
                    self.binding.layout.check_batch(f"{where}, batch_size", count)
                bound, size = copied(bound), max(size, count)
                begun = bound if begun is None else begun
                behind = place_behind(self.batches, batches, (begun, bound), size) if told else None
                if self.saved and behind is not None and not number:
                    check_plain(behind, where)
                yield self._ready(self._weighed(bound, where), count, size, behind)

    def _read_again(self, batches: Iterator[tuple[str, Any]], done: int, place: Place | None) -> tuple[PyTree, int]:
        """Reads the batches that are done: the first one, and the most rows of any.

        Raises:
            ResumeError: there are fewer, or the first and the last are not those that the run took.
        """
        number, size, begun, bound, where = 0, 0, None, None, self.where
        for where, batch in batches:
            number += 1
            bound, count = self.binding.bind(batch, where)
            begun, size = copied(bound) if begun is None else begun, max(size, count)
        alike = place is None or batches_hash((begun, copied(bound))) == place.value
        if number < done or not alike:
            raise ResumeError(
                where,
                expected=f"the {done} batches that the run took of this epoch",
                got=f"{number}, then the data ended" if number < done else "others",
                cure=f"{SAME} {OTHER}",
            )
        return begun, size

    def _ready(self, bound: Batch, count: int, size: int, place: Place | None = None) -> Ready:
        """A batch on the device.

        One that is smaller than others is filled up where that changes nothing, as it then needs no program of its own.
        """
        batch, real = fill_up(bound, count, count if self.binding.exact else size)
        return Ready(self.binding.layout.rows(self.binding.cast(batch)), real, place)

    def _weighed(self, bound: Batch, where: str | None = None) -> Batch:
        return bound if self.class_weights is None else self.class_weights(bound, where or self.where)

    def check_given(self, number: int, steps: int | None, again: bool = False) -> None:
        """Checks that an iterable gave as many batches as it should; `again` where it was read before.

        Raises:
            DataError: it ended early, or was empty.
        """
        if number == 0 or (steps is not None and number < steps):
            used_up = "Give an object whose __iter__ starts anew: an earlier epoch has used this one up."
            raise DataError(
                self.where,
                expected=f"{steps or 'at least 1'} batches an epoch",
                got=f"{number}, then the data ended",
                cure=used_up if again and not number else "Give more data, or ask for fewer steps.",
            )


def measure(
    source: Source,
    train_state: TrainState,
    batch_size: int,
    steps: int | None,
    pace: Pace,
    going: Callable[[], bool] = lambda: True,
) -> dict[str, float]:
    """Evaluates a source that has been placed, or its first `steps` batches: its logs, without the prefix `val_`."""
    objective = source.binding.objective
    with contextlib.closing(source.whole(train_state, batch_size, steps)) as feed:
        sums, number = fold(feed, source.binding.layout.whole(objective.init()), pace, going)
    if going():
        source.check_given(number, steps)
    return read_logs(objective, sums, objective.combined(train_state.balance, train_state.step))


def read_logs(
    objective: Objective, sums: Array, combined: Callable[[list[Any], Any], Any] | None = None
) -> dict[str, float]:
    """The sums, read once from the device, as logs; those of measuring need to be `combined`."""
    with np.errstate(invalid="ignore", divide="ignore"):  # an output without weight in an epoch has the log NaN
        return {name: float(value) for name, value in objective.logs(np.asarray(sums, np.float64), combined).items()}
