"""From a diagram to a scene: everything laid out, with a title above and a legend of what occurs below."""

import itertools
from collections.abc import Iterator

from jgraph.draw.cards import HEAD, box_group, box_size, frame_parts, head_parts, head_width
from jgraph.draw.diagram import KINDS, Diagram
from jgraph.draw.layout import Layout, Link, Margins, Rectangle, lay_out
from jgraph.draw.letters import plain, shortened, width_of
from jgraph.draw.lines import DASH, link_parts, shared_line
from jgraph.draw.palette import EDGE, FAINT, FILLS, FRAMES, FROZEN, INK, MASK, SHARED, SHEET, TEXT, accent
from jgraph.draw.shapes import Group, Path, Rect, Scene, Words

BORDER, TITLE, SUBTITLE = 22.0, 15.0, 10.5
NARROWEST = 300.0
"""The least width of what is between the borders, so that a title and a legend have room."""

PORTS = 22.0
"""How far apart the outputs of a box leave it."""

FramePart = Rect | Path | Words


def draw_scene(diagram: Diagram) -> Scene:
    """The scene of a diagram.

    >>> from jgraph.draw.diagram import Box, Link as Row
    >>> scene = draw_scene(Diagram("model", "", (Box("a"), Box("b")), (Row(0, 1),)))
    >>> [group.kind for group in scene.groups]
    ['sheet', 'link', 'box', 'box', 'title', 'legend']
    """
    layout = _laid_out(diagram)
    above = BORDER + (TITLE + 12 if diagram.title else 0) + (SUBTITLE + 7 if diagram.subtitle else 0)
    titles = [width_of(shortened(plain(diagram.title), 80), TITLE, "bold"), width_of(diagram.subtitle, SUBTITLE)]
    width = max(layout.width, NARROWEST, *titles)
    dx, below = BORDER + (width - layout.width) / 2, above + layout.height + 26
    legend, bottom = _legend(diagram, BORDER, below, width)
    width, height = round(width + 2 * BORDER, 1), round(bottom + BORDER - 4, 1)
    groups = [
        Group("sheet", (Rect(0.5, 0.5, width - 1, height - 1, 10, fill=SHEET, stroke=EDGE),)),
        *_content(diagram, _shifted(layout, dx, above)),
        Group("title", tuple(_title(diagram))),
        Group("legend", tuple(legend)),
    ]
    return Scene(width, height, tuple(groups), diagram.title)


def _laid_out(diagram: Diagram) -> Layout:
    """The layout; one from left to right is one from top to bottom, mirrored at the diagonal."""
    across = diagram.rankdir == "LR"
    sizes = [box_size(box) for box in diagram.boxes]
    margins = [
        Margins(left=HEAD + 8, right=14, top=14, bottom=14, height=head_width(frame))
        if across
        else Margins(top=HEAD + 8, width=head_width(frame))
        for frame in diagram.frames
    ]
    layout = lay_out(
        [(height, width) for width, height in sizes] if across else sizes,
        [box.frame for box in diagram.boxes],
        [frame.parent for frame in diagram.frames],
        margins,
        _ports(diagram, [size[across] for size in sizes]),
    )
    return _mirrored(layout) if across else layout


def _ports(diagram: Diagram, sizes: list[float]) -> list[Link]:
    """The links with where they leave: from several places where a box has several outputs that are read."""
    read: dict[int, set[int]] = {}
    for link in diagram.links:
        read.setdefault(link.source, set()).add(link.output or 0)
    ports = {source: sorted(outputs) for source, outputs in read.items()}
    found = []
    for link in diagram.links:
        outputs = ports[link.source]
        apart = min(PORTS, sizes[link.source] / (len(outputs) + 1))
        place = outputs.index(link.output or 0) - (len(outputs) - 1) / 2
        found.append(Link(link.source, link.target, link.output or 0, round(place * apart, 2)))
    return found


def _mirrored(layout: Layout) -> Layout:
    boxes, frames = (
        tuple(r and Rectangle(r.y, r.x, r.height, r.width) for r in rectangles)
        for rectangles in (layout.boxes, layout.frames)
    )
    routes = tuple(tuple((y, x) for x, y in route) for route in layout.routes)
    return Layout(tuple(r for r in boxes if r), frames, routes, layout.height, layout.width)


def _shifted(layout: Layout, dx: float, dy: float) -> Layout:
    boxes, frames = (
        tuple(r and Rectangle(round(r.x + dx, 2), round(r.y + dy, 2), r.width, r.height) for r in rectangles)
        for rectangles in (layout.boxes, layout.frames)
    )
    routes = tuple(tuple((round(x + dx, 2), round(y + dy, 2)) for x, y in route) for route in layout.routes)
    return Layout(tuple(r for r in boxes if r), frames, routes, layout.width, layout.height)


