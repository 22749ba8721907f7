"""A layout of a graph with frames: places for boxes and frames, routes for links. Innermost frames are laid out first.

Each frame is laid out by itself and is then one large item of the frame around it, so no foreign box can lie in it. A
link that crosses its border does so at a port, an item without extent in the first or last rank of the frame.
"""

import dataclasses
from collections.abc import Sequence

from jgraph.draw.crossings import ordered
from jgraph.draw.positions import positions
from jgraph.draw.ranks import Edge, Item, Ranked, ranked, topological

GAPS = (24.0, 84.0)
"""The least and the greatest distance of two ranks."""

PORT_GAP = 10.0
"""The least distance of a rank of ports."""

STEEP = 0.13
"""How much further two ranks are apart for each unit that a line between them goes to the side."""

Point = tuple[float, float]
Route = tuple[Point, ...]
"""The points of a line; it runs straight between two of one x (one y from left to right), else as a curve."""


@dataclasses.dataclass(frozen=True)
class Rectangle:
    """A place: the upper left corner, and the size."""

    x: float
    y: float
    width: float
    height: float


@dataclasses.dataclass(frozen=True)
class Margins:
    """What a frame takes around what is in it, and the least size that it has."""

    left: float = 14.0
    right: float = 14.0
    top: float = 14.0
    bottom: float = 14.0
    width: float = 0.0
    height: float = 0.0


@dataclasses.dataclass(frozen=True)
class Link:
    """A link from a box to a box; those with the same `port` leave the box at one place, `begin` from its middle."""

    source: int
    target: int
    port: int = 0
    begin: float = 0.0


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where everything is; of a frame that was given up, as a cycle leads through it, there is `None`."""

    boxes: tuple[Rectangle, ...]
    frames: tuple[Rectangle | None, ...]
    routes: tuple[Route, ...]
    width: float
    height: float


@dataclasses.dataclass(frozen=True)
class _Level:
    """A frame's content, laid out from its own upper left corner: its items and the routes of its edges by key."""

    items: dict["_Thing", Rectangle]
    routes: dict[tuple["_Thing", "_Thing", "_Port"], Route]
    width: float
    height: float


_Port = tuple[int, int]
_Thing = tuple[str, int, int]
"""`("box", number, 0)`, `("frame", number, 0)`, `("in", box, port)` or `("out", box, port)`."""


def lay_out(
    sizes: Sequence[tuple[float, float]],
    homes: Sequence[int | None],
    parents: Sequence[int | None],
    margins: Sequence[Margins],
    links: Sequence[Link],
) -> Layout:
    """The layout of boxes of these sizes, from top to bottom. A parent has a lower number than what is in it.

    The same arguments give the same layout, in any process. No two boxes or frames overlap, but a frame and its
    content; no link crosses a box.

    >>> found = lay_out([(20, 10), (20, 10)], [None, 0], [None], [Margins()], [Link(0, 1)])
    >>> found.boxes[1], found.routes
    (Rectangle(x=14.0, y=..., width=20, height=10), (((24.0, 10.0), ...)),))
    """
    kept = whole_frames(homes, parents, links)
    chains = [_home_chain(home, parents, kept) for home in homes]
    levels: dict[int | None, _Level] = {}
    members = _members(homes, parents, kept, chains)
    edges = _edges(links, chains)
    for frame in [*reversed(range(len(parents))), None]:
        if frame is None or kept[frame]:
            levels[frame] = _level(frame, members[frame], edges.get(frame, {}), sizes, margins, levels)
    return _assembled(sizes, parents, margins, links, kept, chains, levels)


def whole_frames(homes: Sequence[int | None], parents: Sequence[int | None], links: Sequence[Link]) -> list[bool]:
    """Which frames can be drawn around their boxes: those that no path of links leaves and comes back to."""
    kept = [True] * len(parents)
    while True:
        chains = [_home_chain(home, parents, kept) for home in homes]
        bad = _in_cycles(links, chains, len(homes))
        if not bad:
            return kept
        kept[max(bad)] = False


