"""What the nodes of a model cost: operations, and the bytes that each keeps for the backward pass.

Each node is traced by itself, at the sizes of its inputs, without compiling; equal layers on equal specs share the
answer. The memo is bounded and holds the value of a pure function, so it cannot be seen from outside.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal

from jgraph.core.blocks import blocks_of
from jgraph.core.graph import Node, Ref, refs_in
from jgraph.core.infer import Question, infer, takes_mask
from jgraph.core.layer import InputLayer
from jgraph.core.operations import operations_of
from jgraph.core.residuals import CONSTANT, Value, carried, kept_of, size_of, used, values_of
from jgraph.core.sizes import names_in, value_of
from jgraph.core.treatment import applied
from jgraph.tree import leaves_with_names
from jgraph.typing import PyTree, Spec

Place = tuple[int, int]
"""An array of a graph: the place of its node, and which of the node's outputs it is."""


class Cost(NamedTuple):
    """What one call costs: operations of a prediction, and of a training pass forward and back.

    `inside` are the bytes that the backward pass needs of what the call computes, without its inputs and outputs:
    `inputs` and `outputs` say which of these stay too. `same` says which input each output is, where it is one.
    `loops` are loops of unknown length, whose bodies were counted once.
    """

    operations: int = 0
    training: int = 0
    loops: int = 0
    inside: int = 0
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    same: tuple[int | None, ...] = ()


@dataclasses.dataclass(frozen=True)
class NodeCost:
    """What a node of a graph costs, `None` in the place of `cost` where that depends on free axes.

    `reads` are the arrays that it is given, `keeps` those of them, and of its own outputs, that its backward pass
    needs; `bytes` are those of its outputs. What only hands an array on is seen through.
    """

    cost: Cost | None
    reads: tuple[Place, ...]
    keeps: tuple[Place, ...]
    bytes: tuple[int, ...]
    moving: bool


def costs_of(nodes: Sequence[Node], rows: int = 1, sizes: Mapping[str, int] | None = None) -> list[NodeCost]:
    """The cost of every node for so many rows of the batch; `sizes` are those of free axes, by name.

    >>> import jgraph as jg
    >>> model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(3, use_bias=False)])
    >>> [node.cost.operations for node in costs_of(model.nodes)]
    [0, 24]
    """
    known = {"batch": rows, **(sizes or {})}
    found: list[NodeCost] = []
    same: dict[Place, Place] = {}
    moving: set[Place] = set()
    for place, node in enumerate(nodes):
        refs = refs_in((node.args, node.kwargs, node.mask))
        reads = tuple(same.get((ref.node, ref.index), (ref.node, ref.index)) for ref in refs)
        made = len(node.inference.outputs)
        if node.layer.is_graph:
            same |= {(place, index): read for index, read in enumerate(reads[:made])}
            found.append(NodeCost(Cost(), reads, (), (0,) * made, any(read in moving for read in reads)))
            continue
        moves = _trains(node) or any(read in moving for read in reads)
        cost = _cost_at(nodes, node, tuple(read in moving for read in reads), known)
        own = cost or Cost()
        same |= {(place, index): reads[leaf] for index, leaf in enumerate(own.same) if leaf is not None}
        if moves:
            moving |= {(place, i) for i, spec in enumerate(node.inference.outputs) if _floats(spec)}
        keeps = (*(reads[leaf] for leaf in own.inputs), *(same.get(p := (place, i), p) for i in own.outputs))
        every = (*node.inference.outputs, *node.inference.masks)
        sizes_of = tuple(_bytes(spec, known) if isinstance(spec, jax.ShapeDtypeStruct) else 0 for spec in every)
        found.append(NodeCost(cost, reads, tuple(dict.fromkeys(keeps)), sizes_of, moves))
    return found


def activations_of(nodes: Sequence[Node], costs: Sequence[NodeCost], outputs: PyTree) -> list[int]:
    """The bytes that each node keeps for the backward pass, and for the loss the model's `outputs`.

    Of nodes that are computed again (`remat`) nothing is kept but what they read, at the nodes that made it.
    """
    again = [block for block in blocks_of(nodes) if nodes[block[-1]].treatment.remat]
    return activations_with(nodes, costs, outputs, again)


