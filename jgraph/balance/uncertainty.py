"""Weights learned as the uncertainty of each output."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

import jax.numpy as jnp
import optax

from jgraph.balance.balance import Balance
from jgraph.balance.checks import check_number, make_optimizer
from jgraph.errors import ArgumentError, KeyMismatchError, check_one_of, listing, nearest
from jgraph.typing import Array, PyTree

SCALES = {"regression": 0.5, "classification": 1.0}
"""What the precision `exp(-s)` of a loss is multiplied by, by the form of its likelihood."""


@dataclasses.dataclass(frozen=True)
class Uncertainty(Balance):
    """Weights by learned uncertainty: `total = sum(scale * exp(-s) * loss + s / 2)`, `s = log(variance)` of an output.

    `scale` is 1/2 for a regression (a Gaussian likelihood) and 1 for a classification (a softmax with a temperature):
    equations 7 and 10 of Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses" (CVPR 2018).
    An output trained by a cross-entropy is a classification and any other one a regression, unless `forms` says
    otherwise, by output name. Losses that stay as they are have their optimum at a variance of `2 * scale * loss`.

    The log variances are float32, start at `initial` and are learned by an optimizer of their own, `optimizer` at
    `learning_rate`, which callbacks do not change. An output without weight in a batch keeps its own. `loss` may fall
    below 0.

    Raises:
        ArgumentError: `learning_rate` is not above 0, a form is not one, or there is but one loss.
        KeyMismatchError: `forms` names no output with a loss.

    >>> import jgraph as jg
    >>> balance = jg.balance.Uncertainty(learning_rate=0.1).for_losses({"a": "regression", "b": "classification"}, {})
    >>> [float(weight) for weight in balance.weights(balance.init(2), step=0)]
    [0.5, 1.0]
    """

    forms: Mapping[str, str] | None = None
    initial: float = 0.0
    optimizer: Any = optax.adam
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        check_number(self, "learning_rate", 1e-2)
        check_number(self, "initial", 0.0, least=-float("inf"))
        make_optimizer(self)
        if self.forms is not None and not isinstance(self.forms, Mapping):
            raise ArgumentError(
                "Uncertainty, forms",
                expected="a dict by names of outputs, or None",
                got=repr(self.forms),
                cure="Write forms={'age': 'regression'}.",
            )
        for name, form in (self.forms or {}).items():
            check_one_of("Uncertainty", f"forms[{name!r}]", form, SCALES, "Leave it out for that of the loss.")

    def for_losses(self, kinds: Mapping[str, str], params: PyTree) -> Self:
        """The balance with a form for each loss."""
        super().for_losses(kinds, params)
        given = dict(self.forms or {})
        if extra := [name for name in given if name not in kinds]:
            raise KeyMismatchError(
                "Uncertainty, forms",
                expected=f"keys among the outputs with a loss, {listing(kinds)}",
                got=listing(extra),
                cure=nearest(extra[0], kinds) + "Use the names of the model's outputs.",
            )
        return dataclasses.replace(self, forms={**kinds, **given})

    def init(self, count: int) -> PyTree:
        """Log variances, and the state of their optimizer."""
        start = jnp.full(count, self.initial, jnp.float32)
        return {"log_variance": start, "opt_state": make_optimizer(self).init(start)}

    def weights(self, memory: PyTree, step: Any) -> Array:
        """`scale * exp(-s)`."""
        del step
        scales = jnp.asarray([SCALES[form] for form in (self.forms or {}).values()], jnp.float32)
        return scales * jnp.exp(-memory["log_variance"])

    def total(self, memory: PyTree, step: Any, losses: Sequence[Any], penalty: Any) -> Any:
        """What is minimised, by the params and by the log variances."""
        return super().total(memory, step, losses, penalty) + jnp.sum(memory["log_variance"]) / 2

    def update(self, memory: PyTree, losses: Array, counted: Array, pulled: Any) -> PyTree:
        """A step of the optimizer, by the gradient `1/2 - scale * exp(-s) * loss`."""
        del pulled
        before = memory["log_variance"]
        grads = jnp.where(counted, 0.5 - self.weights(memory, None) * losses, 0.0)
        updates, opt_state = make_optimizer(self).update(grads, memory["opt_state"], before)
        after = jnp.where(counted, before + updates, before)
        return {"log_variance": after, "opt_state": opt_state}
