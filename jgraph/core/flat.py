"""The flat form of a model: one record per call with integer references; what pickling, copying and JSON go through.

Drawing the records again gives the model back, on its own inputs or, when a model is called, on other symbols.
"""

import dataclasses
import re
import uuid
from collections.abc import Sequence
from typing import Any

import jax

from jgraph.core.calls import inputs_in, joined_masks, make_call
from jgraph.core.graph import Graph, Ref
from jgraph.core.infer import Inference
from jgraph.core.layer import InputLayer, input_symbol
from jgraph.core.portable import Portable
from jgraph.core.spec import BATCH, dimension
from jgraph.core.symbol import Call, Symbol, Within
from jgraph.core.treatment import PLAIN, Treatment
from jgraph.errors import SymbolError
from jgraph.typing import PyTree


@dataclasses.dataclass(frozen=True)
class Record(Portable):
    """One call: the layer, its path, references and constants; the mask only where it was set by hand.

    `shape` belongs to inputs: free axes are strings, equal ones where the sizes are equal. `owner`, `origin` and
    `given` are those of the node.
    """

    layer: Any
    path: str
    args: tuple
    kwargs: dict[str, Any]
    mask: Any = None
    shape: tuple[int | str, ...] | None = None
    treatment: Treatment = PLAIN
    owner: int | None = None
    origin: int | None = None
    given: PyTree = None


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
        place = node.treatment, node.owner, node.origin, node.given
        records.append(Record(node.layer, node.path, node.args, node.kwargs, mask, shape, *place))
    return tuple(records)


def redraw(
    records: Sequence[Record],
    given: dict[tuple[int, int], Symbol | None] | None = None,
    scope: Any = None,
    token: object = None,
    prefix: str = "",
) -> list[tuple[Any, ...]]:
    """The symbols of every record, drawn on the `given` symbols of the inputs, or on inputs of its own.

    With `token`, that of the call which will close the model, the records are drawn as parts of `scope`; where that has
    a path already, the paths begin with `prefix` and are kept.
    """
    drawing = uuid.uuid4().hex[:12]  # free axes of two drawings are different axes
    symbols: list[tuple[Any, ...]] = []
    tokens = {place: object() for place, record in enumerate(records) if record.layer.is_graph}
    for place, record in enumerate(records):
        if isinstance(record.layer, InputLayer):
            own = given[place, 0] if given is not None else _input(record, drawing)
            symbols.append((own,))
            continue
        within = Within(token, place) if token is not None else None
        if record.owner is not None:
            within = Within(tokens[record.owner], record.origin or 0)
        stands = {"scope": scope, "path": prefix + record.path, "treatment": record.treatment, "within": within}
        symbols.append(_redrawn(record, symbols, tokens.get(place), stands).symbols())
    return symbols


def _redrawn(record: Record, symbols: list[tuple[Any, ...]], token: object, stands: dict[str, Any]) -> Call:
    def at(tree: PyTree) -> Any:
        return jax.tree.map(lambda leaf: leaf_at(symbols, leaf) if isinstance(leaf, Ref) else leaf, tree)

    args, kwargs, mask = at((record.args, record.kwargs, record.mask))
    if record.layer.is_graph:
        return closing_call(record.layer, args[0], at(record.given), token=token, **stands)
    by_hand = record.mask is not None
    if not by_hand:
        refs, alone = inputs_in(record.args, record.kwargs, Ref)
        mask = joined_masks([None if ref is None else leaf_at(symbols, ref) for ref in refs], alone)
    return make_call(record.layer, args, kwargs, mask, by_hand, **stands)


def _input(record: Record, drawing: str) -> Symbol:
    sizes = (
        dimension(re.sub(r"\bfree_", f"free_{drawing}", d)) if isinstance(d, str) else d for d in record.shape or ()
    )
    spec = jax.ShapeDtypeStruct((BATCH, *sizes), record.layer.dtype)
    return input_symbol(record.layer, spec, object(), record.path)


def closing_call(layer: Any, outputs: PyTree, given: PyTree, token: object = None, **stands: Any) -> Call:
    """The call that closes a nested model: hands on what its nodes gave, masks included, under the model's own name."""
    leaves, tree = jax.tree.flatten(outputs)
    masks = tuple(s.mask for s in leaves)
    fates = tuple(None if m is None else sum(x is not None for x in masks[:i]) for i, m in enumerate(masks))
    inference = Inference({}, {}, tuple(s.spec for s in leaves), tree, fates)
    mask = masks if any(m is not None for m in masks) else None
    return Call(layer, (outputs,), {}, mask, False, inference, token=token or object(), given=given, **stands)


def leaf_at(symbols: Sequence[tuple[Any, ...]], ref: Ref) -> Any:
    """The redrawn symbol at a reference; as `symbol_of`."""
    return symbol_of(symbols[ref.node], ref)


def symbol_of(outputs: tuple[Any, ...], ref: Ref) -> Any:
    """The symbol at a reference to a node that gave these; `None` for an optional input that is absent.

    Raises:
        SymbolError: the model reads a mask that the symbols it is called on do not have.
    """
    if ref.index < len(outputs):
        return outputs[ref.index]
    mask = outputs[ref.index - len(outputs)].mask
    if mask is None:
        raise SymbolError(
            repr(outputs[0].call.layer),
            expected="the mask that it gave when the model was drawn",
            got="none for these inputs",
            cure="Draw the model for masked inputs.",
        )
    return mask
