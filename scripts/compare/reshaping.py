"""The cases of layers that move, take, add or repeat elements, and of those that interpolate.

Shapes and amounts are multiplied out for each rank, and for `Resizing` also interpolations, ratios and antialiasing;
dtypes take turns.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

Case = tuple[str, dict[str, Any], tuple, dict[str, Any]]
Shapes = dict[int, tuple[tuple[int, ...], ...]]

SPACES: Shapes = {
    1: ((2, 9, 3), (1, 7, 1), (3, 8, 2)),
    2: ((2, 8, 7, 3), (1, 9, 8, 1)),
    3: ((2, 7, 8, 7, 2), (1, 9, 7, 8, 1)),
}
"""Inputs that are larger than all that is cropped below."""

ENDS: dict[int, tuple[Any, ...]] = {
    1: (0, 1, 2, 3, (0, 0), (0, 2), (3, 0), (1, 4)),
    2: (0, 2, *itertools.product((0, 1, 3), repeat=2), ((0, 1), (2, 0)), ((3, 2), (0, 0)), ((1, 0), 2), (0, (0, 4))),
    3: (0, 1, (1, 2, 0), (0, 0, 3), ((0, 1), 2, (2, 0)), *itertools.product(((0, 0), (1, 2)), repeat=3)),
}
"""What is cropped or padded. Each of the ends of three axes is 0 and not, alone and with others."""

TIMES: dict[int, tuple[Any, ...]] = {1: (1, 2, 3, 5), 2: (1, 2, 3, (1, 4), (3, 2)), 3: (1, 2, (1, 2, 3), (3, 1, 2))}

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")

RATIOS: tuple[dict[str, Any], ...] = (
    {},
    {"crop_to_aspect_ratio": True},
    {"pad_to_aspect_ratio": True},
    {"pad_to_aspect_ratio": True, "fill_value": -1.5},
)

PICTURES = ((2, 8, 7, 3), (1, 5, 12, 1), (2, 11, 4, 2))

TARGETS = ((8, 7), (1, 1), (3, 9), (16, 5), (4, 4))


def cases() -> list[Case]:
    """The full product of the options of each layer."""
    return [*shapes(), *(case for rank in (1, 2, 3) for case in (*borders(rank), *repeated(rank))), *resized()]


def shapes() -> Iterator[Case]:
    """What moves elements, and repeats rows."""
    for shape in ((3,), (3, 4), (2, 6, 4), (2, 3, 4, 5), (1, 2, 3, 2, 2)):
        yield "Flatten", {}, (numbers(shape),), {}
        yield "Flatten", {}, (integers(shape),), {"gradients": False}
    for shape in ((2, 24), (2, 6, 4), (1, 2, 3, 4)):
        for target in ((24,), (-1,), (4, 6), (4, -1), (2, -1, 3), (-1, 1), (1, 24, 1), (2, 2, 2, 3), (3, 2, 2, -1)):
            yield "Reshape", {"target_shape": target}, (numbers(shape),), {"train": shape[0] == 1}
    for rank in (1, 2, 3, 4):
        for dims in itertools.permutations(range(1, rank + 1)):
            yield "Permute", {"dims": dims}, (numbers((2, 3, 2, 4, 5)[: rank + 1]),), {}
    for n, shape in itertools.product((1, 2, 5), ((2, 3), (1, 1), (4, 2))):
        yield "RepeatVector", {"n": n}, (numbers(shape),), {}


def borders(rank: int) -> Iterator[Case]:
    """What takes from and adds to both ends."""
    for i, (ends, shape) in enumerate(itertools.product(ENDS[rank], SPACES[rank])):
        for name, field in (("Cropping", "cropping"), ("ZeroPadding", "padding")):
            yield f"{name}{rank}D", {field: ends}, (numbers(shape),), {"train": i % 2 == 1}
            if i % 4 == 0:
                yield f"{name}{rank}D", {field: ends}, (integers(shape),), {"gradients": False}


def repeated(rank: int) -> Iterator[Case]:
    """Up-sampling, of pictures by all interpolations."""
    kinds: list[dict[str, Any]] = [{"interpolation": kind} for kind in INTERPOLATIONS] if rank == 2 else [{}]
    for kind, times, shape in itertools.product(kinds, TIMES[rank], SPACES[rank]):
        yield f"UpSampling{rank}D", {"size": times, **kind}, (numbers(shape),), {}
        if times != 1:
            yield f"UpSampling{rank}D", {"size": times, **kind}, (integers(shape),), {"gradients": False}


def resized() -> Iterator[Case]:
    """Pictures in other sizes; every third one also of bytes or integers."""
    options = itertools.product(TARGETS, PICTURES, INTERPOLATIONS, RATIOS, (False, True))
    for i, ((height, width), shape, interpolation, ratio, antialias) in enumerate(options):
        config = {"height": height, "width": width, "interpolation": interpolation, **ratio, "antialias": antialias}
        yield "Resizing", config, (numbers(shape),), {"train": i % 2 == 1}
        if i % 3 == 0:
            pixels = (integers(shape) % 256).astype("uint8") if i % 2 else integers(shape)
            yield "Resizing", config, (pixels,), {"gradients": False}


def numbers(shape: tuple[int, ...]) -> np.ndarray:
    """Floating-point numbers of both signs, seeded by the shape."""
    return np.random.default_rng(math.prod(shape)).normal(size=shape).astype("float32")


def integers(shape: tuple[int, ...]) -> np.ndarray:
    """Integers of both signs, seeded by the shape."""
    return np.random.default_rng(math.prod(shape)).integers(-300, 300, shape).astype("int32")
