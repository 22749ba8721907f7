"""Pictures changed by given numbers, each by its own, against what Keras does with the same numbers."""

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import jgraph as jg
from tests.references.keras_twin import assert_close, check_twin

ROWS = 3


def transformation(layer: Any, numbers: np.ndarray, shape: tuple[int, ...]) -> Any:
    """What Keras' layer draws, made of our numbers [drawn, batch]."""
    first, last = (np.asarray(n, "float32") for n in (numbers[0], numbers[-1]))
    wide = {"contrast_factor": first, "rgb_delta": first * 255, "flips": first <= 0.5}
    zeros, ones = np.zeros(len(first), "float32"), np.ones(len(first), "float32")
    matrix = layer._compute_affine_matrix(0.5, 0.5, first, zeros, zeros, ones, zeros, zeros, *shape[1:3])
    return {k: v[:, None, None, None] for k, v in wide.items()} | {
        "rotation_matrix": matrix,
        "translations": np.stack([last * shape[2], first * shape[1]], 1),
        "height_zoom": first[:, None],
        "width_zoom": last[:, None],
    }


# Odd and even sizes; gradients where there is one channel, as compiling Keras' takes seconds.
CASES: list[tuple[str, dict[str, Any], tuple[int, int, int]]] = [
    ("RandomFlip", {"mode": "horizontal"}, (4, 5, 3)),
    ("RandomFlip", {"mode": "vertical"}, (5, 4, 1)),
    ("RandomFlip", {}, (5, 4, 2)),
    ("RandomRotation", {"factor": 1.0}, (6, 9, 2)),
    ("RandomRotation", {"factor": 1.0, "fill_mode": "wrap", "interpolation": "nearest"}, (8, 7, 2)),
    ("RandomRotation", {"factor": 1.0, "fill_mode": "constant", "fill_value": 3.5}, (7, 7, 1)),
    ("RandomRotation", {"factor": 1.0, "fill_mode": "nearest", "interpolation": "nearest"}, (6, 6, 3)),
    ("RandomTranslation", {"height_factor": 1.0, "width_factor": 0.7, "interpolation": "nearest"}, (6, 9, 2)),
    ("RandomTranslation", {"height_factor": 0.5, "width_factor": 0.7, "fill_mode": "constant"}, (7, 6, 1)),
    ("RandomTranslation", {"height_factor": 1.0, "width_factor": 0.7, "fill_mode": "nearest"}, (5, 5, 3)),
    ("RandomZoom", {"height_factor": 0.6, "width_factor": 0.9, "fill_mode": "wrap"}, (6, 9, 2)),
    ("RandomZoom", {"height_factor": 0.6, "fill_mode": "constant", "interpolation": "nearest"}, (7, 5, 1)),
    ("RandomContrast", {"factor": 1.0}, (5, 6, 1)),
    ("RandomBrightness", {"factor": 0.6}, (5, 6, 3)),
]


@pytest.mark.parametrize(("name", "config", "shape"), CASES, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(CASES)])
def test_the_same_numbers_make_the_same_pictures(name: str, config: dict, shape: tuple[int, int, int]) -> None:
    random = np.random.default_rng(len(str(config)))
    x: Any = np.asarray(random.uniform(0, 255, (ROWS, *shape)), "float32")
    ours, theirs = getattr(jg.layers, name)(**config), getattr(keras.layers, name)(**config)
    low, high = np.transpose(ours.intervals(x))
    numbers = np.asarray(random.uniform(low[:, None], high[:, None], (len(low), ROWS)), "float32")
    given = transformation(theirs, numbers, x.shape)

    def run(change: Any) -> Any:
        def loss(x: Any) -> Any:
            y = change(x)
            return jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape)), y

        return jax.jit(jax.grad(loss, has_aux=True) if shape[2] == 1 else change)(x)

    assert_close(
        run(lambda x: ours.change(x, list(numbers))),
        run(lambda x: theirs.transform_images(x, given, training=True)),
        "gradients and outputs",
    )


def test_the_same_place_gives_the_same_window() -> None:
    x: Any = np.arange(2 * 7 * 6, dtype="float32").reshape(1, 7, 6, 2)
    ours, theirs = jg.layers.RandomCrop(4, 3), keras.layers.RandomCrop(4, 3)
    for top, left in ((0, 0), (3, 3), (2, 1)):
        numbers = [jnp.full(1, top + 0.9), jnp.full(1, left + 0.1)]
        np.testing.assert_array_equal(ours.change(x, numbers), theirs.transform_images(x, (top, left), training=True))


@pytest.mark.parametrize("size", [(4, 3), (6, 20), (13, 9), (12, 3)])
def test_what_is_not_cut_is_resized_as_keras_documents(size: tuple[int, int]) -> None:
    """Keras' RandomCrop promises this, and Keras' Resizing does it."""
    x: Any = np.random.default_rng(0).normal(size=(2, 9, 8, 2)).astype("float32")
    theirs = keras.layers.Resizing(*size, crop_to_aspect_ratio=True)(x)
    ours = jg.layers.RandomCrop(*size)
    assert_close(ours.apply({}, {}, x)[0], np.asarray(theirs), "not training")
    if size[0] > 9 or size[1] > 8:
        assert_close(ours.apply({}, {}, x, train=True, key=jax.random.key(0))[0], np.asarray(theirs), "training")


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("RandomRotation", {"factor": (0.13, 0.13)}),
        ("RandomTranslation", {"height_factor": (0.3, 0.3), "width_factor": (-0.2, -0.2)}),
        ("RandomZoom", {"height_factor": (-0.37, -0.37)}),
        ("RandomBrightness", {"factor": (0.2, 0.2), "value_range": (1.0, -1.0)}),
        ("RandomCrop", {"height": 5, "width": 6}),
    ],
)
def test_equal_bounds_leave_nothing_to_chance(name: str, config: dict[str, Any]) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 2)).astype("float32")
    check_twin(name, config, x, train=True, gradients=False)


@pytest.mark.parametrize("name", ["RandomFlip", "RandomRotation", "RandomZoom", "RandomBrightness"])
def test_without_training_pictures_stay(name: str) -> None:
    config = {} if name == "RandomFlip" else {"height_factor" if name == "RandomZoom" else "factor": 0.3}
    check_twin(name, config, np.random.default_rng(0).integers(0, 255, (2, 3, 4, 3)).astype("uint8"))
