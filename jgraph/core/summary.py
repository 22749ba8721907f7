"""What a model consists of, as rows: path, layer, output shape, parameters, connections, mask."""

import math

import jax

from jgraph.core.graph import Graph, Node, Ref, refs_in, specs_of
from jgraph.core.policy import changed, frozen_of
from jgraph.draw.specs import show_size
from jgraph.draw.terminal import table
from jgraph.tree import divide
from jgraph.typing import PyTree

COLUMNS = ("path", "layer", "output shape", "params", "connected to", "mask")
MOST = 12
"""How many connections or outputs of one node a table shows."""


def summarize(graph: Graph, title: str) -> str:
    """The table of a graph with its totals, as text; where some node is treated by a policy, it says how."""
    rows = [_row(graph, place, node) for place, node in enumerate(graph.nodes)]
    homes = [n for n in graph.nodes if n.call == 0]
    notes = [""]
    for kind, word in (("params", "Parameters"), ("state", "State")):
        leaves = jax.tree.leaves([getattr(n.inference, kind) for n in homes])
        notes.append(f"{word}: {count(leaves):,} ({size(leaves)})")
    if frozen := jax.tree.leaves(divide(specs_of(homes, "params"), frozen_of(graph.nodes))[1]):
        notes[1] += f", of which {count(frozen):,} frozen"
    columns, treated = COLUMNS, [changed(node.treatment) for node in graph.nodes]
    if any(treated):
        columns, rows = (*COLUMNS, "policy"), [[*row, how or "-"] for row, how in zip(rows, treated, strict=True)]
    return table(title, columns, rows, notes, numbers=["params"])


def _row(graph: Graph, place: int, node: Node) -> list[str]:
    own = count(jax.tree.leaves(node.inference.params))
    parameters = f"{own:,}" if own and not node.call else "shared" if own else "-"
    shapes = _some([f"({', '.join(map(show_size, s.shape))})" for s in node.inference.outputs])
    refs = refs_in((node.args, node.kwargs))
    sources = [_place(graph, r) for r in refs]
    sources += [f"mask={_place(graph, r)}" for r in jax.tree.leaves(node.mask) if node.by_hand]
    path = f"{node.path} [{node.call}]" if node.call else node.path
    return [path, node.layer.describe(), shapes, parameters, _some(sources) or "-", fate_of_mask(graph, place)]


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
    node = graph.nodes[place]
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
    total = float(sum(math.prod(s.shape) * s.dtype.itemsize for s in jax.tree.leaves(specs)))
    for unit in ("B", "KiB", "MiB", "GiB"):
        if total < 1024 or unit == "GiB":
            return f"{total:.0f} {unit}" if unit == "B" else f"{total:.1f} {unit}"
        total /= 1024
    return ""
