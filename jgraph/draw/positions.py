"""The third step of laying out a graph: where in its rank each vertex stands, so that lines are straight."""

import itertools
from collections.abc import Sequence

from jgraph.draw.ranks import Ranked

APART, BESIDE_LINE = 22.0, 9.0
"""The room between two items of a rank, and between an item and a line that passes."""

ROUNDS, MOST_WISHES = 12, 64

Side = list[list[tuple[int, float, float]]]
"""For each vertex those on one side, with how much further right it would stand for a straight line, and the weight."""


def positions(graph: Ranked, ranks: Sequence[Sequence[int]]) -> list[float]:
    """The origin of each vertex; neighbours of a rank keep their distance, and the leftmost edge is at 0.

    >>> from jgraph.draw.ranks import Edge, Item, ranked
    >>> from jgraph.draw.crossings import ordered
    >>> graph = ranked([Item(20, 9)] * 4, [Edge(0, 1), Edge(0, 2), Edge(1, 3), Edge(2, 3)])
    >>> positions(graph, ordered(graph))
    [31.0, 10.0, 52.0, 31.0]
    """
    above, below = _sides(graph)
    gaps = [_gaps(graph, rank) for rank in ranks]
    xs = [0.0] * len(graph.rank)
    for rank, needed in zip(ranks, gaps, strict=True):
        _settle(rank, needed, [-sum(needed) / 2] * len(rank), [1.0] * len(rank), xs)
    both = [[*a, *b] for a, b in zip(above, below, strict=True)]
    best, least = list(xs), _bend(graph, xs)
    for turn in range(ROUNDS):
        for side, order in (
            (above, range(len(ranks))),
            (below, reversed(range(len(ranks)))),
            (both, range(len(ranks)) if turn % 2 else reversed(range(len(ranks)))),
        ):
            for number in order:
                _move(graph, ranks[number], gaps[number], side, both, xs)
        _straighten(graph, ranks, gaps, both, xs)
        if (found := _bend(graph, xs)) < least - 1e-6:
            best, least = list(xs), found
    start = min((x - graph.lefts[v] for v, x in enumerate(best)), default=0.0)
    return [round(x - start, 3) for x in best]


def _sides(graph: Ranked) -> tuple[Side, Side]:
    above, below = ([list[tuple[int, float, float]]() for _ in graph.rank] for _ in range(2))
    for segment in graph.segments:
        shift = segment.begin - segment.end
        above[segment.lower].append((segment.upper, shift, segment.weight))
        below[segment.upper].append((segment.lower, -shift, segment.weight))
    return above, below


def _gaps(graph: Ranked, rank: Sequence[int]) -> list[float]:
    """The least distances between the origins of neighbours."""
    count = len(graph.chains)
    found = []
    for left, right in itertools.pairwise(rank):
        lines = (left >= count) + (right >= count)
        room = {0: APART, 1: BESIDE_LINE, 2: 0.0}[lines]
        found.append(graph.rights[left] + room + graph.lefts[right])
    return found


def _bend(graph: Ranked, xs: Sequence[float]) -> float:
    """How far all lines are from straight, and a little of how far they are from short squares."""
    bends = [abs(xs[s.upper] + s.begin - xs[s.lower] - s.end) for s in graph.segments]
    return sum(s.weight * (bend + 1e-4 * bend * bend) for s, bend in zip(graph.segments, bends, strict=True))


def _move(graph: Ranked, rank: Sequence[int], gaps: Sequence[float], side: Side, both: Side, xs: list[float]) -> None:
    """Moves a rank to where its lines on one side are straight, as far as it goes."""
    wishes, weights = [], []
    for vertex in rank:
        found = [(xs[other] + shift, weight) for other, shift, weight in side[vertex]]
        wishes.append(sum(_medians(found)) / 2 if found else xs[vertex])
        heavy = sum(weight for _, _, weight in both[vertex])
        weights.append(heavy if found else 0.05)
    _settle(rank, gaps, wishes, weights, xs)


def _medians(found: list[tuple[float, float]]) -> tuple[float, float]:
    """The least and the greatest weighted median: half of the weight is on each side of it."""
    found.sort()
    half, total = sum(weight for _, weight in found) / 2, 0.0
    for place, (wish, weight) in enumerate(found):
        total += weight
        if abs(total - half) < 1e-9 and place + 1 < len(found):
            return wish, found[place + 1][0]
        if total > half:
            return wish, wish
    return found[-1][0], found[-1][0]


def _settle(
    rank: Sequence[int], gaps: Sequence[float], wishes: Sequence[float], weights: Sequence[float], xs: list[float]
) -> None:
    """Puts the vertices of a rank as near to their wishes as the gaps allow (isotonic regression, by pooling)."""
    pools: list[tuple[float, list[tuple[float, float]], int]] = []  # the place, the wishes, and how many stand tight
    shift, shifts = 0.0, [0.0]
    for gap in gaps:
        shift += gap
        shifts.append(shift)
    for wish, shift, weight in zip(wishes, shifts, weights, strict=True):
        place, held, count = wish - shift, [(wish - shift, weight)], 1
        while pools and pools[-1][0] > place:
            _, more, several = pools.pop()
            held, count = _joined(more, held), count + several
            place = sum(_medians(held)) / 2
        pools.append((place, held, count))
    first = 0
    for place, _, count in pools:
        for number in range(first, first + count):
            xs[rank[number]] = place + shifts[number]
        first += count


def _joined(some: list[tuple[float, float]], more: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The wishes of two pools; very many become one, their mean, so that pooling takes no longer than it must."""
    held = some + more
    if len(held) <= MOST_WISHES:
        return held
    weight = sum(w for _, w in held)
    return [(sum(wish * w for wish, w in held) / weight, weight)]


def _straighten(
    graph: Ranked, ranks: Sequence[Sequence[int]], gaps: Sequence[Sequence[float]], both: Side, xs: list[float]
) -> None:
    """Moves single vertices to the median of all their lines, as far as their neighbours leave room.

    Where any place between two is a median, the nearest to where the vertex stands is taken.
    """
    for order in (range(len(ranks)), reversed(range(len(ranks))), range(len(ranks))):
        for number in order:
            rank = ranks[number]
            for place, vertex in enumerate(rank):
                if not both[vertex]:
                    continue
                low, high = _medians([(xs[other] + shift, weight) for other, shift, weight in both[vertex]])
                wish = min(max(xs[vertex], low), high)
                if place:
                    wish = max(wish, xs[rank[place - 1]] + gaps[number][place - 1])
                if place + 1 < len(rank):
                    wish = min(wish, xs[rank[place + 1]] - gaps[number][place])
                xs[vertex] = wish
