"""Balances that look at the gradients of each loss by itself."""

import abc
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jgraph.balance.balance import Balance, See
from jgraph.typing import Array, Key, Params, PyTree


class Pulled(NamedTuple):
    """The gradients of each loss, and those of the penalty."""

    each: tuple[PyTree, ...]
    penalty: Params


class EachGradient(Balance):
    """A balance whose step takes the gradients of each loss: one pass forward, and one backward for each loss.

    They are put together as `sum(coefficient * gradient)`; those of the penalty are added as they are.
    """

    def pull(self, memory: PyTree, step: Any, see: See, trained: Params) -> tuple[Any, Pulled]:
        """Runs forward once, and backward from each loss and from the penalty."""
        del memory, step

        def losses_of(trained: Params) -> tuple[tuple[Array, ...], Any]:
            (losses, _), rest = see(trained)
            return tuple(losses), rest

        losses, back, rest = jax.vjp(losses_of, trained, has_aux=True)
        ones = [jnp.eye(len(losses), dtype=losses[0].dtype)[place] for place in range(len(losses))]
        each = tuple(back(tuple(one))[0] for one in ones)
        # Of its own: where nothing is penalised, which is the rule, XLA has nothing to compute.
        return rest, Pulled(each, jax.grad(lambda trained: see(trained)[0][1])(trained))

    def grads(self, memory: PyTree, step: Any, pulled: Pulled, key: Key) -> Params:
        """`sum(coefficient * gradient)` and the gradients of the penalty, in their dtypes."""
        coefficients = self.coefficients(memory, step, pulled.each, key)

        def mixed(penalty: Array, *each: Array) -> Array:
            terms = [c.astype(jnp.float32) * g for c, g in zip(coefficients, each, strict=True)]
            return sum(terms, penalty).astype(penalty.dtype)

        return jax.tree.map(mixed, pulled.penalty, *pulled.each)

    @abc.abstractmethod
    def coefficients(self, memory: PyTree, step: Any, each: tuple[PyTree, ...], key: Key) -> Array:
        """What the gradients of each loss are multiplied by."""


def products(first: PyTree, second: PyTree) -> Array:
    """The scalar product of two trees, in float32."""
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    terms = [jnp.sum(a.astype(jnp.float32) * b.astype(jnp.float32)) for a, b in pairs]
    return sum(terms, jnp.zeros((), jnp.float32))
