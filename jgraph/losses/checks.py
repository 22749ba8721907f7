"""Checks of losses' arguments, with one wording for all losses."""

import functools
import math
from typing import Any

from jax.core import Tracer

from jgraph.errors import ArgumentError


def check_between(
    where: str, least: float, most: float = math.inf, *, open_ends: bool = False, **arguments: Any
) -> None:
    """Checks that each argument is a finite number from `least` to `most`, with `open_ends` between the two.

    A number that JAX traces is taken as it is.

    Raises:
        ArgumentError: it is not.
    """
    for name, value in arguments.items():
        if isinstance(value, Tracer):
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not least <= value <= most or (open_ends and value in (least, most)):
            ends = f"above {least:g}" if open_ends else f"of at least {least:g}"
            if most < math.inf:
                ends = f"between {least:g} and {most:g}" + ", both excluded" * open_ends
            if least == -math.inf:
                ends = "that is finite"
            raise ArgumentError(
                f"{where}, {name}",
                expected=f"a number {ends}",
                got=repr(value),
                cure=f"Leave {name} out for the usual one.",
            )


def check_places(where: str, of: Any) -> tuple | None:
    """Names of outputs and paths of nodes, as a tuple.

    Raises:
        ArgumentError: they are none.
    """
    if of is None:
        return None
    listed = isinstance(of, list | tuple) and len(of) > 0
    for place in of if listed else [of]:
        called = isinstance(place, tuple) and len(place) == 2 and isinstance(place[0], str) and type(place[1]) is int
        if not listed or not (isinstance(place, str) or called):
            raise ArgumentError(
                where,
                expected="a list of names of outputs and paths of nodes, or None",
                got=repr(of),
                cure="Write of=['output', 'tower/dense'], or ('tower/dense', 1) for the second call.",
            )
    return tuple(of)


def check_axes(where: str, axis: Any, *, several: bool) -> None:
    """Checks that axes are integers, and none of them the batch axis.

    Raises:
        ArgumentError: one is not.
    """
    axes = axis if several and isinstance(axis, list | tuple) else (axis,)
    if not axes or any(type(a) is not int or a == 0 for a in axes):
        raise ArgumentError(
            f"{where}, axis",
            expected="an axis" + ", or a list of axes," * several + " behind the batch axis",
            got=repr(axis),
            cure="Axis 0 is the batch axis: each example has a value of its own.",
        )


def home_of(value: Any) -> str:
    """The package that a function, its partial application, an object or a class is of."""
    while isinstance(value, functools.partial):
        value = value.func
    module = getattr(value, "__module__", None) or type(value).__module__
    return str(module).split(".")[0]
