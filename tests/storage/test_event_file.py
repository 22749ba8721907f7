"""Event files, read back record by record with every checksum computed from its definition."""

import contextlib
import math
import struct
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jgraph.errors import ResumeError, WriteError
from jgraph.storage.event_file import EventFile, read_records
from jgraph.storage.messages import Scalars

SEEDED = settings(max_examples=100, deadline=None, derandomize=True, database=None)

Points = list[tuple[int, dict[str, float]]]
SOME: Points = [(10, {"loss": 0.5, "age/loss": 2.0}), (20, {"loss": 0.25}), (30, {"loss": math.inf})]


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum, bit by bit."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def events(path: Path) -> list[Any]:
    """All events of a file that has nothing but whole records."""
    from tensorboardX.proto import event_pb2

    kind: Any = event_pb2
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        record = data[12 : 12 + length]
        assert data[8:12] == masked(data[:8])
        assert data[12 + length : 16 + length] == masked(record)
        found.append(kind.Event.FromString(record))
        data = data[16 + length :]
    return found


def points(path: Path) -> Points:
    first, *rest = events(path)
    assert first.file_version == "brain.Event:2"
    return [(e.step, {v.tag: v.simple_value for v in e.summary.value}) for e in rest]


def write(folder: Path, some: Iterable[tuple[int, Mapping[str, float]]], keep: int | None = None) -> None:
    with contextlib.closing(EventFile(str(folder)).open(keep)) as file:
        for step, values in some:
            file.write(Scalars(step, values))
        file.flush()


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_the_checksum_of_the_tests_is_the_one_of_rfc_3720() -> None:
    assert crc32c(b"\0" * 32) == 0x8A9136AA
    assert crc32c(b"123456789") == 0xE3069283


def test_points_come_back(tmp_path: Path) -> None:
    write(tmp_path / "a" / "train", SOME)
    path = only(tmp_path / "a" / "train")
    assert points(path) == SOME
    assert path.name.startswith("events.out.tfevents.")
    assert len(path.name.split(".")[3]) == 10


def test_every_event_has_its_time_in_order(tmp_path: Path) -> None:
    write(tmp_path, SOME)
    times = [event.wall_time for event in events(only(tmp_path))]
    assert times == sorted(times)
    assert times[0] > 1.7e9


@SEEDED
@given(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.floats(width=32)), st.integers(0, 2**63 - 1)
)
def test_any_float32_comes_back(tmp_path_factory: pytest.TempPathFactory, values: dict[str, float], step: int) -> None:
    folder = tmp_path_factory.mktemp("events")
    write(folder, [(step, values)])
    ((found, back),) = points(only(folder))
    assert found == step
    assert list(back) == list(values)
    np.testing.assert_array_equal(
        np.array(list(back.values()), np.float32), np.array(list(values.values()), np.float32)
    )


def test_a_record_is_there_when_it_is_flushed(tmp_path: Path) -> None:
    file = EventFile(str(tmp_path / "run")).open(None)
    assert not (tmp_path / "run").exists(), "nothing to say, no file"
    for count in range(1, 4):
        file.write(Scalars(count, {"loss": 1.0}))
        file.flush()
        assert len(points(only(tmp_path / "run"))) == count
    file.close()


def test_a_run_that_says_nothing_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "run", [])
    assert not (tmp_path / "run").exists()


def test_a_file_cut_at_any_byte_goes_on_after_its_whole_records(tmp_path: Path) -> None:
    write(tmp_path, SOME)
    path = only(tmp_path)
    whole, ends = path.read_bytes(), [0]
    for record in read_records(path):
        ends.append(ends[-1] + 16 + len(record))
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        left = max(sum(end <= cut for end in ends) - 2, 0)
        write(tmp_path, [(99, {"loss": 9.0})], keep=len(SOME))
        assert points(path) == [*SOME[:left], (99, {"loss": 9.0})], f"cut at byte {cut}"
        assert only(tmp_path) == path


