"""Checks of what balances are given."""

import math
import numbers
from typing import Any

from jgraph.errors import ArgumentError


def check_number(balance: Any, argument: str, example: float, *, least: float = 0.0, open_: bool = True) -> None:
    """Checks that an argument is a finite number above `least`, or, where that is not `open_`, of at least that.

    Raises:
        ArgumentError: it is not.
    """
    value = getattr(balance, argument)
    real = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    if not real or value < least or (open_ and value == least):
        raise ArgumentError(
            f"{type(balance).__name__}, {argument}",
            expected=f"a finite number {'above' if open_ else 'of at least'} {least:g}",
            got=repr(value),
            cure=f"Write {argument}={example:g}, for example.",
        )


def make_optimizer(balance: Any) -> Any:
    """The optimizer of what a balance learns, from its factory and learning rate.

    Raises:
        ArgumentError: they do not make one.
    """
    factory, rate = balance.optimizer, balance.learning_rate
    try:
        made = factory(rate)
    except Exception as error:
        made = error
    if not (hasattr(made, "init") and hasattr(made, "update")):
        raise ArgumentError(
            f"{type(balance).__name__}, optimizer",
            expected="a factory of optax that takes a learning rate",
            got=repr(factory),
            cure="Write optimizer=optax.adam, learning_rate=0.01.",
        )
    return made
