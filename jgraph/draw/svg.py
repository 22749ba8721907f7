"""A scene as SVG text, which needs no font of ours and no library."""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from jgraph.draw.letters import holdable
from jgraph.draw.shapes import Group, Path, Rect, Scene, Words

FONTS = "Helvetica Neue, Helvetica, Arial, Segoe UI, Roboto, DejaVu Sans, sans-serif"


def svg(scene: Scene) -> str:
    """The scene as a document of SVG; the same scene gives the same text.

    >>> text = svg(Scene(10, 10, (Group("box", (Words(1, 2, "a<b", 9, "#000000"),)),)))
    >>> "a&lt;b</text>" in text
    True
    """
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(scene.width)}" height="{_n(scene.height)}"'
        f' viewBox="0 0 {_n(scene.width)} {_n(scene.height)}" font-family="{FONTS}" role="img"'
        f" aria-label={quoteattr(holdable(scene.title or 'model'))}>"
    )
    return "\n".join([head, *(line for group in scene.groups for line in _group(group)), "</svg>", ""])


def _group(group: Group) -> Iterator[str]:
    title = f"<title>{escape(holdable(group.title))}</title>" if group.title else ""
    yield f'<g class="jgraph-{group.kind}">{title}'
    for part in group.parts:
        yield _rect(part) if isinstance(part, Rect) else _path(part) if isinstance(part, Path) else _words(part)
    yield "</g>"


def _rect(rect: Rect) -> str:
    place = f'x="{_n(rect.x)}" y="{_n(rect.y)}" width="{_n(rect.width)}" height="{_n(rect.height)}"'
    radius = f' rx="{_n(rect.radius)}"' if rect.radius else ""
    return f"<rect {place}{radius}{_style(rect)}/>"


def _path(path: Path) -> str:
    steps = "".join(step[0] + " ".join(map(_n, step[1:])) for step in path.steps)
    return f'<path d="{steps}"{_style(path)}/>'


def _style(part: Rect | Path) -> str:
    style = f' fill="{part.fill or "none"}"'
    if part.stroke:
        style += f' stroke="{part.stroke}" stroke-width="{_n(part.line)}"'
    return style + (f' stroke-dasharray="{" ".join(map(_n, part.dash))}"' if part.dash else "")


def _words(words: Words) -> str:
    weight = ' font-weight="bold"' if words.weight == "bold" else ""
    anchor = "" if words.anchor == "start" else f' text-anchor="{words.anchor}"'
    place = f'x="{_n(words.x)}" y="{_n(words.y)}" font-size="{_n(words.size)}"'
    return f'<text {place}{weight}{anchor} fill="{words.fill}">{escape(holdable(words.text))}</text>'


def _n(value: float) -> str:
    """A number with at most two digits behind the point."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
