"""The cases of activations, rectifiers and softmax.

`sparsemax` is compared where one element alone is left, as Keras' is wrong elsewhere; `threshold` has no name.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from jgraph.ops.activations import ACTIVATIONS

Case = tuple[str, dict[str, Any], tuple, dict[str, Any]]

SHAPES = ((4, 6), (3, 5, 4), (2, 3, 4, 2), (1, 2, 3, 2, 4))
"""Inputs of each rank; the last axis is even, for `glu`."""


def cases() -> list[Case]:
    """The full product of the options of each layer."""
    return [*activations(), *rectifiers(), *parametric(), *softmaxes(), *masked_softmaxes()]


def inputs() -> list[np.ndarray]:
    """Normal numbers of each rank; and all numbers where pieces of some function meet, beside some far out."""
    joints = np.stack([np.arange(-8, 8.5, 0.5), np.linspace(-80, 80, 33)]).T.reshape(6, 11)
    even = joints[:, :10].astype("float32")
    return [*(numbers(*shape) for shape in SHAPES), even]


def numbers(*shape: int) -> np.ndarray:
    """Normal numbers, the same for one shape."""
    return (2 * np.random.default_rng(sum(shape)).normal(size=shape)).astype("float32")


def activations() -> Iterator[Case]:
    """Every name on every input."""
    for name, x in itertools.product(sorted(ACTIVATIONS), inputs()):
        scaled = np.random.default_rng(x.size).permuted(np.broadcast_to(3.0 * np.arange(x.shape[-1]), x.shape), axis=-1)
        yield "Activation", {"activation": name}, (scaled.astype("float32") if name == "sparsemax" else x,), {}


def rectifiers() -> Iterator[Case]:
    """Limits below and above thresholds, slopes below and above one."""
    limits, slopes, thresholds = (None, 0.0, 1.0, 3, 6), (0.0, 0.1, 1.0, 2), (0.0, 0.5, 1, 2.0)
    for limit, slope, threshold, x in itertools.product(limits, slopes, thresholds, inputs()):
        yield "ReLU", {"max_value": limit, "negative_slope": slope, "threshold": threshold}, (x,), {}
    for x in inputs():
        yield "ReLU", {}, (x,), {}
        yield "LeakyReLU", {}, (x,), {}
        yield "ELU", {}, (x,), {}
        for factor in (0, 0.01, 0.5, 1.0, 2.0):
            yield "LeakyReLU", {"negative_slope": factor}, (x,), {}
            yield "ELU", {"alpha": factor}, (x,), {}


def parametric() -> Iterator[Case]:
    """All sets of shared axes, written in each way."""
    for x in inputs():
        axes = range(1, x.ndim)
        yield "PReLU", {}, (x,), {}
        for axis in axes:
            yield "PReLU", {"shared_axes": axis}, (x,), {}
        for size in range(x.ndim):
            for shared in itertools.combinations(axes, size):
                yield "PReLU", {"shared_axes": list(shared), "alpha_initializer": "ones"}, (x,), {}
                yield "PReLU", {"shared_axes": shared[::-1]}, (x,), {}


def axes_of(rank: int) -> Iterator[Any]:
    """Single axes from both ends, and all sets of them as lists and tuples."""
    yield from (axis for axis in range(-rank + 1, rank) if axis != 0)
    for size in range(1, rank):
        for axes in itertools.combinations(range(1, rank), size):
            yield list(axes)
            yield tuple(axis - rank for axis in axes)


def softmaxes() -> Iterator[Case]:
    """Every set of axes on every input."""
    for x in inputs():
        yield "Softmax", {}, (x,), {}
        for axis in axes_of(x.ndim):
            yield "Softmax", {"axis": axis}, (x,), {}


def masked_softmaxes() -> Iterator[Case]:
    """Masks of the input's rank: of its sizes or 1 along some axes, which leave much, little, all or nothing."""
    for shape in SHAPES[:3]:
        for axis in axes_of(len(shape)):
            for ones in itertools.product((False, True), repeat=len(shape)):
                small = tuple(1 if one else size for one, size in zip(ones, shape, strict=True))
                share = (0.7, 0.3)[sum(ones) % 2]
                mask = np.random.default_rng(sum(ones) + len(shape)).random(small) < share
                yield "Softmax", {"axis": axis}, (numbers(*shape),), {"mask": mask}
            for value in (True, False):
                yield "Softmax", {"axis": axis}, (numbers(*shape),), {"mask": np.full(shape, value)}
