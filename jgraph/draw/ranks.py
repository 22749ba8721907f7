"""The first step of laying out a graph: chains made one, everything in ranks, long links cut at each rank they pass.

A chain of items, each read by the next alone, is one tall item from here on: so it is straight, branches of different
length stand side by side, and what is left to arrange is small.
"""

import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterable, Sequence

STEP = 18.0
"""The distance of two items of a chain, in which the tip of an arrow has room."""

LINE = 5.0
"""Half of the room that a line takes which passes through a rank."""


@dataclasses.dataclass(frozen=True)
class Item:
    """A rectangle to be placed."""

    width: float
    height: float


@dataclasses.dataclass(frozen=True)
class Edge:
    """A line from the bottom of an item to the top of another; where it begins and ends, counted from their middles."""

    source: int
    target: int
    begin: float = 0.0
    end: float = 0.0


@dataclasses.dataclass(frozen=True)
class Chain:
    """Items one below the other, with their places counted from the chain's origin, and how far it reaches from it."""

    members: tuple[int, ...]
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    left: float
    right: float
    height: float


@dataclasses.dataclass(frozen=True)
class Segment:
    """A part of an edge from one rank to the next: from a vertex to a vertex, and how much it is to be straight."""

    upper: int
    lower: int
    begin: float
    end: float
    weight: float


@dataclasses.dataclass(frozen=True)
class Ranked:
    """Chains and the bends of long edges as vertices in ranks; the first vertices are the chains.

    `lefts` and `rights` say how far each vertex reaches from its origin; `rank` is that of each vertex. `paths` are the
    bends of each edge (`None` for one within a chain), and `chain_of` is the chain of each item with its place there.
    """

    chains: tuple[Chain, ...]
    lefts: tuple[float, ...]
    rights: tuple[float, ...]
    rank: tuple[int, ...]
    segments: tuple[Segment, ...]
    paths: tuple[tuple[int, ...] | None, ...]
    chain_of: tuple[tuple[int, int], ...]


