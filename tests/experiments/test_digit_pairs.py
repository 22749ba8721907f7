"""The demo: no scan of the test part is trained on, pairs are what they say, and a small run goes from end to end."""

import itertools
from pathlib import Path

import numpy as np
import pytest

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
def test_a_small_run_ends_with_a_table_and_a_saved_model(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    logs = digit_pairs.main(["--epochs", "1", "--pairs", "128", "--folder", str(tmp_path)])
    printed = capsys.readouterr().out
    assert {"digit/accuracy", "same/accuracy", "sum/mae"} <= set(logs)
    assert "tower/flax_norm" in printed
    assert "left digit, accuracy" in printed
    from flax import linen

    model, _, _ = jg.load(tmp_path / "model.jgraph", allow=[linen.LayerNorm])
    assert list(model.outputs) == ["digit", "same", "sum"]


def test_it_reads_from_top_to_bottom_in_under_150_lines() -> None:
    assert len(Path(digit_pairs.__file__).read_text(encoding="utf-8").splitlines()) < 150
