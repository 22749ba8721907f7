"""Convolutions against loops in float64, on every kind of padding, stride, dilation and group."""

import itertools
from typing import Any

import jax
import numpy as np
import pytest

import jgraph as jg
from tests.references import numpy_layers as reference

PLACES = [
    {"padding": padding, **steps}
    for padding, steps in itertools.product(
        ["valid", "same"], [{"strides": 1}, {"strides": 2}, {"strides": 3}, {"dilation_rate": 2}]
    )
]


def steps(config: dict[str, Any], rank: int) -> tuple[list[int], str, list[int]]:
    return [config.get("strides", 1)] * rank, config["padding"], [config.get("dilation_rate", 1)] * rank


def made(layer: jg.Layer, *shape: int) -> tuple[Any, Any, Any]:
    """Inputs, params and outputs."""
    random = np.random.default_rng(0)
    x = random.normal(size=shape).astype("float32")
    specs = jax.eval_shape(lambda key: layer.init(key, jax.ShapeDtypeStruct(x.shape, x.dtype)), jax.random.key(0))[0]
    params = {name: random.normal(size=spec.shape).astype("float32") for name, spec in specs.items()}
    return x, params, layer.apply(params, {}, x)[0]


@pytest.mark.parametrize("config", [*PLACES, {"padding": "causal"}, {"padding": "causal", "dilation_rate": 2}], ids=str)
def test_conv1d(config: dict[str, Any]) -> None:
    x, params, y = made(jg.layers.Conv1D(4, 3, **config), 2, 8, 3)
    reference.assert_near(y, reference.convolve(x, params["kernel"], *steps(config, 1)) + params["bias"])


@pytest.mark.parametrize("config", PLACES, ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_conv2d(config: dict[str, Any], groups: int) -> None:
    x, params, y = made(jg.layers.Conv2D(6, (3, 2), groups=groups, **config), 2, 7, 6, 4)
    reference.assert_near(y, reference.convolve(x, params["kernel"], *steps(config, 2), groups) + params["bias"])


@pytest.mark.parametrize("config", PLACES, ids=str)
def test_depthwise_conv2d(config: dict[str, Any]) -> None:
    x, params, y = made(jg.layers.DepthwiseConv2D((2, 3), depth_multiplier=2, **config), 2, 7, 6, 3)
    reference.assert_near(y, reference.depthwise(x, params["kernel"], *steps(config, 2)) + params["bias"])


@pytest.mark.parametrize("config", PLACES, ids=str)
def test_separable_conv2d(config: dict[str, Any]) -> None:
    x, params, y = made(jg.layers.SeparableConv2D(4, 3, depth_multiplier=2, **config), 2, 7, 6, 3)
    middle = reference.depthwise(x, params["depthwise_kernel"], *steps(config, 2))
    reference.assert_near(y, reference.dense(middle, params["pointwise_kernel"][0, 0], params["bias"]))


def test_causal_steps_do_not_see_later_ones() -> None:
    layer = jg.layers.Conv1D(2, 3, padding="causal", dilation_rate=2)
    x, params, y = made(layer, 1, 9, 2)
    later = x.copy()
    later[:, 5:] = np.nan
    np.testing.assert_array_equal(layer.apply(params, {}, later)[0][:, :5], y[:, :5])


def test_images_of_integers() -> None:
    x = jg.Input((4, 4, 1), "uint8", name="x")
    model = jg.Model(x, jg.layers.Conv2D(1, 2, kernel_initializer="ones")(x))
    params, state = model.init(jax.random.key(0))
    y, _ = model.apply(params, state, np.full((1, 4, 4, 1), 200, "uint8"))
    np.testing.assert_array_equal(y, np.full((1, 3, 3, 1), 800, "float32"))


def test_free_axes() -> None:
    x = jg.Input((None, None, 2), name="x")
    model = jg.Model(x, jg.layers.Conv2D(3, 3, strides=2, padding="same")(x))
    params, state = model.init(jax.random.key(0))
    for height, width in ((4, 7), (9, 2)):
        y, _ = model.apply(params, state, np.ones((2, height, width, 2), "float32"))
        assert y.shape == (2, -(-height // 2), -(-width // 2), 3)