def _in_cycles(links: Sequence[Link], chains: Sequence[tuple[int, ...]], boxes: int) -> set[int]:
    """The frames that lie on cycles when each is taken for one item."""
    between: dict[int | None, list[tuple[int, int]]] = {}
    for link in links:
        level, source, target = _meeting(link, chains)
        if source != target:
            ends = [thing[1] + (boxes if thing[0] == "frame" else 0) for thing in (source, target)]
            between.setdefault(level, []).append((ends[0], ends[1]))
    bad: set[int] = set()
    frames = 1 + max((frame for chain in chains for frame in chain), default=-1)
    for pairs in between.values():
        stuck = set(range(boxes + frames)) - {*topological(boxes + frames, pairs)}
        bad |= {number - boxes for number in stuck if number >= boxes}
    return bad


def _home_chain(home: int | None, parents: Sequence[int | None], kept: Sequence[bool]) -> tuple[int, ...]:
    """The frames that a box is in, outermost first."""
    chain = []
    while home is not None:
        if kept[home]:
            chain.append(home)
        home = parents[home]
    return tuple(reversed(chain))


def _meeting(link: Link, chains: Sequence[tuple[int, ...]]) -> tuple[int | None, _Thing, _Thing]:
    """The innermost frame with both ends of a link, and what stands for them there."""
    above, below = chains[link.source], chains[link.target]
    depth = 0
    while depth < min(len(above), len(below)) and above[depth] == below[depth]:
        depth += 1
    level = above[depth - 1] if depth else None
    source = ("frame", above[depth], 0) if depth < len(above) else ("box", link.source, 0)
    target = ("frame", below[depth], 0) if depth < len(below) else ("box", link.target, 0)
    return level, source, target


def _pieces(link: Link, chains: Sequence[tuple[int, ...]]) -> list[tuple[int | None, _Thing, _Thing]]:
    """The parts of a link, frame by frame from its source to its target."""
    level, source, target = _meeting(link, chains)
    port = (link.source, link.port)
    pieces: list[tuple[int | None, _Thing, _Thing]] = [(level, source, target)]
    above, below = chains[link.source], chains[link.target]
    if source[0] == "frame":
        for depth in range(above.index(source[1]), len(above)):
            inner = ("frame", above[depth + 1], 0) if depth + 1 < len(above) else ("box", link.source, 0)
            pieces.insert(0, (above[depth], inner, ("out", *port)))
    if target[0] == "frame":
        for depth in range(below.index(target[1]), len(below)):
            inner = ("frame", below[depth + 1], 0) if depth + 1 < len(below) else ("box", link.target, 0)
            pieces.append((below[depth], ("in", *port), inner))
    return pieces


_Edges = dict[tuple[_Thing, _Thing, _Port], float]


def _edges(links: Sequence[Link], chains: Sequence[tuple[int, ...]]) -> dict[int | None, _Edges]:
    """The edges of each frame, with where they leave a box; links from one port to one item are one edge."""
    edges: dict[int | None, _Edges] = {}
    for link in links:
        for level, source, target in _pieces(link, chains):
            edges.setdefault(level, {})[source, target, (link.source, link.port)] = link.begin
    return edges


def _members(
    homes: Sequence[int | None],
    parents: Sequence[int | None],
    kept: Sequence[bool],
    chains: Sequence[tuple[int, ...]],
) -> dict[int | None, list[_Thing]]:
    """What is in each frame; a frame stands where its first box does."""
    members: dict[int | None, dict[_Thing, None]] = {None: {}, **{frame: {} for frame in range(len(parents))}}
    for box, chain in enumerate(chains):
        path: list[_Thing] = [*(("frame", frame, 0) for frame in chain), ("box", box, 0)]
        for frame, thing in zip([None, *chain], path, strict=True):
            members[frame].setdefault(thing)
    for frame, parent in enumerate(parents):  # those without any box
        while parent is not None and not kept[parent]:
            parent = parents[parent]
        if kept[frame]:
            members[parent].setdefault(("frame", frame, 0))
    del homes
    return {frame: list(things) for frame, things in members.items()}


