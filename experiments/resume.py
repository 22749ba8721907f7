"""A run that is killed three times, and ends with the same bits as one that nobody disturbed.

A small model with all that remembers (dropout, batch normalisation, shuffled data, a plateau, early stopping with its
best state) trains in a process of its own and saves itself every 8 steps. Three times it is killed with SIGKILL, at
steps drawn from a seed, without a handler and without a farewell. Each time it is started again with the same line,
`fit(..., callbacks=[..., Checkpoint(folder)], resume=folder)`, and goes on from the newest checkpoint that is whole.

Then the same training runs undisturbed, and all that both leave is compared bit by bit: params, batch statistics,
optimizer, memories of the callbacks, history, stop, and the CSV file. The exit code is 1 where anything differs.

    python -m experiments.resume --help
"""

import argparse
import hashlib
import json
import logging
import math
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from rich.console import Console
from rich.table import Table

import jgraph as jg

EPOCHS, ROWS, EVERY = 8, 400, 8


def draw_model() -> jg.Model:
    """A classifier and a regression on one trunk that forgets (dropout) and remembers (batch normalisation)."""
    x = jg.Input((6,), name="x")
    h = jg.layers.BatchNormalization()(jg.layers.Dense(32, activation="relu")(x))
    h = jg.layers.Dropout(0.3)(jg.layers.Dense(32, activation="relu")(h))
    kind, size = jg.layers.Dense(2, activation="softmax", name="kind")(h), jg.layers.Dense(1, name="size")(h)
    return jg.Model(x, {"kind": kind, "size": size})


def train(folder: Path) -> jg.Run:
    """Trains from where the run in the folder was left, if there is one; the line to copy is `resume=folder`."""
    rows = np.random.default_rng(0)
    x = rows.normal(size=(ROWS, 6)).astype("float32")
    targets = {"kind": (x[:, 0] * x[:, 1] > 0).astype(np.int32), "size": rows.normal(size=ROWS).astype("float32")}
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    trainer = jg.Trainer(draw_model(), optax.adam, learning_rate=0.03, loss=losses, metrics={"kind": "accuracy"})
    callbacks = [
        jg.callbacks.EarlyStopping(patience=2, min_delta=0.1, restore_best=True),
        jg.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, min_delta=0.06),
        jg.callbacks.CSVLogger(folder / "log.csv"),
        jg.callbacks.Checkpoint(folder, every_steps=EVERY),
        jg.callbacks.on_step_end(tell, name="tell"),
    ]
    options = {"epochs": EPOCHS, "batch_size": 8, "validation_split": 0.2, "progress": False}
    return trainer.fit((x, targets), **options, callbacks=callbacks, resume=folder)


def tell(event: jg.callbacks.Event) -> None:
    """Takes the time that a larger model would, and tells the parent process how far the run is."""
    time.sleep(0.03)
    print(json.dumps({"epoch": event.epoch + 1, "step": event.step}), flush=True)


def digests(run: jg.Run, folder: Path) -> dict[str, str]:
    """A hash for each part of what a run leaves."""
    state = run.train_state
    parts = {name: getattr(state, name) for name in ("step", "params", "model_state", "opt_state", "lr_scale")}
    content = {f"train state, {name}": leaves(part) for name, part in {**parts, "key": state.key}.items()}
    content |= {f"memory of {name}": leaves(memory) for name, memory in run.memories.items() if memory}
    content["history"] = json.dumps(run.history).encode()
    content["position and stop"] = repr((run.position, run.stopped)).encode()
    content["log.csv"] = (folder / "log.csv").read_bytes()
    return {name: hashlib.sha256(data).hexdigest()[:12] for name, data in content.items()}


def leaves(tree: Any) -> bytes:
    """All leaves of a tree with their paths and dtypes, as bytes."""
    found = b""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        key = hasattr(leaf, "dtype") and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(leaf) if key else leaf)
        found += f"{jax.tree_util.keystr(path)} {array.dtype}{array.shape}".encode() + array.tobytes()
    return found


class Life(NamedTuple):
    """What one process did: the first and the last step it told of, and, where it came to its end, what it leaves."""

    first: dict[str, int]
    last: dict[str, int]
    left: dict[str, str]


def live(folder: Path, until: float = math.inf) -> Life:
    """One life of the run, killed as soon as it has told of a step."""
    command = [sys.executable, "-m", "experiments.resume", "--child", str(folder)]
    words: list[dict[str, Any]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            words += [json.loads(line)] if line.endswith("\n") else []
            if words[-1].get("step", 0) >= until:
                process.kill()  # SIGKILL: it cannot be caught; what it had said until it died is still read
    told, left = [word for word in words if "step" in word], [word for word in words if "step" not in word]
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"the run failed, exit code {process.returncode}")
    return Life(told[0], told[-1], left[0] if left else {})


def main(arguments: Any = None) -> int:
    """Kills, goes on, compares; 0 where every bit is the same."""
    parser = argparse.ArgumentParser(description="Kills a run three times and compares it with an undisturbed one.")
    parser.add_argument("--kills", type=int, default=3, help="how often it is killed (default 3)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        logging.getLogger("jgraph").setLevel(logging.ERROR)  # not that there is nothing to go on from yet
        print(json.dumps(digests(train(options.child), options.child)))
        return 0
    moments = sorted(random.Random(options.seed).sample(range(40, 200), options.kills))
    lives = Table("life", "goes on from", "until", "steps done again", title="A run that is killed")
    life, before = Life({}, {}, {}), 0
    with tempfile.TemporaryDirectory() as place:
        for number, until in enumerate([*moments, math.inf], start=1):
            life = live(Path(place, "killed"), until)
            start, end = life.first["step"] - 1, "epoch {epoch}, step {step}".format(**life.last)
            how = f"its end in {end}" if life.left else f"killed in {end}"
            lives.add_row(str(number), f"step {start}", how, str(before - start) if number > 1 else "-")
            before = life.last["step"]
        undisturbed, killed = live(Path(place, "alone")).left, life.left
    parts = Table("what is left", "killed", "undisturbed", "", title="Compared with a run that nobody disturbed")
    for name, digest in undisturbed.items():
        same = "[green]the same bits[/]" if killed.get(name) == digest else "[red]DIFFERENT[/]"
        parts.add_row(name, killed.get(name, "-"), digest, same)
    Console().print(lives, "", parts, sep="\n")
    return int(killed != undisturbed)


if __name__ == "__main__":
    sys.exit(main())
