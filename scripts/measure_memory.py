"""Whether a process that builds and fits models over and over keeps its memory flat.

    python -m scripts.measure_memory --cycles 200

Each cycle draws a model, makes a trainer (averages of the params, half precision and several optimizers in turn), fits
it with validation and a checkpoint, evaluates, predicts, and lets go of everything. Printed are the live arrays, the
resident memory and the trainers that are still there, every 20 cycles. Resident memory grows by what JAX's caches of
compiled programs keep, so they are cleared every 20 cycles; what is left should be flat after the first hundred.

On two shared cores (2026-11, JAX 0.10, Python 3.11), after 20, 40, 60, 100, 140 and 180 cycles: 560, 650, 652, 657, 662
and 662 MiB, and no array or trainer left at any of them.
"""

import argparse
import gc
import tempfile
import weakref
from pathlib import Path

import jax
import numpy as np
import optax

import jgraph as jg

OPTIONS: list[dict] = [
    {},
    {"ema": 0.99, "validate_ema": True},
    {"precision": "mixed_bfloat16"},
    {"precision": "bfloat16", "ema": 0.9},
    {"optimizer": jg.optimizers.by_path({"dense": optax.sgd(0.1), "*": optax.adam(1e-3)})},
]
"""What a cycle's trainer has, in turn."""


def cycle(number: int, folder: Path) -> weakref.ref[jg.Trainer]:
    """Builds, fits, evaluates, predicts; a weak reference to the trainer."""
    x = jg.Input((8,), name="x")
    hidden = jg.layers.BatchNormalization()(jg.layers.Dense(16, activation="relu")(x))
    model = jg.Model(x, jg.layers.Dense(3, activation="softmax")(jg.layers.Dropout(0.1)(hidden)))
    options = {"optimizer": optax.adam(1e-3), **OPTIONS[number % len(OPTIONS)]}
    trainer = jg.Trainer(model, loss="sparse_categorical_crossentropy", metrics="accuracy", **options)
    data = np.random.default_rng(number).normal(size=(64, 8)), np.arange(64) % 3
    run = trainer.fit(
        data,
        epochs=2,
        validation_split=0.25,
        callbacks=[jg.callbacks.Checkpoint(folder / str(number))],
        progress=False,
    )
    trainer.evaluate(run.train_state, data)
    trainer.predict(run.train_state, data[0])
    return weakref.ref(trainer)


def resident() -> float:
    """The resident memory of this process, in MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Runs the cycles and prints a line for every 20."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=200)
    left = []
    for number in range(parser.parse_args().cycles):
        with tempfile.TemporaryDirectory() as folder:
            left.append(cycle(number, Path(folder)))
        if number % 20 == 19:
            jax.clear_caches()
            gc.collect()
            alive = sum(trainer() is not None for trainer in left)
            arrays = len(jax.live_arrays())
            print(f"{number + 1} cycles: {arrays} arrays, {resident():.0f} MiB, {alive} trainers", flush=True)


if __name__ == "__main__":
    main()
