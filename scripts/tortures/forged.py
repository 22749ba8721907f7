"""Forgeries of saved models and steps: files that say what nobody should believe, under hashes that are right again."""

import contextlib
import json
import os
import random
import shutil
import socket
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorstore

from jgraph.storage.arrays import ARRAYS, FILES, checksums, files_in
from jgraph.storage.checkpoint import RECORD
from jgraph.storage.leaves import json_digest
from scripts.tortures.specimen import record_of, rewrite

NAMES = (
    *("os.system", "builtins.eval", "builtins.exec", "__import__", "subprocess.run", "pickle.loads", "jgraph.load"),
    *("jax.numpy.save", "jax.numpy.load", "jax.numpy.frompyfunc", "jax.numpy.__loader__", "jax.numpy.linalg"),
    *("jgraph.layers.__builtins__", "jgraph.ops.activations.Function", "jgraph.ops.activations.nearest"),
    *("__builtins__", "__class__", "Layer", "Foreign", "Model", "given", "os", "custom:system", "custom:eval"),
    *("../../../../etc/passwd", "/etc/passwd", "..", "/dev/zero", "\x00", "", "x" * 100_000, "initializers.os"),
    *("object", "O", "i4,i4", "S1000000000", "M8[s]", "float128", "void", "float64", "bfloat16", "batch", "a^99999"),
)
NUMBERS = (-1, 0, 1, 2**31, 2**60, 2**63, 10**30, 1e308, float("inf"), float("nan"), -0.5, True)
WORD = "jax.numpy.abs"
STREAM = b"\xff\xfe\x00"


def values(chance: random.Random) -> Any:
    """Something that does not belong where it stands."""
    name = chance.choice(NAMES)
    deep: Any = 0
    for _ in range(chance.choice((50, 300, 800))):
        deep = [deep]
    tagged = (
        *({"$function": name}, {"$dtype": name}, {"$named": name, "items": [0]}, {"$object": name, "fields": {}}),
        {"$partial": {"$function": name}, "args": ["echo forged"], "keywords": {"$dict": []}},
        {"$array": [0], "dtype": name, "shape": [1]},
        {"$array": [], "dtype": "float32", "shape": [2**60, 0]},
        {"$array": [1.0], "dtype": "float32", "shape": [2**60]},
        *({"$layer": -1}, {"$layer": 10**9}, {"$ref": [-1, 0]}, {"$ref": [0, 2**60]}, {"$slice": [0, 2**60, 1]}),
        *({"$complex": ["a", "b"]}, {"$float": "nan"}, {"$float": name}, {"$dict": [[{"$dict": []}, 1]]}, {"$what": 1}),
    )
    return chance.choice((name, chance.choice(NUMBERS), chance.choice(tagged), chance.choice((None, [], {}, deep))))


def replaced(tree: Any, chance: random.Random) -> None:
    """Changes one thing somewhere in a value of JSON: another value, key or nothing in its place, or something more."""
    inner = chance.choice([value for value in _containers(tree) if value] or [tree])
    if isinstance(inner, list):
        place = chance.randrange(len(inner))
        change = chance.choice(("value", "gone", "more"))
        if change == "gone":
            del inner[place]
        elif change == "more":
            inner.insert(place, values(chance))
        else:
            inner[place] = values(chance)
        return
    key = chance.choice([*inner])
    change = chance.choice(("value", "value", "value", "gone", "more", "key"))
    if change == "more":
        inner[chance.choice((*NAMES, "unknown"))] = values(chance)
    elif change == "value":
        inner[key] = values(chance)
    else:
        old = inner.pop(key)
        inner.update({chance.choice((*NAMES, key.upper())): old} if change == "key" else {})


def _containers(tree: Any) -> list[Any]:
    """All objects and lists in a value of JSON."""
    found = [tree]
    for value in found:
        below = value.values() if isinstance(value, dict) else value
        found += [item for item in below if isinstance(item, dict | list)]
    return found


def model(place: Path, chance: random.Random) -> None:
    """The model's JSON says something else."""

    def change(said: dict[str, Any]) -> None:
        inner = said["content"]["record"]
        content = json.loads(inner["model"])
        for _ in range(chance.choice((1, 1, 1, 3))):
            replaced(content, chance)
        inner["model"] = json.dumps(content)

    rewrite(place, change)


def record(place: Path, chance: random.Random) -> None:
    """What stands beside the model does: leaves, hashes of files, history, position, memories."""

    def change(said: dict[str, Any]) -> None:
        parts = [said, said["content"], *(part for part in said["content"].values() if isinstance(part, dict))]
        replaced(chance.choice(parts), chance)

    rewrite(place, change)


