"""Embeddings: looking up, what lies outside of the table, the mask, and gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from tests.references import numpy_layers as reference

TABLE = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
LAYER = jg.layers.Embedding(5, 3)


@pytest.mark.parametrize("shape", [(4,), (4, 6), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("dtype", ["int32", "uint8", "int16"])
def test_values(shape: tuple[int, ...], dtype: str) -> None:
    x: Any = np.random.default_rng(1).integers(0, 5, shape).astype(dtype)
    y, state = LAYER.apply({"embeddings": TABLE}, {}, x)
    np.testing.assert_array_equal(y, reference.embedding(x, TABLE))
    assert state == {}


def test_what_is_not_in_the_table_is_nan() -> None:
    x: Any = np.array([[-1, 4, 5], [0, -6, 10**9]], "int32")
    np.testing.assert_array_equal(LAYER.apply({"embeddings": TABLE}, {}, x)[0], reference.embedding(x, TABLE))


def test_gradient_counts_how_often_a_row_was_used() -> None:
    x: Any = np.array([[1, 1, 4], [1, -1, 0]], "int32")
    gradient = jax.grad(lambda table: jnp.nansum(LAYER.apply({"embeddings": table}, {}, x)[0]))(TABLE)
    np.testing.assert_array_equal(gradient, np.array([[1], [3], [0], [0], [1]]) * np.ones((5, 3)))


def test_zero_is_masked_where_asked_for() -> None:
    x = jg.Input((3,), "int32", name="x")
    assert jg.layers.Embedding(5, 2)(x).mask is None
    y = jg.layers.Embedding(5, 2, mask_zero=True)(x)
    model = jg.Model(x, y.mask)
    params, state = model.init(jax.random.key(0))
    mask, _ = model.apply(params, state, np.array([[1, 0, 2], [0, 0, 4]], "int32"))
    np.testing.assert_array_equal(mask, [[True, False, True], [False, False, True]])


def test_start_values_lie_within_a_twentieth() -> None:
    params, _ = jg.layers.Embedding(1000, 8).init(jax.random.key(0), jax.ShapeDtypeStruct((1, 3), "int32"))
    assert 0.049 < np.abs(params["embeddings"]).max() <= 0.05
