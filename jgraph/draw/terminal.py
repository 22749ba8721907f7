"""Tables and progress on a terminal, drawn by rich from plain rows."""

from collections.abc import Sequence
from typing import Any


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = (), numbers: Sequence[str] = ()) -> str:
    """A table as text, as wide as its rows need; columns named in `numbers` are right-aligned.

    >>> print(table("Fruit", ["name", "count"], [["apple", "3"]], numbers=["count"]))  # doctest: +ELLIPSIS
    Fruit...
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        drawn.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    for row in rows:
        drawn.add_row(*(_plain(cell) for cell in row))
    console = Console(width=10_000, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(drawn)
    lines = [line.rstrip() for line in capture.get().rstrip().splitlines()]
    return "\n".join([*lines, *notes])


def _plain(cell: str) -> Any:
    from rich.text import Text

    return Text(cell)
