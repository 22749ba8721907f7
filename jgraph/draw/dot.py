"""A diagram as text for Graphviz: nested models as clusters, the same colours as in our own pictures."""

from collections.abc import Iterator
from html import escape

from jgraph.draw.diagram import Box, Diagram, Frame, badge, nested
from jgraph.draw.letters import holdable, plain
from jgraph.draw.palette import FAINT, FILLS, FRAMES, LINE, MASK, accent


def dot(diagram: Diagram) -> str:
    r"""The diagram in the language of `dot`; the same diagram gives the same text.

    >>> from jgraph.draw.diagram import Link
    >>> print(dot(Diagram("model", "", (Box("a"), Box("b")), (Link(0, 1),))).splitlines()[-2])
      n0 -> n1;
    """
    title = plain(f"{diagram.title}  {diagram.subtitle}".strip())
    return "\n".join(
        [
            "digraph model {",
            f'  graph [label={_quoted(title)}, labelloc="t", labeljust="l", rankdir="{diagram.rankdir}", fontsize=14];',
            '  graph [fontname="Helvetica", nodesep=0.3, ranksep=0.35];',
            '  node [shape="box", style="filled,rounded", fontname="Helvetica", fontsize=11];',
            f'  edge [color="{LINE}", fontname="Helvetica", fontsize=9, arrowsize=0.7];',
            *_boxes(diagram),
            *_links(diagram),
            "}",
            "",
        ]
    )


def _boxes(diagram: Diagram) -> Iterator[str]:
    """The boxes in their clusters; a cluster is closed when all in it is written."""
    for what, number, depth in nested(diagram):
        pad = "  " * (depth + 1)
        if what == "box":
            yield f"{pad}n{number} [{_box(diagram.boxes[number])}];"
        elif what == "opens":
            yield f"{pad[:-2]}subgraph cluster_{number} {{"
            yield f"{pad}{_frame(diagram.frames[number], depth)}"
        else:
            yield f"{pad[:-2]}}}"


def _frame(frame: Frame, depth: int) -> str:
    words = " · ".join(filter(None, [plain(frame.name), *frame.marks, badge(frame.weights, frame.call)]))
    colour = accent(frame.weights) or "#C3CAD5"
    return (
        f'graph [label={_quoted(words)}, labeljust="l", style="filled,rounded", fillcolor="{FRAMES[depth % 2][0]}",'
        f' color="{colour}", fontsize=11];'
    )


def _box(box: Box) -> str:
    fill, edge = FILLS[box.kind]
    marks = " · ".join(filter(None, [*map(plain, box.marks), badge(box.weights, box.call)]))
    mask = {"made": "mask made here", "ends": "mask ends here"}.get(box.mask, "")
    rows = [
        f"<b>{_html(box.name)}</b>",
        *([f'<font color="{accent(box.weights) or FAINT}">{_html(marks)}</font>'] if marks else []),
        *(_html(line) for line in box.lines),
        *([f'<font color="{MASK}">{_html(mask)}</font>'] if mask else []),
    ]
    label = "".join(f'{row}<br align="left"/>' for row in rows) if len(rows) > 1 else rows[0]
    width = ", penwidth=1.8" if box.weights is not None else ""
    return (
        f'label=<{label}>, fillcolor="{fill}", color="{accent(box.weights) or edge}"{width},'
        f" tooltip={_quoted(box.details or box.name)}"
    )


def _links(diagram: Diagram) -> Iterator[str]:
    for link in diagram.links:
        words = []
        if link.output is not None:
            words.append(f'label="#{link.output}"')
        if link.kind == "mask":
            words.append(f'color="{MASK}", style="dashed"')
        if link.kind == "both":
            words.append(f'color="{LINE}:white:{MASK}", tooltip="with its mask"')
        yield f"  n{link.source} -> n{link.target}" + (f" [{', '.join(words)}]" if words else "") + ";"


def _quoted(text: str) -> str:
    """A string of `dot`, in which backslashes and quotes stand for themselves."""
    return '"' + holdable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _html(text: str) -> str:
    return escape(holdable(plain(text))) or " "
