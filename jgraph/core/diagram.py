"""From a graph to the rows of its picture: boxes for nodes, frames for nested models, links with their masks."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax

from jgraph.core.caption import caption, kind_of
from jgraph.core.find import symbols_read
from jgraph.core.graph import Graph, Node, Ref, refs_in
from jgraph.core.layer import InputLayer
from jgraph.core.policy import changed, frozen_of
from jgraph.core.summary import count, fate_of_mask, size
from jgraph.draw.diagram import Box, Diagram, Frame, Link, LinkKind
from jgraph.draw.specs import show, show_size
from jgraph.tree import leaves_with_names
from jgraph.typing import Spec

MOST_SHAPES = 3
"""How many outputs of one layer a box shows."""

Ends = tuple[int, int, int | None]
"""A box, a box that reads it, and which of its outputs, where it has several."""


@dataclasses.dataclass(frozen=True)
class Shown:
    """What of a model a picture shows; in the words of Keras' `plot_model`."""

    show_shapes: bool = True
    show_dtype: bool = False
    show_params: bool = True
    expand_nested: bool = True


def diagram_of(graph: Graph, title: str, shown: Shown, rankdir: Any = "TB") -> Diagram:
    """The diagram of a graph. A node that closes a nested model is a frame, or one box if that is not expanded."""
    rows = _Rows(graph, shown)
    boxes = [rows.box(place) for place in rows.drawn]
    links: dict[Ends, LinkKind] = {}
    for number, place in enumerate(rows.drawn):
        for source, output, kind in rows.read(place):
            _link(links, (source, number, output), kind)
    for name, ref in leaves_with_names(graph.outputs):
        source, output = rows.source(ref)
        word = "output" if not name else f"output {name}" if name[0].isdigit() else name
        _link(links, (source, len(boxes), output), "both" if graph.symbol(ref).mask is not None else "data")
        boxes.append(Box(word, "output", details=f"an output of the model: {show(graph.symbol(ref).spec)}"))
    made = tuple(Link(*ends, kind=kind) for ends, kind in links.items())
    return Diagram(title, _subtitle(graph), tuple(boxes), made, tuple(rows.frames()), rankdir)


def _link(links: dict[Ends, LinkKind], ends: Ends, kind: LinkKind) -> None:
    """Notes a link; what is read twice is one link, and a mask that goes with what is read is part of it."""
    for known in (ends, (ends[0], ends[1], None)) if kind == "mask" else (ends,):
        if known in links:
            links[known] = kind if links[known] == kind else "both"
            return
    links[ends] = kind


def _subtitle(graph: Graph) -> str:
    """How large it is, in one line."""
    leaves = jax.tree.leaves([node.inference.params for node in graph.nodes if node.call == 0])
    words = [f"{len(graph.nodes):,} nodes", f"{count(leaves):,} parameters ({size(leaves)})"]
    frozen = frozen_of(graph.nodes)
    own = [
        leaf
        for node in graph.nodes
        if node.call == 0
        for path, leaf in jax.tree_util.tree_flatten_with_path(node.inference.params)[0]
        if any((*node.names, *(k.key for k in path))[: len(f)] == f for f in _of(frozen, node))
    ]
    return " · ".join([*words, f"{count(own):,} frozen"] if own else words)


def _of(frozen: frozenset[tuple[str, ...]], node: Node) -> list[tuple[str, ...]]:
    return [path for path in frozen if path[: len(node.names)] == node.names]


