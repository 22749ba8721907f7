"""Directories of arrays: whole or not there, every damaged file found, nothing of others written over."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgraph.errors import LoadError, SaveError
from jgraph.storage import checkpoint
from jgraph.storage.arrays import ARRAYS
from jgraph.storage.checkpoint import RECORD, read_arrays, read_record, write
from jgraph.storage.leaves import json_digest


def tree() -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {
        "params": {"dense": {"kernel": jnp.asarray(random.normal(size=(3, 2)), "float32"), "bias": jnp.zeros(2)}},
        "state": {
            "count": jnp.arange(4),
            "half": jnp.asarray([1.5, np.nan, -np.inf], "bfloat16"),
            "on": jnp.array(True),
        },
    }


def specs(of: Any) -> Any:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), of)


def read(path: Path, expected: Any = None) -> Any:
    content = read_record(path)
    return read_arrays(path, specs(tree()) if expected is None else expected, content["leaves"]), content["record"]


def assert_same(a: Any, b: Any) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert (x.dtype, x.shape, np.asarray(x).tobytes()) == (y.dtype, y.shape, np.asarray(y).tobytes())


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "whole"
    write(path, tree(), {"words": "grüße", "number": 0.1})
    return path


def test_what_goes_in_comes_out(saved: Path) -> None:
    arrays, record = read(saved)
    assert_same(arrays, tree())
    assert record == {"words": "grüße", "number": 0.1}
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(arrays))


def test_numbers_of_the_host_are_kept_as_jax_keeps_them(tmp_path: Path) -> None:
    given = {"wide": np.arange(3.0), "long": np.arange(3), "one": np.float32(2.0)}
    write(tmp_path / "a", given, {})
    arrays = read(tmp_path / "a", specs(given))[0]
    assert_same(arrays, jax.tree.map(jnp.asarray, given))


def test_a_tree_without_arrays(tmp_path: Path) -> None:
    write(tmp_path / "a", {"params": {}, "state": {}}, {"empty": True})
    assert read(tmp_path / "a", {"params": {}, "state": {}}) == ({"params": {}, "state": {}}, {"empty": True})
    assert [p.name for p in (tmp_path / "a").iterdir()] == [RECORD]


def flipped(path: Path, share: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(share * (len(content) - 1))] ^= 4
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "deleted": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "halved": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    **{f"flipped at {share}": lambda path, share=share: flipped(path, share) for share in (0.0, 0.3, 0.5, 0.8, 1.0)},
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_of_any_file_is_found(saved: Path, tmp_path: Path, damage: str) -> None:
    names = [path.relative_to(saved) for path in saved.rglob("*") if path.is_file()]
    assert len(names) > 5
    for number, name in enumerate(names):
        copy = tmp_path / str(number)
        shutil.copytree(saved, copy)
        DAMAGES[damage](copy / name)
        with pytest.raises(LoadError) as caught:
            read(copy)
        assert str(copy) in str(caught.value)
        assert re.search("damaged|Give a path", caught.value.cure)
        assert name.as_posix() in str(caught.value) or name.name == RECORD


def test_any_flipped_bit_of_the_record_is_found(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "copy")
    path = tmp_path / "copy" / RECORD
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        with pytest.raises(LoadError):
            read(path.parent)


def test_hashes_in_place_of_checksums_are_compared_too(saved: Path, tmp_path: Path) -> None:
    """What was saved before there were checksums."""
    shutil.copytree(saved, tmp_path / "old")
    file = tmp_path / "old" / RECORD
    said = json.loads(file.read_text())
    files = said["content"]["files"]
    said["content"]["files"] = {n: hashlib.sha256((saved / n).read_bytes()).hexdigest() for n in files}
    file.write_text(json.dumps({**said, "sha256": json_digest(said["content"])}))
    assert_same(read(tmp_path / "old")[0], tree())
    flipped(tmp_path / "old" / "arrays" / "manifest.ocdbt", 0.5)
    with pytest.raises(LoadError, match=r"arrays/manifest\.ocdbt"):
        read(tmp_path / "old")


def test_a_file_too_many_is_found(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "copy")
    (tmp_path / "copy" / ARRAYS / "extra").write_text("")
    with pytest.raises(LoadError, match="arrays/extra"):
        read(tmp_path / "copy")


def test_arrays_of_another_save_are_found(saved: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", jax.tree.map(lambda x: x * 0, tree()), {})
    shutil.copytree(saved, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / ARRAYS)
    shutil.copytree(tmp_path / "other" / ARRAYS, tmp_path / "copy" / ARRAYS)
    with pytest.raises(LoadError, match="the bytes that were saved"):
        read(tmp_path / "copy")


def test_leaves_are_compared_with_what_orbax_gives(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {**tree(), "params": {"dense": {"kernel": jnp.zeros((3, 2)), "bias": jnp.zeros(2)}}}
    monkeypatch.setattr(checkpoint, "_load_arrays", lambda *_: other)
    with pytest.raises(LoadError, match="others in 'params/dense/kernel'"):
        read(saved)


def test_leaves_that_differ_are_named_one_by_one(saved: Path) -> None:
    expected = specs(tree())
    expected["params"]["dense"]["kernel"] = jax.ShapeDtypeStruct((4, 2), "float32")
    expected["state"]["more"] = expected["state"].pop("on")
    with pytest.raises(LoadError) as caught:
        read(saved, expected)
    assert caught.value.expected == "params/dense/kernel: [4, 2]; state/on: no leaf; state/more: []"
    assert caught.value.got == "params/dense/kernel: [3, 2]; state/on: []; state/more: no leaf"


@pytest.mark.parametrize(("field", "value"), [("version", 2), ("version", "1"), ("version", None), ("format", "else")])
def test_another_version_is_refused(saved: Path, tmp_path: Path, field: str, value: Any) -> None:
    shutil.copytree(saved, tmp_path / "copy")
    record = tmp_path / "copy" / RECORD
    record.write_text(json.dumps({**json.loads(record.read_text()), field: value}))
    with pytest.raises(LoadError, match=r"of version 1, got .*Load it with the jgraph that saved it"):
        read(tmp_path / "copy")


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "null", "{", '{"format": "jgraph directory", "version": 1}', "[" * 100_000]
)
def test_other_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(LoadError):
        read_record(tmp_path)


def test_places_where_nothing_was_saved(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder" / RECORD).mkdir(parents=True)
    for name in ("nowhere", "file", "folder", "."):
        with pytest.raises(LoadError, match=r"a directory with the file jgraph.json.*Give a path that jg.save wrote"):
            read_record(tmp_path / name)


def test_what_others_wrote_is_not_written_over(tmp_path: Path) -> None:
    foreign = {"file": tmp_path / "file", "folder": tmp_path / "folder", "notes": tmp_path / "saved"}
    foreign["file"].write_text("mine")
    (foreign["folder"] / "deep").mkdir(parents=True)
    write(foreign["notes"], tree(), {})
    (foreign["notes"] / "notes.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for name, path in foreign.items():
        with pytest.raises(SaveError, match=rf"{name}.*Choose another path"):
            write(path, tree(), {})
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_directory_and_an_older_save_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "place"
    path.mkdir(parents=True)
    for number in range(3):
        write(path, {"a": jnp.full(2, number)}, {"number": number})
        arrays, record = read(path, {"a": jax.ShapeDtypeStruct((2,), jnp.int32)})
        assert (arrays["a"].tolist(), record["number"]) == ([number] * 2, number)
    assert [p.name for p in path.parent.iterdir()] == ["place"]


@pytest.mark.parametrize("moment", ["save_tree", "_swap", "describe"])
def test_a_failed_save_leaves_the_older_one_whole(saved: Path, tmp_path: Path, moment: str, monkeypatch: Any) -> None:
    path = tmp_path / "place"
    shutil.copytree(saved, path)

    def fail(*args: Any) -> None:
        raise OSError(28, "No space left on device", str(args[0]))

    monkeypatch.setattr(checkpoint, moment, fail)
    with pytest.raises(OSError, match="No space left"):
        write(path, {"a": jnp.zeros(2)}, {})
    monkeypatch.undo()
    assert_same(read(path)[0], tree())
    assert [p.name for p in tmp_path.iterdir()] == ["place"]


def test_a_renaming_that_fails_puts_the_older_one_back(saved: Path, tmp_path: Path, monkeypatch: Any) -> None:
    path, rename = tmp_path / "place", Path.rename
    shutil.copytree(saved, path)

    def fail(self: Path, target: Any) -> Any:
        if self.name.endswith(".tmp"):
            raise PermissionError(13, "Permission denied", str(target))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(PermissionError):
        write(path, {"a": jnp.zeros(2)}, {})
    assert_same(read(path)[0], tree())
    assert [p.name for p in tmp_path.iterdir()] == ["place"]


def test_half_written_drafts_are_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def look(path: Path, arrays: Any) -> None:
        seen.append(sorted(p.name for p in tmp_path.iterdir()))
        path.mkdir()

    monkeypatch.setattr(checkpoint, "save_tree", look)
    write(tmp_path / "place", {"a": jnp.zeros(2)}, {})
    assert all(name.startswith(".place.") and name.endswith(".tmp") for name in seen[0])
    assert len(seen[0]) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["place"]