def _level(
    frame: int | None,
    things: list[_Thing],
    edges: _Edges,
    sizes: Sequence[tuple[float, float]],
    margins: Sequence[Margins],
    levels: dict[int | None, _Level],
) -> _Level:
    """Lays out the content of a frame."""
    ports = dict.fromkeys(end for key in edges for end in key[:2] if end[0] in ("in", "out"))
    things = [*things, *ports]
    number = {thing: place for place, thing in enumerate(things)}
    items = [Item(*_size(thing, sizes, levels)) for thing in things]
    placed = [
        Edge(
            number[source],
            number[target],
            begin if source[0] == "box" else _offset(source, ("out", *port), levels),
            _offset(target, ("in", *port), levels),
        )
        for (source, target, port), begin in edges.items()
    ]
    first = [number[thing] for thing in ports if thing[0] == "in"]
    last = [number[thing] for thing in ports if thing[0] == "out"]
    rectangles, routes, width, height = _place(items, placed, first, last)
    if frame is None:
        return _Level(dict(zip(things, rectangles, strict=True)), dict(zip(edges, routes, strict=True)), width, height)
    margin = margins[frame]
    needed = margin.left + width + margin.right, margin.top + height + margin.bottom
    wide, tall = max(needed[0], margin.width), max(needed[1], margin.height)
    dx, dy = margin.left + (wide - needed[0]) / 2, margin.top + (tall - needed[1]) / 2
    return _Level(
        {t: Rectangle(r.x + dx, r.y + dy, r.width, r.height) for t, r in zip(things, rectangles, strict=True)},
        {key: _moved(route, dx, dy) for key, route in zip(edges, routes, strict=True)},
        wide,
        tall,
    )


def _size(thing: _Thing, sizes: Sequence[tuple[float, float]], levels: dict[int | None, _Level]) -> tuple[float, float]:
    if thing[0] == "box":
        return sizes[thing[1]]
    return (levels[thing[1]].width, levels[thing[1]].height) if thing[0] == "frame" else (0.0, 0.0)


def _offset(thing: _Thing, port: _Thing, levels: dict[int | None, _Level]) -> float:
    """Where a link meets an item, counted from its middle: at the port of a frame."""
    if thing[0] != "frame":
        return 0.0
    level = levels[thing[1]]
    return level.items[port].x - level.width / 2


def _place(
    items: Sequence[Item], edges: Sequence[Edge], first: Sequence[int], last: Sequence[int]
) -> tuple[list[Rectangle], list[Route], float, float]:
    """Rectangles and routes of one level, whose upper left corner is the origin, with its size."""
    graph = ranked(items, edges, first, last)
    ranks = ordered(graph)
    xs = positions(graph, ranks)
    tops, bottoms = _bands(graph, ranks, xs)
    ys = _heights(graph, edges, tops, bottoms, {*first}, {*last})
    rectangles = []
    for item, (chain, place) in zip(items, graph.chain_of, strict=True):
        x, y = xs[chain] + graph.chains[chain].xs[place], ys[chain] + graph.chains[chain].ys[place]
        rectangles.append(Rectangle(x - item.width / 2, y, item.width, item.height))
    routes = []
    for edge, path in zip(edges, graph.paths, strict=True):
        source, target = rectangles[edge.source], rectangles[edge.target]
        start = (source.x + source.width / 2 + edge.begin, source.y + source.height)
        stop = (target.x + target.width / 2 + edge.end, target.y)
        points = [start]
        if path is not None:
            points.append((start[0], bottoms[graph.rank[graph.chain_of[edge.source][0]]]))
            for bend in path:
                points += [(xs[bend], tops[graph.rank[bend]]), (xs[bend], bottoms[graph.rank[bend]])]
            points.append((stop[0], tops[graph.rank[graph.chain_of[edge.target][0]]]))
        routes.append(tuple(dict.fromkeys([*points, stop])))
    width = max((x + graph.rights[v] for v, x in enumerate(xs)), default=0.0)
    return rectangles, routes, width, bottoms[-1] if bottoms else 0.0


