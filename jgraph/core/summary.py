"""What a model consists of and what it costs, as rows: path, layer, output shape, parameters, operations, and more."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

import jax

from jgraph.core.costs import NodeCost, activations_of, costs_of
from jgraph.core.graph import Graph, Node, Ref, refs_in, specs_of
from jgraph.core.policy import changed, frozen_of
from jgraph.core.sizes import names_in
from jgraph.draw.amounts import amount, bytes_of
from jgraph.draw.specs import show_size
from jgraph.draw.terminal import table
from jgraph.errors import ArgumentError, check_flag, listing, nearest
from jgraph.tree import divide
from jgraph.typing import PyTree

COLUMNS = ("path", "layer", "output shape", "params", "operations", "activations", "connected to", "mask", "policy")
NUMBERS = ("params", "operations", "activations")
MOST = 12
"""How many connections or outputs of one node a table shows."""


@dataclasses.dataclass(frozen=True)
class Row:
    """What a table says of one node, or of a nested model as a whole.

    `place` is that of the node in the graph. `operations` and `activations` (bytes) are those of one row of the batch,
    `None` where they depend on a free axis; `shared` says that the params are counted at an earlier call.
    """

    place: int
    path: str
    layer: str
    shapes: str
    params: int
    shared: bool
    operations: int | None
    activations: int | None
    sources: str
    mask: str
    policy: str


def summarize(
    graph: Graph, title: str, expand_nested: bool = True, sizes: int | Mapping[str, int] | None = None
) -> str:
    """The table of a graph with its totals, as text.

    Columns that say nothing are left out: masks and policies where there are none, connections where each node reads
    the one above.

    Raises:
        ArgumentError: `sizes` are not sizes of the graph's free axes. ShapeError: a layer cannot take them.
    """
    check_flag("summary", expand_nested=expand_nested)
    rows = rows_of(graph, expand_nested, sizes)
    unsaid = {
        "connected to": _is_chain(rows),
        "mask": all(row.mask == "-" for row in rows),
        "policy": not any(row.policy for row in rows),
    }
    columns = [column for column in COLUMNS if not unsaid.get(column)]
    cells = [[_cells(row)[column] for column in columns] for row in rows]
    return table(title, columns, cells, notes_of(graph, rows, sizes), NUMBERS)


def _is_chain(rows: Sequence[Row]) -> bool:
    """Whether each row reads the one above and nothing else, so that it need not be said."""
    return all(after.sources == before.path for before, after in itertools.pairwise(rows)) and rows[0].sources == "-"


def rows_of(graph: Graph, expand_nested: bool = True, sizes: int | Mapping[str, int] | None = None) -> list[Row]:
    """The rows of the table, in topological order; without `expand_nested`, one for each call of a nested model.

    Raises:
        ArgumentError: `sizes` are not sizes of the graph's free axes. ShapeError: a layer cannot take them.
    """
    costs = costs_of(graph.nodes, sizes=sizes_of(graph, sizes))
    kept = activations_of(graph.nodes, costs, graph.outputs)
    parts: dict[int, list[int]] = {}
    for place in range(len(graph.nodes)):
        parts.setdefault(place if expand_nested else _outermost(graph, place), []).append(place)
    return [_row(graph, place, parts[place], costs, kept) for place in sorted(parts)]


def _outermost(graph: Graph, place: int) -> int:
    """The node that closes the outermost nested model which a node is in; itself, where it is in none."""
    while (owner := graph.nodes[place].owner) is not None:
        place = owner
    return place


def sizes_of(graph: Graph, sizes: int | Mapping[str, int] | None) -> dict[str, int]:
    """The size of each free axis that is given one, by its name; one number stands for all.

    Raises:
        ArgumentError: there is no such axis, or a size is not a positive integer.
    """
    shapes = [spec.shape for node in graph.nodes for spec in node.inference.outputs]
    free = sorted(set().union(*(names_in(n) for s in shapes for n in s if not isinstance(n, int))) - {"batch"})
    given = sizes if isinstance(sizes, Mapping) else {} if sizes is None else dict.fromkeys(free, sizes)
    for name in given:
        if name not in free:
            cure = f"{nearest(name, free)}Give one number for all of them."
            got = f"{name!r}, which the model does not have"
            raise ArgumentError("summary, sizes", expected=f"free axes among {listing(free)}", got=got, cure=cure)
    for size in given.values() if isinstance(sizes, Mapping) or sizes is None else (sizes,):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            cure = "Write sizes=100, for example."
            raise ArgumentError("summary, sizes", expected="positive integers", got=repr(size), cure=cure)
    return dict(given)


def _row(graph: Graph, place: int, parts: Sequence[int], costs: Sequence[NodeCost], kept: Sequence[int]) -> Row:
    node, nodes = graph.nodes[place], [graph.nodes[part] for part in parts]
    own = sum(count(n.inference.params) for n in nodes if not n.call)
    every = sum(count(n.inference.params) for n in nodes)
    known = [costs[part].cost for part in parts]
    operations = [cost.operations for cost in known if cost is not None]
    whole = len(operations) == len(known)
    refs = refs_in((node.args, node.kwargs) if len(parts) == 1 else node.given)
    sources = [_place(graph, r) for r in refs]
    sources += [f"mask={_place(graph, r)}" for r in jax.tree.leaves(node.mask) if node.by_hand]
    return Row(
        place,
        path=f"{node.path} [{node.call}]" if node.call else node.path,
        layer=node.layer.describe(),
        shapes=_some([f"({', '.join(map(show_size, s.shape))})" for s in node.inference.outputs]),
        params=own or every,
        shared=bool(every) and not own,
        operations=sum(operations) if whole else None,
        activations=sum(kept[part] for part in parts) if whole else None,
        sources=_some(sources) or "-",
        mask=fate_of_mask(graph, place),
        policy=changed(node.treatment),
    )


def _cells(row: Row) -> dict[str, str]:
    params = "shared" if row.shared else f"{row.params:,}" if row.params else "-"
    operations = "?" if row.operations is None else amount(row.operations) if row.operations else "-"
    activations = "?" if row.activations is None else bytes_of(row.activations) if row.activations else "-"
    first = (row.path, row.layer, row.shapes, params, operations, activations)
    return dict(zip(COLUMNS, (*first, row.sources, row.mask, row.policy or "-"), strict=True))


def notes_of(graph: Graph, rows: Sequence[Row], sizes: int | Mapping[str, int] | None = None) -> list[str]:
    """The totals, a line each: params, those that are trained and those that are not, state, and what a row costs."""
    homes = [node for node in graph.nodes if node.call == 0]
    params, state = specs_of(homes, "params"), specs_of(homes, "state")
    trained, frozen = divide(params, frozen_of(graph.nodes))
    kinds = {"Parameters": params, "Trainable": trained, "Frozen": frozen, "State": state}
    notes = ["", *(f"{word}: {count(tree):,} ({size(tree)})" for word, tree in kinds.items())]
    operations = sum(row.operations or 0 for row in rows)
    activations = sum(row.activations or 0 for row in rows)
    notes.append(f"One row: {amount(operations)} operations, {bytes_of(activations)} of activations")
    if any(row.operations is None for row in rows):
        notes[-1] += ", without ?, which depends on free axes: summary(sizes=100) counts them"
    elif sizes is not None and (known := sizes_of(graph, sizes)):
        shown = [f"{show_size(name)} = {value}" for name, value in known.items()]
        notes[-1] += f", at {_some(list(dict.fromkeys(shown)))}"
    return notes


def _some(words: list[str]) -> str:
    """The words, or the first of very many: one wide row makes every row wide."""
    return ", ".join(words[:MOST]) + f", ... ({len(words)} in all)" * (len(words) > MOST)


def _place(graph: Graph, ref: Ref) -> str:
    node = graph.nodes[ref.node]
    call = f" [{node.call}]" if node.call else ""
    outputs = len(node.inference.outputs)
    leaf = " mask" if ref.index >= outputs else f"#{ref.index}" if outputs > 1 else ""
    return f"{node.path}{call}{leaf}"


def fate_of_mask(graph: Graph, place: int) -> str:
    """Where the mask of a node's outputs comes from; `ends` where it was given one and its outputs have none."""
    node: Node = graph.nodes[place]
    if any(isinstance(fate, jax.ShapeDtypeStruct) for fate in node.inference.masks):
        return "made here"
    masks = [s.mask for s in graph.symbols[place] if s.mask is not None]
    if masks:
        makers = {m.call.path: None for m in masks}
        return f"from {_some([str(m) for m in makers])}"
    came = any(graph.symbol(ref).mask is not None for ref in refs_in((node.args, node.kwargs)))
    return "ends here" if came or jax.tree.leaves(node.mask) else "-"


def count(specs: PyTree) -> int:
    """The number of elements of all leaves."""
    return sum(math.prod(s.shape) for s in jax.tree.leaves(specs))


def size(specs: PyTree) -> str:
    """The bytes of all leaves, in a unit that suits them."""
    return bytes_of(sum(math.prod(s.shape) * s.dtype.itemsize for s in jax.tree.leaves(specs)))
