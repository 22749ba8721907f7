"""Surgery on values: each edit draws a model again, with one thing changed, and gives the new model.

What is not touched keeps its layer, its path and its treatment, so that params, state and optimizer state carry over
(`jg.carry`), and every random number stays what it was. An edit inside a nested model changes that model, and so all
its calls.
"""

from typing import Any, NoReturn

import jax

from jgraph.core.find import given_to, node_at, nodes_at, symbols_read
from jgraph.core.graph import Node
from jgraph.core.layer import InputLayer, Layer
from jgraph.core.prune import Left, Pruning
from jgraph.core.replay import Change, Replay, Symbols, alike, as_model, check_whole, lifted, made
from jgraph.errors import ArgumentError, GraphError


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
    given, refs = given_to(node), symbols_read(node)
    one = len(refs) == len(node.inference.outputs) == 1
    if not one and jax.tree.structure(given) != node.inference.tree:
        raise GraphError(
            f"{model!r}, remove {path!r}",
            expected="a layer of one input and one output, or of outputs in the structure of its inputs",
            got=f"{node.layer!r} with {len(refs)} and {len(node.inference.outputs)}",
            cure="Replace it, or prune the branches that it joins.",
        )

    def change(replay: Replay, place: int, node: Node) -> Symbols:
        return tuple(replay.at(ref) for ref in symbols_read(node))

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
