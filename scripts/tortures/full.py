"""A disk that runs full, or becomes read-only, while `fit` writes to it: one clear error, soon, and nothing is lost.

    python -m scripts.tortures.full --count 16

In turn for what is written (checkpoints beside the loop and in it, CSV, JSON lines, event files) and for what happens
to the disk, a small one of its own that is mounted for a process and gone with it. A file that is open cannot be made
read-only by a mount, so for all but checkpoints the disk is that from the start. Good is: the error comes at the
dispatch after the write that failed, names the path and the free bytes, and has the last good run; the newest
checkpoint is whole; the process ends. Where nothing can be mounted, files are not let grow instead, as a user may
limit that.
"""

import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import jgraph as jg
from jgraph.errors import WriteError
from jgraph.storage.appended_file import AppendedFile
from jgraph.storage.lock import NAME
from jgraph.storage.steps import clean, newest_whole, save_step
from jgraph.train import outlets
from scripts.tortures.command import main
from scripts.tortures.figure import Figure
from scripts.tortures.life import data, trainer

WRITES = ("checkpoints", "checkpoints in the loop", "csv", "json", "events")
HAPPENS = ("full", "read-only")
AT, LAST, LIMIT = 24, 400, 90.0
"""The step at which it happens, the one at which it must have been noticed, and the seconds that a process may take."""


def torture(count: int, seed: int, folder: Path) -> list[Figure]:
    """Takes so many disks away."""
    del seed
    mounts = can_mount(folder)
    tried: dict[str, list[str]] = {}
    for number, (write, happens) in zip(
        range(count), itertools.cycle(itertools.product(WRITES, HAPPENS)), strict=False
    ):
        if happens == "read-only" and not mounts:
            continue
        place = folder / str(number)
        place.mkdir()
        tried.setdefault(f"a disk that is {happens}, {write}", []).append(problem(write, happens, place, mounts))
    way = ("no disk can be mounted here, so that files are not let grow",) if not mounts else ()
    return [
        Figure(f"{what}: one clear error", sum(not t for t in texts), len(texts), (*way, *filter(None, texts)))
        for what, texts in tried.items()
    ]


def can_mount(folder: Path) -> bool:
    """Whether a process may have a disk of its own."""
    probe = folder / "probe"
    probe.mkdir()
    command = ["unshare", "-Urm", "mount", "-t", "tmpfs", "none", str(probe)]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


def problem(write: str, happens: str, place: Path, mounts: bool) -> str:
    """What went wrong, if anything did."""
    own = ["unshare", "-Urm"] if mounts else []
    command = [*own, sys.executable, "-m", __spec__.name if __spec__ else "", "--child", write, happens, str(place)]
    # Without a cache of compiled programs, as files are not let grow there either.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMPILATION_CACHE")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, env=environment)
    except subprocess.TimeoutExpired:
        return f"it hangs for {LIMIT:g} seconds"
    lines = done.stdout.strip().splitlines()
    return (
        json.loads(lines[-1])
        if done.returncode == 0 and lines
        else f"exit code {done.returncode}: {done.stderr[-500:]}"
    )


