"""What all experiments have: options with defaults, a run that was broken off, figures that are kept."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments import common


def test_an_experiment_has_its_own_options_beside_those_of_all() -> None:
    given = common.options("What it is.", "people", ["--seed", "3", "--of-all", "7"], of_all=2, ways="")
    assert (given.seed, given.of_all, given.ways, given.full, given.resume) == (3, 7, "", False, False)
    assert given.folder == Path("runs/people/3")


def test_a_run_that_was_broken_off_ends_the_experiment() -> None:
    runs: list[Any] = [SimpleNamespace(stopped=stopped) for stopped in (None, "val_loss has not improved")]
    assert [common.ended(run) for run in runs] == runs
    broken: Any = SimpleNamespace(stopped="interrupted")
    with pytest.raises(SystemExit, match="--resume goes on"):
        common.ended(broken)


def test_figures_are_shown_beside_the_published_ones_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    given = common.options(None, "people", ["--folder", str(tmp_path / "run"), "--full"])
    common.tell(given, "Adult", {"error": 13.1, "loss": 0.25}, {"error": "14.05"})
    printed = capsys.readouterr().out
    assert "13.1000" in printed
    assert "14.05" in printed
    kept = json.loads((tmp_path / "run" / "figures.json").read_text())
    assert kept.pop("seconds") >= 0
    assert kept == {"title": "Adult", "seed": 0, "full": True, "reached": {"error": 13.1, "loss": 0.25}}
