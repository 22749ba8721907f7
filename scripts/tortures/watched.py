"""A process that loads what it is told to, while all that it opens, imports and executes is written down.

It answers each line of JSON, `{"door": ..., "path": ...}`, with one: what came of it, what it did that loading a whole
file does not do, how long it took and how much memory. Its memory has an end, so that nothing large is allocated
unseen.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jgraph as jg
from jgraph.errors import JGraphError
from jgraph.storage.leaves import digest
from jgraph.train.record import host
from jgraph.tree import leaves_with_names
from scripts.tortures.specimen import BATCH, EPOCHS, RUN, SAVED, draw, rows, trainer

WATCHED = ("open", "import", "exec", "os.", "subprocess.", "socket.", "ctypes.", "shutil.", "pickle.", "marshal.")
WATCHED += ("pty.", "urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.", "mmap.", "code.", "tempfile.")
"""The events of Python that are written down; "compile" is not, as names of axes are parsed, which executes nothing."""

LOOKED_AT = ("open", "os.listdir", "os.scandir", "os.walk")
"""What may be done to what lies in the directory itself."""

ROOM = 2**30
"""The bytes that a load may allocate beyond what the process has."""


class Watch:
    """What was done since the last `begin`, and is not what may be done in `place`."""

    def __init__(self) -> None:
        self.seen: list[str] | None = None
        self.usual: set[str] = set()
        self.place = ""
        sys.addaudithook(self._hook)

    def begin(self, place: str) -> None:
        """From here on, only what is in this directory may be looked at."""
        self.place, self.seen = os.path.realpath(place), []

    def end(self) -> list[str]:
        """What was done, and is not usual."""
        seen, self.seen = self.seen or [], None
        return [text for text in dict.fromkeys(seen) if text not in self.usual]

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.seen is None or not event.startswith(WATCHED):
            return
        first = args[0] if args else ""
        written = event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if event in LOOKED_AT and not written and isinstance(first, str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(first))
            if path == self.place or path.startswith(self.place + os.sep) or _is_source(path, args):
                return
        if event == "open" and isinstance(first, int):  # a file that is open already
            return
        self.seen.append(f"{event} {first!r}"[:200])


def _is_source(path: str, args: tuple[Any, ...]) -> bool:
    """Whether a file of Python is read, for a traceback."""
    return path.endswith(".py") and args[1:2] in (("r",), ("rb",), (None,))


def digests(tree: Any) -> dict[str, str]:
    """The hash of each leaf by its path, as records have it."""
    return {name: digest(host(leaf)) for name, leaf in leaves_with_names(tree)}


class Doors:
    """The ways in: a saved model, a step by its number or word, a run that goes on, a model's JSON."""

    def __init__(self) -> None:
        self.trainer = trainer(draw())

    def load(self, path: str) -> dict[str, Any]:
        """Loads a saved model."""
        return self._told(jg.load(path))

    def step(self, path: str) -> dict[str, Any]:
        """Loads a step, whose number is the last part of the path."""
        place = Path(path)
        return self._told(jg.load(place.parent, step=int(place.name)))

    def latest(self, path: str) -> dict[str, Any]:
        """Loads the newest whole step of the directory in which the step of this path is."""
        return self._told(jg.load(Path(path).parent, step="latest"))

    def resume(self, path: str) -> dict[str, Any]:
        """Goes on with the run: what it goes on from."""
        seen: dict[str, Any] = {}

        def look(event: jg.callbacks.Event) -> None:
            history = {name: [*values] for name, values in event.history.items()}
            seen.update({"history": history, "leaves": digests({"train_state": event.train_state})})

        callbacks = [jg.callbacks.ReduceLROnPlateau(monitor="loss", patience=1), jg.callbacks.on_train_begin(look)]
        options: dict[str, Any] = {"callbacks": callbacks, "resume": Path(path).parent, "progress": False}
        self.trainer.fit(rows(), epochs=EPOCHS, batch_size=BATCH, **options)
        return seen

    def json(self, path: str) -> dict[str, Any]:
        """Draws a model from its JSON alone."""
        return {"model": jg.Model.from_json(Path(path).read_text(encoding="utf-8")).to_json()}

    def _told(self, loaded: Any) -> dict[str, Any]:
        model, params, state = loaded
        return {"model": model.to_json(), "leaves": digests({"params": params, "state": state})}


def serve(folder: Path) -> None:
    """Loads what is whole, so that all is imported, and answers then."""
    watch, doors = Watch(), Doors()
    step = max((path for path in (folder / RUN).iterdir()), key=lambda path: int(path.name))
    (folder / "model.json").write_text(draw().to_json(), encoding="utf-8")
    good = {"load": folder / SAVED, "step": step, "latest": step, "resume": step, "json": folder / "model.json"}
    for _ in range(2):  # the first time, much is imported
        watch.usual = set()
        for door, path in good.items():
            watch.begin(_place(door, str(path)))
            getattr(doors, door)(str(path))
            watch.usual |= {*watch.end()}
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    most = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        before = set(sys.modules), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        watch.begin(_place(asked["door"], asked["path"]))
        try:
            answer: dict[str, Any] = {"loaded": getattr(doors, asked["door"])(asked["path"])}
        except JGraphError as error:
            answer = {"refused": str(error)}
        except BaseException as error:
            answer = {"failed": f"{type(error).__name__}: {error}"[:500]}
        done = watch.end()
        answer["done"] = [*done, *(f"import {name}" for name in sorted(set(sys.modules) - before[0]))]
        answer["seconds"] = time.monotonic() - before[2]
        answer["grown"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before[1]) * 1024
        print(json.dumps(answer), flush=True)


def _place(door: str, path: str) -> str:
    """What may be looked at: the directory of a step, as an error names the steps that are there."""
    return path if door in ("load", "json") else str(Path(path).parent)


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Starts such a process for what is whole in a folder."""
    command = [sys.executable, "-m", "scripts.tortures.watched", str(folder)]
    environment = {name: text for name, text in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
