"""The picture of a run: its logs as curves, the epoch that was best, and where it stopped; drawn by matplotlib."""

import bisect
import dataclasses
import itertools
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jgraph.draw.decisions import Decision, DecisionKind, decisions
from jgraph.draw.files import write
from jgraph.draw.panels import HUGE, History, Panel, Row, chosen, drawable, panels, rows
from jgraph.draw.paper import figure_of, fit, length_of, painted
from jgraph.draw.ticks import epoch_ticks, even_ticks, labels, number, power_ticks, powers_between
from jgraph.errors import ArgumentError, check_path, listing, nearest

FORMATS = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""The suffixes, each with the metadata that is left out because it would differ from one second to the next."""

# Blue and orange of Okabe and Ito's colours, which the colour-blind can tell apart; one is dark and one is light, so
# that a print in grey shows both.
TRAINING, VALIDATION, RATE, DARK, MIDDLE, LIGHT = "#0072B2", "#E69F00", "#4D4D4D", "#262626", "#737373", "#E6E6E6"

# Inches: the picture's width by columns; the height of a row; what ticks, signs and lines of text take.
WIDTHS = {1: 7.0, 2: 8.5, 3: 10.5, 4: 12.5}
WIDE_HEIGHT, SMALL_HEIGHT, RATE_HEIGHT = 2.4, 2.0, 1.45
EDGE, TICKS, SIGN, GAP, LINE = 0.2, 0.85, 0.27, 0.3, 0.19

TITLE_SIZE, NAME_SIZE, TEXT_SIZE, TICK_SIZE = 13.0, 10.0, 9.5, 8.5
TITLE_LINES, NAME_LINES, WORDS_LINES = 3, 6, 12
FEW, MANY = 25, 100
"""Up to a few epochs every number is a dot too; lines of many epochs are thinner."""

DOTS_PER_INCH = 120

SIGNS: dict[DecisionKind, tuple[str, str]] = {
    "rate": ("\N{BLACK DOWN-POINTING TRIANGLE}", "v"),
    "restored": ("\N{BLACK LEFT-POINTING TRIANGLE}", "<"),
    "frozen": ("\N{BLACK DIAMOND}", "D"),
}
"""How decisions are marked: the sign in the words, and the same as a marker of matplotlib."""


@dataclasses.dataclass(frozen=True)
class _Saying:
    """Words above the panels, with the sign that they explain."""

    sign: str
    colour: str
    words: str


@dataclasses.dataclass(frozen=True)
class _Text:
    """A line of text, placed in inches from the upper left corner."""

    x: float
    y: float
    text: str
    size: float
    weight: str = "normal"
    colour: str = DARK


@dataclasses.dataclass(frozen=True)
class _Picture:
    """All that is to be seen; `best` counts from 0."""

    panels: tuple[Panel, ...]
    sayings: tuple[_Saying, ...]
    title: str
    epochs: int
    best: int | None
    stopped: bool
    decided: tuple[Decision, ...] = ()


def draw_curves(
    path: str | os.PathLike[str],
    history: History,
    *,
    best: tuple[str, int] | None = None,
    stopped: str | None = None,
    title: str = "",
    logs: Sequence[str] | None = None,
    events: Sequence[str] = (),
) -> None:
    """Draws the logs of a run, one number an epoch, as a picture of small panels: PNG, SVG or PDF by the suffix.

    `best` is a log's name and its best epoch, counted from 0 (the picture counts from 1); `stopped` is the reason why
    training ended after the last epoch. `logs` are those that are shown, each with what it was in validation; of the
    run's `events`, changes of the learning rate, restored states and frozen layers are marked. A number that is not
    finite is a gap. The folder is made, and the same arguments give the same bytes. It needs matplotlib, but neither a
    screen nor pyplot.

    Raises:
        ArgumentError: another suffix, no epoch, logs of unequal length, logs or a best epoch that are none, or no
            matplotlib.
        WriteError: the file cannot be written.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "curves.svg"
    ...     draw_curves(path, {"loss": [0.75, 0.5, 0.5], "val_loss": [0.75, 0.5, 0.625]}, best=("val_loss", 1))
    ...     "best epoch 2: val_loss 0.5" in path.read_text(encoding="utf-8")
    True
    """
    check_path("curves, path", path)
    place = Path(path)
    check_suffix(place)
    shown = curves(place.suffix.lower(), history, best=best, stopped=stopped, title=title, logs=logs, events=events)
    write(place, shown)


def curves(
    suffix: str,
    history: History,
    *,
    best: tuple[str, int] | None = None,
    stopped: str | None = None,
    title: str = "",
    logs: Sequence[str] | None = None,
    events: Sequence[str] = (),
) -> bytes:
    """What `draw_curves` writes into a file of that suffix.

    Raises:
        ArgumentError: as for `draw_curves`.
    """
    epochs = check_history(history, best, logs)
    drawn = tuple(panels(history if logs is None else chosen(history, logs)))
    decided = decisions(events, epochs)
    sayings = (*_legend(drawn), *_marks(history, epochs, best, stopped), *_decided(decided))
    picture = _Picture(
        drawn, sayings, on_one_line(title), epochs, best and best[1], stopped is not None, tuple(decided)
    )
    return painted("curves", lambda: _figure(picture), suffix, FORMATS[suffix])


def check_suffix(place: Path) -> None:
    """Checks that the curves can be written into a file of that name.

    Raises:
        ArgumentError: it has another suffix.
    """
    if place.suffix.lower() not in FORMATS:
        expected, cure = f"a suffix among {listing(FORMATS)}", "Write 'curves.png', for example."
        raise ArgumentError("curves, path", expected=expected, got=repr(place.name), cure=cure)


def check_history(history: History, best: tuple[str, int] | None, logs: Sequence[str] | None) -> int:
    """Checks what is to be drawn, and counts the epochs.

    Raises:
        ArgumentError: there is no epoch, logs of unequal length, or logs or a best epoch that are none.
    """
    if logs is not None:
        chosen(history, logs)
    epochs = max((len(values) for values in history.values()), default=0)
    if epochs == 0:
        raise ArgumentError("curves, history", expected="at least one epoch", got="none", cure="Train for an epoch.")
    for name, values in history.items():
        if len(values) != epochs:
            got, cure = f"{len(values)} for {name!r}", "Put NaN where an epoch has no number."
            raise ArgumentError("curves, history", expected=f"{epochs} numbers a log", got=got, cure=cure)
    if best is not None and (best[0] not in history or not 0 <= best[1] < epochs):
        expected = f"one of {listing(history)} and an epoch from 0 to {epochs - 1}"
        cure = f"{nearest(best[0], history)}Give a log's name, and its epoch counted from 0."
        raise ArgumentError("curves, best", expected=expected, got=repr(best), cure=cure)
    return epochs


def _legend(drawn: Sequence[Panel]) -> list[_Saying]:
    curves = [panel for panel in drawn if panel.kind != "rate"]
    line = 2 * "\N{BOX DRAWINGS HEAVY HORIZONTAL}"
    training = [_Saying(line, TRAINING, "training")] if any(panel.training for panel in curves) else []
    validation = [_Saying(line, VALIDATION, "validation")] if any(panel.validation for panel in curves) else []
    return training + validation


def _marks(history: History, epochs: int, best: tuple[str, int] | None, stopped: str | None) -> list[_Saying]:
    said = []
    if best is not None:
        name, epoch = best
        words = f"best epoch {epoch + 1}: {on_one_line(name)} {number(history[name][epoch])}"
        said.append(_Saying("\N{BLACK CIRCLE}", DARK, words))
    if stopped is not None:
        said.append(_Saying("\N{BLACK SQUARE}", DARK, f"stopped after epoch {epochs}: {on_one_line(stopped)}"))
    return said


def _decided(found: Sequence[Decision]) -> list[_Saying]:
    return [_Saying(SIGNS[decision.kind][0], MIDDLE, decision.words()) for decision in found]


def on_one_line(text: str) -> str:
    """A text on one line, without letters that no file could hold."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _figure(picture: _Picture) -> Any:
    """The texts at the top, and below them the grid of panels."""
    placed = rows(picture.panels)
    columns = max(row.columns for row in placed)
    width = WIDTHS[columns]
    texts, top = _texts(picture, width - 2 * EDGE)
    headings = [[_heading(p, picture, (width - 2 * EDGE) / row.columns - TICKS) for p in row.panels] for row in placed]
    heights = [_height(row, headed) for row, headed in zip(placed, headings, strict=True)]
    height = top + sum(heights) + EDGE / 2
    figure = figure_of(width, height, DOTS_PER_INCH)
    for line in texts:
        font = {"size": line.size, "weight": line.weight, "color": line.colour}
        figure.text(line.x / width, 1 - line.y / height, line.text, va="top", parse_math=False, **font)
    grid = figure.add_gridspec(len(placed), columns, height_ratios=heights)
    for number_of_row, (row, headed) in enumerate(zip(placed, headings, strict=True)):
        for column, (panel, (name, value)) in enumerate(zip(row.panels, headed, strict=True)):
            axes = figure.add_subplot(grid[number_of_row, column if row.columns == columns else slice(None)])
            axes.set_title("\n".join(name), loc="left", size=NAME_SIZE, weight="bold", color=DARK, parse_math=False)
            axes.set_title(value, loc="right", size=TEXT_SIZE, color=DARK)
            _panel(axes, panel, picture, 18 if row.columns == 1 else 6)
            if number_of_row == len(placed) - 1:
                axes.set_xlabel("epoch", size=TEXT_SIZE, color=MIDDLE)
    fit(figure, (EDGE / width, EDGE / 2 / height, 1 - 2 * EDGE / width, sum(heights) / height))
    return figure


