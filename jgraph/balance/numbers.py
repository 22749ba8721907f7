"""Weights that are given: numbers, or schedules of the step."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from jgraph.balance.balance import Balance
from jgraph.typing import Array, PyTree


@dataclasses.dataclass(frozen=True, eq=False)
class Numbers(Balance):
    """Weights that stay as they are, one for each loss.

    >>> float(Numbers((1.0, 0.5)).total((), 0, (2.0, 4.0), 0.25))
    4.25
    """

    numbers: tuple[Array | float, ...] = ()
    moves: ClassVar[bool] = False

    def for_losses(self, kinds: Mapping[str, str], params: PyTree) -> Self:
        """The same: one loss has a weight too."""
        del kinds, params
        return self

    def weights(self, memory: PyTree, step: Any) -> tuple[Array | float, ...]:
        """The numbers."""
        del memory, step
        return self.numbers


@dataclasses.dataclass(frozen=True, eq=False)
class Schedules(Balance):
    """Weights of which at least one is a schedule, a function of the step.

    >>> [float(w) for w in Schedules((1.0, lambda step: 0.5**step)).weights((), 2)]
    [1.0, 0.25]
    """

    schedules: tuple[Any, ...]

    def for_losses(self, kinds: Mapping[str, str], params: PyTree) -> Self:
        """The same: one loss has a weight too."""
        del kinds, params
        return self

    def weights(self, memory: PyTree, step: Any) -> tuple[Any, ...]:
        """The numbers of the step."""
        del memory
        return tuple(given(step) if callable(given) else given for given in self.schedules)
