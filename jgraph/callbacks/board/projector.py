"""Points for TensorBoard's Projector: embedding tables, and what any node makes of a fixed sample."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jgraph.callbacks.board.sample import Part, are_images, check_sample
from jgraph.callbacks.monitor import check_count
from jgraph.core.find import node_at, nodes_at
from jgraph.draw.pixels import as_images
from jgraph.draw.png import png
from jgraph.errors import ArgumentError, DataError, ShapeError
from jgraph.storage.projector_files import Snapshot, Sprite
from jgraph.tree import read
from jgraph.typing import PyTree

LARGEST_SPRITE = 8192
"""The pixels, each way, that browsers take."""

Column = Sequence[Any] | np.ndarray
Columns = Column | Mapping[str, Column]
"""One word for each point, or several columns of them by name."""


@dataclasses.dataclass(frozen=True, eq=False)
class Projector:
    """A node whose points the Projector shows, a snapshot every few epochs.

    With `inputs`, rows as `predict` takes them, the points are what the node makes of each of them, flat; `call` says
    which call of a layer that has several. Without, the node is an `Embedding` and its table is shown, a point for each
    index. `metadata` are labels, one for each point, or columns of them by name; `images` [points, height, width, 1, 3
    or 4] are small pictures that stand for the points.

    Raises:
        ArgumentError: a field has a value that it cannot have.

    >>> import jgraph as jg
    >>> jg.callbacks.Projector("embedding", every_epochs=5, metadata=["the", "a", "of"]).every_epochs
    5
    """

    node: str
    inputs: PyTree = None
    call: int | None = dataclasses.field(default=None, kw_only=True)
    every_epochs: int = dataclasses.field(default=1, kw_only=True)
    metadata: Columns | None = dataclasses.field(default=None, kw_only=True)
    images: Any = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_count("Projector", "every_epochs", self.every_epochs, least=1)
        if not isinstance(self.node, str) or not self.node:
            got, cure = repr(self.node), "Write Projector('embedding'), for example."
            raise ArgumentError("Projector, node", expected="the path of a node", got=got, cure=cure)
        if self.call is not None:
            check_count("Projector", "call", self.call)
        if not all(isinstance(column, Sequence | np.ndarray) for column in _columns(self.metadata).values()):
            raise ArgumentError(
                "Projector, metadata",
                expected="a list, or a dict of lists, with a value for each point",
                got=repr(self.metadata)[:80],
                cure="Write metadata=['the', 'a', 'of'].",
            )
        if self.images is not None and not are_images(np.shape(self.images)):
            raise ArgumentError(
                "Projector, images",
                expected="an array [points, height, width, 1, 3 or 4]",
                got=f"the shape {np.shape(self.images)}",
                cure="Give a small image for each point.",
            )

    def check(self, model: Any) -> None:
        """Checks that the node is there, and that what belongs to the points is one for each of them.

        Raises:
            PathError: there is no such node; the nearest is suggested. ShapeError: its outputs have no rows.
            ArgumentError: without inputs, it has no table. DataError: metadata or images are not one for each point.
        """
        where = f"TensorBoard, projector, {self.node!r}"
        points = self._table_size(where, model) if self.inputs is None else self._rows(where, model)
        given = {f"metadata, {name}": len(column) for name, column in _columns(self.metadata).items()}
        given |= {"images": len(self.images)} if self.images is not None else {}
        for name, number in given.items():
            if number != points:
                got, cure = f"{number} for {points} points", "Give one for each point, in their order."
                raise DataError(f"{where}, {name}", expected="one for each point", got=got, cure=cure)

    def _table_size(self, where: str, model: Any) -> int:
        node = nodes_at(model, self.node, "projector")[0][1]
        table = node.inference.params.get("embeddings")
        if table is None or len(table.shape) != 2:
            raise ArgumentError(
                where,
                expected="an Embedding, whose table is shown where no inputs are given",
                got=repr(node.layer),
                cure="Give Projector the inputs whose outputs at this node are to be shown.",
            )
        return table.shape[0]

    def _rows(self, where: str, model: Any) -> int:
        node = node_at(model, self.node, self.call, "projector")[1]
        if len(outputs := node.inference.outputs) != 1 or len(outputs[0].shape) < 2:
            raise ShapeError(
                where,
                expected="a node with one output of at least two axes",
                got=", ".join(str(spec.shape) for spec in outputs),
                cure="Name a node that gives a vector for each row.",
            )
        return check_sample(where, model, self.inputs)

    def snapshot(self, trainer: Any, train_state: Any, epoch: int) -> Snapshot:
        """The points after an epoch."""
        if self.inputs is None:
            values = read(train_state.params, self.node.split("/"))["embeddings"]
        else:
            values = self._part(trainer, train_state, self.inputs, self.node, self.call)
        values = np.asarray(values, np.float32)
        name = f"{self.node}{'' if self.call is None else f' call {self.call}'} epoch {epoch + 1:04d}"
        return Snapshot(name, values.reshape(len(values), -1), _table(_columns(self.metadata)), self._sprite)

    @functools.cached_property
    def _part(self) -> Part:
        return Part()

    @functools.cached_property
    def _sprite(self) -> Sprite | None:
        """All images in one, row by row, as many in a row as there are rows, smaller where that is too large."""
        if self.images is None:
            return None
        images = as_images(np.asarray(self.images))
        across = math.ceil(math.sqrt(len(images)))
        step = math.ceil(across * max(images.shape[1:3]) / LARGEST_SPRITE)
        images = images[:, ::step, ::step]
        height, width = images.shape[1:3]
        canvas = np.full((across * height, across * width, 3), 255, np.uint8)
        for place, image in enumerate(images):
            top, left = place // across * height, place % across * width
            canvas[top : top + height, left : left + width] = image
        return Sprite(png(canvas), height, width)


def _columns(metadata: Columns | None) -> dict[str, Column]:
    if metadata is None:
        return {}
    return dict(metadata) if isinstance(metadata, Mapping) else {"label": metadata}


def _table(columns: Mapping[str, Column]) -> str:
    """The lines of a table. The Projector takes a first line for names only where there are several columns."""
    lines = [tuple(columns)] if len(columns) > 1 else []
    lines += list(zip(*columns.values(), strict=True))
    return "".join("\t".join(_word(value) for value in line) + "\n" for line in lines)


def _word(value: Any) -> str:
    """A value on one line; an empty one would be no line at all."""
    return " ".join(str(value).split()) or "-"
