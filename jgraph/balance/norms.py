"""Weights by the size of each loss's gradient."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import jax.numpy as jnp
import optax

from jgraph.balance.checks import check_number, make_optimizer
from jgraph.balance.each import EachGradient, Pulled, products
from jgraph.errors import ArgumentError, KeyMismatchError, listing, nearest
from jgraph.tree import divide, leaves_with_names
from jgraph.typing import Array, Key, PyTree

LEAST = 1e-6
"""A weight of 0 or below would turn its loss off for good, or around; the paper leaves this to its learning rate."""


@dataclasses.dataclass(frozen=True)
class GradNorm(EachGradient):
    """Weights learned so that all losses train at similar rates; they add up to the number of losses.

    With `G_i = |weight_i * gradient of loss_i|` over the shared params, their mean `G`, and `r_i` the loss as a share
    of its first value, by the mean of these shares, the weights go down `sum(|G_i - G * r_i**alpha|)`, in which
    `G * r_i**alpha` counts as a constant; then they are scaled to the sum n. Chen et al., "GradNorm: Gradient
    Normalization for Adaptive Loss Balancing in Deep Multitask Networks" (ICML 2018), equations 1 and 2, algorithm 1.
    The higher `alpha`, the more is done for a loss that falls slowly.

    `of` names the layers whose params are the shared ones, by path: the paper takes the last layer that all outputs
    have in common. Without it they are all that are trained. The weights are learned by an optimizer of their own,
    `optimizer` at `learning_rate`, which callbacks do not change; none falls below 1e-6. An output without weight in a
    batch keeps its weight, but for the scaling.

    Raises:
        ArgumentError: `alpha` is negative, `learning_rate` not above 0, or there is but one loss.
        KeyMismatchError: `of` names no layer with params that are trained.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> balance = jg.balance.GradNorm(alpha=0.0, learning_rate=0.1)
    >>> each = {"w": jnp.array([3.0])}, {"w": jnp.array([1.0])}  # the gradient of the first loss is too large
    >>> memory = balance.learned(balance.init(2), jnp.ones(2), jnp.ones(2, bool), each)
    >>> [round(float(weight), 3) for weight in balance.weights(memory, step=1)]
    [0.778, 1.222]
    """

    alpha: float = 1.5
    of: str | tuple[str, ...] | None = None
    optimizer: Any = optax.sgd
    learning_rate: float = 0.025

    def __post_init__(self) -> None:
        check_number(self, "alpha", 1.5, open_=False)
        check_number(self, "learning_rate", 0.025)
        make_optimizer(self)
        listed = isinstance(self.of, str | tuple | list) and all(isinstance(path, str) and path for path in self._paths)
        if self.of is not None and not (listed and self._paths):
            raise ArgumentError(
                "GradNorm, of",
                expected="the path of a layer, a tuple of such, or None for all",
                got=repr(self.of),
                cure="Write of='shared', for example.",
            )

    @property
    def _paths(self) -> tuple[str, ...]:
        return (self.of,) if isinstance(self.of, str) else tuple(self.of or ())

    def for_losses(self, kinds: Mapping[str, str], params: PyTree) -> Self:
        """The same, once its layers are known to be there."""
        layers = sorted({name.rpartition("/")[0] for name, _ in leaves_with_names(params)})
        for path in self._paths:
            if not any(f"{layer}/".startswith(f"{path}/") for layer in layers):
                raise KeyMismatchError(
                    "GradNorm, of",
                    expected=f"layers with params that are trained, among {listing(layers)}",
                    got=repr(path),
                    cure=nearest(path, layers) + "Name the last layer that all outputs share.",
                )
        return super().for_losses(kinds, params)

    def init(self, count: int) -> PyTree:
        """Weights, the first value of each loss, how many it has had, and the state of the weights' optimizer."""
        ones, zeros = jnp.ones(count, jnp.float32), jnp.zeros(count, jnp.float32)
        state = make_optimizer(self).init(ones)
        return {"weights": ones, "first": zeros, "seen": jnp.zeros(count, jnp.int32), "opt_state": state}

    def weights(self, memory: PyTree, step: Any) -> Array:
        """The learned weights."""
        del step
        return memory["weights"]

    def coefficients(self, memory: PyTree, step: Any, each: tuple[PyTree, ...], key: Key) -> Array:
        """The weights."""
        del step, each, key
        return memory["weights"]

    def update(self, memory: PyTree, losses: Array, counted: Array, pulled: Pulled) -> PyTree:
        """A step of the weights' optimizer."""
        return self.learned(memory, losses, counted, pulled.each)

    def learned(self, memory: PyTree, losses: Array, counted: Array, each: tuple[PyTree, ...]) -> PyTree:
        """The memory after a step, by the gradients of each loss."""
        before = memory["weights"]
        first = jnp.where(counted & (memory["seen"] == 0), losses, memory["first"])
        grads = jnp.where(counted, self.slopes(before, losses, first, counted, self.norms(each)), 0.0)
        updates, opt_state = make_optimizer(self).update(grads, memory["opt_state"], before)
        moved = jnp.maximum(jnp.where(counted, before + updates, before), LEAST)
        return {
            "weights": moved * len(moved) / jnp.sum(moved),
            "first": first,
            "seen": memory["seen"] + counted,
            "opt_state": opt_state,
        }

    def norms(self, each: tuple[PyTree, ...]) -> Array:
        """The norm of each loss's gradient over the shared params."""
        paths = [tuple(path.split("/")) for path in self._paths]
        shared = [divide(grads, paths)[1] if paths else grads for grads in each]
        return jnp.sqrt(jnp.stack([products(grads, grads) for grads in shared]))

    def slopes(self, weights: Array, losses: Array, first: Array, counted: Array, norms: Array) -> Array:
        """The gradient by the weights: `sign(G_i - G * r_i ** alpha) * |gradient of loss_i|`."""
        number = jnp.maximum(jnp.sum(counted), 1)

        def mean(values: Array) -> Array:
            return jnp.sum(jnp.where(counted, values, 0.0)) / number

        shares = jnp.where(first != 0, losses / jnp.where(first != 0, first, 1.0), 1.0)
        rates = shares / jnp.where(mean(shares) != 0, mean(shares), 1.0)
        wanted = mean(weights * norms) * jnp.maximum(rates, 0.0) ** self.alpha
        return jnp.sign(weights * norms - wanted) * norms
