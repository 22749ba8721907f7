"""Programs that note when they are compiled: each label of a list is one program that JAX had to make anew."""

import functools
from collections.abc import Callable
from typing import Any

import jax

from jgraph.typing import Function, PyTree


def noting(
    function: Function,
    made: list[str],
    label: Callable[..., str],
    donate: tuple[int, ...] = (),
    static: tuple[int, ...] = (),
) -> Any:
    """A function under `jax.jit` that puts `label(*args)` in a list each time it is compiled.

    JAX runs a function's Python once for each program that it makes of it, and never when it calls one: so the list
    has what was compiled, and a call costs nothing.

    >>> import jax.numpy as jnp
    >>> made = []
    >>> double = noting(lambda x: 2 * x, made, lambda x: f"double {x.shape}")
    >>> for x in (jnp.ones(3), jnp.zeros(3), jnp.ones(4)):
    ...     _ = double(x)
    >>> made
    ['double (3,)', 'double (4,)']
    """

    @functools.wraps(function)
    def traced(*args: Any) -> Any:
        made.append(label(*args))
        return function(*args)

    return jax.jit(traced, donate_argnums=donate, static_argnums=static)


def looped(what: str, place: int) -> Callable[..., str]:
    """The label of a program over rows on the device, whose order [steps, ..., rows] is the argument at `place`."""
    return lambda *args: f"{what} of {_counted(args[place].shape[-1])}"


def batched(what: str, place: int, axis: int = 0) -> Callable[..., str]:
    """The label of a program for one batch, which is the argument at `place`."""
    return lambda *args: f"{what} of {_counted(_rows(args[place], axis))}"


def _rows(batch: PyTree, axis: int) -> int:
    return jax.tree.leaves(batch)[0].shape[axis]


def _counted(rows: int) -> str:
    return f"{rows} row{'' if rows == 1 else 's'}"