def _bands(graph: Ranked, ranks: Sequence[Sequence[int]], xs: Sequence[float]) -> tuple[list[float], list[float]]:
    """The top and the bottom of each rank."""
    sideways = [0.0] * len(ranks)
    for segment in graph.segments:
        number = graph.rank[segment.upper]
        apart = abs(xs[segment.upper] + segment.begin - xs[segment.lower] - segment.end)
        sideways[number] = max(sideways[number], apart)
    heights = [max(graph.chains[v].height if v < len(graph.chains) else 0.0 for v in rank) for rank in ranks]
    tops, bottoms, y = [], [], 0.0
    for height, below, bend in zip(heights, [*heights[1:], 1.0], sideways, strict=True):
        tops.append(y)
        bottoms.append(y + height)
        least = GAPS[0] if height and below else PORT_GAP
        y = bottoms[-1] + min(least + STEEP * bend, GAPS[1])
    return tops, bottoms


def _heights(
    graph: Ranked,
    edges: Sequence[Edge],
    tops: Sequence[float],
    bottoms: Sequence[float],
    first: set[int],
    last: set[int],
) -> list[float]:
    """Where each chain begins in its rank: what begins links as low as it can, what ends them as high."""
    ends = [(graph.chain_of[edge.source][0], graph.chain_of[edge.target][0]) for edge in edges]
    leaves, enters = {a for a, b in ends if a != b}, {b for a, b in ends if a != b}
    found = []
    for number, chain in enumerate(graph.chains):
        top, room = tops[graph.rank[number]], bottoms[graph.rank[number]] - tops[graph.rank[number]] - chain.height
        inward, outward = (bool(ports.intersection(chain.members)) for ports in (first, last))
        low = outward or (number not in enters and number in leaves and not inward)
        high = inward or number not in leaves
        found.append(top + (room if low else 0.0 if high else room / 2))
    return found


def _moved(route: Route, dx: float, dy: float) -> Route:
    return tuple((x + dx, y + dy) for x, y in route)


def _assembled(
    sizes: Sequence[tuple[float, float]],
    parents: Sequence[int | None],
    margins: Sequence[Margins],
    links: Sequence[Link],
    kept: Sequence[bool],
    chains: Sequence[tuple[int, ...]],
    levels: dict[int | None, _Level],
) -> Layout:
    """Puts the levels into each other, outermost first."""
    corners: dict[int | None, Point] = {None: (0.0, 0.0)}
    boxes: dict[int, Rectangle] = {}
    frames: list[Rectangle | None] = [None] * len(parents)
    for level in [None, *(frame for frame in range(len(parents)) if kept[frame])]:
        dx, dy = corners[level]
        for (kind, number, _), r in levels[level].items.items():
            moved = Rectangle(round(r.x + dx, 2), round(r.y + dy, 2), r.width, r.height)
            if kind == "box":
                boxes[number] = moved
            elif kind == "frame":
                frames[number], corners[number] = moved, (r.x + dx, r.y + dy)
    routes = []
    for link in links:
        points: list[Point] = []
        for level, source, target in _pieces(link, chains):
            dx, dy = corners[level]
            points += _moved(levels[level].routes[source, target, (link.source, link.port)], dx, dy)
            if target[0] == "out" and level is not None:  # on to the border, below which the next part begins
                points.append((points[-1][0], dy + levels[level].height))
        routes.append(tuple(dict.fromkeys((round(x, 2), round(y, 2)) for x, y in points)))
    del margins
    return Layout(
        tuple(boxes[number] for number in range(len(sizes))),
        tuple(frames),
        tuple(routes),
        levels[None].width,
        levels[None].height,
    )
