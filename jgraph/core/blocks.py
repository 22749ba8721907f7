"""Which nodes are computed together: a nested model whose activations are to be computed again is one block.

So are nodes whose treatment has the same text for `remat`, in the same call.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from jgraph.core.graph import Node, refs_in
from jgraph.errors import GraphError

Block = tuple[int, ...]
"""Places of nodes that are computed one after the other, the node that closes a nested model last."""


def blocks_of(nodes: Sequence[Node]) -> list[Block]:
    """The blocks in the order in which they can be computed; most are of one node.

    Raises:
        GraphError: what is to be one block is read from outside before it is closed.
    """
    home: dict[int, int] = {}
    named: dict[tuple[str, int], int] = {}  # what is called twice is two blocks
    for place in reversed(range(len(nodes))):  # a model is closed after its nodes
        node = nodes[place]
        if isinstance(node.treatment.remat, str):
            home[place] = named.setdefault((node.treatment.remat, node.call), place)
        elif node.owner in home and not isinstance(nodes[node.owner].treatment.remat, str):
            home[place] = home[node.owner]
        elif node.layer.is_graph and node.treatment.remat:
            home[place] = place
    members: dict[int, list[int]] = {}
    for place in sorted(home):
        members.setdefault(home[place], []).append(place)
    _check(nodes, home, members)
    return [tuple(members.get(p, [p])) for p in range(len(nodes)) if home.get(p, p) == p]


def _check(nodes: Sequence[Node], home: dict[int, int], members: dict[int, list[int]]) -> None:
    """Checks that nothing needs a part of a block, or changes the state of its layers, while it is not done."""
    keeping = {c: {nodes[p].layer for p in places if nodes[p].inference.state} for c, places in members.items()}
    begins = {places[0]: close for close, places in members.items()}
    begun: dict[Any, dict[int, None]] = {}  # the blocks that change the state of each layer and are not done
    for place, node in enumerate(nodes if members else ()):
        own = home.get(place, place)
        for layer in keeping.get(place, ()):
            del begun[layer][place]
        early = [home[r] for r in reads_of(node) if home.get(r, own) != own and own < home[r]]
        early += [c for c in begun.get(node.layer, ()) if c != own]
        for layer in keeping.get(begins.get(place, -1), ()):
            begun.setdefault(layer, {})[begins[place]] = None
        for close in early:
            raise GraphError(
                f"{nodes[close].path!r} as one block",
                expected="nodes that others read, or whose state they change, only when the block is done",
                got=f"{node.path!r}, which does so before",
                cure=f"Give the rule to its nodes one by one: '{nodes[close].path}/*'."
                if nodes[close].layer.is_graph
                else "Choose nodes that follow each other, each of which reads the one before.",
            )


def reads_of(node: Node) -> Iterator[int]:
    """The places that a node reads."""
    return (ref.node for ref in refs_in((node.args, node.kwargs, node.mask)))
