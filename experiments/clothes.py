"""Fashion-MNIST for the experiments on pictures: what comes before the networks, and how they are trained.

Zalando's 60,000 + 10,000 grey pictures of clothes, 28 x 28, ten classes (Xiao et al. 2017, MIT licence). 55,000 of them
are trained on and 5,000 held out, by the seed; the published 10,000 test pictures are looked at once, at the end.
"""

import argparse
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import jgraph as jg
from experiments.common import ended, options, tell, watchers
from experiments.data import CLOTHES, fashion_mnist, held_out

Arrays = tuple[np.ndarray, np.ndarray]


def parts(seed: int, rows: int) -> dict[str, Arrays]:
    """Pictures and classes to train on (at most `rows`), to validate and to test."""
    found = fashion_mnist()
    images, classes = found["train"]
    own, held = held_out(len(images), 1 / 12, seed)
    own = own[:rows]
    return {"train": (images[own], classes[own]), "held": (images[held], classes[held]), "test": found["test"]}


def asked(doc: str | None, name: str, words: Any) -> tuple[argparse.Namespace, dict[str, Arrays]]:
    """The options of an experiment on pictures, and its pictures: all of them, or 12,000 to train on."""
    given = options(doc, name, words, epochs=0, batch=128, rate=4e-3, decay=0.05, precision="", rows=0)
    given.epochs = given.epochs or (24 if given.full else 3)
    return given, parts(given.seed, given.rows or (55_000 if given.full else 12_000))


def whole(
    doc: str | None, name: str, model: jg.Model, title: str, published: Mapping[str, str], words: Any
) -> dict[str, float]:
    """Trains one network, tests it, and says what was reached."""
    given, data = asked(doc, name, words)
    print(model.summary())
    reached = tested(*train(model, data, given, given.folder), data)
    tell(given, title, reached, published)
    return reached


def picture() -> tuple[jg.Symbol, jg.Symbol]:
    """A picture of bytes, and what the network sees: numbers around 0, mirrored and shifted while training."""
    image = jg.Input((28, 28, 1), dtype="uint8", name="image")
    shift = jg.layers.RandomTranslation(2 / 28, 2 / 28, fill_mode="constant", interpolation="nearest")
    x = shift(jg.layers.RandomFlip("horizontal")(image))
    return image, jg.layers.Rescaling(1 / (255 * 0.3530), offset=-0.2860 / 0.3530, name="scaled")(x)


def conv(x: jg.Symbol, filters: int, size: int, strides: int = 1) -> jg.Symbol:
    """A convolution, a batch normalisation, a ReLU."""
    x = jg.layers.Conv2D(filters, size, strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return jg.layers.ReLU()(jg.layers.BatchNormalization(momentum=0.9)(x))


def classified(image: jg.Symbol, x: jg.Symbol, name: str) -> jg.Model:
    """The network from the picture to its class."""
    x = jg.layers.Dropout(0.3)(jg.layers.GlobalAveragePooling2D()(x))
    scores = jg.layers.Dense(10, activation="softmax", name="class")(x)
    return jg.Model(image, {"class": scores}, name=name).with_policy(jg.Policy({"class": {"dtype": "float32"}}))


def train(
    model: jg.Model, data: dict[str, Arrays], given: argparse.Namespace, folder: Path
) -> tuple[jg.Trainer, jg.Run]:
    """Trains with AdamW on a cosine, and validates the averages of the params."""
    steps = given.epochs * -(-len(data["train"][0]) // given.batch)
    trainer = jg.Trainer(
        model,
        functools.partial(optax.adamw, weight_decay=given.decay, mask=jg.optimizers.decay_mask),
        learning_rate=optax.warmup_cosine_decay_schedule(0.0, given.rate, steps // 20 + 1, steps + 1),
        loss=jg.losses.SparseCategoricalCrossentropy(),
        metrics="accuracy",
        ema=min(0.998, max(0.0, 1 - 10 / steps)),
        validate_ema=True,
        precision=given.precision or None,
    )
    run = trainer.fit(
        data["train"],
        epochs=given.epochs,
        batch_size=given.batch,
        validation_data=data["held"],
        validation_batch_size=500,
        callbacks=watchers(folder, "val_accuracy"),
        seed=given.seed,
        resume=folder if given.resume else None,
    )
    ended(run)
    run.plot(folder / "curves.png", title=f"{model.name}, seed {given.seed}")
    over_time(run, folder / "accuracy_over_time.png", str(model.name))
    return trainer, run


def tested(trainer: jg.Trainer, run: jg.Run, data: dict[str, Arrays]) -> dict[str, float]:
    """What the averaged params reach on held-out and on test pictures, and what it took."""
    state = run.train_state.averaged()
    held, test = (trainer.evaluate(state, data[part], batch_size=500)["accuracy"] for part in ("held", "test"))
    predicted = trainer.predict(state, data["test"][0], batch_size=500)["class"].argmax(1)
    worst = min(range(10), key=lambda c: float((predicted[data["test"][1] == c] == c).mean()))
    share = float((predicted[data["test"][1] == worst] == worst).mean())
    return {
        "test accuracy": float(test),
        "validation accuracy": float(held),
        f"worst class, {CLOTHES[worst]}": share,
        "million params": sum(leaf.size for leaf in jax.tree.leaves(state.params)) / 1e6,
        "minutes": sum(run.timings["epoch_seconds"]) / 60,
    }


def over_time(run: jg.Run, path: Path, title: str) -> None:
    """Draws the validation accuracy over the minutes of training."""
    minutes = np.cumsum(run.timings["epoch_seconds"]) / 60
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.plot(minutes, run.history["val_accuracy"], marker="o", markersize=3, color="#1f6feb")
    axes.set(title=f"{title}: accuracy on held-out pictures", xlabel="minutes of training", ylabel="accuracy")
    axes.set_ylim(bottom=max(0.0, max(run.history["val_accuracy"]) - 0.1))  # the first epochs are far below
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
