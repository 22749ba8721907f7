"""Steps on disk: what comes back is what was saved or a LoadError, and no killed or failed save costs an older step."""

import errno
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import orbax.checkpoint as ocp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jgraph.errors import ArgumentError, LoadError, SaveError, WriteError
from jgraph.storage import steps, verified
from jgraph.storage.steps import (
    best_step,
    best_whole,
    clean,
    newest_whole,
    read_step,
    record_of,
    save_step,
    set_aside,
    steps_in,
    trim,
)

ROOT = Path(__file__).parents[2]
TAUGHT = [
    np.dtype(getattr(ml_dtypes, name)) for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4", "int2")
]
DTYPES = [
    np.dtype(name) for name in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
]


def tree(seed: int = 0) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    return {
        "train_state": {
            "params": {"dense": {"kernel": draw.normal(size=(30, 20)).astype("f4"), "bias": draw.normal(size=3)}},
            "model_state": {},
            "step": np.asarray(seed, "i8"),
        },
        "memories": {"stop": {"wait": np.asarray(True), "best": np.asarray([seed, np.nan, -0.0]).astype(TAUGHT[0])}},
        "none": np.zeros((0, 2), "u4"),
    }


def bits(nested: Any) -> Any:
    if isinstance(nested, dict):
        return {key: bits(below) for key, below in nested.items()}
    assert isinstance(nested, np.ndarray)
    return str(nested.dtype), nested.shape, nested.tobytes()


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps, 30 and 40, between things of others."""
    directory = tmp_path_factory.mktemp("saved")
    for step in (30, 40):
        save_step(directory, step, tree(step), {"epoch": step})
    (directory / "tensorboard").mkdir()
    (directory / "log.csv").write_text("epoch\n")
    return directory


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    shutil.copytree(saved, tmp_path / "copy")
    return tmp_path / "copy"


# What goes in comes out


@pytest.mark.parametrize("dtype", [*DTYPES, *TAUGHT], ids=str)
def test_every_dtype_and_shape_comes_back(dtype: np.dtype, tmp_path: Path) -> None:
    some = np.asarray([0, 1, 1, 0, 1, 1]).astype(dtype)
    given = {
        "six": some,
        "table": some.reshape(2, 3).T,
        "one": np.asarray(some[1]),
        "no": some[:0],
        "nor": some[:0, None],
    }
    save_step(tmp_path, 0, given, {})
    assert bits(read_step(tmp_path, 0)[0]) == bits(given)


KEYS = [
    "a",
    "a.b",
    "b",
    "a/b",
    " ",
    "",
    "%",
    "%2E",
    ".",
    "..",
    "0",
    ".zarray",
    "é",
    "\ud800",
    "\x00",
    "a" * 300,
    "_METADATA",
]


def test_a_number_of_numpy_comes_back_as_an_array(tmp_path: Path) -> None:
    save_step(tmp_path, 0, {"a": np.float16(0.1)}, {})
    assert bits(read_step(tmp_path, 0)[0]) == bits({"a": np.asarray(np.float16(0.1))})


def test_no_key_is_impossible_and_none_is_taken_for_another(tmp_path: Path) -> None:
    leaves = {key: np.asarray(number) for number, key in enumerate(KEYS)}
    nested = {key: {"c": np.asarray(-number), **leaves} for number, key in enumerate(KEYS)}
    for step, odd in enumerate((leaves, nested)):
        save_step(tmp_path, step, odd, {})
        assert bits(read_step(tmp_path, step)[0]) == bits(odd)


@pytest.mark.parametrize("given", [{}, {"a": {}}, {"a": {"b": {}}, "c": np.zeros((0,))}], ids=str)
def test_trees_without_elements(given: Any, tmp_path: Path) -> None:
    save_step(tmp_path, 1, given, {"words": "none"})
    found, record = read_step(tmp_path, 1)
    assert (bits(found), record, steps_in(tmp_path)) == (bits(given), {"words": "none"}, [1])


ARRAYS = st.sampled_from([*DTYPES]).flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0)))
TREES = st.dictionaries(
    st.text(),
    st.recursive(ARRAYS, lambda below: st.dictionaries(st.text(), below, max_size=3), max_leaves=5),
    max_size=3,
)
RECORDS = st.dictionaries(
    st.text(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda below: st.lists(below) | st.dictionaries(st.text(), below),
        max_leaves=8,
    ),
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(TREES, RECORDS)
def test_any_tree_and_record_come_back(given: Any, record: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save_step(folder, 7, given, record)
        found, same = read_step(folder, 7)
    assert bits(found) == bits(given)
    assert json.dumps(same) == json.dumps(record)  # tells 1 from 1.0 and True, and 0.0 from -0.0


def test_numbers_of_a_record_come_back_bit_for_bit(tmp_path: Path) -> None:
    numbers = [0.1, -0.0, 5e-324, 1e308, math.inf, -math.inf, math.nan, 2**70, np.float64(1 / 3)]
    save_step(tmp_path, 1, {}, {"numbers": numbers, "pair": (1, 2)})
    found = record_of(tmp_path, 1)
    assert np.asarray(found["numbers"], "f8").tobytes() == np.asarray(numbers, "f8").tobytes()
    assert found["numbers"][7] == 2**70
    assert found["pair"] == [1, 2]


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "no dict": (np.zeros(2), {}, r"tree, '': expected nested dicts, got ndarray"),
    "a number as key": ({"a": {1: np.zeros(2)}}, {}, r"tree, 'a': expected keys that are texts, got 1"),
    "a list": ({"a": {"b": [1.0]}}, {}, r"tree, 'a/b': expected nested dicts of NumPy arrays, got list"),
    "an array of JAX": ({"a": jnp.zeros(2)}, {}, r"tree, 'a': .*got ArrayImpl.*np.asarray"),
    "texts": ({"a": np.asarray(["b"])}, {}, r"tree, 'a': expected numbers of at most 64 bits.*got <U1"),
    "objects": ({"a": np.asarray([None])}, {}, r"tree, 'a'.*got object"),
    "80 bits": ({"a": np.zeros(2, np.longdouble)}, {}, r"tree, 'a'.*got float128"),
    "another byte order": ({"a": np.zeros(2, ">f4")}, {}, r"tree, 'a'.*byte order of this machine, got >f4"),
    "a number as key of the record": ({}, {"a": [{1: 2}]}, r"record/a/0: expected keys that are texts, got 1"),
    "a set in the record": ({}, {"a": {"b": {1}}}, r"record/a/b: expected texts, numbers.*got set"),
    "a number of NumPy in the record": ({}, {"a": np.float32(1)}, r"record/a: .*got float32"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_not_come_back_is_refused(case: str, tmp_path: Path) -> None:
    given, record, message = REFUSED[case]
    with pytest.raises(SaveError, match=message):
        save_step(tmp_path / "new", 1, given, record)
    assert names(tmp_path) == []


@pytest.mark.parametrize("step", [-1, True, 1.0, "1", None])
def test_a_step_is_a_number(step: Any, tmp_path: Path) -> None:
    for function in (lambda: save_step(tmp_path, step, {}, {}), lambda: read_step(tmp_path, step)):
        with pytest.raises(ArgumentError, match="an integer of at least 0"):
            function()
    counted: Any = np.int64(3)
    save_step(tmp_path, counted, {}, {})
    assert steps_in(tmp_path) == [3]


def test_only_the_branches_that_are_asked_for_are_read(copy: Path) -> None:
    parts = (
        ("train_state", "params", "dense", "bias"),
        ("train_state", "model_state"),
        ("memories", "other"),
        ("none",),
    )
    whole = tree(40)
    expected = {
        "train_state": {
            "params": {"dense": {"bias": whole["train_state"]["params"]["dense"]["bias"]}},
            "model_state": {},
        },
        "memories": {},
        "none": whole["none"],
    }
    assert bits(read_step(copy, 40, parts)[0]) == bits(expected)


# What stands in the directory


def test_steps_are_what_stands_there_and_what_orbax_lists(saved: Path, tmp_path: Path) -> None:
    assert steps_in(saved) == [30, 40]
    with ocp.CheckpointManager(saved) as manager:
        assert sorted(manager.all_steps()) == [30, 40]
    assert steps_in(tmp_path / "nowhere") == []
    (tmp_path / "file").write_text("")
    with pytest.raises(LoadError, match="Not a directory"):
        steps_in(tmp_path / "file")


def test_what_jgraph_did_not_write_is_never_touched(copy: Path) -> None:
    (copy / "2024").mkdir()
    (copy / "2024" / "notes.txt").write_text("mine")
    (copy / "50").write_text("mine")
    (copy / "060").mkdir()
    (copy / "70").symlink_to(copy / "30")
    foreign = ["040.jgraph-replaced.txt", "a.orbax-checkpoint-tmp", "30.jgraph", "x.jgraph-deleted", "40.aside"]
    for name in foreign:
        (copy / name).mkdir()
    (copy / "80.jgraph-deleted").write_text("a file")
    before = names(copy)
    assert steps_in(copy) == [30, 40]
    assert clean(copy) == []
    trim(copy, 0, ())
    assert names(copy) == [name for name in before if name not in ("30", "40")]
    for step in (50, 70, 2024):
        with pytest.raises(SaveError, match=f"{step}: expected a free name.*Choose another directory"):
            save_step(copy, step, {}, {})
    assert (copy / "2024" / "notes.txt").read_text() == "mine"
    assert (copy / "50").read_text() == "mine"


def test_a_step_that_is_not_there_is_told_with_those_that_are(saved: Path, tmp_path: Path) -> None:
    for read in (read_step, record_of):
        with pytest.raises(LoadError, match=r"expected the step 35, got the steps 30, 40\. Name a step that is there"):
            read(saved, 35)
        with pytest.raises(LoadError, match="got no steps"):
            read(tmp_path / "nowhere", 35)


def test_saving_a_step_again_replaces_it(copy: Path) -> None:
    save_step(copy, 40, {"a": np.arange(3)}, {"epoch": 2})
    found, record = read_step(copy, 40)
    assert (found["a"].tolist(), record) == ([0, 1, 2], {"epoch": 2})
    assert names(copy) == ["30", "40", "log.csv", "tensorboard"]


def test_while_a_step_is_replaced_the_old_one_is_whole(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def look(path: Path, *_: Any) -> None:
        seen["names"] = names(path.parent)
        shutil.copytree(path.parent, copy.parent / "killed")
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, "save_items", look)
    with pytest.raises(KeyboardInterrupt):
        save_step(copy, 40, {}, {})
    assert "40.jgraph-replaced" in seen["names"]
    for directory in (copy, copy.parent / "killed"):
        said = clean(directory)
        assert said == ([] if directory == copy else ["brought back step 40, whose replacement was not finished"])
        assert bits(read_step(directory, 40)[0]) == bits(tree(40))


# Damage


def flipped(path: Path, share: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(share * (len(content) - 1))] ^= 1 << int(share * 77) % 8
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "deleted": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "halved": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    **{
        f"flipped at {share}": lambda path, share=share: flipped(path, share)
        for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    },
}


def files_of(place: Path) -> list[Path]:
    return sorted(path.relative_to(place) for path in place.rglob("*") if path.is_file())


def same_or_refused(directory: Path, step: int = 40) -> bool:
    """Whether the step was refused; else it has to be what was saved."""
    try:
        found, record = read_step(directory, step)
    except LoadError as error:
        return error.where == str(directory / str(step))
    assert (bits(found), record) == (bits(tree(step)), {"epoch": step})
    return False


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_of_any_file_is_harmless_or_found(saved: Path, copy: Path, damage: str) -> None:
    files, refused = files_of(copy / "40"), set()
    assert len(files) > 8
    for name in files:
        DAMAGES[damage](copy / "40" / name)
        if same_or_refused(copy):
            refused.add(name)
            step, found, record, said = newest_whole(copy) or (0, {}, {}, [])
            assert (step, bits(found), record) == (30, bits(tree(30)), {"epoch": 30})
            assert len(said) == 1
            assert said[0].startswith(f"step 40 in {copy} is damaged (")
            assert said[0].endswith("so step 30 is used")
        shutil.rmtree(copy / "40")
        shutil.copytree(saved / "40", copy / "40")
    assert Path("jgraph/metadata") in refused
    assert any(name.parent.name == "d" for name in refused) or damage == "grown"


def test_files_of_another_step_are_harmless_or_found(saved: Path, copy: Path) -> None:
    tried = refused = 0
    for name in files_of(copy / "40"):
        for other in (path for path in files_of(copy / "30") if path.parent == name.parent):
            shutil.copyfile(copy / "30" / other, copy / "40" / name)
            refused += same_or_refused(copy)
            tried += 1
            shutil.copyfile(saved / "40" / name, copy / "40" / name)
    assert not same_or_refused(copy)
    assert refused >= 5
    assert tried > 10


@pytest.mark.parametrize("item", ["arrays", "jgraph", "arrays/d", "arrays/ocdbt.process_0", "."])
def test_whole_directories_of_another_step_are_found(copy: Path, item: str) -> None:
    shutil.rmtree(copy / "40" / item if item != "." else copy / "40")
    shutil.copytree(copy / "30" / item, copy / "40" / item)
    with pytest.raises(LoadError, match="expected what was saved"):
        read_step(copy, 40)


def test_leaves_that_are_whole_are_read_past_damage_of_others(copy: Path) -> None:
    draw = np.random.default_rng(0)
    given = {"used": {"big": draw.normal(size=(600, 600))}, "other": draw.normal(size=(600, 600))}
    save_step(copy, 50, given, {})
    files = [path for path in (copy / "50").rglob("*") if path.is_file()]
    flipped(max(files, key=lambda path: path.stat().st_size), 0.3)
    damaged = set()
    for part in given:
        try:
            found = read_step(copy, 50, [(part,)])[0]
        except LoadError:
            damaged.add(part)
        else:
            assert bits(found) == bits({part: given[part]})
    assert len(damaged) == 1
    with pytest.raises(LoadError, match=rf"others in the leaf '{damaged.pop()}"):
        read_step(copy, 50)


def changed(found: Any, way: str) -> Any:
    kernel = found["train_state"]["params"]["dense"]["kernel"]
    other = {"dtype": kernel.view("i4"), "shape": kernel.T, "bit": np.nextafter(kernel, np.float32(9))}[way]
    found["train_state"]["params"]["dense"]["kernel"] = other
    return found


@pytest.mark.parametrize("way", ["dtype", "shape", "bit"])
def test_a_leaf_that_orbax_reads_wrongly_is_named(way: str, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = verified.load_arrays
    monkeypatch.setattr(verified, "load_arrays", lambda *args: changed(load(*args), way))
    with pytest.raises(LoadError, match=r"40: expected .*, got others in the leaf 'train_state/params/dense/kernel'"):
        read_step(saved, 40)


def test_leaves_that_orbax_cannot_read_are_named(copy: Path) -> None:
    big = np.random.default_rng(0).normal(size=(600, 600))
    save_step(copy, 50, {"small": np.zeros(2), "deep": {"big": big}}, {})
    path = max((path for path in (copy / "50").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(LoadError, match=r"50: expected what was saved, got what Orbax cannot read .*leaf 'deep/big'"):
        read_step(copy, 50)
    assert bits(read_step(copy, 50, [("small",)])[0]) == bits({"small": np.zeros(2)})


@pytest.mark.parametrize(("field", "value"), [("version", 2), ("version", None), ("format", "else")])
def test_another_format_is_refused(copy: Path, field: str, value: Any) -> None:
    path = copy / "40" / "jgraph" / "metadata"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(LoadError, match=rf"of version 1, got .*{value!r}"):
        read_step(copy, 40)


def test_a_newer_version_is_refused_and_not_passed_over(copy: Path) -> None:
    path = copy / "40" / "jgraph" / "metadata"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 2}))
    for read in (lambda: read_step(copy, 40), lambda: newest_whole(copy)):
        with pytest.raises(LoadError, match=r"version 2.*Load it with the jgraph that saved it"):
            read()


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "{}", "[" * 100_000])
def test_other_json_is_refused(copy: Path, text: str) -> None:
    (copy / "40" / "jgraph" / "metadata").write_text(text)
    for read in (read_step, record_of):
        with pytest.raises(LoadError, match="copy/40"):
            read(copy, 40)


def test_the_newest_whole_step(copy: Path, tmp_path: Path) -> None:
    assert newest_whole(tmp_path / "nowhere") is None
    assert newest_whole(tmp_path) is None
    step, found, record, said = newest_whole(copy) or (0, {}, {}, [""])
    assert (step, bits(found), record, said) == (40, bits(tree(40)), {"epoch": 40}, [])
    for step in (30, 40):
        shutil.rmtree(copy / str(step) / "arrays")
    with pytest.raises(LoadError, match=r"a step that is whole, got step 40: .*; step 30: .*"):
        newest_whole(copy)


def test_steps_are_set_aside_and_count_no_more(copy: Path) -> None:
    assert set_aside(copy, 40) == copy / "40.aside"
    save_step(copy, 40, {}, {"epoch": 0})
    assert set_aside(copy, 40) == copy / "40.aside-1"
    assert steps_in(copy) == [30]
    assert clean(copy) == []
    assert names(copy) == ["30", "40.aside", "40.aside-1", "log.csv", "tensorboard"]
    with pytest.raises(WriteError, match="No such file"):
        set_aside(copy, 40)


# Which to keep, and which is best


@pytest.mark.parametrize(
    ("max_to_keep", "protect", "left"),
    [
        (None, (), [1, 2, 3, 4, 5]),
        (3, (), [3, 4, 5]),
        (3, (1,), [1, 4, 5]),
        (3, {1, 5}, [1, 4, 5]),
        (2, (1, 2, 3), [1, 2, 3]),
        (1, (2, 9), [2]),
        (0, (), []),
        (9, (), [1, 2, 3, 4, 5]),
    ],
)
def test_as_many_steps_are_kept_as_asked(
    max_to_keep: int | None, protect: Any, left: list[int], tmp_path: Path
) -> None:
    for step in range(1, 6):
        (tmp_path / str(step) / "jgraph").mkdir(parents=True)
    trim(tmp_path, max_to_keep, protect)
    assert names(tmp_path) == [str(step) for step in left]


def score(value: float, mode: str = "min", monitor: str = "val_loss") -> dict[str, Any]:
    return {"score": {"monitor": monitor, "mode": mode, "value": value}}


@pytest.mark.parametrize(
    ("records", "best"),
    [
        ([score(3.0), score(1.0), score(2.0)], 1),
        ([score(3.0, "max"), score(1.0, "max"), score(3.0, "max")], 0),
        ([score(1.0), score(1.0)], 0),
        ([score(math.nan), score(5.0), {"score": None}, {}], 1),
        ([score(math.inf), score(math.nan)], 0),
        ([score(9.0, "max", "accuracy"), score(2.0), score(3.0)], 1),
    ],
)
def test_the_best_step(records: list[dict[str, Any]], best: int, tmp_path: Path) -> None:
    for step, record in enumerate(records):
        save_step(tmp_path, step, {"a": np.asarray(step)}, record)
    assert best_step(tmp_path) == best
    assert best_whole(tmp_path) == (best, {"a": best}, records[best])


def test_a_damaged_step_is_not_the_best(tmp_path: Path) -> None:
    for step in range(3):
        save_step(tmp_path, step, {"a": np.asarray(step)}, score(step))
    shutil.rmtree(tmp_path / "0" / "arrays")
    (tmp_path / "1" / "jgraph" / "metadata").write_text("")
    assert best_step(tmp_path) == 2


def test_no_step_has_a_score(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="a whole step with a score, got no steps"):
        best_step(tmp_path)
    save_step(tmp_path, 1, {}, score(math.nan))
    save_step(tmp_path, 2, {}, {})
    with pytest.raises(LoadError, match=r'got the steps 1, 2\. Give Checkpoint a monitor, or load step="latest"'):
        best_step(tmp_path)


# Left-overs, and places that cannot be written


def test_left_overs_are_taken_away_and_told(copy: Path) -> None:
    for name in ("50.orbax-checkpoint-tmp", "50.orbax-checkpoint-tmp-17", "20.jgraph-deleted", "20.jgraph-deleted-2"):
        (copy / name / "arrays").mkdir(parents=True)
    shutil.copytree(copy / "40", copy / "40.jgraph-replaced")
    (copy / "30").rename(copy / "30.jgraph-replaced")
    assert clean(copy) == [
        "removed 20.jgraph-deleted, which was not finished",
        "removed 20.jgraph-deleted-2, which was not finished",
        "brought back step 30, whose replacement was not finished",
        "removed 40.jgraph-replaced, which step 40 has replaced",
        "removed 50.orbax-checkpoint-tmp, which was not finished",
        "removed 50.orbax-checkpoint-tmp-17, which was not finished",
    ]
    assert names(copy) == ["30", "40", "log.csv", "tensorboard"]
    assert clean(copy) == []
    assert clean(copy / "nowhere") == []


def test_a_save_after_a_killed_one_needs_no_cleaning(copy: Path) -> None:
    (copy / "40").rename(copy / "40.jgraph-replaced")
    (copy / "40.orbax-checkpoint-tmp" / "arrays").mkdir(parents=True)
    save_step(copy, 40, {}, {})
    assert names(copy) == ["30", "40", "log.csv", "tensorboard"]


@pytest.mark.parametrize("step", [40, 50])
def test_a_failed_save_is_told_with_the_free_bytes_and_leaves_the_steps(
    step: int, copy: Path, monkeypatch: Any
) -> None:
    def fail(path: Path, *_: Any) -> None:
        (path.parent / f"{path.name}.orbax-checkpoint-tmp" / "arrays").mkdir(parents=True)
        raise ValueError('RESOURCE_EXHAUSTED: Error writing "w/0" in OCDBT database')

    monkeypatch.setattr(steps, "save_items", fail)
    with pytest.raises(WriteError, match=r"copy: .*RESOURCE_EXHAUSTED.* bytes free on its disk\. Free some space"):
        save_step(copy, step, tree(), {})
    assert names(copy) == ["30", "40", "log.csv", "tensorboard"]
    assert bits(read_step(copy, 40)[0]) == bits(tree(40))


@pytest.mark.parametrize("name", ["file", "file/deep", "/proc/jgraph/steps"])
def test_a_place_that_cannot_be_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=f"{name}: expected a place that can be written, got .*bytes free"):
        save_step(tmp_path / name, 1, tree(), {})
    assert names(tmp_path) == ["file"]


SMALL_DISK = """
import os, resource, sys
import numpy as np
from jgraph.errors import WriteError
from jgraph.storage.steps import newest_whole, read_step, save_step, steps_in, trim
folder, kind = sys.argv[1:]
if kind == "disk":
    os.system(f"mount -t tmpfs -o size=3m none {folder}")
