"""Finding nodes of a model by path and by call."""

from typing import Any

from jgraph.core.graph import Node, Ref, refs_in
from jgraph.core.layer import InputLayer
from jgraph.errors import GraphError, PathError, listing, nearest


def nodes_at(model: Any, path: str, where: str = "") -> list[tuple[int, Node]]:
    """The calls of the layer or nested model at a path, with their places.

    Raises:
        PathError: there is no such path; the nearest one is suggested.
    """
    found = [(place, model.nodes[place]) for place in model.graph.places.get(path if isinstance(path, str) else "", ())]
    if not found:
        paths = list(model.graph.places)
        raise PathError(
            f"{model!r}{where and ', '}{where}",
            expected="a path of the model",
            got=repr(path),
            cure=f"{nearest(path, paths)}Known: {listing(paths)}.",
        )
    return found


def node_at(model: Any, path: str, call: int | None = None, where: str = "") -> tuple[int, Node]:
    """The call of the layer or nested model at a path, with its place.

    Raises:
        PathError: there is no such path, or it was called several times and `call` does not say which.
    """
    found = nodes_at(model, path, where)
    number = isinstance(call, int) and not isinstance(call, bool) and 0 <= call < len(found)
    if not number and (call is not None or len(found) > 1):
        reads = [f"call={node.call} on {_reads(model, node)}" for _, node in found]
        raise PathError(
            f"{model!r}{where and ', '}{where}, {path!r}",
            expected=f"one of {'; '.join(reads)}",
            got=f"call={call!r}",
            cure="Say which call.",
        )
    return found[call or 0]


def given_to(node: Node) -> Any:
    """What a node's layer was called on, as references: one argument, a tuple of several, or those and the keywords.

    Raises:
        GraphError: the node is an input, or a nested model that this graph has only a part of.
    """
    if isinstance(node.layer, InputLayer) or (node.layer.is_graph and node.given is None):
        raise GraphError(
            f"input_of {node.path!r}",
            expected="a layer that reads something in this graph",
            got="an input" if isinstance(node.layer, InputLayer) else "a nested model that was cut open",
            cure="Read model.inputs, or ask the whole model.",
        )
    if node.given is not None:
        return node.given[0]
    args = node.args[0] if len(node.args) == 1 else node.args
    return (node.args, node.kwargs) if node.kwargs else args


def symbols_read(node: Node) -> list[Ref]:
    """What a node's layer is called on, constants aside."""
    return refs_in(node.given[0] if node.given is not None else (node.args, node.kwargs))


def _reads(model: Any, node: Node) -> str:
    """The paths that a call reads, and which call of a path where there are several."""
    read = [model.nodes[ref.node] for ref in symbols_read(node)]
    several = [n.path for n in read if len(model.graph.places[n.path]) > 1]
    return ", ".join(f"{n.path!r}{f' (call={n.call})' if n.path in several else ''}" for n in read[:12]) or "nothing"
