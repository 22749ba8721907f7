"""From a drawing to a flat graph: nodes in topological order, each with its name, and references as integers."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax

from jgraph.core.calls import automatic_mask
from jgraph.core.infer import Inference
from jgraph.core.layer import InputLayer, check_name, input_symbol
from jgraph.core.order import order
from jgraph.core.sizes import unsolvable
from jgraph.core.spec import known
from jgraph.core.symbol import Call, Symbol
from jgraph.core.treatment import PLAIN, Treatment
from jgraph.draw.specs import show, show_size
from jgraph.errors import GraphError, NameClashError, ShapeError, SymbolError
from jgraph.tree import leaves_with_names, write
from jgraph.typing import PyTree, Spec


@dataclasses.dataclass(frozen=True)
class Ref:
    """A reference to a leaf of a node's outputs; beyond the outputs come their masks."""

    node: int
    index: int

    def __deepcopy__(self, memo: dict[int, Any]) -> "Ref":
        del memo
        return self


def refs_in(tree: PyTree) -> list[Ref]:
    """The references in a tree, in order."""
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, Ref)]


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One call in a model: the layer, its path, which of the layer's calls this is, and where its inputs come from.

    A node of a nested model knows its `owner`, the place of the node that closes that call of the model, and its own
    place `origin` in the nested model. A node that closes a nested model has in `given` what that was called on, `None`
    where the graph was cut in between.
    """

    layer: Any
    path: str
    call: int
    args: tuple
    kwargs: dict[str, Any]
    mask: Any
    by_hand: bool
    inference: Inference
    treatment: Treatment = PLAIN
    owner: int | None = None
    origin: int | None = None
    given: PyTree = None

    @property
    def names(self) -> tuple[str, ...]:
        """The path as the keys that lead to the layer's parameters."""
        return tuple(self.path.split("/"))


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """Nodes with the inputs and outputs as trees of references, and per node the symbols that carry its name on.

    `kept` are the paths that were handed on by another model; the others were given here.
    """

    nodes: tuple[Node, ...]
    inputs: PyTree
    outputs: PyTree
    symbols: tuple[tuple[Symbol, ...], ...]
    kept: frozenset[str]

    @functools.cached_property
    def places(self) -> Mapping[str, list[int]]:
        """Where the calls of each path stand, in their order."""
        places: dict[str, list[int]] = {}
        for place, node in enumerate(self.nodes):
            places.setdefault(node.path, []).append(place)
        return places

    def symbol(self, ref: Ref) -> Symbol:
        """The named symbol that a reference stands for."""
        return symbol_at(self.symbols, ref)


def symbol_at(symbols: Sequence[tuple[Symbol, ...]], ref: Ref) -> Symbol:
    """The symbol at a reference: an output of the node, or beyond those the mask of an output."""
    outputs = symbols[ref.node]
    if ref.index < len(outputs):
        return outputs[ref.index]
    mask = outputs[ref.index - len(outputs)].mask
    assert mask is not None, "references beyond the outputs are made only where there is a mask"
    return mask


def flatten(inputs: PyTree, outputs: PyTree, where: str) -> Graph:
    """Checks a drawing, orders it, names it and writes it flat.

    Raises:
        GraphError: an output needs an input that was not given, or an input is given twice.
        NameClashError: two layers have the same explicit name.
        ShapeError: a shared layer would need two sets of weights.
        SymbolError: a leaf of inputs or outputs is no symbol.
    """
    ends = [(name, symbol) for name, symbol in _symbols(outputs, f"{where}, outputs")]
    _check_ends(ends, where)
    starts = _starts(inputs, where)
    sources = {(s.call.token, s.index): symbol for s, symbol in starts}
    calls, cut = order(starts, ends, where)
    paths = name_calls(calls)
    nodes, symbols = [], []
    used: dict[Any, int] = {}
    place = {call.token: position for position, call in enumerate(calls)}

    for call, path in zip(calls, paths, strict=True):
        args, kwargs, mask = jax.tree.map(lambda s: refer(s, place, sources), (call.args, call.kwargs, call.mask))
        number = used.get(call.layer, 0)
        used[call.layer] = number + 1
        named = _named(call, path, (args, kwargs, mask), symbols)
        owner = place.get(call.within.token) if call.within else None
        origin = call.within.place if call.within and owner is not None else None
        given = _given(call, place, sources) if call.layer.is_graph and call.token not in cut else None
        nodes.append(
            Node(
                *(call.layer, path, number, args, kwargs, mask, named.by_hand, call.inference),
                *(call.treatment, owner, origin, given),
            )
        )
        symbols.append(named.symbols())
    check_weights(nodes)
    given, made = (jax.tree.map(lambda s: refer(s, place, sources), tree) for tree in (inputs, outputs))
    kept = frozenset(path for call, path in zip(calls, paths, strict=True) if call.path == path and call.scope is None)
    return Graph(tuple(nodes), given, made, tuple(symbols), kept)


