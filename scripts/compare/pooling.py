"""The cases of pooling: the largest and the mean, of windows and of whole axes.

Sizes, strides, paddings and shapes are multiplied out for each rank; integers are pooled too, and steps are masked.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

Case = tuple[str, dict[str, Any], tuple, dict[str, Any]]
Shapes = dict[int, tuple[tuple[int, ...], ...]]

KINDS = ("MaxPooling", "AveragePooling")

SHAPES: Shapes = {
    1: ((2, 9, 3), (1, 12, 1), (3, 5, 2)),
    2: ((2, 7, 6, 3), (1, 3, 10, 1)),
    3: ((2, 4, 5, 3, 2), (1, 3, 3, 7, 1)),
}
"""Inputs that hold every window below."""

SHORT: Shapes = {1: ((2, 1, 3), (1, 2, 2)), 2: ((2, 1, 2, 3),), 3: ((1, 2, 1, 2, 2),)}
"""Inputs that are shorter than windows, which `same` allows."""

SIZES: dict[int, tuple[Any, ...]] = {
    1: (1, 2, 3, (5,)),
    2: (1, 2, 3, (1, 3), (3, 2)),
    3: (2, 3, (1, 2, 3), (3, 1, 2)),
}

STRIDES: dict[int, tuple[Any, ...]] = {
    1: (None, 1, 2, (4,)),
    2: (None, 1, 3, (2, 1)),
    3: (None, 1, (2, 1, 3)),
}


def cases() -> list[Case]:
    """The full product of the options of each layer."""
    return [*itertools.chain.from_iterable((*windows(rank), *wholes(rank)) for rank in (1, 2, 3)), *masked()]


def windows(rank: int) -> Iterator[Case]:
    """Pooling of windows."""
    paddings = [("valid", shape) for shape in SHAPES[rank]]
    paddings += [("same", shape) for shape in SHAPES[rank] + SHORT[rank]]
    options = itertools.product(KINDS, SIZES[rank], STRIDES[rank], paddings)
    for i, (kind, size, strides, (padding, shape)) in enumerate(options):
        config = {"pool_size": size, "strides": strides, "padding": padding}
        yield f"{kind}{rank}D", config, (numbers(shape),), {"train": i % 2 == 1}
        if i % 5 == 0:
            yield f"{kind}{rank}D", config, (integers(shape),), {"gradients": False}


def wholes(rank: int) -> Iterator[Case]:
    """Pooling of whole axes."""
    for kind, keepdims, shape in itertools.product(KINDS, (False, True), SHAPES[rank] + SHORT[rank]):
        yield f"Global{kind}{rank}D", {"keepdims": keepdims}, (numbers(shape),), {"train": keepdims}
        yield f"Global{kind}{rank}D", {"keepdims": keepdims}, (integers(shape),), {"gradients": False}


def masked() -> Iterator[Case]:
    """Means of the steps that a mask keeps: at least one of each row, as Keras makes NaN of none."""
    for keepdims, shape, share in itertools.product((False, True), SHAPES[1] + SHORT[1], (0.2, 0.6, 1.0)):
        random = np.random.default_rng(shape[1])
        mask = random.random(shape[:2]) < share
        mask[np.arange(shape[0]), random.integers(0, shape[1], shape[0])] = True
        yield "GlobalAveragePooling1D", {"keepdims": keepdims}, (numbers(shape),), {"mask": mask, "train": share > 0.5}


def numbers(shape: tuple[int, ...]) -> np.ndarray:
    """Floating-point numbers of both signs, seeded by the shape."""
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def integers(shape: tuple[int, ...]) -> np.ndarray:
    """Integers of both signs, seeded by the shape."""
    return np.random.default_rng(sum(shape)).integers(-50, 50, shape).astype("int32")
