"""Damages files of checkpoints and saved models: nothing damaged is taken, and what is wrong is named.

    python -m scripts.tortures.corrupted --count 200 --seed 0

The faults are spread evenly over all files: flipped bits, cuts, deletions, swaps with files of the same step, of
another step and of another model, appended bytes, emptied directories, a step under another number. After each, what
is loaded is the same bits or is refused, with the leaf or the file by name; a run goes on from the newest whole step,
ends with the same bits as the run that nobody disturbed, says which step it passed over, and keeps it aside.

Then versions that are not known yet, and leaves of another shape or dtype, missing or one too many.
"""

import dataclasses
import hashlib
import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import jgraph as jg
from jgraph.errors import LoadError, ResumeError
from jgraph.storage.arrays import ARRAYS, FILES, TOLD
from jgraph.storage.checkpoint import RECORD
from scripts.tortures import command
from scripts.tortures.figure import Figure
from scripts.tortures.specimen import (
    OTHER,
    RUN,
    SAVED,
    Specimen,
    bits,
    draw,
    make,
    outcome,
    record_of,
    rewrite,
    trainer,
)

LEAF = "in the leaf '"
Fault = Callable[[Path, Specimen, random.Random], Any]
"""Damages a file of a copy; other files are those of the specimen."""


def flipped(file: Path, whole: Specimen, chance: random.Random) -> None:
    """One bit is another."""
    del whole
    content = bytearray(file.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def cut(file: Path, whole: Specimen, chance: random.Random) -> None:
    """It ends early: at once, in the middle, or a byte before its end."""
    del whole
    content = file.read_bytes()
    file.write_bytes(content[: chance.choice((0, len(content) // 2, len(content) - 1))])


def deleted(file: Path, whole: Specimen, chance: random.Random) -> None:
    """It is gone."""
    del whole, chance
    file.unlink()


def grown(file: Path, whole: Specimen, chance: random.Random) -> None:
    """It has a byte more."""
    del whole
    file.write_bytes(file.read_bytes() + bytes([chance.randrange(256)]))


def swapped_within(file: Path, whole: Specimen, chance: random.Random) -> None:
    """It and another file of the same step or model have changed places."""
    del whole
    place = next(folder for folder in file.parents if record_of(folder).exists())
    other = chance.choice([path for path in files_of(place) if path.read_bytes() != file.read_bytes()])
    content = file.read_bytes()
    file.write_bytes(other.read_bytes())
    other.write_bytes(content)


def swapped_across(file: Path, whole: Specimen, chance: random.Random) -> None:
    """The file of its kind of another step, or of another model of the same shapes, stands in its place."""
    place = next(folder for folder in file.parents if record_of(folder).exists())
    if place.name == SAVED:
        others = whole.folder / OTHER
    else:
        step = chance.choice([step for step in whole.steps if step != int(place.name)])
        others = whole.folder / RUN / str(step)
    kind = file.relative_to(place).parent
    shutil.copyfile(chance.choice([p for p in files_of(others) if p.relative_to(others).parent == kind]), file)


def emptied(file: Path, whole: Specimen, chance: random.Random) -> None:
    """Its directory is empty."""
    del whole, chance
    folder = file.parent
    shutil.rmtree(folder)
    folder.mkdir()


FAULTS: tuple[Fault, ...] = (flipped, cut, deleted, grown, swapped_within, swapped_across, emptied)


def files_of(place: Path) -> list[Path]:
    """The files below a directory, in order."""
    return sorted(path for path in place.rglob("*") if path.is_file())


def torture(count: int, seed: int, folder: Path) -> list[Figure]:
    """So many faults in turn, each on a fresh copy; then versions and leaves that differ."""
    whole, chance = make(folder / "whole"), random.Random(seed)
    places = [whole.folder / SAVED, *(whole.folder / RUN / str(step) for step in whole.steps[1:])]
    files = [(place, file.relative_to(place)) for place in places for file in files_of(place)]
    chance.shuffle(files)
    found: dict[str, list[str]] = {fault.__name__: [] for fault in FAULTS}
    for number in range(count):
        fault = FAULTS[(number + number // len(files)) % len(FAULTS)]
        place, name = files[number % len(files)]
        wrong = _harm(whole, place, name, fault, chance, folder / "copy")
        found[fault.__name__].append(f"{place.name}/{name}: {wrong}" if wrong else "")
    told = [_figure(f"{name}: the same or refused by name", said) for name, said in found.items() if said]
    return [*told, _renumbered(whole, folder / "copy"), _versions(whole, folder / "copy"), _leaves(whole, folder)]


def _figure(what: str, said: list[str]) -> Figure:
    return Figure(what, said.count(""), len(said), tuple(text for text in said if text))


def _harm(whole: Specimen, place: Path, name: Path, fault: Fault, chance: random.Random, copy: Path) -> str:
    """Damages one file of a copy: what went wrong then, or nothing."""
    shutil.rmtree(copy, ignore_errors=True)
    if place.name == SAVED:
        shutil.copytree(place, copy / SAVED)
        fault(copy / SAVED / name, whole, chance)
        return _loaded(whole, SAVED, lambda: jg.load(copy / SAVED), name, fault)
    step = int(place.name)
    copied(whole, copy, step)
    fault(copy / str(step) / name, whole, chance)
    return _loaded(whole, step, lambda: jg.load(copy, step=step), name, fault) or resumed(whole, copy, step)


def copied(whole: Specimen, copy: Path, newest: int) -> None:
    """Copies the steps of the run up to one of them."""
    shutil.rmtree(copy, ignore_errors=True)
    for step in whole.steps[: whole.steps.index(newest) + 1]:
        shutil.copytree(whole.folder / RUN / str(step), copy / str(step))


def _loaded(whole: Specimen, which: Any, load: Callable[[], Any], name: Path, fault: Fault) -> str:
    """Whether what is loaded is the same, or the error names what was damaged."""
    try:
        found = bits(load()[1:])
    except LoadError as error:
        own = LEAF if which != SAVED and name.parts[0] == ARRAYS else name.as_posix()
        several = (LEAF, TOLD, FILES, RECORD, f"{ARRAYS}/")  # more than one file differs, and one of them is named
        words = (own, *(several if fault in (swapped_within, swapped_across, emptied) else ()))
        return "" if any(word in str(error) for word in words) else f"not named: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "" if found == whole.loaded[which] else "SILENT: other bits were loaded"


def resumed(whole: Specimen, copy: Path, damaged: int) -> str:
    """Whether a run goes on from the newest whole step to the same end, says so, and keeps what is damaged."""
    before = {path.relative_to(copy / str(damaged)): digest(path) for path in files_of(copy / str(damaged))}
    try:
        jg.load(copy, step=damaged)
        own = whole.steps[: whole.steps.index(damaged) + 1] if damaged in whole.steps else whole.steps
    except LoadError:
        own = [step for step in whole.steps if step < damaged]
    try:
        run = whole.fit(copy)
    except Exception as error:
        return f"resume: {type(error).__name__}: {error}"
    begun = [text for text in run.events if text.startswith("resume: goes on from step")]
    if not begun or not begun[0].startswith(f"resume: goes on from step {own[-1]} "):
        return f"resume: goes on elsewhere than from step {own[-1]}: {begun}"
    if outcome(run) != whole.ended:
        return "resume: SILENT: the run ended with other bits"
    if own[-1] == damaged:
        return ""
    if not any(f"step {damaged} " in text and "is damaged (" in text for text in run.events):
        return f"resume: step {damaged} was passed over and nothing said"
    kept = copy / f"{damaged}.aside"
    after = {path.relative_to(kept): digest(path) for path in files_of(kept)} if kept.is_dir() else None
    return "" if after == before else f"resume: step {damaged} is not kept as it was"


def digest(path: Path) -> str:
    """The hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _renumbered(whole: Specimen, copy: Path) -> Figure:
    """Each step under a number of its own, higher than all: it is not what it says."""
    said = []
    for step in whole.steps:
        copied(whole, copy, whole.steps[-1])
        shutil.copytree(copy / str(step), copy / "1000")
        said.append(resumed(whole, copy, 1000))
    return _figure("a step under another number: passed over", said)


def _versions(whole: Specimen, copy: Path) -> Figure:
    """A version that is not known yet is refused by its name and the name of the format."""

    def later(record: dict[str, Any]) -> None:
        record["version"] = 99

    def later_model(record: dict[str, Any]) -> None:
        inner = record["content"]["record"]
        inner["model"] = json.dumps({**json.loads(inner["model"]), "version": 99})

    said = []
    step = whole.steps[-1]
    for name, load in ((SAVED, lambda: jg.load(copy / SAVED)), (f"{RUN}/{step}", lambda: _latest(copy))):
        for change, form in ((later, "jgraph directory" if name == SAVED else "jgraph step"), (later_model, "model")):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(whole.folder, copy)
            rewrite(copy / name, change)
            said.append(_refused(load, (form, "version 99"), "Load it with the jgraph that saved it"))
        if name != SAVED:
            rewrite(copy / name, later)
            said.append(_refused(lambda: whole.fit(copy / RUN), ("jgraph step", "version 99"), ""))
    return _figure("a later version: refused by name", said)


def _latest(copy: Path) -> Any:
    return jg.load(copy / RUN, step="latest")


def _refused(act: Callable[[], Any], both: tuple[str, ...], cure: str) -> str:
    """Whether something is refused with these words."""
    try:
        act()
    except (LoadError, ResumeError) as error:
        missing = [word for word in both if word not in f"{error.expected} {error.got}"]
        return f"without {missing}: {error}" if missing or cure not in error.cure else ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "SILENT: taken"


def _leaves(whole: Specimen, folder: Path) -> Figure:
    """Another shape or dtype, a leaf that is missing or one too many: both sides are listed, and nothing is cast."""
    wide, more, half = draw(units=9), draw(extra=True), folder / "half"
    model = draw()
    params, state = model.init(jax.random.key(0))
    jg.save(half, model, jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params), state)
    jg.save(folder / "more", more, *more.init(jax.random.key(0)))
    shape = ("params/h/kernel: float32[6, 9]", "params/h/kernel: float32[6, 8]")
    one_more = ("params/extra/bias: float32[8]", "params/extra/bias: no leaf")
    said = [
        _refused(lambda: jg.load(whole.folder / SAVED, wide), shape, ""),
        _refused(lambda: jg.load(whole.folder / RUN, wide, step="latest"), shape, ""),
        _refused(lambda: jg.load(whole.folder / SAVED, more), one_more, ""),
        _refused(lambda: jg.load(whole.folder / RUN, more, step="latest"), one_more, ""),
        _refused(lambda: jg.load(folder / "more", model), one_more, ""),
        _refused(
            lambda: jg.load(half, model), ("params/h/kernel: bfloat16[6, 8]", "params/h/kernel: float32[6, 8]"), ""
        ),
    ]
    for other, words in ((wide, shape), (more, one_more)):
        copied(whole, folder / "copy", whole.steps[-1])
        trained = dataclasses.replace(whole, trainer=trainer(other))
        said.append(_refused(lambda trained=trained: trained.fit(folder / "copy"), words, ""))
    return _figure("other leaves: listed with both sides, never cast", said)


if __name__ == "__main__":
    sys.exit(command.main(torture, __doc__))
