"""Pooling against loops in float64, and what is left of whole axes."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import ShapeError
from tests.references import numpy_layers as reference


@pytest.mark.parametrize(("size", "strides", "padding"), [*itertools.product([2, 3], [None, 1, 2], ["valid", "same"])])
@pytest.mark.parametrize("name", ["MaxPooling1D", "MaxPooling2D", "AveragePooling2D", "AveragePooling3D"])
def test_windows(name: str, size: int, strides: int | None, padding: str) -> None:
    rank = int(name[-2])
    x: Any = np.random.default_rng(0).normal(size=(2, *(7, 6, 4)[:rank], 3)).astype("float32")
    y, _ = getattr(jg.layers, name)(size, strides, padding).apply({}, {}, x)
    window, steps = [size] * rank, [strides or size] * rank
    reference.assert_near(y, reference.pool(name[:3].lower(), x, window, steps, padding))


def test_windows_of_several_sizes() -> None:
    x: Any = np.random.default_rng(0).normal(size=(2, 7, 6, 5, 3)).astype("float32")
    y, _ = jg.layers.MaxPooling2D((3, 2), strides=(1, 3)).apply({}, {}, x[:, :, :, 0])
    reference.assert_near(y, reference.pool("max", x[:, :, :, 0], (3, 2), (1, 3), "valid"))
    y, _ = jg.layers.MaxPooling3D((3, 2, 4), strides=(1, 3, 2), padding="same").apply({}, {}, x)
    reference.assert_near(y, reference.pool("max", x, (3, 2, 4), (1, 3, 2), "same"))


def test_a_free_axis_that_turns_out_too_short_is_refused() -> None:
    x = jg.Input((None, 2), name="x")
    model = jg.Model(x, jg.layers.MaxPooling1D(3)(x))
    assert model.apply({}, {}, jnp.ones((1, 3, 2)))[0].shape == (1, 1, 2)
    with pytest.raises(ShapeError, match=r"at least \(3,\)"):
        model.apply({}, {}, jnp.ones((1, 2, 2)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "layer",
    [
        jg.layers.AveragePooling1D(600),
        jg.layers.AveragePooling1D(900, padding="same"),
        jg.layers.GlobalAveragePooling1D(),
    ],
    ids=str,
)
def test_means_of_low_precision_are_summed_in_float32(layer: jg.Layer, dtype: str) -> None:
    """bfloat16 cannot count to 600: sums in it would stop growing at 256."""
    x = jnp.ones((1, 600, 1), dtype)
    y, _ = layer.apply({}, {}, x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.ravel(), [1.0])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_masked_means_of_low_precision_are_summed_in_float32(dtype: str) -> None:
    y, _ = jg.layers.GlobalAveragePooling1D().apply({}, {}, jnp.ones((1, 600, 1), dtype), mask=jnp.ones((1, 600), bool))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [[1.0]])


def test_padding_never_wins_a_maximum() -> None:
    y, _ = jg.layers.MaxPooling1D(3, 1, "same").apply({}, {}, jnp.full((1, 4, 1), -5.0))
    np.testing.assert_array_equal(y, np.full((1, 4, 1), -5.0))


def test_maxima_of_integers() -> None:
    x: Any = np.array([[[3], [-7], [-9], [-2]]], "int32")
    y, _ = jg.layers.MaxPooling1D().apply({}, {}, x)
    assert y.dtype == "int32"
    np.testing.assert_array_equal(y, [[[3], [-2]]])


@pytest.mark.parametrize("keepdims", [False, True])
def test_whole_axes(keepdims: bool) -> None:
    x: Any = np.random.default_rng(0).normal(size=(3, 5, 4, 2)).astype("float32")
    wide = x.astype("float64")
    for name, array, want in (
        ("GlobalMaxPooling1D", x[:, :, 0], wide[:, :, 0].max(1, keepdims=keepdims)),
        ("GlobalMaxPooling2D", x, wide.max((1, 2), keepdims=keepdims)),
        ("GlobalMaxPooling3D", x[..., None], wide[..., None].max((1, 2, 3), keepdims=keepdims)),
        ("GlobalAveragePooling1D", x[:, :, 0], wide[:, :, 0].mean(1, keepdims=keepdims)),
        ("GlobalAveragePooling2D", x, wide.mean((1, 2), keepdims=keepdims)),
        ("GlobalAveragePooling3D", x[..., None], wide[..., None].mean((1, 2, 3), keepdims=keepdims)),
    ):
        reference.assert_near(getattr(jg.layers, name)(keepdims=keepdims).apply({}, {}, array)[0], want)


def test_mean_of_the_real_steps() -> None:
    random: Any = np.random.default_rng(0)
    x, mask = random.normal(size=(3, 5, 2)).astype("float32"), random.random((3, 5)) < 0.6
    mask[2] = False
    x[~mask] = np.nan
    y, _ = jg.layers.GlobalAveragePooling1D().apply({}, {}, x, mask=mask)
    reference.assert_near(y[:2], np.stack([x[row, mask[row]].astype("float64").mean(0) for row in range(2)]))
    np.testing.assert_array_equal(y[2], [0, 0])


@pytest.mark.parametrize("name", ["GlobalMaxPooling1D", "GlobalAveragePooling1D"])
def test_gradients_of_rows_without_steps_are_zero(name: str) -> None:
    mask = jnp.array([[True, False], [False, False]])
    layer = getattr(jg.layers, name)()
    gradients = jax.grad(lambda x: layer.apply({}, {}, x, mask=mask)[0].sum())(jnp.ones((2, 2, 1)))
    np.testing.assert_array_equal(gradients[..., 0], [[1, 0], [0, 0]])


def test_a_mask_is_wired_and_ends() -> None:
    text = jg.Input((None,), "int32", name="text")
    embedded = jg.layers.Embedding(5, 3, mask_zero=True)(text)
    mean = jg.layers.GlobalAveragePooling1D()(embedded)
    assert embedded.mask is not None
    assert mean.mask is None
    model = jg.Model(text, mean)
    params, state = model.init(jax.random.key(0))
    tokens = np.array([[1, 2, 0, 0], [3, 4, 1, 2]], "int32")
    short, _ = model.apply(params, state, tokens[:1, :2])
    np.testing.assert_allclose(model.apply(params, state, tokens)[0][:1], short, rtol=1e-6)
