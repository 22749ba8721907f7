"""Tables as text from plain rows, and progress on a terminal, which rich draws."""

import contextlib
import dataclasses
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jgraph.errors import WriteError

GAP = "   "
"""What parts the columns of a table."""

REDRAW_SECONDS = 0.1
"""A bar is redrawn, and its logs are looked at, at most this often."""

BAR_WIDTH = range(5, 31)
"""The columns that a bar may have; there is none on a terminal without room for it."""

NUMBERS_WIDTH = len("   loss 0.1234     1,234 steps/s   1:23 left")
"""The columns that are kept free beside the bar, so that it keeps its width while numbers come and change."""


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    notes: Sequence[str] = (),
    numbers: Sequence[str] = (),
) -> str:
    """A table as text, as wide as its rows need, each on one line; columns named in `numbers` are right-aligned.

    Its widths are counted here: rich takes ten times as long, seconds for the thousands of rows of a large model.

    >>> print(table("Fruit", ["name", "count"], [["apple", "3"], ["fig", "12"]], numbers=["count"]))
    Fruit
    <BLANKLINE>
     name    count
     ─────────────
     apple       3
     fig        12
    """
    cells = [[*columns], *([_printable(cell) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    to_the_right = [column in numbers for column in columns]
    lines = [_table_row(row, widths, to_the_right) for row in cells]
    rule = "─" * (sum(widths) + len(GAP) * (len(widths) - 1))
    return "\n".join([_printable(title), "", lines[0], f" {rule}", *lines[1:], *notes])


def _table_row(cells: Sequence[str], widths: Sequence[int], to_the_right: Sequence[bool]) -> str:
    padded = []
    for cell, width, right in zip(cells, widths, to_the_right, strict=True):
        blanks = " " * (width - _width(cell))
        padded.append(blanks + cell if right else cell + blanks)
    return f" {GAP.join(padded)}".rstrip()


def _printable(text: str) -> str:
    """The text on one line: what cannot be printed as Python writes it."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _width(text: str) -> int:
    """The columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


class Bar(NamedTuple):
    """How far an epoch, counted from 0, has come. Its `logs` are looked at only when it is drawn."""

    epoch: int
    epochs: int
    done: int
    steps: int | None
    logs: Mapping[str, float]


class Line(NamedTuple):
    """A line that stays."""

    text: str


@dataclasses.dataclass(frozen=True)
class Terminal:
    """What the program prints to. Of its records, each `Line` stays, and the latest `Bar` stands below the lines.

    Where nobody watches, as in a file, there are the lines alone.

    >>> Terminal().open(None).write(Line("epoch 1/3"))
    epoch 1/3
    """

    def open(self, keep: int | None) -> "Lines | Screen":
        """Opens it; what is printed stays, so nothing of `keep` is to be done."""
        del keep
        if sys.stdout is not None and sys.stdout.isatty():
            console = _console()
            if console.is_interactive:
                return Screen(console)
        return Lines()


class Lines:
    """Standard output that nobody watches: the lines alone, each at once."""

    def write(self, record: Bar | Line) -> None:
        """Prints a line; of a bar, nothing is looked at.

        Raises:
            WriteError: it cannot be printed, for example as the disk is full.
        """
        if isinstance(record, Line) and sys.stdout is not None:
            with _failures():
                sys.stdout.write(record.text + "\n")
                sys.stdout.flush()

    def flush(self) -> None:
        """Does nothing: all has been printed."""

    def close(self) -> None:
        """Does nothing: there is no bar to clear away."""


class Screen:
    """A terminal that is watched: the bar is drawn by this thread alone, at most ten times a second.

    What the program prints meanwhile goes above the bar.
    """

    def __init__(self, console: Any, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.live import Live

        self._console, self._clock = console, clock
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._drawn: float | None = None
        self._first: tuple[int, int, float] | None = None

    def write(self, record: Bar | Line) -> None:
        """Prints a line in place of the bar, or draws the bar if it is time to.

        Raises:
            WriteError: the terminal has gone away.
        """
        with _failures():
            if isinstance(record, Line):
                self._live.stop()
                self._console.print(record.text, markup=False, highlight=False, soft_wrap=True)
                return
            now = self._clock()
            if self._drawn is None or now - self._drawn >= REDRAW_SECONDS:
                self._drawn = now
                self._live.start()
                self._live.update(self._row(record, self._rate(record, now)), refresh=True)

    def flush(self) -> None:
        """Does nothing: all has been printed."""

    def close(self) -> None:
        """Clears the bar away and gives the cursor back."""
        with _failures():
            self._live.stop()

    def _rate(self, bar: Bar, now: float) -> float | None:
        """The steps a second since the epoch's bar was first drawn with a step done: compiling does not count."""
        if self._first is None or self._first[0] != bar.epoch:
            self._first = (bar.epoch, bar.done, now) if bar.done else None
            return None
        _, done, since = self._first
        return (bar.done - done) / (now - since) if bar.done > done else None

    def _row(self, bar: Bar, rate: float | None) -> Any:
        """The bar with its numbers, on one line. Where that is too narrow the bar gives way, then the last numbers."""
        from rich.text import Text

        loss, total = bar.logs.get("loss"), "" if bar.steps is None else f"{bar.steps:,}"
        row = Text(no_wrap=True).append(f"epoch {bar.epoch + 1:{len(str(bar.epochs))}d}/{bar.epochs}   ", "bold")
        count = f"{bar.done:{len(total)},}/{total}" if total else f"{bar.done:,}"
        numbers = Text(count)
        if loss is not None:
            numbers.append("   loss ", "dim").append(f"{loss:<8.4g}")  # of one width, so that the rest stands still
        if rate is not None:
            numbers.append(f"   {_speed(rate)}", "dim")
        if rate is not None and bar.steps is not None:
            numbers.append(f"   {_duration((bar.steps - bar.done) / rate)} left", "dim")
        room = self._console.width - len(row) - 3 - max(len(numbers), len(count) + NUMBERS_WIDTH)
        if bar.steps is not None and room >= BAR_WIDTH[0]:
            width = min(room, BAR_WIDTH[-1])
            full = width * bar.done // max(bar.steps, 1)
            done, rest = "━─" if self._console.encoding.startswith("utf") else "#-"
            row.append(done * full, "cyan").append(rest * (width - full), "dim").append("   ")
        return row.append_text(numbers)


def _speed(rate: float) -> str:
    return f"{rate:,.0f} steps/s" if rate >= 10 else f"{rate:.1f} steps/s" if rate >= 1 else f"{1 / rate:.1f} s/step"


def _duration(seconds: float) -> str:
    """A time for people: `7 s`, `1:07`, `2:01:07`."""
    whole = math.ceil(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours}:{minutes:02d}:{whole % 60:02d}"
    return f"{minutes}:{whole % 60:02d}" if minutes else f"{whole} s"


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(
            "standard output",
            expected="a place that takes text",
            got=error.strerror or type(error).__name__,
            cure="Print to another place, or give fit progress=False.",
        ) from error


def epoch_line(epoch: int, epochs: int, logs: Mapping[str, float], seconds: float | None) -> str:
    """One epoch's logs for people, who count from 1; without its time where that is `None`.

    >>> epoch_line(0, 20, {"loss": 0.5, "val_loss": 0.25}, 1.26)
    'epoch  1/20   1.3 s   loss 0.5   val_loss 0.25'
    """
    times = [] if seconds is None else [f"{seconds:.1f} s"]
    numbers = (f"{name} {value:.4g}" for name, value in logs.items())
    return "   ".join([f"epoch {epoch + 1:{len(str(epochs))}d}/{epochs}", *times, *numbers])


def _console() -> Any:
    from rich.console import Console

    return Console()
