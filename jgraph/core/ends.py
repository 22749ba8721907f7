"""How an output ends: in a softmax, a sigmoid, as logits, or otherwise; and the graph cut open before that end."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from jgraph.core.graph import Graph, Node, Ref, refs_in
from jgraph.core.infer import takes_mask
from jgraph.core.layer import Op
from jgraph.ops.activations import linear
from jgraph.typing import Function, PyTree

LINKS: dict[Function, str] = {jax.nn.softmax: "softmax", jax.nn.sigmoid: "sigmoid", jax.lax.logistic: "sigmoid"}


@dataclasses.dataclass(frozen=True)
class End:
    """What an output ends in (`softmax`, `sigmoid`, `linear` or `other`), and the node where that stands."""

    kind: str
    ref: Ref
    node: Node


def end_of(nodes: tuple[Node, ...], ref: Ref) -> End:
    """Finds how an output ends, through the borders of nested models."""
    ref = _within(nodes, ref)
    function = _last_function(nodes, nodes[ref.node])
    if function is not linear:
        penalizes = nodes[ref.node].layer.penalizes()  # it may look at what comes after the activation
        return End("other" if penalizes else LINKS.get(function, "other"), ref, nodes[ref.node])
    stack, seen = [ref], set()
    while stack:
        here = _within(nodes, stack.pop())
        node = nodes[here.node]
        if here.node in seen or not node.args:  # an input holds what its user calls logits
            continue
        seen.add(here.node)
        logits = node.layer.logits
        if _last_function(nodes, node) is not linear or logits == "unknown":
            return End("other", here, node)
        if logits == "as inputs":
            stack.extend(refs_in((node.args, node.kwargs)))
    return End("linear", ref, nodes[ref.node])


def _within(nodes: tuple[Node, ...], ref: Ref) -> Ref:
    """The reference behind nodes that hand on what they are given, as those that close a nested model do."""
    while nodes[ref.node].layer.is_graph or nodes[ref.node].layer.logits == "the inputs":
        ref = jax.tree.leaves(nodes[ref.node].args)[ref.index]
    return ref


def _last_function(nodes: tuple[Node, ...], node: Node) -> Function:
    """The activation that a node applies last, as far as it says so; one of some elements alone is no activation."""
    layer = node.layer
    if (
        takes_mask(type(layer))
        and isinstance(node.mask, Ref)
        and _rank(nodes, node.mask) == node.inference.outputs[0].ndim
    ):
        return linear
    if isinstance(layer, Op):
        alone = len(node.args) == 1 and node.kwargs in ({}, {"axis": -1})
        return layer.function if alone and layer.function in LINKS else linear
    return layer.opened()[1]


def _rank(nodes: tuple[Node, ...], ref: Ref) -> int:
    inference = nodes[ref.node].inference
    made = (*inference.outputs, *inference.masks)[ref.index]
    return len(made.shape) if isinstance(made, jax.ShapeDtypeStruct) else 0


def open_end(graph: Graph, end: End) -> tuple[Graph, Ref]:
    """The graph with the end's activation as a node of its own, and the reference to the logits before it.

    Values, parameters and all paths stay as they are; only references move.
    """
    node, place = end.node, end.ref.node
    if isinstance(node.layer, Op):
        return graph, node.args[0]
    layer, function = node.layer.opened()
    bare = dataclasses.replace(node, layer=layer)
    last = dataclasses.replace(
        node,
        layer=Op(function),
        path=f"{node.path}:activation",
        args=(end.ref,),
        kwargs={},
        mask=None,
        inference=dataclasses.replace(node.inference, params={}, state={}, masks=(None,)),
    )
    move = _mover(end.ref)

    def moved(n: Node) -> Node:
        owner = None if n.owner is None else n.owner + (n.owner > place)
        args, kwargs, mask, given = move((n.args, n.kwargs, n.mask, n.given))
        return dataclasses.replace(n, args=args, kwargs=kwargs, mask=mask, given=given, owner=owner)

    last = dataclasses.replace(last, owner=moved(node).owner)
    opened = dataclasses.replace(
        graph,
        nodes=(*map(moved, graph.nodes[:place]), moved(bare), last, *map(moved, graph.nodes[place + 1 :])),
        inputs=move(graph.inputs),
        outputs=move(graph.outputs),
        symbols=(*graph.symbols[: place + 1], *graph.symbols[place:]),
    )
    return opened, end.ref


def _mover(end: Ref) -> Callable[[PyTree], PyTree]:
    """Moves references by one from the end on, so that what read the layer reads its activation; its mask stays."""

    def move(leaf: Any) -> Any:
        moves = isinstance(leaf, Ref) and (leaf.node > end.node or leaf == end)
        return Ref(leaf.node + 1, leaf.index) if moves else leaf

    return lambda tree: jax.tree.map(move, tree)
