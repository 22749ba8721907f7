"""The cases of dropouts, noise, ActivityRegularization and Identity.

Draws are each library's own, so that layers are compared outside of training, and in training with nothing to draw.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

Case = tuple[str, dict[str, Any], tuple, dict[str, Any]]

SHAPES = ((4, 5), (3, 5, 4), (2, 3, 4, 2), (1, 2, 3, 2, 3))
RATES = (0.0, 0.1, 0.5, 0.95)


def cases() -> list[Case]:
    """The full product of the options of each layer."""
    return [*noises(), *dropouts(), *spatial(), *identities()]


def numbers(*shape: int) -> np.ndarray:
    """Normal numbers, the same for one shape."""
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def when(amount: float) -> list[dict[str, Any]]:
    """Outside of training, and in training where nothing is drawn."""
    return [{"train": train} for train in ((False, True) if amount == 0 else (False,))]


def noises() -> Iterator[Case]:
    """Noise of every amount on every rank."""
    for shape, amount in itertools.product(SHAPES, RATES):
        for options in when(amount):
            yield "GaussianDropout", {"rate": amount}, (numbers(*shape),), options
            yield "GaussianNoise", {"stddev": amount}, (numbers(*shape),), options


def dropouts() -> Iterator[Case]:
    """Every rate, with one draw for every set of axes."""
    for name, shape, rate in itertools.product(("Dropout", "AlphaDropout"), SHAPES, RATES):
        noises = [None, *itertools.product((None, 1), repeat=len(shape)), shape]
        for noise, options in itertools.product(noises, when(rate)):
            yield name, {"rate": rate, "noise_shape": noise}, (numbers(*shape),), options


def spatial() -> Iterator[Case]:
    """Every rate, on the rank of each."""
    for rank, rate, extra in itertools.product((1, 2, 3), RATES, (0, 1)):
        for options in when(rate):
            shape = tuple(size + extra for size in SHAPES[rank])
            yield f"SpatialDropout{rank}D", {"rate": rate}, (numbers(*shape),), options


def identities() -> Iterator[Case]:
    """Layers that give back what they get, whatever they cost."""
    for shape, train in itertools.product(SHAPES, (False, True)):
        yield "Identity", {}, (numbers(*shape),), {"train": train}
        for l1, l2 in itertools.product((0.0, 0.1), (0.0, 0.5)):
            yield "ActivityRegularization", {"l1": l1, "l2": l2}, (numbers(*shape),), {"train": train}
