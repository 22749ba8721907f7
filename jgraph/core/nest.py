"""Calling a model as a layer: its nodes are drawn into the caller's graph, and one node closes them."""

import dataclasses
from typing import Any

import jax

from jgraph.core.calls import check_masks
from jgraph.core.feed import check_symbols
from jgraph.core.flat import closing_call, leaf_at, records_of, redraw
from jgraph.core.symbol import Call, Symbol
from jgraph.errors import ArgumentError
from jgraph.typing import PyTree


def draw_within(scope: Any, model: Any, inputs: PyTree) -> PyTree:
    """Draws a model's nodes on other symbols as parts of `scope`, and returns the outputs' symbols.

    Raises:
        KeyMismatchError, ShapeError, DTypeError, SymbolError: the symbols do not fit the model's inputs.
    """
    call, _ = call_within(scope, model, inputs)
    return jax.tree.unflatten(call.inference.tree, call.symbols())


def call_within(scope: Any, model: Any, inputs: PyTree, **stands: Any) -> tuple[Call, list[tuple[Symbol, ...]]]:
    """The closing call of a nested model, and the symbols of its nodes by their place in it.

    A call with a treatment is one that is drawn again.
    """
    given = check_symbols(model.graph, inputs, repr(scope), recast="treatment" in stands)
    masks = [None if symbol is None else symbol.mask for symbol in given.values()]
    token, path = object(), stands.get("path")
    named = {} if path is None else {"scope": None, "prefix": f"{path}/"}
    symbols = redraw(records_of(model.graph), given, token=token, **({"scope": scope} | named))
    outputs = jax.tree.map(lambda ref: leaf_at(symbols, ref), model.graph.outputs)
    return closing_call(scope, outputs, (inputs, masks), token, **stands), symbols


def with_masks(inputs: PyTree, mask: Any, where: str) -> PyTree:
    """Symbols with masks set by hand: one for a single symbol, else one for each in order, `None` to keep its own.

    Raises:
        SymbolError: a mask is not a symbol of booleans.
        ArgumentError: their number is another.
    """
    if mask is None:
        return inputs
    symbols, tree = jax.tree.flatten(inputs)
    masks = list(mask) if isinstance(mask, (list, tuple)) else [mask]
    check_masks(masks, where)
    if len(masks) != len(symbols):
        raise ArgumentError(
            f"{where}, mask",
            expected=f"{len(symbols)} masks",
            got=str(len(masks)),
            cure="Give None for an input without.",
        )
    pairs = zip(symbols, masks, strict=True)
    masked = [s if m is None or not isinstance(s, Symbol) else dataclasses.replace(s, mask=m) for s, m in pairs]
    return jax.tree.unflatten(tree, masked)
