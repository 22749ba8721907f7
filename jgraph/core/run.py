"""Running a flat graph: one pass over the nodes, states threaded through shared layers in their order."""

from collections.abc import Sequence
from typing import Any

import jax

from jgraph.core.graph import Node, Ref
from jgraph.core.infer import init_options, outgoing_masks, takes_mask
from jgraph.core.layer import InputLayer
from jgraph.errors import RandomKeyError
from jgraph.keys import fold
from jgraph.tree import read, write
from jgraph.typing import Array, Key, Params, State

Values = list[Sequence[Any]]


def run(
    nodes: Sequence[Node], fed: dict[int, Any], params: Params, state: State, train: bool, key: Key | None
) -> tuple[Values, State, Array | float]:
    """Computes every node: `fed` holds the inputs' arrays by node. Returns values, the next state and the penalties.

    A node's key is folded from its path and the number of its call, so it does not depend on other nodes.
    """
    values: Values = []
    states: dict[str, State] = {}
    penalty: Array | float = 0.0
    for place, node in enumerate(nodes):
        if isinstance(node.layer, InputLayer):
            values.append((fed[place],))
        elif node.layer.is_graph:  # its own nodes stand before it; it only gathers what they gave
            values.append(jax.tree.leaves(_resolve(node.args, values)))
        else:
            own = read(params, node.names)
            try:
                outputs, states[node.path], cost = _apply(node, values, own, _state_of(node, states, state), train, key)
            except Exception as error:
                note = f"In {node.path!r} ({node.layer!r}), call {node.call}."
                if train and key is None and "PRNG key" in str(error):  # what jax.random says of None
                    raise _no_key(node, note) from error
                error.add_note(note)
                raise
            values.append(outputs)
            penalty = penalty + cost
    return values, _merge(nodes, states), penalty


def _no_key(node: Node, note: str) -> RandomKeyError:
    error = RandomKeyError(
        repr(node.layer),
        expected="a key, as it draws random numbers while training",
        got="apply(..., train=True) without one",
        cure="Write model.apply(params, state, inputs, train=True, key=jax.random.key(0)).",
    )
    error.add_note(note)
    return error


def _apply(
    node: Node, values: Values, params: Params, state: State, train: bool, key: Key | None
) -> tuple[list[Any], State, Array | float]:
    args, kwargs, mask = _resolve((node.args, node.kwargs, node.mask), values)
    own_key = fold(key, node.path, node.call) if train and key is not None else None
    options = {**kwargs, "mask": mask} if takes_mask(type(node.layer)) else kwargs
    tree, state = node.layer.apply(params, state, *args, **options, train=train, key=own_key)
    outputs = jax.tree.leaves(tree)
    if any(fate is not None and not isinstance(fate, int) for fate in node.inference.masks):
        outputs += outgoing_masks(node.layer, mask, args, len(outputs))
    return outputs, state, node.layer.penalty(params, args, tree) if node.layer.penalizes() else 0.0


def _resolve(tree: Any, values: Values) -> Any:
    return jax.tree.map(lambda leaf: values[leaf.node][leaf.index] if isinstance(leaf, Ref) else leaf, tree)


def _state_of(node: Node, states: dict[str, State], state: State) -> State:
    return states[node.path] if node.path in states else read(state, node.names)


def _merge(nodes: Sequence[Node], states: dict[str, State]) -> State:
    merged: State = {}
    for node in nodes:
        if node.call == 0 and node.path in states:
            write(merged, node.names, states[node.path])
    return merged


def initialize(nodes: Sequence[Node], key: Key) -> tuple[Params, State]:
    """Makes the parameters and state of every layer; a layer's key is folded from its path alone."""
    params: Params = {}
    state: State = {}
    for node in nodes:
        if node.call == 0 and (node.inference.params or node.inference.state):
            specs, options = _specs(node, nodes)
            made = node.layer.init(fold(key, node.path), *specs, **options)
            write(params, node.names, made[0])
            write(state, node.names, made[1])
    return params, state


def _specs(node: Node, nodes: Sequence[Node]) -> tuple[tuple, dict[str, Any]]:
    def spec(leaf: Any) -> Any:
        if not isinstance(leaf, Ref):
            return leaf
        inference = nodes[leaf.node].inference
        every = (*inference.outputs, *inference.masks)
        return every[leaf.index]

    args, kwargs = jax.tree.map(spec, (node.args, node.kwargs))
    return args, init_options(node.layer, kwargs)
