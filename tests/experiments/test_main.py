"""All experiments in a row: what has not learned fails, and figures are put together over seeds."""

import json
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from experiments import __main__ as all_of_them
from experiments.__main__ import EXPERIMENTS, Learned


def leave(folder: Path, reached: dict[str, float], full: bool = False, seconds: float = 60.0) -> None:
    folder.mkdir(parents=True)
    text = {"title": "T", "seed": 0, "full": full, "seconds": seconds, "reached": reached}
    (folder / "figures.json").write_text(json.dumps(text))


def test_every_experiment_stands_in_the_table() -> None:
    here = Path(all_of_them.__file__).parent
    shared = {"__init__", "__main__", "clothes", "common", "data", "digit_pairs", "resume"}
    assert {path.stem for path in here.glob("*.py")} - shared == set(EXPERIMENTS)


def test_files_to_copy_are_short_and_say_what_they_reached() -> None:
    here = Path(all_of_them.__file__).parent
    for path in here.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 150, path
        if path.stem in EXPERIMENTS:
            head = text.split('"""')[1]
            for word in ("Data: ", "Published", "Reached", f"python -m experiments.{path.stem} --help"):
                assert word in head, (path.name, word)


@pytest.mark.parametrize(("reached", "code"), [(0.9, 0), (0.3, 1)])
def test_one_that_has_not_learned_fails(
    reached: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str]) -> subprocess.CompletedProcess:
        asked.append(command[1:])
        leave(Path(command[command.index("--folder") + 1]), {"test accuracy": reached})
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(all_of_them.subprocess, "run", run)
    assert all_of_them.main(["watch", "--seeds", "2", "--full", "--folder", str(tmp_path)]) == code
    own = [["-m", "experiments.watch", "--seed", s, "--folder", str(tmp_path / "watch" / s), "--full"] for s in "01"]
    assert asked == own
    assert ("NO" in capsys.readouterr().out) is bool(code)


def test_one_that_ends_in_an_error_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str]) -> subprocess.CompletedProcess:
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(all_of_them.subprocess, "run", run)
    assert all_of_them.main(["watch", "--folder", str(tmp_path)]) == 1
    with pytest.raises(SystemExit):
        all_of_them.main(["wacth"])


def test_figures_are_put_together_over_seeds(tmp_path: Path) -> None:
    for seed, value in enumerate((1.0, 2.0, 6.0)):
        leave(tmp_path / "price" / str(seed), {"joint, test": value}, full=True, seconds=60.0 * (seed + 1))
    leave(tmp_path / "price" / "short", {"joint, test": 9.0})
    console = Console(record=True, width=120)
    console.print(all_of_them.table(tmp_path, ["price", "watch"]))
    rows = [line for line in console.export_text().splitlines() if "joint, test" in line]
    assert [[cell.strip() for cell in row.strip("│ ").split("│")] for row in rows] == [
        ["price", "joint, test", "3", "1 to 6", "3", "2.0"],
        ["price (short)", "joint, test", "9", "", "1", "1.0"],
    ]


def test_less_can_be_better() -> None:
    assert Learned("error", 2.0, below=True).holds(1.0)
    assert not Learned("error", 2.0, below=True).holds(float("nan"))
    assert not Learned("accuracy", 0.5).holds(float("nan"))
    assert str(Learned("error", 2.0, below=True)) == "error < 2"
