"""What the backward pass needs of a traced forward pass: the arrays that stay in memory, found from its jaxpr.

A gradient asks for many arrays, most of which a compiler computes again from a few others, as it fuses cheap
elementwise functions into whatever reads them. What stays are the roots: products, convolutions, reductions, dear
functions such as `exp`, random masks, and the inputs themselves.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from jgraph.core.operations import names

SAME = names("bitcast_convert_type broadcast_in_dim copy copy_p expand_dims reshape squeeze")
"""Another view of the same memory; what is broadcast is kept in its own size."""

CHEAP = names(
    "abs add add_any and ceil clamp concatenate convert_element_type dynamic_slice div eq floor ge gt integer_pow "
    "is_finite le lt max min mul ne neg not one_minus_square or pad real rem rev round select_n shift_left "
    "shift_right_arithmetic shift_right_logical sign slice split square sub transpose xor"
)
"""What a compiler computes again rather than keep."""

RANDOM = names("random_bits random_fold_in random_seed random_split random_unwrap random_wrap threefry2x32")
"""Random bits are not kept, but what is made of them is: a mask."""

CALLS = {
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "jit": "jaxpr",
    "pjit": "jaxpr",
}
"""Primitives that stand for the program in one of their parameters."""


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """An array of a program: its bytes, how it was made, and of what. `place` numbers the program's inputs."""

    bytes: int
    kind: str
    sources: tuple["Value", ...] = ()
    place: int | None = None


CONSTANT = Value(0, "constant")


def values_of(program: ClosedJaxpr) -> dict[Any, Value]:
    """The values of a program's variables, through all that it calls."""
    inputs = [Value(size_of(v.aval), "input", place=n) for n, v in enumerate(program.jaxpr.invars)]
    frame = _Frame(program.jaxpr, dict(zip(program.jaxpr.invars, inputs, strict=True)))
    outermost, frames = frame, [frame]
    while frames:
        frame = frames[-1]
        equation = next(frame.equations, None)
        if equation is None:
            frames.pop()
            if frames:
                frames[-1].close(frame)
        elif (body := _body(equation)) is not None:
            frame.waiting = equation
            given = [frame.value(atom) for atom in equation.invars]
            frames.append(_Frame(body, dict(zip(body.invars, given, strict=True))))
        else:
            frame.compute(equation)
    return outermost.values


def used(program: ClosedJaxpr) -> ClosedJaxpr:
    """The program without the equations that nothing it returns depends on."""
    asked, equations = set(_variables(program.jaxpr.outvars)), []
    for equation in reversed(program.jaxpr.eqns):
        if not asked.isdisjoint(equation.outvars) or equation.effects:
            asked |= set(_variables(equation.invars))
            equations.append(equation)
    return program.replace(jaxpr=program.jaxpr.replace(eqns=equations[::-1]))


def carried(program: ClosedJaxpr, cotangents: int) -> list[Any]:
    """The variables that a forward pass hands to the backward pass, in a program of both.

    The backward pass is what depends on the last so many inputs, the cotangents.
    """
    behind = set(program.jaxpr.invars[len(program.jaxpr.invars) - cotangents :])
    found: dict[Any, None] = {}
    for equation in program.jaxpr.eqns:
        read = _variables(equation.invars)
        if not behind.isdisjoint(read):
            found |= dict.fromkeys(v for v in read if v not in behind)
            behind |= set(equation.outvars)
    return list(found)


def _variables(atoms: Sequence[Any]) -> list[Any]:
    return [atom for atom in atoms if not isinstance(atom, Literal)]


def size_of(aval: Any) -> int:
    """The bytes of an array of this kind."""
    return math.prod(getattr(aval, "shape", ())) * getattr(getattr(aval, "dtype", None), "itemsize", 0)


def kept_of(asked: Sequence[Value]) -> list[Value]:
    """The values that stay in memory so that these can be had: their roots, each once."""
    kept: dict[int, Value] = {}
    for value in asked:
        roots = list(_roots(value))
        whole = [value] if any(root.kind == "random" for root in roots) else roots
        kept |= {id(root): root for root in whole if root.kind != "constant"}
    return list(kept.values())


def _roots(value: Value) -> Iterator[Value]:
    """What a value can be computed from cheaply; itself, where it was dear."""
    seen, waiting = set[int](), [value]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if one.kind == "cheap":
            waiting += one.sources
        else:
            yield one


class _Frame:
    """A program that is being read, with the values of its variables."""

    def __init__(self, jaxpr: Jaxpr, values: dict[Any, Value]) -> None:
        self.jaxpr, self.values, self.equations = jaxpr, values, iter(jaxpr.eqns)
        self.waiting: Any = None

    def value(self, atom: Any) -> Value:
        """The value of a variable; numbers and constants of the program are no memory of a step."""
        return CONSTANT if isinstance(atom, Literal) else self.values.get(atom, CONSTANT)

    def close(self, inner: "_Frame") -> None:
        """Takes what a called program gives back."""
        pairs = zip(self.waiting.outvars, inner.jaxpr.outvars, strict=True)
        self.values |= {outer: inner.value(atom) for outer, atom in pairs}

    def compute(self, equation: Any) -> None:
        """Notes what an equation makes."""
        name, sources = equation.primitive.name, tuple(self.value(atom) for atom in equation.invars)
        same = name in SAME or (name == "convert_element_type" and _keeps_dtype(equation))
        if same and sources:
            self.values |= dict.fromkeys(equation.outvars, sources[0])
            return
        random = name in RANDOM
        still = name == "iota" or (name in CHEAP and all(source.kind == "constant" for source in sources))
        kind = "random" if random else "constant" if still else "cheap" if name in CHEAP else "made"
        known = sources if kind == "cheap" else ()
        self.values |= {v: CONSTANT if still else Value(size_of(v.aval), kind, known) for v in equation.outvars}


def _body(equation: Any) -> Jaxpr | None:
    """The program that an equation stands for."""
    parameter = CALLS.get(equation.primitive.name)
    body = None if parameter is None else equation.params.get(parameter)
    return body.jaxpr if isinstance(body, ClosedJaxpr) else body


def _keeps_dtype(equation: Any) -> bool:
    return equation.invars[0].aval.dtype == equation.outvars[0].aval.dtype
