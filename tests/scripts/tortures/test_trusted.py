"""Forged files are refused or what they say, in short (`scripts/tortures/trusted.py` has the long form)."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.tortures import trusted
from scripts.tortures.forged import FORGERIES


@pytest.mark.slow
def test_forged_files_are_refused_or_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trusted, "FUNCTION_ROOTS", ("jgraph.ops",))
    figures = trusted.torture(14, 3, tmp_path)
    assert sum(figure.of for figure in figures[: len(FORGERIES)]) == 14
    assert figures[-2].of > 10
    assert [figure for figure in figures if figure.good != figure.of] == []


DEEDS = """
import os, subprocess, sys
from scripts.tortures.watched import Watch
inside, outside = sys.argv[1:]
watch = Watch()
watch.begin(inside)
open(inside + "/file").close()
os.listdir(inside)
assert watch.end() == []
for deed in (
    lambda: open(outside),
    lambda: open(inside + "/link"),
    lambda: open(inside + "/file", "w"),
    lambda: os.listdir(os.path.dirname(outside)),
    lambda: os.system("true"),
    lambda: subprocess.run(["true"]),
    lambda: exec("1"),
    lambda: __import__("colorsys"),
):
    watch.begin(inside)
    deed()
    print(len(watch.end()) > 0)
"""


@pytest.mark.slow
def test_the_watch_sees_what_is_done(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    for place in (tmp_path / "outside", tmp_path / "inside" / "file"):
        place.write_text("")
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "outside")
    command = [sys.executable, "-c", DEEDS, str(tmp_path / "inside"), str(tmp_path / "outside")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.stdout.split() == ["True"] * 8, done.stderr
