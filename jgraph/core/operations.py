"""How many floating-point operations a traced program has, counted from its jaxpr, without compiling it."""

import collections
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from jgraph.ops.linear import linear_p


def names(text: str) -> frozenset[str]:
    """The words of a text, as a table of primitives."""
    return frozenset(text.split())


ELEMENTWISE = names(
    "abs acos acosh add add_any asin asinh atan atan2 atanh cbrt ceil clamp cos cosh digamma div eq erf erf_inv "
    "erfc exp exp2 expm1 floor ge gt igamma igammac integer_pow is_finite le lgamma log log1p logistic lt max min "
    "mul ne neg nextafter one_minus_square polygamma pow rem round rsqrt select_n sign sin sinh sqrt square sub tan "
    "tanh"
)
"""One operation for each element of the output."""

REDUCTIONS = names(
    "argmax argmin cumlogsumexp cummax cummin cumprod cumsum reduce_max reduce_min reduce_prod reduce_sum top_k"
)
"""One operation for each element of the input."""

REDUCERS = names("reduce reduce_window scatter scatter-add scatter-max scatter-min scatter-mul select_and_scatter")
"""They have a jaxpr of two numbers, which is no program of its own."""


@dataclasses.dataclass(frozen=True)
class Operations:
    """The operations of a program; `loops` counts loops of unknown length, whose bodies were counted once."""

    count: int
    loops: int = 0


def operations_of(program: ClosedJaxpr) -> Operations:
    """Counts the floating-point operations of a program: a multiplication with its addition is two.

    Products and convolutions are exact, without the taps that fall on padding; an elementwise function is one operation
    for each element, a reduction one for each element that goes in; moving data costs nothing, nor do integers. The
    body of a loop counts as often as it runs, where that is known. Of branches the dearest counts; of forms for
    different platforms the one that all others have.

    >>> import jax, jax.numpy as jnp
    >>> operations_of(jax.make_jaxpr(lambda x, w: jnp.tanh(x @ w))(jnp.ones((2, 3)), jnp.ones((3, 4)))).count
    56
    """
    count = loops = 0
    waiting = collections.deque([(program.jaxpr, 1)])
    while waiting:
        jaxpr, times = waiting.popleft()
        for equation in jaxpr.eqns:
            name = equation.primitive.name
            loops += name == "while"
            if name == "cond":
                waiting.append((_dearest(equation), times))
            elif inner := list(_inside(equation)):
                length = equation.params.get("length", 1) if name == "scan" else 1
                waiting += [(body, times * length) for body in inner]
            else:
                count += times * _of_one(equation)
    return Operations(count, loops)


def _dearest(equation: Any) -> Jaxpr:
    """The branch that counts: that of all platforms where they are forms of one thing, else the longest."""
    branches, platforms = equation.params["branches"], equation.params.get("branches_platforms")
    if platforms is not None and None in platforms:
        return branches[platforms.index(None)].jaxpr
    return max((branch.jaxpr for branch in branches), key=_size)


def _size(jaxpr: Jaxpr) -> int:
    """The elements that a branch makes, by which branches are compared: cheap, and the same in any process."""
    waiting, total = collections.deque([jaxpr]), 0
    while waiting:
        for equation in waiting.popleft().eqns:
            waiting += _inside(equation)
            total += _of_one(equation)
    return total


def _inside(equation: Any) -> Iterator[Jaxpr]:
    """The programs that an equation calls."""
    if equation.primitive is linear_p:
        yield linear_program(equation).jaxpr
    elif equation.primitive.name not in REDUCERS:
        for value in equation.params.values():
            for one in value if isinstance(value, tuple | list) else (value,):
                if isinstance(one, ClosedJaxpr | Jaxpr):
                    yield one.jaxpr if isinstance(one, ClosedJaxpr) else one


def linear_program(equation: Any) -> ClosedJaxpr:
    """What a `linear` of jgraph computes, as a program of its inputs."""
    forward, count = equation.params["forward"], equation.params["count"]
    specs = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in equation.invars]
    return jax.make_jaxpr(lambda *arrays: forward(arrays[:count], arrays[count:]))(*specs)