def tree(step): return {"w": np.random.default_rng(step).normal(size=100_000)}
save_step(folder, 1, tree(1), {})
def refused(step, size):
    try: save_step(folder, step, {"w": np.random.default_rng(0).normal(size=size)}, {})
    except WriteError as error: print(error)
    else: print("no error")
if kind == "disk":
    for step in (1, 2): refused(step, 1_000_000)
    os.system(f"mount -o remount,ro {folder}")
    for step in (1, 2): refused(step, 10)
    try: trim(folder, 0, ())
    except WriteError as error: print(error)
    os.system(f"mount -o remount,rw {folder}")
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, -1))
    for step in (1, 2): refused(step, 1_000_000)
assert os.listdir(folder) == ["1"], os.listdir(folder)
assert (read_step(folder, 1)[0]["w"] == tree(1)["w"]).all()
save_step(folder, 2, tree(2), {})
assert (newest_whole(folder)[1]["w"] == tree(2)["w"]).all()
"""


def run(script: str, *args: Any, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-c", script, *map(str, args)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


@pytest.mark.slow
def test_a_full_disk_and_a_read_only_one(tmp_path: Path) -> None:
    private = ("unshare", "--mount", "--map-root-user")
    if shutil.which("unshare") is None or subprocess.run([*private, "true"], check=False).returncode:
        pytest.skip("no file system may be mounted here")
    done = run(SMALL_DISK, tmp_path, "disk", before=private)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    for line in lines[:2]:
        assert line.startswith(f"{tmp_path}: expected a place that can be written, got ")
        assert line.endswith("bytes free on its disk. Free some space, or write elsewhere.")
    for line in lines[2:]:
        assert "Read-only file system" in line


@pytest.mark.slow
def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    done = run(SMALL_DISK, tmp_path, "file size")
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [str(tmp_path)] * 2


# Kills

KILLED = """
import os, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
import orbax.checkpoint
from jgraph.storage.steps import clean, newest_whole, save_step, trim
folder = sys.argv[1]

