"""Families for the tests of the layers' benchmark: one that is right, one whose plain side is not, one that dies."""

import os
from typing import Any

import jgraph as jg
from scripts.layer_speed.family import Family, Work


def twice(batch: int, factor: float = 2.0) -> Work:
    """`2 x`, against `factor * x`."""
    layer = jg.layers.Rescaling(2.0)
    return Work(layer, (batch, 3), lambda params, x: factor * x, lambda torch, tensor, params: ([], lambda x: 2 * x))


def thrice(batch: int) -> Work:
    """`2 x`, against `3 x`."""
    return twice(batch, 3.0)


def deadly(batch: int) -> Work:
    """Ends the process."""

    def plain(params: Any, x: Any) -> Any:
        del params, x
        os._exit(1)

    return Work(jg.layers.Rescaling(2.0), (batch, 3), plain)


def families() -> list[Family]:
    """Both sizes of each."""
    sizes = {"batch": (1, 4)}
    return [Family("twice", sizes, twice), Family("thrice", sizes, thrice), Family("deadly", sizes, deadly)]
