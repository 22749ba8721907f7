"""The compiled programs of a trainer, and the feeds that hand them batches, one dispatch at a time."""

import dataclasses
import functools
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.data.place import Place
from jgraph.data.prefetch import Prefetch
from jgraph.train.convolutions import convolves
from jgraph.train.counting import batched, looped, noting
from jgraph.train.mapped import Mapped
from jgraph.train.state import TrainState
from jgraph.train.step import Step, gather
from jgraph.train.watch import Distributions, look_into
from jgraph.typing import Array, PyTree

STEPS_PER_DISPATCH = 64
"""Enough to make the cost of a dispatch small; results do not depend on it."""

QUEUE = 2
"""Dispatches that may be under way before the host waits, so that progress and signals stay close to the device."""

QUICK, SLOW = 0.05, 0.2
"""Seconds of a dispatch: below the first it may hold more steps, above the second it should hold fewer."""


@dataclasses.dataclass(frozen=True, eq=False)
class Programs:
    """The jitted forms of a step: `train_state` is donated, so each call takes the place of the one before."""

    step: Step
    made: list[str] = dataclasses.field(default_factory=list)
    """What has been compiled so far, in words."""

    @functools.cached_property
    def many(self) -> Callable[..., tuple[TrainState, Array]]:
        """Several steps in a loop."""
        return noting(self.step.many, self.made, looped("train: a loop of steps", 3), (0,))

    @functools.cached_property
    def at(self) -> Callable[..., tuple[TrainState, Array]]:
        """One step on rows that lie on the device."""
        return noting(self.step.at, self.made, looped("train: a step", 3), (0,))

    @functools.cached_property
    def one(self) -> Callable[..., tuple[TrainState, Array]]:
        """One step on a batch from the host."""
        return noting(self.step.summed, self.made, batched("train: a batch", 2), (0,))

    @functools.cached_property
    def measured(self) -> Callable[..., Array]:
        """Evaluates a batch from the host."""
        return noting(self.step.measured, self.made, batched("evaluate: a batch", 3))

    @functools.cached_property
    def measured_at(self) -> Callable[..., Array]:
        """Evaluates a batch of rows that lie on the device."""
        return noting(self.step.measured_at, self.made, looped("evaluate: a step", 4))

    @functools.cached_property
    def measured_many(self) -> Callable[..., Array]:
        """Evaluates several batches in a loop."""
        return noting(self.step.measured_many, self.made, looped("evaluate: a loop of batches", 4))

    @functools.cached_property
    def watched(self) -> Callable[..., Distributions]:
        """What a watch wants to know of the step on a batch; nothing is donated, and nothing changes."""
        label = batched("watch: a batch", 3)
        function = functools.partial(look_into, self.step)
        return noting(function, self.made, label, static=(0,))

    @functools.cached_property
    def mapped(self) -> Mapped:
        """The forms for many members at once."""
        return Mapped(self.step, self.made)

    @functools.cached_property
    def logged(self) -> jax.stages.Wrapped:
        """One step by hand, which donates nothing."""
        return jax.jit(self.step.logged)


def loops(step: Step, train_state: TrainState, data: PyTree, platform: str | None = None) -> bool:
    """Whether steps run in one loop program: decided by graph and platform, never by timing.

    On XLA:CPU the weight gradient of a convolution as JAX writes it is 100 to 400 times slower inside a loop body than
    outside of it, so there a model with convolutions of other libraries takes its steps one by one; jgraph's own are
    written otherwise. The bits are those of the program that is chosen.
    """
    if (platform or jax.default_backend()) != "cpu":
        return True
    batch = jax.tree.map(lambda a: jax.ShapeDtypeStruct((2, *a.shape[1:]), a.dtype), data)
    state = train_state.params, train_state.model_state
    forward = functools.partial(step.objective.evaluate, train=False)
    return not convolves(lambda params, state, batch: forward(params, state, batch, None), *state, batch)


class Feed(Protocol):
    """The batches of one epoch. `steps` is their number, where it is known."""

    @property
    def steps(self) -> int | None:
        """The number of batches."""
        ...

    def next(self, start: int, count: int) -> tuple[Any, int]:
        """Up to `count` batches from `start` on, as `run` takes them, and how many they are (0 at the end)."""
        ...

    def run(self, carry: Any, work: Any) -> Any:
        """Folds them into the carry, whose train state is donated."""
        ...

    def batch(self, work: Any, offset: int = 0) -> tuple[Any, Any]:
        """A batch of what `next` gave, counted from 0, and 1.0 for its real rows (`None`: all are)."""
        ...

    def place(self, done: int) -> Place | None:
        """Where an iterable stands behind so many batches of the epoch, if it is known."""
        ...

    def settle(self, done: int) -> None:
        """Lets go of what only matters where fewer than so many batches turn out to be taken."""
        ...

    def close(self) -> None:
        """Ends the reading of batches that nobody will ask for."""
        ...


Several = Callable[[Any, PyTree, Array, Any, Any], Any]
"""From (carry, data, order, start, count) to the carry after so many steps."""


def one_by_one(at: Callable[[Any, PyTree, Array, Any], Any]) -> Several:
    """Several steps where each is a program of its own, which takes (carry, data, order, index).

    Nobody looks up between them, so a step costs little more than the call of its program.

    >>> steps = one_by_one(lambda total, data, order, index: total + data[order[index]])
    >>> steps(0, [1, 10, 100], [2, 0, 1], 1, 2)
    11
    """

    def several(carry: Any, data: PyTree, order: Array, start: Any, count: Any) -> Any:
        for index in range(start, start + count):
            carry = at(carry, data, order, np.int32(index))
        return carry

    return several


