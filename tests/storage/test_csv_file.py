"""CSV files: every bit comes back, and a file that was cut anywhere goes on after whole rows."""

import csv
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jgraph.errors import WriteError
from jgraph.storage.csv_file import CSVFile

SEEDED = settings(max_examples=100, deadline=None, derandomize=True, database=None)

ROWS: list[dict[str, Any]] = [
    {"epoch": 0, "loss": 0.1, "note": "plain"},
    {"epoch": 1, "loss": 1e-320, "note": 'a "quoted", text\nof two lines: größe'},
    {"epoch": 2, "loss": math.inf, "note": ""},
]


def write(path: Path, rows: list[dict[str, Any]], keep: int | None = None, separator: str = ",") -> None:
    file = CSVFile(str(path), separator).open(keep)
    for row in rows:
        file.write(row)
    file.flush()
    file.close()


def read(path: Path, separator: str = ",") -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=separator, strict=True))


def texts(rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{name: str(value) for name, value in row.items()} for row in rows]


def bits(value: float) -> bytes:
    return b"nan" if math.isnan(value) else struct.pack("<d", value)


@SEEDED
@given(st.lists(st.floats(width=64, allow_subnormal=True), min_size=1))
def test_numbers_come_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    path = tmp_path_factory.mktemp("csv") / "log.csv"
    write(path, [{"epoch": epoch, "loss": value} for epoch, value in enumerate(values)])
    rows = read(path)
    assert [int(row["epoch"]) for row in rows] == list(range(len(values)))
    assert [bits(float(row["loss"])) for row in rows] == [bits(value) for value in values]


@SEEDED
@given(
    st.lists(
        st.fixed_dictionaries({"a": st.text(st.characters(exclude_categories=["Cs"])), "b,;": st.integers()}),
        min_size=1,
    ),
    st.sampled_from(",;\t|e"),
    st.data(),
)
def test_any_text_comes_back_and_counts_as_one_row(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], separator: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("csv") / "log.csv"
    write(path, rows, separator=separator)
    assert read(path, separator) == texts(rows)
    keep = data.draw(st.integers(0, len(rows)))
    write(path, rows[keep:], keep, separator)
    assert read(path, separator) == texts(rows)


def test_a_row_is_there_before_write_returns(tmp_path: Path) -> None:
    file = CSVFile(str(tmp_path / "log.csv")).open(None)
    assert (tmp_path / "log.csv").read_bytes() == b""
    file.write({"epoch": 0, "loss": 0.5})
    assert (tmp_path / "log.csv").read_bytes() == b"epoch,loss\n0,0.5\n"
    file.close()


def test_numbers_of_other_kinds(tmp_path: Path) -> None:
    write(tmp_path / "log.csv", [{"a": np.float32(0.1), "b": np.int64(3), "c": True, "d": np.float64(0.1)}])
    assert (tmp_path / "log.csv").read_text().splitlines()[1] == f"{float(np.float32(0.1))!r},3,1,0.1"


def test_a_missing_value_is_na(tmp_path: Path) -> None:
    write(tmp_path / "log.csv", [{"epoch": 0, "loss": 0.5, "val_loss": 0.4}, {"loss": 0.3, "epoch": 1}])
    assert (tmp_path / "log.csv").read_text().splitlines()[1:] == ["0,0.5,0.4", "1,0.3,NA"]


@pytest.mark.parametrize("keep", [None, 1])
def test_a_new_column_is_named(tmp_path: Path, keep: int | None) -> None:
    path = tmp_path / "log.csv"
    write(path, [{"epoch": 0, "loss": 0.5}])
    file = CSVFile(str(path)).open(keep)
    if keep is None:
        file.write({"epoch": 0, "loss": 0.5})
    with pytest.raises(WriteError, match="the columns of its first row: 'epoch', 'loss', got 'val_loss' too"):
        file.write({"epoch": 1, "loss": 0.4, "val_loss": 0.5})
    file.write({"epoch": 1, "loss": 0.4})
    file.close()
    assert read(path) == texts([{"epoch": 0, "loss": 0.5}, {"epoch": 1, "loss": 0.4}])


def test_a_file_cut_at_any_byte_goes_on_after_its_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    write(path, ROWS)
    whole = path.read_bytes()
    ends = [len(whole.split(b"\n0,")[0]) + 1]
    for count in range(1, len(ROWS) + 1):
        write(path, ROWS[:count])
        ends.append(path.stat().st_size)
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        left = sum(end <= cut for end in ends[1:])
        write(path, ROWS[left:], keep=len(ROWS))
        assert path.read_bytes() == whole, f"cut at byte {cut}"


@pytest.mark.parametrize("keep", [0, 1, 2, 3])
def test_rows_after_the_first_are_dropped(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "log.csv"
    write(path, ROWS)
    write(path, [{"epoch": 7, "loss": 0.5, "note": "later"}], keep)
    assert read(path) == texts([*ROWS[:keep], {"epoch": 7, "loss": 0.5, "note": "later"}])


def test_a_file_that_someone_deleted_begins_again(tmp_path: Path) -> None:
    write(tmp_path / "log.csv", [{"epoch": 5, "loss": 0.5}], keep=5)
    assert read(tmp_path / "log.csv") == [{"epoch": "5", "loss": "0.5"}]


def test_a_new_run_writes_over_the_file(tmp_path: Path) -> None:
    write(tmp_path / "log.csv", ROWS)
    write(tmp_path / "log.csv", [{"other": 1}])
    assert (tmp_path / "log.csv").read_bytes() == b"other\n1\n"


def test_a_directory_in_its_place_is_named(tmp_path: Path) -> None:
    for keep in (None, 3):
        with pytest.raises(WriteError, match=f"{tmp_path.name}: .*Is a directory"):
            CSVFile(str(tmp_path)).open(keep)


def test_a_full_disk_leaves_whole_rows(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("only Linux has a disk that is always full")
    file = CSVFile("/dev/full").open(None)
    for _ in range(2):  # and the file goes on asking
        with pytest.raises(WriteError, match="No space left on device"):
            file.write({"epoch": 0})
    file.close()


def test_sinks_of_one_file_are_equal() -> None:
    assert len({CSVFile("log.csv"), CSVFile("log.csv", ","), CSVFile("log.csv", ";")}) == 2
