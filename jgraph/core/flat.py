"""The flat form of a model: one record per call with integer references; what pickling, copying and JSON go through.

Drawing the records again gives the model back, on its own inputs or, when a model is called, on other symbols.
"""

import dataclasses
import re
import uuid
from collections.abc import Sequence
from typing import Any

import jax

from jgraph.core.graph import Graph, Ref, symbol_at
from jgraph.core.infer import Inference
from jgraph.core.layer import InputLayer, input_symbol
from jgraph.core.portable import Portable
from jgraph.core.spec import BATCH, dimension
from jgraph.core.symbol import Call, Symbol, automatic_mask, make_call
from jgraph.errors import SymbolError
from jgraph.typing import PyTree


@dataclasses.dataclass(frozen=True)
class Record(Portable):
    """One call: the layer, its path, references and constants; the mask only where it was set by hand.

    `shape` belongs to inputs: free axes are strings, equal ones where the sizes are equal.
    """

    layer: Any
    path: str
    args: tuple
    kwargs: dict[str, Any]
    mask: Any = None
    shape: tuple[int | str, ...] | None = None


def records_of(graph: Graph) -> tuple[Record, ...]:
    """The records of a graph, the same for the same drawing in any process."""
    free: dict[str, str] = {}

    def written(size: Any) -> int | str:
        text = re.sub(r"\bfree_[0-9a-f]+_", lambda m: free.setdefault(m[0], f"free_{len(free):x}_"), str(size))
        return size if isinstance(size, int) else text

    records = []
    for node in graph.nodes:
        shape = None
        if isinstance(node.layer, InputLayer):
            shape = tuple(map(written, node.inference.outputs[0].shape[1:]))
        mask = node.mask if node.by_hand else None
        records.append(Record(node.layer, node.path, node.args, node.kwargs, mask, shape))
    return tuple(records)


def redraw(
    records: Sequence[Record], given: dict[tuple[int, int], Symbol] | None = None, scope: Any = None
) -> list[tuple[Symbol, ...]]:
    """The symbols of every record, drawn on the `given` symbols of the inputs, or on inputs of its own."""
    drawing = uuid.uuid4().hex[:12]  # free axes of two drawings are different axes
    symbols: list[tuple[Symbol, ...]] = []
    for place, record in enumerate(records):
        if isinstance(record.layer, InputLayer):
            own = given[place, 0] if given is not None else _input(record, drawing)
            symbols.append((own,))
            continue
        args, kwargs, mask = jax.tree.map(
            lambda leaf: leaf_at(symbols, leaf) if isinstance(leaf, Ref) else leaf,
            (record.args, record.kwargs, record.mask),
        )
        if record.layer.is_graph:
            call = closing_call(record.layer, args[0], scope, record.path)
        else:
            by_hand = record.mask is not None
            mask = mask if by_hand else automatic_mask(args, kwargs)
            call = make_call(record.layer, args, kwargs, mask, by_hand, scope, record.path)
        symbols.append(call.symbols())
    return symbols


def _input(record: Record, drawing: str) -> Symbol:
    sizes = (
        dimension(re.sub(r"\bfree_", f"free_{drawing}", d)) if isinstance(d, str) else d for d in record.shape or ()
    )
    spec = jax.ShapeDtypeStruct((BATCH, *sizes), record.layer.dtype)
    return input_symbol(record.layer, spec, object(), record.path)


def closing_call(scope: Any, outputs: PyTree, within: Any = None, path: str | None = None) -> Call:
    """The call that closes a nested model: hands on what its nodes gave, masks included, under the model's own name."""
    leaves, tree = jax.tree.flatten(outputs)
    masks = tuple(s.mask for s in leaves)
    fates = tuple(None if m is None else sum(x is not None for x in masks[:i]) for i, m in enumerate(masks))
    inference = Inference({}, {}, tuple(s.spec for s in leaves), tree, fates)
    return Call(
        scope, (outputs,), {}, masks if any(m is not None for m in masks) else None, False, inference, within, path
    )


def leaf_at(symbols: Sequence[tuple[Symbol, ...]], ref: Ref) -> Symbol:
    """The redrawn symbol at a reference.

    Raises:
        SymbolError: the model reads a mask that the symbols it is called on do not have.
    """
    outputs = symbols[ref.node]
    if ref.index >= len(outputs) and outputs[ref.index - len(outputs)].mask is None:
        raise SymbolError(
            repr(outputs[0].call.layer),
            expected="the mask that it gave when the model was drawn",
            got="none for these inputs",
            cure="Draw the model for masked inputs.",
        )
    return symbol_at(symbols, ref)
