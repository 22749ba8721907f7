"""Up-sampling and resizing against formulas in float64, and where sizes are free."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from tests.references import numpy_layers as reference

VOLUME: Any = np.random.default_rng(0).normal(size=(2, 6, 5, 4, 3)).astype("float32")
OF_RANK = {1: VOLUME[:, :, 0, 0], 2: VOLUME[:, :, :, 0], 3: VOLUME}


@pytest.mark.parametrize(("rank", "size"), [(1, 3), (2, 2), (2, (1, 3)), (3, 2), (3, (3, 1, 2))], ids=str)
def test_every_step_is_repeated(rank: int, size: Any) -> None:
    x = want = OF_RANK[rank]
    for axis, times in enumerate((size,) * rank if isinstance(size, int) else size, 1):
        want = want.repeat(times, axis)
    np.testing.assert_array_equal(getattr(jg.layers, f"UpSampling{rank}D")(size).apply({}, {}, x)[0], want)


def between(x: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Output i lies at `(i + 0.5) n / size - 0.5` of n steps, and is weighed by the distance to both neighbours."""
    wide, n = np.moveaxis(x.astype("float64"), axis, 0), x.shape[axis]
    at = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
    low = np.minimum(at.astype(int), max(n - 2, 0))
    part = (at - low).reshape(-1, *[1] * (x.ndim - 1))
    return np.moveaxis(wide[low] * (1 - part) + wide[np.minimum(low + 1, n - 1)] * part, 0, axis)


@pytest.mark.parametrize("size", [(6, 5), (3, 9), (1, 1), (13, 4)], ids=str)
def test_bilinear(size: tuple[int, int]) -> None:
    x = OF_RANK[2]
    want = between(between(x, 1, size[0]), 2, size[1])
    reference.assert_near(jg.layers.Resizing(*size).apply({}, {}, x)[0], want)


def test_bilinear_up_sampling() -> None:
    x = OF_RANK[2]
    want = between(between(x, 1, 12), 2, 15)
    reference.assert_near(jg.layers.UpSampling2D((2, 3), interpolation="bilinear").apply({}, {}, x)[0], want)


@pytest.mark.parametrize("size", [(4, 9), (7, 3), (2, 2)], ids=str)
def test_ratios(size: tuple[int, int]) -> None:
    x: Any = OF_RANK[2]
    (tall, wide), (height, width) = x.shape[1:3], size
    rows, columns = max(min(tall, wide * height // width), 1), max(min(wide, tall * width // height), 1)
    top, left = (tall - rows) // 2, (wide - columns) // 2
    window = x[:, top : top + rows, left : left + columns]
    want = between(between(window, 1, height), 2, width)
    reference.assert_near(jg.layers.Resizing(*size, crop_to_aspect_ratio=True).apply({}, {}, x)[0], want)
    above, beside = max(wide * height // width - tall, 0) // 2, max(tall * width // height - wide, 0) // 2
    frame = np.pad(x, [(0, 0), (above, above), (beside, beside), (0, 0)], constant_values=2.0)
    want = between(between(frame, 1, height), 2, width)
    y, _ = jg.layers.Resizing(*size, pad_to_aspect_ratio=True, fill_value=2.0).apply({}, {}, x)
    reference.assert_near(y, want)


def test_antialias_passes_no_pixel_over() -> None:
    """A single bright pixel of a row that shrinks to a fifth: without `antialias` it falls between the samples."""
    x: Any = np.zeros((1, 1, 20, 1), "float32")
    x[0, 0, 0] = 1.0
    assert not np.any(jg.layers.Resizing(1, 4).apply({}, {}, x)[0])
    assert np.any(jg.layers.Resizing(1, 4, antialias=True).apply({}, {}, x)[0])


@pytest.mark.parametrize(
    "layer",
    [
        jg.layers.Resizing(4, 7),
        jg.layers.Resizing(4, 7, "nearest", crop_to_aspect_ratio=True),
        jg.layers.Resizing(4, 7, "bicubic", pad_to_aspect_ratio=True, fill_value=1.0, antialias=True),
        jg.layers.UpSampling2D(2),
        jg.layers.UpSampling2D((1, 3), interpolation="lanczos3"),
    ],
    ids=str,
)
def test_free_sizes(layer: jg.Layer) -> None:
    x = jg.Input((None, None, 3), name="x")
    model = jg.Model(x, layer(x))
    for seen in (OF_RANK[2], OF_RANK[2][:, :2], OF_RANK[2][:, :, :1]):
        y, _ = model.apply({}, {}, seen)
        np.testing.assert_allclose(y, layer.apply({}, {}, seen)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "uint8", "int32"])
@pytest.mark.parametrize(
    "layer", [jg.layers.Resizing(4, 7, pad_to_aspect_ratio=True), jg.layers.UpSampling2D(2, "bicubic")], ids=str
)
def test_the_dtype_is_kept(layer: jg.Layer, dtype: str) -> None:
    x = jnp.asarray(np.abs(OF_RANK[2]) * 50).astype(dtype)
    y, _ = layer.apply({}, {}, x)
    assert y.dtype == dtype
    wide = layer.apply({}, {}, x.astype("float32"))[0]
    step = 0.51 if "int" in dtype else 2 * float(jnp.finfo(dtype).eps) * float(jnp.max(wide))
    clipped = jnp.clip(wide, 0, None) if dtype == "uint8" else wide
    assert float(jnp.max(jnp.abs(y.astype("float32") - clipped))) <= step
