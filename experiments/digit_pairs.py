"""Pairs of handwritten digits: one shared tower, three outputs.

Two scans go through ONE tower (an Inception block and a residual block, so one set of weights). From what it sees the
model says which digit the left one is (10 classes), whether both are the same digit, and their sum (regression), all
trained together by weighted losses. One layer of the tower, the layer normalisation, is a Flax Linen module.

Data: the 1,797 scans of 8 x 8 pixels that scikit-learn carries (Alpaydin and Kaynak 1998, UCI "Optical Recognition of
Handwritten Digits"). They are split by scan, 70 % for training, 15 % for validation and 15 % for testing, before any
pair is made, so that no test scan is ever trained on. Widths, loss weights, rates and the number of epochs were chosen
on the validation pairs. Published: 98.0 % by nearest neighbours on the full data set's held-out writers (its notes).

Reached on 4,000 test pairs with seed 0: left digit 0.9950, same digit 0.9970, mean error of the sum 0.28.

    python -m experiments.digit_pairs --help
"""

import argparse
import time
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits

import jgraph as jg

Arrays = dict[str, np.ndarray]


def scans_by_part(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The scans, scaled to [0, 1], and their digits, split by scan into train, validation and test."""
    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 8, 8, 1) / 16.0).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(images))
    parts = np.split(order, [int(0.70 * len(order)), int(0.85 * len(order))])
    names = ("train", "validation", "test")
    return {name: (images[part], labels[part]) for name, part in zip(names, parts, strict=True)}


def make_pairs(images: np.ndarray, labels: np.ndarray, count: int, seed: int) -> tuple[Arrays, Arrays]:
    """`count` pairs drawn from some scans, half of them of the same digit: (inputs, targets)."""
    random = np.random.default_rng(seed)
    left = random.integers(len(images), size=count)
    right = random.integers(len(images), size=count)
    by_digit = [np.flatnonzero(labels == digit) for digit in range(10)]
    for row in range(0, count, 2):
        right[row] = random.choice(by_digit[labels[left[row]]])
    inputs = {"left": images[left], "right": images[right]}
    same = (labels[left] == labels[right]).astype(np.float32)
    return inputs, {"digit": labels[left], "same": same, "sum": (labels[left] + labels[right]).astype(np.float32)}


def draw_tower() -> jg.Model:
    """A scan [8, 8, 1] as a vector of 64 features."""
    scan = jg.Input((8, 8, 1), name="scan")
    x = jg.layers.Conv2D(24, 3, padding="same", activation="relu", name="stem")(scan)

    narrow = jg.layers.Conv2D(16, 1, activation="relu")(x)  # the Inception block: four views of the same pixels
    middle = jg.layers.Conv2D(24, 3, padding="same", activation="relu")(jg.layers.Conv2D(12, 1, activation="relu")(x))
    wide = jg.layers.Conv2D(12, 5, padding="same", activation="relu")(jg.layers.Conv2D(6, 1, activation="relu")(x))
    pooled = jg.layers.Conv2D(12, 1, activation="relu")(jg.layers.MaxPooling2D(3, strides=1, padding="same")(x))
    x = jg.layers.concatenate([narrow, middle, wide, pooled], name="inception")
    x = jg.layers.MaxPooling2D(2)(x)

    y = jg.layers.Conv2D(64, 3, padding="same", use_bias=False)(x)  # the residual block
    y = jg.layers.Activation("relu")(jg.layers.BatchNormalization()(y))
    y = jg.layers.BatchNormalization()(jg.layers.Conv2D(64, 3, padding="same", use_bias=False)(y))
    x = jg.layers.Activation("relu")(jg.layers.add([x, y], name="residual"))

    x = jg.layers.Dropout(0.3)(jg.layers.Flatten()(x))
    x = jg.layers.Dense(64, activation="relu", name="features")(x)
    return jg.Model(scan, jg.as_layer(nn.LayerNorm(), name="flax_norm")(x), name="tower")


def draw_model() -> jg.Model:
    """Two scans through one tower, into three outputs."""
    tower = draw_tower()
    left, right = jg.Input((8, 8, 1), name="left"), jg.Input((8, 8, 1), name="right")
    a, b = tower(left), tower(right)
    digit = jg.layers.Dense(10, activation="softmax", name="digit")(a)
    apart = jg.layers.concatenate([abs(a - b), a * b])
    same = jg.layers.Dense(1, activation="sigmoid", name="same")(jg.layers.Dense(32, activation="relu")(apart))
    both = jg.layers.Dense(64, activation="relu")(jg.layers.concatenate([a, b]))
    total = jg.layers.Dense(1, name="sum")(both)
    return jg.Model({"left": left, "right": right}, {"digit": digit, "same": same, "sum": total}, name="digit_pairs")


def show(logs: dict[str, float], words: dict[str, str]) -> None:
    """The test metrics as a table."""
    table = Table("Test pairs", "value")
    for name, what in words.items():
        table.add_row(what, f"{logs[name]:.4f}")
    Console().print(table)


def main(arguments: Any = None) -> dict[str, float]:
    """Trains, tests, saves; returns the logs of the test pairs."""
    parser = argparse.ArgumentParser(description="One tower, two digits, three outputs.")
    parser.add_argument("--epochs", type=int, default=5, help="epochs over the training pairs (default 5)")
    parser.add_argument("--pairs", type=int, default=12_000, help="training pairs (default 12000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of split, pairs, start values and dropout")
    parser.add_argument("--folder", type=Path, default=Path("runs/digit_pairs"), help="where the model is saved")
    options = parser.parse_args(arguments)

    parts = scans_by_part(options.seed)
    train = make_pairs(*parts["train"], options.pairs, options.seed)
    validation, test = (make_pairs(*parts[name], 4_000, options.seed + 1) for name in ("validation", "test"))

    model = draw_model()
    steps = options.epochs * -(-options.pairs // 64)
    trainer = jg.Trainer(
        model,
        optax.adamw(optax.warmup_cosine_decay_schedule(0.0, 2e-3, steps // 10, steps), weight_decay=1e-3),
        loss={"digit": "sparse_categorical_crossentropy", "same": "binary_crossentropy", "sum": "mse"},
        loss_weights={"digit": 1.0, "same": 1.0, "sum": 0.05},
        metrics={"digit": ["accuracy"], "same": ["accuracy"], "sum": ["mae"]},
    )
    print(trainer)
    begin = time.perf_counter()
    run = trainer.fit(train, epochs=options.epochs, batch_size=64, validation_data=validation, seed=options.seed)
    print(f"\ntrained in {time.perf_counter() - begin:.0f} s\n\n{model.summary()}\n")

    logs = trainer.evaluate(run.train_state, test, batch_size=500)
    words = {
        "digit/accuracy": "left digit, accuracy",
        "same/accuracy": "same digit, accuracy",
        "sum/mae": "sum, mean error",
    }
    show(logs, words)

    path = options.folder / "model.jgraph"
    jg.save(path, model, run.train_state.params, run.train_state.model_state)
    loaded, params, state = jg.load(path, allow=[nn.LayerNorm])
    again = loaded.predict(params, state, test[0])["digit"]
    assert jnp.array_equal(again, trainer.predict(run.train_state, test[0])["digit"])
    print(f"saved as {path}, and loaded again: the same predictions")
    return logs


if __name__ == "__main__":
    main()
