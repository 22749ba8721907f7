"""Calling a model as a layer: its nodes are drawn into the caller's graph, and one node closes them."""

from typing import Any

import jax

from jgraph.core.feed import check_symbols
from jgraph.core.flat import closing_call, leaf_at, records_of, redraw
from jgraph.core.symbol import Call, Symbol
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
