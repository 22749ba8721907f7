"""Layers that move, take, add, repeat or interpolate, as in Keras, over sets of options in which each pair meets.

`scripts/compare/reshaping.py` has the full product.
"""

from typing import Any

import keras
import numpy as np
import pytest

import jgraph as jg
from tests.references.keras_twin import check_twin

INPUTS = {1: (2, 9, 3), 2: (2, 7, 6, 3), 3: (1, 6, 5, 7, 2)}


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def label(value: Any) -> str | None:
    """A test's name from a configuration."""
    return "-".join(f"{k}={v}" for k, v in value.items()) or "plain" if isinstance(value, dict) else None


@pytest.mark.parametrize(
    ("name", "config", "shapes"),
    [
        ("Flatten", {}, [(3,), (3, 4), (2, 3, 4, 5)]),
        ("Reshape", {"target_shape": (4, 6)}, [(2, 6, 4)]),
        ("Reshape", {"target_shape": (2, -1, 3)}, [(2, 6, 4)]),
        ("Reshape", {"target_shape": (-1,)}, [(1, 2, 3, 4)]),
        ("Permute", {"dims": (2, 1)}, [(2, 3, 4)]),
        ("Permute", {"dims": (3, 1, 2)}, [(2, 3, 4, 5)]),
        ("RepeatVector", {"n": 3}, [(2, 4)]),
    ],
    ids=label,
)
def test_rows(name: str, config: dict[str, Any], shapes: list[tuple[int, ...]]) -> None:
    for shape in shapes:
        check_twin(name, config, normal(*shape))


@pytest.mark.parametrize(
    ("rank", "ends"),
    [
        (1, 2),
        (1, (0, 3)),
        (2, 1),
        (2, (2, 0)),
        (2, ((0, 2), (1, 0))),
        (3, 1),
        (3, (0, 2, 1)),
        (3, ((1, 0), (0, 0), (2, 3))),
    ],
    ids=str,
)
def test_borders(rank: int, ends: Any) -> None:
    x = normal(*INPUTS[rank])
    check_twin(f"Cropping{rank}D", {"cropping": ends}, x)
    check_twin(f"ZeroPadding{rank}D", {"padding": ends}, x)


@pytest.mark.parametrize("name", [f"{kind}{rank}D" for kind in ("Cropping", "ZeroPadding") for rank in (1, 2, 3)])
def test_borders_by_default(name: str) -> None:
    check_twin(name, {}, normal(*INPUTS[int(name[-2])]), gradients=False)


@pytest.mark.parametrize(
    ("rank", "config"),
    [
        (1, {"size": 3}),
        (2, {}),
        (2, {"size": (1, 3)}),
        (2, {"size": (3, 2), "interpolation": "bilinear"}),
        (2, {"size": 2, "interpolation": "bicubic"}),
        (2, {"size": (2, 1), "interpolation": "lanczos3"}),
        (3, {"size": (2, 1, 3)}),
    ],
    ids=label,
)
def test_up_sampling(rank: int, config: dict[str, Any]) -> None:
    check_twin(f"UpSampling{rank}D", config, normal(*INPUTS[rank]))


@pytest.mark.parametrize(
    "config",
    [
        {"interpolation": "nearest", "crop_to_aspect_ratio": True},
        {"interpolation": "bilinear", "pad_to_aspect_ratio": True, "fill_value": -1.5, "antialias": True},
        {"interpolation": "bicubic", "antialias": True},
        {"interpolation": "lanczos3", "crop_to_aspect_ratio": True, "antialias": True},
        {"interpolation": "lanczos5", "pad_to_aspect_ratio": True},
    ],
    ids=label,
)
@pytest.mark.parametrize("size", [(4, 9), (12, 5)], ids=str)
def test_resizing(config: dict[str, Any], size: tuple[int, int]) -> None:
    check_twin("Resizing", {"height": size[0], "width": size[1], **config}, normal(2, 8, 7, 3))


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_pixels_are_rounded_and_stay_in_range(dtype: str) -> None:
    top = np.iinfo(dtype).max
    x: Any = np.where(np.random.default_rng(0).random((1, 6, 5, 2)) < 0.5, top, 3).astype(dtype)
    configs: tuple[dict[str, Any], ...] = (
        {"interpolation": "bicubic"},
        {"interpolation": "bilinear", "pad_to_aspect_ratio": True},
    )
    for config in configs:
        ours, _ = jg.layers.Resizing(7, 9, **config).apply({}, {}, x)
        theirs = keras.layers.Resizing(7, 9, **config)(x)
        assert str(ours.dtype) == str(theirs.dtype) == dtype
        np.testing.assert_array_equal(ours, theirs)
    ours, _ = jg.layers.UpSampling2D(2, interpolation="bicubic").apply({}, {}, x)
    np.testing.assert_array_equal(ours, keras.layers.UpSampling2D(2, interpolation="bicubic")(x))
