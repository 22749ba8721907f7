"""What a picture of a graph shows, as plain rows: boxes, the links between them, and frames around some of them."""

import dataclasses
from collections.abc import Iterator
from typing import Literal

LinkKind = Literal["data", "mask", "both"]

KINDS = {
    "input": "input",
    "output": "output",
    "convolution": "convolution",
    "recurrent": "recurrent",
    "attention": "attention",
    "dense": "dense",
    "embedding": "embedding",
    "normalization": "normalization",
    "pooling": "pooling, resizing",
    "merging": "merging",
    "activation": "activation",
    "regularization": "regularization",
    "reshaping": "reshaping",
    "preprocessing": "preprocessing",
    "model": "nested model",
    "op": "operation",
    "other": "other layer",
}
"""The kinds of boxes, and what a legend calls them, in its order."""


@dataclasses.dataclass(frozen=True)
class Box:
    """One call of a layer, or the place where an output leaves.

    `lines` are shown below the name, `details` where the pointer rests. `frame` is the number of the frame it is in.
    `weights` is the number of the set of weights that it shares with other boxes or frames, and `call` says which call
    of them it is. `mask` says what the box does with masks (`made`, `ends`), `marks` how it is treated (`frozen`).
    """

    name: str
    kind: str = "other"
    lines: tuple[str, ...] = ()
    frame: int | None = None
    details: str = ""
    weights: int | None = None
    call: int = 0
    mask: str = ""
    marks: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Link:
    """What one box reads of another: its outputs of that number (`None` where it has one only), a mask, or both."""

    source: int
    target: int
    output: int | None = None
    kind: LinkKind = "data"


@dataclasses.dataclass(frozen=True)
class Frame:
    """A nested model: what is drawn around its boxes. `parent` is the number of the frame that it is in."""

    name: str
    parent: int | None = None
    details: str = ""
    weights: int | None = None
    call: int = 0
    marks: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Diagram:
    """A graph without cycles, drawn from top to bottom (`TB`) or from left to right (`LR`); a parent comes first.

    >>> Diagram("model", "", (Box("a"), Box("b")), (Link(0, 1),)).boxes[1].name
    'b'
    """

    title: str
    subtitle: str
    boxes: tuple[Box, ...]
    links: tuple[Link, ...]
    frames: tuple[Frame, ...] = ()
    rankdir: Literal["TB", "LR"] = "TB"


def badge(weights: int | None, call: int) -> str:
    """What says that a box or frame shares its weights: nothing, `shared`, or the call.

    >>> badge(None, 0), badge(3, 0), badge(3, 1)
    ('', 'shared', 'shared, call 1')
    """
    return "" if weights is None else f"shared, call {call}" if call else "shared"


def nested(diagram: Diagram) -> Iterator[tuple[Literal["opens", "box", "closes"], int, int]]:
    """The boxes, each between the beginning and the end of its frame: what comes, its number, and how deep it stands.

    >>> [*nested(Diagram("", "", (Box("a", frame=0), Box("b")), (), (Frame("f"),)))]
    [('box', 1, 0), ('opens', 0, 1), ('box', 0, 1), ('closes', 0, 1)]
    """
    boxes: dict[int | None, list[int]] = {}
    for number, box in enumerate(diagram.boxes):
        boxes.setdefault(box.frame, []).append(number)
    inner: dict[int | None, list[int]] = {}
    for number, frame in enumerate(diagram.frames):
        inner.setdefault(frame.parent, []).append(number)
    stack: list[tuple[int | None, int, bool]] = [(None, 0, True)]
    while stack:
        frame, depth, opens = stack.pop()
        if frame is not None:
            yield ("opens" if opens else "closes"), frame, depth
        if opens:
            stack.append((frame, depth, False))
            for number in boxes.get(frame, ()):
                yield "box", number, depth
            stack.extend((child, depth + 1, True) for child in reversed(inner.get(frame, ())))
