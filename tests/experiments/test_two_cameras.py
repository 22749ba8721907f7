"""Two cameras: pairs are what they say, one tower is one set of weights, and a small run goes from end to end."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import jgraph as jg
from experiments import two_cameras
from experiments.__main__ import EXPERIMENTS
from tests.experiments import files


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files.fashion(tmp_path)
    monkeypatch.setenv("JGRAPH_DATA", str(tmp_path))
    return tmp_path


def test_a_camera_shifts_what_it_sees_and_each_for_itself() -> None:
    images = np.zeros((200, 28, 28, 1), np.uint8)
    images[:, 14, 14] = 255
    views = [two_cameras.photograph(images, np.random.default_rng(seed)) for seed in (0, 1)]
    assert views[0].shape == images.shape
    assert views[0].dtype == np.uint8
    places = [np.unravel_index(view.reshape(200, -1).argmax(-1), (28, 28)) for view in views]
    for down, across in places:
        assert {*down.tolist()} == {*across.tolist()} == set(range(10, 19))
    assert not np.array_equal(places[0], places[1])


def test_pairs_say_what_they_are() -> None:
    images = np.zeros((50, 28, 28, 1), np.uint8)
    classes = np.arange(50, dtype=np.int32) % 10
    inputs, targets = two_cameras.make_pairs(images, classes, 400, seed=0)
    assert {name: len(values) for name, values in inputs.items()} == {"left": 400, "right": 400}
    np.testing.assert_array_equal(targets["same"], targets["one"] == targets["other"])
    assert np.all(targets["same"][::2] == 1)
    assert 0.5 <= targets["same"].mean() < 0.62


def test_a_shared_tower_is_one_set_of_weights_and_sees_both_cameras() -> None:
    drawn = {kind: two_cameras.draw(kind) for kind in two_cameras.KINDS}
    calls = {kind: [node.call for node in model.nodes if node.path == "tower"] for kind, model in drawn.items()}
    assert calls == {"shared": [0, 1], "apart": [], "narrow": []}
    size = {kind: sum(spec.size for spec in jax.tree.leaves(model.params_spec)) for kind, model in drawn.items()}
    assert size["shared"] < size["narrow"] < 1.05 * size["shared"]
    assert size["apart"] > 1.7 * size["shared"]

    views = np.random.default_rng(0).integers(0, 255, (2, 3, 28, 28, 1), dtype=np.uint8)
    for kind, model in drawn.items():
        params, state = model.init(jax.random.key(0))
        there, _ = model.apply(params, state, {"left": views[0], "right": views[1]})
        back, _ = model.apply(params, state, {"left": views[1], "right": views[0]})
        exchanged = np.allclose(there["one"], back["other"], atol=1e-6)
        assert exchanged == (kind == "shared")


@pytest.mark.slow
def test_a_small_run_leaves_all_that_it_says_and_goes_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, chosen = root / "run", {kind: two_cameras.KINDS[kind] for kind in ("shared", "narrow")}
    monkeypatch.setattr(two_cameras, "KINDS", chosen)
    tiny = ["--epochs", "1", "--updates", "2", "--pairs", "8", "--folder", str(folder)]
    reached = two_cameras.main(tiny)
    for kind in chosen:
        assert reached[kind] == reached[f"{kind}, 8 pairs: class, test"]
        assert {f"{kind}, 8 pairs: same, validation", f"{kind}, 8 pairs: params"} <= set(reached)
        left = {path.name for path in (folder / f"{kind}-8").iterdir()}
        assert left == {"2", "curves.png", "log.csv", "tensorboard"}
    assert (folder / "pairs.png").read_bytes()[:4] == b"\x89PNG"
    assert EXPERIMENTS["two_cameras"].figure in reached
    assert json.loads((folder / "figures.json").read_text())["reached"] == reached
    model, _, _ = jg.load(folder / "shared-8", step="best")
    assert list(model.outputs) == ["one", "other", "same"]
    assert two_cameras.main([*tiny, "--resume"]) == reached


def test_it_reads_from_top_to_bottom_in_under_150_lines() -> None:
    assert len(Path(two_cameras.__file__).read_text(encoding="utf-8").splitlines()) < 150