def activations_with(
    nodes: Sequence[Node], costs: Sequence[NodeCost], outputs: PyTree, again: Iterable[Sequence[int]]
) -> list[int]:
    """The bytes that each node keeps where these blocks are computed again, whatever the nodes' treatment says."""
    kept: dict[Place, None] = {}
    inside = [(cost.cost or Cost()).inside for cost in costs]
    covered: set[int] = set()
    for block in again:
        own = set(block)
        covered |= own
        for place in block:
            inside[place] = 0
        if any(costs[place].moving for place in block):
            kept |= dict.fromkeys(read for place in block for read in costs[place].reads if read[0] not in own)
    for place, cost in enumerate(costs):
        if place not in covered:
            kept |= dict.fromkeys(cost.keeps)
    refs = [ref for ref in jax.tree.leaves(outputs) if costs[ref.node].moving]
    kept |= dict.fromkeys(seen_through(costs, nodes, (ref.node, ref.index)) for ref in refs)
    for place, index in kept:
        if not isinstance(nodes[place].layer, InputLayer):
            inside[place] += costs[place].bytes[index]
    return inside


def seen_through(costs: Sequence[NodeCost], nodes: Sequence[Node], place: Place) -> Place:
    """The array itself, where a node only hands it on."""
    cost, index = costs[place[0]], place[1]
    if nodes[place[0]].layer.is_graph:
        return cost.reads[index]
    same = (cost.cost or Cost()).same
    leaf = same[index] if index < len(same) else None
    return place if leaf is None else cost.reads[leaf]


def _trains(node: Node) -> bool:
    return node.treatment.trainable and bool(node.inference.params)


def _floats(spec: Any) -> bool:
    return jnp.issubdtype(spec.dtype, jnp.inexact)


def _bytes(spec: Spec, known: Mapping[str, int]) -> int:
    sized = _sized(spec, known)
    return 0 if sized is None else size_of(sized)


def _sized(spec: Spec, known: Mapping[str, int]) -> Spec | None:
    """A spec with its sizes, `None` where some are not known."""
    if any(names_in(size) - known.keys() for size in spec.shape if not isinstance(size, int)):
        return None
    return jax.ShapeDtypeStruct(tuple(value_of(size, known) for size in spec.shape), spec.dtype)


def _cost_at(nodes: Sequence[Node], node: Node, moving: tuple[bool, ...], known: Mapping[str, int]) -> Cost | None:
    """The cost of a node at these sizes."""
    if isinstance(node.layer, InputLayer):
        return Cost(same=(None,))

    def sized(leaf: Any) -> Any:
        if not isinstance(leaf, Ref):
            return leaf
        inference = nodes[leaf.node].inference
        spec: Any = (*inference.outputs, *inference.masks)[leaf.index]
        return _sized(spec, known) or _UNKNOWN

    args, kwargs, mask = jax.tree.map(sized, (node.args, node.kwargs, node.mask))
    if any(leaf is _UNKNOWN for leaf in jax.tree.leaves((args, kwargs, mask))):
        return None
    question = Question(node.layer, args, kwargs, mask, node.treatment, frozenset())
    asked = _Asked(question, moving, node.inference.params, node.inference.state)
    try:
        hash(question)
    except TypeError:  # an unhashable constant or field: nothing to look the answer up by
        return _cost.__wrapped__(asked)
    try:
        return _cost(asked)
    except Exception:
        infer(node.layer, args, kwargs, mask, node.treatment)  # which says what does not fit
        raise


_UNKNOWN = object()


@dataclasses.dataclass(frozen=True)
class _Asked:
    """A call at sizes that are known, and which of its inputs need a gradient; params and state follow from it."""

    question: Question
    moving: tuple[bool, ...]
    params: PyTree = dataclasses.field(compare=False)
    state: PyTree = dataclasses.field(compare=False)


