"""The picture of a bench: a panel for each model, a bar for each library, as a ratio to jgraph."""

from pathlib import Path
from typing import Any

from scripts.benchmark.libraries import LIBRARIES
from scripts.benchmark.summary import BASE, number, spread

COLOURS = {
    "jgraph": "#0072B2",
    "flax": "#8FA3B0",
    "loop": "#6F8794",
    "keras-jax": "#E69F00",
    "keras-jax-64": "#F0C566",
    "torch": "#D5694A",
    "keras-tf": "#5FA98A",
}
"""After Okabe and Ito, whose colours the colour-blind can tell apart; each bar has its name beside it too."""

DARK, MIDDLE, LIGHT = "#262626", "#737373", "#E6E6E6"
COLUMNS, WIDTH, BAR, EDGE = 2, 11.0, 0.27, 0.95
STYLE: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "jgraph", "font.size": 9.0, "text.color": DARK}


def bars_of(model: dict[str, Any]) -> list[tuple[str, tuple[float, float, float], float]]:
    """For each library: its name, ratio to jgraph with its range, and steps a second.

    The range of jgraph's own bar is that of its rounds around their median.
    """
    found = []
    for name, summary in model["summary"].items():
        rate, ratio = spread(summary["steps_per_second"]), summary["ratio"]
        if ratio is None or name == BASE:
            ratio = [value / rate[0] for value in rate]
        found.append((name, tuple(ratio), rate[0]))
    return found


def draw_panel(axes: Any, name: str, model: dict[str, Any], roof: float) -> None:
    """One model; `roof` is in steps a second."""
    bars = bars_of(model)
    longest = max((high for _, (_, _, high), _ in bars), default=1.0)
    axes.set_title(name, loc="left", fontweight="bold", fontsize=11, pad=18)
    axes.text(0, 1.0, model["about"], transform=axes.transAxes, va="bottom", color=MIDDLE, fontsize=8.5)
    for place, (library, (median, low, high), rate) in enumerate(bars):
        axes.barh(place, median, 0.68, color=COLOURS[library], zorder=2)
        axes.plot([low, high], [place, place], color=DARK, linewidth=1.1, solid_capstyle="butt", zorder=3)
        weight = "bold" if library == BASE else "normal"
        words = f"{median:.2f} x" if library != BASE else ""
        axes.annotate(
            f"{number(rate)} /s   {words}", (high, place), (6, 0), textcoords="offset points", va="center",
            fontsize=8.5, fontweight=weight, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6}, zorder=2.5,
        )  # fmt: skip
    base = model["summary"].get(BASE)
    at_roof = roof / base["steps_per_second"][0] if base else float("inf")
    if at_roof < 1.6 * longest:
        axes.axvline(at_roof, color=MIDDLE, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
        axes.annotate(
            "roof", (at_roof, 1), (4, -2), xycoords=("data", "axes fraction"), textcoords="offset points",
            va="top", rotation=90, fontsize=8, color=MIDDLE,
        )  # fmt: skip
        longest = max(longest, at_roof)
    axes.axvline(1, color=COLOURS[BASE], linewidth=1, alpha=0.5, zorder=1)
    axes.set_yticks(range(len(bars)), [LIBRARIES[library].title for library, _, _ in bars])
    axes.set_ylim(len(bars) - 0.45, -0.55)
    axes.set_xlim(0, 1.32 * longest)
    axes.tick_params(axis="both", length=0, colors=DARK, labelsize=8.5)
    axes.tick_params(axis="x", colors=MIDDLE, labelsize=8)
    axes.grid(axis="x", color=LIGHT, linewidth=0.8, zorder=0)
    axes.spines[:].set_visible(False)


def draw(figures: dict[str, Any], words: str, stem: Path) -> list[Path]:
    """Writes the picture as SVG and as PNG, with words about the machine below: what has been written."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = {name: model for name, model in figures["models"].items() if model["summary"]}
    if not shown:
        return []
    names, columns = list(shown), min(COLUMNS, len(shown))
    rows = [names[start : start + columns] for start in range(0, len(names), columns)]
    heights = [max(len(shown[name]["summary"]) for name in row) * BAR for row in rows]
    height = sum(heights) + EDGE * (len(rows) + 1)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH * columns / COLUMNS, height))
        FigureCanvasAgg(figure)
        top = height
        for row, inches in zip(rows, heights, strict=True):
            top -= EDGE + inches
            for column, name in enumerate(row):
                left, width = (column + 0.3) / columns, 0.66 / columns
                axes = figure.add_axes((left, top / height, width, inches / height))
                roof = figures["machine"]["roofs"]["flops"] / shown[name]["flops"]
                draw_panel(axes, name, shown[name], roof)
        title = "Training steps a second, as a ratio to jgraph"
        figure.text(0.02, 1 - 0.2 / height, title, fontsize=13, fontweight="bold", va="top")
        figure.text(0.02, 0.2 / height, words, fontsize=7.5, color=MIDDLE, va="bottom", wrap=True)
        files = [stem.with_suffix(suffix) for suffix in (".svg", ".png")]
        for file in files:
            figure.savefig(file, dpi=140, facecolor="white", metadata={"Date": None} if file.suffix == ".svg" else None)
    return files
