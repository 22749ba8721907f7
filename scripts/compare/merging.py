"""The cases of merges: every kind on lists of one to four tensors, of several ranks, and products along axes."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

Case = tuple[str, dict[str, Any], tuple, dict[str, Any]]

KINDS = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")

SHAPES = ((3, 4), (3, 1), (3, 5, 4), (3, 1, 4), (3, 5, 1), (3, 2, 5, 4), (3, 2, 1, 1))
"""Any two of these broadcast, once the shorter has axes of size 1 behind the batch."""


def cases() -> list[Case]:
    """The full product of the options of each layer."""
    return [*folds(), *concatenations(), *products()]


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers, other ones for another seed."""
    return np.random.default_rng([sum(shape), seed]).normal(size=shape).astype("float32")


def folds() -> Iterator[Case]:
    """Every pair of shapes, and lists of one, three and four."""
    longer = [(shape,) * n for shape in SHAPES[:4] for n in (1, 3, 4)]
    mixed = [(SHAPES[0], SHAPES[3], SHAPES[2]), (SHAPES[5], SHAPES[0], SHAPES[4], SHAPES[6])]
    for kind in KINDS:
        for shapes in [*itertools.product(SHAPES, SHAPES), *longer, *mixed]:
            if len(shapes) == 2 or kind != "Subtract":
                xs = [numbers(*shape, seed=seed) for seed, shape in enumerate(shapes)]
                yield kind, {}, (xs,), {}


def concatenations() -> Iterator[Case]:
    """Every axis, lists of one to four that differ along it."""
    for shape in ((3, 4), (3, 5, 4), (3, 2, 5, 4)):
        for axis, count in itertools.product((*range(1, len(shape)), *range(1 - len(shape), 0)), (1, 2, 3, 4)):
            at = axis % len(shape)
            sizes = [(*shape[:at], shape[at] + seed, *shape[at + 1 :]) for seed in range(count)]
            xs = [numbers(*size, seed=seed) for seed, size in enumerate(sizes)]
            yield "Concatenate", {"axis": axis}, (xs,), {}


def products() -> Iterator[Case]:
    """Every two axes of every two ranks, from both ends, also as cosines."""
    for first, second in itertools.product((2, 3, 4), repeat=2):
        for a, b in itertools.product(range(1, first), range(1, second)):
            shapes = [[3, 2, 5, 4][:first], [3, 6, 2, 5][:second]]
            shapes[0][a] = shapes[1][b] = 7
            xs = [numbers(*shape, seed=seed) for seed, shape in enumerate(shapes)]
            spelled: list[Any] = [(a, b), (a - first, b - second), [a, b - second]]
            spelled += [a] if a == b else []
            spelled += [a - first] if a - first == b - second else []
            for axes, normalize in itertools.product(spelled, (False, True)):
                yield "Dot", {"axes": axes, "normalize": normalize}, (xs,), {}
