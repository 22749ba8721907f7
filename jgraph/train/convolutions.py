"""Whether a program has convolutions whose gradient XLA:CPU computes 100 to 400 times slower in a loop.

Those of `jgraph.ops` are not among them; those of other libraries, and of `jax.lax`, are.
"""

from typing import Any

import jax

from jgraph.ops.convolve import PROGRAM


def convolves(function: Any, *args: Any) -> bool:
    """True where a function's program has a convolution that is not jgraph's, found by tracing it."""
    stack, seen = [jax.make_jaxpr(function)(*args).jaxpr], set()
    while stack:
        jaxpr = stack.pop()
        if id(jaxpr) in seen:
            continue
        seen.add(id(jaxpr))
        for equation in jaxpr.eqns:
            if equation.primitive.name == "conv_general_dilated":
                return True
            if equation.params.get("name") == PROGRAM:
                continue
            for value in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
                stack += [getattr(value, "jaxpr", value)] if _is_jaxpr(value) else []
    return False


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(getattr(value, "jaxpr", None), "eqns")