class Watched:
    """Functions that write, with the step at which the first of them failed."""

    def __init__(self) -> None:
        self.step, self.failed_at = 0, -1

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, watched."""

        def watched(*given: Any) -> Any:
            try:
                return function(*given)
            except OSError:
                self.failed_at = self.step if self.failed_at < 0 else self.failed_at
                raise

        return watched


def child(write: str, happens: str, place: Path) -> str:
    """Trains on a disk that is taken away: what went wrong, if anything did."""
    disk, watched = Disk(place, happens), Watched()
    at_once = happens == "read-only" and not write.startswith("checkpoints")
    if at_once:
        disk.take()

    def look(event: jg.callbacks.Event) -> list[Any]:
        watched.step = event.step
        if event.step == AT and not at_once:
            disk.take()
        time.sleep(0.01)
        return [jg.callbacks.Stop("nobody noticed")] if event.step >= LAST else []

    writers = {
        "checkpoints": lambda: jg.callbacks.Checkpoint(place / "run", every_steps=4, max_to_keep=None),
        "checkpoints in the loop": lambda: jg.callbacks.Checkpoint(
            place / "run", every_steps=4, max_to_keep=None, asynchronous=False
        ),
        "csv": lambda: jg.callbacks.CSVLogger(place / "log.csv"),
        "json": lambda: jg.callbacks.JSONLogger(place / "log.jsonl", every_steps=4),
        "events": lambda: jg.callbacks.TensorBoard(place / "events", every_steps=4, graph=False),
    }
    callbacks = [jg.callbacks.on_step_end(look, every_steps=4, name="look"), writers[write]()]
    own = trainer()
    with (
        mock.patch.object(outlets, "save_step", watched(save_step)),
        mock.patch.object(AppendedFile, "write", watched(AppendedFile.write)),
    ):
        try:
            run = own.fit(data(), epochs=30, batch_size=8, callbacks=callbacks, progress=False)
        except WriteError as error:
            return refused(error, watched, place) if at_once else judged(error, own, watched, place, write)
    return f"no error: {run.stopped}"


def refused(error: WriteError, watched: Watched, place: Path) -> str:
    """What is wrong with an error that comes before training."""
    told = str(place) in str(error) and "bytes free" in str(error)
    return "" if told and watched.step == 0 else f"at step {watched.step}: {error}"


def judged(error: WriteError, own: jg.Trainer, watched: Watched, place: Path, write: str) -> str:
    """What is wrong with an error, and with what it leaves."""
    text, run = str(error), error.__dict__["run"]
    problems = [
        (str(place) not in text, f"no path: {text}"),
        ("bytes free" not in text, f"no free bytes: {text}"),
        (not AT - 4 <= watched.failed_at <= watched.step <= watched.failed_at + 4, f"late: {vars(watched)}"),
        (not own.evaluate(run.train_state, data())["loss"] >= 0, "the run cannot be evaluated"),
        (len(run.history.get("loss", ())) != run.position.epoch, "the history is not whole"),
    ]
    if write.startswith("checkpoints"):
        found = newest_whole(place / "run")
        if os.access(place / "run", os.W_OK):
            clean(place / "run")  # as the next start does, where a thread of Orbax wrote on for a moment
        left = [path.name for path in (place / "run").iterdir() if not path.name.isdigit() and path.name != NAME]
        problems += [
            (found is None or found[0] < AT - 8 or bool(found[3]), f"the newest checkpoint is {found and found[0]}"),
            (bool(left) and os.access(place / "run", os.W_OK), f"left {left}"),
        ]
    return next((said for wrong, said in problems if wrong), "")


class Disk:
    """A small disk, mounted at a place for this process, that can be taken away; or a limit to the size of files."""

    def __init__(self, place: Path, happens: str) -> None:
        self.place, self.happens = place, happens
        self.mounted = _mount("-t", "tmpfs", "-o", "size=24m", "none", place)

    def take(self) -> None:
        """Fills the disk, makes it read-only, or lets no file grow."""
        if not self.mounted:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
        elif self.happens == "read-only":
            assert _mount("--bind", self.place, self.place), "it was mounted by this process"
            assert _mount("-o", "remount,bind,ro", self.place), "no file of this mount is open"
        else:
            with (self.place / "filler").open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(2**16) if shutil.disk_usage(self.place).free > 2**16 else b"0")
                except OSError:
                    return


def _mount(*words: object) -> bool:
    return subprocess.run(["mount", *map(str, words)], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    if "--child" in sys.argv:
        given = sys.argv[sys.argv.index("--child") + 1 :]
        print(json.dumps(child(given[0], given[1], Path(given[2]))))
    else:
        sys.exit(main(torture, __doc__, count=10))