def topological(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The numbers below `count`, each behind all that it depends on; those in cycles are left out.

    >>> topological(3, [(2, 1), (1, 0)])
    [2, 1, 0]
    """
    waiting, readers = [0] * count, [list[int]() for _ in range(count)]
    for source, target in edges:
        waiting[target] += 1
        readers[source].append(target)
    ready = [number for number in reversed(range(count)) if not waiting[number]]
    found = []
    while ready:
        found.append(ready.pop())
        for reader in reversed(readers[found[-1]]):
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    return found


def ranked(
    items: Sequence[Item], edges: Sequence[Edge], first: Collection[int] = (), last: Collection[int] = ()
) -> Ranked:
    """The vertices and segments of a graph without cycles; the items in `first` and `last` have a rank of their own.

    >>> made = ranked([Item(10, 10)] * 3, [Edge(0, 1), Edge(1, 2), Edge(0, 2)])
    >>> made.rank, made.paths
    ((0, 1, 2, 1), ((), (), (3,)))
    """
    chains = _chains(items, edges, {*first}, {*last})
    chain_of = {m: (number, place) for number, chain in enumerate(chains) for place, m in enumerate(chain.members)}
    between = [(e.source, e.target) for e in edges if chain_of[e.source][0] != chain_of[e.target][0]]
    links = list(dict.fromkeys((chain_of[s][0], chain_of[t][0]) for s, t in between))
    rank = _ranks(len(chains), links, {chain_of[i][0] for i in first}, {chain_of[i][0] for i in last})
    lefts, rights = [chain.left for chain in chains], [chain.right for chain in chains]
    trunks: dict[tuple[int, float], list[int]] = {}  # edges from one place share their bends
    segments: dict[tuple[int, int, float], Segment] = {}
    paths: list[tuple[int, ...] | None] = []
    for edge in edges:
        (upper, place), (lower, _) = chain_of[edge.source], chain_of[edge.target]
        if upper == lower:
            paths.append(None)
            continue
        begin = chains[upper].xs[place] + edge.begin
        trunk = trunks.setdefault((upper, begin), [])
        needed = rank[lower] - rank[upper] - 1
        while len(trunk) < needed:
            trunk.append(len(lefts))
            rank.append(rank[upper] + len(trunk))
            lefts.append(LINE)
            rights.append(LINE)
        bends = trunk[:needed]
        paths.append(tuple(bends))
        stops = [upper, *bends, lower]
        for number, (a, b) in enumerate(itertools.pairwise(stops)):
            ends = (begin if number == 0 else 0.0, edge.end if b == lower else 0.0)
            weight = {0: 4.0, 1: 1.0, 2: 8.0}[(a >= len(chains)) + (b >= len(chains))]
            segments.setdefault((a, b, ends[0]), Segment(a, b, *ends, weight))
    return Ranked(
        tuple(chains),
        tuple(lefts),
        tuple(rights),
        tuple(rank),
        tuple(segments.values()),
        tuple(paths),
        tuple(chain_of[i] for i in range(len(items))),
    )


def _chains(items: Sequence[Item], edges: Sequence[Edge], first: set[int], last: set[int]) -> list[Chain]:
    leaving, entering = [0] * len(items), [0] * len(items)
    for edge in edges:
        leaving[edge.source] += 1
        entering[edge.target] += 1
    follows = {
        e.source: e
        for e in edges
        if leaving[e.source] == entering[e.target] == 1 and e.source not in first and e.target not in last
    }
    inner = {edge.target for edge in follows.values()}
    return [_chain(items, start, follows) for start in range(len(items)) if start not in inner]


def _chain(items: Sequence[Item], start: int, follows: dict[int, Edge]) -> Chain:
    members, xs, ys, y = [start], [0.0], [0.0], items[start].height
    while (edge := follows.get(members[-1])) is not None:
        xs.append(xs[-1] + edge.begin - edge.end)
        members.append(edge.target)
        ys.append(y + STEP)
        y = ys[-1] + items[edge.target].height
    left = max(items[m].width / 2 - x for m, x in zip(members, xs, strict=True))
    right = max(items[m].width / 2 + x for m, x in zip(members, xs, strict=True))
    return Chain(tuple(members), tuple(xs), tuple(ys), left, right, y)


def _ranks(count: int, links: Sequence[tuple[int, int]], first: set[int], last: set[int]) -> list[int]:
    """The rank of each chain: as high as can be, but moved down where that makes its links shorter in all."""
    above, below = [list[int]() for _ in range(count)], [list[int]() for _ in range(count)]
    for source, target in links:
        above[target].append(source)
        below[source].append(target)
    order = topological(count, links)
    rank = [0] * count
    for chain in order:
        rank[chain] = max((rank[a] + 1 for a in above[chain]), default=0)
        if first and chain not in first:
            rank[chain] = max(rank[chain], 1)
    for _ in range(2):
        _pull(reversed(order), first | last, below, above, rank, lambda ranks: min(ranks) - 1)
        _pull(order, first | last, above, below, rank, lambda ranks: max(ranks) + 1)
    if last:
        bottom = max(max((rank[c] + 1 for c in range(count) if c not in last), default=0), 1)
        for chain in last:
            rank[chain] = bottom
    used = {old: new for new, old in enumerate(sorted(set(rank)))}
    return [used[r] for r in rank]


def _pull(
    order: Iterable[int],
    kept: set[int],
    towards: list[list[int]],
    others: list[list[int]],
    rank: list[int],
    nearest: Callable[[list[int]], int],
) -> None:
    """Moves each chain next to those on one side, where it has more links to them than to the other side."""
    for chain in order:
        if chain not in kept and len(towards[chain]) > len(others[chain]):
            rank[chain] = nearest([rank[t] for t in towards[chain]])
