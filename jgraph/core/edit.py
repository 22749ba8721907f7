"""Surgery on values: each edit draws a model again, with one thing changed, and gives the new model.

What is not touched keeps its layer, its path and its treatment, so that params, state and optimizer state carry over
(`jg.carry`), and every random number stays what it was. An edit inside a nested model changes that model, and so all
its calls.
"""

import dataclasses
from collections.abc import Mapping, Set
from typing import Any, NoReturn

import jax

from jgraph.core.find import given_to, node_at, nodes_at
from jgraph.core.graph import Node, Ref
from jgraph.core.layer import InputLayer, Layer
from jgraph.core.replay import Change, Replay, Symbols, alike, as_model, check_whole, lifted, made
from jgraph.errors import ArgumentError, GraphError
from jgraph.typing import PyTree


def replace(model: Any, path: str, layer: Any) -> Any:
    """The model with another layer at a path, in all its calls; a function of symbols draws what stands there."""
    _, node = nodes_at(model, path, "replace")[0]
    _check_no_input(model, path, node, "replace")
    if isinstance(layer, type) or not callable(layer):
        _refuse(
            f"{model!r}, replace {path!r}", "a layer, or a function of the symbols the old one was called on", layer
        )
    _check_layer(f"{model!r}, replace {path!r}", layer)
    return model if layer is node.layer else lifted(model, {node.layer: layer})


def insert_after(model: Any, path: str, layer: Any, call: int | None = None) -> Any:
    """The model with a layer between the one at a path and all that reads its outputs."""
    if not isinstance(layer, Layer):
        _refuse(f"{model!r}, insert_after {path!r}", "a layer", layer)
    _check_layer(f"{model!r}, insert_after {path!r}", layer)

    def change(replay: Replay, place: int, node: Node) -> Symbols:
        return alike(node, layer(jax.tree.unflatten(node.inference.tree, replay.drawn(place, node))))

    edited = _changed(model, *_target(model, path, call, "insert_after"), change)
    if all(node.layer is not layer for node in edited.nodes):
        raise GraphError(
            f"{model!r}, insert_after {path!r}",
            expected="what something reads",
            got="an input that nothing reads",
            cure="Draw a model of your own from model.inputs and model.outputs.",
        )
    return edited


def remove(model: Any, path: str, call: int | None = None) -> Any:
    """The model without the layer at a path: what read its outputs reads its inputs."""
    place, node = _target(model, path, call, "remove")
    _check_no_input(model, path, node, "remove")
    given, refs = given_to(node), _symbols_read(node)
    one = len(refs) == len(node.inference.outputs) == 1
    if not one and jax.tree.structure(given) != node.inference.tree:
        raise GraphError(
            f"{model!r}, remove {path!r}",
            expected="a layer of one input and one output, or of outputs in the structure of its inputs",
            got=f"{node.layer!r} with {len(refs)} and {len(node.inference.outputs)}",
            cure="Replace it, or prune the branches that it joins.",
        )

    def change(replay: Replay, place: int, node: Node) -> Symbols:
        return tuple(replay.at(ref) for ref in _symbols_read(node))

    return _changed(model, place, node, change)


def prune(model: Any, *paths: str) -> Any:
    """The model without the layers at these paths and all that then has nothing to read.

    A list or dict that held a cut branch goes on without it, an input that only cut branches read is no input any more;
    so it is with the outputs and inputs of a nested model, in all its calls.
    """
    if not paths:
        raise ArgumentError(f"{model!r}, prune", expected="paths", got="none", cure="Write model.prune('branch').")
    for path in paths:
        _check_no_input(model, path, nodes_at(model, path, "prune")[0][1], "prune")
    for path in paths:
        model = _pruned(model, path) if path in model.layers else model
    return model


def _pruned(model: Any, path: str) -> Any:
    left = Pruning(model.layers[path]).of(model)
    if isinstance(left, Left):
        return left.model
    raise GraphError(f"{model!r}, prune {path!r}", expected="a model that is left", got=left, cure="Prune less.")


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
        before = {ref.node for node in graph.nodes for ref in _refs((node.args, node.kwargs, node.mask, node.given))}
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
        return GONE if left is GONE or GONE in masks or not _refs(left) else (left, masks)
    parts = [cut.without(part) for part in (*node.args, *node.kwargs.values())]
    nothing = bool(_symbols_read(node)) and not _refs(parts)  # but constants
    parts += [cut.without(node.mask if node.by_hand else None)]
    if nothing or any(part is GONE for part in parts):
        return GONE
    args, values = tuple(parts[: len(node.args)]), parts[len(node.args) : -1]
    return args, dict(zip(node.kwargs, values, strict=True)), parts[-1]


def _refs(tree: PyTree) -> list[Ref]:
    """The references in a tree."""
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, Ref)]


def _gone(cut: Cut, tree: PyTree) -> frozenset[int]:
    """The leaves of a tree that a cut takes out of it."""
    return frozenset(index for index, leaf in enumerate(jax.tree.leaves(tree)) if cut.without(leaf) is GONE)


def _needed(replay: Replay, reads: Mapping[int, PyTree], outputs: PyTree) -> set[int]:
    """The places that outputs need, where each place reads what it is said to."""
    stack, needed = _refs(outputs), set()
    while stack:
        place = replay.units[stack.pop().node]
        if place not in needed:
            needed.add(place)
            stack += _refs(reads[place])
    return needed


def _symbols_read(node: Node) -> list[Ref]:
    """What a node is called on, constants aside."""
    return _refs(node.given[0] if node.given is not None else (node.args, node.kwargs))


def _target(model: Any, path: str, call: int | None, where: str) -> tuple[int, Node]:
    """The node that is meant; calls of one place in one nested model are one target."""
    found = nodes_at(model, path, where)
    targets = {(None, p) if n.owner is None else (model.nodes[n.owner].layer, n.origin) for p, n in found}
    return found[0] if call is None and len(targets) == 1 else node_at(model, path, call, where)


def _changed(model: Any, place: int, node: Node, change: Change) -> Any:
    """The model with a change at one place, or at that place of the nested model that it is in."""
    closer, inner = (None, model) if node.owner is None else _owner(model, node, "edit")
    target = place if closer is None else node.origin
    replay = Replay(inner.graph, {}, lambda replay, at, own: change(replay, at, own) if at == target else None).run()
    edited = made(inner, replay)
    return edited if closer is None else lifted(model, {closer.layer: edited})


def _owner(model: Any, node: Node, where: str) -> tuple[Node, Any]:
    """The node that closes the nested model which a node is in, and that model."""
    closer = model.nodes[node.owner]
    check_whole(model, closer, where)
    return closer, as_model(closer.layer, jax.tree.map(model.graph.symbol, closer.given[0]))


def _check_layer(where: str, layer: Any) -> None:
    """An input reads nothing, so it takes no other layer's place."""
    if isinstance(layer, InputLayer):
        _refuse(where, "a layer that reads something", layer)


def _refuse(where: str, expected: str, got: Any) -> NoReturn:
    cure = "Lift functions of arrays with jg.op, modules with jg.as_layer."
    raise ArgumentError(where, expected=expected, got=repr(got), cure=cure)


def _check_no_input(model: Any, path: str, node: Node, where: str) -> None:
    if isinstance(node.layer, InputLayer):
        raise GraphError(
            f"{model!r}, {where} {path!r}",
            expected="the path of a layer",
            got="that of an input",
            cure="Draw a model of your own from model.inputs and model.outputs.",
        )
