"""The compiled programs of a trainer, and how an epoch is cut into dispatches of them."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.train.state import TrainState
from jgraph.train.step import Step, convolves
from jgraph.typing import Array, PyTree

STEPS_PER_DISPATCH = 64
"""Enough to make the cost of a dispatch small; results do not depend on it."""

QUEUE = 2
"""Dispatches that may be under way before the host waits, so that progress and interrupts stay close to the device."""


@dataclasses.dataclass(frozen=True, eq=False)
class Programs:
    """The jitted forms of a step: `train_state` is donated, so each call takes the place of the one before."""

    step: Step

    @functools.cached_property
    def many(self) -> Callable[..., tuple[TrainState, Array]]:
        """Several steps in a loop."""
        return jax.jit(self.step.many, donate_argnums=0)

    @functools.cached_property
    def at(self) -> Callable[..., tuple[TrainState, Array]]:
        """One step on rows that lie on the device."""
        return jax.jit(self.step.at, donate_argnums=0)

    @functools.cached_property
    def one(self) -> Callable[..., tuple[TrainState, Array]]:
        """One step on a batch from the host."""
        return jax.jit(self.step.summed, donate_argnums=0)

    @functools.cached_property
    def measured(self) -> Callable[..., Array]:
        """Evaluates a batch from the host."""
        return jax.jit(self.step.measured)

    @functools.cached_property
    def measured_at(self) -> Callable[..., Array]:
        """Evaluates a batch of rows that lie on the device."""
        return jax.jit(self.step.measured_at)

    @functools.cached_property
    def measured_many(self) -> Callable[..., Array]:
        """Evaluates several batches in a loop."""
        return jax.jit(self.step.measured_many)

    @functools.cached_property
    def logged(self) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
        """One step by hand, which donates nothing."""
        return jax.jit(self.step.logged)


def loops(step: Step, train_state: TrainState, data: PyTree, platform: str | None = None) -> bool:
    """Whether steps run in one loop program: decided by graph and platform, never by timing.

    On XLA:CPU the weight gradient of a convolution is 100 to 400 times slower inside a loop body than outside of it,
    so there a model with convolutions takes its steps one by one. The bits are those of the program that is chosen.
    """
    if (platform or jax.default_backend()) != "cpu":
        return True
    batch = jax.tree.map(lambda a: jax.ShapeDtypeStruct((2, *a.shape[1:]), a.dtype), data)
    state = train_state.params, train_state.model_state
    forward = functools.partial(step.objective.evaluate, train=False)
    return not convolves(lambda params, state, batch: forward(params, state, batch, None), *state, batch)


@dataclasses.dataclass(frozen=True, eq=False)
class OnDevice:
    """An epoch over rows that lie on the device: `order` [steps, batch_size] on the device, cut into dispatches.

    Where the last batch is not full and the model mixes rows, it is a batch of its own (`last`), run at its own size.
    """

    data: PyTree
    order: np.ndarray
    exact: bool

    def dispatches(self, most: int) -> Iterator[tuple[int, int]]:
        """Start and count of each dispatch of full (or filled up) batches."""
        steps = len(self.order) - bool(self.last.size)
        for start in range(0, steps, most):
            yield start, min(most, steps - start)

    @property
    def last(self) -> np.ndarray:
        """The rows of a last batch that must not be filled up, or none."""
        rows = self.order[-1]
        return rows[rows >= 0] if self.exact and (rows < 0).any() else rows[:0]


def run_epoch(
    one: Callable[[Any, PyTree, Array], Any],
    some: Callable[[Any, PyTree, Array, Any, Any], Any],
    epoch: OnDevice,
    carry: Any,
    most: int,
    report: Callable[[int], None],
) -> Any:
    """Folds the dispatches of an epoch: `some` takes (carry, data, order, start, count), `one` (carry, data, rows).

    The host never reads a value; it waits for the dispatch before the last one, whose sums are not donated.
    """
    order, waiting = jnp.asarray(epoch.order), []
    for start, count in epoch.dispatches(most):
        carry = some(carry, epoch.data, order, np.int32(start), np.int32(count))
        waiting.append((start + count, jax.tree.leaves(carry)[-1]))
        if len(waiting) > QUEUE:
            done, sums = waiting.pop(0)
            jax.block_until_ready(sums)
            report(done)
    if epoch.last.size:
        carry = one(carry, epoch.data, jnp.asarray(epoch.last))
    jax.block_until_ready(jax.tree.leaves(carry)[-1])
    report(len(epoch.order))
    return carry
