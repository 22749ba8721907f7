"""Convolutions by channel against loops in float64, on every kind of padding, stride and dilation, and both."""

import itertools
from typing import Any

import jax
import numpy as np
import pytest

import jgraph as jg
from tests.layers.making import made
from tests.references import numpy_layers as reference

PLACES = [
    {"padding": padding, "strides": strides, "dilation_rate": dilation}
    for padding, strides, dilation in itertools.product(["valid", "same"], [1, 2, 3], [1, 2])
]


def steps(config: dict[str, Any], rank: int) -> tuple[list[int], str, list[int]]:
    return [config["strides"]] * rank, config["padding"], [config["dilation_rate"]] * rank


@pytest.mark.parametrize("config", PLACES, ids=str)
def test_depthwise_conv1d(config: dict[str, Any]) -> None:
    x, params, y = made(jg.layers.DepthwiseConv1D(2, depth_multiplier=3, **config), 2, 7, 3)
    reference.assert_near(y, reference.depthwise(x, params["kernel"], *steps(config, 1)) + params["bias"])


@pytest.mark.parametrize("config", PLACES, ids=str)
def test_depthwise_conv2d(config: dict[str, Any]) -> None:
    x, params, y = made(jg.layers.DepthwiseConv2D((2, 3), depth_multiplier=2, **config), 2, 7, 6, 3)
    reference.assert_near(y, reference.depthwise(x, params["kernel"], *steps(config, 2)) + params["bias"])


@pytest.mark.parametrize("config", PLACES, ids=str)
def test_separable_conv1d(config: dict[str, Any]) -> None:
    x, params, y = made(jg.layers.SeparableConv1D(4, 3, depth_multiplier=2, **config), 2, 7, 3)
    middle = reference.depthwise(x, params["depthwise_kernel"], *steps(config, 1))
    reference.assert_near(y, reference.dense(middle, params["pointwise_kernel"][0], params["bias"]))


@pytest.mark.parametrize("config", PLACES, ids=str)
def test_separable_conv2d(config: dict[str, Any]) -> None:
    x, params, y = made(jg.layers.SeparableConv2D(4, 3, depth_multiplier=2, **config), 2, 7, 6, 3)
    middle = reference.depthwise(x, params["depthwise_kernel"], *steps(config, 2))
    reference.assert_near(y, reference.dense(middle, params["pointwise_kernel"][0, 0], params["bias"]))


def test_a_channel_is_seen_by_its_own_outputs_alone() -> None:
    layer = jg.layers.DepthwiseConv2D(2, depth_multiplier=2)
    x, params, y = made(layer, 1, 4, 4, 3)
    x[..., 1] = np.nan
    changed = np.asarray(layer.apply(params, {}, x)[0])
    assert np.isnan(changed[..., 2:4]).all()
    np.testing.assert_array_equal(np.delete(changed, [2, 3], -1), np.delete(np.asarray(y), [2, 3], -1))


def test_free_axes() -> None:
    for layer in (jg.layers.DepthwiseConv2D(3, strides=2), jg.layers.SeparableConv2D(4, 3, strides=2)):
        x = jg.Input((None, None, 2), name="x")
        model = jg.Model(x, layer(x))
        params, state = model.init(jax.random.key(0))
        assert model.apply(params, state, np.ones((2, 8, 3, 2), "float32"))[0].shape[:3] == (2, 3, 1)
