"""A diagram as a flowchart of Mermaid, which many pages of text draw: nested models as subgraphs."""

from collections.abc import Iterator

from jgraph.draw.diagram import Box, Diagram, badge, nested
from jgraph.draw.letters import holdable, plain
from jgraph.draw.palette import EDGE, FILLS, FRAMES, INK, MASK, TEXT, accent

HARMLESS = " _.,:/()+-\N{MULTIPLICATION SIGN}\N{MIDDLE DOT}\N{HORIZONTAL ELLIPSIS}"
"""What stands for itself in a text of Mermaid, beside letters and digits; all else is written by its number."""


def mermaid(diagram: Diagram) -> str:
    """The diagram in the language of Mermaid; the same diagram gives the same text.

    >>> from jgraph.draw.diagram import Link
    >>> print(mermaid(Diagram("model", "", (Box("a"), Box("b")), (Link(0, 1),))).splitlines()[6])
      n0 --> n1
    """
    kinds = dict.fromkeys(box.kind for box in diagram.boxes)
    return "\n".join(
        [
            "---",
            f"title: {_yaml(f'{diagram.title}  {diagram.subtitle}'.strip())}",
            "---",
            f"flowchart {diagram.rankdir}",
            *_boxes(diagram),
            *_links(diagram),
            *(f"  classDef kind-{kind} fill:{FILLS[kind][0]},stroke:{FILLS[kind][1]},color:{INK}" for kind in kinds),
            *_accents(diagram),
            "",
        ]
    )


def _boxes(diagram: Diagram) -> Iterator[str]:
    """The boxes in their subgraphs; a subgraph ends when all in it is written."""
    for what, number, depth in nested(diagram):
        pad = "  " * (depth + 1)
        if what == "box":
            yield f"{pad}{_box(number, diagram.boxes[number])}"
        elif what == "opens":
            frame = diagram.frames[number]
            words = filter(None, [frame.name, *frame.marks, badge(frame.weights, frame.call)])
            yield f'{pad[:-2]}subgraph f{number}["{_escaped(" · ".join(words))}"]'
        else:
            yield f"{pad[:-2]}end"


def _box(number: int, box: Box) -> str:
    mask = {"made": "mask made here", "ends": "mask ends here"}.get(box.mask, "")
    lines = [*box.lines, " · ".join(filter(None, [*box.marks, badge(box.weights, box.call)])), mask]
    text = "<br/>".join([f"<b>{_escaped(box.name)}</b>", *(_escaped(line) for line in lines if line)])
    left, right = ('(["', '"])') if box.kind == "output" else ('["', '"]')
    return f"n{number}{left}{text}{right}:::kind-{box.kind}"


def _links(diagram: Diagram) -> Iterator[str]:
    for link in diagram.links:
        words = [f"#35;{link.output}"] * (link.output is not None) + ["mask"] * (link.kind != "data")
        arrow = "-.->" if link.kind == "mask" else "-->"
        yield f"  n{link.source} {arrow}" + (f'|"{" · ".join(words)}"|' if words else "") + f" n{link.target}"
    masks = [str(number) for number, link in enumerate(diagram.links) if link.kind == "mask"]
    if masks:
        yield f"  linkStyle {','.join(masks)} stroke:{MASK}"


def _accents(diagram: Diagram) -> Iterator[str]:
    for number, frame in enumerate(diagram.frames):
        yield f"  style f{number} fill:{FRAMES[0][0]},stroke:{accent(frame.weights) or EDGE},color:{TEXT}"
    for number, box in enumerate(diagram.boxes):
        if (colour := accent(box.weights)) is not None:
            yield f"  style n{number} stroke:{colour},stroke-width:2px"


def _escaped(text: str) -> str:
    """A text in quotes, in which nothing has a meaning but itself."""
    return "".join(c if c.isalnum() or c in HARMLESS else f"#{ord(c)};" for c in holdable(plain(text))) or " "


def _yaml(text: str) -> str:
    return '"' + holdable(plain(text)).replace("\\", "\\\\").replace('"', '\\"') + '"'
