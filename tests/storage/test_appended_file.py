"""A file of whole records: opened, cut, filled up, and what goes wrong with its place."""

import errno
import os
from pathlib import Path

import pytest

from jgraph.errors import ArgumentError, WriteError, check_path
from jgraph.storage.appended_file import AppendedFile, check_folder, make_folder


def test_a_record_is_there_before_write_returns(tmp_path: Path) -> None:
    file = AppendedFile(tmp_path / "a" / "b" / "file")
    file.write(b"one")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"one"
    file.flush()
    file.close()


@pytest.mark.parametrize("size", [0, 1, 5, 6])
def test_it_goes_on_after_the_first_bytes(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abcdef")
    file = AppendedFile(path, size)
    file.write(b"XY")
    file.close()
    assert path.read_bytes() == b"abcdef"[:size] + b"XY"
    assert file.size == size + 2


def test_a_new_file_takes_the_place_of_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(WriteError, match=r"file: expected a place that can be written, got File exists"):
        AppendedFile(tmp_path / "file", new=True)
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_record_that_does_not_fit_is_taken_back(tmp_path: Path, files_of_1000_bytes: None) -> None:
    file = AppendedFile(tmp_path / "file")
    for _ in range(3):
        file.write(b"r" * 300)
    with pytest.raises(WriteError, match=r"file: expected a place .*, got File too large, [\d,]+ bytes free"):
        file.write(b"r" * 300)
    assert (tmp_path / "file").read_bytes() == b"r" * 900
    file.write(b"s" * 100)
    file.close()
    assert (tmp_path / "file").read_bytes() == b"r" * 900 + b"s" * 100


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_is_said_with_its_free_bytes() -> None:
    file = AppendedFile(Path("/dev/full"))
    with pytest.raises(
        WriteError, match=r"/dev/full: .* No space left on device, [\d,]+ bytes free .* Free some space"
    ):
        file.write(b"record")
    file.close()


def test_places_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WriteError, match=r"folder: .*Is a directory"):
        AppendedFile(tmp_path / "folder")
    with pytest.raises(WriteError, match=r"file: .*Not a directory"):
        AppendedFile(tmp_path / "file" / "log.csv")
    with pytest.raises(WriteError, match="Not a directory"):
        make_folder(tmp_path / "file" / "a" / "b")
    with pytest.raises(WriteError, match=r"pipe: .*It is a pipe"):
        AppendedFile(tmp_path / "pipe")


def test_a_folder_is_checked_without_being_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    check_folder(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    with pytest.raises(WriteError, match="file is not a directory"):
        check_folder(tmp_path / "file" / "a")


def test_a_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda place, mode: False)  # a test may run as root, who may do everything
    with pytest.raises(WriteError, match=f"{tmp_path}: Permission denied"):
        check_folder(tmp_path / "a")


def test_an_error_is_an_oserror_with_its_cause(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Is a directory") as caught:
        AppendedFile(tmp_path)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EISDIR


@pytest.mark.parametrize("path", ["", None, 3, b"bytes"])
def test_what_is_no_path_is_refused(path: object) -> None:
    with pytest.raises(ArgumentError, match="Sink, path: expected a path"):
        check_path("Sink, path", path)
