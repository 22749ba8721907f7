"""A model as a picture: what `model.plot` draws, and what a notebook shows of a model."""

import os
from collections.abc import Mapping
from typing import Any

from jgraph.core.diagram import Shown, diagram_of
from jgraph.core.graph import Graph
from jgraph.draw.picture import Picture, check_ending
from jgraph.errors import ArgumentError, check_flag, check_one_of

MOST_BOXES = 400
"""A notebook shows larger models with their nested models as one box each, and still larger ones as text."""


class Pictured:
    """What has a graph, and can be drawn."""

    graph: Graph
    name: str | None

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        show_shapes: bool = True,
        show_dtype: bool = False,
        show_params: bool = True,
        rankdir: str = "TB",
        expand_nested: bool = True,
        dpi: int = 200,
    ) -> Picture:
        """Draws the model: every layer with its output shape and parameters, masks, shared weights, nested models.

        The picture is given back, and a notebook shows it; with a path it is written too: `.svg`, `.png`, `.dot` (for
        Graphviz) or `.mmd` (for Mermaid). It is laid out from top to bottom (`"TB"`) or from left to right (`"LR"`)
        by jgraph itself; only a PNG needs matplotlib. The arguments are called as in Keras' `plot_model`; `dpi` is the
        resolution of a PNG, and a picture that would have more than 80 million pixels gets fewer dots.

        A dashed line is a mask that goes with what is read. Calls that share weights have edges of one colour.

        Raises:
            ArgumentError: another ending, direction or resolution, or a PNG without matplotlib.
            WriteError: the file cannot be written.

        >>> import jgraph as jg
        >>> x = jg.Input((4,), name="x")
        >>> model = jg.Model(x, jg.layers.Dense(3, name="head")(x))
        >>> "(batch, 3)" in model.plot().svg, "(batch, 3)" in model.plot(show_shapes=False).svg
        (True, False)
        """
        flags = {
            "show_shapes": show_shapes,
            "show_dtype": show_dtype,
            "show_params": show_params,
            "expand_nested": expand_nested,
        }
        _check(flags, rankdir, dpi)
        if path is not None:
            check_ending(path)
        picture = Picture(diagram_of(self.graph, self.name or "Model", Shown(**flags), rankdir), dpi)
        if path is not None:
            picture.save(path)
        return picture

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the picture, of a large model without what is in its nested models, or the text."""
        del include, exclude
        texts = {"text/plain": repr(self)}
        for expand_nested in (True, False):
            picture = self.plot(expand_nested=expand_nested)
            if len(picture.diagram.boxes) <= MOST_BOXES:
                return {**texts, "image/svg+xml": picture.svg}
        return texts


def _check(flags: Mapping[str, Any], rankdir: Any, dpi: Any) -> None:
    check_flag("plot", **flags)
    cure = "Write 'TB' for from top to bottom, 'LR' for from left to right."
    check_one_of("plot", "rankdir", rankdir, ("TB", "LR"), cure)
    if isinstance(dpi, bool) or not isinstance(dpi, int) or not 1 <= dpi <= 2400:
        raise ArgumentError("plot, dpi", expected="an integer from 1 to 2400", got=repr(dpi), cure="Write dpi=200.")
