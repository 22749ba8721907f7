"""The terminal: lines for files, and a bar for people that is drawn seldom and looks at the logs only then."""

import contextlib
import io
import os
import pty
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from jgraph.draw.terminal import REDRAW_SECONDS, Bar, Line, Lines, Screen, Terminal, epoch_line, table
from jgraph.errors import WriteError


def test_a_table_shows_every_text_as_it_is_on_one_line() -> None:
    text = table("a [red] title", ["name", "count"], [["two\nlines", "1"], ["日本", "12"]], ["a note"], ["count"])
    assert text.splitlines() == [
        "a [red] title",
        "",
        " name         count",
        " ──────────────────",
        " two\\nlines       1",
        " 日本            12",
        "a note",
    ]


def test_a_table_without_rows_has_its_columns() -> None:
    assert table("none", ["name", "count"], []).splitlines() == ["none", "", " name   count", " ────────────"]


class Logs(Mapping[str, float]):
    """Logs that count how often they are looked at."""

    def __init__(self, **values: float) -> None:
        self.values_, self.looks = values, 0

    def __getitem__(self, name: str) -> float:
        self.looks += 1
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


class Watched:
    """A screen on a terminal of some width whose clock is set by hand."""

    def __init__(self, width: int = 100) -> None:
        self.output, self.now = io.StringIO(), 0.0
        console = Console(file=self.output, force_terminal=True, width=width, color_system=None, legacy_windows=False)
        self.screen = Screen(console, lambda: self.now)

    def draw(self, after: float = 1.0, **bar: Any) -> str:
        """What the terminal shows of a bar so much later; nothing if it does not draw."""
        self.now += after
        start = len(self.output.getvalue())
        given = {"epoch": 0, "epochs": 20, "done": 0, "steps": 400, "logs": {}} | bar
        self.screen.write(Bar(**given))
        return plain(self.output.getvalue()[start:])

    def shown(self) -> list[str]:
        return plain(self.output.getvalue()).splitlines()


def plain(text: str) -> str:
    """The text without the terminal's codes."""
    return re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]|\r", "", text)


def test_what_is_no_terminal_gets_the_lines_alone(capsys: pytest.CaptureFixture) -> None:
    outlet, logs = Terminal().open(None), Logs(loss=0.5)
    outlet.write(Bar(0, 3, 5, 10, logs))
    outlet.write(Line("epoch 1/3   loss [bold]0.5"))
    assert capsys.readouterr().out == "epoch 1/3   loss [bold]0.5\n", "each at once"
    outlet.flush()
    outlet.close()
    assert capsys.readouterr().out == ""
    assert logs.looks == 0


def test_a_program_without_output_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    outlet = Terminal().open(None)
    outlet.write(Line("epoch 1/3"))
    assert isinstance(outlet, Lines)


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("only Linux has a disk that is always full")
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(full, write_through=True))
        with pytest.raises(WriteError, match=r"standard output: expected .*, got No space left on device"):
            Terminal().open(None).write(Line("epoch 1/3"))


def test_the_bar_says_how_far_the_epoch_is() -> None:
    watched = Watched()
    assert watched.draw() == f"epoch  1/20   {'─' * 30}     0/400"
    assert watched.draw(done=100, logs={"loss": 0.5}) == f"epoch  1/20   {'━' * 7}{'─' * 23}   100/400   loss 0.5     "
    row = watched.draw(done=300, logs={"loss": 0.123456})
    assert row == f"epoch  1/20   {'━' * 22}{'─' * 8}   300/400   loss 0.1235     200 steps/s   1 s left"


def test_without_a_number_of_steps_there_is_no_bar() -> None:
    watched = Watched()
    assert watched.draw(steps=None) == "epoch  1/20   0"
    assert watched.draw(steps=None, done=1) == "epoch  1/20   1"
    assert watched.draw(steps=None, done=1235, after=2.0) == "epoch  1/20   1,235   617 steps/s"


