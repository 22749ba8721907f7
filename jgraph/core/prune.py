"""Taking layers out of a model, with all that then has nothing to read, through nested models too."""

import dataclasses
from collections.abc import Mapping, Set
from typing import Any

import jax

from jgraph.core.find import symbols_read
from jgraph.core.graph import Node, Ref, refs_in
from jgraph.core.replay import Replay, Symbols, as_model, check_whole, made
from jgraph.typing import PyTree

GONE: Any = object()
"""What is left of a tree of which nothing is left."""


class Cut:
    """Takes references to some places, and some single ones, out of the lists and dicts that hold them."""

    def __init__(self, places: set[int]) -> None:
        self.places = places
        self.refs: set[Ref] = set()

    def without(self, tree: PyTree) -> Any:
        """The tree without them; `GONE` where nothing is left, or where one stands that cannot be left out."""
        if tree is GONE or isinstance(tree, Ref):
            return GONE if tree is GONE or tree.node in self.places or tree in self.refs else tree
        if type(tree) is dict:
            kept: Any = {key: left for key, below in tree.items() if (left := self.without(below)) is not GONE}
        elif type(tree) in (list, tuple):
            kept = type(tree)(left for below in tree if (left := self.without(below)) is not GONE)
        else:
            known = [leaf for leaf in jax.tree.leaves(tree) if leaf is GONE or isinstance(leaf, Ref)]
            return GONE if any(self.without(leaf) is GONE for leaf in known) else tree
        return GONE if tree and not kept else kept


@dataclasses.dataclass(frozen=True)
class Left:
    """What is left of a model, and which of its inputs and outputs are not, by their place among the leaves."""

    model: Any
    inputs: frozenset[int]
    outputs: frozenset[int]


class Pruning:
    """Takes a layer out of models, with all that then has nothing to read; each nested model once."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.nested: dict[Any, Left | str | None] = {}

    def of(self, model: Any) -> Left | str:
        """What is left of a model; a text that says what it would lack where that is no model."""
        graph = model.graph
        replay = Replay(graph, {})
        own = [place for place, unit in enumerate(replay.units) if unit == place]
        for place in own:
            self._look_into(model, graph.nodes[place])
        cut, reads = Cut(set()), {}
        for place in own:
            reads[place] = self._what_is_read(model, place, cut)
        outputs = cut.without(graph.outputs)
        if outputs is GONE:
            return "no output"
        before = {ref.node for node in graph.nodes for ref in refs_in((node.args, node.kwargs, node.mask, node.given))}
        unread = Cut(before - _needed(replay, reads, outputs))
        inputs = unread.without(graph.inputs)
        if inputs is GONE:
            return "no input"

        def change(replay: Replay, place: int, node: Node) -> Symbols | None:
            if place in cut.places:
                return ()
            if node.given is not None:
                left = self.nested.get(node.layer)
                lost = left.outputs if isinstance(left, Left) else frozenset()
                return replay.called(place, node, replay.inputs_of(reads[place]), lost)
            args, kwargs, mask = reads[place]
            if (args, kwargs) == (node.args, node.kwargs):
                return None
            args, kwargs, mask = replay.tree((args, kwargs, mask))
            return replay.placed(node, args, kwargs, mask if node.by_hand else None)

        swaps = {layer: left.model for layer, left in self.nested.items() if isinstance(left, Left)}
        drawn = Replay(graph, swaps, change).run()
        new = made(model, drawn, drawn.tree(inputs), drawn.tree(outputs))
        return Left(new, _gone(unread, graph.inputs), _gone(cut, graph.outputs))

    def _look_into(self, model: Any, node: Node) -> None:
        """Prunes a nested model that is called here, if the layer is in it."""
        if not node.layer.is_graph or node.layer is self.layer or node.layer in self.nested:
            return
        parts = node.layer.layers.values() if isinstance(node.layer.layers, Mapping) else node.layer.layers
        if node.given is None:
            if self.layer in parts:
                check_whole(model, node, "prune")
            return
        inner = as_model(node.layer, jax.tree.map(model.graph.symbol, node.given[0]))
        within = any(own.layer is self.layer for own in inner.nodes)
        self.nested[node.layer] = self.of(inner) if within else None

    def _what_is_read(self, model: Any, place: int, cut: Cut) -> PyTree:
        """What a node reads from now on; the node, or outputs of it, are added to the cut where they go."""
        node = model.nodes[place]
        left = self.nested.get(node.layer)
        whole = node.layer is self.layer or isinstance(left, str)
        kept = GONE if whole else _kept(node, cut, left.inputs if isinstance(left, Left) else frozenset())
        if kept is GONE:
            cut.places.add(place)
        elif isinstance(left, Left):
            size = len(node.inference.outputs)
            cut.refs |= {Ref(place, index + mask) for index in left.outputs for mask in (0, size)}
        elif node.layer.is_graph and node.given is None and kept != _reads(node):
            check_whole(model, node, "prune")
        return kept


def _reads(node: Node) -> tuple:
    """What a node reads: of a nested model, what that was called on."""
    if node.given is not None:
        return node.given
    return node.args, node.kwargs, node.mask if node.by_hand else None


def _kept(node: Node, cut: Cut, unread: Set[int]) -> Any:
    """What is left of what a node reads; `GONE` where an argument is, or where nothing is left but constants.

    `unread` are the inputs that a nested model has no more.
    """
    if node.given is not None:
        inputs, masks = node.given
        leaves, tree = jax.tree.flatten(inputs, is_leaf=lambda leaf: leaf is None)
        leaves = [GONE if index in unread else leaf for index, leaf in enumerate(leaves)]
        left = cut.without(jax.tree.unflatten(tree, leaves))
        masks = [cut.without(m) for leaf, m in zip(leaves, masks, strict=True) if cut.without(leaf) is not GONE]
        return GONE if left is GONE or GONE in masks or not refs_in(left) else (left, masks)
    parts = [cut.without(part) for part in (*node.args, *node.kwargs.values())]
    nothing = bool(symbols_read(node)) and not refs_in(parts)  # but constants
    parts += [cut.without(node.mask if node.by_hand else None)]
    if nothing or any(part is GONE for part in parts):
        return GONE
    args, values = tuple(parts[: len(node.args)]), parts[len(node.args) : -1]
    return args, dict(zip(node.kwargs, values, strict=True)), parts[-1]


def _gone(cut: Cut, tree: PyTree) -> frozenset[int]:
    """The leaves of a tree that a cut takes out of it."""
    return frozenset(index for index, leaf in enumerate(jax.tree.leaves(tree)) if cut.without(leaf) is GONE)


def _needed(replay: Replay, reads: Mapping[int, PyTree], outputs: PyTree) -> set[int]:
    """The places that outputs need, where each place reads what it is said to."""
    stack, needed = refs_in(outputs), set()
    while stack:
        place = replay.units[stack.pop().node]
        if place not in needed:
            needed.add(place)
            stack += refs_in(reads[place])
    return needed
