"""What matplotlib is for: figures of curves, and scenes as PNG. All else of jgraph does without it."""

import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from jgraph.draw.shapes import Path, Rect, Scene, Words
from jgraph.errors import ArgumentError

STYLE = {"svg.fonttype": "none", "svg.hashsalt": "jgraph"}

MOST_PIXELS, LONGEST_SIDE = 80e6, 60_000
"""A scene that is larger is drawn with fewer dots per inch: matplotlib's canvas ends at 65,536 pixels a side."""

ROUND = 0.5523
"""Where the handles of a curve are that looks like a quarter of a circle (4/3 * (sqrt(2) - 1))."""


def painted(where: str, draw: Callable[[], Any], suffix: str, metadata: Mapping[str, Any]) -> bytes:
    """The file of the figure that `draw` makes, whatever the user's own settings of matplotlib, which stay as they are.

    Raises:
        ArgumentError: matplotlib is not installed.
    """
    try:
        from matplotlib import style
    except ImportError as error:
        cure = "Install it: pip install jgraph[plot]."
        raise ArgumentError(where, expected="matplotlib", got="none that is installed", cure=cure) from error
    content = io.BytesIO()
    with style.context(["default", STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+", category=UserWarning)  # drawn as an empty box
        draw().savefig(content, format=suffix[1:], metadata=metadata)
    return content.getvalue()


def figure_of(width: float, height: float, dpi: float) -> Any:
    """An empty figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=dpi)


def fit(figure: Any, rectangle: tuple[float, float, float, float]) -> None:
    """Fits the panels into a part of the figure; rounded, because the last bits differ from one time to the next."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    ConstrainedLayoutEngine(rect=rectangle, w_pad=0.08, h_pad=0.09, wspace=0, hspace=0).execute(figure)
    for axes in figure.axes:
        axes.set_position([round(edge, 6) for edge in axes.get_position().bounds])


def length_of(text: str, size: float, weight: str) -> float:
    """The inches that a line of text takes."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72


def png(scene: Scene, dpi: float, where: str) -> bytes:
    """The scene as PNG, with so many dots per inch, or fewer where there would be too many.

    Raises:
        ArgumentError: matplotlib is not installed.
    """
    side, area = max(scene.width, scene.height) / 96, scene.width * scene.height / 96**2
    dots = min(float(dpi), LONGEST_SIDE / side, (MOST_PIXELS / area) ** 0.5)
    return painted(where, lambda: _scene(scene, dots), ".png", {"Software": None})


def _scene(scene: Scene, dpi: float) -> Any:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline
    from matplotlib.text import Text
    from matplotlib.transforms import Affine2D

    figure = figure_of(scene.width / 96, scene.height / 96, dpi)
    figure.patch.set_alpha(0.0)
    scale = dpi / 96
    place = Affine2D().scale(scale, -scale).translate(0, scene.height * scale)
    for part in (part for group in scene.groups for part in group.parts):
        if isinstance(part, Words):
            x, y = place.transform((part.x, part.y))
            font = {"fontsize": part.size * 0.75, "fontweight": part.weight, "color": part.fill}
            anchor = {"start": "left", "middle": "center", "end": "right"}[part.anchor]
            text = Text(x, y, part.text, ha=anchor, va="baseline", parse_math=False, transform=None, **font)
            figure.add_artist(text)
            continue
        points, codes = _outline(part)
        line = {"edgecolor": part.stroke or "none", "linewidth": part.line * 0.75 if part.stroke else 0.0}
        if part.dash:
            line["linestyle"] = (0, tuple(length / part.line for length in part.dash))
        style = {"facecolor": part.fill or "none", "capstyle": "butt", "joinstyle": "round", **line}
        figure.add_artist(PathPatch(Outline(points, codes), transform=place, **style))
    return figure


def _outline(part: Rect | Path) -> tuple[list[tuple[float, float]], list[int]]:
    """The points and the codes of matplotlib: 1 begins, 2 is a straight line, 4 a curve by three points, 79 closes."""
    points: list[tuple[float, float]] = []
    codes: list[int] = []
    for letter, *numbers in _rounded(part) if isinstance(part, Rect) else part.steps:
        pairs = list(zip(numbers[::2], numbers[1::2], strict=True)) or [points[0]]
        points += pairs
        codes += [{"M": 1, "L": 2, "C": 4, "Z": 79}[letter]] * len(pairs)
    return points, codes


def _rounded(rect: Rect) -> list[tuple]:
    x, y, u, v = rect.x, rect.y, rect.x + rect.width, rect.y + rect.height
    r = min(rect.radius, rect.width / 2, rect.height / 2)
    c = r * (1 - ROUND)
    return [
        ("M", x + r, y),
        ("L", u - r, y),
        ("C", u - c, y, u, y + c, u, y + r),
        ("L", u, v - r),
        ("C", u, v - c, u - c, v, u - r, v),
        ("L", x + r, v),
        ("C", x + c, v, x, v - c, x, v - r),
        ("L", x, y + r),
        ("C", x, y + c, x + c, y, x + r, y),
        ("Z",),
    ]
