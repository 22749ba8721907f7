"""How a node is computed: dtypes of params, inputs, outputs and state; frozen layers; what Keras does with them."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import jgraph as jg
from jgraph.core.treatment import PLAIN, Treatment, applied, cast, initialized, penalized, widened
from tests.laws.members import LAYERS, Member

L = jg.layers
LOW = Treatment(dtype="bfloat16")


class Probe(jg.Layer):
    """It says what it was applied to."""

    def init(self, key: jax.Array, x: Any, scale: Any = None) -> Any:
        """One of everything."""
        del x, scale
        params = {"w": jax.random.normal(key, (2,)), "order": jnp.arange(2)}
        return params, {"seen": jnp.zeros((), jnp.float32)}

    def apply(self, params: Any, state: Any, x: Any, scale: Any = None, *, train: bool = False, key: Any = None) -> Any:
        """The dtypes, the flag, and one more step."""
        kinds = [v.dtype for v in (params["w"], params["order"], x, scale, state["seen"])]
        return {"kinds": kinds, "train": train, "y": x}, {"seen": state["seen"] + 1}

    def penalty(self, params: Any, inputs: Any, outputs: Any) -> Any:
        """The dtypes that penalties are taken in."""
        return [params["w"].dtype, inputs[0].dtype, outputs.dtype]


def test_floating_params_and_inputs_are_cast_and_state_is_not() -> None:
    layer = Probe()
    params, state = layer.init(jax.random.key(0), None)
    options = {"scale": jnp.ones(2)}
    outputs, state = applied(layer, LOW, params, state, (jnp.ones(2),), options)
    assert outputs["kinds"] == [jnp.bfloat16, jnp.int32, jnp.bfloat16, jnp.bfloat16, jnp.float32]
    assert outputs["y"].dtype == jnp.bfloat16
    assert state["seen"].dtype == jnp.float32
    outputs, _ = applied(layer, LOW, params, state, (jnp.arange(2),), options)
    assert outputs["kinds"][2] == outputs["y"].dtype == jnp.int32


def test_params_are_made_in_their_own_dtype() -> None:
    layer, key = Probe(), jax.random.key(0)
    params, state = initialized(layer, Treatment(param_dtype="float16"), key, (None,), {})
    plain, _ = initialized(layer, PLAIN, key, (None,), {})
    assert (params["w"].dtype, params["order"].dtype, state["seen"].dtype) == (jnp.float16, jnp.int32, jnp.float32)
    np.testing.assert_array_equal(params["w"], plain["w"].astype(jnp.float16))


def test_penalties_are_taken_in_float32() -> None:
    low = jnp.ones(2, jnp.bfloat16)
    assert penalized(Probe(), LOW, {"w": low}, (low,), low) == [jnp.float32] * 3
    assert penalized(L.Dense(1), LOW, {}, (low,), low) == 0.0


def test_a_frozen_layer_with_state_is_applied_as_outside_of_training() -> None:
    frozen, layer = Treatment(trainable=False), Probe()
    params, state = layer.init(jax.random.key(0), None)
    options = {"scale": jnp.ones(2)}
    assert applied(layer, PLAIN, params, state, (jnp.ones(2),), options, train=True)[0]["train"] is True
    assert applied(layer, frozen, params, state, (jnp.ones(2),), options, train=True)[0]["train"] is False
    dropped, _ = applied(L.Dropout(0.5), frozen, {}, {}, (jnp.ones(64),), {}, train=True, key=jax.random.key(0))
    assert set(np.unique(dropped)) == {0.0, 2.0}  # as in Keras, where it has no weights to freeze


def test_no_gradient_reaches_frozen_params_but_inputs_have_theirs() -> None:
    x = jg.Input((3,), name="x")
    model = jg.Model(x, L.Dense(2, name="head")(L.Dense(4, activation="tanh", name="body")(x)))
    params, state = model.init(jax.random.key(0))
    rows = jax.random.normal(jax.random.key(1), (5, 3))

    def loss(model: jg.Model, params: Any, rows: Any) -> Any:
        return jnp.sum(model.apply(params, state, rows)[0] ** 2)

    grads = jax.jit(jax.grad(loss, argnums=(1, 2)), static_argnums=0)
    own, whole = (grads(m, params, rows) for m in (model.freeze("head"), model))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(own[0]["head"]))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-6)  # two programs, which may be fused otherwise
    jax.tree.map(close, (own[0]["body"], own[1]), (whole[0]["body"], whole[1]))


def test_frozen_calls_of_a_layer_that_others_train() -> None:
    x, z, i = jg.Input((3,), name="x"), jg.Input((3,), name="z"), jg.Input((3,))
    judge = jg.Model(i, L.Dense(1, name="judge")(i))
    both = jg.Model([x, z], [judge(x), judge.freeze("judge")(L.Dense(3, name="maker")(z))])
    alone = jg.Model(x, judge(x))
    params, state = both.init(jax.random.key(0))
    a, b = jax.random.normal(jax.random.key(1), (2, 5, 3))
    grads = jax.jit(jax.grad(lambda p: sum(jnp.sum(y**2) for y in both.apply(p, state, [a, b])[0])))(params)
    part = jax.jit(jax.grad(lambda p: jnp.sum(alone.apply(p, state, a)[0] ** 2)))(alone.select(params, of=both))
    jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, rtol=1e-6), grads["model"], part["model"])
    assert np.any(grads["maker"]["kernel"])


def test_frozen_batch_normalization_is_that_of_keras() -> None:
    theirs = keras.Sequential([keras.layers.Input((3,)), keras.layers.BatchNormalization(momentum=0.5)])
    x = jg.Input((3,), name="x")
    ours = jg.Model(x, L.BatchNormalization(momentum=0.5, name="norm")(x))
    random = np.random.default_rng(0)
    values = [random.uniform(0.5, 2.0, 3).astype("float32") for _ in range(4)]
    theirs.layers[0].set_weights(values)
    params = {"norm": {"gamma": jnp.asarray(values[0]), "beta": jnp.asarray(values[1])}}
    state = {"norm": {"moving_mean": jnp.asarray(values[2]), "moving_variance": jnp.asarray(values[3])}}
    rows = random.normal(size=(6, 3)).astype("float32")
    for trainable, model in ((True, ours), (False, ours.freeze("norm"))):
        theirs.layers[0].trainable = trainable
        expected = np.asarray(theirs(rows, training=True))
        outputs, after = model.apply(params, state, rows, train=True)
        np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-6)
        for name, held in after["norm"].items():
            np.testing.assert_allclose(held, getattr(theirs.layers[0], name), rtol=1e-6)
        theirs.layers[0].set_weights(values)
    assert after["norm"]["moving_mean"] is state["norm"]["moving_mean"]


@pytest.mark.parametrize("member", LAYERS, ids=lambda member: member.id)
def test_every_layer_computes_in_bfloat16_and_keeps_its_state(member: Member) -> None:
    plain = member.draw()
    model = plain.with_policy(jg.Policy({"*": {"dtype": "bfloat16"}}))
    assert jax.tree.leaves(model.params_spec) == jax.tree.leaves(plain.params_spec)
    assert model.state_spec == plain.state_spec
    specs = [jax.ShapeDtypeStruct((2, *(5 if n is None else n for n in s)), member.dtype) for s in member.shapes]
    inputs = jax.tree.unflatten(jax.tree.structure(model.graph.inputs), specs)
    key = jax.eval_shape(lambda: jax.random.key(0))
    for train in (False, True):
        outputs, state = jax.eval_shape(
            lambda p, s, x, k, train=train: model.apply(p, s, x, train=train, key=k),
            *(model.params_spec, model.state_spec, inputs, key),
        )
        assert state == model.state_spec
        for was, now in zip(jax.tree.leaves(plain.outputs), jax.tree.leaves(outputs), strict=True):
            assert now.dtype == (jnp.bfloat16 if jnp.issubdtype(was.dtype, jnp.floating) else was.dtype)


def test_values_in_bfloat16_are_those_of_the_layer_on_cast_arrays() -> None:
    x = jg.Input((3,), name="x")
    model = jg.Model(x, L.Dense(4, activation="tanh", name="dense")(x))
    low = model.with_policy(jg.Policy({"dense": {"dtype": "bfloat16"}}))
    params, state = model.init(jax.random.key(0))
    rows = jax.random.normal(jax.random.key(1), (5, 3))
    p = cast(params["dense"], "bfloat16")
    expected = jnp.tanh(rows.astype(jnp.bfloat16) @ p["kernel"] + p["bias"])
    outputs, _ = low.apply(params, state, rows)
    np.testing.assert_array_equal(outputs.astype(jnp.float32), expected.astype(jnp.float32))
    assert low.predict(params, state, rows).dtype == low.outputs.dtype == jnp.bfloat16


def test_casting_leaves_everything_else_as_it_is() -> None:
    tree = {"a": jnp.ones(2), "b": np.arange(3), "c": 1.5, "d": None, "e": np.float64(2.0), "f": jnp.ones(1, bool)}
    low = cast(tree, "float16")
    assert (low["a"].dtype, low["e"].dtype) == (jnp.float16, jnp.float16)
    assert all(low[name] is tree[name] for name in "bcdf")
    assert widened(low)["a"].dtype == jnp.float32
    assert widened(tree)["a"] is tree["a"]
