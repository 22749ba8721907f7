"""A small run with several steps on disk and two saved models of the same shapes: what is damaged and forged."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jgraph as jg
from jgraph.storage.arrays import TOLD
from jgraph.storage.checkpoint import RECORD
from jgraph.storage.leaves import json_digest
from jgraph.storage.steps import steps_in

EPOCHS, BATCH, ROWS = 3, 8, 48
EVERY_STEPS = 4
SAVED, OTHER, RUN = "saved", "other", "run"


def draw(units: int = 8, extra: bool = False) -> jg.Model:
    """A model with what remembers and draws: batch normalisation, dropout, two outputs."""
    x = jg.Input((6,), name="x")
    h = jg.layers.BatchNormalization(name="norm")(jg.layers.Dense(units, "relu", name="h")(x))
    h = jg.layers.Dropout(0.3, name="drop")(h)
    h = jg.layers.Dense(units, name="extra")(h) if extra else h
    outputs = {"kind": jg.layers.Dense(2, "softmax", name="kind")(h), "size": jg.layers.Dense(1, name="size")(h)}
    return jg.Model(x, outputs)


def trainer(model: jg.Model) -> jg.Trainer:
    """Trains such a model."""
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    return jg.Trainer(model, optax.adam, learning_rate=0.03, loss=losses, metrics={"kind": "accuracy"})


def rows() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The data of the run."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=(ROWS, 6)).astype("float32")
    return x, {"kind": (x[:, 0] > 0).astype(np.int32), "size": draws.normal(size=ROWS).astype("float32")}


def bits(tree: Any) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """The leaves by path, as something that can be compared."""
    found = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(leaf) if key else leaf)
        found[jax.tree_util.keystr(path)] = (str(array.dtype), array.shape, array.tobytes())
    return found


@dataclasses.dataclass(frozen=True)
class Specimen:
    """What lies whole in a folder, and who made it.

    `ended` are the bits of the run at its end, `loaded` those of each step and saved model.
    """

    folder: Path
    trainer: jg.Trainer
    steps: tuple[int, ...]
    ended: dict[str, Any]
    loaded: dict[Any, dict[str, Any]]

    def fit(self, folder: Path, resume: bool = True) -> jg.Run:
        """Trains in a folder, from where what is there left off."""
        return fit(self.trainer, folder, resume)


def fit(trained: jg.Trainer, folder: Path, resume: bool) -> jg.Run:
    """Trains to the end, saving every few steps and at the end of each epoch."""
    callbacks = [
        jg.callbacks.ReduceLROnPlateau(monitor="loss", patience=1),
        jg.callbacks.Checkpoint(folder, every_steps=EVERY_STEPS, max_to_keep=None),
    ]
    options: dict[str, Any] = {"resume": folder} if resume else {}
    return trained.fit(rows(), epochs=EPOCHS, batch_size=BATCH, callbacks=callbacks, progress=False, **options)


def outcome(run: jg.Run) -> dict[str, Any]:
    """All of a run that is promised to be the same."""
    told = {"history": repr(run.history), "position": repr(run.position), "stopped": repr(run.stopped)}
    return {**told, **bits(run.train_state), **bits(run.memories)}


def make(folder: Path) -> Specimen:
    """Trains the run and saves the models."""
    model = draw()
    trained = trainer(model)
    run = fit(trained, folder / RUN, resume=False)
    steps = tuple(steps_in(folder / RUN))
    for seed, name in enumerate((SAVED, OTHER)):
        jg.save(folder / name, model, *model.init(jax.random.key(seed)))
    loaded: dict[Any, Any] = {step: bits(jg.load(folder / RUN, step=step)[1:]) for step in steps}
    loaded |= {name: bits(jg.load(folder / name)[1:]) for name in (SAVED, OTHER)}
    return Specimen(folder, trained, steps, outcome(run), loaded)


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes the record of a saved model or of a step, and makes its hash right again.

    `change` is given what the record says, `{"format": ..., "version": ..., "content": ...}`, and changes it in place.
    """
    file = record_of(path)
    said = json.loads(file.read_text(encoding="utf-8"))
    change(said)
    said["sha256"] = json_digest(said.get("content"))
    file.write_text(json.dumps(said), encoding="utf-8")


def record_of(path: Path) -> Path:
    """The file of the record of a saved model or of a step."""
    return path / RECORD if (path / RECORD).exists() else path / TOLD