def text(place: Path, chance: random.Random) -> None:
    """The text of the record is no JSON, or JSON that says two things, or too long, or too deep."""
    file = record_of(place)
    whole = file.read_text(encoding="utf-8")
    said = json.loads(whole)
    inner = said["content"]["record"]
    twice = inner["model"].replace('"class": "Dense"', '"class": "Dense", "class": "Dense"', 1)
    deep = inner["model"].replace('"activation": null', f'"activation": {"[" * 100_000}{"]" * 100_000}', 1)
    long = inner["model"].replace('"rate": 0.3', f'"rate": {"9" * 100_000}', 1)
    changed = chance.choice((twice, deep, long, "", "[]", "null"))
    again = {**said["content"], "record": {**inner, "model": changed}}
    forged = json.dumps({**said, "sha256": json_digest(again), "content": again})
    ways: tuple[Callable[[], Any], ...] = (
        lambda: file.write_text(forged, encoding="utf-8"),
        lambda: file.write_text(forged, encoding="utf-8"),
        lambda: file.write_text(whole.replace('"version": ', f'"version": {"1" * 100_000}', 1), encoding="utf-8"),
        lambda: file.write_text(whole.replace('"version": ', '"version": 1, "version": ', 1), encoding="utf-8"),
        lambda: file.write_text("[" * 100_000 + "]" * 100_000, encoding="utf-8"),
        lambda: file.write_text('{"content": ' * 100_000, encoding="utf-8"),
        lambda: file.write_bytes(STREAM + whole.encode()),
        lambda: file.write_bytes(b"\xef\xbb\xbf" + whole.encode()),
        lambda: file.write_bytes(whole.encode("utf-16")),
        lambda: os.truncate(file, 2**40),  # a hole, which takes no place on the disk
        lambda: file.write_text("", encoding="utf-8"),
    )
    chance.choice(ways)()


def links(place: Path, chance: random.Random) -> None:
    """A link out of the directory, a pipe, a socket or a device stands where a file or directory was."""
    found = [path for path in (place, *place.rglob("*")) if path != place or path.name.isdigit()]
    file = chance.choice(found)
    outside = place.parent.parent / f"outside-{chance.getrandbits(64):x}"
    (shutil.copytree if file.is_dir() else shutil.copyfile)(file, outside)
    shutil.rmtree(file) if file.is_dir() else file.unlink()
    way = chance.choice(("link", "link", "pipe", "socket", "device", "nowhere"))
    if way == "pipe":
        os.mkfifo(file)
    elif way == "socket" and len(str(file)) < 100:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as made:
            made.bind(str(file))
    else:
        file.symlink_to({"device": "/dev/zero", "nowhere": "/nowhere/at/all"}.get(way, outside))


def paths(place: Path, chance: random.Random) -> None:
    """The list of files names some outside of the directory, or what is no file."""
    name = chance.choice(("../outside", "../../outside", "/etc/hostname", "/dev/zero", "/proc/self/environ", "..", ""))
    value: Any = chance.choice((0, "0" * 64, None, [], {}))
    if (place / FILES).exists():
        said = json.loads((place / FILES).read_text(encoding="utf-8"))
        said[f"{ARRAYS}/../../{name}" if chance.random() < 0.3 else name] = value
        content: Any = chance.choice((said, said, said, [*said], name))
        (place / FILES).write_text(json.dumps(content), encoding="utf-8")
        return

    def change(record: dict[str, Any]) -> None:
        record["content"]["files"][name] = value

    rewrite(place, change)


def arrays(place: Path, chance: random.Random) -> None:
    """An array is stored in another way than the record says: huge, in huge pieces, in another dtype or packing."""
    folder = place / ARRAYS
    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{folder.absolute()}/"}).result()
    keys = sorted(key.decode() for key in store.list().result())
    key = chance.choice([key for key in keys if key.endswith(".zarray")])
    said = json.loads(store.read(key).result().value)
    rank = len(said["shape"])
    ways: tuple[dict[str, Any], ...] = (
        {"shape": [2**60] * rank},
        {"shape": [2**34] * rank, "chunks": [2**34] * rank},
        {"chunks": [2**40] * rank},
        {"chunks": [2**28] * rank},
        {"shape": [*said["shape"], 2**40], "chunks": [*said["chunks"], 1]},
        *({"dtype": name} for name in ("|O", "<f8", "<i4", "|S1000000", "bfloat16", "<M8[s]", "nonsense")),
        {"compressor": {"id": "pickle"}},
        {"compressor": {"id": "blosc", "cname": "zstd", "clevel": 10**9, "shuffle": -5}},
        {"filters": [{"id": "python", "code": "import os"}]},
        {"order": "F"},
        {"fill_value": "os.system"},
        {"zarr_format": 99},
        {"dimension_separator": "/../"},
    )
    if chance.random() < 0.6:
        store.write(key, json.dumps({**said, **chance.choice(ways)})).result()
    else:
        metadata = folder / "_METADATA"
        content = json.loads(metadata.read_text(encoding="utf-8"))
        replaced(content, chance)
        metadata.write_text(json.dumps(content), encoding="utf-8")
    rehash(place)


def bomb(place: Path, chance: random.Random) -> None:
    """A piece of an array unpacks to a thousand times what it is said to be."""
    folder = place / ARRAYS
    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{folder.absolute()}/"}).result()
    pieces = sorted(key.decode() for key in store.list().result() if not key.decode().endswith(".zarray"))
    key = chance.choice(pieces)
    said = json.loads(store.read(f"{key.rpartition('/')[0]}/.zarray").result().value)
    packed = zlib.compress(bytes(2**28), 9)
    store.write(f"{key.rpartition('/')[0]}/.zarray", json.dumps({**said, "compressor": {"id": "zlib", "level": 9}}))
    store.write(key, packed).result()
    rehash(place)


def rehash(place: Path) -> None:
    """Makes the hashes of the files of arrays right."""
    found = checksums(place, files_in(place))
    if (place / RECORD).exists():
        rewrite(place, lambda said: said["content"].update(files=found))
    else:
        (place / FILES).write_text(json.dumps(found), encoding="utf-8")


FORGERIES: tuple[Callable[[Path, random.Random], None], ...] = (model, record, text, links, paths, arrays, bomb)
