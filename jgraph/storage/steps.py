"""A directory of steps: each is a tree of NumPy arrays with a record beside it, whole or not there at all.

A step is the directory `<directory>/<step>`, written by Orbax and renamed by it when all is on the disk. The record
holds a hash of every leaf and one of itself, for neither file systems nor Orbax notice every flipped bit. What else
stands in the directory, such as event files, is never touched. A number with a suffix is what no longer counts as a
step: put aside by `set_aside`, or what `clean` sees to.
"""

import contextlib
import math
import operator
import os
import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from jgraph.errors import ArgumentError, LoadError, SaveError, listing
from jgraph.storage.arrays import ARRAYS, DRAFT, MARK, RECORD, TOLD, load_record, save_items
from jgraph.storage.leaves import KeyPath, json_digest, outline, paths, show, stored
from jgraph.storage.places import write_error
from jgraph.storage.untrusted import check_files, is_described, walking
from jgraph.storage.verified import CURE, SAVED, read_tree, said_by

FORMAT, VERSION = "jgraph step", 1
OTHER = "Load it with the jgraph that saved it."
REPLACED, DELETED, ASIDE = ".jgraph-replaced", ".jgraph-deleted", ".aside"
ORBAX_FILES = {"_CHECKPOINT_METADATA", MARK}


def save_step(directory: str | os.PathLike[str], step: int, tree: dict[str, Any], record: dict[str, Any]) -> None:
    """Saves nested dicts of NumPy arrays and a record as one step; a step of this number is replaced.

    All texts are possible keys. The record is what JSON can hold, with NaN and infinities; a tuple comes back as a
    list. While a step is being replaced, the old one stands beside it under a name that is no number.

    Raises:
        ArgumentError: the step is not a number of at least 0.
        SaveError: a leaf or something in the record cannot be written; or something else has the step's name.
        WriteError: the directory cannot be written, or its disk is full; the other steps are as they were.

    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_step(folder, 10, {"params": {"bias": np.zeros(2)}}, {"epoch": 1})
    ...     steps_in(folder), read_step(folder, 10)
    ([10], ({'params': {'bias': array([0., 0.])}}, {'epoch': 1}))
    """
    place = _place(directory, step).absolute()
    content = {"step": place_step(place), "tree": outline(tree), "record": _checked(record, "record")}
    item = {"format": FORMAT, "version": VERSION, "sha256": json_digest(content), "content": content}
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(place):
            _put_aside(place)
        save_items(place, stored(tree), item)
    except SaveError:
        raise
    except Exception as error:
        raise write_error(directory, error) from error
    finally:
        _tidy(place)


def place_step(place: Path) -> int:
    """The number of a step's directory."""
    return int(place.name)


def _place(directory: str | os.PathLike[str], step: int) -> Path:
    try:
        number = -1 if isinstance(step, bool) else operator.index(step)
    except TypeError:
        number = -1
    if number < 0:
        cure = "Give a step such as 1000."
        raise ArgumentError("step", expected="an integer of at least 0", got=repr(step), cure=cure)
    return Path(directory) / str(number)


