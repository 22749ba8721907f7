"""A line chart of one log as SVG, for pages: its colours are the page's own, so that it is light or dark with it."""

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from jgraph.draw.letters import holdable
from jgraph.draw.panels import HUGE, Panel, drawable
from jgraph.draw.ticks import epoch_ticks, even_ticks, labels, number, power_ticks

WIDTH, HEIGHT = 360.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 50.0, 12.0, 10.0, 26.0
LETTER = 5.8
"""The width of a letter of a tick's label, about."""

FEW = 25
"""Up to a few epochs every number is a dot too."""


class Scale(NamedTuple):
    """The values that a chart shows from its lower to its upper edge, by powers of ten or evenly, and its ticks."""

    low: float
    high: float
    powers: bool
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """How far up a value stands, from 0 to 1."""
        if self.powers:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def scale_of(panel: Panel) -> Scale:
    """The scale of a panel's values: powers of ten where a loss or a rate spans more than one of them.

    >>> scale_of(Panel("loss", "total", (100.0, 1.0))).powers, scale_of(Panel("a", "metric", (0.5, 0.5))).ticks
    (True, (0.5,))
    """
    values = [value for value in (*panel.training, *panel.validation) if drawable(value)]
    low, high = min(values, default=0.0), max(values, default=0.0)
    if panel.kind != "metric" and low > 1 / HUGE and high / low > 10:
        room = (high / low) ** 0.06
        low, high = low / room**2, high * room  # below there are the marks
        return Scale(low, high, True, tuple(power_ticks(low, high)))
    if high - low > max(1e-9 * max(abs(low), abs(high)), 1 / HUGE):
        room = 0.07 * (high - low)
        low, high = low - 2 * room, high + room
        return Scale(low, high, False, tuple(even_ticks(low, high)))
    room = abs(low) / 2 if abs(low) > 1 / HUGE else 1.0
    return Scale(low - room, high + room, False, (low,) if values else ())


def chart(panel: Panel, best: int | None = None, marks: Sequence[int] = ()) -> str:
    """The panel's curves over the epochs, which people count from 1: that of training, and that of validation.

    `best` is the best epoch, a line with a dot; `marks` are epochs at which something was decided, small triangles on
    the axis; both count from 0. A number that is not finite is a gap. The page gives the colours, `--training`,
    `--validation`, `--ink`, `--faint` and `--rule`; without them it is drawn in those of Okabe and Ito.

    >>> text = chart(Panel("loss", "total", (0.5, 0.25), (0.75, 0.5)), best=1)
    >>> text.count("<path"), "best epoch 2" in text
    (2, True)
    """
    epochs = max(len(panel.training), len(panel.validation))
    scale = scale_of(panel)
    texts = labels(scale.ticks) if scale.ticks else []
    left = max(LEFT, 14 + LETTER * max(map(len, texts), default=0))
    inner = WIDTH - left - RIGHT
    across = [left + inner * (0.5 if epochs == 1 else epoch / (epochs - 1)) for epoch in range(epochs)]
    parts = [*_grid(scale, texts, left), *_epochs(across, epochs)]
    parts += [f'<polygon points="{_triangle(across[mark])}" style="fill:{MARK}"/>' for mark in marks if mark < epochs]
    for values, colour in ((panel.training, TRAINING), (panel.validation, VALIDATION)):
        parts += _curve(values, across, scale, RATE if panel.kind == "rate" else colour)
    if best is not None and best < epochs:
        parts += _best(panel, across[best], best, scale)
    if not any(drawable(value) for value in (*panel.training, *panel.validation)):
        parts.append(_text((left + WIDTH - RIGHT) / 2, HEIGHT / 2, "no finite number", "middle"))
    label = escape(holdable(f"{panel.name} over {epochs} epochs"), quote=True)
    head = f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{label}" font-size="10">'
    return "\n".join([head, *parts, "</svg>"])


TRAINING, VALIDATION, RATE = "var(--training,#0072B2)", "var(--validation,#E69F00)", "var(--faint,#737373)"
INK, FAINT, RULE, MARK = "var(--ink,#262626)", "var(--faint,#737373)", "var(--rule,#E6E6E6)", "var(--mark,#CC3311)"


def _grid(scale: Scale, texts: Sequence[str], left: float) -> Iterator[str]:
    for tick, text in zip(scale.ticks, texts, strict=True):
        y = _height(scale, tick)
        yield f'<line x1="{left:.1f}" x2="{WIDTH - RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}" style="stroke:{RULE}"/>'
        yield _text(left - 6, y + 3.5, text, "end")


def _epochs(across: Sequence[float], epochs: int) -> Iterator[str]:
    base = HEIGHT - BOTTOM
    yield f'<line x1="{across[0]:.1f}" x2="{across[-1]:.1f}" y1="{base:g}" y2="{base:g}" style="stroke:{FAINT}"/>'
    for epoch in epoch_ticks(epochs, 7):
        yield _text(across[epoch - 1], HEIGHT - 8, str(epoch), "middle")


def _curve(values: Sequence[float], across: Sequence[float], scale: Scale, colour: str) -> Iterator[str]:
    """A line with gaps; dots where epochs are few, and where a number stands alone."""
    points = [(x, _height(scale, v)) if drawable(v) else None for x, v in zip(across, values, strict=False)]
    steps = [
        f"{'L' if place and points[place - 1] else 'M'}{point[0]:.1f} {point[1]:.1f}"
        for place, point in enumerate(points)
        if point
    ]
    if steps:
        yield f'<path d="{"".join(steps)}" style="fill:none;stroke:{colour};stroke-width:1.8;stroke-linejoin:round"/>'
    around = [None, *points, None]
    for place, point in enumerate(points):
        if point and (len(points) <= FEW or (around[place] is None and around[place + 2] is None)):
            yield f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="2.4" style="fill:{colour}"/>'


def _best(panel: Panel, x: float, epoch: int, scale: Scale) -> Iterator[str]:
    value = panel.value_at(epoch)
    yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP:g}" y2="{HEIGHT - BOTTOM:g}" style="stroke:{FAINT}"/>'
    if drawable(value):
        y = _height(scale, value)
        title = f"<title>best epoch {epoch + 1}: {escape(holdable(panel.name))} {number(value)}</title>"
        style = f"fill:{INK};stroke:var(--card,#FFF);stroke-width:1.5"
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.2" style="{style}">{title}</circle>'


def _triangle(x: float) -> str:
    base = HEIGHT - BOTTOM
    return f"{x:.1f},{base - 1:g} {x - 4:.1f},{base - 8:g} {x + 4:.1f},{base - 8:g}"


def _height(scale: Scale, value: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * scale.share(value)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="fill:{FAINT}">{escape(text)}</text>'
