"""What many records say: a table with a row for each family, the worst cases, and what went wrong."""

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.layer_speed.goals import PLAIN, RECURRENT, SLOW, best, geometric_mean, misses, ratio, share

Record = dict[str, Any]

WORST = 12
"""How many of the worst cases are listed."""


def groups(records: Sequence[Record]) -> dict[tuple[str, str, str], list[Record]]:
    """Records by mode, family and direction, in this order."""
    found: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        found.setdefault((record["mode"], record["family"], record["direction"]), []).append(record)
    return dict(sorted(found.items()))


def figures(records: Sequence[Record]) -> Record:
    """Of one group: how many, how many faults, mean and least of every ratio, and how many miss each goal."""
    timed = [record for record in records if "rounds" in record]
    row: Record = {
        "cases": len(timed),
        "faults": len(records) - len(timed),
        "same": sum(record.get("same", False) for record in timed),
    }
    for side in ("plain", "torch", "single"):
        ratios = [r for record in timed if not math.isnan(r := ratio(record, side))]
        row[side] = {"mean": geometric_mean(ratios), "least": min(ratios, default=math.nan)}
    row["roof"] = geometric_mean(share(record) for record in timed)
    missed = [goal for record in timed for goal in misses(record)]
    row["misses"] = {goal: missed.count(goal) for goal in ("plain", "best", "torch") if goal in missed}
    return row


def summary(records: Sequence[Record]) -> list[Record]:
    """The figures of all groups."""
    return [
        {"mode": mode, "family": family, "direction": direction, **figures(group)}
        for (mode, family, direction), group in groups(records).items()
    ]


def number(value: float) -> str:
    """A ratio with two decimals, or three digits where it is large; nothing for NaN."""
    if math.isnan(value):
        return ""
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def marked(value: float, missed: bool) -> str:
    """A ratio, red where it misses a goal."""
    return f"[red]{number(value)}[/red]" if missed else number(value)


def show_families(console: Console, rows: Sequence[Record], mode: str) -> None:
    """The table of one mode. `single`, in loops, is the speed in the loop over that outside of it.

    `same` counts the cases where jgraph and plain JAX are one program: how far `plain` is from 1 there is how far the
    clock can be trusted.
    """
    title = {"step": "one call a dispatch", "loop": "in the body of a loop"}[mode]
    table = Table(title=f"Layers, {title}: speed of jgraph over that of others", title_justify="left")
    for name in ("family", "direction"):
        table.add_column(name, no_wrap=True)
    sides = ("plain", "torch") if mode == "step" else ("plain", "torch", "single")
    for name in (
        "cases",
        "faults",
        "same",
        *(f"{side}{which}" for side in sides for which in ("", " least")),
        "of the roof",
    ):
        table.add_column(name, justify="right")
    table.add_column("misses")
    for row in rows:
        missed = row["misses"]
        cells = [row["family"], row["direction"], str(row["cases"]), str(row["faults"] or ""), str(row["same"] or "")]
        for side in sides:
            wrong = side in missed or (side == "torch" and "best" in missed and row["torch"]["least"] < SLOW)
            cells += [number(row[side]["mean"]), marked(row[side]["least"], wrong)]
        said = ", ".join(f"{goal} {count}" for goal, count in missed.items())
        table.add_row(*cells, number(row["roof"]), f"[red]{said}[/red]" if said else "")
    console.print(table)


def milliseconds(record: Record, side: str) -> str:
    """The median of a side in milliseconds."""
    values = sorted(record["rounds"].get(side, []))
    return f"{values[len(values) // 2] * 1e3:.3g}" if values else ""


def show_worst(console: Console, records: Sequence[Record]) -> None:
    """The cases where the fastest peer is furthest ahead."""
    timed = sorted((record for record in records if "rounds" in record), key=best)[:WORST]
    table = Table(title="Furthest behind the fastest peer, in ms", title_justify="left")
    for name in ("case", "direction", "mode"):
        table.add_column(name, no_wrap=name != "case")
    for name in ("jgraph", "plain", "torch", "roof", "over best", "of the roof"):
        table.add_column(name, justify="right")
    for record in timed:
        times = [milliseconds(record, side) for side in ("jgraph", "plain", "torch")]
        ends = [f"{record['roof'] * 1e3:.3g}", marked(best(record), bool(misses(record))), number(share(record))]
        table.add_row(record["case"], record["direction"], record["mode"], *times, *ends)
    console.print(table)


def show(records: Sequence[Record], console: Console | None = None) -> None:
    """Prints all of it."""
    console = console or Console(width=None if Console().is_terminal else 160)
    rows = summary(records)
    for mode in sorted({row["mode"] for row in rows}, reverse=True):
        show_families(console, [row for row in rows if row["mode"] == mode], mode)
    show_worst(console, records)
    for record in records:
        if "fault" in record:
            console.print(f"{record['case']}, {record['direction']}, {record['mode']}: {record['fault']}", style="red")
    missing = sum("rounds" in record and "torch" not in record["rounds"] for record in records)
    if missing:
        console.print(f"{missing} cases without PyTorch: it is not installed, or has no such layer.")
    console.print(
        f"Goals: {PLAIN} of plain JAX everywhere; {SLOW} of the best peer where XLA:CPU is known to be slow; "
        f"{RECURRENT} of PyTorch for recurrent layers."
    )
