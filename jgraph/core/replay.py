"""Drawing a model's nodes again, on the same inputs, with one thing changed."""

import dataclasses
import graphlib
import inspect
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import jax

from jgraph.core.calls import automatic_mask, make_call
from jgraph.core.flat import closing_call, symbol_of
from jgraph.core.graph import Graph, Node, Ref, refs_in
from jgraph.core.layer import InputLayer, Layer
from jgraph.core.nest import call_within, with_masks
from jgraph.core.symbol import Symbol, Within
from jgraph.core.treatment import Treatment
from jgraph.draw.specs import show, show_tree
from jgraph.errors import ArgumentError, GraphError, ShapeError
from jgraph.typing import PyTree

Symbols = tuple[Any, ...]
"""The symbols of one node: its outputs, each with its mask."""

Change = Callable[["Replay", int, Node], Symbols | None]
"""Draws what stands at a place from now on, or gives `None` where that is what stood there."""


class Replay:
    """A drawing in the making: the nodes of a graph, drawn once more on the graph's own inputs.

    `swaps` are layers and nested models that others take the place of; a nested model that is called is drawn afresh,
    so that its inner nodes are those of what took its place. A nested call whose inputs are not in the graph, because
    the graph was cut there, is drawn node by node as it stands.
    """

    def __init__(self, graph: Graph, swaps: Mapping[Any, Any], change: Change | None = None) -> None:
        self.graph, self.swaps, self.change = graph, swaps, change
        self.symbols: dict[int, Symbols] = {}
        self.inner: dict[int, dict[tuple[str, int], Symbols]] = {}
        self.before: dict[int, tuple[tuple[Node, ...], dict[tuple[int | None, int | None], int]]] = {}
        self.tokens = {place: object() for place, node in enumerate(graph.nodes) if node.layer.is_graph}
        self.units = self._units()
        self.layers = {node.layer for node in graph.nodes}
        self.held: dict[int, set[Any]] = {}
        for node, unit in zip(graph.nodes, self.units, strict=True):
            self.held.setdefault(unit, set()).add(node.layer)

    def run(self) -> "Replay":
        """Draws everything, each node after what it reads."""
        nodes = self.graph.nodes
        waits: dict[int, set[int]] = {unit: set() for unit in self.units}
        for place, node in enumerate(nodes):
            unit = self.units[place]
            reads = node.given if node.given is not None else (node.args, node.kwargs, node.mask)
            if unit == place:
                waits[unit] |= {self.units[ref.node] for ref in refs_in(reads)}
        for place in graphlib.TopologicalSorter(waits).static_order():
            node = nodes[place]
            changed = None if self.change is None else self.change(self, place, node)
            self.symbols[place] = self.drawn(place, node) if changed is None else changed
        return self

    def _units(self) -> list[int]:
        """Of each node the outermost call of a nested model that draws it, or the node itself."""
        nodes, units = self.graph.nodes, list(range(len(self.graph.nodes)))
        for place in reversed(range(len(nodes))):  # a model is closed after its nodes
            owner = nodes[place].owner
            if owner is not None and (units[owner] != owner or nodes[owner].given is not None):
                units[place] = units[owner]
        return units

    def drawn(self, place: int, node: Node) -> Symbols:
        """The node as it stood, or what takes its layer's place."""
        if isinstance(node.layer, InputLayer):
            return self.graph.symbols[place]
        if node.given is not None:
            return self.called(place, node, self.inputs_of(node.given))
        args, kwargs, mask = self.tree((node.args, node.kwargs, node.mask if node.by_hand else None))
        if node.layer in self.swaps:
            return self.placed(node, args, kwargs, mask)
        within = Within(self.tokens[node.owner], node.origin or 0) if node.owner is not None else None
        stands: dict[str, Any] = {"path": node.path, "treatment": node.treatment, "within": within}
        if node.layer.is_graph:
            return closing_call(node.layer, args[0], None, token=self.tokens[place], **stands).symbols()
        mask = mask if node.by_hand else automatic_mask(args, kwargs)
        return make_call(node.layer, args, kwargs, mask, node.by_hand, **stands).symbols()

    def called(self, place: int, node: Node, inputs: PyTree, lost: Set[int] = frozenset()) -> Symbols:
        """A call of a nested model, drawn afresh; its inner nodes can be read from then on.

        `lost` are the outputs that the model has no more: nothing stands in their place.
        """
        layer = self.swaps.get(node.layer, node.layer)
        if not isinstance(layer, Layer) or not layer.is_graph:
            return self.placed(node, (inputs,), {}, None)
        model = as_model(layer, inputs)
        stands = {} if node.layer in self.swaps and layer.name not in (None, node.layer.name) else {"path": node.path}
        stays = any(own.layer in self.held[place] for own in model.nodes)
        treatment = node.treatment if stays else trained(node.treatment)
        call, symbols = call_within(layer, model, inputs, treatment=treatment, **stands)
        self.inner[place] = {(n.path, n.call): drawn for n, drawn in zip(model.nodes, symbols, strict=True)}
        if not lost:
            return alike(node, jax.tree.unflatten(call.inference.tree, call.symbols()))
        left = iter(call.symbols())
        return tuple(None if index in lost else next(left) for index in range(len(node.inference.outputs)))

    def placed(self, node: Node, args: tuple, kwargs: dict[str, Any], mask: Any) -> Symbols:
        """Another layer, or what a function draws, in a node's place: under its path, unless it has a name.

        There it is computed as the old one was, but trained, even where the old one was frozen.
        """
        layer = self.swaps.get(node.layer, node.layer)
        if not isinstance(layer, Layer):
            return self.filled(node, layer, args, kwargs)
        elsewhere = layer is not node.layer and layer in self.layers
        if layer.is_graph and layer.name is None and len(args) == 1 and not kwargs:
            call, _ = call_within(
                layer, as_model(layer, args[0]), with_masks(args[0], mask, repr(layer)), path=node.path
            )
        elif layer.is_graph or layer.name is not None or elsewhere:
            return alike(node, layer(*args, **kwargs) if mask is None else layer(*args, mask=mask, **kwargs))
        else:
            by_hand = mask is not None
            mask = mask if by_hand else automatic_mask(args, kwargs)
            treatment = node.treatment if layer is node.layer else trained(node.treatment)
            call = make_call(layer, args, kwargs, mask, by_hand, path=node.path, treatment=treatment)
        return alike(node, jax.tree.unflatten(call.inference.tree, call.symbols()))

    def filled(self, node: Node, function: Any, args: tuple, kwargs: dict[str, Any]) -> Symbols:
        """What a function draws in a node's place, on the symbols that the node reads and the graph's inputs alone.

        Raises:
            ArgumentError: the function takes other arguments.
            GraphError: it reads symbols of the drawing that it changes, which would be a cycle, or of another one.
        """
        where = f"what takes the place of {node.path!r}"
        check_arguments(where, function, args, kwargs)
        symbols = alike(node, function(*args, **kwargs))
        stops = {(s.call.token, s.index) for s in jax.tree.leaves((args, kwargs)) if isinstance(s, Symbol)}
        known = {s[0].call.token: isinstance(s[0].call.layer, InputLayer) for s in self.graph.symbols}
        stack, seen = list(symbols), set()
        while stack:
            symbol = stack.pop()
            call = symbol.call
            if (call.token, symbol.index) in stops or call.token in seen:
                continue
            seen.add(call.token)
            if not known.get(call.token, not isinstance(call.layer, InputLayer)):
                raise GraphError(
                    where,
                    expected="a drawing that reads only the symbols it is given",
                    got=f"one that also reads {call.path or call.layer.name or show(symbol.spec)!r}, "
                    "an old symbol, which the edit would make a cycle of, or one of another drawing",
                    cure="Use the function's arguments, not model.output_of(...), within the function.",
                )
            stack += [*call.sources(), *call.inputs()]
        return symbols

    # Reading what is drawn

    def tree(self, tree: PyTree) -> Any:
        """A tree with the new symbols in place of references."""
        return jax.tree.map(lambda leaf: self.at(leaf) if isinstance(leaf, Ref) else leaf, tree)

    def inputs_of(self, given: PyTree) -> PyTree:
        """What a nested model is called on: its inputs, with the masks that were set by hand."""
        inputs, masks = self.tree(given)  # an optional input that is absent is None, and so is its mask
        symbols, structure = jax.tree.flatten(inputs, is_leaf=lambda leaf: leaf is None)
        masked = [s if s is None else dataclasses.replace(s, mask=m) for s, m in zip(symbols, masks, strict=True)]
        return jax.tree.unflatten(structure, masked)

    def at(self, ref: Ref) -> Symbol:
        """The new symbol at a reference; one within a nested model is found there by its path."""
        unit = self.units[ref.node]
        if unit == ref.node:
            return symbol_of(self.symbols[unit], ref)
        found = self.inner.get(unit, {}).get(self._within(ref.node, unit))
        if found is None:
            node = self.graph.nodes[ref.node]
            raise GraphError(
                f"{node.path!r}",
                expected="a node that is still there, as it is read from outside of the nested model it is in",
                got="an edit that takes it away",
                cure="Edit what reads it first, or end the graph elsewhere.",
            )
        return symbol_of(found, ref)

    def _within(self, place: int, unit: int) -> tuple[str, int]:
        """Path and call of a node in the nested model whose call it is a part of."""
        nodes, chain = self.graph.nodes, [place]
        while nodes[chain[-1]].owner != unit:
            chain.append(nodes[chain[-1]].owner or 0)
        if unit not in self.before:
            model = as_model(nodes[unit].layer, jax.tree.map(self.graph.symbol, nodes[unit].given[0]))
            self.before[unit] = model.nodes, {(n.owner, n.origin): p for p, n in enumerate(model.nodes)}
        inner, places = self.before[unit]
        found = nodes[chain.pop()].origin or 0
        for below in reversed(chain):
            found = places[found, nodes[below].origin]
        return inner[found].path, inner[found].call