def test_a_file_with_any_byte_changed_goes_on_before_that_record(tmp_path: Path) -> None:
    write(tmp_path, SOME)
    path = only(tmp_path)
    whole, ends = path.read_bytes(), [0]
    for record in read_records(path):
        ends.append(ends[-1] + 16 + len(record))
    for at in range(ends[1], len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        write(tmp_path, [(99, {"loss": 9.0})], keep=len(SOME))
        assert points(path) == [*SOME[: sum(end <= at for end in ends) - 2], (99, {"loss": 9.0})], f"byte {at}"


@pytest.mark.parametrize("keep", [0, 1, 2, 3, 7])
def test_records_after_the_first_are_dropped(tmp_path: Path, keep: int) -> None:
    write(tmp_path, SOME)
    write(tmp_path, [(99, {"loss": 9.0})], keep)
    assert points(only(tmp_path)) == [*SOME[:keep], (99, {"loss": 9.0})]


def test_a_new_run_never_writes_over_a_file(tmp_path: Path) -> None:
    for step in range(5):  # within one second
        write(tmp_path, [(step, {"loss": 1.0})])
    assert [points(path)[0][0] for path in files(tmp_path)] == [0, 1, 2, 3, 4]


def test_the_newest_file_goes_on_whatever_the_clock_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [2_000_000_000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    write(tmp_path, [(1, {"loss": 1.0})])
    now[0] = 1_900_000_000.0  # set back
    write(tmp_path, [(2, {"loss": 1.0})])
    write(tmp_path, [(3, {"loss": 1.0})], keep=1)
    assert [[step for step, _ in points(path)] for path in files(tmp_path)] == [[1], [2, 3]]


def test_a_run_that_goes_on_before_its_first_record_leaves_older_runs_alone(tmp_path: Path) -> None:
    write(tmp_path, SOME)
    write(tmp_path, [])
    write(tmp_path, [(30, {"loss": 1.0})], keep=0)
    assert [points(path) for path in files(tmp_path)] == [SOME, [(30, {"loss": 1.0})]]


def test_a_run_that_begins_before_the_end_of_another_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path, SOME)
    said = "without event files of another run, as this one begins at step 29, got one with points up to step 30"
    with pytest.raises(ResumeError, match=said):
        write(tmp_path, [(29, {"loss": 1.0})])
    write(tmp_path, [(40, {"loss": 1.0})], keep=len(SOME))
    assert points(only(tmp_path)) == [*SOME, (40, {"loss": 1.0})]


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    for name in ("events.out.tfevents.9999999999.host", "events.out.tfevents.x.jgraph", "notes.txt"):
        (tmp_path / name).write_bytes(b"other")
    write(tmp_path, SOME, keep=5)
    ours = [path for path in files(tmp_path) if path.read_bytes() != b"other"]
    assert [points(path) for path in ours] == [SOME]
    assert len(files(tmp_path)) == 4


def test_nothing_runs_beside_when_it_is_closed(tmp_path: Path) -> None:
    before = threading.enumerate()
    file = EventFile(str(tmp_path)).open(None)
    file.write(Scalars(0, {"loss": 1.0}))
    file.close()
    assert threading.enumerate() == before


def test_places_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for keep in (None, 3):
        with pytest.raises(WriteError, match="file is not a directory"):
            EventFile(str(tmp_path / "file")).open(keep)
        with pytest.raises(WriteError, match="file is not a directory"):
            EventFile(str(tmp_path / "file" / "train")).open(keep)


def test_a_full_disk_is_an_error_at_once_and_leaves_whole_records(tmp_path: Path, files_of_1000_bytes: None) -> None:
    said = r"jgraph: expected a place that can be written, got File too large, [\d,]+ bytes free"
    with pytest.raises(WriteError, match=said):
        write(tmp_path, ((step, {"loss": 1.0}) for step in range(100)))
    steps = [step for step, _ in points(only(tmp_path))]
    assert steps == list(range(len(steps)))
    assert only(tmp_path).stat().st_size > 900


def test_sinks_of_one_directory_are_equal() -> None:
    assert len({EventFile("a"), EventFile("a"), EventFile("b")}) == 2
