"""The Projector's files: whole snapshots, those that a run counts, in text that is read back."""

import re
from pathlib import Path

import numpy as np
import pytest

from jgraph.errors import ResumeError, WriteError
from jgraph.storage.projector_files import ProjectorFiles, Snapshot, Sprite


def write(folder: Path, names: list[str], keep: int | None = None) -> None:
    file = ProjectorFiles(str(folder)).open(keep)
    for name in names:
        file.write(Snapshot(name, np.full((2, 3), len(name), np.float32), "a\nb\n", Sprite(b"png", 4, 5)))
    file.close()


def configuration(folder: Path) -> str:
    return (folder / "projector_config.pbtxt").read_text()


def names(folder: Path) -> list[str]:
    """The snapshots of the configuration, of which every file is there."""
    text = configuration(folder)
    for path in re.findall(r'_path: "([^"]+)"', text):
        assert (folder / path).is_file()
    return re.findall(r'tensor_name: "([^"]+)"', text)


def test_numbers_come_back_with_all_their_bits(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    file = ProjectorFiles(str(tmp_path)).open(None)
    file.write(Snapshot("points", values))
    file.close()
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "projector/00000/tensor.tsv", dtype=np.float32), values)


def test_what_snapshots_share_is_there_once(tmp_path: Path) -> None:
    write(tmp_path, ["one", "two", "three"])
    assert names(tmp_path) == ["one", "two", "three"]
    assert len(list((tmp_path / "projector").glob("*.tsv"))) == len(list((tmp_path / "projector").glob("*.png"))) == 1
    assert 'sprite { image_path: "projector/' in configuration(tmp_path)
    assert "single_image_dim: 5 single_image_dim: 4" in configuration(tmp_path), "the width comes first"


@pytest.mark.parametrize("keep", [0, 1, 2, 3, 9])
def test_a_run_that_goes_on_drops_what_came_after(tmp_path: Path, keep: int) -> None:
    write(tmp_path, ["one", "two", "three"])
    write(tmp_path, ["four"], keep)
    assert names(tmp_path) == [*["one", "two", "three"][:keep], "four"]


def test_a_snapshot_that_is_torn_is_none(tmp_path: Path) -> None:
    write(tmp_path, ["one", "two"])
    (tmp_path / "projector/00001/entry.pbtxt").unlink()
    write(tmp_path, [], keep=2)
    assert names(tmp_path) == ["one"]


def test_a_name_with_quotes_and_letters(tmp_path: Path) -> None:
    write(tmp_path, ['"ä"'])
    assert r'tensor_name: "\"ä\""' in configuration(tmp_path)


def test_the_points_of_another_run_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, ["one"])
    with pytest.raises(ResumeError, match="without the points of another run"):
        write(tmp_path, ["two"])
    assert names(tmp_path) == ["one"]


def test_places_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WriteError, match="not a directory"):
        write(tmp_path / "file", ["one"])
