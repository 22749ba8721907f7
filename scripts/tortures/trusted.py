"""Loads forged files: each is refused, or is what it says; nothing is executed, imported or read outside of it.

    python -m scripts.tortures.trusted --count 200 --seed 0

The forgeries are of saved models and of steps, with hashes that are right again, so that these hide nothing. They are
loaded by all doors in a process that is watched: it may open what lies in the directory and nothing else, import and
execute nothing that a whole file does not, take some seconds and a few megabytes.

Then every function that a file may name is put into a model, on a path and on an array.
"""

import json
import random
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jgraph as jg
from jgraph.core.names import FUNCTION_ROOTS
from jgraph.storage.leaves import paths
from jgraph.storage.untrusted import read_json
from scripts.tortures import command
from scripts.tortures.figure import Figure
from scripts.tortures.forged import FORGERIES
from scripts.tortures.specimen import RUN, SAVED, make, record_of
from scripts.tortures.watched import start

SECONDS, BYTES = 20, 2**28
"""What a load may take."""

NOT_HELD = ("MemoryError", "Unable to allocate", "bad_alloc", "RESOURCE_EXHAUSTED", "Cannot allocate")
"""What is said where memory was asked for before anything was checked."""


class Watched:
    """The watched process, started anew where it was lost."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        self._process = start(self.folder)
        assert self._answer(300) == "ready", "the watched process cannot load what is whole"
        return self._process

    def _answer(self, seconds: float) -> Any:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline() if ready else b""
        return json.loads(line) if line else None

    def ask(self, door: str, path: Path) -> dict[str, Any]:
        """What comes of loading a path by a door."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"door": door, "path": str(path)}).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._answer(SECONDS)
        if answer is None:
            ended = self._process.poll()
            self.close()
            self._started()
            return {"failed": f"no answer in {SECONDS} seconds" if ended is None else f"the process ended with {ended}"}
        return answer

    def close(self) -> None:
        """Ends the process."""
        with self._process:  # which waits for its end and closes its pipes
            self._process.kill()


