"""The run that is killed: three lives end early, the last one ends with the bits of a run that nobody disturbed."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import resume


@pytest.mark.slow
def test_it_is_killed_three_times_and_ends_with_the_same_bits(capsys: pytest.CaptureFixture) -> None:
    assert resume.main(["--seed", "2"]) == 0
    printed = capsys.readouterr().out
    assert len(re.findall("killed in epoch", printed)) == 3
    assert len(re.findall("its end in epoch", printed)) == 1
    assert "DIFFERENT" not in printed
    for part in ("params", "model_state", "opt_state", "early_stopping", "plateau", "history", "log.csv"):
        assert re.search(rf"{part}\b.*the same bits", printed), part


def test_a_difference_is_seen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def live(folder: Path, until: float = 0) -> resume.Life:
        word = {"epoch": 1, "step": 8}
        return resume.Life(word, word, {"params": folder.name, "history": "0123"})

    monkeypatch.setattr(resume, "live", live)
    assert resume.main([]) == 1
    printed = capsys.readouterr().out
    assert re.search("params.*killed.*alone.*DIFFERENT", printed)
    assert re.search("history.*the same bits", printed)


def test_every_bit_and_every_form_counts() -> None:
    trees: list[Any] = [
        {"a": np.float32(1.0)},
        {"a": np.float32(1.0 + 2**-23)},
        {"a": np.float64(1.0)},
        {"b": np.float32(1.0)},
        {"a": np.ones(1, np.float32)},
        {"a": 1.0, "b": 2},
    ]
    assert len({resume.leaves(tree) for tree in trees}) == len(trees)


def test_a_run_that_fails_is_not_taken_for_one_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="the run failed"):
        resume.live(tmp_path / "file")


def test_it_reads_from_top_to_bottom_in_under_150_lines() -> None:
    assert len(Path(resume.__file__).read_text(encoding="utf-8").splitlines()) < 150
