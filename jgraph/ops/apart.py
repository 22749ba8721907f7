"""What XLA computes by itself, its results in memory of their own.

XLA:CPU fuses cheap operations into all that read them, and computes them anew in each: a gradient that four branches
read, and that is itself a chain of selections, is found four times. A barrier does not hinder it, as it is gone before
operations are fused; a call that must not be inlined does.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata

from jgraph.typing import Array


def apart(function: Callable[..., Any], *arrays: Array) -> Any:
    """`function(*arrays)`, of which nothing is fused with what makes the arrays, or with what reads the results.

    For CPUs: elsewhere fusing pays.

    >>> import jax, jax.numpy as jnp
    >>> program = jax.jit(lambda x: apart(jnp.sin, x) + 1).lower(jnp.ones(3)).compile().as_text()
    >>> " call(" in program
    True
    """
    with set_xla_metadata(inlineable="false"):
        return jax.jit(function)(*arrays)