def _height(row: Row, headings: Sequence[tuple[list[str], str]]) -> float:
    bare = RATE_HEIGHT if row.panels[0].kind == "rate" else WIDE_HEIGHT if row.columns == 1 else SMALL_HEIGHT
    return bare + LINE * (max(len(name) for name, _ in headings) - 1)


def _texts(picture: _Picture, width: float) -> tuple[list[_Text], float]:
    """The title, and the sayings one after the other as in a text; with the height of all."""
    texts, x, y = [], 0.0, EDGE
    for line in _wrapped(picture.title, width, TITLE_SIZE, "bold", TITLE_LINES):
        texts.append(_Text(EDGE, y, line, TITLE_SIZE, "bold"))
        y += 1.5 * LINE
    for saying in picture.sayings:
        lines = _wrapped(saying.words, width - SIGN, TEXT_SIZE, "normal", WORDS_LINES)
        taken = SIGN + max(length_of(line, TEXT_SIZE, "normal") for line in lines)
        if x + taken > width and x > 0:
            x, y = 0.0, y + LINE
        texts.append(_Text(EDGE + x, y, saying.sign, TEXT_SIZE, "bold", saying.colour))
        texts += [_Text(EDGE + x + SIGN, y + place * LINE, line, TEXT_SIZE) for place, line in enumerate(lines)]
        x, y = x + taken + GAP, y + LINE * (len(lines) - 1)
    return texts, y + 2 * LINE