@dataclasses.dataclass(frozen=True, eq=False)
class DeviceFeed:
    """An epoch over rows that lie on the device; `order` [steps, batch_size] is cut into pieces of several steps.

    `one` takes (carry, data, rows). Axes of the order between its two are those of members who train as one. Where the
    last batch is not full and must not be filled up (`exact`), it is a dispatch of its own, at its own size.
    """

    several: Several
    one: Callable[[Any, PyTree, Array], Any]
    data: PyTree
    order: np.ndarray
    exact: bool

    @property
    def steps(self) -> int:
        """The number of batches."""
        return len(self.order)

    @functools.cached_property
    def _order(self) -> Array:
        return jnp.asarray(self.order)

    @functools.cached_property
    def _last(self) -> np.ndarray:
        """The rows of a last batch that must not be filled up, or none."""
        rows = self.order[-1]
        real = int((rows >= 0).sum(axis=-1).max())  # the same for all members, and before what fills up
        return rows[..., :real] if self.exact and real < rows.shape[-1] else rows[..., :0]

    @functools.cached_property
    def _whole(self) -> int:
        """The number of batches that are of one size."""
        return self.steps - bool(self._last.size)

    def next(self, start: int, count: int) -> tuple[Any, int]:
        """Where the next steps start, and how many they are."""
        count = min(count, self._whole - start)
        if count > 0:
            return (start, count), count
        return None, int(start < self.steps)

    def run(self, carry: Any, work: tuple[int, int] | None) -> Any:
        """Dispatches them."""
        if work is None:
            return self.one(carry, self.data, jnp.asarray(self._last))
        start, count = work
        return self.several(carry, self.data, self._order, np.int32(start), np.int32(count))

    def batch(self, work: tuple[int, int] | None, offset: int = 0) -> tuple[Any, Any]:
        """One of its batches, gathered from the data."""
        if work is None:
            return _gathered(self.data, jnp.asarray(self._last))[0], None
        return _gathered(self.data, jnp.asarray(self.order[work[0] + offset]))

    def place(self, done: int) -> Place | None:
        """None: rows are found by their number."""

    def settle(self, done: int) -> None:
        """Does nothing, as nothing is kept."""

    def close(self) -> None:
        """Does nothing, as nothing is read."""


_gathered = jax.jit(gather)


class Ready(NamedTuple):
    """A batch on the device, 1.0 for its real rows, and where the iterable stands behind it that gave it."""

    batch: PyTree
    real: np.ndarray
    place: Place | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class HostFeed:
    """An epoch over batches from the host, read ahead, one a dispatch: `one` takes (carry, batch, real).

    `places` are where an iterable stands behind its last batches; where it keeps no state, they hold some of these.
    """

    one: Callable[[Any, PyTree, np.ndarray], Any]
    batches: Prefetch[Ready]
    steps: int | None = None
    places: dict[int, Place] = dataclasses.field(default_factory=dict)

    def next(self, start: int, count: int) -> tuple[Any, int]:
        """The next batch, brought to the device."""
        del count
        work = next(self.batches, None)
        if work is not None and work.place is not None:
            if not work.place.has_state:  # batches take room
                self.settle(start)
            self.places[start + 1] = work.place
        return work, int(work is not None)

    def run(self, carry: Any, work: Ready) -> Any:
        """Dispatches it."""
        return self.one(carry, work.batch, work.real)

    def batch(self, work: Ready, offset: int = 0) -> tuple[Any, Any]:
        """The batch that was dispatched."""
        del offset
        return work.batch, work.real

    def place(self, done: int) -> Place | None:
        """Where an iterable stands behind so many batches of the epoch, if it is known."""
        return self.places.get(done)

    def settle(self, done: int) -> None:
        """Forgets the places before so many batches."""
        for number in [number for number in self.places if number < done]:
            del self.places[number]

    def close(self) -> None:
        """Ends the reading ahead."""
        self.batches.close()


class Pace:
    """Lets the device run a few pieces of work ahead of the host, and finds how many steps each should hold.

    The host waits for an array that is not donated. How many steps a piece holds never changes a result, be they one
    dispatch or several. What is found in one epoch is good for the next.
    """

    def __init__(self) -> None:
        self._waiting, self._last = deque[tuple[Any, bool]](), 0.0
        self.count = 1

    def begin(self) -> None:
        """Begins an epoch: the time until its first dispatch is not the device's."""
        self._waiting.clear()
        self._last = 0.0

    def follow(self, sums: Array, count: int) -> Array | None:
        """Notes a piece of `count` steps; the sums of the one that has just been waited for, if there is one."""
        self._waiting.append((sums, count == self.count))
        if len(self._waiting) <= QUEUE:
            return None
        sums, whole = self._waiting.popleft()
        sums.block_until_ready()
        now = time.perf_counter()
        if whole and self._last:
            seconds = now - self._last
            if seconds < QUICK:
                self.count = min(2 * self.count, STEPS_PER_DISPATCH)
            elif seconds > SLOW:
                self.count = max(self.count // 2, 1)
        self._last = now
        return sums


def one_at_a_time(feed: Feed) -> Iterator[tuple[Any, Any]]:
    """The batches of a feed, each with 1.0 for its real rows (`None`: all are)."""
    for done in itertools.count():
        work, count = feed.next(done, 1)
        if not count:
            return
        yield feed.batch(work)


def fold(feed: Feed, carry: Any, pace: Pace, going: Callable[[], bool] = lambda: True) -> tuple[Any, int]:
    """Folds all batches of a feed, as long as it is `going`: the last carry, and how many batches there were."""
    pace.begin()
    done = 0
    while going():
        work, count = feed.next(done, pace.count)
        if not count:
            break
        carry, done = feed.run(carry, work), done + count
        pace.follow(jax.tree.leaves(carry)[-1], count)
    return carry, done
