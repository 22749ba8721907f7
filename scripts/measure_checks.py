"""What the checks of data cost before training, beside one epoch: shapes, dtypes, finite numbers, labels, indices.

    python -m scripts.measure_checks

Three models on rows in memory; `checks` is the median of five times that data are matched to the model and looked
through, `epoch` the second epoch of `fit`, batch size 64, in the same process.

Predicted: below 1 per cent of an epoch everywhere. On two quiet cores (2026-11, JAX 0.10, Python 3.11): perceptron 1.2
(1.6 of 132 ms, which is the time to read 60 MiB once), convolutions 0.09, recurrence 0.03.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import optax

import jgraph as jg
from jgraph.draw.terminal import table
from jgraph.train.batches import Binding

CLASSES, TIMES = 10, 5


def perceptron() -> tuple[jg.Model, np.ndarray]:
    """Two wide layers on flat pictures of bytes."""
    x = jg.Input((784,), name="x")
    h = jg.layers.Dense(256, activation="relu")(jg.layers.Dense(256, activation="relu")(x))
    rows = np.random.default_rng(0).random((20_000, 784), np.float32)
    return jg.Model(x, jg.layers.Dense(CLASSES)(h)), rows


def convolutions() -> tuple[jg.Model, np.ndarray]:
    """A small convolutional network."""
    x = h = jg.Input((32, 32, 3), name="x")
    for filters in (16, 32):
        h = jg.layers.MaxPooling2D()(jg.layers.Conv2D(filters, 3, padding="same", activation="relu")(h))
    rows = np.random.default_rng(0).random((2_000, 32, 32, 3), np.float32)
    return jg.Model(x, jg.layers.Dense(CLASSES)(jg.layers.Flatten()(h))), rows


def recurrence() -> tuple[jg.Model, np.ndarray]:
    """An LSTM on embedded words, whose indices are checked."""
    x = jg.Input((40,), dtype="int32", name="x")
    h = jg.layers.LSTM(64)(jg.layers.Embedding(5_000, 64, mask_zero=True)(x))
    return jg.Model(x, jg.layers.Dense(CLASSES)(h)), np.random.default_rng(0).integers(0, 5_000, (4_000, 40), np.int32)


def seconds(function: Callable[[], Any]) -> float:
    """The median of several calls."""
    found = []
    for _ in range(TIMES):
        began = time.perf_counter()
        function()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def main() -> None:
    """Measures and prints a table."""
    rows = []
    for make in (perceptron, convolutions, recurrence):
        model, inputs = make()
        data = inputs, np.random.default_rng(1).integers(0, CLASSES, len(inputs), np.int32)
        trainer = jg.Trainer(model, optax.sgd(0.01), loss="sparse_categorical_crossentropy")
        binding = Binding(trainer.model, trainer.objective)
        checks = seconds(lambda data=data, binding=binding: binding.check_values(binding.bind(data, "fit")[0], "fit"))
        epoch = trainer.fit(data, epochs=2, batch_size=64, progress=False).timings["epoch_seconds"][1]
        size = f"{inputs.nbytes / 2**20:.1f}"
        rows.append([make.__name__, size, f"{checks * 1e3:.2f}", f"{epoch * 1e3:.0f}", f"{100 * checks / epoch:.2f}"])
    columns = ("model", "data, MiB", "checks, ms", "epoch, ms", "per cent")
    print(table("Checks of data beside an epoch", columns, rows, [], columns[1:]))


if __name__ == "__main__":
    main()
