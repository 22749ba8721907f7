"""What a drawn scene consists of: rectangles, paths and words, in groups. The unit is a pixel of 1/96 inch."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

Step = tuple[str, *tuple[float, ...]]
"""A part of a path: `("M", x, y)`, `("L", x, y)`, or `("C", x1, y1, x2, y2, x, y)` as in SVG."""


@dataclasses.dataclass(frozen=True)
class Rect:
    """A rectangle with round corners."""

    x: float
    y: float
    width: float
    height: float
    radius: float = 0.0
    fill: str | None = None
    stroke: str | None = None
    line: float = 1.0
    dash: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Path:
    """A line, or what it surrounds where `fill` is a colour."""

    steps: tuple[Step, ...]
    stroke: str | None = None
    line: float = 1.0
    dash: tuple[float, ...] = ()
    fill: str | None = None


@dataclasses.dataclass(frozen=True)
class Words:
    """A line of text; `y` is its base line."""

    x: float
    y: float
    text: str
    size: float
    fill: str
    weight: Literal["normal", "bold"] = "normal"
    anchor: Literal["start", "middle", "end"] = "start"


@dataclasses.dataclass(frozen=True)
class Group:
    """What belongs together: a box, a frame, a link. `title` is shown where the pointer rests."""

    kind: str
    parts: tuple[Rect | Path | Words, ...]
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Scene:
    """Groups on a sheet, the later ones on top."""

    width: float
    height: float
    groups: tuple[Group, ...]
    title: str = ""


def polygon(points: Sequence[tuple[float, float]], fill: str) -> Path:
    """A filled polygon.

    >>> polygon([(0, 0), (1, 0), (0, 1)], "#000000").steps[-1]
    ('Z',)
    """
    (x, y), *rest = points
    return Path((("M", x, y), *(("L", *point) for point in rest), ("Z",)), fill=fill)