def _checked(value: Any, where: str) -> Any:
    """The value, when JSON gives back the same."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise SaveError(where, expected="keys that are texts", got=repr(key), cure="Write str(key).")
        return {key: _checked(below, f"{where}/{key}") for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_checked(below, f"{where}/{number}") for number, below in enumerate(value)]
    if value is not None and not isinstance(value, str | int | float):
        kinds = "texts, numbers, booleans, None, and lists and dicts of them"
        raise SaveError(where, expected=kinds, got=type(value).__name__, cure="Convert it, or put it into the tree.")
    return value


def _put_aside(place: Path) -> None:
    if not _is_step(place):
        got = "something that jgraph did not write"
        raise SaveError(str(place), expected="a free name, or a step", got=got, cure="Choose another directory.")
    old = place.with_name(place.name + REPLACED)
    if old.exists():
        _delete(old)
    place.rename(old)


def _tidy(place: Path) -> None:
    """Takes away what a save needed no longer than it lasted; what is in the way is left to `clean`."""
    with contextlib.suppress(OSError):
        draft = place.with_name(place.name + DRAFT)
        if draft.exists():
            _delete(draft)
    with contextlib.suppress(OSError):
        _settle(place.with_name(place.name + REPLACED))


def _settle(old: Path) -> str:
    """Brings back a step that was put aside, unless its replacement came."""
    place = old.with_name(old.name.removesuffix(REPLACED))
    if not old.exists():
        return ""
    if place.exists():
        _delete(old)
        return f"removed {old.name}, which step {place.name} has replaced"
    old.rename(place)
    return f"brought back step {place.name}, whose replacement was not finished"


def _delete(path: Path) -> None:
    """Deletes a directory that at once has no other name than one which `clean` knows."""
    gone = _free(path.with_name(path.name.split(".")[0] + DELETED))
    path.rename(gone)
    shutil.rmtree(gone)


def _free(path: Path) -> Path:
    """The path, or the first numbered one that is free."""
    number, free = 1, path
    while os.path.lexists(free):
        number, free = number + 1, path.with_name(f"{path.name}-{number}")
    return free


def steps_in(directory: str | os.PathLike[str]) -> list[int]:
    """The numbers of the steps that stand in the directory now, ascending; none where there is no directory.

    Raises:
        LoadError: the directory cannot be read.

    >>> steps_in("nowhere")
    []
    """
    try:
        places = [place for place in Path(directory).iterdir() if re.fullmatch("0|[1-9][0-9]*", place.name)]
        return sorted(place_step(place) for place in places if _is_step(place))
    except FileNotFoundError:
        return []
    except OSError as error:
        got, cure = error.strerror or type(error).__name__, "Give the directory of a Checkpoint."
        raise LoadError(str(directory), expected="a directory of steps", got=got, cure=cure) from error


def _is_step(place: Path) -> bool:
    """Whether a directory with a number as its name is a step, maybe a damaged one, and not something of others."""
    if not place.is_dir() or place.is_symlink():
        return False
    names = {below.name for below in place.iterdir()}
    return names <= ORBAX_FILES or ARRAYS in names or RECORD in names


def record_of(directory: str | os.PathLike[str], step: int) -> dict[str, Any]:
    """The record of a step, once it is found to be as it was written; the arrays are not looked at.

    Raises:
        ArgumentError: the step is not a number of at least 0.
        LoadError: there is no such step, its record is damaged, or its format is not known.
    """
    return _content(directory, step)["record"]


def read_step(
    directory: str | os.PathLike[str], step: int, parts: Sequence[KeyPath] = ((),)
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tree of a step and its record, once all of what is read is found to be as it was written.

    `parts` are the branches to read, by their keys; where the tree has no such branch, nothing is read.

    Raises:
        ArgumentError: the step is not a number of at least 0.
        LoadError: there is no such step, it is damaged (the leaf is named), or its format is not known.
    """
    content = _content(directory, step)
    place = _place(directory, step)
    with walking(str(place)):
        return read_tree(place, content["tree"], parts), content["record"]


def _content(directory: str | os.PathLike[str], step: int) -> dict[str, Any]:
    place = _place(directory, step)
    if not place.is_dir() or place.is_symlink():
        raise LoadError(
            str(directory), expected=f"the step {step}", got=_there(directory), cure="Name a step that is there."
        )
    check_files(place)
    try:
        item = load_record(place)
    except (OSError, ValueError) as error:
        expected = f"a record that can be read, {TOLD}"
        raise LoadError(str(place), expected=expected, got=said_by(error), cure=CURE) from error
    if not isinstance(item, dict) or item.get("format") != FORMAT or item.get("version") != VERSION:
        later = isinstance(item, dict) and item.get("format") == FORMAT and isinstance(item.get("version"), int)
        found = f"{item.get('format')!r} of version {item.get('version')!r}" if isinstance(item, dict) else "no record"
        raise LoadError(
            str(place),
            expected=f"{FORMAT!r} of version {VERSION}",
            got=f"{found[:200]}, {TOLD}",
            cure=OTHER if later else CURE,
        )
    content: Any = item.get("content")
    with walking(str(place)):
        if json_digest(content) != item.get("sha256"):
            raise LoadError(str(place), expected=SAVED, got=f"another record, {TOLD}", cure=CURE)
        _check_content(place, content)
    if content["step"] != place_step(place):
        raise LoadError(str(place), expected=SAVED, got=f"the record of step {content['step']}, {TOLD}", cure=CURE)
    return content


def _check_content(place: Path, content: Any) -> None:
    """Checks the form of what a record says, whoever wrote it."""
    expected = ""
    kinds = {"step": int, "tree": dict, "record": dict}
    if not isinstance(content, dict) or {n: type(part) for n, part in content.items()} != kinds:
        expected = f"an object with {listing(kinds)}"
    elif wrong := [show(path) for path, leaf in paths(content["tree"]) if not is_described(leaf)]:
        expected = f"dtype, shape and hash of an array for {listing(wrong, 4)}"
    if expected:
        raise LoadError(str(place), expected=expected, got=f"another record, {TOLD}", cure=CURE)


def newest_whole(
    directory: str | os.PathLike[str], parts: Sequence[KeyPath] = ((),)
) -> tuple[int, dict[str, Any], dict[str, Any], list[str]] | None:
    """The newest step that is whole: its number, tree and record, and what is to be said of newer ones.

    `None` where there is no step. `parts` are the branches to read, and to verify, as in `read_step`.

    Raises:
        LoadError: there are steps, but none is whole, each is named; or the newest one is of another version.
    """
    failed: dict[int, str] = {}
    for step in reversed(steps_in(directory)):
        try:
            tree, record = read_step(directory, step, parts)
        except LoadError as error:
            if error.cure == OTHER:  # it may be whole
                raise
            failed[step] = f"expected {error.expected}, got {error.got}"
        else:
            said = [f"step {n} in {directory} is damaged ({why}), so step {step} is used" for n, why in failed.items()]
            return step, tree, record, said
    if failed:
        got = "; ".join(f"step {n}: {why}" for n, why in failed.items())
        cure = "Take a copy of the directory, or start anew in another one."
        raise LoadError(str(directory), expected="a step that is whole", got=got, cure=cure)
    return None


