"""Binding what a caller gives to the inputs that were drawn: strict in structure and shape, kind in dtype."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.arrays import as_numpy, pieces
from jgraph.core.graph import Graph, Ref, spec_of
from jgraph.core.sizes import solve
from jgraph.core.spec import axes_of
from jgraph.core.symbol import Symbol
from jgraph.draw.specs import show
from jgraph.errors import (
    DTypeError,
    KeyMismatchError,
    ShapeError,
    SymbolError,
    listing,
    nearest,
)
from jgraph.tree import check_keys, common_rows, leaves_with_names, show_rows
from jgraph.typing import PyTree, Spec


def bind(
    graph: Graph, inputs: PyTree, where: str, take: Callable[[Any, Spec, str], Any] | None = None
) -> dict[int, Any]:
    """The arrays by input node, of the inputs' dtypes; with `take=check_dtype` as they are.

    Raises:
        KeyMismatchError: a key or place is missing or one too many.
        ShapeError, DTypeError, SymbolError: an array does not fit its input.
    """
    bound, axes = {}, []
    for name, ref, value in match_inputs(graph, inputs, where):
        place, spec = place_of(graph, ref, name, where), spec_of(graph, ref)
        bound[ref.node] = None if is_absent(graph, ref, value) else (take or as_array)(value, spec, place)
        axes += [] if bound[ref.node] is None else axes_of(place, bound[ref.node], spec)
    solve(axes)
    return bound


def place_of(graph: Graph, ref: Ref, name: str, where: str) -> str:
    """What an error calls an input."""
    return f"{where}, input {name or graph.nodes[ref.node].path!r}"


def is_absent(graph: Graph, ref: Ref, value: Any) -> bool:
    """Whether nothing is given for an input that may be absent."""
    return value is None and graph.symbol(ref).optional


def match_inputs(graph: Graph, inputs: PyTree, where: str) -> list[tuple[str, Ref, Any]]:
    """Pairs every input of the model with what was given for it: `(name, reference, value)`."""
    drawn = graph.inputs
    check_keys(inputs, f"{where}, inputs")
    if isinstance(drawn, (list, tuple)) and isinstance(inputs, dict):
        drawn = _by_name(graph)
    refs = leaves_with_names(drawn)
    values = leaves_with_names(inputs, is_leaf=_is_value)
    if not isinstance(drawn, Ref) and jax.tree.structure(drawn) != jax.tree.structure(inputs, is_leaf=_is_value):
        _differ(drawn, [n for n, _ in refs], [n for n, _ in values], inputs, where)
    if isinstance(drawn, Ref) and (len(values) != 1 or values[0][0]):
        _differ(drawn, [""], [n for n, _ in values], inputs, where)
    return [(name, ref, value) for (name, ref), (_, value) in zip(refs, values, strict=True)]


def _is_value(value: Any) -> bool:
    return value is None


def _by_name(graph: Graph) -> Any:
    """The inputs of a model drawn with a list as a dict of their explicit names; the list itself if one has none."""
    refs = jax.tree.leaves(graph.inputs)
    names = [graph.nodes[ref.node].layer.name for ref in refs]
    return graph.inputs if None in names else dict(zip(names, refs, strict=True))


def _differ(drawn: Any, want: list[str], got: list[str], inputs: Any, where: str) -> None:
    missing, extra = [n for n in want if n not in got], [n for n in got if n not in want]
    kind = "one array" if isinstance(drawn, Ref) else f"a {type(drawn).__name__} with exactly {listing(want)}"
    problem = f"missing {listing(missing)}" * bool(missing) + " and " * bool(missing and extra)
    problem += f"extra {listing(extra)}" * bool(extra)
    raise KeyMismatchError(
        f"{where}, inputs",
        expected=kind,
        got=f"a {type(inputs).__name__}" + (f": {problem}" if problem and not isinstance(drawn, Ref) else ""),
        cure=(nearest(extra[0], missing) if missing and extra else "")
        + "Give the inputs in the structure that the model was drawn with.",
    )


def as_array(value: Any, spec: Spec, where: str) -> Any:
    """The value as an array of the input's dtype, once `check_dtype` has seen it."""
    value = check_dtype(value, spec, where)
    return value if isinstance(value, jax.Array) and value.dtype == spec.dtype else jnp.asarray(value, dtype=spec.dtype)


