"""How links look: curves with an arrow, dashed where a mask goes, dotted between calls that share weights."""

import itertools
from collections.abc import Sequence

from jgraph.draw.layout import Rectangle, Route
from jgraph.draw.palette import FAINT, LINE, MASK
from jgraph.draw.shapes import Path, Rect, Step, Words, polygon

ARROW = 7.0
"""How long the tip of an arrow is."""

BESIDE = 6.5
"""How far beside a link the mask runs that goes with it."""

DASH = (4.0, 3.0)
LONGEST = 420.0
"""No dotted line is longer: beyond this the colour alone says which calls share weights."""


def link_parts(route: Route, kind: str, output: int | None, across: bool) -> tuple[Rect | Path | Words, ...]:
    """A link along its route; `across` where the graph goes from left to right.

    >>> [type(part).__name__ for part in link_parts(((0.0, 0.0), (0.0, 20.0)), "both", None, False)]
    ['Path', 'Path', 'Path', 'Path']
    """
    parts: list[Rect | Path | Words] = []
    if kind in ("mask", "both"):
        shift = BESIDE if kind == "both" else 0.0
        moved = tuple((x, y + shift) if across else (x + shift, y) for x, y in route)
        parts += _arrow(moved, MASK, 1.1, DASH, across, 5.0)
    if kind in ("data", "both"):
        parts += _arrow(route, LINE, 1.3, (), across, ARROW)
    if output is not None:
        x, y = route[0]
        place = (x + 3, y - 4) if across else (x + 4, y + 10)
        parts.append(Words(*place, f"#{output}", 8.0, FAINT))
    return tuple(parts)


def _arrow(
    route: Route, colour: str, line: float, dash: tuple[float, ...], across: bool, tip: float
) -> list[Rect | Path | Words]:
    """A curve that ends in a filled triangle."""
    (x, y), half = route[-1], 0.43 * tip
    base = (x - tip, y) if across else (x, y - tip)
    wings = [(x - tip, y - half), (x - tip, y + half)] if across else [(x - half, y - tip), (x + half, y - tip)]
    shaft = [*route[:-1], base]
    if len(shaft) > 2 and (shaft[-2][0] > base[0] if across else shaft[-2][1] > base[1]):
        shaft[-2:] = [base]  # the last bend is nearer than the tip is long
    return [Path(_curve(shaft, across), stroke=colour, line=line, dash=dash), polygon([(x, y), *wings], colour)]


def _curve(points: Sequence[tuple[float, float]], across: bool) -> tuple[Step, ...]:
    """Straight lines where a route goes straight, else curves that begin and end in its direction."""
    steps: list[Step] = [("M", *points[0])]
    for (x, y), (u, v) in itertools.pairwise(points):
        if (y == v) if across else (x == u):
            steps.append(("L", u, v))
        elif across:
            steps.append(("C", (x + u) / 2, y, (x + u) / 2, v, u, v))
        else:
            steps.append(("C", x, (y + v) / 2, u, (y + v) / 2, u, v))
    return tuple(steps)


def shared_line(first: Rectangle, second: Rectangle, others: Sequence[Rectangle], colour: str) -> Path | None:
    """A dotted line between two places that see each other, side by side or one above the other; else `None`."""
    low, high = max(first.y, second.y), min(first.y + first.height, second.y + second.height)
    left, right = sorted((first, second), key=lambda r: r.x)
    if high - low < 8 or right.x - left.x - left.width > LONGEST or right.x < left.x + left.width:
        return None
    y, start, stop = (low + high) / 2, left.x + left.width, right.x
    if any(r.y - 3 < y < r.y + r.height + 3 and r.x < stop and r.x + r.width > start for r in others):
        return None
    return Path((("M", start, y), ("L", stop, y)), stroke=colour, line=1.3, dash=(1.3, 3.2))
