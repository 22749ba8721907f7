"""Transposed convolutions against loops in float64, their sizes by formula, and the law that they are transposes."""

import itertools
from typing import Any

import jax
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import ShapeError
from tests.layers.making import made
from tests.references import numpy_layers as reference

PLACES = [
    {"padding": padding, **steps}
    for padding, steps in itertools.product(
        ["valid", "same"],
        [
            {},
            {"strides": 2},
            {"strides": 3, "output_padding": 1},
            {"strides": 4},
            {"dilation_rate": 2},
            {"dilation_rate": 3, "output_padding": 0},
        ],
    )
]


def expected(config: dict[str, Any], x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """All that is written, cut or filled with zeros to the size that the docstrings promise."""
    rank, strides, dilation = x.ndim - 2, config.get("strides", 1), config.get("dilation_rate", 1)
    y = reference.transposed(x, kernel, [strides] * rank, [dilation] * rank)
    for axis, (n, k) in enumerate(zip(x.shape[1:-1], kernel.shape[:-2], strict=True), 1):
        w, added = (k - 1) * dilation + 1, config.get("output_padding")
        if config["padding"] == "valid":
            size, front = (n - 1) * strides + (max(w, strides) if added is None else w + added), 0
        else:
            size = n * strides if added is None else (n - 1) * strides + w % 2 + added
            front = max((y.shape[axis] - size) // 2, 0)
        y = np.take(np.concatenate([y, np.zeros_like(y)], axis), range(front, front + size), axis)
    return y


@pytest.mark.parametrize("config", PLACES, ids=str)
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_conv1d_transpose(config: dict[str, Any], size: int) -> None:
    x, params, y = made(jg.layers.Conv1DTranspose(2, size, **config), 2, 4, 3)
    reference.assert_near(y, expected(config, x, params["kernel"]) + params["bias"])


@pytest.mark.parametrize("config", PLACES, ids=str)
def test_conv2d_transpose(config: dict[str, Any]) -> None:
    x, params, y = made(jg.layers.Conv2DTranspose(2, (3, 2), **config), 2, 3, 4, 3)
    reference.assert_near(y, expected(config, x, params["kernel"]) + params["bias"])


@pytest.mark.parametrize("config", PLACES, ids=str)
def test_conv3d_transpose(config: dict[str, Any]) -> None:
    x, params, y = made(jg.layers.Conv3DTranspose(2, (1, 2, 3), **config), 1, 3, 2, 2, 3)
    reference.assert_near(y, expected(config, x, params["kernel"]) + params["bias"])


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("steps", [{}, {"strides": 2}, {"strides": 3}, {"dilation_rate": 2}], ids=str)
def test_same_is_the_transpose_of_the_convolution_of_the_same_kernel(steps: dict[str, int], size: int) -> None:
    """`sum(conv(y) * x) == sum(y * transpose(x))`, however x and y are chosen."""
    options: dict[str, Any] = {"kernel_size": size, "padding": "same", "use_bias": False, **steps}
    transpose = jg.layers.Conv2DTranspose(2, **options)
    x, params, y = made(transpose, 2, 3, 4, 5)
    other = np.random.default_rng(1).normal(size=y.shape).astype("float32")
    there = jg.layers.Conv2D(5, **options).apply(params, {}, other)[0]
    assert there.shape == x.shape
    products = [np.asarray(there, "float64") * x, np.asarray(y, "float64") * other]
    assert abs(products[0].sum() - products[1].sum()) < 1e-6 * np.abs(products[1]).sum()  # float32's rounding


@pytest.mark.parametrize("config", PLACES, ids=str)
def test_free_axes(config: dict[str, Any]) -> None:
    layer = jg.layers.Conv2DTranspose(2, (3, 2), **config)
    x = jg.Input((None, None, 2), name="x")
    model = jg.Model(x, layer(x))
    params, state = model.init(jax.random.key(0))
    for size in ((3, 5), (2, 2)):
        given = np.ones((2, *size, 2), "float32")
        y, _ = model.apply(params, state, given)
        assert y.shape == expected(config, given, np.ones((3, 2, 2, 2))).shape


def test_a_free_axis_of_one_step_that_makes_no_output() -> None:
    x = jg.Input((None, 2), name="x")
    model = jg.Model(x, jg.layers.Conv1DTranspose(2, 2, padding="same", output_padding=0)(x))
    params, state = model.init(jax.random.key(0))
    assert model.apply(params, state, np.ones((4, 3, 2), "float32"))[0].shape == (4, 2, 2)
    with pytest.raises(ShapeError, match=r"more than one step.*Leave out output_padding"):
        model.apply(params, state, np.ones((4, 1, 2), "float32"))
