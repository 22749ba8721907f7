"""Directories that anyone may have written: what is in the way of reading them safely is found before they are read."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from jgraph.errors import LoadError
from jgraph.storage import untrusted
from jgraph.storage.arrays import ARRAYS, FILES, differing_files, load_arrays
from jgraph.storage.checkpoint import read_record, write
from jgraph.storage.steps import read_step, save_step, steps_in
from jgraph.storage.untrusted import check_files, check_room, is_described, read_json, walking

SHA = "0" * 64

ODD: dict[str, Callable[[Path, Path], Any]] = {
    "a link to a file": lambda place, outside: place.symlink_to(outside / "file"),
    "a link to a directory": lambda place, outside: place.symlink_to(outside),
    "a link to nothing": lambda place, outside: place.symlink_to(outside / "nothing"),
    "a link within": lambda place, outside: place.symlink_to("deep"),
    "a link to a device": lambda place, outside: place.symlink_to("/dev/zero"),
    "a pipe": lambda place, outside: os.mkfifo(place),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ["odd", "deep/odd"])
def test_only_files_and_directories_are_taken(odd: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("{}")
    (tmp_path / "place" / "deep").mkdir(parents=True)
    (tmp_path / "place" / "file").write_text("")
    check_files(tmp_path / "place")
    ODD[odd](tmp_path / "place" / name, tmp_path / "outside")
    with pytest.raises(LoadError, match=rf"place: expected files and directories, got others at '{name}'"):
        check_files(tmp_path / "place")


@pytest.mark.parametrize("odd", ODD)
def test_nothing_is_read_where_a_record_is_none(odd: str, tmp_path: Path) -> None:
    """A pipe would be waited for."""
    (tmp_path / "outside").mkdir()
    save_step(tmp_path / "run", 3, {}, {})
    write(tmp_path / "saved", {"a": np.zeros(2)}, {})
    for file in (tmp_path / "run" / "3" / "jgraph" / "metadata", tmp_path / "saved" / "jgraph.json"):
        file.unlink()
        ODD[odd](file, tmp_path / "outside")
    with pytest.raises(LoadError, match="got others at 'jgraph/metadata'"):
        read_step(tmp_path / "run", 3)
    with pytest.raises(LoadError, match=r"got others at 'jgraph\.json'"):
        read_record(tmp_path / "saved")


def test_a_step_is_no_link(tmp_path: Path) -> None:
    save_step(tmp_path / "elsewhere", 3, {}, {})
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "3").symlink_to(tmp_path / "elsewhere" / "3")
    assert steps_in(tmp_path / "run") == []
    with pytest.raises(LoadError, match="expected the step 3, got no steps"):
        read_step(tmp_path / "run", 3)


def test_names_of_files_do_not_lead_out_of_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_step(tmp_path, 3, {"a": np.zeros(2)}, {})
    (tmp_path / "secret").write_text("")
    opened = []
    whole = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, *args, **options: (opened.append(self), whole(self, *args, **options))[1]
    )
    (tmp_path / "3" / FILES).write_text(f'{{"../secret": 0, "{tmp_path}/secret": 0}}')
    assert differing_files(tmp_path / "3") == ["../secret", f"{tmp_path}/secret"]
    assert all(path.name != "secret" for path in opened)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"x"'])
def test_checksums_that_are_none_are_as_if_all_differed(content: str, tmp_path: Path) -> None:
    save_step(tmp_path, 3, {"a": np.arange(2)}, {})
    (tmp_path / "3" / FILES).write_text(content)
    assert differing_files(tmp_path / "3")
    assert read_step(tmp_path, 3)[0]["a"].tolist() == [0, 1]


@pytest.mark.parametrize("size", [2**30 + 1, 2**36])
def test_a_record_is_no_larger_than_a_record_can_be(size: int, tmp_path: Path) -> None:
    with (tmp_path / "record").open("wb") as file:
        file.truncate(size)  # a hole, which takes no place
    with pytest.raises(ValueError, match=rf"{size:,} bytes, more than"):
        read_json(tmp_path / "record")


@pytest.mark.parametrize(
    "leaf",
    [
        *(None, [], {}, "float32", ["float32", [2]], ["float32", [2], SHA, 1], {"dtype": "float32", "shape": [2]}),
        *([name, [2], SHA] for name in ("O", "object", "f4", "<f4", "i4,i4", "S9", "M8[s]", "x" * 10**6, 4, None)),
        *(["float32", shape, SHA] for shape in (2, "2", [-1], [1.0], [True], [2**63], [2**60], [0, 2**62], [1] * 65)),
        ["float32", [2], None],
    ],
    ids=lambda leaf: repr(leaf)[:40],
)
def test_what_describes_no_array_is_found(leaf: Any) -> None:
    assert not is_described(leaf)


@pytest.mark.parametrize("leaf", [["float32", [], SHA], ["bfloat16", [0, 3], SHA], ["int4", [2] * 20, SHA]], ids=repr)
def test_what_describes_an_array_is_taken(leaf: Any) -> None:
    assert is_described(leaf)


def test_leaves_have_to_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untrusted, "memory_bytes", lambda: 100)
    leaves = {"small": ["int8", [20], SHA], "large": ["float32", [20], SHA]}
    check_room("here", leaves)
    with pytest.raises(
        LoadError, match="fit into the 100 bytes of this machine's memory, got 101 bytes, 80 of them in 'large'"
    ):
        check_room("here", {**leaves, "one": ["bool", [], SHA]})
    monkeypatch.setattr(untrusted, "memory_bytes", lambda: None)
    check_room("here", {"any": ["float32", [2**50], SHA]})


def test_what_nests_too_deep_to_be_walked_through_is_refused() -> None:
    with pytest.raises(LoadError, match="here: expected a record that nests less deep"), walking("here"):
        raise RecursionError


@pytest.mark.parametrize("spec", [((3, 2), "float32"), ((2,), "float32"), ((2**40,), "float32"), ((2, 3), "int32")])
def test_what_is_stored_otherwise_is_not_read(spec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the shape of the file nor in that which is asked for, and never cast."""
    save_step(tmp_path, 3, {"a": np.ones((2, 3), "float32")}, {})
    with pytest.raises(ValueError, match=r"a is stored as float32\[2, 3\], in pieces of \[2, 3\], not as") as caught:
        load_arrays(tmp_path / "3" / ARRAYS, {"a": jax.ShapeDtypeStruct(spec[0], np.dtype(spec[1]))})
    assert spec[1] in str(caught.value)
    found = load_arrays(tmp_path / "3" / ARRAYS, {"a": jax.ShapeDtypeStruct((2, 3), np.dtype("float32"))})
    assert found["a"].sum() == 6