def as_model(layer: Any, inputs: PyTree) -> Any:
    """A nested model as such: a plain stack becomes one on the inputs that it is called on."""
    return layer.on(inputs.spec) if hasattr(layer, "on") else layer


def check_whole(model: Any, closer: Node, where: str) -> None:
    """Checks that a graph holds the whole of a call of a nested model.

    Raises:
        GraphError: it was cut inside of it.
    """
    if closer.given is None:
        raise GraphError(
            f"{model!r}, {where} in {closer.path!r}",
            expected="a nested model with all its inputs",
            got="a graph that was cut inside of it",
            cure="Edit the whole model, and cut the edited one.",
        )


def check_arguments(where: str, function: Any, args: tuple, kwargs: dict[str, Any]) -> None:
    """Checks that a function can be called like this.

    Raises:
        ArgumentError: it cannot.
    """
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except ValueError:  # some functions of C have no signature
        return
    except TypeError as error:
        raise ArgumentError(
            where,
            expected=f"a function of what the old layer was called on: {show_tree((*args, *kwargs.values()))}",
            got=f"a function for which there is: {error}",
            cure="Give it one parameter for each, and the keywords.",
        ) from error


def alike(node: Node, made: PyTree) -> Symbols:
    """The symbols of what takes a node's place, once it is found to have as many outputs.

    Raises:
        ShapeError: it has not, or gave no symbols.
    """
    symbols = tuple(jax.tree.leaves(made))
    alike = jax.tree.structure(made) == node.inference.tree
    if not alike or not all(isinstance(s, Symbol) for s in symbols):
        raise ShapeError(
            f"what takes the place of {node.path!r}",
            expected=f"outputs in the structure of those before: {show_tree(node.inference.outputs)}",
            got=show_tree(made),
            cure="Change what reads them in the same way, or draw a model of your own from model.inputs.",
        )
    return symbols