def _heading(panel: Panel, picture: _Picture, width: float) -> tuple[list[str], str]:
    """What stands above a panel: its name on the left, in lines, and its value at the best epoch on the right."""
    best = math.nan if picture.best is None else panel.value_at(picture.best)
    value = "" if math.isnan(best) else f"\N{BLACK CIRCLE} {number(best)}"
    free = width - (length_of(value, TEXT_SIZE, "normal") + GAP / 2 if value else 0.0)
    lines = _wrapped(on_one_line(panel.name), width, NAME_SIZE, "bold", NAME_LINES)
    if lines and length_of(lines[-1], NAME_SIZE, "bold") > free:
        lines = _wrapped(on_one_line(panel.name), free, NAME_SIZE, "bold", NAME_LINES)
    return lines, value


def _wrapped(text: str, width: float, size: float, weight: str, most: int) -> list[str]:
    """A text in lines of at most so many inches, cut behind spaces, `/` and `_`, or anywhere in what is longer."""
    lines = [""]
    for piece in re.findall(r"\s+|[^\s/_]*[/_]+|[^\s/_]+", text):
        if length_of((lines[-1] + piece).rstrip(), size, weight) > width:
            lines.append("")
        rest = piece if lines[-1] else piece.lstrip()
        while length_of(rest, size, weight) > width and len(rest) > 1:
            fitting = _fitting(rest, width, size, weight)
            lines[-1:] = [rest[:fitting], ""]
            rest = rest[fitting:]
        lines[-1] += rest
    lines = [line.rstrip() for line in lines if line.strip()]
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1][:-1] + "\N{HORIZONTAL ELLIPSIS}"]
    return lines


def _fitting(text: str, width: float, size: float, weight: str) -> int:
    """How many letters of a text, at least one, take at most so many inches."""
    ends = range(1, len(text) + 1)
    return max(1, bisect.bisect_right(ends, width, key=lambda end: length_of(text[:end], size, weight)))