def torture(count: int, seed: int, folder: Path) -> list[Figure]:
    """So many forgeries in turn, each on a fresh copy; then the functions that a file may name."""
    whole, chance = make(folder / "whole"), random.Random(seed)
    step, copy = whole.steps[-1], folder / "copy"
    doors = [("load", copy / SAVED), *((door, copy / RUN / str(step)) for door in ("step", "latest", "resume"))]
    said: dict[str, list[str]] = {forge.__name__: [] for forge in FORGERIES}
    refused, slowest, largest = 0, 0.0, 0
    watched = Watched(whole.folder)
    try:
        for number in range(count):
            forge = FORGERIES[number % len(FORGERIES)]
            door, path = doors[number // len(FORGERIES) % len(doors)]
            copied(whole.folder, copy)
            forge(path, chance)
            answer = watched.ask(door, path)
            refused += "refused" in answer
            slowest, largest = max(slowest, answer.get("seconds", 0)), max(largest, answer.get("grown", 0))
            wrong = judged(answer, door, path)
            said[forge.__name__].append(f"{door}, number {number}: {wrong}" if wrong else "")
        figures = [_figure(f"forged {name}: refused, or what it says", found) for name, found in said.items() if found]
        functions = _functions(watched, folder)
    finally:
        watched.close()
    told = f"{refused} refused, {count - refused} not; at most {slowest:.1f} s and {largest / 2**20:.0f} MiB more"
    bounded = slowest < SECONDS and largest < BYTES
    return [*figures, functions, Figure("time and memory have a bound", int(bounded), 1, (told,))]


def copied(whole: Path, copy: Path) -> None:
    """Copies what is whole."""
    shutil.rmtree(copy, ignore_errors=True)
    for name in (SAVED, RUN):
        shutil.copytree(whole / name, copy / name)


def _figure(what: str, said: list[str]) -> Figure:
    return Figure(what, said.count(""), len(said), tuple(text for text in said if text))


def judged(answer: dict[str, Any], door: str, path: Path) -> str:
    """What is wrong with an answer, or nothing."""
    if answer.get("done"):
        return f"it did {answer['done'][:4]}, and {'refused' if 'refused' in answer else 'took it'}"
    if answer.get("grown", 0) > BYTES:
        return f"it took {answer['grown']:,} bytes: {answer.get('refused', 'loaded')}"
    if "failed" in answer:
        return answer["failed"]
    if "refused" in answer:
        return answer["refused"] if any(word in answer["refused"] for word in NOT_HELD) else ""
    return _differs(answer["loaded"], door, path)


def _differs(loaded: dict[str, Any], door: str, path: Path) -> str:
    """In what something loaded is not what the file says."""
    steps = sorted(path.parent.iterdir(), key=lambda place: int(place.name.split(".")[0])) if door != "load" else [path]
    told = [_said(place, door, loaded) for place in reversed(steps)]
    differing = [[n for n in loaded if json.dumps(loaded[n]) != json.dumps(said[n])] for said in told]
    return "" if [] in differing else f"SILENT: loaded something else than it says: {differing[0]}"


def _said(place: Path, door: str, loaded: dict[str, Any]) -> dict[str, Any]:
    """What a file says of what was loaded, in the same words."""
    try:
        file = record_of(place)
        content = read_json(file)["content"] if file.is_file() else {}
        if door == "load":
            leaves = {name: leaf["sha256"] for name, leaf in content["leaves"].items()}
            return {"model": loaded["model"] if _same(loaded, content) else "", "leaves": leaves}
        leaves = {"/".join(keys): leaf[2] for keys, leaf in paths(content["tree"])}
        if door == "resume":
            train_state = {name: hash_ for name, hash_ in leaves.items() if name.startswith("train_state/")}
            return {"history": content["record"]["history"], "leaves": train_state}
        both = (("train_state/params/", "params/"), ("train_state/model_state/", "state/"))
        own = {new + n.removeprefix(old): h for n, h in leaves.items() for old, new in both if n.startswith(old)}
        return {"model": loaded["model"] if _same(loaded, content) else "", "leaves": own}
    except Exception:  # a forged record may break anything here, and says nothing then
        return dict.fromkeys(loaded)


def _same(loaded: dict[str, Any], content: dict[str, Any]) -> bool:
    """Whether a model says of itself all that the file says of it; what the file leaves out has its default."""
    return _within(json.loads(content["record"]["model"]), json.loads(loaded["model"]))


def _within(part: Any, whole: Any) -> bool:
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and _within(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(_within, part, whole))
    return json.dumps(part) == json.dumps(whole)


def _functions(watched: Watched, folder: Path) -> Figure:
    """Each public name of the modules that a file may name, with a path and with an array."""
    x = jg.Input((4,), name="x")
    whole = jg.Model(x, jg.op(_placeholder, name="node")(x)).to_json().replace("custom:_placeholder", "NAME")
    said = []
    for root in FUNCTION_ROOTS:
        for own in dir(sys.modules[root]):
            for more in ("", ', "/etc/hostname"'):
                content = json.loads(whole.replace("NAME", f"{root}.{own}"))
                node = content["layers"][content["model"]]["nodes"][-1]
                node["args"] += ["/etc/hostname"] if more else []
                file = folder / "function.json"
                file.write_text(json.dumps(content), encoding="utf-8")
                answer = watched.ask("json", file)
                wrong = "" if "loaded" in answer and not answer["done"] else judged(answer, "json", file)
                said.append(f"{root}.{own}{more}: {wrong}" if wrong else "")
    return _figure("functions that a file may name: nothing is read, written or executed", said)


def _placeholder(x: Any, *more: Any) -> Any:
    del more
    return x


if __name__ == "__main__":
    sys.exit(command.main(torture, __doc__))
