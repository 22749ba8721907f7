"""The run that is tortured, in a process of its own: it goes on from where the life before it was ended."""

import contextlib
import dataclasses
import hashlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jgraph as jg
from jgraph.storage.event_file import read_records
from jgraph.storage.messages import step_of
from jgraph.storage.steps import DELETED, read_step, save_step
from jgraph.train import outlets

EPOCHS, EVERY_STEPS, DISPATCH, SECONDS = 12, 20, 4, 0.03
"""Epochs of 20 steps; the steps between saves; steps of a dispatch, and the pause after it."""

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])  # lives are forked from a process that has imported all this, and no more


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a run writes: its logs and its best step in `folder`, its checkpoints in a directory that may be elsewhere.

    `asynchronous` says how checkpoints are saved.
    """

    folder: Path
    checkpoints: Path
    asynchronous: bool = True

    @property
    def best(self) -> Path:
        """The directory of the best step."""
        return self.folder / "best"

    @property
    def trace(self) -> Path:
        """What all lives said, a line each."""
        return self.folder / "trace.txt"

    @property
    def result(self) -> Path:
        """The hashes of a run that came to its end."""
        return self.folder / "result.json"


def draw() -> jg.Model:
    """A small model with all that remembers: batch normalisation, dropout, two outputs."""
    x = jg.Input((6,), name="x")
    h = jg.layers.BatchNormalization()(jg.layers.Dense(32, "relu")(x))
    h = jg.layers.Dropout(0.3)(jg.layers.Dense(32, "relu")(h))
    outputs = {"kind": jg.layers.Dense(2, "softmax", name="kind")(h), "size": jg.layers.Dense(1, name="size")(h)}
    return jg.Model(x, outputs)


def trainer() -> jg.Trainer:
    """Losses that are balanced by what they were before, two parts a step, averages of the params."""
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    return jg.Trainer(
        draw(),
        optax.adam,
        learning_rate=0.03,
        loss=losses,
        loss_weights=jg.balance.DWA(),
        metrics={"kind": "accuracy"},
        accumulate=2,
        ema=0.99,
    )


def data() -> tuple[Any, Any]:
    """200 rows, of which the last 40 are held out."""
    rows = np.random.default_rng(0)
    x = rows.normal(size=(200, 6)).astype("float32")
    return x, {"kind": (x[:, 0] > 0).astype(np.int32), "size": rows.normal(size=200).astype("float32")}


def callbacks(place: Place, say: Callable[[str], None]) -> list[jg.callbacks.Callback]:
    """Every callback that remembers or writes; a pause at each dispatch, so that kills meet all moments."""

    def pause(event: jg.callbacks.Event) -> None:
        say(f"step {event.step}")
        time.sleep(SECONDS)

    return [
        jg.callbacks.EarlyStopping(patience=6, restore_best=True),
        jg.callbacks.ReduceLROnPlateau(patience=1, factor=0.7, min_delta=0.02),
        jg.callbacks.AverageWeights(),
        jg.callbacks.on_step_end(pause, every_steps=DISPATCH, name="pausing"),
        jg.callbacks.CSVLogger(place.folder / "log.csv"),
        jg.callbacks.JSONLogger(place.folder / "log.jsonl"),
        jg.callbacks.TensorBoard(place.folder / "tensorboard", every_steps=DISPATCH),
        jg.callbacks.Checkpoint(place.best, monitor="val_loss", best_only=True, max_to_keep=1, name="best"),
        jg.callbacks.Checkpoint(
            place.checkpoints, every_steps=EVERY_STEPS, max_to_keep=2, asynchronous=place.asynchronous
        ),
    ]


def live(place: Place, die_at: int | None = None) -> None:
    """Trains to the end, from the newest checkpoint if there is one; with `die_at`, dies in a clean-up (`dying`)."""
    if die_at is not None:
        sys.addaudithook(dying(die_at))
    place.folder.mkdir(parents=True, exist_ok=True)
    trace = os.open(place.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(text: str) -> None:
        os.write(trace, f"{text}\n".encode())

    def begun(event: jg.callbacks.Event) -> None:
        say(f"begin {event.step}")

    def saved(directory: Any, step: int, *given: Any) -> None:
        own = Path(directory) == place.checkpoints
        say(f"save {step}")
        save_step(directory, step, *given)
        say(f"saved {step}" if own else f"apart {step}")

    def looked_at(directory: Any, step: int) -> Any:
        say(f"save {step}")
        try:
            return read_step(directory, step)
        finally:
            say(f"apart {step}")

    with mock.patch.multiple(outlets, save_step=saved, read_step=looked_at):
        beginning = jg.callbacks.on_train_begin(begun, name="begun")
        chosen = [beginning, *callbacks(place, say)]
        run = trainer().fit(
            data(),
            epochs=EPOCHS,
            batch_size=8,
            validation_split=0.2,
            callbacks=chosen,
            resume=place.checkpoints,
            progress=False,
        )
    draft = place.result.with_suffix(".tmp")
    draft.write_text(json.dumps(hashes(place, run)))
    draft.rename(place.result)


def dying(at: int) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that kills this process at a file operation of the taking away of a step, the `at`-th in all."""
    removing, left = set[int](), [at]

    def hook(event: str, given: tuple[Any, ...]) -> None:
        thread = threading.get_ident()
        if event == "shutil.rmtree":
            removing.discard(thread)
            if DELETED in str(given[0]):
                removing.add(thread)
        if (thread in removing and event in ("os.remove", "os.rmdir", "os.scandir")) or (
            event == "os.rename" and DELETED in str(given[1])
        ):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


