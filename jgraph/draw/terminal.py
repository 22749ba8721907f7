"""Tables and progress on a terminal, drawn by rich from plain rows."""

from collections.abc import Iterable, Sequence
from typing import Any


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    notes: Sequence[str] = (),
    numbers: Sequence[str] = (),
) -> str:
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


class Progress:
    """How far training has come: a live bar on a terminal, else one plain line an epoch, nothing if not `shown`."""

    def __init__(self, epochs: int, shown: bool) -> None:
        self._epochs = epochs
        self._console = _console() if shown else None
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "Progress":
        if self._console is not None and self._console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def start(self, epoch: int, steps: int | None) -> None:
        """Begins an epoch of so many steps, if their number is known."""
        if self._bar is not None:
            self._task = self._bar.add_task(f"epoch {epoch + 1}/{self._epochs}", total=steps)

    def step(self, done: int) -> None:
        """Says how many steps of the epoch are done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done)

    def epoch(self, epoch: int, logs: dict[str, float], seconds: float) -> None:
        """Ends an epoch: its logs on one line."""
        if self._bar is not None:
            self._bar.remove_task(self._task)
        if self._console is not None:
            line = epoch_line(epoch, self._epochs, logs, seconds)
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def epoch_line(epoch: int, epochs: int, logs: dict[str, float], seconds: float) -> str:
    """One epoch's logs for people, who count from 1.

    >>> epoch_line(0, 20, {"loss": 0.5, "val_loss": 0.25}, 1.26)
    'epoch  1/20   1.3 s   loss 0.5   val_loss 0.25'
    """
    numbers = (f"{name} {value:.4g}" for name, value in logs.items())
    return "   ".join([f"epoch {epoch + 1:{len(str(epochs))}d}/{epochs}", f"{seconds:.1f} s", *numbers])


def _console() -> Any:
    from rich.console import Console

    return Console()