@pytest.mark.parametrize(
    ("width", "bar"), [(8, 0), (20, 0), (40, 0), (70, 0), (80, 12), (90, 22), (100, 30), (200, 30)]
)
def test_the_bar_takes_the_room_there_is_and_stands_still(width: int, bar: int) -> None:
    watched = Watched(width)
    for done in range(0, 400, 100):
        row = watched.draw(done=done, logs={"loss": 1e-5} if done else {})
        assert len(row) <= width
        assert row.startswith("epoch  1/20   "[:width])
        assert row.count("━") + row.count("─") == bar
        assert row.count("━") == bar * done // 400


@pytest.mark.parametrize(
    ("done", "after", "expected"),
    [
        (101, 4.0, "25 steps/s   12 s left"),
        (3, 1.0, "2.0 steps/s   3:19 left"),
        (2, 60.0, "60.0 s/step   6:38:00 left"),
    ],
)
def test_speed_and_time_left_are_for_people(done: int, after: float, expected: str) -> None:
    watched = Watched()
    watched.draw(done=1)
    assert watched.draw(done=done, after=after).endswith(f"   {expected}")


def test_the_speed_is_that_of_this_epoch_without_its_first_step() -> None:
    watched = Watched()
    watched.draw()
    watched.draw(done=10, after=60.0)  # the first step compiles
    assert "10 steps/s" in watched.draw(done=20)
    assert "steps/s" not in watched.draw(epoch=1, done=100)
    assert "50 steps/s" in watched.draw(epoch=1, done=150)


def test_the_bar_is_drawn_and_the_logs_looked_at_ten_times_a_second_at_most() -> None:
    watched, logs = Watched(), Logs(loss=0.5)
    drawn = [watched.draw(after=0.015625, done=step, logs=logs) for step in range(640)]  # for ten seconds
    assert sum(row != "" for row in drawn) <= 10 / REDRAW_SECONDS
    assert sum(row != "" for row in drawn) > 80
    assert logs.looks == sum(row != "" for row in drawn)


def test_lines_take_the_place_of_the_bar() -> None:
    watched = Watched()
    watched.draw(done=5)
    watched.screen.write(Line("epoch  1/20   loss [bold]0.5"))
    watched.screen.write(Line("stopped: enough"))
    assert watched.shown()[-2:] == ["epoch  1/20   loss [bold]0.5", "stopped: enough"]
    assert "epoch  2/20" in watched.draw(epoch=1)


def test_closing_gives_the_cursor_back_and_clears_the_bar() -> None:
    watched = Watched()
    watched.draw(done=5)
    codes = watched.output.getvalue()
    assert codes.count("\x1b[?25l") == codes.count("\x1b[?25h") + 1, "hidden while the bar stands"
    for _ in range(2):
        watched.screen.close()
        codes = watched.output.getvalue()
        assert codes.count("\x1b[?25l") == codes.count("\x1b[?25h")
        assert codes.endswith("\x1b[2K")


def test_a_terminal_that_never_saw_a_bar_is_left_as_it_was() -> None:
    watched = Watched()
    watched.screen.close()
    assert watched.output.getvalue() == ""


@pytest.mark.parametrize(("kind", "live"), [("xterm-256color", True), ("dumb", False)])
def test_a_real_terminal_is_found(kind: str, live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setenv("COLUMNS", "80")
    with os.fdopen(theirs, "w", encoding="utf-8", buffering=1) as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        outlet = Terminal().open(None)
        outlet.write(Bar(0, 3, 5, 10, {"loss": 0.5}))
        sys.stdout.write("the program prints\n")
        outlet.write(Line("epoch 1/3   loss 0.5"))
        outlet.close()
        monkeypatch.undo()
    output = b""
    with os.fdopen(ours, "rb", buffering=0) as reader, contextlib.suppress(OSError):  # the other end is closed
        while part := reader.read(65536):
            output += part
    text = plain(output.decode())
    assert ("━━━" in text) == live
    assert text.index("the program prints") < text.index("epoch 1/3   loss 0.5")
    assert output.count(b"\x1b[?25h") == output.count(b"\x1b[?25l") == live


def test_a_line_of_an_epoch() -> None:
    assert epoch_line(1, 300, {"loss": 123456.0}, 61.25) == "epoch   2/300   61.2 s   loss 1.235e+05"
    assert epoch_line(1, 3, {}, None) == "epoch 2/3"


def test_all_terminals_are_one_sink() -> None:
    assert len({Terminal(), Terminal()}) == 1
