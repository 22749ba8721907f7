"""Indices that layers look up: found among a model's inputs, and checked on the host before anything is computed.

An index out of range would be NaN, or another row, in silence. What is checked is what the looking layer reads: an
input, or what layers without weights make of inputs row by row, as a slice of one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.core.blocks import reads_of
from jgraph.core.graph import Graph, Node, Ref, refs_in, spec_of
from jgraph.core.layer import InputLayer
from jgraph.core.run import computed
from jgraph.errors import DataError
from jgraph.typing import PyTree


def index_range_of(graph: Graph) -> int | None:
    """How many indices a model's one input may be one of, where layers look it up; `None` where none does."""
    ref, *others = jax.tree.leaves(graph.inputs)
    return None if others else min((size for _, size, read in lookups(graph) if read == ref), default=None)


def check_lookups(graph: Graph, given: Mapping[int, Any], where: str, first: int = 0) -> None:
    """Checks the indices that layers look up; `given` are the inputs' arrays by node, `None` for an absent one.

    `first` is the number of the arrays' first row, where they are parts of others.

    Raises:
        DataError: there are some out of range; the first row is named.
    """
    for reader, size, ref in lookups(graph):
        places = before(graph, ref)
        inputs = {place: given[place] for place in places if isinstance(graph.nodes[place].layer, InputLayer)}
        if inputs and fixed(graph, places) and all(array is not None for array in inputs.values()):
            names = " and ".join(repr(graph.nodes[place].path) for place in sorted(inputs))
            indices = computed(graph.nodes, sorted(places), inputs)[ref.node][ref.index]
            check_range(f"{where}, input {names}", indices, 0, size - 1, f"indices of {reader.path!r}", first)


def lookups(graph: Graph) -> Iterator[tuple[Node, int, Ref]]:
    """The integers that layers look up: the layer's node, how many indices there are, and what it reads."""
    for node in graph.nodes:
        size = node.layer.index_range()
        if size is not None:
            read = (ref for ref in refs_in(node.args) if jnp.issubdtype(spec_of(graph, ref).dtype, jnp.integer))
            yield from ((node, size, ref) for ref in read)


def before(graph: Graph, ref: Ref) -> set[int]:
    """The places of all nodes that a reference is computed from, its own too."""
    places, left = set(), [ref.node]
    while left:
        place = left.pop()
        if place not in places:
            places.add(place)
            left.extend(reads_of(graph.nodes[place]))
    return places


def fixed(graph: Graph, places: set[int]) -> bool:
    """Whether nodes have no weights and mix no rows, so that their values can be known from the data alone."""

    def known(place: int) -> bool:
        node = graph.nodes[place]
        if node.layer.is_graph:
            return True
        given: PyTree = (*node.args, *node.kwargs.values())
        symbols = jax.tree.map(lambda leaf: graph.symbol(leaf) if isinstance(leaf, Ref) else leaf, given)
        return not (node.inference.params or node.inference.state or node.layer.mixes(*symbols))

    return all(map(known, places))


def check_range(where: str, array: Any, least: float, most: float, what: str, first: int = 0) -> None:
    """Checks that numbers are from `least` to `most`; a bad row is named.

    Raises:
        DataError: one is not.
    """
    values = np.asarray(array)
    if values.size and (values.min() < least or values.max() > most):
        row = np.argwhere((values < least) | (values > most))[0][0]
        raise DataError(
            where,
            expected=f"{what} from {least} to {most}",
            got=f"others, the first in row {first + row}",
            cure="Renumber them, or draw the model for them.",
        )
