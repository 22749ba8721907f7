"""Weights by how fast each loss falls."""

import dataclasses
import numbers
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.balance.balance import Balance
from jgraph.balance.checks import check_number
from jgraph.errors import ArgumentError
from jgraph.typing import Array, PyTree


@dataclasses.dataclass(frozen=True)
class DWA(Balance):
    """Dynamic weight averaging: `weights = n * softmax(rates / temperature)`, for n losses.

    The rate of a loss is its mean over the last period by that over the one before, 1 in the first two periods; so what
    falls slowly counts for more, and a high temperature makes all weights alike. Liu, Johns and Davison, "End-to-End
    Multi-Task Learning with Attention" (CVPR 2019), equation 7.

    A period is an epoch of `fit`, as in the paper, or so many `steps`; steps by hand, which have no epochs, need these.
    The mean is over the steps in which an output had any weight; one that never had keeps the rate 1.

    Raises:
        ArgumentError: `temperature` is not above 0, `steps` is not a positive integer, or there is but one loss.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> balance, both = jg.balance.DWA(temperature=2.0, steps=1), jnp.ones(2, bool)
    >>> memory = balance.init(2)
    >>> for losses in ([4.0, 1.0], [2.0, 1.0]):  # the first one halves, the second one stays
    ...     memory = balance.begin(balance.update(memory, jnp.array(losses), both, None), False)
    >>> [round(float(weight), 3) for weight in balance.weights(memory, step=2)]
    [0.876, 1.124]
    """

    temperature: float = 2.0
    steps: int | None = None

    def __post_init__(self) -> None:
        check_number(self, "temperature", 2.0)
        whole = isinstance(self.steps, numbers.Integral) and not isinstance(self.steps, bool) and self.steps >= 1
        if self.steps is not None and not whole:
            raise ArgumentError(
                "DWA, steps",
                expected="a positive integer, or None for the epochs of fit",
                got=repr(self.steps),
                cure="Write steps=100, for example.",
            )

    def init(self, count: int) -> PyTree:
        """Sums and counts of this period, its steps, and the means of the last two (NaN where there is none)."""
        none = jnp.full(count, jnp.nan, jnp.float32)
        zeros = jnp.zeros(count, jnp.float32)
        return {"sums": zeros, "counts": zeros, "steps": jnp.zeros((), jnp.int32), "last": none, "before": none}

    def begin(self, memory: PyTree, first: Any) -> PyTree:
        """The memory of a new period, where the last one is over."""
        over = (first & (memory["steps"] > 0)) if self.steps is None else memory["steps"] >= self.steps
        means = memory["sums"] / memory["counts"]
        fresh = self.init(len(means)) | {"last": means, "before": memory["last"]}
        return jax.tree.map(lambda new, old: jnp.where(over, new, old), fresh, memory)

    def weights(self, memory: PyTree, step: Any) -> Array:
        """`n * softmax(rates / temperature)`."""
        del step
        last, before = memory["last"], memory["before"]
        known = jnp.isfinite(last) & jnp.isfinite(before) & (before != 0)
        rates = jnp.where(known, last / jnp.where(known, before, 1.0), 1.0)
        return len(rates) * jax.nn.softmax(rates / self.temperature)

    def update(self, memory: PyTree, losses: Array, counted: Array, pulled: Any) -> PyTree:
        """The memory with the losses of a step added."""
        del pulled
        return memory | {
            "sums": memory["sums"] + jnp.where(counted, losses, 0.0),
            "counts": memory["counts"] + counted,
            "steps": memory["steps"] + 1,
        }
