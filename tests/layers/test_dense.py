"""Dense against its formula."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from tests.references import numpy_layers as reference


@pytest.mark.parametrize("shape", [(4, 3), (4, 5, 3), (2, 3, 4, 3)], ids=str)
def test_values(shape: tuple[int, ...], getkey: Callable[[], jax.Array]) -> None:
    x: Any = np.random.default_rng(0).normal(size=shape).astype("float32")
    layer = jg.layers.Dense(6, activation="tanh", bias_initializer="normal")
    params, state = layer.init(getkey(), jax.ShapeDtypeStruct(x.shape, x.dtype))
    y, state = layer.apply(params, state, x)
    reference.assert_near(y, np.tanh(reference.dense(x, *(np.asarray(params[k]) for k in ("kernel", "bias")))))
    assert state == {}


def test_a_function_of_the_users_own_activates() -> None:
    layer = jg.layers.Dense(2, activation=lambda x: 7 * x, kernel_initializer="ones", use_bias=False)
    params, _ = layer.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 3), "float32"))
    assert set(params) == {"kernel"}
    np.testing.assert_array_equal(layer.apply(params, {}, jnp.ones((1, 3)))[0], [[21, 21]])


def test_integers_become_floats() -> None:
    x = jg.Input((3,), "int32", name="x")
    model = jg.Model(x, jg.layers.Dense(2, kernel_initializer="ones")(x))
    params, state = model.init(jax.random.key(0))
    y, _ = model.apply(params, state, np.array([[1, 2, 3]], "int32"))
    assert model.outputs.dtype == y.dtype == "float32"
    np.testing.assert_array_equal(y, [[6, 6]])
