"""Gradients that do not work against each other."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jgraph.balance.each import EachGradient, products
from jgraph.typing import Array, Key, PyTree


@dataclasses.dataclass(frozen=True)
class PCGrad(EachGradient):
    """Projects conflicting gradients: the step takes `sum(projected gradients)`, and minimises `sum(losses)`.

    The gradient of each loss meets those of the others, in an order drawn from the step's key; where their product is
    negative, its part along the other one is taken off: `g_i -= (g_i . g_j) / (g_j . g_j) * g_j`. Yu et al., "Gradient
    Surgery for Multi-Task Learning" (NeurIPS 2020), algorithm 1. All params that are trained count as one vector; the
    gradients of penalties are added as they are. It remembers nothing.

    All projected gradients are sums of the n given ones, so only the n x n matrix of their products is projected.

    >>> import jax, jax.numpy as jnp, jgraph as jg
    >>> each = jnp.array([1.0, 0.0]), jnp.array([-1.0, 1.0])
    >>> coefficients = jg.balance.PCGrad().coefficients((), 0, each, jax.random.key(0))
    >>> coefficients @ jnp.stack(each)
    Array([0.5, 1.5], dtype=float32)
    """

    moves: ClassVar[bool] = False

    def weights(self, memory: PyTree, step: Any) -> tuple[()]:
        """None: losses are added as they are."""
        del memory, step
        return ()

    def total(self, memory: PyTree, step: Any, losses: Sequence[Any], penalty: Any) -> Any:
        """The sum of the losses and the penalty."""
        del memory, step
        return sum(losses, penalty)

    def coefficients(self, memory: PyTree, step: Any, each: tuple[PyTree, ...], key: Key) -> Array:
        """How often each given gradient is in the sum of the projected ones."""
        del memory, step
        gram = jnp.stack([jnp.stack([products(a, b) for b in each]) for a in each])
        places = jnp.arange(len(each))

        def projected(place: Array, key: Key) -> Array:
            """A gradient after it has met the others, as a sum of the given ones."""

            def meet(own: Array, other: Array) -> tuple[Array, None]:
                product, square = own @ gram[other], gram[other, other]
                opposed = (other != place) & (product < 0) & (square > 0)
                return own.at[other].add(jnp.where(opposed, -product / jnp.where(square > 0, square, 1.0), 0.0)), None

            own = (places == place).astype(jnp.float32)
            return jax.lax.scan(meet, own, jax.random.permutation(key, places))[0]

        return jnp.sum(jax.vmap(projected)(places, jax.random.split(key, len(each))), axis=0)
