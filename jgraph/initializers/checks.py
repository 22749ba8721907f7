"""Checks of what initializers are given."""

import math
from typing import Any

from jgraph.errors import ArgumentError, ShapeError


def check_axes(where: str, shape: tuple[int, ...], expected: str, fits: bool) -> None:
    """Checks that an initializer can make an array of a shape.

    Raises:
        ShapeError: it cannot.
    """
    if not fits:
        raise ShapeError(
            f"the initializer {where}",
            expected=f"a shape with {expected}",
            got=str(shape),
            cure="Use it for kernels, and another one such as 'zeros' for vectors.",
        )


def check_finite(where: str, **arguments: Any) -> None:
    """Checks that each argument is a finite number.

    Raises:
        ArgumentError: it is not.
    """
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ArgumentError(
                f"{where}, {name}", expected="a finite number", got=repr(value), cure=f"Write {where}({name}=1.0)."
            )
