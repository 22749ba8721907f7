"""The picture of many records: a row for each family, a dot for each case, a bar for their geometric mean."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.layer_speed.goals import PLAIN, geometric_mean, ratio

SIDES = {"plain": ("plain JAX", "#3b6fb6", 0.17), "torch": ("PyTorch", "#d9662b", -0.17)}
"""What the sides are called, their colours, and how far from the middle of a row their dots lie."""


def draw(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Draws the ratios of all records into a file (SVG or PNG), a panel for each mode and direction."""
    from matplotlib import pyplot

    timed = [record for record in records if "rounds" in record]
    panels = sorted({(record["mode"], record["direction"]) for record in timed}, key=lambda p: (p[0] == "loop", p[1]))
    names = sorted({record["family"] for record in timed}, reverse=True)
    size = 1.5 + 5 * len(panels), 1.6 + 0.3 * len(names)
    figure, axes = pyplot.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis, (mode, direction) in zip(axes[0], panels, strict=True):
        axis.axvspan(1e-9, PLAIN, color="#f6e3e0", zorder=0)
        axis.axvline(1, color="#888888", linewidth=0.8, zorder=1)
        here = [record for record in timed if (record["mode"], record["direction"]) == (mode, direction)]
        low, high = 0.5, 2.0
        for side, (label, colour, shift) in SIDES.items():
            points = [(names.index(record["family"]), r) for record in here if (r := ratio(record, side)) > 0]
            rows, ratios = [p[0] for p in points], [p[1] for p in points]
            axis.plot(
                ratios, [row + shift for row in rows], "o", markersize=3.5, alpha=0.45, color=colour, markeredgewidth=0
            )
            for row in set(rows):
                mean = geometric_mean(r for at, r in points if at == row)
                style = {"color": colour, "markersize": 11, "markeredgewidth": 2}
                axis.plot([mean], [row + shift], "|", label=label if row == rows[0] else None, **style)
            low, high = min([low, *ratios]), max([high, *ratios])
        axis.set_xscale("log")
        axis.set_xlim(low / 1.2, high * 1.2)
        ticks = [10.0**n for n in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
        axis.set_xticks([t for t in (*ticks, 0.5, 2.0) if low / 1.2 <= t <= high * 1.2])
        axis.xaxis.set_major_formatter(lambda value, place: f"{value:g}")
        axis.minorticks_off()
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(-0.6, len(names) - 0.4)
        axis.grid(axis="y", color="#eeeeee", zorder=0)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
        axis.set_title(
            f"{direction}, {'in a loop' if mode == 'loop' else 'one call a dispatch'}", loc="left", fontsize=10
        )
        axis.set_xlabel("speed of jgraph over that of others")
    handles = {
        label: handle for axis in axes[0] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
    pyplot.close(figure)
