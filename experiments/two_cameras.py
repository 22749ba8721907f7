"""Two cameras and one vision model, called twice, against a vision model for each camera, over the number of pairs.

Each camera sees one item of clothing. The model says what either is (10 classes) and whether both are of one class.
What a shared tower learns from one camera holds for the other, while a tower of its own sees the pictures of its own
camera alone. Two sizes are compared with it: `apart` has two towers as large as the shared one, so nearly twice the
params in all, and `narrow` has two of 9/16 of the width, so as many params in all. Each makes 800 updates of 64 pairs
at the same rates, however many pairs there are, and keeps its best epoch; in each update the shared tower is shown all
128 pictures, and the others 64 each.

Data: pairs are MADE of Fashion-MNIST (Zalando, MIT licence) by `make_pairs`, half of them of one class; each camera
shifts by up to 4 pixels, brightens or darkens and adds noise, by itself. Validation, on which all was chosen, is of
5,000 held-out training pictures, the test of the 10,000 test pictures. Published: nothing.

Reached on test pairs, in % wrong, means of seeds 0 to 2, with 500, 1,000, 2,000 and 4,000 training pairs: of the class
shared 25.3, 24.5, 24.1, 24.2, apart 28.0, 26.7, 25.9, 25.4, narrow 29.1, 27.7, 26.7, 26.5; of the same class shared
18.2, 15.6, 15.1, 14.6, apart 20.4, 17.4, 16.5, 16.0, narrow 20.2, 18.1, 17.4, 17.3 ("yes": 45).

    python -m experiments.two_cameras --help
"""

from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import jgraph as jg
from experiments import common, data

KINDS = {"shared": (16, True), "apart": (16, False), "narrow": (9, False)}
"""Width of the towers, and whether there is but one."""
LOSSES = {
    "one": "sparse_categorical_crossentropy",
    "other": "sparse_categorical_crossentropy",
    "same": "binary_crossentropy",
}
SHOWN = {"class": "what either is", "same": "whether both are of one class"}