def _given(call: Call, place: dict[object, int], sources: dict[tuple[object, int], Symbol]) -> PyTree:
    """What a nested model was called on, as references; `None` where a part of it is not in this graph."""
    symbols = [s for s in jax.tree.leaves(call.given) if isinstance(s, Symbol)]
    starts = [sources.get((s.call.token, s.index), s) for s in symbols]
    if not all(s.call.token in place for s in starts):
        return None
    return jax.tree.map(lambda s: refer(s, place, sources), call.given)


def refer(value: Any, place: dict[object, int], sources: dict[tuple[object, int], Symbol]) -> Any:
    """A symbol as a reference, through the input that stands for it; constants as they are."""
    if not isinstance(value, Symbol):
        return value
    source = sources.get((value.call.token, value.index), value)
    return Ref(place[source.call.token], source.index)


def _named(call: Call, path: str, refs: tuple, symbols: list[tuple[Symbol, ...]]) -> Call:
    """A call's renamed copy, which reads renamed symbols itself.

    A mask that its inputs do not carry, because the model was cut between them, counts as set by hand.
    """
    args, kwargs, mask = jax.tree.map(lambda r: symbol_at(symbols, r) if isinstance(r, Ref) else r, refs)
    carried, given = (
        [m if m is None else (m.call.token, m.index) for m in jax.tree.leaves(masks, is_leaf=lambda m: m is None)]
        for masks in (automatic_mask(args, kwargs), mask)
    )
    by_hand = call.by_hand or (carried != given and not call.layer.is_graph)
    renamed = {"args": args, "kwargs": kwargs, "mask": mask, "by_hand": by_hand, "scope": None, "path": path}
    return dataclasses.replace(call, **renamed)


def _check_ends(ends: list[tuple[str, Symbol]], where: str) -> None:
    """An output is always there, so an optional input cannot be one."""
    if absent := [name for name, symbol in ends if symbol.optional]:
        raise GraphError(
            f"{where}, outputs {absent[0]!r}".removesuffix(" ''"),
            expected="an output that is there whatever is given",
            got="an optional input",
            cure="End the graph in a layer that reads it.",
        )


def _symbols(tree: PyTree, where: str) -> list[tuple[str, Symbol]]:
    leaves = leaves_with_names(tree, is_leaf=lambda x: x is None)
    for name, leaf in leaves:
        if not isinstance(leaf, Symbol):
            raise SymbolError(
                f"{where}{f' {name!r}' if name else ''}",
                expected="a symbol",
                got=type(leaf).__name__,
                cure="Inputs come from jg.Input, outputs from calling layers on symbols.",
            )
    if not leaves:
        raise GraphError(
            where, expected="at least one symbol", got="none", cure="Give the model an input and an output."
        )
    return leaves


def _starts(inputs: PyTree, where: str) -> list[tuple[Symbol, Symbol]]:
    """Each input symbol with the symbol of its input layer: a middle tensor gets a layer of its own."""
    starts, seen = [], {}
    for name, symbol in _symbols(inputs, f"{where}, inputs"):
        identity = symbol.call.token, symbol.index
        if identity in seen:
            raise GraphError(
                f"{where}, inputs",
                expected="every input once",
                got=f"the same symbol at {seen[identity]!r} and {name!r}",
                cure="Use one input in both places of the drawing.",
            )
        seen[identity] = name
        start = symbol
        if not isinstance(symbol.call.layer, InputLayer):
            start = input_symbol(InputLayer(known(symbol.spec)[1:], str(symbol.dtype)), symbol.spec, object())
        starts.append((symbol, start))
    named = {d for _, s in starts for t, d in zip(s.call.layer.shape, s.shape[1:], strict=True) if isinstance(t, str)}
    if named and (lost := [d for d in unsolvable(d for _, s in starts for d in s.shape) if d in named]):
        raise ShapeError(
            f"{where}, inputs",
            expected="axes whose names can be found from the sizes of the inputs",
            got=show_size(lost[0]),
            cure="Give each name an axis where it stands alone, or in a line such as '4*h + 1'.",
        )
    return starts


