"""The curves of a run as one value: shown by a notebook, or written into a file."""

import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import Any

from jgraph.draw.curves import check_history, curves, draw_curves
from jgraph.draw.panels import History


@dataclasses.dataclass(frozen=True, repr=False)
class RunPicture:
    """A history to look at. A notebook shows it, `svg` is a text, and `save` writes a PNG, SVG or PDF.

    `best` is a log's name and its best epoch, counted from 0; `logs` are those that are shown (`None`: all), and
    `events` those of the run, of which decisions are marked.

    Raises:
        ArgumentError: there is no epoch, logs of unequal length, or `logs` or a best epoch that are none.

    >>> picture = RunPicture({"loss": [0.5, 0.25], "val_loss": [0.5, 0.375]})
    >>> picture
    RunPicture(2 epochs, 2 logs)
    >>> "</svg>" in picture.svg
    True
    """

    history: History
    best: tuple[str, int] | None = None
    stopped: str | None = None
    title: str = ""
    logs: Sequence[str] | None = None
    events: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_history(self.history, self.best, self.logs)

    @functools.cached_property
    def svg(self) -> str:
        """The picture as a document of SVG.

        Raises:
            ArgumentError: there is no matplotlib.
        """
        return curves(".svg", self.history, **self._words()).decode()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the picture as PNG, SVG or PDF, by the path's ending.

        Raises:
            ArgumentError: another ending, or no matplotlib.
            WriteError: the file cannot be written.
        """
        draw_curves(path, self.history, **self._words())

    def _words(self) -> dict[str, Any]:
        names = ("best", "stopped", "title", "logs", "events")
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        epochs = max(map(len, self.history.values()), default=0)
        logs = len(self.history)
        return f"RunPicture({epochs} epoch{'s' * (epochs != 1)}, {logs} log{'s' * (logs != 1)})"

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        return self.svg