class _Rows:
    """A graph read for its picture: which nodes are boxes, which are frames, and what shares weights."""

    def __init__(self, graph: Graph, shown: Shown) -> None:
        self.graph, self.shown, nodes = graph, shown, graph.nodes
        inner = {node.owner for node in nodes if node.owner is not None}
        expands = shown.expand_nested
        self.framed = [p for p, n in enumerate(nodes) if n.layer.is_graph and p in inner] if expands else []
        outermost = [*range(len(nodes))]
        for place in reversed(range(len(nodes))) if not expands else ():
            owner = nodes[place].owner
            outermost[place] = place if owner is None else outermost[owner]
        self.framed.sort(reverse=True)  # a model is closed after its nodes, so this has parents first
        self.frame_number = {place: number for number, place in enumerate(self.framed)}
        self.outermost = outermost
        self.drawn = [p for p in range(len(nodes)) if p not in self.frame_number and outermost[p] == p]
        self.number = {place: number for number, place in enumerate(self.drawn)}
        self.weights = self._weights()
        self.frozen = set(frozen_of(nodes))

    def _weights(self) -> dict[str, int]:
        """The number of each set of weights that is shown as shared: not those in a nested model that is itself."""
        calls = {path: len(places) for path, places in self.graph.places.items()}
        found: dict[str, int] = {}
        for place in sorted([*self.drawn, *self.framed]):
            node = self.graph.nodes[place]
            owner = node.owner
            several = calls[node.path] > 1 and (node.inference.params or node.inference.state or node.layer.is_graph)
            said = owner in self.frame_number and calls[self.graph.nodes[owner].path] == calls[node.path]
            if several and not said:
                found.setdefault(node.path, len(found))
        return found

    def box(self, place: int) -> Box:
        """The box of a node."""
        node = self.graph.nodes[place]
        lines = [caption(node), *self._outputs(node)]
        if self.shown.show_params and (own := self._parameters(place)):
            lines.append(own)
        fate = fate_of_mask(self.graph, place)
        return Box(
            name=self._name(node),
            kind=kind_of(node.layer),
            lines=tuple(line for line in lines if line),
            frame=self.frame_number.get(node.owner) if node.owner is not None else None,
            details=self._details(node),
            weights=self.weights.get(node.path),
            call=node.call,
            mask={"made here": "made", "ends here": "ends"}.get(fate, ""),
            marks=self._marks(node),
        )

    def frames(self) -> Iterator[Frame]:
        """The frames of the nested models, parents first."""
        for place in self.framed:
            node = self.graph.nodes[place]
            yield Frame(
                self._name(node),
                self.frame_number.get(node.owner) if node.owner is not None else None,
                self._details(node),
                self.weights.get(node.path),
                node.call,
                self._marks(node),
            )

    def read(self, place: int) -> Iterator[tuple[int, int | None, LinkKind]]:
        """What a drawn node reads: the box, its output if it has several, and whether it is data, a mask or both."""
        node = self.graph.nodes[place]
        for ref in symbols_read(node):
            masked = self.graph.symbol(ref).mask is not None and not node.by_hand
            yield *self.source(ref), "both" if masked else "data"
        for ref in refs_in(node.mask) if node.by_hand else ():
            yield *self.source(ref), "mask"

    def source(self, ref: Ref) -> tuple[int, int | None]:
        """The box that a reference leads to, and which of its outputs it is where there are several."""
        nodes = self.graph.nodes
        while ref.node in self.frame_number:
            ref = jax.tree.leaves(nodes[ref.node].args)[ref.index]
        box = self.outermost[ref.node]
        outputs = len(nodes[ref.node].inference.outputs)
        return self.number[box], ref.index if box == ref.node and outputs > 1 and ref.index < outputs else None

    def _name(self, node: Node) -> str:
        """The path without that of the frame around it, which says it already."""
        if node.owner is None or not self.shown.expand_nested:
            return node.path
        return node.path.removeprefix(f"{self.graph.nodes[node.owner].path}/")

    def _outputs(self, node: Node) -> list[str]:
        specs = node.inference.outputs
        if not self.shown.show_shapes and not self.shown.show_dtype:
            return []
        texts = [self._spec(s) for s in specs[:MOST_SHAPES]]
        if len(specs) > 1:
            texts = [f"#{number} {text}" for number, text in enumerate(texts)]
        return texts + [f"… {len(specs)} outputs"] * (len(specs) > MOST_SHAPES)

    def _spec(self, spec: Spec) -> str:
        shape = f"({', '.join(map(show_size, spec.shape))}{',' * (len(spec.shape) == 1)})"
        if not self.shown.show_shapes:
            return str(spec.dtype)
        return f"{spec.dtype} {shape}" if self.shown.show_dtype else shape

    def _parameters(self, place: int) -> str:
        """How many parameters a node has; for a nested model in one box all that are made in it."""
        inner = [n for p, n in enumerate(self.graph.nodes) if self.outermost[p] == place]
        own = count([n.inference.params for n in inner if n.call == 0])
        node = self.graph.nodes[place]
        if node.call and not own:
            again = count(node.inference.params)
            return f"{again:,} params, shared" if again else ""
        return f"{own:,} params" if own else ""

    def _marks(self, node: Node) -> tuple[str, ...]:
        marks = [word for word in changed(node.treatment).split(", ") if word and word != "frozen"]
        params = list(node.inference.params)
        frozen = [path for path in self.frozen if path[: len(node.names)] == node.names]
        if not node.layer.is_graph and (params or node.inference.state):
            whole = not node.treatment.trainable or (params and all((*node.names, n) in self.frozen for n in params))
            marks += ["frozen"] if whole else ["partly frozen"] if frozen else []
        return tuple(marks)

    def _details(self, node: Node) -> str:
        """All that there is to say, where the pointer rests."""
        path = f"{node.path} [{node.call}]" if node.call else node.path
        what = node.layer.describe() if isinstance(node.layer, InputLayer) else repr(node.layer)
        outputs = ", ".join(show(spec) for spec in node.inference.outputs[:8])
        own = count(node.inference.params)
        lines = [path, what if len(what) <= 400 else f"{what[:399]}…", f"output: {outputs}"]
        return "\n".join(lines + [f"{own:,} parameters{' (shared)' if node.call else ''}"] * bool(own))
