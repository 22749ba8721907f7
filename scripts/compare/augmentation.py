"""Layers that change pictures, against Keras': factors whose bounds are equal leave nothing to chance.

How numbers are drawn, and what differs from picture to picture, is compared in `tests/layers`.
"""

import itertools
from typing import Any

import numpy as np

from jgraph.ops.images import FILL_MODES, INTERPOLATIONS

Case = tuple[str, dict[str, Any], tuple, dict[str, Any]]

SHAPES = ((2, 8, 8, 3), (2, 7, 9, 1), (3, 6, 5, 2), (1, 1, 4, 2), (1, 5, 1, 1))

FACTORS: dict[str, list[dict[str, float]]] = {
    "RandomRotation": [{"factor": f} for f in (-0.61, -0.25, -0.07, 0.0, 1 / 12, 0.5, 1.0)],
    "RandomTranslation": [
        {"height_factor": h, "width_factor": w}
        for h, w in ((0.0, 0.0), (0.31, -0.17), (-1.0, 0.43), (0.07, 1.0), (-0.57, -0.57))
    ],
    "RandomZoom": [
        *({"height_factor": h, "width_factor": w} for h, w in ((0.0, 0.0), (0.37, -0.23), (-0.61, 1.0), (-0.93, 0.11))),
        *({"height_factor": h} for h in (-0.47, 0.29, 1.0)),
    ],
}


def cases() -> list[Case]:
    """All of them."""
    return [*resampled(), *valued(), *kept()]


def resampled() -> list[Case]:
    """Pictures that are turned, shifted and zoomed, over what fills them and how they are sampled.

    Each pair of a factor and a filling is on two of the shapes, and each of a filling and a shape has several factors.
    Gradients are compared on one of the two, as compiling Keras' takes seconds.
    """
    fillings = [
        {"fill_mode": mode, "interpolation": between, "fill_value": value}
        for mode, between in itertools.product(FILL_MODES, INTERPOLATIONS)
        for value in ((0.0, -2.5) if mode == "constant" else (0.0,))
    ]
    return [
        (
            name,
            {**{k: (v, v) for k, v in factors.items()}, **filling},
            (pictures(SHAPES[(i + j + 2 * gradients) % len(SHAPES)]),),
            {"train": True, "gradients": gradients},
        )
        for name, choices in FACTORS.items()
        for gradients, (i, factors), (j, filling) in itertools.product(
            (True, False), enumerate(choices), enumerate(fillings)
        )
    ]


def valued() -> list[Case]:
    """Pictures whose values change."""
    ranges = ((0, 255), (0.0, 1.0), (-3.0, 2.0), (1.0, -1.0))
    found: list[Case] = [
        ("RandomBrightness", {"factor": (f, f), "value_range": values}, (pictures(shape, *values),), {"train": True})
        for f, values, shape in itertools.product((-1.0, -0.3, 0.0, 0.21, 1.0), ranges, SHAPES)
    ]
    for values, shape in itertools.product(ranges[:3], SHAPES):
        config = {"factor": (0.0, 0.0), "value_range": values}
        found.append(("RandomContrast", config, (pictures(shape, *values),), {"train": True}))
    return found


def kept() -> list[Case]:
    """Without training, whole numbers too, and windows of the pictures' own size."""
    layers: list[tuple[str, dict[str, Any]]] = [
        *(("RandomFlip", {"mode": mode}) for mode in ("horizontal", "vertical", "horizontal_and_vertical")),
        ("RandomRotation", {"factor": 0.3}),
        ("RandomTranslation", {"height_factor": 0.3, "width_factor": (0.1, 0.2)}),
        ("RandomZoom", {"height_factor": 0.3}),
        ("RandomContrast", {"factor": 0.4}),
        ("RandomBrightness", {"factor": 0.4}),
    ]
    found: list[Case] = []
    for (name, config), shape in itertools.product(layers, SHAPES[:3]):
        whole = np.random.default_rng(1).integers(0, 256, shape)
        found += [
            (name, config, (x,), {"gradients": False})
            for x in (pictures(shape), whole.astype("uint8"), whole.astype("int32"))
        ]
    for shape in SHAPES:
        config = {"height": shape[1], "width": shape[2]}
        found.append(("RandomCrop", config, (pictures(shape),), {"train": True}))
    return found


def pictures(shape: tuple[int, ...], low: float = -1.0, high: float = 2.0) -> np.ndarray:
    """Pictures of numbers between two, and a little beyond."""
    drawn = np.random.default_rng(sum(shape)).uniform(-0.1, 1.1, shape)
    return (low + (high - low) * drawn).astype("float32")
