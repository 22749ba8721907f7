"""The page of a run: one self-contained document of HTML, without scripts, made from plain values."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from jgraph.core.summary import Row, notes_of, rows_of
from jgraph.draw.amounts import amount, bytes_of
from jgraph.draw.chart import chart
from jgraph.draw.letters import holdable
from jgraph.draw.panels import Panel, panels
from jgraph.draw.ticks import number
from jgraph.inspect.style import SHEET
from jgraph.inspect.timing import Timings
from jgraph.inspect.told import Told

MOST_BOXES = 400
"""The graph of a larger model is drawn with its nested models as one box each, or not at all."""

WIDEST = 1104.0
"""A graph goes from left to right where it is no wider than the page, else from top to bottom."""


def page(told: Told, best: tuple[str, int] | None, timings: Timings | None) -> str:
    """The whole document. `best` is the log that was watched and its best epoch, counted from 0."""
    name = (told.model.name if told.model is not None else None) or told.where or "A run"
    sections = [
        _head(name, told, best),
        _curves(told, best),
        _decisions(told),
        _graph(told),
        _summary(told, timings),
        _configuration(told),
        *(f'<p class="faint">{_text(text)}</p>' for text in told.missing),
    ]
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(name)}</title>\n<style>{SHEET}</style>\n</head>\n<body>\n<main>",
            *filter(None, sections),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _text(value: object) -> str:
    return escape(holdable(str(value)), quote=True)


def _head(name: str, told: Told, best: tuple[str, int] | None) -> str:
    where = f"{told.where} \N{MIDDLE DOT} " if told.where and told.where != name else ""
    ended = f"stopped: {told.stopped}" if told.stopped else f"{told.epoch} epochs done"
    lines = [f"<header>\n<h1>{_text(name)}</h1>"]
    lines.append(f'<p class="faint">{_text(where)}{_text(told.when)} \N{MIDDLE DOT} {_text(ended)}</p>')
    lines.append('<div class="tiles">')
    lines += [_tile(value, label) for value, label in _tiles(told, best)]
    return "\n".join([*lines, "</div>\n</header>"])


def _tiles(told: Told, best: tuple[str, int] | None) -> Iterator[tuple[str, str]]:
    """The figures at the top: how long it was trained, and the last value of each log."""
    seconds = sum(x for x in told.timings.get("epoch_seconds", ()) if math.isfinite(x))
    yield f"{told.epoch:,}", "epochs"
    yield f"{told.step:,}", f"steps{f' in {_duration(seconds)}' if seconds else ''}"
    if best is not None:
        yield number(told.history[best[0]][best[1]]), f"best {best[0]}, epoch {best[1] + 1}"
    shown = [name for name in told.history if name not in ("learning_rate", "lr_scale")]
    for name in shown[:9]:
        if told.history[name]:
            yield number(told.history[name][-1]), f"{name}, last epoch"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


def _tile(value: str, label: str) -> str:
    return f'<div class="card tile"><b>{_text(value)}</b><small>{_text(label)}</small></div>'


def _curves(told: Told, best: tuple[str, int] | None) -> str:
    if not any(told.history.values()):
        return '<h2>Curves</h2>\n<p class="faint">No epoch has ended yet.</p>'
    marks = sorted({decision.epoch - 1 for decision in told.decisions if decision.who})
    drawn = panels(told.history)
    keys = ['<i style="background:var(--training)"></i>training'] * any(p.training and p.kind != "rate" for p in drawn)
    keys += ['<i style="background:var(--validation)"></i>validation'] * any(p.validation for p in drawn)
    if best is not None:
        keys.append(f'<i class="dot" style="background:var(--ink)"></i>best {_text(best[0])}, epoch {best[1] + 1}')
    keys += ['<i class="tip"></i>a callback decided'] * bool(marks)
    cards = [_card(panel, None if best is None else best[1], marks) for panel in drawn]
    key = "".join(f"<span>{key}</span>" for key in keys)
    return "\n".join(["<h2>Curves</h2>", f'<p class="key">{key}</p>', '<div class="charts">', *cards, "</div>"])


def _card(panel: Panel, best: int | None, marks: Sequence[int]) -> str:
    value = math.nan if best is None else panel.value_at(best)
    shown = "" if math.isnan(value) else f"<span>\N{BLACK CIRCLE} {number(value)}</span>"
    return f'<div class="card"><h3>{_text(panel.name)}{shown}</h3>\n{chart(panel, best, marks)}</div>'


def _decisions(told: Told) -> str:
    rows = [
        [(decision.epoch, "n"), (f"{decision.step:,}", "n"), (decision.who or "-", "c"), (_sentence(decision), "w")]
        for decision in told.decisions
    ]
    columns = [("epoch", "n"), ("step", "n"), ("callback", ""), ("what it decided", "")]
    lines = ["<h2>Decisions</h2>"]
    lines.append(_table(columns, rows) if rows else '<p class="faint">Nothing was decided while training.</p>')
    if told.notes:
        said = _text("\n".join(told.notes))
        lines.append(f"<details><summary>What else was said ({len(told.notes)})</summary><pre>{said}</pre></details>")
    return "\n".join(lines)


def _sentence(decision: Any) -> str:
    return f"{decision.what}{', ' * bool(decision.why)}{decision.why}"


def _graph(told: Told) -> str:
    if told.model is None:
        return ""
    heading = "<h2>Graph</h2>"
    for expand_nested in (True, False):
        picture = told.model.plot(expand_nested=expand_nested)
        if len(picture.diagram.boxes) > MOST_BOXES:
            continue
        across = told.model.plot(expand_nested=expand_nested, rankdir="LR")
        shown = across if across.scene.width <= WIDEST else picture
        return f'{heading}\n<div class="graph">{shown.svg}</div>'
    return f'{heading}\n<p class="faint">It has {len(told.model.nodes):,} nodes, too many to draw.</p>'


def _summary(told: Told, timings: Timings | None) -> str:
    if told.model is None:
        return ""
    rows = rows_of(told.model.graph)
    times = {} if timings is None else {(node.path, node.call): node.seconds for node in timings.nodes}
    seconds = [_seconds(told, row, times) for row in rows]
    most = [
        max((row.operations or 0 for row in rows), default=0),
        max((row.activations or 0 for row in rows), default=0),
    ]
    slowest = max((second for second in seconds if second), default=0.0)
    columns = [("path", ""), ("layer", ""), ("output shape", ""), ("params", "n"), ("operations", "n")]
    columns += [("activations", "n"), *([("ms", "n")] * bool(times)), ("connected to", "")]
    lines = ["<h2>Summary</h2>", '<p class="faint">Operations and activations are those of one row of the batch.']
    if timings is not None:
        whole = f"{1e3 * timings.whole:.3g} ms"
        lines.append(
            f"Times are measured, the median for {timings.rows} rows, each node by itself; as one program, in which "
            f"nodes are fused, all of them take {whole}."
        )
    cells = [_cells(row, second, most, slowest, bool(times)) for row, second in zip(rows, seconds, strict=True)]
    notes = "<br>".join(_text(note) for note in notes_of(told.model.graph, rows) if note)
    return "\n".join([*lines, "</p>", _table(columns, cells), f'<p class="faint notes">{notes}</p>'])


def _seconds(told: Told, row: Row, times: Mapping[tuple[str, int], float]) -> float | None:
    assert told.model is not None, "a summary is that of a model"
    node = told.model.nodes[row.place]
    return times.get((node.path, node.call))


def _cells(row: Row, seconds: float | None, most: Sequence[int], slowest: float, timed: bool) -> list[tuple[Any, str]]:
    params = "shared" if row.shared else f"{row.params:,}" if row.params else "-"
    operations = "?" if row.operations is None else amount(row.operations) if row.operations else "-"
    activations = "?" if row.activations is None else bytes_of(row.activations) if row.activations else "-"
    treated = f" \N{MIDDLE DOT} {row.policy}" if row.policy else ""
    time = "-" if seconds is None else f"{1e3 * seconds:.3g}"
    cells: list[tuple[Any, str]] = [(row.path, "c"), (row.layer + treated, ""), (row.shapes, "c"), (params, "n")]
    cells.append((_Barred(operations, (row.operations or 0) / (most[0] or 1), ""), "n"))
    cells.append((_Barred(activations, (row.activations or 0) / (most[1] or 1), "m"), "n"))
    cells += [(_Barred(time, (seconds or 0.0) / (slowest or 1), "t"), "n")] * timed
    return [*cells, (row.sources, "s")]


class _Barred:
    """A number with a bar below it, which shows its share of the largest."""

    def __init__(self, text: str, share: float, kind: str) -> None:
        self.text, self.share, self.kind = text, share, kind

    def html(self) -> str:
        """The number and the bar."""
        bar = f'<i class="b {self.kind}" style="width:{100 * self.share:.0f}%"></i>' if self.share >= 0.005 else ""
        return f"{_text(self.text)}{bar}"


def _table(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[tuple[Any, str]]]) -> str:
    def cell(value: Any, kind: str, tag: str) -> str:
        inner = value.html() if isinstance(value, _Barred) else _text(value)
        return f'<{tag} class="{kind}">{inner}</{tag}>' if kind else f"<{tag}>{inner}</{tag}>"

    head = "".join(cell(name, kind, "th") for name, kind in columns)
    body = "\n".join(f"<tr>{''.join(cell(value, kind, 'td') for value, kind in row)}</tr>" for row in rows)
    table = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    return f'<div class="card scroll">{table}</div>'


def _configuration(told: Told) -> str:
    lines = []
    said = {name: value for name, value in told.training.items() if value is not None}
    if said:
        rows = [[(name, ""), (_short(value), "c w")] for name, value in said.items()]
        lines += ["<h2>Training</h2>", _table([("setting", ""), ("value", "")], rows)]
    if told.callbacks:
        rows = []
        for name, fields in told.callbacks.items():
            kind = str(fields.get("class", "")).rpartition(":")[2]
            rest = {n: v for n, v in fields.items() if n not in ("class", "name") and v is not None}
            rows.append([(name, "c"), (kind or "-", ""), (", ".join(f"{n}={_short(v)}" for n, v in rest.items()), "w")])
        lines += ["<h2>Callbacks</h2>", _table([("name", ""), ("class", ""), ("configuration", "")], rows)]
    if told.versions:
        shown = ", ".join(f"{name} {version}" for name, version in told.versions.items())
        lines.append(f'<p class="faint">{_text(shown)}</p>')
    return "\n".join(lines)


def _short(value: Any) -> str:
    text = ", ".join(f"{n}: {v}" for n, v in value.items()) if isinstance(value, Mapping) else str(value)
    return text if len(text) <= 400 else f"{text[:399]}\N{HORIZONTAL ELLIPSIS}"
