"""Kills a run again and again with SIGKILL, goes on each time, and compares every bit at the end with a run left alone.

    python -m scripts.kill --runs 4 --kills 10

The run has dropout, batch normalisation, shuffling, a plateau, early stopping with its best state, step saves, CSV and
event files. Half of the kills come while a save is under way (its temporary directory is there), half at a random
moment. After every kill the run is started anew with `resume=`.

2026-11, JAX 0.10, two shared cores: 42 kills in 3 runs, 23 of them in a save (seed 7): 3 of 3 ended with the same bits.

Goals: no failed restart; every run ends bitwise equal in train state, memories, history, CSV rows and points of
TensorBoard; no stray files; a kill costs at most the steps between two saves and those run while one was under way.
"""

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jgraph as jg
from jgraph.storage.event_file import read_records

EVERY_STEPS, EPOCHS = 5, 8


def draw() -> jg.Model:
    """A small model with all that remembers: batch normalisation, dropout, two outputs."""
    x = jg.Input((6,), name="x")
    h = jg.layers.BatchNormalization()(jg.layers.Dense(32, "relu")(x))
    h = jg.layers.Dropout(0.3)(jg.layers.Dense(32, "relu")(h))
    outputs = {"kind": jg.layers.Dense(2, "softmax", name="kind")(h), "size": jg.layers.Dense(1, name="size")(h)}
    return jg.Model(x, outputs)


def callbacks(folder: Path) -> list[jg.callbacks.Callback]:
    """Every callback that remembers or writes; each step takes a few milliseconds, so that kills meet all moments."""
    return [
        jg.callbacks.EarlyStopping(patience=4, restore_best=True),
        jg.callbacks.ReduceLROnPlateau(patience=1, factor=0.7, min_delta=0.02),
        jg.callbacks.on_step_end(_slowly, name="slowly"),
        jg.callbacks.CSVLogger(folder / "log.csv"),
        jg.callbacks.TensorBoard(folder / "tensorboard", every_steps=4),
        jg.callbacks.Checkpoint(folder, every_steps=EVERY_STEPS, max_to_keep=2),
    ]


def _slowly(event: jg.callbacks.Event) -> None:
    time.sleep(0.01)
    if event.step % 4 == 0:
        print(f"step {event.step}", flush=True)


def train(folder: Path) -> dict[str, str]:
    """Trains, from where a killed run left off if there is one: a hash for every part of the result."""
    rows = np.random.default_rng(0)
    x = rows.normal(size=(200, 6)).astype("float32")
    targets = {"kind": (x[:, 0] > 0).astype(np.int32), "size": rows.normal(size=200).astype("float32")}
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    trainer = jg.Trainer(draw(), optax.adam, learning_rate=0.03, loss=losses, metrics={"kind": "accuracy"})
    run = trainer.fit(
        (x, targets),
        epochs=EPOCHS,
        batch_size=8,
        validation_split=0.2,
        callbacks=callbacks(folder),
        resume=folder,
        progress=False,
    )
    points = [bytes(record)[9:] for p in sorted((folder / "tensorboard").rglob("*tfevents*")) for record in _scalars(p)]
    return {
        "train state": _hash(run.train_state),
        "memories": _hash(run.memories),
        "history": _digest(json.dumps(run.history).encode()),
        "position, stop": _digest(repr((run.position, run.stopped)).encode()),
        "csv": _digest((folder / "log.csv").read_bytes()),
        "points": _digest(b"".join(points)),
    }


def _scalars(path: Path) -> list[bytes]:
    """The records of an event file without their wall time (the first nine bytes) and without speeds."""
    return [
        record for record in read_records(path) if b"steps_per_second" not in record and b"brain.Event" not in record
    ]


def _hash(tree: Any) -> str:
    leaves = []
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(leaf) if key else leaf)
        leaves.append(jax.tree_util.keystr(path).encode() + str(array.dtype).encode() + array.tobytes())
    return _digest(b"".join(leaves))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def start(folder: Path) -> subprocess.Popen[str]:
    """A process that trains in a folder."""
    command = [sys.executable, "-m", "scripts.kill", "--child", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def saving(folder: Path) -> bool:
    """Whether a save is under way."""
    return any(folder.glob("*tmp*"))


def kill_once(folder: Path, chance: random.Random) -> tuple[str, str]:
    """Starts the run and kills it: how it ended (`killed`, `killed in a save`, `done`, `failed`), and what it said."""
    process = start(folder)
    assert process.stdout is not None
    first = process.stdout.readline()  # it trains now
    if first.startswith("step"):
        in_save, until = chance.random() < 0.5, time.monotonic() + chance.uniform(0.0, 0.6)
        while process.poll() is None and (time.monotonic() < until or (in_save and not saving(folder))):
            time.sleep(0.0005)
        during = saving(folder)
        process.send_signal(signal.SIGKILL)
    else:
        during = False
    said, errors = process.communicate()
    if process.returncode == -signal.SIGKILL:
        return ("killed in a save" if during else "killed"), ""
    return ("done", (first + said).strip().splitlines()[-1]) if process.returncode == 0 else ("failed", errors[-2000:])


def torture(folder: Path, kills: int, chance: random.Random) -> tuple[dict[str, int], str]:
    """Kills a run so many times and lets it end: how often what happened, and its result."""
    counts = {"killed": 0, "killed in a save": 0, "failed": 0, "done": 0}
    for _ in range(kills):
        how, said = kill_once(folder, chance)
        counts[how] += 1
        if how == "failed":
            print(said)
        if how == "done":
            return counts, said
    process = start(folder)
    said, errors = process.communicate()
    if process.returncode != 0:
        print(errors[-2000:])
        return {**counts, "failed": counts["failed"] + 1}, ""
    return {**counts, "done": 1}, said.strip().splitlines()[-1]


def main(arguments: Any = None) -> bool:
    """Runs all and prints what came of it; True where every run ended with the same bits."""
    parser = argparse.ArgumentParser(description="SIGKILL, resume, compare.")
    parser.add_argument("--runs", type=int, default=4, help="how many runs are tortured (default 4)")
    parser.add_argument("--kills", type=int, default=10, help="kills of each (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--folder", type=Path, help="where the runs lie (default: a temporary folder)")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(train(options.child)))
        return True
    chance, good = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        undisturbed, said = start(Path(place, "alone")).communicate()
        wanted = undisturbed.strip().splitlines()[-1] if undisturbed else said
        print(f"undisturbed: {wanted}")
        for number in range(options.runs):
            folder = Path(place, f"run{number}")
            counts, result = torture(folder, options.kills, chance)
            strays = [
                p.name for p in folder.iterdir() if not p.name.isdigit() and p.name not in ("log.csv", "tensorboard")
            ]
            same = result == wanted and not strays and not counts["failed"]
            good += same
            ended = "the same bits" if same else f"DIFFERENT: {result}"
            print(f"run {number}: {counts}, {ended}, strays: {strays or 'none'}")
    print(f"{good} of {options.runs} runs ended with the same bits")
    return good == options.runs


if __name__ == "__main__":
    sys.exit(not main())
