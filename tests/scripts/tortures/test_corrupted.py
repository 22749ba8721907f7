"""Damaged files are refused or the same, in short (`scripts/tortures/corrupted.py` has the long form)."""

from pathlib import Path

import pytest

from scripts.tortures import corrupted
from scripts.tortures.command import main
from scripts.tortures.figure import Figure


@pytest.mark.slow
def test_nothing_damaged_is_taken(tmp_path: Path) -> None:
    figures = corrupted.torture(7, 0, tmp_path)
    assert sum(figure.of for figure in figures[:-3]) == 7
    assert {figure.of for figure in figures[:-3]} == {1}
    assert all(figure.of for figure in figures)
    assert [figure for figure in figures if figure.good != figure.of] == []


def test_a_figure_that_falls_short_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def torture(count: int, seed: int, folder: Path) -> list[Figure]:
        assert folder.is_dir()
        return [Figure("faults", count - seed, count, ("the last one",) * seed)]

    assert main(torture, "What it is.\n\nMore.", ["--count", "3"]) == 0
    assert main(torture, "What it is.\n\nMore.", ["--count", "3", "--seed", "1"]) == 1
    assert capsys.readouterr().out == "3 of 3     faults\n2 of 3     faults (the last one)\n"
