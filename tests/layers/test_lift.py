"""Pairs of functions, functions and Flax modules as layers."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import SymbolError

X = np.arange(6, dtype="float32").reshape(2, 3)


def init(key: jax.Array, x: Any) -> Any:
    return {"gain": jnp.full(x.shape[-1], 2.0)}, {"calls": jnp.zeros((), jnp.int32)}


def apply(params: Any, state: Any, x: Any, train: bool, key: Any) -> Any:
    return x * params["gain"], {"calls": state["calls"] + train}


def test_a_pair_is_a_layer() -> None:
    x, layer = jg.Input((3,), name="x"), jg.as_layer(init, apply)
    model = jg.Model(x, layer(layer(x)))
    params, state = model.init(jax.random.key(0))
    assert list(params) == ["pair"]
    y, after = model.apply(params, state, X, train=True)
    np.testing.assert_array_equal(y, 4 * X)
    assert after["pair"]["calls"] == 2
    assert model.apply(params, after, X)[1]["pair"]["calls"] == 2


def test_a_pair_may_have_a_name_and_mixes_rows() -> None:
    layer = jg.as_layer(init, apply, name="scale")
    assert layer.name == "scale"
    assert layer.mixes_rows


def test_a_pair_that_returns_no_pair_is_refused_when_drawn() -> None:
    with pytest.raises(SymbolError, match="pair"):
        jg.as_layer(init, lambda params, state, x, train, key: x)(jg.Input((3,)))


def test_modules_of_flax_are_known_by_their_class() -> None:
    class Mine(nn.Dense):
        pass

    for module in (nn.Dense(2), Mine(2)):
        assert isinstance(jg.as_layer(module), jg.layers.FlaxModule)
