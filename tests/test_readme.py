"""The README and the pages of docs: their Python runs as it stands; the README's commands and map are true."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import jgraph as jg
from jgraph.train.callback import HOOKS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").glob("*.md"))
RUN_BY_NAME = ("callbacks", "faults")
"""Pages whose Python is run by tests of what it does."""
CALLBACKS = (ROOT / "docs/callbacks.md").read_text(encoding="utf-8")


class Outcome(NamedTuple):
    """What a page's Python leaves: its names, what it prints, and the folder that it ran in."""

    names: dict[str, Any]
    printed: str
    folder: Path


def run_page(page: Path, folder: Path) -> Outcome:
    """Runs all Python blocks of a page in a folder, one after the other; errors name the page and the line."""
    text, printed = page.read_text(encoding="utf-8"), io.StringIO()
    names: dict[str, Any] = {"__name__": page.stem.lower()}
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        for block in re.finditer(r"```python\n(.*?)```", text, re.DOTALL):
            above = "\n" * text.count("\n", 0, block.start(1))
            exec(compile(above + block[1], str(page), "exec"), names)
    return Outcome(names, printed.getvalue(), folder)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The README's, run once."""
    return run_page(README, tmp_path_factory.mktemp("readme"))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page.stem not in RUN_BY_NAME], ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    assert run_page(page, tmp_path).names.keys() > {"__name__"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_a_title(page: Path) -> None:
    assert re.match(r"# \S", page.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_python_of_the_readme_runs(outcome: Outcome) -> None:
    names = outcome.names
    assert "embedding_1" in outcome.printed
    assert "logits, before softmax" in outcome.printed
    assert names["probabilities"].shape == (256, 500)
    assert names["vectors"].shape == (64, 32)
    assert str(sorted(names["run"].history)) in TEXT


@pytest.mark.slow
def test_a_run_goes_on_from_its_directory_and_leaves_what_it_says(outcome: Outcome) -> None:
    epochs = re.findall(r"epoch \d/\d", outcome.printed)
    assert epochs == ["epoch 1/2", "epoch 2/2", "epoch 3/4", "epoch 4/4"]
    folder = outcome.folder / "runs/qa"
    assert (folder / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert any((folder / "tensorboard/validation").iterdir())
    assert jg.load(folder, step="best")[0].to_json() == outcome.names["model"].to_json()


@pytest.mark.slow
def test_the_callbacks_of_their_page_do_what_it_says(tmp_path: Path) -> None:
    names = run_page(ROOT / "docs/callbacks.md", tmp_path).names
    watched, seen = names["watched"], names["seen"]
    said = re.findall(r"learning_rate.*about \[(.*)\]", CALLBACKS)[0].split(", ")
    np.testing.assert_allclose(watched.history["learning_rate"], [float(rate) for rate in said], rtol=1e-6)
    assert seen == watched.history["loss"]  # two steps an epoch: the mean over the epoch so far is that of the epoch
    assert set(watched.memories["overfits"]) == {"epochs"}
    assert any("halve_every: learning rate 0.001 -> 0.0005" in text for text in watched.events)


@pytest.mark.slow
def test_the_error_of_the_page_on_faults_carries_the_run(tmp_path: Path) -> None:
    names = run_page(ROOT / "docs/faults.md", tmp_path).names
    rescued, finished = names["rescued"], names["finished"]
    assert (rescued.position.epoch, len(rescued.history["loss"])) == (2, 2)
    assert (finished.position.epoch, len(finished.history["loss"])) == (4, 4)
    assert names["part"].place == ("data", {"next": 96}, 16)
    assert int(names["rest"].train_state.step) == 12


@pytest.mark.slow
def test_the_page_on_many_devices_runs_on_one(tmp_path: Path) -> None:
    outcome = run_page(ROOT / "docs/scale.md", tmp_path)
    assert len(outcome.names["run"].history["loss"]) == 2
    assert "features 32, units 256" in outcome.printed
    assert "One step, on each device" in outcome.printed


def test_the_page_on_callbacks_knows_every_callback_action_and_hook() -> None:
    names = set(vars(jg.callbacks)) - {"Callback", "Event"}
    public = {name for name in names if getattr(vars(jg.callbacks)[name], "__module__", "").startswith("jgraph.")}
    for name in public - {hook for hook in HOOKS if hook not in ("on_epoch_end", "on_step_end")}:
        assert re.search(rf"^\| .*`{name}\b", CALLBACKS, re.MULTILINE), f"{name} stands in no table"
    for hook in HOOKS:
        assert f"`{hook}`" in CALLBACKS, hook


def test_the_commands_of_the_readme_are_targets() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test", "lint"} <= targets
    assert set(re.findall(r"make ([a-z]+)\b", TEXT)) <= targets | {"it"}


def test_the_map_of_the_readme_names_what_is_there() -> None:
    for path in re.findall(r"`((?:jgraph|experiments)/[\w/.]*)`", TEXT):
        assert (ROOT / path).exists(), f"README names {path}"
