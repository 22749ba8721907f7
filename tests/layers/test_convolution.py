"""Convolutions against loops in float64, on every kind of padding, stride, dilation and group."""

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
        ["valid", "same"], [{"strides": 1}, {"strides": 2}, {"strides": 3}, {"dilation_rate": 2}]
    )
]


LAYERS = {
    **{f"Conv{rank}D": {"filters": 2} for rank in (1, 2, 3)},
    **{f"Conv{rank}DTranspose": {"filters": 2} for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": {} for rank in (1, 2)},
    **{f"SeparableConv{rank}D": {"filters": 2} for rank in (1, 2)},
}


def steps(config: dict[str, Any], rank: int) -> tuple[list[int], str, list[int]]:
    return [config.get("strides", 1)] * rank, config["padding"], [config.get("dilation_rate", 1)] * rank


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
def test_conv3d(config: dict[str, Any]) -> None:
    x, params, y = made(jg.layers.Conv3D(4, (2, 1, 3), groups=2, **config), 1, 5, 3, 6, 2)
    reference.assert_near(y, reference.convolve(x, params["kernel"], *steps(config, 3), 2) + params["bias"])


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


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_free_axes(padding: str) -> None:
    x = jg.Input((None, None, 2), name="x")
    model = jg.Model(x, jg.layers.Conv2D(3, 3, strides=2, padding=padding)(x))
    params, state = model.init(jax.random.key(0))
    for height, width in ((4, 7), (9, 3)):
        y, _ = model.apply(params, state, np.ones((2, height, width, 2), "float32"))
        sizes = (-(-n // 2) if padding == "same" else (n - 3) // 2 + 1 for n in (height, width))
        assert y.shape == (2, *sizes, 3)


def test_free_axes_that_turn_out_too_short() -> None:
    x = jg.Input((None, 2), name="x")
    model = jg.Model(x, jg.layers.Conv1D(3, 3)(x))
    params, state = model.init(jax.random.key(0))
    with pytest.raises(ShapeError, match=r"Conv1D.*at least \(3,\).*got float32\[4, 2, 2\]"):
        model.apply(params, state, np.ones((4, 2, 2), "float32"))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_floats_stay_short(dtype: str) -> None:
    for name, options in LAYERS.items():
        layer = getattr(jg.layers, name)(kernel_size=2, **options)
        spec = jax.ShapeDtypeStruct((2, *[4] * layer.rank, 2), dtype)
        params = jax.eval_shape(lambda key, layer=layer, spec=spec: layer.init(key, spec)[0], jax.random.key(0))
        short = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), params)
        assert jax.eval_shape(lambda p, x, layer=layer: layer.apply(p, {}, x)[0], short, spec).dtype == dtype
