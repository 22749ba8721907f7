"""What the callbacks cost beside training without them: early stopping, plateau, a save each epoch, CSV, TensorBoard.

    python -m scripts.measure_callbacks

Both sides train the same model on the same data in turn, in one process; steps per second are those of whole calls of
`fit`, the wait for the last save included. Predicted: at most 3 % on a convolutional model, where an epoch takes
seconds, and at most 10 % on the small MLP. On two shared cores (2026-11, JAX 0.10, Python 3.11, medians of 4 turns):

    convolutional, 180 steps (2 s) an epoch        0.962 (0.944 to 0.989)
    MLP, 7,200 steps (0.25 s) an epoch             0.859 (0.845 to 0.881)
    MLP, 230 steps (8 ms) an epoch                 0.409 (0.361 to 0.509), without Checkpoint 0.940 (0.907 to 0.970)

With the progress bar too, and convolutions that take their steps several between two looks (medians of 3 to 5 turns):

    inception, 31 steps (5 s) an epoch             0.999 (0.594 to 1.108, on a machine that was not quiet)
    MLP, 7,200 steps (0.25 s) an epoch             0.857 (0.691 to 1.245)
    MLP, 230 steps (8 ms) an epoch                 without Checkpoint 0.923 (0.848 to 0.929)

What is missed is Orbax: one save of this small run takes 60 ms of processor time, of which half is felt on two cores
that the training needs too. Where epochs are much shorter than that, no save each epoch can cost only 10 %. The larger
number of steps in a dispatch (512 instead of 64) made no difference, so it is not the interpreter's lock.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optax

import jgraph as jg


def convolutional() -> jg.Model:
    """Three convolutions on 16 x 16 pixels."""
    x = image = jg.Input((16, 16, 3), name="x")
    for filters in (16, 32, 32):
        x = jg.layers.BatchNormalization()(jg.layers.Conv2D(filters, 3, padding="same", activation="relu")(x))
    return jg.Model(image, jg.layers.Dense(1)(jg.layers.Flatten()(jg.layers.MaxPooling2D(4)(x))))


def inception() -> jg.Model:
    """Two blocks of four branches with a residual around each, on 32 x 32 pixels."""

    def conv(x: Any, filters: int, size: int) -> Any:
        return jg.layers.Conv2D(filters, size, padding="same", activation="relu")(x)

    image = jg.Input((32, 32, 3), name="x")
    x = conv(image, 64, 3)
    for _ in range(2):
        pooled = jg.layers.AveragePooling2D(3, strides=1, padding="same")(x)
        branches = [conv(x, 16, 1), conv(conv(x, 16, 1), 16, 3), conv(conv(conv(x, 16, 1), 16, 3), 16, 3)]
        x = jg.layers.add([x, jg.layers.concatenate([*branches, conv(pooled, 16, 1)])])
    return jg.Model(image, jg.layers.Dense(1)(jg.layers.GlobalAveragePooling2D()(x)))


def mlp() -> jg.Model:
    """16-64-64-1."""
    x = jg.Input((16,), name="x")
    hidden = jg.layers.Dense(64, activation="relu")(jg.layers.Dense(64, activation="relu")(x))
    return jg.Model(x, jg.layers.Dense(1)(hidden))


def everything(folder: Path, saves: bool = True) -> list[jg.callbacks.Callback]:
    """The callbacks of a watched run; none of them stops it."""
    return [
        jg.callbacks.ProgressBar(),
        jg.callbacks.EarlyStopping(patience=10_000, restore_best=True),
        jg.callbacks.ReduceLROnPlateau(patience=3),
        *([jg.callbacks.Checkpoint(folder)] if saves else []),
        jg.callbacks.CSVLogger(folder / "log.csv"),
        jg.callbacks.TensorBoard(folder / "tensorboard"),
    ]


def rate(trainer: jg.Trainer, data: Any, epochs: int, batch: int, callbacks: Sequence[jg.callbacks.Callback]) -> float:
    """Steps per second of a call of `fit`."""
    begin = time.perf_counter()
    run = trainer.fit(data, epochs=epochs, batch_size=batch, validation_split=0.1, callbacks=callbacks, progress=False)
    return int(run.train_state.step) / (time.perf_counter() - begin)


def compare(
    what: str, draw: Callable[[], jg.Model], rows: int, epochs: int, batch: int, turns: int, saves: bool
) -> None:
    """Prints the ratio of steps per second with all callbacks and with none."""
    model, random = draw(), np.random.default_rng(0)
    shape = model.inputs.spec.shape[1:]
    data = random.normal(size=(rows, *shape)).astype("float32"), random.normal(size=rows).astype("float32")
    trainer = jg.Trainer(model, optax.adam, learning_rate=1e-3, loss="mse")
    ratios, bare = [], []
    for turn in range(turns + 1):
        with tempfile.TemporaryDirectory() as folder:
            pair = (
                rate(trainer, data, epochs, batch, []),
                rate(trainer, data, epochs, batch, everything(Path(folder), saves)),
            )
        if turn:  # the first compiles
            ratios.append(pair[1] / pair[0])
            bare.append(pair[0])
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(
        f"{what:40} {statistics.median(bare):9.1f} steps/s bare, with callbacks {middle:.3f}x ({low:.3f} to {high:.3f})"
    )


def main(arguments: Any = None) -> None:
    """Measures both models."""
    parser = argparse.ArgumentParser(description="The cost of the callbacks.")
    parser.add_argument("--turns", type=int, default=7, help="turns of each side (default 7)")
    parser.add_argument("--only", default="", help="only those whose names begin so")
    given = parser.parse_args(arguments)
    cases: dict[str, tuple[Callable[[], jg.Model], int, int, bool]] = {
        "inception, 31 steps an epoch": (inception, 1_120, 1, True),
        "convolutional, 180 steps an epoch": (convolutional, 6_400, 4, True),
        "MLP, 7,200 steps an epoch": (mlp, 256_000, 20, True),
        "MLP, 230 steps an epoch, without Checkpoint": (mlp, 8_192, 200, False),
        "MLP, 230 steps an epoch": (mlp, 8_192, 200, True),
    }
    for what, (draw, rows, epochs, saves) in cases.items():
        if what.startswith(given.only):
            compare(what, draw, rows, epochs, 32, given.turns, saves)


if __name__ == "__main__":
    main()
