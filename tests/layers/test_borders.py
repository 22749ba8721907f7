"""Cropping and zero padding against slices and NumPy, and where sizes are free."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import ShapeError

VOLUME: Any = np.random.default_rng(0).normal(size=(2, 6, 5, 7, 3)).astype("float32")
OF_RANK = {1: VOLUME[:, :, 0, 0], 2: VOLUME[:, :, :, 0], 3: VOLUME}

AMOUNTS = [
    (1, 2, [(2, 2)]),
    (1, [0, 3], [(0, 3)]),
    (2, 1, [(1, 1), (1, 1)]),
    (2, (2, 0), [(2, 2), (0, 0)]),
    (2, ((0, 1), 2), [(0, 1), (2, 2)]),
    (3, 2, [(2, 2), (2, 2), (2, 2)]),
    (3, ((1, 0), (0, 0), (2, 3)), [(1, 0), (0, 0), (2, 3)]),
]


@pytest.mark.parametrize(("rank", "amounts", "pairs"), AMOUNTS, ids=str)
def test_amounts(rank: int, amounts: Any, pairs: list[tuple[int, int]]) -> None:
    x = OF_RANK[rank]
    kept = (slice(None), *(slice(a, n - b) for n, (a, b) in zip(x.shape[1:-1], pairs, strict=True)))
    cropped, _ = getattr(jg.layers, f"Cropping{rank}D")(amounts).apply({}, {}, x)
    np.testing.assert_array_equal(cropped, x[kept])
    padded, _ = getattr(jg.layers, f"ZeroPadding{rank}D")(amounts).apply({}, {}, x)
    np.testing.assert_array_equal(padded, np.pad(x, [(0, 0), *pairs, (0, 0)]))
    again, _ = getattr(jg.layers, f"Cropping{rank}D")(amounts).apply({}, {}, padded)
    np.testing.assert_array_equal(again, x)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8", "bool"])
def test_the_dtype_is_kept(dtype: str) -> None:
    x = jnp.asarray(VOLUME[:, :, 0, 0] > 0).astype(dtype)
    for layer in (jg.layers.Cropping1D(1), jg.layers.ZeroPadding1D((0, 2))):
        assert layer.apply({}, {}, x)[0].dtype == dtype


def test_crops_of_one_length_add_up_where_it_is_free() -> None:
    x = jg.Input((None, 3), name="x")
    crop = jg.layers.Cropping1D
    model = jg.Model(x, crop((2, 0))(x) - crop((0, 2))(x) + crop(1)(x))
    for steps in (6, 3):
        seen = VOLUME[:, :steps, 0, 0]
        y, _ = model.apply({}, {}, seen)
        np.testing.assert_allclose(y, seen[:, 2:] - seen[:, :-2] + seen[:, 1:-1], rtol=1e-5, atol=1e-6)


def test_a_free_axis_that_turns_out_too_short_is_refused() -> None:
    x = jg.Input((None, 3), name="x")
    model = jg.Model(x, jg.layers.Cropping1D((1, 2))(x))
    with pytest.raises(ShapeError, match=r"longer than \(3,\), which is cropped"):
        model.apply({}, {}, VOLUME[:, :3, 0, 0])


def test_gradients_fall_where_elements_came_from() -> None:
    x = jnp.asarray(OF_RANK[2])
    crop, pad = jg.layers.Cropping2D(((1, 2), (0, 1))), jg.layers.ZeroPadding2D((1, 2))
    want = np.zeros(x.shape)
    want[:, 1:-2, :-1] = 1
    np.testing.assert_array_equal(jax.grad(lambda x: crop.apply({}, {}, x)[0].sum())(x), want)
    np.testing.assert_array_equal(jax.grad(lambda x: pad.apply({}, {}, x)[0].sum())(x), np.ones(x.shape))