def _of_one(equation: Any) -> int:
    """The operations of one equation."""
    name, avals = equation.primitive.name, [v.aval for v in (*equation.invars, *equation.outvars)]
    if not any(jnp.issubdtype(getattr(aval, "dtype", int), jnp.inexact) for aval in avals):
        return 0
    if name in ELEMENTWISE:
        return sum(_elements(v) for v in equation.outvars)
    if name in REDUCTIONS:
        return _elements(equation.invars[0])
    counted = SPECIAL.get(name)
    return 0 if counted is None else counted(equation)


def _elements(variable: Any) -> int:
    return math.prod(variable.aval.shape)


def _product(equation: Any) -> int:
    (contracted, _), _ = equation.params["dimension_numbers"]
    return 2 * _elements(equation.outvars[0]) * math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)


def _convolution(equation: Any) -> int:
    """Two for each pair of an output and a tap of its window that falls on an input."""
    params, (x, kernel) = equation.params, (variable.aval.shape for variable in equation.invars)
    numbers, out = params["dimension_numbers"], equation.outvars[0].aval.shape
    pairs = 1
    for axis, (x_axis, kernel_axis, out_axis) in enumerate(
        zip(numbers.lhs_spec[2:], numbers.rhs_spec[2:], numbers.out_spec[2:], strict=True)
    ):
        starts = np.arange(out[out_axis])[:, None] * params["window_strides"][axis] - params["padding"][axis][0]
        taps = starts + np.arange(kernel[kernel_axis])[None] * params["rhs_dilation"][axis]
        hole = params["lhs_dilation"][axis]
        pairs *= int(((taps >= 0) & (taps < (x[x_axis] - 1) * hole + 1) & (taps % hole == 0)).sum())
    batch, features = out[numbers.out_spec[0]], out[numbers.out_spec[1]]
    return 2 * batch * features * kernel[numbers.rhs_spec[1]] * pairs


def _windows(equation: Any) -> int:
    """One for each element of each window, less the first."""
    return _elements(equation.outvars[0]) * (math.prod(equation.params["window_dimensions"]) - 1)


def _scattered(equation: Any) -> int:
    """One for each element that is added."""
    return _elements(equation.invars[2])


def _scattered_windows(equation: Any) -> int:
    """One for each element of each window, and one for each that is added."""
    return _elements(equation.invars[1]) * math.prod(equation.params["window_dimensions"])


def _sorted(equation: Any) -> int:
    count = _elements(equation.invars[0])
    length = equation.invars[0].aval.shape[equation.params["dimension"]]
    return count * max(math.ceil(math.log2(max(length, 1))), 0)


def _transformed(equation: Any) -> int:
    """`5 n log2 n`, as is the custom."""
    lengths = equation.params["fft_lengths"]
    count = max(_elements(equation.invars[0]), _elements(equation.outvars[0]))
    return math.ceil(5 * count * math.log2(max(math.prod(lengths), 1)))


def _solved(equation: Any) -> int:
    return _elements(equation.invars[1]) * equation.invars[0].aval.shape[-1]


def _factored(share: float) -> Callable[[Any], int]:
    """So many cubes of a matrix' side."""

    def count(equation: Any) -> int:
        *batch, rows, columns = equation.invars[0].aval.shape
        return math.ceil(share * math.prod(batch) * max(rows, columns) * min(rows, columns) ** 2)

    return count


SPECIAL: Mapping[str, Callable[[Any], int]] = {
    "dot_general": _product,
    "conv_general_dilated": _convolution,
    "reduce_window": _windows,
    "reduce_window_max": _windows,
    "reduce_window_min": _windows,
    "reduce_window_sum": _windows,
    "select_and_gather_add": _windows,
    "select_and_scatter_add": _scattered_windows,
    "scatter-add": _scattered,
    "scatter_add": _scattered,
    "scatter-mul": _scattered,
    "sort": _sorted,
    "fft": _transformed,
    "triangular_solve": _solved,
    "cholesky": _factored(1 / 3),
    "lu": _factored(2 / 3),
    "geqrf": _factored(4 / 3),
    "householder_product": _factored(4 / 3),
    "eigh": _factored(9),
    "svd": _factored(20),
}
"""Primitives with a rule of their own; factorisations by the leading terms of Golub and Van Loan."""