def _panel(axes: Any, panel: Panel, picture: _Picture, most_ticks: int) -> None:
    """Draws a panel: its lines, the best epoch as a line with a dot, the end as a dashed line with a square."""
    rate = panel.kind == "rate"
    bare(axes)
    axes.grid(axis="y", which="minor", color=LIGHT, linewidth=0.4)
    _curve(axes, panel.training, RATE if rate else TRAINING, rate and _jumps(panel.training))
    _curve(axes, panel.validation, VALIDATION, False)
    edge = {"color": DARK, "markeredgecolor": "white", "clip_on": False, "zorder": 4}
    if picture.best is not None:
        axes.axvline(picture.best + 1, color=MIDDLE, linewidth=0.8, zorder=1)
        axes.plot(picture.best + 1, panel.value_at(picture.best), "o", markersize=6.5, **edge)
    if picture.stopped:
        axes.axvline(picture.epochs, color=MIDDLE, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
        axes.plot(picture.epochs, 0, "s", markersize=6, transform=axes.get_xaxis_transform(), **edge)
    _mark(axes, picture.decided)
    _scale(axes, panel)
    axes.set_xticks(epoch_ticks(picture.epochs, most_ticks))
    room = max(0.03 * (picture.epochs - 1), 0.25)
    axes.set_xlim(1 - room, picture.epochs + room)


def _mark(axes: Any, decided: Sequence[Decision]) -> None:
    """Thin lines where something was decided, with signs at their tops, one below the other."""
    taken: dict[int, int] = {}
    for decision in decided:
        style = {"color": MIDDLE, "markeredgecolor": "white", "markeredgewidth": 0.6, "clip_on": False, "zorder": 4}
        for epoch in decision.epochs:
            if epoch not in taken:
                axes.axvline(epoch + 1, color=MIDDLE, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
            height = 1 - 0.085 * taken.setdefault(epoch, 0)
            size = 4.5 if decision.kind == "frozen" else 5.5
            place = {"transform": axes.get_xaxis_transform(), "markersize": size}
            axes.plot(epoch + 1, height, SIGNS[decision.kind][1], **place, **style)
            taken[epoch] += 1


def _jumps(values: Sequence[float]) -> bool:
    """Whether a rate stays as it is but for a few epochs, unlike one that follows a smooth schedule."""
    return sum(before != after for before, after in itertools.pairwise(values)) <= len(values) / 4


def _curve(axes: Any, values: Sequence[float], colour: str, steps: bool) -> None:
    """A line with gaps. Where epochs are few they are dots too, and always where one stands alone between gaps."""
    if not values:
        return
    shown = [value if drawable(value) else math.nan for value in values]
    around = [math.nan, *shown, math.nan]
    alone = [math.isnan(before) and math.isnan(after) for before, after in zip(around, around[2:], strict=False)]
    dots = [value if single or len(shown) <= FEW else math.nan for value, single in zip(shown, alone, strict=True)]
    epochs = range(1, len(shown) + 1)
    width = 1.8 if len(shown) <= MANY else 1.2
    axes.plot(
        epochs,
        shown,
        color=colour,
        linewidth=width,
        drawstyle="steps-mid" if steps else "default",
        solid_capstyle="round",
        zorder=2,
    )
    axes.plot(epochs, dots, "o", color=colour, markersize=3.5, zorder=3)


def _scale(axes: Any, panel: Panel) -> None:
    """Chooses the scale of the values, powers of ten where a loss or a rate spans more than one of them."""
    values = [value for value in (*panel.training, *panel.validation) if drawable(value)]
    low, high, between = min(values, default=0.0), max(values, default=0.0), list[float]()
    if panel.kind != "metric" and low > 1 / HUGE and high / low > 10:
        axes.set_yscale("log")
        room = (high / low) ** 0.06
        low, high = low / room**1.5, high * room
        ticks, between = power_ticks(low, high), powers_between(low, high)
    elif high - low > max(1e-9 * max(abs(low), abs(high)), 1 / HUGE):
        room = 0.06 * (high - low)
        low, high = low - 1.5 * room, high + room
        ticks = even_ticks(low, high)
    else:
        ticks = [low] if values else []
        room = abs(low) / 2 if abs(low) > 1 / HUGE else 1.0
        low, high = low - room, high + room
    axes.set_yticks(ticks, labels(ticks))
    axes.set_yticks(between, [""] * len(between), minor=True)
    axes.set_ylim(low, high)
    if not values:
        place = {"transform": axes.transAxes, "ha": "center", "va": "center", "size": TEXT_SIZE, "color": MIDDLE}
        place["backgroundcolor"] = "white"
        axes.text(0.5, 0.5, "no finite number", **place)


def bare(axes: Any) -> None:
    """Takes away what is in the way of the curves."""
    axes.tick_params(which="both", length=0, labelsize=TICK_SIZE, labelcolor=MIDDLE)
    axes.tick_params(axis="x", pad=6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(MIDDLE)
    axes.grid(axis="y", color=LIGHT, linewidth=0.8)
