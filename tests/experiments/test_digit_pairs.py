"""The demo: no scan of the test part is trained on, pairs are what they say, and a small run goes from end to end."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from flax import linen

import jgraph as jg
from experiments import digit_pairs


def as_set(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


def test_the_parts_share_no_scan() -> None:
    parts = digit_pairs.scans_by_part(seed=0)
    assert sum(len(images) for images, _ in parts.values()) == 1797
    for (name, (a, _)), (other, (b, _)) in itertools.combinations(parts.items(), 2):
        shared = as_set(a) & as_set(b)
        assert not shared, f"{name} and {other} share {len(shared)} scans"


def test_pairs_come_from_their_part_and_half_of_them_are_alike() -> None:
    images, labels = digit_pairs.scans_by_part(seed=0)["test"]
    inputs, targets = digit_pairs.make_pairs(images, labels, 400, seed=3)
    assert as_set(inputs["left"]) | as_set(inputs["right"]) <= as_set(images)
    digit_of = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    left, right = (np.array([digit_of[i.tobytes()] for i in inputs[side]]) for side in ("left", "right"))
    np.testing.assert_array_equal(targets["digit"], left)
    np.testing.assert_array_equal(targets["same"], left == right)
    np.testing.assert_array_equal(targets["sum"], left + right)
    assert 0.5 <= targets["same"].mean() < 0.62


def test_the_tower_is_one_set_of_weights() -> None:
    model = digit_pairs.draw_model()
    calls = [node.call for node in model.nodes if node.path == "tower"]
    assert calls == [0, 1]
    assert set(model.params_spec) == {"tower", "digit", "same", "dense", "dense_1", "sum"}


@pytest.mark.slow
def test_a_small_run_leaves_all_that_it_says_goes_on_and_begins_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "demo"
    small = ["--pairs", "128", "--folder", str(folder)]
    logs = digit_pairs.main([*small, "--epochs", "2"])
    printed = capsys.readouterr().out
    assert {"digit/accuracy", "same/accuracy", "sum/mae"} <= set(logs)
    for words in (
        "tower/flax_norm",
        "left digit, accuracy",
        "curves.png",
        f"tensorboard --logdir {folder / 'tensorboard'}",
    ):
        assert words in printed
    assert sorted(path.name for path in folder.iterdir()) == ["2", "4", "curves.png", "log.csv", "tensorboard"]
    assert sorted(path.name for path in (folder / "tensorboard").iterdir()) == ["train", "validation"]
    assert (folder / "curves.png").read_bytes()[:4] == b"\x89PNG"

    model, _, _ = jg.load(folder, step="best", allow=[linen.LayerNorm])
    assert list(model.outputs) == ["digit", "same", "sum"]

    assert digit_pairs.main([*small, "--epochs", "2", "--resume"]) == logs
    assert "removed" not in capsys.readouterr().out
    assert digit_pairs.main([*small, "--epochs", "1"]) != logs
    assert f"removed the earlier run in {folder}" in capsys.readouterr().out
    assert len((folder / "log.csv").read_text().splitlines()) == 2


def test_a_folder_of_something_else_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def enough(seed: int) -> None:
        raise RuntimeError("the folder has been dealt with")

    monkeypatch.setattr(digit_pairs, "scans_by_part", enough)
    (tmp_path / "log.csv").write_text("not of a run")
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(RuntimeError, match="dealt with"):
        digit_pairs.main(["--folder", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "thesis.txt"]


def test_it_reads_from_top_to_bottom_in_under_150_lines() -> None:
    assert len(Path(digit_pairs.__file__).read_text(encoding="utf-8").splitlines()) < 150
