"""Sizes with names: what the symbolic dimensions of a shape turn out to be, and whether that can be found at all.

A dimension is an expression over names, such as `4*h + 1`. A name becomes known where it stands alone or is the only
unknown one of a linear expression; everything else is then computed and compared.
"""

import ast
import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jgraph.draw.specs import without_tokens
from jgraph.errors import ShapeError

OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Pow: operator.pow}
FUNCTIONS = {"mod": operator.mod, "floordiv": operator.floordiv, "max": max, "min": min}


def names_in(size: Any) -> frozenset[str]:
    """The names in a dimension.

    >>> sorted(names_in("4*h + floordiv(w, 2)"))
    ['h', 'w']
    """
    return frozenset(re.findall(r"[A-Za-z_]\w*", str(size))) - FUNCTIONS.keys()


def value_of(size: Any, known: Mapping[str, Any]) -> Any:
    """A dimension with its names replaced by what is known of them, numbers or other dimensions.

    >>> value_of("4*h + floordiv(w, 2)", {"h": 3, "w": 5})
    14
    """
    return size if isinstance(size, int) else _value(ast.parse(str(size).replace("^", "**"), mode="eval").body, known)


def _value(node: Any, known: Mapping[str, Any]) -> Any:
    """The value of a parsed dimension; its depth is that of what someone wrote into a shape."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return known[name]
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATIONS[type(op)](_value(left, known), _value(right, known))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, known)
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name](*(_value(a, known) for a in args))
    raise AssertionError(f"JAX prints no such dimension: {ast.dump(node)}")


def line(size: Any, name: str, known: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """Slope and offset of a dimension as a function of one name, the others being known; `None` if it is no line.

    >>> line("4*h + 1", "h", {}), line("h^2", "h", {})
    ((4, 1), None)
    """
    at = [value_of(size, {**known, name: n}) for n in (0, 1, 2, 5)] if _polynomial(size) else [0, 0, 0, 0]
    slope = at[1] - at[0]
    straight = at[2] - at[1] == slope and at[3] - at[0] == 5 * slope
    return (slope, at[0]) if straight and slope != 0 else None


def _polynomial(size: Any) -> bool:
    return not any(f"{function}(" in str(size) for function in FUNCTIONS)


def solve(pairs: Iterable[tuple[str, Any, Any]]) -> dict[str, Any]:
    """What each name is, given `(where, dimension, size)` for every axis; sizes are numbers or dimensions of a caller.

    Raises:
        ShapeError: an axis has another size than its dimension says; it and the dimension are named.
    """
    known: dict[str, Any] = {}
    left = list(pairs)
    while left:
        waiting = []
        for where, size, got in left:
            unknown = names_in(size) - known.keys()
            if not unknown:
                _check(where, size, got, known)
            elif len(unknown) == 1 and (straight := line(size, min(unknown), known)):
                slope, offset = straight
                known[min(unknown)] = (got - offset) // slope
                _check(where, size, got, known)
            else:
                waiting.append((where, size, got))
        if len(waiting) == len(left):
            break
        left = waiting
    return known


def _check(where: str, size: Any, got: Any, known: Mapping[str, Any]) -> None:
    value = value_of(size, known)
    least = min((v for n, v in known.items() if n in names_in(size) and isinstance(v, int)), default=1)
    if value == got and least >= 0:
        return
    names = ", ".join(f"{n} = {known[n]}" for n in sorted(names_in(size)))
    reason = f"as {size} is elsewhere in this call" if str(size).isidentifier() else f"for {size} with {names}"
    expected = f"size {value} ({reason})" if least >= 0 else f"a size that makes {size} of sizes of at least 0"
    told = without_tokens("\n".join((expected, f"size {got}" + f", which makes {names}" * (least < 0))))
    raise ShapeError(
        where,
        expected=told.split("\n")[0],
        got=told.split("\n")[1],
        cure="Axes of one name have one size: give what agrees, or name the axes apart.",
    )


def unsolvable(sizes: Iterable[Any]) -> Iterator[Any]:
    """The dimensions whose names cannot all be found from sizes like these."""
    left, known = [s for s in sizes if not isinstance(s, int)], {}
    while left:
        found = {n for s in left if len(u := names_in(s) - known.keys()) == 1 for n in u if line(s, n, known)}
        if not found:
            break
        known.update(dict.fromkeys(found, 7))
        left = [s for s in left if names_in(s) - known.keys()]
    yield from left
