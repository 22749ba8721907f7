"""From what a user writes as `loss_weights` to a balance: numbers, schedules of the step, or a balance as it is."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jax.core import Tracer

from jgraph.balance.balance import Balance
from jgraph.balance.numbers import Numbers, Schedules
from jgraph.errors import ArgumentError
from jgraph.losses.loss import Loss
from jgraph.train.actions import number_of
from jgraph.typing import PyTree


def make_balance(given: Any, weights: Sequence[Any], losses: Mapping[str, Loss], params: PyTree) -> Balance:
    """The balance of these losses, by output, whose weights are known: what is given, if that is one.

    Raises:
        ArgumentError: there is but one loss to balance. KeyMismatchError: a balance names what is not there.
    """
    balance = (
        given if isinstance(given, Balance) else (Schedules if any(map(callable, weights)) else Numbers)(tuple(weights))
    )
    kinds = {name: "classification" if loss.link else "regression" for name, loss in losses.items()}
    return balance.for_losses(kinds, params)


def check_kind(given: Any) -> None:
    """Checks that a balance is made, and stands alone.

    Raises:
        ArgumentError: it is its class, or among others.
    """
    several = given.values() if isinstance(given, dict) else given if isinstance(given, list | tuple) else ()
    for value in (given, *several):
        if isinstance(value, type) or (isinstance(value, Balance) and value is not given):
            raise ArgumentError(
                "Trainer, loss_weights",
                expected="numbers and schedules by output, or one jg.balance for all",
                got=repr(value) + " for an output" * (value is not given),
                cure="Write loss_weights=jg.balance.DWA(), for example.",
            )


def weight_of(name: str, value: Any, loss: Loss | None) -> Any:
    """The weight of an output: a finite number, or a schedule that gives such.

    Raises:
        ArgumentError: it is neither, or the output has no loss.
    """
    if value is None:
        return 1.0
    first = _at_first(name, value) if callable(value) else value
    traced = is_traced(first)
    if loss is None or not (traced or math.isfinite(number_of(first))):
        gives = "" if first is value else f", which gives {first!r}"
        raise ArgumentError(
            f"Trainer, loss_weights of {name!r}",
            expected="a finite number, or a schedule from steps to such numbers, for an output with a loss",
            got=f"{value!r}{gives}{'' if loss else ' for an output without one'}",
            cure="Leave it out for a weight of 1.",
        )
    return value if traced or callable(value) else float(value)


def _at_first(name: str, schedule: Any) -> Any:
    """What a schedule gives for the first step."""
    try:
        return schedule(jnp.zeros((), jnp.int32))
    except TypeError as error:
        raise ArgumentError(
            f"Trainer, loss_weights of {name!r}",
            expected="a schedule, a function of the step alone",
            got=str(error),
            cure="Write lambda step: 0.99**step, or a schedule of optax.",
        ) from error


def is_traced(value: Any) -> bool:
    """Whether it is a number of a function that JAX differentiates or compiles, whose value cannot be looked at."""
    real = isinstance(value, Tracer) and jnp.isdtype(value.dtype, ("integral", "real floating"))
    return real and value.shape == ()
