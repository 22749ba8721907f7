"""Pooling as in Keras: outputs and gradients over sets of options in which each pair meets.

`scripts/compare/pooling.py` has the full product.
"""

from typing import Any

import keras
import numpy as np
import pytest

import jgraph as jg
from tests.references.keras_twin import check_twin

INPUTS = {1: (2, 9, 3), 2: (2, 7, 6, 3), 3: (1, 5, 4, 6, 2)}
MASK = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 1, 1, 1]], bool)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def label(value: Any) -> str | None:
    """A test's name from a configuration."""
    return "-".join(f"{k}={v}" for k, v in value.items()) or "plain" if isinstance(value, dict) else None


@pytest.mark.parametrize(
    ("rank", "config"),
    [
        (1, {"pool_size": 2}),
        (1, {"pool_size": 3, "strides": 1, "padding": "same"}),
        (1, {"pool_size": (4,), "strides": 3, "padding": "same"}),
        (1, {"pool_size": 3, "strides": 4}),
        (2, {"pool_size": (2, 3), "strides": (1, 2)}),
        (2, {"pool_size": 3, "padding": "same"}),
        (2, {"pool_size": (1, 4), "strides": 2, "padding": "same"}),
        (3, {"pool_size": 2, "padding": "same"}),
        (3, {"pool_size": (1, 2, 3), "strides": (2, 1, 3)}),
        (3, {"pool_size": (3, 3, 2), "strides": 1, "padding": "same"}),
    ],
    ids=label,
)
@pytest.mark.parametrize("kind", ["Max", "Average"])
def test_windows(kind: str, rank: int, config: dict[str, Any]) -> None:
    check_twin(f"{kind}Pooling{rank}D", config, normal(*INPUTS[rank]))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_defaults(rank: int) -> None:
    check_twin(f"MaxPooling{rank}D", {}, normal(*INPUTS[rank]), gradients=False)


@pytest.mark.parametrize(("rank", "keepdims"), [(1, False), (1, True), (2, True), (3, False)])
@pytest.mark.parametrize("kind", ["Max", "Average"])
def test_whole_axes(kind: str, rank: int, keepdims: bool) -> None:
    check_twin(f"Global{kind}Pooling{rank}D", {"keepdims": keepdims}, normal(*INPUTS[rank]))


@pytest.mark.parametrize("keepdims", [False, True])
def test_mean_with_a_mask(keepdims: bool) -> None:
    check_twin("GlobalAveragePooling1D", {"keepdims": keepdims}, normal(3, 5, 4), mask=MASK)


@pytest.mark.parametrize("name", ["MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D"])
def test_dtypes_of_integers(name: str) -> None:
    """Maxima are integers, means are float32, as in Keras."""
    x = np.arange(2 * 4 * 4).reshape(2, 4, 4, 1).astype("int32") - 9
    config = {"pool_size": 2} if name.startswith("Average") else {}
    ours, _ = getattr(jg.layers, name)(**config).apply({}, {}, x)
    theirs = getattr(keras.layers, name)(**config)(x)
    assert str(ours.dtype) == str(theirs.dtype)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
