"""A fixed sample of inputs, given to a model or to a part of it: what pictures and points are made of."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jgraph.core.feed import bind, match_inputs
from jgraph.core.graph import spec_of
from jgraph.core.model import Model
from jgraph.errors import ArgumentError, DataError
from jgraph.tree import common_rows
from jgraph.typing import PyTree

BATCH = 64
"""The rows of a sample that are computed at once."""


class Part:
    """The outputs of a model, or of one of its nodes, on inputs; each part is cut and compiled once."""

    def __init__(self) -> None:
        self._cut: Callable[..., Model] = functools.cache(_cut)

    def __call__(self, trainer: Any, train_state: Any, inputs: PyTree, path: str | None, call: int | None) -> PyTree:
        """The outputs as NumPy arrays, as after training: no dropout, moving averages as they are."""
        if path is None:
            return trainer.predict(train_state, inputs, batch_size=BATCH)
        part = self._cut(trainer.model, path, call)
        params, state = (part.select(tree, of=trainer.model) for tree in (train_state.params, train_state.model_state))
        return part.predict(params, state, inputs, batch_size=BATCH)


def _cut(model: Model, path: str, call: int | None) -> Model:
    return Model(model.inputs, model.output_of(path, call))


def check_sample(where: str, model: Any, inputs: PyTree) -> int:
    """Checks that a sample fits a model: the number of its rows.

    Raises:
        KeyMismatchError, ShapeError, DTypeError, DataError: it does not.
    """
    arrays = bind(model.graph, inputs, where)
    rows = common_rows({str(place): array for place, array in arrays.items() if array is not None})
    if not rows:
        got, cure = "none, or different numbers of them", "Give a few rows of each input."
        raise DataError(where, expected="the same rows of every input", got=got, cure=cure)
    return rows


def images_among(where: str, model: Any, inputs: PyTree, name: str | None) -> np.ndarray:
    """The input of a sample that is images [rows, height, width, 1, 3 or 4]: that of a name or path, or the first.

    Raises:
        ArgumentError: no input is images, or none of this name.
    """
    given = match_inputs(model.graph, inputs, where)
    seen = [(own, ref, value) for own, ref, value in given if are_images(spec_of(model.graph, ref).shape)]
    found = {model.nodes[ref.node].path: value for _, ref, value in seen}
    known = {**{own: value for own, _, value in seen}, **found}
    if not found or (name is not None and name not in known):
        raise ArgumentError(
            where,
            expected="an input of images [rows, height, width, 1, 3 or 4]" + (f" called {name!r}" if name else ""),
            got=f"those of {', '.join(map(repr, found)) or 'none of the inputs'}",
            cure="Leave the pictures out for this model." if not found else "Name one of these, or none.",
        )
    return np.asarray(known[name] if name is not None else next(iter(found.values())))


def are_images(shape: tuple[Any, ...]) -> bool:
    """Whether arrays of a shape can be shown as images."""
    return len(shape) == 4 and shape[-1] in (1, 3, 4)
