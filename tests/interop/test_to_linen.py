"""Models as modules of Linen: the same trees, outputs, gradients and states, alone and inside other modules."""

import pickle
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, KeyMismatchError, ShapeError

X = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
KEY = jax.random.key(1)


@pytest.fixture(scope="module")
def model() -> jg.Model:
    """Layers with params, a state, draws and a nested model; one is called as a field of Linen's modules."""
    x, inner = jg.Input((5,), name="x"), jg.Input((3,), name="inner")
    tower = jg.Model(inner, jg.layers.Dropout(0.5)(jg.layers.BatchNormalization()(inner)), name="tower")
    return jg.Model(x, jg.layers.Dense(2, name="model")(tower(jg.layers.Dense(3)(x))))


def linen_of(model: jg.Model, **options: Any) -> Any:
    return jg.interop.to_linen(model, **options)


def assert_equal(got: Any, want: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, got, want)


def test_variables_are_the_model_s_trees_and_outputs_the_model_s(model: jg.Model) -> None:
    params, state = model.init(KEY)
    module = linen_of(model)
    assert_equal(module.apply({"params": params, "state": state}, X), model.apply(params, state, X)[0])
    made = module.init(jax.random.key(0), X)
    assert jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, {"params": params, "state": state})
    assert_equal(made["state"], state)
    assert (made["params"]["dense"]["kernel"] != 0).any()


def test_gradients_are_the_model_s(model: jg.Model) -> None:
    params, state = model.init(KEY)
    module = linen_of(model)
    got = jax.jit(jax.grad(lambda p: jnp.sin(module.apply({"params": p, "state": state}, X)).sum()))(params)
    assert_equal(got, jax.jit(jax.grad(lambda p: jnp.sin(model.apply(p, state, X)[0]).sum()))(params))


def test_training_takes_a_key_and_gives_the_next_state(model: jg.Model) -> None:
    params, state = model.init(KEY)
    variables, module = {"params": params, "state": state}, linen_of(model)

    def once(key: jax.Array) -> Any:
        return module.apply(variables, X, train=True, rngs={"dropout": key}, mutable=["state"])

    (outputs, changed), (again, _), (other, _) = map(once, (KEY, KEY, jax.random.key(2)))
    assert_equal(changed["state"], model.apply(params, state, X, train=True, key=KEY)[1])  # dropout comes after it
    assert (changed["state"]["tower"]["batch_normalization"]["moving_mean"] != 0).any()
    assert_equal(outputs, again)
    assert (outputs != other).any()
    _, unchanged = module.apply(variables, X, mutable=["state"])
    assert_equal(unchanged["state"], state)
    assert_equal(module.apply(variables, X, train=True, rngs={"dropout": KEY}), outputs)  # the state let go


def test_the_key_reaches_the_model() -> None:
    ones = np.ones((100, 5), np.float32)
    module = linen_of(jg.Sequential([jg.Input((5,)), jg.layers.Dropout(0.5)]))
    assert_equal(module.init(KEY, ones), {})
    dropped: Any = module.apply({}, ones, train=True, rngs={"dropout": KEY})
    assert abs(float((dropped == 0).mean()) - 0.5) < 0.1
    with pytest.raises(jg.errors.RandomKeyError):
        module.apply({}, ones, train=True)


def test_it_is_part_of_other_modules(model: jg.Model) -> None:
    class Outer(nn.Module):
        part: nn.Module

        @nn.compact
        def __call__(self, x: Any, train: bool = False) -> Any:
            x = nn.Dense(5)(x)
            return nn.Dense(1)(self.part(x, train) + linen_of(model, name="other")(x, train))

    outer: Any = Outer(linen_of(model))
    variables = outer.init(KEY, X)
    assert set(variables["params"]) == {"Dense_0", "Dense_1", "part", "other"}
    assert set(variables["state"]) == {"part", "other"}
    params, state = variables["params"], variables["state"]
    x: Any = nn.Dense(5).apply({"params": params["Dense_0"]}, X)
    parts = sum(model.apply(params[n], state[n], x)[0] for n in ("part", "other"))
    want: Any = nn.Dense(1).apply({"params": params["Dense_1"]}, parts)
    np.testing.assert_allclose(np.asarray(outer.apply(variables, X)), np.asarray(want), rtol=1e-6)
    _, changed = outer.apply(variables, X, True, rngs={"dropout": KEY}, mutable=["state"])
    assert (changed["state"]["part"]["tower"]["batch_normalization"]["moving_mean"] != 0).any()


def test_several_inputs_and_outputs_as_they_were_drawn() -> None:
    left, right = jg.Input((2,), name="left"), jg.Input((2,), name="right")
    model = jg.Model({"left": left, "right": right}, {"sum": left + right, "parts": [left - right]})
    outputs: Any = linen_of(model).apply({}, {"left": X[:, :2], "right": X[:, 2:4]})
    assert_equal(outputs, {"sum": X[:, :2] + X[:, 2:4], "parts": [X[:, :2] - X[:, 2:4]]})


def test_copies_of_the_model_by_linen_s_vmap() -> None:
    model = jg.Sequential([jg.Input((5,)), jg.layers.Dense(3)])

    class Many(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            options: Any = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}, "axis_size": 3}
            kind = nn.vmap(type(linen_of(model)), in_axes=cast("Any", None), **options)
            return kind(model)(x)

    variables = Many().init(KEY, X)
    (kernels,) = (leaf for leaf in jax.tree.leaves(variables) if leaf.ndim == 3)
    assert kernels.shape == (3, 5, 3)
    assert (kernels[0] != kernels[1]).any()


def test_there_and_back_it_is_the_same_model(model: jg.Model) -> None:
    params, state = model.init(KEY)
    x = jg.Input((5,), name="x")
    layer = jg.as_layer(linen_of(model), name="it")
    back = jg.Model(x, layer(x))
    assert back.params_spec["it"] == model.params_spec
    assert back.state_spec["it"] == {"state": model.state_spec}
    assert_equal(back.apply({"it": params}, {"it": {"state": state}}, X)[0], model.apply(params, state, X)[0])
    _, after = back.apply({"it": params}, {"it": {"state": state}}, X, train=True, key=KEY)
    assert_equal(after["it"]["state"], model.apply(params, state, X, train=True, key=KEY)[1])


def test_modules_of_one_model_are_equal_and_can_be_pickled(model: jg.Model) -> None:
    one, two = linen_of(model, name="it"), linen_of(model, name="it")
    assert one == two
    assert one != linen_of(jg.Sequential([jg.Input((5,)), jg.layers.Dense(3)]), name="it")
    params, state = model.init(KEY)
    loaded = pickle.loads(pickle.dumps(one))
    assert loaded.name == "it"
    assert_equal(loaded.apply({"params": params, "state": state}, X), model.apply(params, state, X)[0])


def test_bad_calls_are_refused(model: jg.Model) -> None:
    with pytest.raises(ArgumentError, match=r"to_linen.*a model, got Dense"):
        jg.interop.to_linen(jg.layers.Dense(3))  # pyright: ignore[reportArgumentType]
    params, state = model.init(KEY)
    module = linen_of(model)
    with pytest.raises(KeyMismatchError, match="params"):
        module.apply({"state": state}, X)
    with pytest.raises(KeyMismatchError, match="extra leaf"):
        module.apply({"params": {**params, "other": {"kernel": X}}, "state": state}, X)
    with pytest.raises(ShapeError, match="rank"):
        module.apply({"params": params, "state": state}, X[0])
