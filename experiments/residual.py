"""A residual network of 20 layers on Fashion-MNIST, beside its plain twin: the same layers without the shortcuts.

Both are trained alike. And before training, the gradients of all convolutions are drawn for both, with and without
batch normalisation: how they vanish on the way back through a plain stack, and how shortcuts keep them.

Data: Fashion-MNIST (see `experiments/clothes.py`). Published: ResNet-18 0.949 (the data set's own table, submitted by
users). Asked: 0.935 within 60 minutes on two cores, with at most 1M parameters.

Reached in the short form (12,000 pictures, 3 epochs, on two busy cores), seed 0: 0.833 (held out 0.839), the plain
twin 0.804 (0.810). The middle gradient before training is 10^-3.3 with shortcuts and 10^-7.1 without, where nothing
is normalised; with batch normalisation it is 10^-2.4 in both, and they do not vanish. The whole form (55,000 pictures,
24 epochs) has not been run yet.

    python -m experiments.residual --help
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jgraph as jg
from experiments.clothes import Arrays, asked, classified, picture, tested, train
from experiments.common import tell

PUBLISHED = {"test accuracy": "0.935 asked; 0.949 (ResNet-18)", "million params": "at most 1", "minutes": "at most 60"}


def convolved(x: jg.Symbol, filters: int, strides: int, norm: bool, size: int = 3) -> jg.Symbol:
    """A convolution, normalised or not."""
    x = jg.layers.Conv2D(filters, size, strides, padding="same", use_bias=not norm)(x)
    return jg.layers.BatchNormalization(momentum=0.9)(x) if norm else x


def block(x: jg.Symbol, filters: int, strides: int, shortcut: bool, norm: bool) -> jg.Symbol:
    """Two convolutions, and around them a shortcut, or none (He et al. 2016)."""
    y = jg.layers.ReLU()(convolved(x, filters, strides, norm))
    y = convolved(y, filters, 1, norm)
    if shortcut:
        x = x if strides == 1 else convolved(x, filters, strides, norm, size=1)
        y = jg.layers.add([x, y])
    return jg.layers.ReLU()(y)


def draw(shortcut: bool = True, norm: bool = True) -> jg.Model:
    """A stem, nine blocks of two convolutions on two scales, and the class: 20 layers with weights."""
    image, x = picture()
    x = jg.layers.ReLU()(convolved(x, 32, 2, norm))  # 14 x 14
    for filters, strides in [(32, 1)] * 4 + [(64, 2)] + [(64, 1)] * 4:
        x = block(x, filters, strides, shortcut, norm)
    return classified(image, x, "residual" if shortcut else "plain")


def gradients(model: jg.Model, seed: int, batch: Arrays) -> list[np.ndarray]:
    """The gradients of the windows of 3 x 3 before any training, from the first layer to the last."""
    params, state = model.init(jax.random.key(seed))

    def loss(params: Any) -> Any:
        outputs, _ = model.apply(params, state, batch[0], train=True, key=jax.random.key(seed))
        scores = jnp.log(outputs["class"])
        return optax.softmax_cross_entropy_with_integer_labels(scores, batch[1]).mean()

    found = jax.jit(jax.grad(loss))(params)
    paths = [n.path for n in model.nodes if "kernel" in found.get(n.path, {}) and found[n.path]["kernel"].ndim == 4]
    kernels = [found[path]["kernel"] for path in paths]
    return [np.asarray(kernel).ravel() for kernel in kernels if kernel.shape[0] == 3]


def compare(batch: Arrays, seed: int, path: Path) -> dict[str, float]:
    """Draws the gradients of both twins, with and without norms; the size in the middle of each."""
    figure, panels = plt.subplots(2, 2, figsize=(9, 6), sharex=True, sharey=True, layout="constrained")
    edges, middle = np.linspace(-10, 0, 61), {}
    for row, norm in zip(panels, (False, True), strict=True):
        for axes, shortcut in zip(row, (False, True), strict=True):
            found = gradients(draw(shortcut, norm), seed, batch)
            sizes = [np.log10(np.abs(kernel) + 1e-12) for kernel in found]
            counts = np.stack([np.histogram(size, edges)[0] / len(size) for size in sizes])
            axes.pcolormesh(np.arange(len(sizes) + 1) + 0.5, edges, counts.T, cmap="Blues", rasterized=True)
            axes.plot(np.arange(len(sizes)) + 1, [np.median(size) for size in sizes], color="#d1242f", label="median")
            name = ("residual" if shortcut else "plain") + (", batch normalisation" if norm else ", no normalisation")
            axes.set_title(name, fontsize=10)
            middle[f"log10 of a gradient, {name}"] = float(np.median([np.median(size) for size in sizes]))
    panels[0][0].legend(frameon=False)
    panels[1][0].set_xticks([1, 5, 10, 15, 19])
    figure.supxlabel("convolution, from the picture on")
    figure.supylabel("log10 of the gradient's size")
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return middle


def main(words: Any = None) -> dict[str, float]:
    """Draws the gradients, trains both twins, tests them, and says what was reached."""
    given, data = asked(__doc__, "residual", words)
    given.folder.mkdir(parents=True, exist_ok=True)
    reached = compare((data["train"][0][:256], data["train"][1][:256]), given.seed, given.folder / "gradients.png")
    twins = {}
    for shortcut in (True, False):
        model = draw(shortcut)
        folder = given.folder / model.name
        twins[model.name] = tested(*train(model, data, given, folder), data)
    plain = {f"plain twin, {name}": value for name, value in twins["plain"].items()}
    reached = {**twins["residual"], **plain, **reached}
    tell(given, "A residual network on Fashion-MNIST", reached, PUBLISHED)
    return reached


if __name__ == "__main__":
    main()
