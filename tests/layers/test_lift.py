"""Pairs of functions and modules of other libraries as layers: which is taken for what."""

from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.example_libraries import stax

import jgraph as jg
from jgraph.errors import ArgumentError, SaveError, SymbolError

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


def test_each_is_known_by_what_it_is() -> None:
    class Mine(eqx.Module):
        weight: jax.Array

        def __call__(self, x: Any) -> Any:
            return x @ self.weight

    kinds = {
        "NNXModule": [nnx.Linear(2, 2, rngs=nnx.Rngs(0)), nnx.Sequential(nnx.relu)],
        "EquinoxModule": [Mine(jnp.ones((2, 2))), eqx.nn.make_with_state(eqx.nn.BatchNorm)(2, "batch", mode="ema")],
        "StaxPair": [stax.Relu, stax.serial(stax.Dense(2))],
        "Pair": [(init, apply)],
    }
    for kind, given in kinds.items():
        assert [type(jg.as_layer(g)).__name__ for g in given] == [kind] * len(given)


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ((nn.Dense,), r"the class Dense\. Make an object of the class: jg\.as_layer\(Dense\(\.\.\.\)\)"),
        ((nn.Dense(2), apply), "Dense and function"),
        ((init,), "got function"),
        (((init, apply, init),), "got tuple"),
        ((init, 3), "function and int"),
        ((3,), "got int"),
    ],
    ids=["class", "module", "alone", "three", "number", "nothing"],
)
def test_what_is_none_of_them_is_refused(given: tuple, got: str) -> None:
    with pytest.raises(ArgumentError, match=rf"as_layer: expected .*{got}"):
        jg.as_layer(*given)


def test_what_no_file_can_say_needs_a_name_to_be_saved() -> None:
    x = jg.Input((3,))
    with pytest.raises(SaveError, match=r"as_layer\(init_fun.*name='encoder'"):
        jg.Model(x, jg.as_layer(stax.Relu)(x)).to_json()
