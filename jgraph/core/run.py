"""Running a flat graph: one pass over the nodes, states threaded through shared layers in their order."""

import functools
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from jgraph.core.blocks import Block, blocks_of, reads_of
from jgraph.core.graph import Node, Ref
from jgraph.core.infer import init_options, outgoing_masks, takes_mask
from jgraph.core.layer import InputLayer
from jgraph.core.treatment import applied, initialized, penalized, widened
from jgraph.errors import RandomKeyError, check_flag
from jgraph.keys import check_key, fold
from jgraph.tree import read, write
from jgraph.typing import Array, Key, Params, State

Values = dict[int, Sequence[Any]]
"""What each node gave: its outputs, and behind them the masks that it made."""


class Probes(NamedTuple):
    """Zeros that are added to what each node reads and gives, by its place; `None` where nothing is.

    Gradients with respect to them are those of the edges: how a loss depends on what one node hands to another.
    """

    reads: Mapping[int, Sequence[Array | None]]
    gives: Mapping[int, Sequence[Array | None]]


def run(
    nodes: Sequence[Node],
    fed: dict[int, Any],
    params: Params,
    state: State,
    train: bool,
    key: Key | None,
    probes: Probes | None = None,
) -> tuple[Values, State, Array | float]:
    """Computes every node: `fed` holds the inputs' arrays by node. Returns values, the next state and the penalties.

    A node's key is folded from its path and the number of its call, so it does not depend on other nodes. Of a block
    that is to be computed again for the gradient, only what it reads is kept.
    """
    check_flag("apply", train=train)
    if key is not None:
        check_key(key)
    values: Values = {}
    states: dict[str, State] = {}
    penalty: Array | float = 0.0
    for block in blocks_of(nodes):
        if isinstance(nodes[block[0]].layer, InputLayer):
            values[block[0]] = (fed[block[0]],)
            continue
        body = functools.partial(_through, nodes, block, train, probes=probes)
        outside = values
        if nodes[block[-1]].treatment.remat:
            body, outside = (
                jax.checkpoint(body),
                {p: values[p] for b in block for p in reads_of(nodes[b]) if p in values},
            )
        homes = {nodes[p].path: nodes[p].names for p in block if not nodes[p].layer.is_graph}
        own = {path: read(params, names) for path, names in homes.items()}
        held = {path: states.get(path, read(state, names)) for path, names in homes.items()}
        made, held, penalty = body(own, held, outside, key, penalty)
        values.update(made)
        states.update(held)
    return values, _merge(nodes, states), penalty + regularization(nodes, params)


def computed(nodes: Sequence[Node], places: Iterable[int], fed: Mapping[int, Any]) -> Values:
    """The values of some nodes without weights, in their order; `fed` holds the arrays of the inputs among them."""
    values: Values = {}
    for place in places:
        none = {nodes[place].path: {}}
        values.update(
            {place: (fed[place],)}
            if place in fed
            else _through(nodes, (place,), False, none, none, values, None, 0.0)[0]
        )
    return values


def regularization(nodes: Sequence[Node], params: Params) -> Array | float:
    """What the params add to the loss: each layer once, if it is trained."""
    total: Array | float = 0.0
    for node in _trained(nodes):
        if node.layer.regularizes():
            total = total + node.layer.regularization(widened(read(params, node.names)))
    return total


def constrained(nodes: Sequence[Node], params: Params) -> Params:
    """The params with those of every trained layer brought back to what its constraints allow."""
    held = [node for node in _trained(nodes) if node.layer.constrains()]
    if not held:
        return params
    params = jax.tree.map(lambda leaf: leaf, params)  # dicts of our own
    for node in held:
        before = read(params, node.names)
        after = jax.tree.map(lambda old, new: new.astype(old.dtype), before, node.layer.constrain(widened(before)))
        write(params, node.names, after)
    return params


def _trained(nodes: Sequence[Node]) -> Iterator[Node]:
    """A node of each layer with params, of those by which it is trained."""
    seen = set()
    for node in nodes:
        if not node.layer.is_graph and node.treatment.trainable and node.inference.params and node.path not in seen:
            seen.add(node.path)
            yield node


def _through(
    nodes: Sequence[Node],
    block: Block,
    train: bool,
    params: dict[str, Params],
    states: dict[str, State],
    outside: Values,
    key: Key | None,
    penalty: Array | float,
    probes: Probes | None = None,
) -> tuple[Values, dict[str, State], Array | float]:
    """Computes the nodes of a block; params and states come and go by path, penalties are added up."""
    made: Values = {}
    states = dict(states)
    values = ChainMap(made, outside)
    for place in block:
        node = nodes[place]
        if node.layer.is_graph:  # its own nodes stand before it; it only gathers what they gave
            made[place] = jax.tree.leaves(_resolve(node.args, values))
            continue
        try:
            reads = None if probes is None else probes.reads.get(place)
            made[place], new, cost = _apply(node, values, params[node.path], states[node.path], train, key, reads)
            if probes is not None:
                made[place] = _added(made[place], probes.gives.get(place))
        except Exception as error:
            note = f"In {node.path!r} ({node.layer!r}), call {node.call}."
            if train and key is None and "PRNG key" in str(error):  # what jax.random says of None
                raise _no_key(node, note) from error
            error.add_note(note)
            raise
        states[node.path] = new
        penalty = penalty + cost
    return made, states, penalty


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
    node: Node,
    values: Mapping[int, Sequence[Any]],
    params: Params,
    state: State,
    train: bool,
    key: Key | None,
    reads: Sequence[Array | None] | None = None,
) -> tuple[list[Any], State, Array | float]:
    args, kwargs, mask = _resolve((node.args, node.kwargs, node.mask), values)
    args, kwargs = _added((args, kwargs), reads)
    own_key = fold(key, node.path, node.call) if train and key is not None else None
    options = {**kwargs, "mask": mask} if takes_mask(type(node.layer)) else kwargs
    tree, state = applied(node.layer, node.treatment, params, state, args, options, train, own_key)
    outputs = jax.tree.leaves(tree)
    if any(fate is not None and not isinstance(fate, int) for fate in node.inference.masks):
        outputs += outgoing_masks(node.layer, mask, args, len(outputs))
    return outputs, state, penalized(node.layer, node.treatment, params, args, tree)


def _added(tree: Any, probes: Sequence[Array | None] | None) -> Any:
    """The tree with a probe added to each leaf that has one."""
    if probes is None:
        return tree
    leaves, structure = jax.tree.flatten(tree)
    pairs = zip(leaves, probes, strict=True)
    return jax.tree.unflatten(structure, [leaf if probe is None else leaf + probe for leaf, probe in pairs])


def _resolve(tree: Any, values: Mapping[int, Sequence[Any]]) -> Any:
    return jax.tree.map(lambda leaf: values[leaf.node][leaf.index] if isinstance(leaf, Ref) else leaf, tree)


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
            made = initialized(node.layer, node.treatment, fold(key, node.path), specs, options)
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
