"""Loss scaling: what keeps small gradients from vanishing in float16, as a value that the step composes."""

import dataclasses
import math
import numbers
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.errors import ArgumentError
from jgraph.typing import PyTree


@dataclasses.dataclass(frozen=True)
class Unscaled:
    """No scaling: every step is taken, and there is nothing to remember."""

    def init(self) -> PyTree:
        """No memory."""
        return ()

    def scale(self, memory: PyTree, losses: PyTree) -> PyTree:
        """The losses, before the gradient is taken."""
        del memory
        return losses

    def unscale(self, memory: PyTree, grads: PyTree) -> tuple[PyTree, Any]:
        """The gradients of the losses as they were, and whether all of them are finite."""
        del memory
        return grads, True

    def choose(self, finite: Any, take: Callable[[], Any], skip: Callable[[], Any]) -> Any:
        """What `take` gives where the gradients are finite, else what `skip` gives."""
        del finite, skip
        return take()

    def update(self, memory: PyTree, finite: Any) -> PyTree:
        """The memory after a step."""
        del finite
        return memory

    def forgives(self, memory: PyTree, finite: Any) -> Any:
        """Whether a step that is not finite is no fault of the run."""
        del memory, finite
        return False

    def logs(self, memory: PyTree) -> dict[str, Any]:
        """What the logs say of the memory."""
        del memory
        return {}


@dataclasses.dataclass(frozen=True)
class DynamicLossScale(Unscaled):
    """Multiplies losses by a scale before the gradient is taken, and divides the gradients by it.

    A step whose gradients are not finite is skipped: params, optimizer and all other memories stay, only the count of
    steps goes on; and the scale is divided by `factor`. After `period` good steps in a row it is multiplied by
    `factor`. So it stays just below what float16 can hold. As Keras' `LossScaleOptimizer` and `jmp.DynamicLossScale`.

    Below a scale of 1, where jmp stops too, nothing is to be gained: then a step that is not finite is what it is
    without scaling, and the guard of the run stops it.

    Raises:
        ArgumentError: a number is out of its range.

    >>> scaling = DynamicLossScale(initial=8.0)
    >>> memory = scaling.init()
    >>> float(scaling.scale(memory, jnp.float32(0.5)))
    4.0
    >>> grads, finite = scaling.unscale(memory, {"w": jnp.array([4.0, jnp.inf])})
    >>> memory = scaling.update(memory, finite)
    >>> float(memory["scale"]), int(memory["skipped"])
    (4.0, 1)
    """

    initial: float = 2.0**15
    period: int = 2000
    factor: float = 2.0

    def __post_init__(self) -> None:
        whole = isinstance(self.period, numbers.Integral) and not isinstance(self.period, bool)
        checks = {
            "initial": (_real(self.initial) and 1 <= self.initial < math.inf, "a finite number of at least 1"),
            "period": (whole and self.period >= 1, "a positive integer"),
            "factor": (_real(self.factor) and 1 < self.factor < math.inf, "a finite number above 1"),
        }
        for name, (right, expected) in checks.items():
            if not right:
                got, cure = repr(getattr(self, name)), "Leave it out for that of Keras."
                raise ArgumentError(f"DynamicLossScale, {name}", expected=expected, got=got, cure=cure)

    def init(self) -> PyTree:
        """The scale, the good steps since it last changed, and how many steps were skipped so far."""
        zero = jnp.zeros((), jnp.int32)
        return {"scale": jnp.asarray(self.initial, jnp.float32), "good_steps": zero, "skipped": zero}

    def scale(self, memory: PyTree, losses: PyTree) -> PyTree:
        """The losses times the scale."""
        return jax.tree.map(lambda loss: loss * memory["scale"].astype(loss.dtype), losses)

    def unscale(self, memory: PyTree, grads: PyTree) -> tuple[PyTree, Any]:
        """The gradients by the scale, and whether all of them are finite."""
        grads = jax.tree.map(lambda grad: (grad / memory["scale"]).astype(grad.dtype), grads)
        finite = [jnp.isfinite(grad).all() for grad in jax.tree.leaves(grads)]
        return grads, jnp.stack(finite).all() if finite else jnp.ones((), bool)

    def choose(self, finite: Any, take: Callable[[], Any], skip: Callable[[], Any]) -> Any:
        """What `take` gives where the gradients are finite, else what `skip` gives."""
        return jax.lax.cond(finite, take, skip)

    def update(self, memory: PyTree, finite: Any) -> PyTree:
        """The memory after a step."""
        scale, good = memory["scale"], memory["good_steps"] + 1
        grows = finite & (good >= self.period)
        raised = jnp.where(jnp.isfinite(scale * self.factor), scale * self.factor, scale)
        lowered = jnp.maximum(scale / self.factor, 1.0)
        return {
            "scale": jnp.where(finite, jnp.where(grows, raised, scale), lowered),
            "good_steps": jnp.where(finite & ~grows, good, 0),
            "skipped": memory["skipped"] + ~finite,
        }

    def forgives(self, memory: PyTree, finite: Any) -> Any:
        """True for a step that is skipped while the scale may still fall."""
        return ~finite & (memory["scale"] > 1)

    def logs(self, memory: PyTree) -> dict[str, Any]:
        """How many steps were skipped so far."""
        return {"skipped_steps": memory["skipped"]}


def _real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
