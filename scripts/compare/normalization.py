"""The cases of normalisation: by the batch, within rows, by statistics of data, and rescaling."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

Case = tuple[str, dict[str, Any], tuple, dict[str, Any]]

SHAPES = ((7, 4), (3, 5, 4), (2, 3, 4, 5), (2, 3, 2, 3, 2))
"""Odd sizes, none of them 1: Keras' batch normalisation fails on a masked axis of size 1."""

BOTH = (True, False)


def cases() -> list[Case]:
    """The full product of the options of each layer."""
    return [*batch(), *renormalized(), *layer(), *group(), *lengths(), *fixed()]


def numbers(*shape: int) -> np.ndarray:
    """Normal numbers away from 0, the same for one shape."""
    return np.random.default_rng(sum(shape)).normal(1.0, 2.0, shape).astype("float32")


def axes_of(shape: tuple[int, ...]) -> list[int]:
    """All axes but that of the batch, from both ends."""
    return [*range(1, len(shape)), *range(1 - len(shape), 0)]


def keep(shape: tuple[int, ...], kind: str) -> np.ndarray | None:
    """A mask of all axes but the last, which keeps some positions or none; Keras knows no other."""
    if kind == "whole":
        return None
    mask = np.random.default_rng(0).random(shape[:-1]) < 0.6
    mask.flat[:2] = kind == "some"
    return mask if kind == "some" else mask & False


def batch() -> Iterator[Case]:
    """Batch normalisation: every axis, with and without scale and offset, masks, in training and not."""
    for shape in SHAPES:
        for axis, center, scale, train in itertools.product(axes_of(shape), BOTH, BOTH, BOTH):
            config = {"axis": axis, "center": center, "scale": scale}
            if axis < 0:
                config |= {"momentum": 0.7, "epsilon": 0.05}
            for kind in ("whole", "some"):
                yield "BatchNormalization", config, (numbers(*shape),), {"train": train, "mask": keep(shape, kind)}
        yield "BatchNormalization", {}, (numbers(*shape),), {"train": True, "mask": keep(shape, "none")}


def renormalized() -> Iterator[Case]:
    """Batch renormalisation: every clipping."""
    limits = ({}, {"rmin": 0.9}, {"rmax": 1.1}, {"dmax": 0.2}, {"rmin": 0.5, "rmax": 2.0, "dmax": 1.0}, None)
    masks = ("whole", "some")
    for shape, clipping, center, scale, kind in itertools.product(SHAPES[:3], limits, BOTH, BOTH, masks):
        config = {"renorm": True, "renorm_clipping": clipping, "center": center, "scale": scale}
        config |= {"axis": 1, "momentum": 0.8, "renorm_momentum": 0.6} if clipping else {}
        yield "BatchNormalization", config, (numbers(*shape),), {"train": True, "mask": keep(shape, kind)}
    yield "BatchNormalization", {"renorm": True}, (numbers(3, 5, 4),), {"train": False}


def layer() -> Iterator[Case]:
    """Layer normalisation: every axis, and every set of them in several orders."""
    for shape in SHAPES:
        ranks = range(1, len(shape))
        several = [c for n in ranks for c in itertools.combinations(ranks, n)]
        turned = [list(reversed(c)) for c in several if len(c) > 1]
        negative = [tuple(a - len(shape) for a in c) for c in several]
        mixed = [(c[0], *(a - len(shape) for a in c[1:])) for c in several if len(c) > 1]
        for axis in (*axes_of(shape), *several, *turned, *negative, *mixed):
            for center, scale in itertools.product(BOTH, BOTH):
                config = {"axis": axis, "center": center, "scale": scale, "epsilon": 1e-3 if center else 0.2}
                yield "LayerNormalization", config, (numbers(*shape),), {}


def group() -> Iterator[Case]:
    """Group normalisation: every axis and every number of groups."""
    for shape in ((5, 6), (3, 5, 6), (2, 6, 4, 6), (2, 6, 4, 2, 6)):
        for axis, center, scale in itertools.product(axes_of(shape), BOTH, BOTH):
            for groups in (-1, *(n for n in range(1, shape[axis] + 1) if shape[axis] % n == 0)):
                config = {"groups": groups, "axis": axis, "center": center, "scale": scale}
                yield "GroupNormalization", config, (numbers(*shape),), {}


def lengths() -> Iterator[Case]:
    """By the mean square, along the last axes alone, as Keras' scale lies there; and to length 1, along any."""
    for shape in SHAPES:
        for count, epsilon in itertools.product(range(1, len(shape)), (1e-6, 0.1)):
            for axis in (tuple(range(len(shape) - count, len(shape))), list(range(-count, 0))):
                yield "RMSNormalization", {"axis": axis, "epsilon": epsilon}, (numbers(*shape),), {}
        yield "RMSNormalization", {}, (numbers(*shape),), {}
        for axis in axes_of(shape):
            yield "UnitNormalization", {"axis": axis}, (numbers(*shape),), {}
        for count in range(1, len(shape)):
            for axis in itertools.permutations(range(1, len(shape)), count):
                yield "UnitNormalization", {"axis": axis}, (numbers(*shape),), {}


def fixed() -> Iterator[Case]:
    """By given statistics, for every set of kept axes, and what broadcasts to them; and by given numbers."""
    for shape in SHAPES:
        several = [c for n in range(1, len(shape)) for c in itertools.combinations(range(1, len(shape)), n)]
        for axis, invert in itertools.product((None, *axes_of(shape), *several), BOTH):
            kept = () if axis is None else tuple(shape[a] for a in ((axis,) if isinstance(axis, int) else axis))
            wide = {kept[start:] for start in range(len(kept) + 1)} | {(1, *kept[1:])} if kept else {()}
            for size in sorted(wide):
                mean, variance = numbers(*size), numbers(*size) ** 2
                config = {"axis": axis, "mean": mean, "variance": variance, "invert": invert}
                yield "Normalization", config, (numbers(*shape),), {}
        for count, offset in itertools.product(range(len(shape)), (0.0, -1.5, "as scale")):
            scale = numbers(*shape[len(shape) - count :]) if count else 0.5
            config = {"scale": scale, "offset": 0.5 * scale if offset == "as scale" else offset}
            yield "Rescaling", config, (numbers(*shape),), {}