def photograph(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """What a camera sees of items [rows, 28, 28, 1]: shifted, of another brightness, with noise."""
    across, down = random.integers(0, 9, (2, len(images), 1, 1))
    padded, pixels = np.pad(images[..., 0], ((0, 0), (4, 4), (4, 4))), np.arange(28)
    views = padded[np.arange(len(images))[:, None, None], down + pixels[:, None], across + pixels]
    views = views * random.uniform(0.6, 1.2, (len(images), 1, 1)) + random.normal(0.0, 20.0, views.shape)
    return np.clip(views, 0, 255).astype(np.uint8)[..., None]


def make_pairs(images: np.ndarray, classes: np.ndarray, count: int, seed: int) -> tuple[dict, dict]:
    """`count` pairs of items as both cameras see them, at least half of them of one class: (inputs, targets)."""
    random = np.random.default_rng(seed)
    one, other = random.integers(len(images), size=(2, count))
    by_class = [np.flatnonzero(classes == number) for number in range(10)]
    other[::2] = [random.choice(by_class[number]) for number in classes[one[::2]]]
    inputs = {"left": photograph(images[one], random), "right": photograph(images[other], random)}
    same = (classes[one] == classes[other]).astype(np.float32)
    return inputs, {"one": classes[one], "other": classes[other], "same": same}


def draw_tower(width: int, name: str) -> jg.Model:
    """A picture of bytes as 64 features; mirrored and shifted once more while training."""
    view = jg.Input((28, 28, 1), dtype="uint8", name="view")
    shift = jg.layers.RandomTranslation(3 / 28, 3 / 28, fill_mode="constant", interpolation="nearest")
    x = shift(jg.layers.RandomFlip("horizontal")(view))
    x = jg.layers.Rescaling(1 / 127.5, offset=-1.0)(x)
    for filters in (width, 2 * width, 4 * width):
        x = jg.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = jg.layers.ReLU()(jg.layers.BatchNormalization(momentum=0.9)(x))
    x = jg.layers.Dropout(0.3)(jg.layers.Flatten()(x))
    return jg.Model(view, jg.layers.Dense(64, activation="relu", name="features")(x), name=name)


def draw(kind: str) -> jg.Model:
    """Both views through one tower and one head, called twice, or through two of each."""
    width, shared = KINDS[kind]
    left, right = (jg.Input((28, 28, 1), dtype="uint8", name=name) for name in ("left", "right"))
    names = ["tower"] if shared else ["first", "second"]
    towers = [draw_tower(width, name) for name in names]
    heads = [jg.layers.Dense(10, activation="softmax", name=f"{name}-class") for name in names]
    a, b = towers[0](left), towers[-1](right)
    both = jg.layers.Dense(32, activation="relu", name="both")(jg.layers.concatenate([a, b, abs(a - b), a * b]))
    outputs = {"one": heads[0](a), "other": heads[-1](b), "same": jg.layers.Dense(1, activation="sigmoid")(both)}
    return jg.Model({"left": left, "right": right}, outputs, name=kind)


def train(kind: str, count: int, parts: dict[str, Any], given: Any) -> dict[str, float]:
    """The errors in % of a model that is trained on the first `count` pairs, and its size."""
    folder: Path = given.folder / f"{kind}-{count}"
    rows = np.resize(np.arange(count), 64 * given.updates)  # an epoch has as many updates for any number of pairs
    trainer = jg.Trainer(
        draw(kind),
        optax.adam,
        learning_rate=optax.cosine_decay_schedule(2e-3, given.epochs * given.updates),
        loss=LOSSES,
        metrics=dict.fromkeys(LOSSES, "accuracy"),
    )
    callbacks = [jg.callbacks.EarlyStopping(patience=given.epochs, restore_best=True), *common.watchers(folder)]
    how = {"epochs": given.epochs, "batch_size": 64, "seed": given.seed, "resume": folder if given.resume else None}
    pairs = jax.tree.map(lambda values: values[rows], parts["train"])
    run = common.ended(trainer.fit(pairs, validation_data=parts["validation"], callbacks=callbacks, **how))
    run.plot(folder / "curves.png", title=f"{kind}, {count} pairs, seed {given.seed}")
    errors = {"params": float(sum(leaf.size for leaf in jax.tree.leaves(run.train_state.params)))}
    for part in ("validation", "test"):
        logs = trainer.evaluate(run.train_state, parts[part], batch_size=500)
        errors[f"class, {part}"] = 100 - 50 * (logs["one/accuracy"] + logs["other/accuracy"])
        errors[f"same, {part}"] = 100 - 100 * logs["same/accuracy"]
    return errors


def plot(errors: dict[tuple[str, int], dict[str, float]], path: Path) -> None:
    """Draws the errors on test pairs over the number of training pairs."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    counts = sorted({count for _, count in errors})
    for axes, (what, title) in zip(panels, SHOWN.items(), strict=True):
        for kind in KINDS:
            axes.plot(counts, [errors[kind, count][f"{what}, test"] for count in counts], marker="o", label=kind)
        axes.set(title=title, xlabel="training pairs", ylabel="% wrong", xscale="log")
        axes.minorticks_off()
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main(words: Any = None) -> dict[str, float]:
    """Trains each kind on each number of pairs; returns the errors in %."""
    given = common.options(__doc__, "two_cameras", words, pairs="", epochs=0, updates=100)
    given.epochs = given.epochs or (8 if given.full else 4)
    counts = [int(n) for n in (given.pairs or ("500,1000,2000,4000" if given.full else "500,1000")).split(",")]
    found = data.fashion_mnist()
    images, classes = found["train"]
    own, held = data.held_out(len(images), 1 / 12, given.seed)
    parts = {"train": make_pairs(images[own], classes[own], max(counts), given.seed)}
    parts["validation"] = make_pairs(images[held], classes[held], 2_000, given.seed + 1)
    parts["test"] = make_pairs(*found["test"], 5_000, given.seed + 2)
    errors = {(kind, count): train(kind, count, parts, given) for count in counts for kind in KINDS}
    plot(errors, given.folder / "pairs.png")
    reached = {kind: errors[kind, max(counts)]["class, test"] for kind in KINDS}
    for (kind, count), wrong in errors.items():
        reached |= {f"{kind}, {count} pairs: {what}": value for what, value in wrong.items()}
    common.tell(given, "Two cameras, % wrong", reached, {})
    return reached


if __name__ == "__main__":
    main()
