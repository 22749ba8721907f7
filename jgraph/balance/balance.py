"""What a balance is: several losses become one number to minimise, by weights that may depend on what has been seen."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp

from jgraph.errors import ArgumentError
from jgraph.typing import Array, Key, Params, PyTree

See = Callable[[Params], tuple[tuple[Sequence[Array], Array], Any]]
"""What params give: the losses (one for each output that has one) and the penalty; and all else."""


class Balance(abc.ABC):
    """The losses of several outputs as one: `total = penalty + sum(weight * loss)`.

    A pair like all that remembers: `init` makes the memory, a plain pytree in the train state, and `update` takes it
    and gives the next one. The weights of a step are those of the memory before it. A class of one's own is a frozen
    dataclass with at least `weights`. `total` has to be linear in the losses, as they may come in parts.

    `moves` says that weights change while training. Then they are logged as `weight` of each output, `loss` is the mean
    over an epoch's steps of what each of them minimised, and `val_loss` is taken with the weights at that moment.

    >>> import dataclasses, jgraph as jg
    >>> @dataclasses.dataclass(frozen=True)
    ... class SecondFadesIn(jg.balance.Balance):
    ...     def weights(self, memory, step):
    ...         return 1.0, 1.0 - 0.99**step
    >>> float(SecondFadesIn().total((), 1, (2.0, 5.0), 0.5))
    2.55
    """

    moves: ClassVar[bool] = True

    def for_losses(self, kinds: Mapping[str, str], params: PyTree) -> Self:
        """The balance of these losses, by output: `"classification"` for cross-entropies, else `"regression"`.

        `params` are those that are trained, as a tree of specs.

        Raises:
            ArgumentError: there is but one loss. KeyMismatchError: the balance names something that is not there.
        """
        del params
        if len(kinds) < 2:
            raise ArgumentError(
                "Trainer, loss_weights",
                expected=f"at least two losses for {type(self).__name__} to balance",
                got=f"that of {next(iter(kinds))!r} alone",
                cure="Leave loss_weights out, or give a number or a schedule.",
            )
        return self

    def init(self, count: int) -> PyTree:
        """The memory before the first step, of so many losses; none by default."""
        del count
        return ()

    def begin(self, memory: PyTree, first: Any) -> PyTree:
        """The memory as a step begins; `first` says that it is the first one of an epoch of `fit`."""
        del first
        return memory

    @abc.abstractmethod
    def weights(self, memory: PyTree, step: Any) -> Sequence[Any] | Array:
        """What each loss is multiplied by in a step."""

    def total(self, memory: PyTree, step: Any, losses: Sequence[Any], penalty: Any) -> Any:
        """What is minimised."""
        for weight, loss in zip(self.weights(memory, step), losses, strict=True):
            penalty = penalty + weight * loss
        return penalty

    def update(self, memory: PyTree, losses: Array, counted: Array, pulled: Any) -> PyTree:
        """The memory after a step: `losses` [n], where `counted` [n] says which of them had any weight in the batch.

        `pulled` is what `pull` gave.
        """
        del losses, counted, pulled
        return memory

    def pull(self, memory: PyTree, step: Any, see: See, trained: Params) -> tuple[Any, Any]:
        """Runs forward and backward: all else that `see` gives, and what the gradients are made of, which adds up."""

        def total_of(trained: Params) -> tuple[Array, Any]:
            (losses, penalty), rest = see(trained)
            return self.total(memory, step, losses, penalty), rest

        (_, rest), grads = jax.value_and_grad(total_of, has_aux=True)(trained)
        return rest, grads

    def grads(self, memory: PyTree, step: Any, pulled: Any, key: Key) -> Params:
        """The gradients of the step, of what `pull` gave."""
        del memory, step, key
        return pulled


def stacked(weights: Sequence[Any] | Array) -> Array:
    """Weights as one vector of float32."""
    return jnp.stack([jnp.asarray(weight, jnp.float32) for weight in weights])