@pytest.mark.parametrize("kind", ["np.ndarray", "jax.Array", "None", "Dict", "List", "string", "scalar", "os.system"])
@pytest.mark.parametrize("skip", ["true", "false"])
def test_what_orbax_is_told_is_no_array_is_not_taken_for_one(kind: str, skip: str, tmp_path: Path) -> None:
    save_step(tmp_path, 3, {"a": np.ones((2, 3), "float32")}, {})
    metadata = tmp_path / "3" / ARRAYS / "_METADATA"
    said = metadata.read_text().replace('"skip_deserialize": false', f'"skip_deserialize": {skip}')
    metadata.write_text(said.replace('"np.ndarray"', f'"{kind}"'))
    try:
        found = load_arrays(metadata.parent, {"a": jax.ShapeDtypeStruct((2, 3), np.dtype("float32"))})
    except Exception:
        assert skip == "true" or kind not in ("np.ndarray", "jax.Array")
    else:
        assert found["a"].tolist() == [[1, 1, 1], [1, 1, 1]]


def test_an_array_that_orbax_does_not_know_of_is_missed(tmp_path: Path) -> None:
    """It leaves the spec in the place of the array."""
    save_step(tmp_path, 3, {"a": np.ones(2), "b": {"c": np.ones(2)}}, {})
    metadata = tmp_path / "3" / ARRAYS / "_METADATA"
    said = json.loads(metadata.read_text())
    for entry in said["tree_metadata"].values():
        entry["key_metadata"] = [key for key in entry["key_metadata"] if key["key"] == "a"]
    metadata.write_text(json.dumps(said))
    spec = jax.ShapeDtypeStruct((2,), np.dtype("float64"))
    with pytest.raises(ValueError, match=r"stored as object\[\], not as float64\[2\]"):
        load_arrays(metadata.parent, {"a": spec, "b": {"c": spec}})
