"""From the figures of all rounds to medians with their ranges, and the tables that show them."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from scripts.benchmark.libraries import LIBRARIES

BASE = "jgraph"
PARTS = ("import", "build", "trace", "compile", "run")


class Spread(NamedTuple):
    """A median between its least and its greatest.

    >>> spread([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.0, high=3.0)
    """

    median: float
    low: float
    high: float


def spread(values: Iterable[float]) -> Spread:
    """The median of some numbers, and their range."""
    numbers = sorted(values)
    return Spread(statistics.median(numbers), numbers[0], numbers[-1])


def median_of(rounds: Sequence[dict[str, Any]], name: str) -> float | None:
    """The median of a figure over all rounds, or none where the library has no such figure."""
    values = [figures[name] for figures in rounds if figures[name] is not None]
    return statistics.median(values) if values else None


def summary_of(rounds: Sequence[dict[str, Any]], base: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the rounds of one library come to; ratios to jgraph are taken round by round, of those that both have."""
    ratios = [own["steps_per_second"] / other["steps_per_second"] for own, other in zip(rounds, base, strict=False)]
    names = ("first_step", *PARTS, "compilations", "process_bytes", "device_bytes")
    return {
        "steps_per_second": spread(figures["steps_per_second"] for figures in rounds),
        "ratio": spread(ratios) if ratios else None,
        **{name: median_of(rounds, name) for name in names},
    }


def summaries(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By library, what the rounds of one model come to, for all that have been measured."""
    base = results.get(BASE, {"rounds": []})["rounds"]
    return {name: summary_of(found["rounds"], base) for name, found in results.items() if found["rounds"]}


def number(value: float | None, digits: int = 3) -> str:
    """A number for people: so many significant digits, thousands apart.

    >>> number(25249.9), number(1.2345), number(0.0312), number(None)
    ('25,200', '1.23', '0.0312', '·')
    """
    if value is None:
        return "·"
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:#.{digits}g}"


def seconds(value: float | None) -> str:
    """Seconds with as many digits as are worth reading."""
    return "·" if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def memory(summary: dict[str, Any]) -> str:
    """The device's memory where it has one of its own, else that of the process."""
    used = summary["device_bytes"] or summary["process_bytes"]
    return f"{used / 2**30:.2f}" if used < 10 * 2**30 else f"{used / 2**30:.1f}"


def row_of(name: str, summary: dict[str, Any], roof: float) -> list[str]:
    """A library's row."""
    rate, ratio = summary["steps_per_second"], summary["ratio"]
    parts = [seconds(summary[part]) for part in PARTS]
    return [
        LIBRARIES[name].title,
        number(rate.median),
        f"± {50 * (rate.high - rate.low) / rate.median:.0f} %",
        f"{ratio.median:.2f}" if ratio else "·",
        f"{100 * rate.median / roof:.0f} %",
        *(seconds(summary["first_step"]), *parts),
        memory(summary),
        "·" if summary["compilations"] is None else f"{summary['compilations']:.0f}",
    ]


COLUMNS = ("", "steps/s", "spread", "ratio", "of roof", "first", *PARTS, "GiB", "programs")


WIDTH = 120
"""The columns that a table needs; on a narrower terminal its lines are broken, and nothing is left out."""


def print_model(name: str, about: dict[str, Any], results: dict[str, Any], flops: float) -> None:
    """Prints a model's table; `flops` is the roof of the machine."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console, roof = Console(highlight=False, width=max(WIDTH, Console().width)), flops / about["flops"]
    console.print(f"{name}: {about['about']}", style="bold")
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in COLUMNS:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    found = summaries(results)
    for library, summary in found.items():
        table.add_row(*row_of(library, summary, roof), style="bold" if library == BASE else "")
    console.print(table)
    counts = f"{about['parameters']:,} parameters, {about['flops'] / 1e9:.3g} GFLOP a step"
    console.print(f"{counts}, roof {number(roof)} steps/s; first: seconds to the end of the first step", style="dim")
    for library, result in results.items():
        if result["fault"]:
            console.print(f"{LIBRARIES[library].title}: {result['fault']}", style="dim", markup=False)
    console.print()