@functools.lru_cache(maxsize=4096)
def _cost(asked: _Asked) -> Cost:
    """The cost of a call."""
    (layer, args, kwargs, mask), treatment = asked.question.call, asked.question.treatment
    params, state = asked.params, asked.state
    leaves, tree = jax.tree.flatten((args, kwargs, mask))
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.ShapeDtypeStruct)]
    specs = [leaves[i] for i in places]

    def outputs(params: PyTree, arrays: Sequence[Any], state: PyTree, train: bool, key: Any) -> list[Any]:
        full = [*leaves]
        for place, array in zip(places, arrays, strict=True):
            full[place] = array
        a, k, m = jax.tree.unflatten(tree, full)
        options = {**k, "mask": m} if takes_mask(type(layer)) else k
        return jax.tree.leaves(applied(layer, treatment, params, state, a, options, train, key)[0])

    forward = jax.make_jaxpr(lambda p, x, s: outputs(p, x, s, False, None))(params, specs, state)
    counted = operations_of(used(forward))
    first = len(jax.tree.leaves(params))
    learnt = _learnt(layer, params) if treatment.trainable else []
    moved = [i for i, moves in enumerate(asked.moving) if moves]
    if not learnt and not moved:
        # The identity of a prediction, as a dropout, makes an array of its own in training.
        alone = jax.make_jaxpr(lambda p, x, s, k: outputs(p, x, s, True, k))(params, specs, state, _key())
        training = operations_of(used(alone)).count
        return Cost(counted.count, training, counted.loops, same=_same(_made(alone, values_of(alone)), first))
    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in forward.out_avals]
    cotangents = [shape for shape in shapes if _floats(shape)]
    program = _both(outputs, (params, specs, state), learnt, moved, cotangents)
    training, values = operations_of(used(program)).count, values_of(program)
    kept = kept_of([values[v] for v in carried(used(program), len(cotangents)) if v in values])
    made = _made(program, values)[: len(shapes)]
    own = {id(value): index for index, value in reversed(list(enumerate(made)))}
    return Cost(
        counted.count,
        training,
        counted.loops,
        inside=sum(v.bytes for v in kept if v.place is None and id(v) not in own),
        inputs=tuple(v.place - first for v in kept if v.place is not None and 0 <= v.place - first < len(specs)),
        outputs=tuple(own[id(v)] for v in kept if id(v) in own and v.place is None),
        same=_same(made, first),
    )


def _learnt(layer: Any, params: PyTree) -> list[int]:
    """Which leaves of the params need a gradient."""
    frozen = tuple("/".join(path) for path in layer.frozen(params))
    named = enumerate(leaves_with_names(params))
    return [n for n, (name, leaf) in named if _floats(leaf) and not any(f"{name}/".startswith(f"{f}/") for f in frozen)]


def _both(
    outputs: Any, given: tuple, learnt: Sequence[int], moved: Sequence[int], cotangents: Sequence[Spec]
) -> ClosedJaxpr:
    """The forward and the backward pass as one program, whose last inputs are the cotangents."""
    params, specs, state = given
    flat, tree = jax.tree.flatten(params)

    def both(flat: list, specs: list, state: PyTree, key: Any, cotangents: list) -> list:
        def varied(some: list, others: list) -> tuple[list, list]:
            p, x = [*flat], [*specs]
            for place, value in zip(learnt, some, strict=True):
                p[place] = value
            for place, value in zip(moved, others, strict=True):
                x[place] = value
            made = outputs(jax.tree.unflatten(tree, p), x, state, True, key)
            return [leaf for leaf in made if _floats(leaf)], made

        _, back, made = jax.vjp(varied, [flat[i] for i in learnt], [specs[i] for i in moved], has_aux=True)
        return [*made, *jax.tree.leaves(back(cotangents))]

    return jax.make_jaxpr(both)(flat, list(specs), state, _key(), list(cotangents))


def _key() -> Spec:
    """What a random key is."""
    return jax.eval_shape(lambda: jax.random.key(0))


def _made(program: ClosedJaxpr, values: Mapping[Any, Value]) -> list[Value]:
    """The values that a program returns."""
    return [CONSTANT if isinstance(atom, Literal) else values.get(atom, CONSTANT) for atom in program.jaxpr.outvars]


def _same(made: Sequence[Value], first: int) -> tuple[int | None, ...]:
    """Which input each output is; inputs begin at a place."""
    return tuple(None if v.place is None or v.place < first else v.place - first for v in made)