def check_dtype(value: Any, spec: Spec, where: str) -> Any:
    """The value as an array, if it can be cast: integers may become floats, floats never integers.

    Raises:
        SymbolError: a symbol or nothing array-like was given.
        DTypeError: the cast would lose values.
    """
    if isinstance(value, Symbol) or value is None or isinstance(value, str):
        raise SymbolError(
            where,
            expected=f"an array {show(spec)}",
            got=repr(value),
            cure="Draw it with jg.Input(..., optional=True) if it may be absent."
            if value is None
            else "Call the model itself on symbols: model(x); apply and predict take arrays.",
        )
    value = as_numpy(value, where)
    if not hasattr(value, "dtype"):
        value = np.asarray(value)
    if value.dtype == spec.dtype:
        return value
    if (
        not np.issubdtype(value.dtype, np.number)
        and value.dtype != np.bool_
        and not jnp.issubdtype(value.dtype, jnp.number)
    ):
        raise DTypeError(where, expected=show(spec), got=show(value), cure="Convert it to numbers first.")
    kinds = (jnp.bool_, jnp.integer, jnp.floating, jnp.complexfloating)
    have, want = (next(i for i, kind in enumerate(kinds) if jnp.issubdtype(d, kind)) for d in (value.dtype, spec.dtype))
    if have > want:
        raise DTypeError(
            where,
            expected=show(spec),
            got=show(value),
            cure="Convert it with .astype(...) if that is meant, or draw the input with that dtype.",
        )
    narrower = jnp.issubdtype(spec.dtype, jnp.integer) and not np.can_cast(value.dtype, spec.dtype)
    if narrower and isinstance(value, np.ndarray) and value.size:
        limits = jnp.iinfo(spec.dtype)
        if any(part.min() < limits.min or part.max() > limits.max for _, part in pieces(value)):
            raise DTypeError(
                where, expected=f"values that {spec.dtype} can hold", got=show(value), cure="Renumber the indices."
            )
    return value


def filled(array: Any, rows: int) -> Any:
    """An array with its last row so many times more."""
    return jnp.concatenate([array, jnp.repeat(array[-1:], rows, axis=0)]) if rows else array


def batch_size_of(arrays: PyTree, where: str) -> int:
    """The number of rows that all arrays of a tree share.

    Raises:
        ShapeError: the arrays have no common number of rows.
    """
    named = {name or "the array": array for name, array in leaves_with_names(arrays)}
    rows = common_rows(named)
    if rows is None:
        raise ShapeError(
            where,
            expected="arrays with the same number of rows",
            got=show_rows(named),
            cure="Axis 0 is the batch axis of every array; give each the same rows.",
        )
    return rows


def check_symbols(
    graph: Graph, symbols: PyTree, where: str, recast: bool = False
) -> dict[tuple[int, int], Symbol | None]:
    """The symbols that a model is called on, by the reference of the input they stand for.

    With `recast` they may be of another floating dtype, as where a policy says what the nodes before compute in.

    Raises:
        KeyMismatchError, ShapeError, DTypeError, SymbolError: as for arrays.
    """
    bound, axes = {}, []
    for name, ref, value in match_inputs(graph, symbols, where):
        place, spec = place_of(graph, ref, name, where), spec_of(graph, ref)
        bound[ref.node, ref.index] = value
        if is_absent(graph, ref, value):
            continue
        if not isinstance(value, Symbol):
            raise SymbolError(
                place,
                expected="a symbol, as the model is being called",
                got=show(value),
                cure="On arrays use model.apply(params, state, inputs).",
            )
        if value.optional and not graph.symbol(ref).optional:
            raise SymbolError(
                place,
                expected="a symbol that is always there",
                got="an optional input",
                cure="Draw the model's own input with optional=True.",
            )
        floating = all(jnp.issubdtype(kind, jnp.floating) for kind in (value.dtype, spec.dtype))
        if value.dtype != spec.dtype and not (recast and floating):
            raise DTypeError(
                place, expected=str(spec.dtype), got=str(value.dtype), cure="Draw the model for this dtype."
            )
        axes += axes_of(place, value, spec, "Draw the model for this shape.")
    solve(axes)
    return bound