def best_step(directory: str | os.PathLike[str]) -> int:
    """The whole step with the best `score` in its record, `{"monitor": ..., "mode": "min" or "max", "value": ...}`.

    Where the steps were scored by different monitors, the newest one's counts. Of equal steps the earlier is the best;
    NaN never is.

    Raises:
        LoadError: no whole step has a score.
    """
    return best_whole(directory)[0]


def best_whole(
    directory: str | os.PathLike[str], parts: Sequence[KeyPath] = ((),)
) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """The best step, as `best_step` defines it, with its tree and record; `parts` are as in `read_step`.

    Raises:
        LoadError: no whole step has a score.
    """
    for step in _ranked(directory):
        with contextlib.suppress(LoadError):
            return step, *read_step(directory, step, parts)
    raise LoadError(
        str(directory),
        expected="a whole step with a score",
        got=_there(directory),
        cure='Give Checkpoint a monitor, or load step="latest".',
    )


def _ranked(directory: str | os.PathLike[str]) -> list[int]:
    """The steps whose records have a score of the newest one's kind, the best first."""
    scores: dict[int, dict[str, Any]] = {}
    for step in steps_in(directory):
        with contextlib.suppress(LoadError):
            score: Any = record_of(directory, step).get("score")
            if _is_score(score):
                scores[step] = score
    if not scores:
        return []
    newest = scores[max(scores)]
    sign = -1 if newest["mode"] == "max" else 1
    alike = {n: sign * s["value"] for n, s in scores.items() if {**s, "value": 0} == {**newest, "value": 0}}
    return sorted(alike, key=lambda step: (alike[step], step))


def _is_score(score: Any) -> bool:
    """Whether it is something to be ranked by, as a record has it."""
    kinds = {"monitor": (str,), "mode": (str,), "value": (int, float)}
    told = isinstance(score, dict) and {*score} == {*kinds} and all(isinstance(score[n], kinds[n]) for n in kinds)
    return told and not math.isnan(score["value"])


def _there(directory: str | os.PathLike[str]) -> str:
    steps = steps_in(directory)
    return f"the steps {', '.join(map(str, steps))}" if steps else "no steps"


def set_aside(directory: str | os.PathLike[str], step: int) -> Path:
    """Renames a step, so that it counts no more and nothing is lost; the new path.

    Raises:
        ArgumentError: the step is not a number of at least 0. WriteError: it cannot be renamed.
    """
    place = _place(directory, step)
    aside = _free(place.with_name(place.name + ASIDE))
    try:
        return place.rename(aside)
    except OSError as error:
        raise write_error(place, error) from error


def clean(directory: str | os.PathLike[str]) -> list[str]:
    """Takes away what killed saves and deletions left, brings back what they put aside, and says so.

    Raises:
        WriteError: the directory cannot be written.
    """
    said = []
    try:
        for path in sorted(Path(directory).iterdir()) if Path(directory).is_dir() else ():
            if path.is_symlink() or not path.is_dir():
                continue
            if re.fullmatch(rf"[0-9]+{re.escape(REPLACED)}", path.name):
                said.append(_settle(path))
            elif re.fullmatch(rf"[0-9]+({re.escape(DRAFT)}.*|{re.escape(DELETED)}(-[0-9]+)?)", path.name):
                shutil.rmtree(path)
                said.append(f"removed {path.name}, which was not finished")
    except OSError as error:
        raise write_error(directory, error) from error
    return said


def kept_in(directory: str | os.PathLike[str]) -> set[int]:
    """The steps that were saved to stay for ever: their records say `kept`."""
    found = set()
    for step in steps_in(directory):
        with contextlib.suppress(LoadError):
            found |= {step} if record_of(directory, step).get("kept") else set()
    return found


def trim(
    directory: str | os.PathLike[str],
    max_to_keep: int | None,
    protect: Collection[int],
    for_ever: Collection[int] = (),
) -> None:
    """Deletes all but `max_to_keep` steps: the protected ones stay and count, and the newest others fill up.

    Those that are there for ever stay and do not count.

    Raises:
        WriteError: a step cannot be deleted.
    """
    steps = [step for step in steps_in(directory) if step not in for_ever]
    if max_to_keep is None:
        return
    others = [step for step in steps if step not in protect]
    room = max(0, max_to_keep - (len(steps) - len(others)))
    for step in others[: max(0, len(others) - room)]:
        try:
            _delete(_place(directory, step))
        except OSError as error:
            raise write_error(directory, error) from error
