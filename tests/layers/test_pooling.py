"""Pooling against loops in float64, and what is left of whole axes."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from tests.references import numpy_layers as reference


@pytest.mark.parametrize(("size", "strides", "padding"), [*itertools.product([2, 3], [None, 1, 2], ["valid", "same"])])
@pytest.mark.parametrize("name", ["MaxPooling1D", "MaxPooling2D", "AveragePooling2D"])
def test_windows(name: str, size: int, strides: int | None, padding: str) -> None:
    rank = int(name[-2])
    x: Any = np.random.default_rng(0).normal(size=(2, *(7, 6)[:rank], 3)).astype("float32")
    y, _ = getattr(jg.layers, name)(size, strides, padding).apply({}, {}, x)
    window, steps = [size] * rank, [strides or size] * rank
    reference.assert_near(y, reference.pool(name[:3].lower(), x, window, steps, padding))


def test_windows_of_two_sizes() -> None:
    x: Any = np.random.default_rng(0).normal(size=(2, 7, 6, 3)).astype("float32")
    y, _ = jg.layers.MaxPooling2D((3, 2), strides=(1, 3)).apply({}, {}, x)
    reference.assert_near(y, reference.pool("max", x, (3, 2), (1, 3), "valid"))


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
        ("GlobalAveragePooling1D", x[:, :, 0], wide[:, :, 0].mean(1, keepdims=keepdims)),
        ("GlobalAveragePooling2D", x, wide.mean((1, 2), keepdims=keepdims)),
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
