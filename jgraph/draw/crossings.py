"""The second step of laying out a graph: the order of the vertices in each rank, so that few lines cross."""

import bisect
from collections.abc import Sequence

from jgraph.draw.ranks import Ranked, Segment

SWEEPS = 12
"""How often the ranks are put in order from the top down and from the bottom up; the best order found is taken."""

WORK = 400_000
"""How many segments are looked at before the sweeps end earlier."""


def ordered(graph: Ranked) -> list[list[int]]:
    """The vertices rank by rank, each from left to right.

    >>> from jgraph.draw.ranks import Edge, Item, ranked
    >>> graph = ranked([Item(9, 9)] * 4, [Edge(0, 3), Edge(1, 2), Edge(0, 2), Edge(1, 3)])
    >>> ordered(graph)
    [[0, 1], [3, 2]]
    """
    ranks = _beginning(graph)
    between = [list[Segment]() for _ in ranks]
    for segment in graph.segments:
        between[graph.rank[segment.upper]].append(segment)
    above, below = _neighbours(graph)
    best, fewest = [list(rank) for rank in ranks], crossings(graph, ranks, between)
    sweeps = max(2, min(SWEEPS, WORK // (len(graph.segments) + 1)))
    for sweep in range(2 * sweeps):
        if not fewest:
            break
        down = sweep % 2 == 0
        for number in range(1, len(ranks)) if down else range(len(ranks) - 2, -1, -1):
            fixed = _slots(graph, ranks[number - 1 if down else number + 1])
            _sort(ranks[number], above if down else below, fixed, ties_left=sweep % 4 < 2)
        if (found := crossings(graph, ranks, between)) < fewest:
            best, fewest = [list(rank) for rank in ranks], found
    return _swapped(graph, best, above, below) if fewest else best


def crossings(graph: Ranked, ranks: Sequence[Sequence[int]], between: Sequence[Sequence[Segment]]) -> int:
    """How many pairs of segments cross."""
    total = 0
    for number, rank in enumerate(ranks[:-1]):
        slots = _slots(graph, rank) | _slots(graph, ranks[number + 1])
        ends = sorted((_at(slots, s.upper, s.begin), _at(slots, s.lower, s.end)) for s in between[number])
        seen: list[float] = []
        for _, end in ends:
            total += len(seen) - bisect.bisect_right(seen, end)
            bisect.insort(seen, end)
    return total


Neighbours = list[list[tuple[int, float, float]]]
"""For each vertex the vertices on one side, with where the line begins there, and where it ends here."""


def _neighbours(graph: Ranked) -> tuple[Neighbours, Neighbours]:
    above, below = ([list[tuple[int, float, float]]() for _ in graph.rank] for _ in range(2))
    for segment in graph.segments:
        above[segment.lower].append((segment.upper, segment.begin, segment.end))
        below[segment.upper].append((segment.lower, segment.end, segment.begin))
    return above, below


def _beginning(graph: Ranked) -> list[list[int]]:
    """The ranks in the order in which a walk from the first sources on finds the vertices."""
    readers, entered = [list[int]() for _ in graph.rank], [False] * len(graph.rank)
    for segment in graph.segments:
        readers[segment.upper].append(segment.lower)
        entered[segment.lower] = True
    ranks = [list[int]() for _ in range(max(graph.rank, default=-1) + 1)]
    seen: set[int] = set()
    stack = [vertex for vertex in reversed(range(len(graph.rank))) if not entered[vertex]]
    while stack:
        vertex = stack.pop()
        if vertex not in seen:
            seen.add(vertex)
            ranks[graph.rank[vertex]].append(vertex)
            stack.extend(reversed(readers[vertex]))
    return ranks


def _slots(graph: Ranked, rank: Sequence[int]) -> dict[int, tuple[float, float]]:
    """The place of each vertex of a rank, and how much of it a unit of length in the vertex is."""
    return {v: (float(p), 0.9 / (graph.lefts[v] + graph.rights[v] + 1)) for p, v in enumerate(rank)}


def _at(slots: dict[int, tuple[float, float]], vertex: int, offset: float) -> float:
    place, scale = slots[vertex]
    return place + offset * scale


def _sort(rank: list[int], neighbours: Neighbours, fixed: dict[int, tuple[float, float]], ties_left: bool) -> None:
    """Puts a rank in the order of the middles of what its vertices are linked to; others keep their places."""
    middles = {}
    for vertex in rank:
        places = [_at(fixed, other, begin) for other, begin, _ in neighbours[vertex]]
        if places:
            middles[vertex] = sum(places) / len(places)
    linked = [vertex for vertex in rank if vertex in middles]
    if not ties_left:
        linked.reverse()
    linked.sort(key=middles.__getitem__)
    following = iter(linked)
    rank[:] = [next(following) if vertex in middles else vertex for vertex in rank]


def _swapped(graph: Ranked, ranks: list[list[int]], above: Neighbours, below: Neighbours) -> list[list[int]]:
    """The ranks after exchanging vertices that stand side by side, as long as lines cross less often."""
    for _ in range(4):
        changed = False
        for number, rank in enumerate(ranks):
            around = [
                (_slots(graph, ranks[other]), side)
                for other, side in ((number - 1, above), (number + 1, below))
                if 0 <= other < len(ranks)
            ]
            for place in range(len(rank) - 1):
                left, right = rank[place], rank[place + 1]
                gained = 0
                for slots, side in around:
                    if len(side[left]) * len(side[right]) > 400:
                        continue
                    lefts = [_at(slots, other, begin) for other, begin, _ in side[left]]
                    rights = [_at(slots, other, begin) for other, begin, _ in side[right]]
                    gained += sum((a > b) - (a < b) for a in lefts for b in rights)
                if gained > 0:
                    rank[place], rank[place + 1] = right, left
                    changed = True
        if not changed:
            break
    return ranks