def lifted(model: Any, swaps: Mapping[Any, Any]) -> Any:
    """The model with other layers in the place of some, in all models nested in it too."""
    swaps, same = dict(swaps), set()
    for node in model.nodes:  # what is nested in another is closed before it
        layer = node.layer
        if layer.is_graph and node.given is None:
            parts = layer.layers.values() if isinstance(layer.layers, Mapping) else layer.layers
            if layer in swaps or any(part in swaps for part in parts):
                check_whole(model, node, "edit")
            continue
        if not layer.is_graph or layer in swaps or layer in same:
            continue
        inner = as_model(layer, jax.tree.map(model.graph.symbol, node.given[0]))
        if any(own.layer in swaps for own in inner.nodes if own.owner is None):
            swaps[layer] = made(inner, Replay(inner.graph, swaps).run())
        else:
            same.add(layer)
    return made(model, Replay(model.graph, swaps).run())


def made(old: Any, replay: Replay, inputs: PyTree = None, outputs: PyTree = None) -> Any:
    """The model of what was drawn, with the treatments that its paths had; what is new is trained."""
    graph = old.graph
    inputs = jax.tree.map(graph.symbol, graph.inputs) if inputs is None else inputs
    new = type(old)(inputs, replay.tree(graph.outputs) if outputs is None else outputs, name=old.name)
    kept = new.graph.kept - {node.path for node in graph.nodes} | (new.graph.kept & graph.kept)
    object.__setattr__(new, "graph", dataclasses.replace(new.graph, kept=kept))
    return new.with_treatments(_treatments(graph.nodes, new.nodes))


def trained(treatment: Treatment) -> Treatment:
    """The treatment of what takes a place: a new layer has learnt nothing that could be worth freezing."""
    return dataclasses.replace(treatment, trainable=True)


def _treatments(old: Sequence[Node], new: Sequence[Node]) -> list[Treatment]:
    """How new nodes are treated: as their path was, trained as their layer was; a layer that is new as it was drawn.

    Where the calls of a path or layer were treated in several ways, each call keeps what it was drawn with.
    """
    paths: dict[str, list[Treatment]] = {}
    layers: dict[Any, list[Treatment]] = {}
    for node in old:
        paths.setdefault(node.path, []).append(node.treatment)
        layers.setdefault(node.layer, []).append(node.treatment)

    def agreed(setting: str, node: Node) -> Any:
        before = layers.get(node.layer) if setting == "trainable" else paths.get(node.path)
        found = {getattr(treatment, setting) for treatment in before or [node.treatment]}
        return found.pop() if len(found) == 1 else getattr(node.treatment, setting)

    settings = [field.name for field in dataclasses.fields(Treatment)]
    return [Treatment(**{setting: agreed(setting, node) for setting in settings}) for node in new]
