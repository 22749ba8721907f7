"""Surgery on values: each edit draws a model again, with one thing changed, and gives the new model.

What is not touched keeps its layer, its path and its treatment, so that params, state and optimizer state carry over
(`jg.carry`), and every random number stays what it was. An edit inside a nested model changes that model, and so all
its calls.
"""

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

    A list or dict that held a cut branch goes on without it, an input that only cut branches read is no input any more.
    """
    if not paths:
        raise ArgumentError(f"{model!r}, prune", expected="paths", got="none", cure="Write model.prune('branch').")
    for path in paths:
        nodes_at(model, path, "prune")
    for path in paths:
        model = _pruned(model, path) if path in model.layers else model
    return model


def _pruned(model: Any, path: str) -> Any:
    found = nodes_at(model, path)
    _check_no_input(model, path, found[0][1], "prune")
    inside = next((node for _, node in found if node.owner is not None), None)
    if inside is not None:
        closer, inner = _owner(model, inside, "prune")
        return lifted(model, {closer.layer: _pruned(inner, inner.nodes[inside.origin or 0].path)})
    cut = Cut({place for place, _ in found})
    changed: dict[int, PyTree] = {}
    for place, node in enumerate(model.nodes):
        if node.owner is None and place not in cut.places and not isinstance(node.layer, InputLayer):
            reads, kept = _kept(node, cut)
            if kept is GONE:
                cut.places.add(place)
            elif kept != reads:
                changed[place] = kept
    outputs = cut.without(model.graph.outputs)
    left = Cut(_only_read_by(model, cut.places)).without(model.graph.inputs)
    if outputs is GONE or left is GONE:
        got = "no output" if outputs is GONE else "no input"
        raise GraphError(f"{model!r}, prune {path!r}", expected="a model that is left", got=got, cure="Prune less.")

    def change(replay: Replay, place: int, node: Node) -> Symbols | None:
        if place in cut.places or place not in changed:
            return () if place in cut.places else None
        if node.given is not None:
            return replay.called(place, node, replay.inputs_of(changed[place]))
        args, kwargs, mask = replay.tree(changed[place])
        return replay.placed(node, args, kwargs, mask if node.by_hand else None)

    replay = Replay(model.graph, {}, change).run()
    return made(model, replay, replay.tree(left), replay.tree(outputs))


GONE = object()
"""What is left of a tree of which nothing is left."""


class Cut:
    """Takes references to some places out of the lists and dicts that hold them."""

    def __init__(self, places: set[int]) -> None:
        self.places = places

    def without(self, tree: PyTree) -> Any:
        """The tree without them; `GONE` where nothing is left, or where one stands that cannot be left out."""
        if isinstance(tree, Ref):
            return GONE if tree.node in self.places else tree
        if type(tree) is dict:
            kept: Any = {key: left for key, below in tree.items() if (left := self.without(below)) is not GONE}
        elif type(tree) in (list, tuple):
            kept = type(tree)(left for below in tree if (left := self.without(below)) is not GONE)
        else:
            return GONE if any(self.without(r) is GONE for r in jax.tree.leaves(tree) if isinstance(r, Ref)) else tree
        return GONE if tree and not kept else kept


def _kept(node: Node, cut: Cut) -> tuple[PyTree, Any]:
    """What a node reads, and what is left of it; `GONE` where an argument is."""
    if node.given is not None:
        inputs, masks = node.given
        left = cut.without(inputs)
        flags = [leaf.node in cut.places for leaf in jax.tree.leaves(inputs)]
        return node.given, left if left is GONE else (
            left,
            [m for m, gone in zip(masks, flags, strict=True) if not gone],
        )
    mask = node.mask if node.by_hand else None
    parts = [cut.without(part) for part in (*node.args, *node.kwargs.values())]
    parts += [cut.without(mask)]
    if any(part is GONE for part in parts):
        return (node.args, node.kwargs, mask), GONE
    args, values = tuple(parts[: len(node.args)]), parts[len(node.args) : -1]
    return (node.args, node.kwargs, mask), (args, dict(zip(node.kwargs, values, strict=True)), parts[-1])


def _only_read_by(model: Any, places: set[int]) -> set[int]:
    """The inputs that only these places, and what leads to nothing else, read."""
    graph = model.graph
    needed = {ref.node for ref in jax.tree.leaves(Cut(places).without(graph.outputs)) if isinstance(ref, Ref)}
    read: set[int] = set()
    for place in reversed(range(len(graph.nodes))):
        node = graph.nodes[place]
        refs = {r.node for r in jax.tree.leaves((node.args, node.kwargs, node.mask, node.given)) if isinstance(r, Ref)}
        read |= refs
        if place in needed and place not in places:
            needed |= refs
    return {p for p, node in enumerate(graph.nodes) if isinstance(node.layer, InputLayer) and p in read - needed}


def _symbols_read(node: Node) -> list[Ref]:
    """What a node is called on, constants aside."""
    reads = node.given[0] if node.given is not None else (node.args, node.kwargs)
    return [leaf for leaf in jax.tree.leaves(reads) if isinstance(leaf, Ref)]


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