def name_calls(calls: list[Call]) -> list[str]:
    """The path of each call. Names that a model has given stay; explicit names come next, then numbered classes.

    A layer inside a nested model has that model's name in front. A layer used at several places has the path of its
    first call, which is where its parameters live.
    """
    paths: dict[Any, str] = {}
    taken: dict[str, Any] = {}
    firsts = {call.layer: call for call in reversed(calls)}
    for call in calls:
        if call.path is not None and call.scope is None and call.layer not in paths:
            if taken.get(call.path) is not None:
                _clash(
                    call.path, taken[call.path], call.layer, "Call the models as layers, which keeps their names apart."
                )
            taken[call.path], paths[call.layer] = call.layer, call.path
            taken.setdefault(call.path.split("/")[0], None)  # the nested model, if only a part of it is here
    entities = dict.fromkeys(c.scope or c.layer for c in calls if firsts[c.layer] is c)
    new = [entity for entity in entities if entity not in paths]
    for entity in new:
        if entity.name is not None:
            check_name(entity)
            if taken.get(entity.name) is not None or (entity.name in taken and not entity.is_graph):
                _clash(entity.name, taken[entity.name] or "a nested model", entity, "Rename one of them.")
            taken[entity.name], paths[entity] = entity, entity.name
    counts: dict[str, int] = {}
    for entity in new:
        if entity.name is None:
            paths[entity] = _number(entity.default_name(), taken, counts)
            taken[paths[entity]] = entity
    return _homes(calls, paths)


def _homes(calls: list[Call], paths: dict[Any, str]) -> list[str]:
    """The path where each call's layer lives: that of a kept name, else of the layer's first call."""
    homes: dict[Any, str] = {c.layer: paths[c.layer] for c in calls if c.scope is None and c.path is not None}
    owners: dict[str, Any] = {path: layer for layer, path in homes.items()}
    for call in calls:
        if call.layer not in homes:
            path = paths[call.layer] if call.scope is None else f"{paths[call.scope]}/{call.path}"
            homes[call.layer] = path
            if owners.setdefault(path, call.layer) is not call.layer:
                _clash(path, owners[path], call.layer, "Rename the model that one of them is in.")
    return [homes[call.layer] for call in calls]


def _number(base: str, taken: dict[str, Any], counts: dict[str, int]) -> str:
    """`dense`, `dense_1`, ...: the first that is free; `counts` remembers how far each base has come."""
    while True:
        number = counts.get(base, 0)
        counts[base] = number + 1
        name = f"{base}_{number}" if number else base
        if name not in taken:
            return name


def _clash(name: str, first: Any, second: Any, cure: str) -> None:
    raise NameClashError(
        f"the name {name!r}",
        expected="one layer of that name",
        got=f"{first!r} and {second!r}, which are two",
        cure=cure,
    )


def check_weights(nodes: list[Node]) -> None:
    """Compares what the calls of a shared layer need: one layer is one set of weights."""
    first: dict[Any, Node] = {}
    for node in nodes:
        home = first.setdefault(node.layer, node)
        if home.inference is not node.inference and _weights(home) != _weights(node):
            raise ShapeError(
                f"{node.path} ({node.layer!r})",
                expected=f"the same weights at each call: call {home.call} needs {_weights(home)}",
                got=f"{_weights(node)} at call {node.call}",
                cure="Use two layers, or bring the inputs to one shape.",
            )


def _weights(node: Node) -> dict[str, str]:
    return {name: show(s) for name, s in leaves_with_names((node.inference.params, node.inference.state))}


def specs_of(nodes: Iterable[Node], kind: str) -> dict[str, Any]:
    """The specs of all `params` or `state`, nested by path."""
    tree: dict[str, Any] = {}
    for node in nodes:
        if node.call == 0:
            write(tree, node.names, getattr(node.inference, kind))
    return tree


def spec_of(graph: Graph, ref: Ref) -> Spec:
    """The spec of the array that a reference stands for."""
    return graph.symbol(ref).spec
