"""How a box and the head of a frame look, and how much room they take."""

from jgraph.draw.diagram import Box, Frame, badge
from jgraph.draw.layout import Rectangle
from jgraph.draw.letters import plain, shortened, width_of
from jgraph.draw.palette import FAINT, FILLS, FROZEN, INK, MARK, MASK, TEXT, accent
from jgraph.draw.shapes import Group, Path, Rect, Words

NAME, WORD, PILL = 12.0, 10.5, 8.5
"""The sizes of the letters of names, of the lines below them, and of marks."""

ROW, SIDE, ABOVE, BELOW = 14.0, 10.0, 16.5, 7.0
"""The distance of lines, and what is left free at the sides, above the first base line and below the last."""

MOST = 46
"""Letters of a line; what is longer is shortened, and whole where the pointer rests."""

HEAD = 20.0
"""The height of a frame's head."""

MASK_WORDS = {"made": "mask made here", "ends": "mask ends here"}

Pill = tuple[str, str, str]
"""Words, their colour, and that of what is behind them."""


def box_size(box: Box) -> tuple[float, float]:
    """The width and the height of a box.

    >>> box_size(Box("dense")) < box_size(Box("dense_with_a_long_name", lines=("Dense 4",)))
    True
    """
    lines = _lines(box)
    first = width_of(_name(box), NAME, "bold") + _pills_width(_pills(box.weights, box.call, box.marks))
    widest = max([first, *(width_of(text, WORD) for text, _ in lines)])
    return round(widest + 2 * SIDE, 1), ABOVE + ROW * len(lines) + BELOW


def box_group(box: Box, place: Rectangle) -> Group:
    """A box as it is drawn: the name with its marks, and below it what the layer is and gives."""
    fill, edge = FILLS[box.kind]
    colour = accent(box.weights)
    radius = place.height / 2 if box.kind == "output" else 5.0
    parts: list[Rect | Path | Words] = [
        Rect(
            *(place.x, place.y, place.width, place.height, radius),
            fill=fill,
            stroke=colour or edge,
            line=1.6 if colour else 1.0,
        )
    ]
    pills = _pills(box.weights, box.call, box.marks)
    y = place.y + ABOVE
    if box.kind == "output":
        parts.append(Words(place.x + place.width / 2, y, _name(box), NAME, INK, "bold", "middle"))
    else:
        parts.append(Words(place.x + SIDE, y, _name(box), NAME, INK, "bold"))
    parts += _pill_parts(pills, place.x + place.width - SIDE + 3, y)
    for number, (text, ink) in enumerate(_lines(box), 1):
        parts.append(Words(place.x + SIDE, y + number * ROW, text, WORD, ink))
    return Group("box", tuple(parts), box.details or plain(box.name))


def head_width(frame: Frame) -> float:
    """The width of a frame's name and marks."""
    return width_of(_name(frame), WORD, "bold") + _pills_width(_pills(frame.weights, frame.call, frame.marks)) + 20


def frame_parts(frame: Frame, place: Rectangle, fill: str) -> tuple[Rect | Path | Words, ...]:
    """What of a frame lies below everything that is in it."""
    colour = accent(frame.weights)
    stroke, line = (colour, 1.4) if colour else ("#C3CAD5", 1.0)
    return (Rect(*(place.x, place.y, place.width, place.height, 9.0), fill=fill, stroke=stroke, line=line),)


def head_parts(frame: Frame, place: Rectangle, fill: str) -> tuple[Rect | Path | Words, ...]:
    """The head of a frame, which hides the lines that enter through it."""
    inset = 0.8
    pills = _pills(frame.weights, frame.call, frame.marks)
    return (
        Rect(place.x + inset, place.y + inset, place.width - 2 * inset, HEAD - inset, 8.0, fill=fill),
        Words(place.x + 10, place.y + 14, _name(frame), WORD, TEXT, "bold"),
        *_pill_parts(pills, place.x + place.width - 8, place.y + 14),
    )


def _name(thing: Box | Frame) -> str:
    return shortened(plain(thing.name), MOST)


def _lines(box: Box) -> list[tuple[str, str]]:
    inks = [TEXT, *[FAINT] * len(box.lines)]
    lines = [(shortened(plain(text), MOST), ink) for text, ink in zip(box.lines, inks, strict=False)]
    return lines + ([(MASK_WORDS[box.mask], MASK)] if box.mask else [])


def _pills(weights: int | None, call: int, marks: tuple[str, ...]) -> list[Pill]:
    pills: list[Pill] = []
    for mark in marks:
        back, ink = FROZEN if mark == "frozen" else MARK
        pills.append((shortened(plain(mark), 24), ink, back))
    colour = accent(weights)
    return pills if colour is None else [*pills, (badge(weights, call), "#FFFFFF", colour)]


def _pills_width(pills: list[Pill]) -> float:
    return sum(width_of(text, PILL) + 14 for text, _, _ in pills) + (6 if pills else 0)


def _pill_parts(pills: list[Pill], right: float, base: float) -> list[Rect | Path | Words]:
    """Marks side by side, the last one ending at `right`."""
    parts: list[Rect | Path | Words] = []
    for text, ink, back in reversed(pills):
        width = width_of(text, PILL) + 10
        parts.append(Rect(right - width, base - 10, width, 13.5, 6.7, fill=back))
        parts.append(Words(right - width / 2, base - 0.3, text, PILL, ink, "normal", "middle"))
        right -= width + 4
    return parts
