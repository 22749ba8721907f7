"""Wear: starts and kills in numbers leave no stray files; epochs in numbers leave no memory, files and threads behind.

    python -m scripts.tortures.soaked --count 1000

`count` starts, in runs that go on from where the one before was killed: four of five are killed somewhere in their next
LINES steps and saves, the others before training. And ten times as many epochs of a small model with every callback on.
What a process holds is looked at ten times: from a fifth of the epochs on, the memory in use may grow by what the
history takes and by MEGABYTES more; open files and threads are as many at the end, once no save is under way.
"""

import ctypes
import gc
import json
import os
import random
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import optax

import jgraph as jg
from scripts.tortures.command import main
from scripts.tortures.figure import Figure
from scripts.tortures.killed import LIMIT, strays
from scripts.tortures.life import Place, live, living

MEGABYTES, LOOKS, LINES = 16, 10, 40
COUNTED = {"PYTHONMALLOC": "malloc"}
"""What makes Python take its memory from the C library, which then counts all that is in use. What is resident is more:
the library keeps what was given back in the arenas of threads, where it grows for thousands of epochs and shrinks
again (`scripts/notes-torture.md`)."""


def torture(count: int, seed: int, folder: Path) -> list[Figure]:
    """So many starts and kills, and ten times as many epochs."""
    return [starts(count, seed, folder), *epochs(10 * count, folder)]


def starts(count: int, seed: int, folder: Path) -> Figure:
    """Starts and kills a run, and a new one where it has ended; each ends alike, and nothing is left."""
    chance, clean, told, runs = random.Random(seed), 0, list[str](), 0
    first = Place(folder / "first", folder / "first" / "checkpoints")
    with living(live, first) as process:  # what it compiles is there for all, who would else be killed at it
        process.join(LIMIT)
    for _ in range(count):
        place = Place(folder / f"run{runs}", folder / f"run{runs}" / "checkpoints")
        most, patience = lines(place) + chance.randint(1, LINES), LIMIT if chance.random() < 0.8 else chance.random()
        until = time.monotonic() + patience
        with living(live, place) as process:
            while process.is_alive() and lines(place) < most and time.monotonic() < until:
                time.sleep(0.002)
            process.join(chance.uniform(0.0, 0.05))
            process.kill()
            process.join()
            failed = process.exitcode not in (0, -9)
        runs += place.result.exists()
        told += [f"exit code in run {runs}"] if failed else []
        clean += not failed
    for number in range(runs + 1):
        place = Place(folder / f"run{number}", folder / f"run{number}" / "checkpoints")
        if not place.folder.exists():
            continue
        if not place.result.exists():
            with living(live, place) as process:
                process.join(LIMIT)
        told += [f"run {number} left {name}" for name in strays(place)]
        told += [f"run {number} ended otherwise"] if place.result.read_text() != first.result.read_text() else []
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
    good = clean if not any("left" in text or "otherwise" in text for text in told) else 0
    return Figure("starts and kills without stray files", good, count, (f"{runs} runs, {size:.0f} MB", *told))


def lines(place: Place) -> int:
    """How much a run has told: when it begins, and of each dispatch and save."""
    return place.trace.read_text().count("\n") if place.trace.exists() else 0


def epochs(count: int, folder: Path) -> list[Figure]:
    """What a process holds, in numbers, over so many epochs."""
    out = folder / "held.json"
    call = (
        "import sys, pathlib, scripts.tortures.soaked as s; s.train(int(sys.argv[1]), *map(pathlib.Path, sys.argv[2:]))"
    )
    words = [sys.executable, "-c", call, str(count), str(folder / "long"), str(out)]
    code = subprocess.run(words, env={**os.environ, **COUNTED}).returncode
    if code != 0:
        return [Figure("epochs", 0, count, (f"exit code {code}",))]
    held = json.loads(out.read_text())
    early, late = held["looks"][1], held["looks"][-1]
    grown = (late["memory"] - early["memory"] - held["history"]) / 2**20
    used, resident = ([look[name] / 2**20 for look in held["looks"]] for name in ("memory", "resident"))
    text = f"{used[1]:.1f} MB in use after a fifth, {used[-1]:.1f} MB at the end, at most {max(used[1:]):.1f} MB"
    more = f"{held['history'] / 2**20:.1f} MB of history; resident {resident[1]:.0f} to {max(resident):.0f} MB"
    more += f"; {held['seconds'] / count * 1e3:.1f} ms an epoch"
    return [
        Figure("epochs with every callback, in flat memory", count if grown <= MEGABYTES else 0, count, (text, more)),
        *(
            Figure(f"{name} open at the end as after a fifth", int(late[name] <= early[name]), 1, (str(late[name]),))
            for name in ("files", "threads")
        ),
    ]


def train(count: int, folder: Path, out: Path) -> None:
    """Trains a small model with every callback, looking now and then at what this process holds."""
    looks: list[dict[str, int]] = []

    def look(event: jg.callbacks.Event) -> None:
        if (event.epoch + 1) % (count // LOOKS) == 0:
            looks.append(held())

    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(8, "relu", name="hidden"), jg.layers.Dense(1)])
    trainer = jg.Trainer(model, optax.adam, learning_rate=1e-3, loss="mse", ema=0.99)
    begin = time.perf_counter()
    run = trainer.fit(
        (x, x.sum(1)), epochs=count, batch_size=32, validation_split=0.25, callbacks=everything(folder, count, look),
        progress=False,
    )  # fmt: skip
    size = sum(sys.getsizeof(values) + 32 * len(values) for values in (*run.history.values(), *run.timings.values()))
    text = {"looks": looks, "history": size, "seconds": time.perf_counter() - begin}
    out.write_text(json.dumps(text))


def everything(folder: Path, count: int, look: Any) -> list[jg.callbacks.Callback]:
    """Every callback there is, those that write much now and then."""
    own, rarely = jg.callbacks, max(1, count // 100)
    return [
        own.EarlyStopping(patience=count, restore_best=True),
        own.ReduceLROnPlateau(patience=20, factor=0.99, min_lr=1e-4),
        own.AverageWeights(),
        own.Timer(1e9),
        own.Throughput(),
        own.TerminateOnNaN(gradients=True),
        own.EvaluateEvery(every_steps=2 * rarely),
        own.CSVLogger(folder / "log.csv"),
        own.JSONLogger(folder / "log.jsonl"),
        own.TensorBoard(folder / "tensorboard", histograms=rarely, every_steps=rarely),
        own.Checkpoint(folder / "run", monitor="val_loss", every_epochs=rarely, every_steps=3 * rarely),
        own.on_epoch_end(look, name="look"),
    ]


class Counts(ctypes.Structure):
    """What the C library (glibc from 2.33 on) counts, of all arenas together, in bytes where nothing else is said."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "mapped", "usmblks", "fsmblks", "in_arenas", "fordblks", "keepcost"
        )
    )  # fmt: skip


def held() -> dict[str, int]:
    """The memory that is in use and that is resident, the open files and the threads, once no save is under way."""
    until = time.monotonic() + LIMIT
    while threading.active_count() > 1 and time.monotonic() < until:
        time.sleep(0.001)
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    resident, count = pages * resource.getpagesize(), getattr(ctypes.CDLL(None), "mallinfo2", None)
    used = resident
    if count is not None:
        count.restype = Counts
        counts = count()
        used = counts.mapped + counts.in_arenas
    files = len([*Path("/proc/self/fd").iterdir()])
    return {"memory": used, "resident": resident, "files": files, "threads": threading.active_count()}


if __name__ == "__main__":
    sys.exit(main(torture, __doc__, count=10))
