"""The picture of a model as one value: text of SVG, Graphviz and Mermaid, a file, or shown in a notebook."""

import dataclasses
import functools
import os
from pathlib import Path

from jgraph.draw.diagram import Diagram
from jgraph.draw.dot import dot
from jgraph.draw.files import write
from jgraph.draw.mermaid import mermaid
from jgraph.draw.paper import png
from jgraph.draw.scene import draw_scene
from jgraph.draw.shapes import Scene
from jgraph.draw.svg import svg
from jgraph.errors import ArgumentError, check_path, listing, nearest

ENDINGS = (".svg", ".png", ".dot", ".mmd")


@dataclasses.dataclass(frozen=True, repr=False)
class Picture:
    """A diagram to look at. A notebook shows it; `svg`, `dot` and `mermaid` are texts, and `save` writes a file.

    >>> import jgraph as jg
    >>> model = jg.Sequential([jg.Input((4,), name="x"), jg.layers.Dense(3)], name="small")
    >>> picture = model.plot()
    >>> picture
    Picture('small', 3 boxes, 2 links)
    >>> picture.svg[:4], picture.dot[:7], picture.mermaid[:3]
    ('<svg', 'digraph', '---')
    """

    diagram: Diagram
    dpi: int = 200

    @functools.cached_property
    def scene(self) -> Scene:
        """Everything laid out; what is drawn."""
        return draw_scene(self.diagram)

    @functools.cached_property
    def svg(self) -> str:
        """The picture as a document of SVG."""
        return svg(self.scene)

    @property
    def dot(self) -> str:
        """The graph in the language of Graphviz."""
        return dot(self.diagram)

    @property
    def mermaid(self) -> str:
        """The graph as a flowchart of Mermaid."""
        return mermaid(self.diagram)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the picture as SVG, PNG, Graphviz (`.dot`) or Mermaid (`.mmd`), by the path's ending.

        A PNG of more than 80 million pixels gets fewer dots per inch.

        Raises:
            ArgumentError: another ending, or a PNG without matplotlib.
            WriteError: the file cannot be written.
        """
        ending, place = check_ending(path), Path(path)
        if ending == ".png":
            write(place, png(self.scene, self.dpi, "plot, path"))
        else:
            text = {".svg": lambda: self.svg, ".dot": lambda: self.dot, ".mmd": lambda: self.mermaid}[ending]()
            write(place, text.encode())

    def __repr__(self) -> str:
        diagram = self.diagram
        return f"Picture({diagram.title!r}, {len(diagram.boxes)} boxes, {len(diagram.links)} links)"

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        return self.svg


def check_ending(path: str | os.PathLike[str]) -> str:
    """The ending of a path, in small letters.

    Raises:
        ArgumentError: no picture of a model has that ending.
    """
    check_path("plot, path", path)
    name = os.fspath(path)
    ending = Path(name).suffix.lower()
    if ending not in ENDINGS:
        cure = f"{nearest(ending, ENDINGS)}Write 'model.svg', for example."
        raise ArgumentError("plot, path", expected=f"an ending among {listing(ENDINGS)}", got=repr(name), cure=cure)
    return ending
