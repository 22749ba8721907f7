"""Many members as one: the steps of a training loop under `vmap`, over stacked train states and shared data."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jgraph.train.counting import batched, looped, noting
from jgraph.train.state import TrainState
from jgraph.train.step import Step, gather
from jgraph.typing import Array, PyTree

Carry = tuple[TrainState, Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Mapped:
    """The jitted forms of a step for several members at once.

    Train states and sums are stacked, [members, ...]; data is shared, and lies on the device. While training each
    member has its own order: `order` is [steps, members, batch_size]. For measuring it is [steps, batch_size], the same
    for all. What is new in `made` has just been compiled. The stacked train states are donated, as by `Programs`.
    """

    step: Step
    made: list[str]

    # Training; the carry is (train states, sums)

    @functools.cached_property
    def many(self) -> Callable[..., Carry]:
        """`count` steps of all members, in a loop."""

        def many(states: TrainState, sums: Array, data: PyTree, order: Array, start: Array, count: Array) -> Carry:
            def body(i: Array, carry: Carry) -> Carry:
                return self._at(carry, data, order, start + i)

            return jax.lax.fori_loop(0, count, body, (states, sums))

        return noting(many, self.made, looped("train members: a loop of steps", 3), (0,))

    @functools.cached_property
    def at(self) -> Callable[..., Carry]:
        """One step of all members."""

        def at(states: TrainState, sums: Array, data: PyTree, order: Array, index: Array) -> Carry:
            return self._at((states, sums), data, order, index)

        return noting(at, self.made, looped("train members: a step", 3), (0,))

    @functools.cached_property
    def one(self) -> Callable[..., Carry]:
        """One step of all members on rows [members, n] that are all real."""

        def one(states: TrainState, sums: Array, data: PyTree, rows: Array) -> Carry:
            return jax.vmap(self.step.summed)(states, sums, _gathered(data, rows)[0])

        return noting(one, self.made, looped("train members: a batch", 3), (0,))

    def _at(self, carry: Carry, data: PyTree, order: Array, index: Array) -> Carry:
        rows = jax.lax.dynamic_index_in_dim(order, index, keepdims=False)
        return jax.vmap(self.step.summed)(*carry, *_gathered(data, rows))

    # Measuring; the carry is the sums

    @functools.cached_property
    def measured_many(self) -> Callable[..., Array]:
        """Evaluates all members on `count` batches, in a loop."""
        mapped = jax.vmap(self.step.measured_many, (0, 0, 0, None, None, None, None))
        return noting(mapped, self.made, looped("evaluate members: a loop of batches", 4))

    @functools.cached_property
    def measured_at(self) -> Callable[..., Array]:
        """Evaluates all members on one batch."""
        mapped = jax.vmap(self.step.measured_at, (0, 0, 0, None, None, None))
        return noting(mapped, self.made, looped("evaluate members: a step", 4))

    @functools.cached_property
    def measured(self) -> Callable[..., Array]:
        """Evaluates all members on a batch of rows that are all real."""
        mapped = jax.vmap(self.step.measured, (0, 0, 0, None))
        return noting(mapped, self.made, batched("evaluate members: a batch", 3))


def _gathered(data: PyTree, rows: Array) -> tuple[PyTree, Array]:
    """The rows [members, n] of the data, and 1.0 for those that are real."""
    return jax.vmap(gather, (None, 0))(data, rows)


@jax.jit
def stacked(members: Sequence[PyTree]) -> PyTree:
    """Trees of one form as one tree of arrays [members, ...], in buffers of their own.

    >>> stacked([{"a": jnp.zeros(1)}, {"a": jnp.ones(1)}])["a"].tolist()
    [[0.0], [1.0]]
    """
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


@jax.jit
def apart(tree: PyTree) -> list[PyTree]:
    """The trees that `stacked` made one of.

    >>> [float(one["a"]) for one in apart({"a": jnp.array([1.0, 2.0])})]
    [1.0, 2.0]
    """
    return [jax.tree.map(lambda leaf, n=n: leaf[n], tree) for n in range(len(jax.tree.leaves(tree)[0]))]