def _content(diagram: Diagram, layout: Layout) -> Iterator[Group]:
    """Frames, links, the heads of frames, and boxes, in the order in which they cover each other."""
    frames = [(number, place) for number, place in enumerate(layout.frames) if place is not None]
    depth = [0] * len(diagram.frames)
    for number, frame in enumerate(diagram.frames):
        depth[number] = 0 if frame.parent is None else depth[frame.parent] + 1
    for number, place in frames:
        frame = diagram.frames[number]
        yield Group("frame", frame_parts(frame, place, FRAMES[depth[number] % 2][0]), frame.details)
    yield from _shared(diagram, layout)
    for link, route in zip(diagram.links, layout.routes, strict=True):
        names = f"{diagram.boxes[link.source].name} → {diagram.boxes[link.target].name}"
        title = plain(names) + {"data": "", "mask": " (mask)", "both": " (with its mask)"}[link.kind]
        yield Group("link", link_parts(route, link.kind, link.output, diagram.rankdir == "LR"), title)
    for number, place in frames:
        frame = diagram.frames[number]
        yield Group("head", head_parts(frame, place, FRAMES[depth[number] % 2][1]), frame.details)
    for box, place in zip(diagram.boxes, layout.boxes, strict=True):
        yield box_group(box, place)


def _shared(diagram: Diagram, layout: Layout) -> Iterator[Group]:
    """Dotted lines between the calls of one set of weights, where nothing stands between them."""
    things = [*zip(diagram.frames, layout.frames, strict=True), *zip(diagram.boxes, layout.boxes, strict=True)]
    calls: dict[int, list[Rectangle]] = {}
    for thing, place in things:
        if thing.weights is not None and place is not None:
            calls.setdefault(thing.weights, []).append(place)
    for weights, places in calls.items():
        for first, second in itertools.pairwise(places):
            others = [r for _, r in things if r is not None and not _holds(r, first) and not _holds(r, second)]
            line = shared_line(first, second, others, accent(weights) or INK)
            if line is not None:
                yield Group("shared", (line,), "one set of weights")


def _holds(outer: Rectangle, inner: Rectangle) -> bool:
    """Whether a place is in another one, or is it."""
    across = outer.x <= inner.x and inner.x + inner.width <= outer.x + outer.width
    return across and outer.y <= inner.y and inner.y + inner.height <= outer.y + outer.height


def _title(diagram: Diagram) -> Iterator[Words]:
    y = BORDER + TITLE
    if diagram.title:
        yield Words(BORDER, y - 1, shortened(plain(diagram.title), 80), TITLE, INK, "bold")
    if diagram.subtitle:
        yield Words(BORDER, y + SUBTITLE + 6, plain(diagram.subtitle), SUBTITLE, FAINT)


def _legend(diagram: Diagram, left: float, top: float, width: float) -> tuple[list[FramePart], float]:
    """Signs with words, in rows as wide as the picture; and where it ends."""
    occurring = {box.kind for box in diagram.boxes}
    entries: list[tuple[str, str]] = [(kind, words) for kind, words in KINDS.items() if kind in occurring]
    marks = {mark for thing in (*diagram.boxes, *diagram.frames) for mark in thing.marks}
    if any(link.kind != "data" for link in diagram.links):
        entries.append(("mask", "mask"))
    if any(thing.weights is not None for thing in (*diagram.boxes, *diagram.frames)):
        entries.append(("shared", "one colour: one set of weights"))
    if "frozen" in marks:
        entries.append(("frozen", "not trained"))
    parts: list[FramePart] = []
    x, y = left, top
    for sign, words in entries:
        needed = 20 + width_of(words, 9.5) + 16
        if x > left and x + needed - 16 > left + width:
            x, y = left, y + 18
        parts += _sign(sign, x, y)
        parts.append(Words(x + 20, y + 9, words, 9.5, TEXT))
        x += needed
    return parts, y + 12


def _sign(sign: str, x: float, y: float) -> list[FramePart]:
    if sign == "mask":
        return [Path((("M", x, y + 5.5), ("L", x + 15, y + 5.5)), stroke=MASK, line=1.3, dash=DASH)]
    if sign == "shared":
        return [Rect(x + 1, y, 13, 11, 3, fill=SHEET, stroke=SHARED[0], line=1.6)]
    fill, edge = (FROZEN[0], FROZEN[0]) if sign == "frozen" else FILLS[sign]
    return [Rect(x + 1, y, 13, 11, 5.5 if sign in ("output", "frozen") else 3, fill=fill, stroke=edge)]
