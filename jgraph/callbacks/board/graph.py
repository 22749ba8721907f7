"""A model as TensorBoard's Graphs page draws it: a node for each call, scopes for nested models and shared layers."""

import math
import re
from collections.abc import Iterator
from typing import Any

import jax

from jgraph.core.costs import NodeCost, costs_of
from jgraph.core.graph import Node, Ref
from jgraph.core.layer import InputLayer, Op
from jgraph.core.summary import count
from jgraph.draw.specs import show
from jgraph.storage.messages import Graph, GraphNode
from jgraph.tree import leaves_with_names


def graph_of(model: Any, step: int) -> Graph:
    """The drawing of a model: every call of a layer is a node at the layer's path, where nested models are scopes.

    A layer that is called several times is one scope as well: in it stand its calls, `call_0` and on, and the params
    that they share. Each node has the shapes of its outputs, its layer's configuration, its number of params, and the
    operations of a prediction for one row, where these do not depend on free axes.
    """
    nodes = model.nodes
    shared = {node.path for node in nodes if node.call > 0 and not node.layer.is_graph}
    drawn = [*_calls(nodes, shared), *_shared_params(nodes, shared)]
    return Graph(step, tuple(drawn))


def _calls(nodes: tuple[Node, ...], shared: set[str]) -> Iterator[GraphNode]:
    for node, own in zip(nodes, costs_of(nodes), strict=True):
        if node.layer.is_graph:
            continue
        name = _name(node, shared)
        refs = jax.tree.leaves((node.args, node.kwargs, node.mask))
        inputs = [_reference(nodes, ref, shared) for ref in refs if isinstance(ref, Ref)]
        variables = [n for n, _ in leaves_with_names(node.inference.params)] if node.path in shared else []
        inputs += [_clean(f"{node.path}/{variable}") for variable in variables]
        made = [s for s in (*node.inference.outputs, *node.inference.masks) if isinstance(s, jax.ShapeDtypeStruct)]
        shapes = tuple(_sizes(spec.shape) for spec in made)
        kept = [text for text in inputs if text is not None]
        yield GraphNode(
            name, _operation(node), tuple(dict.fromkeys(kept)), shapes, _facts(node, own, node.path in shared)
        )


def _shared_params(nodes: tuple[Node, ...], shared: set[str]) -> Iterator[GraphNode]:
    """The params of layers that are called several times, each once."""
    for node in nodes:
        if node.path in shared and node.call == 0:
            for name, spec in leaves_with_names(node.inference.params):
                facts = {"spec": show(spec), "parameters": math.prod(spec.shape)}
                yield GraphNode(_clean(f"{node.path}/{name}"), "Params", (), (tuple(spec.shape),), facts)


def _facts(node: Node, own: NodeCost, shared: bool) -> dict[str, int | str]:
    """What the page shows of a node when it is chosen."""
    facts: dict[str, int | str] = {"layer": repr(node.layer), "outputs": _specs(node.inference.outputs)}
    if number := count(node.inference.params):
        facts["parameters"] = number if not shared or not node.call else f"{number}, shared"
        facts |= {f"params/{name}": show(spec) for name, spec in leaves_with_names(node.inference.params)}
    facts |= {f"state/{name}": show(spec) for name, spec in leaves_with_names(node.inference.state)}
    if own.cost is not None and own.cost.operations:
        facts["operations"] = own.cost.operations
    if not node.treatment.trainable:
        facts["trainable"] = "no"
    return facts


def _specs(specs: Any) -> str:
    return ", ".join(show(spec) for spec in specs)


def _operation(node: Node) -> str:
    if isinstance(node.layer, InputLayer):
        return "Input"
    return node.layer.default_name() if isinstance(node.layer, Op) else type(node.layer).__name__


def _reference(nodes: tuple[Node, ...], ref: Any, shared: set[str]) -> str | None:
    """The output that a reference stands for, through the ends of nested models, which are scopes here."""
    while isinstance(ref, Ref) and nodes[ref.node].layer.is_graph:
        ref = jax.tree.leaves(nodes[ref.node].args)[ref.index]
    if not isinstance(ref, Ref):
        return None
    return _name(nodes[ref.node], shared) + (f":{ref.index}" if ref.index else "")


def _name(node: Node, shared: set[str]) -> str:
    return _clean(f"{node.path}/call_{node.call}" if node.path in shared else node.path)


def _clean(name: str) -> str:
    """A name without what has a meaning in a reference."""
    return re.sub(r"[^\w.\-/]", "_", name)


def _sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else -1 for size in shape)
