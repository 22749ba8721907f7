"""JSON lines: strict, whole, and cut where a run goes on."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from jgraph.errors import WriteError
from jgraph.storage.json_file import JSONFile


def write(path: Path, keep: int | None, *records: dict) -> None:
    file = JSONFile(str(path)).open(keep)
    for record in records:
        file.write(record)
    file.flush()
    file.close()


def refuse(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


def test_numbers_read_back_with_the_same_bits(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log.jsonl"
    values = {
        "a": 0.1,
        "b": np.float32(0.1),
        "c": math.nan,
        "d": math.inf,
        "e": -math.inf,
        "f": np.int64(3),
        "g": 5e-324,
    }
    write(path, None, {"logs": values, "name": "é\n\u2028", "none": None, "yes": True})
    [line] = path.read_text("utf-8").split("\n")[:-1]
    found = json.loads(line, parse_constant=refuse)
    assert [repr(float(v)) for v in found["logs"].values()] == [repr(float(v)) for v in values.values()]
    assert (found["name"], found["none"], found["yes"]) == ("é\n\u2028", None, True)


def test_it_goes_on_after_the_lines_that_count(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, None, *({"n": n} for n in range(4)))
    with path.open("ab") as file:
        file.write(b'{"n": 4')
    write(path, 5, {"n": 4})
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == [0, 1, 2, 3, 4]
    write(path, 2, {"n": 2})
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == [0, 1, 2]
    write(path, 0, {"n": 0})
    assert path.read_text() == '{"n": 0}\n'
    write(path, None)
    assert path.read_text() == ""


def test_a_file_that_is_not_there_begins(tmp_path: Path) -> None:
    write(tmp_path / "log.jsonl", 7, {"n": 7})
    assert (tmp_path / "log.jsonl").read_text() == '{"n": 7}\n'


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(WriteError):
        JSONFile(str(tmp_path)).open(None)
