"""Pictures for TensorBoard's Images page, made of a fixed sample."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jgraph.callbacks.board.sample import Part, are_images, check_sample, images_among
from jgraph.callbacks.monitor import check_count
from jgraph.core.lookups import check_range
from jgraph.draw.pixels import as_images, grid, matrix
from jgraph.draw.png import png
from jgraph.errors import ArgumentError, DataError, check_flag, check_text, nearest
from jgraph.storage.messages import Picture
from jgraph.train.objective import LINK_FUNCTIONS, Target
from jgraph.tree import leaves_with_names, read
from jgraph.typing import PyTree


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Images:
    """Pictures of a fixed sample: its inputs, and every few epochs kernels, predictions and a confusion matrix.

    `inputs` are a few rows as `predict` takes them, `targets` those of one output, if they are to be shown too. Of the
    rows, the first `most` are shown; the confusion matrix counts all of them, so it is that of the validation data if
    these are given. `input` names the input that is images, `output` what is predicted; without them it is the first.
    `classes` are the names of the classes, in order.

    Predictions have captions: the likeliest class, its probability, and the true one. An output that is images is shown
    as such, any other as numbers. `kernels` are those of the first convolution on images.

    Raises:
        ArgumentError: a field has a value that it cannot have.

    >>> import jgraph as jg, numpy as np
    >>> images = jg.callbacks.Images(inputs=np.zeros((16, 28, 28, 1)), classes=("cat", "dog"), every_epochs=5)
    >>> images.every_epochs
    5
    """

    inputs: PyTree
    targets: Any = None
    every_epochs: int = 1
    most: int = 16
    input: str | None = None
    output: str | None = None
    classes: tuple[str, ...] | None = None
    kernels: bool = True

    def __post_init__(self) -> None:
        check_count("Images", "every_epochs", self.every_epochs, least=1)
        check_count("Images", "most", self.most, least=1)
        check_flag("Images", kernels=self.kernels)
        check_text("Images", **{n: v for n in ("input", "output") if (v := getattr(self, n)) is not None})
        if self.classes is not None:
            fine = isinstance(self.classes, list | tuple) and all(isinstance(c, str) for c in self.classes)
            if not fine or not self.classes:
                got, cure = repr(self.classes)[:80], "Write classes=('cat', 'dog')."
                raise ArgumentError("Images, classes", expected="names, one for each class", got=got, cure=cure)
            object.__setattr__(self, "classes", tuple(self.classes))

    def check(self, trainer: Any) -> None:
        """Checks that the sample fits the model, and what is to be shown of it.

        Raises:
            ArgumentError: there are no images, no such output, or names for other classes.
            DataError: targets are not one for each row, or no classes. All errors of `predict`.
        """
        where, model = "TensorBoard, images", trainer.model
        rows = check_sample(where, model, self.inputs)
        images_among(where, model, self.inputs, self.input)
        target = self._target(trainer)[1]
        if self.targets is not None and len(np.asarray(self.targets)) != rows:
            got, cure = f"{len(np.asarray(self.targets))} for {rows} rows", "Give those of the same rows."
            raise DataError(f"{where}, targets", expected="one for each row", got=got, cure=cure)
        number = classes_of(target)
        if self.targets is not None and number:
            check_range(f"{where}, targets", _labels(np.asarray(self.targets), number), 0, number - 1, "classes")
        if self.classes is not None and len(self.classes) != number:
            raise ArgumentError(
                f"{where}, classes",
                expected=f"{number} names" if number else f"no classes, as {target.name!r} has none",
                got=f"{len(self.classes)} of them",
                cure="Name each class once, in the order of the output, or leave them out.",
            )

    def pictures_of_inputs(self, model: Any) -> dict[str, Picture]:
        """The sample itself."""
        return {"inputs": _picture(grid(self._shown(model)))}

    def pictures(self, trainer: Any, train_state: Any) -> dict[str, Picture]:
        """What the model makes of the sample, and its first kernels."""
        made = dict(self._kernel_pictures(trainer.model, train_state.params))
        place, target = self._target(trainer)
        values = np.asarray(jax.tree.leaves(self._part(trainer, train_state, self.inputs, None, None))[place])
        if are_images(values.shape):
            return made | {"predictions": _picture(grid(as_images(values[: self.most])))}
        link = target.loss.link if target.loss is not None and target.linear else None
        values = np.asarray(LINK_FUNCTIONS[link](values)) if link else values
        number = classes_of(target)
        truths = None if self.targets is None else np.asarray(self.targets)
        if number:
            names = self.classes or tuple(str(n) for n in range(number))
            values = (
                np.concatenate([1 - (v := values.reshape(-1, 1)), v], axis=1)
                if number == 2 != values.shape[-1]
                else values
            )
            truths = None if truths is None else _labels(truths, number)
            captions = _class_captions(values, truths, names)
            if truths is not None:
                made["confusion"] = _picture(matrix(_confusion(truths, values.argmax(-1), number), names))
        else:
            captions = _number_captions(values, truths)
        return made | {"predictions": _picture(grid(self._shown(trainer.model), captions[: self.most]))}

    @functools.cached_property
    def _part(self) -> Part:
        return Part()

    def _shown(self, model: Any) -> np.ndarray:
        return as_images(images_among("TensorBoard, images", model, self.inputs, self.input)[: self.most])

    def _target(self, trainer: Any) -> tuple[int, Target]:
        """The output that is shown, with its place among the outputs.

        Raises:
            ArgumentError: there is none of this name.
        """
        targets = trainer.objective.targets
        for place, target in enumerate(targets):
            if self.output in (None, target.name):
                return place, target
        names = [target.name for target in targets]
        raise ArgumentError(
            "TensorBoard, images, output",
            expected=f"one of {', '.join(map(repr, names))}",
            got=repr(self.output),
            cure=f"{nearest(self.output, names)}Name an output of the model.",
        )

    def _kernel_pictures(self, model: Any, params: PyTree) -> Iterator[tuple[str, Picture]]:
        """The kernels of the first layer that has some on images, each stretched by itself."""
        for node in model.nodes if self.kernels else ():
            for name, leaf in leaves_with_names(read(params, node.names)):
                if leaf.ndim == 4 and leaf.shape[2] in (1, 3, 4) and leaf.shape[0] > 1 and leaf.shape[3] > 1:
                    kernels = np.moveaxis(np.asarray(leaf, np.float32), -1, 0)
                    yield f"kernels/{node.path}/{name}", _picture(grid(as_images(kernels, each=True), smallest=42))
                    return


def classes_of(target: Target) -> int:
    """How many classes an output tells apart; 0 where it does not."""
    size = target.spec.shape[-1] if len(target.spec.shape) == 2 else 1
    link = target.loss.link if target.loss is not None else None
    if link == "softmax" and len(target.spec.shape) == 2 and isinstance(size, int):
        return size
    return 2 if link == "sigmoid" and len(target.spec.shape) <= 2 and size == 1 else 0


def _confusion(truths: np.ndarray, found: np.ndarray, number: int) -> np.ndarray:
    """How often each class, by row, was taken for each, by column."""
    counts = np.zeros((number, number), int)
    np.add.at(counts, (truths, found), 1)
    return counts


def _labels(truths: np.ndarray, number: int) -> np.ndarray:
    """Targets as numbers of classes: they may be one-hot, or 0 and 1 in a column."""
    whole = truths.reshape(len(truths), -1)
    return (whole.argmax(-1) if whole.shape[1] == number > 1 else whole[:, 0]).astype(np.int32)


def _class_captions(values: np.ndarray, truths: np.ndarray | None, names: Sequence[str]) -> list[list[str]]:
    found = values.argmax(-1)
    captions = [[f"{names[f]} {100 * v[f]:.0f}%"] for f, v in zip(found, values, strict=True)]
    if truths is None:
        return captions
    said = ["right" if f == t else f"is {names[t]}" for f, t in zip(found, truths, strict=True)]
    return [[*caption, word] for caption, word in zip(captions, said, strict=True)]


def _number_captions(values: np.ndarray, truths: np.ndarray | None) -> list[list[str]]:
    def shown(row: np.ndarray) -> str:
        numbers = np.ravel(row)
        return " ".join(f"{n:.3g}" for n in numbers[:3]) + " .." * (len(numbers) > 3)

    if truths is None:
        return [[shown(row)] for row in values]
    return [[shown(row), f"is {shown(truth)}"] for row, truth in zip(values, truths, strict=True)]


def _picture(pixels: np.ndarray) -> Picture:
    return Picture(png(pixels), *pixels.shape[:2])
