"""The picture of a learning-rate range test."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jgraph.draw.curves import (
    DARK,
    DOTS_PER_INCH,
    FORMATS,
    MIDDLE,
    NAME_SIZE,
    TEXT_SIZE,
    TRAINING,
    WIDTHS,
    bare,
    check_suffix,
    on_one_line,
)
from jgraph.draw.files import write
from jgraph.draw.panels import HUGE
from jgraph.draw.paper import figure_of, painted
from jgraph.draw.ticks import number
from jgraph.errors import check_path


def draw_search(
    path: str | os.PathLike[str],
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    suggestion: float | None = None,
    *,
    title: str = "",
) -> None:
    """Draws the losses of a learning-rate range test over the rates, as measured and smoothed, with the suggestion.

    Raises:
        ArgumentError: another suffix, or no matplotlib. WriteError: the file cannot be written.
    """
    check_path("range test, path", path)
    check_suffix(place := Path(path))
    suffix = place.suffix.lower()
    write(
        place,
        painted(
            "range test",
            lambda: _figure(rates, losses, smoothed, suggestion, on_one_line(title)),
            suffix,
            FORMATS[suffix],
        ),
    )


def _figure(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggestion: float | None, title: str
) -> Any:
    """One panel: what was measured as dots, what is smoothed as a line, the suggestion as a line with a dot."""
    figure = figure_of(WIDTHS[1], 3.4, DOTS_PER_INCH)
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    name = title or "loss by learning rate"
    axes.set_title(name, loc="left", size=NAME_SIZE, weight="bold", color=DARK, parse_math=False)
    axes.set_xscale("log")
    bare(axes)
    axes.plot(rates, losses, "o", color=TRAINING, alpha=0.3, markeredgewidth=0, markersize=4, zorder=2)
    axes.plot(rates, smoothed, color=TRAINING, linewidth=1.8, solid_capstyle="round", zorder=3)
    low, high = min(*losses, *smoothed), max(smoothed)  # single batches may lie far above
    room = max(high - low, 1e-9 * abs(low), 1 / HUGE)
    axes.set_ylim(low - 0.25 * room, high + 0.25 * room)
    axes.set_xlabel("learning rate", size=TEXT_SIZE, color=MIDDLE)
    if suggestion is not None:
        at = min(range(len(rates)), key=lambda place: abs(math.log(rates[place] / suggestion)))
        axes.axvline(suggestion, color=MIDDLE, linewidth=0.8, zorder=1)
        axes.plot(suggestion, smoothed[at], "o", color=DARK, markeredgecolor="white", markersize=6.5, zorder=4)
        words = f"\N{BLACK CIRCLE} suggestion {number(suggestion)}"
        axes.set_title(words, loc="right", size=TEXT_SIZE, color=DARK, parse_math=False)
    return figure