def tree(step):
    return {"w": np.random.default_rng(step).normal(size=40_000), "step": np.asarray(step)}

def work():
    clean(folder)
    found = newest_whole(folder)
    step = found[0] if found else 0
    while True:
        step += 1
        for attempt in range(2):
            save_step(folder, step, tree(step), {"step": step})
            print(step, flush=True)
        trim(folder, 2, ())

print("imported", flush=True)
for line in sys.stdin:
    if (pid := os.fork()) == 0:
        work()
    print("pid", pid, flush=True)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has imported everything, and forks one that saves whenever it is written to."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "imported\n"
        yield process


def kill_once(nursery: subprocess.Popen[str], delay: float) -> int:
    """Starts a process, kills it a while after its first save, and gives the last step that it said it had saved."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    print(file=nursery.stdin, flush=True)
    words = nursery.stdout.readline().split()
    assert words[0] == "pid"
    last = int(nursery.stdout.readline())
    time.sleep(delay)
    os.kill(int(words[1]), signal.SIGKILL)
    for line in nursery.stdout:
        if line.startswith("ended"):
            assert line == f"ended {-signal.SIGKILL}\n"
            break
        last = int(line)
    return last


@pytest.mark.slow
def test_killed_saves_replacements_and_deletions_cost_nothing(nursery: Any, tmp_path: Path) -> None:
    draw, last, left = random.Random(0), 0, 0
    for _ in range(15):
        last = max(last, kill_once(nursery, draw.uniform(0.0, 0.25)))
        left += any(not name.isdecimal() for name in names(tmp_path))
        clean(tmp_path)
        trim(tmp_path, 2, ())
        step, found, record, said = newest_whole(tmp_path) or (0, {}, {}, [])
        assert step in (last, last + 1)
        assert (record, found["step"], said) == ({"step": step}, step, [])
        assert (found["w"] == np.random.default_rng(step).normal(size=40_000)).all()
        assert all(name.isdecimal() for name in names(tmp_path))
        assert len(names(tmp_path)) == min(2, step)
        for older in steps_in(tmp_path):
            assert read_step(tmp_path, older)[1] == {"step": older}
    assert left >= 5


def test_a_save_that_fails_leaves_no_thread_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orbax makes the directories of items in threads, and others wait for them, for 20 minutes where they fail."""
    made = Path.mkdir

    def refused(path: Path, *given: Any, **options: Any) -> None:
        if ".orbax-checkpoint-tmp" in path.parent.name:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        made(path, *given, **options)

    def make(path: str, *given: Any, **options: Any) -> None:
        refused(Path(path), *given[:1], **options)

    before = threading.active_count()
    monkeypatch.setattr(os, "makedirs", make)
    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(WriteError, match="Read-only file system"):
        save_step(tmp_path, 1, {"a": np.zeros(3)}, {})
    assert threading.active_count() == before
    assert names(tmp_path) == []