def hashes(place: Place, run: jg.Run) -> dict[str, Any]:
    """A hash for every part of the result, and the counts of what must be there once."""
    state, rows = run.train_state, [json.loads(line) for line in (place.folder / "log.jsonl").open()]
    points = [record for p in sorted((place.folder / "tensorboard").rglob("*tfevents*")) for record in scalars(p)]
    csv = (place.folder / "log.csv").read_bytes()
    return {
        "params": hash_of(state.params),
        "state": hash_of(state.model_state),
        "optimizer": hash_of(state.opt_state),
        "balance, averages, key, scale": hash_of((state.balance, state.ema, state.key, state.lr_scale)),
        "step": int(state.step),
        "memories": hash_of(run.memories),
        "history": _digest(json.dumps(run.history).encode()),
        "learning rates": run.history["learning_rate"],
        "position, stop": repr((run.position, run.stopped)),
        "csv": _digest(csv),
        "csv rows": csv.count(b"\n") - 1,
        "json": _digest(json.dumps([{**row, "timings": None} for row in rows]).encode()),
        "json rows": len(rows),
        "points": _digest(b"".join(points)),
        "points at one step twice": len(points) - len({(step_of(point), point) for point in points}),
        "best": hash_of(jg.load(place.best, step="best")[1:]),
    }


def scalars(path: Path) -> list[bytes]:
    """The records of an event file without their wall time (the first nine bytes) and without speeds."""
    told = (b"steps_per_second", b"brain.Event")
    return [bytes(r)[9:] for r in read_records(path) if not any(word in r for word in told)]


def hash_of(tree: Any) -> str:
    """The hash of a tree's leaves, with their paths and dtypes."""
    leaves = []
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(leaf) if key else leaf)
        leaves.append(jax.tree_util.keystr(path).encode() + str(array.dtype).encode() + array.tobytes())
    return _digest(b"".join(leaves))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@contextlib.contextmanager
def living(target: Callable[..., None], *given: Any) -> Iterator[BaseProcess]:
    """A process that does what it is told; it is gone at the end."""
    process = CONTEXT.Process(target=target, args=given, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()
