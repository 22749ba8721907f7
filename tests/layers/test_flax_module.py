"""Flax modules as layers: what they compute and change is what Flax's own `init` and `apply` give."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import JGraphError, RandomKeyError, ShapeError
from jgraph.keys import fold

X = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
KEY = jax.random.key(1)


class Block(nn.Module):
    """A user's module: an argument `train`, dropout, noise of its own, and two collections beside the params."""

    features: int = 3

    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        steps = self.variable("counts", "steps", lambda: jnp.zeros((), jnp.int32))
        if train and not self.is_initializing():
            steps.value += 1
        x = nn.BatchNorm(momentum=0.9, use_running_average=not train)(nn.Dense(self.features)(x))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        self.sow("intermediates", "hidden", x)
        return x + (jax.random.normal(self.make_rng("noise"), x.shape) if train else 0.0)


def drawn(module: nn.Module, shape: tuple[int | None, ...] = (5,)) -> tuple[jg.Model, Any, Any]:
    """A model of the module alone, called `it`, its params and its state."""
    x = jg.Input(shape, name="x")
    model = jg.Model(x, jg.as_layer(module, name="it")(x))
    return model, *model.init(jax.random.key(0))


def variables_of(params: Any, state: Any) -> dict[str, Any]:
    return {**({"params": params["it"]} if params else {}), **state.get("it", {})}


def streams(key: jax.Array) -> dict[str, jax.Array]:
    """The random streams that a layer at the path `it` feeds its module from."""
    return {name: fold(fold(key, "it", 0), name) for name in ("params", "dropout")}


def assert_close(got: Any, want: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), got, want)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(
    ("module", "options"),
    [
        (nn.Dense(3), lambda train: {}),
        (nn.BatchNorm(momentum=0.8), lambda train: {"use_running_average": not train}),
        (nn.Dropout(0.5), lambda train: {"deterministic": not train}),
        (nn.LayerNorm(), lambda train: {}),
        (nn.Sequential([nn.Dense(4), nn.tanh, nn.Dense(2)]), lambda train: {}),
        (Block(), lambda train: {"train": train}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_outputs_state_and_gradients_are_those_of_flax(module: nn.Module, options: Any, train: bool) -> None:
    model, params, state = drawn(module)

    def ours(params: Any, x: Any) -> Any:
        outputs, after = model.apply(params, state, x, train=train, key=KEY)
        return (outputs**2).sum(), (outputs, after)

    def theirs(params: Any, x: Any) -> Any:
        variables = variables_of(params, state)
        mutable = list(state.get("it", {})) if train else False
        result: Any = module.apply(variables, x, **options(train), rngs=streams(KEY), mutable=mutable)
        outputs, changed = result if train else (result, {})
        after = {"it": {**state["it"], **changed}} if state else {}
        return (outputs**2).sum(), (outputs, after)

    results = [jax.jit(jax.value_and_grad(f, argnums=(0, 1), has_aux=True))(params, X) for f in (ours, theirs)]
    assert_close(*results)


def test_params_and_state_are_the_collections() -> None:
    model, params, state = drawn(Block())
    assert jax.tree.map(jnp.shape, params) == {
        "it": {"Dense_0": {"bias": (3,), "kernel": (5, 3)}, "BatchNorm_0": {"bias": (3,), "scale": (3,)}}
    }
    assert jax.tree.map(jnp.shape, state) == {
        "it": {"batch_stats": {"BatchNorm_0": {"mean": (3,), "var": (3,)}}, "counts": {"steps": ()}}
    }
    _, after = model.apply(params, state, X, train=True, key=KEY)
    assert after["it"]["counts"]["steps"] == 1
    assert (after["it"]["batch_stats"]["BatchNorm_0"]["mean"] != 0).all()
    assert_close(model.apply(params, after, X)[1], after)


def test_start_values_are_those_of_flax() -> None:
    _, params, _ = drawn(nn.Dense(3))
    key = fold(jax.random.key(0), "it")
    assert_close(params["it"], nn.Dense(3).init({"params": fold(key, "params")}, X)["params"])


def test_dropout_follows_train_and_key() -> None:
    model, params, state = drawn(nn.Dropout(0.5))
    np.testing.assert_array_equal(model.apply(params, state, X)[0], X)
    first, again, other = (
        np.asarray(model.apply(params, state, X, train=True, key=key)[0]) for key in (KEY, KEY, jax.random.key(2))
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert set(np.unique(np.round(first / X, 5))) == {0.0, 2.0}


def test_a_missing_key_is_an_error_with_its_cure() -> None:
    model, params, state = drawn(nn.Dropout(0.5))
    with pytest.raises(RandomKeyError, match=r"as_layer\(Dropout.*key=jax\.random\.key\(0\)"):
        model.apply(params, state, X, train=True)


def test_a_field_of_the_module_goes_before_train() -> None:
    model, params, state = drawn(nn.Dropout(0.5, deterministic=True))
    np.testing.assert_array_equal(model.apply(params, state, X, train=True, key=KEY)[0], X)
    model, params, state = drawn(nn.BatchNorm(use_running_average=True))
    assert_close(model.apply(params, state, X, train=True)[1], state)


def test_sharing_is_one_entry_and_a_summed_gradient() -> None:
    x, y = jg.Input((5,), name="x"), jg.Input((5,), name="y")
    shared, module = jg.as_layer(nn.Dense(3)), nn.Dense(3)

    def apart(params: Any) -> Any:
        one, two = (jnp.asarray(module.apply({"params": params}, n * X)) for n in (1, 2))
        return ((one + two) ** 2).sum()

    model = jg.Model([x, y], jg.layers.add([shared(x), shared(y)]))
    params, state = model.init(jax.random.key(0))
    assert list(params) == ["dense"]
    ours = jax.grad(lambda p: (model.apply(p, state, [X, 2 * X])[0] ** 2).sum())(params)
    assert_close(ours["dense"], jax.grad(apart)(params["dense"]))


def test_shared_state_goes_from_call_to_call() -> None:
    x = jg.Input((5,), name="x")
    shared, module = jg.as_layer(nn.BatchNorm(momentum=0.5), name="it"), nn.BatchNorm(False, momentum=0.5)
    model = jg.Model(x, shared(shared(x)))
    params, state = model.init(jax.random.key(0))
    outputs, after = model.apply(params, state, X, train=True)
    first, once = module.apply(variables_of(params, state), X, mutable=["batch_stats"])
    second, twice = module.apply({"params": params["it"], **once}, first, mutable=["batch_stats"])
    assert_close((outputs, after["it"]), (second, twice))


def test_nested_in_models() -> None:
    inner = jg.Input((5,), name="inner")
    tower = jg.Model(inner, jg.as_layer(Block(2), name="block")(inner), name="tower")
    x = jg.Input((5,), name="x")
    model = jg.Model(x, jg.layers.Dense(1)(tower(x)))
    params, state = model.init(jax.random.key(0))
    assert set(params["tower"]["block"]) == {"Dense_0", "BatchNorm_0"}
    assert set(state["tower"]["block"]) == {"batch_stats", "counts"}
    _, after = model.apply(params, state, X, train=True, key=KEY)
    assert after["tower"]["block"]["counts"]["steps"] == 1


def test_a_layer_is_called_as_its_module() -> None:
    x = jg.Input((5,), name="x")
    model = jg.Model(x, jg.as_layer(nn.BatchNorm())(jg.as_layer(nn.Dense(3), name="first")(x)))
    assert list(model.layers) == ["x", "first", "batch_norm"]
    assert "flax BatchNorm" in model.summary()


def test_free_axes_are_free_unless_params_depend_on_them() -> None:
    model, params, state = drawn(nn.Dense(3), (None, 5))
    for steps in (2, 7):
        assert model.apply(params, state, np.ones((4, steps, 5), "float32"))[0].shape == (4, steps, 3)
    with pytest.raises(ShapeError, match=r"as_layer\(Dense"):
        drawn(nn.Dense(3), (None,))


def test_several_inputs() -> None:
    query, value = jg.Input((3, 4), name="query"), jg.Input((5, 4), name="value")
    module = nn.MultiHeadDotProductAttention(2)
    model = jg.Model([query, value], jg.as_layer(module, name="it")(query, value))
    params, state = model.init(jax.random.key(0))
    arrays = [np.random.default_rng(i).normal(size=(2, n, 4)).astype("float32") for i, n in enumerate((3, 5))]
    assert_close(model.apply(params, state, arrays)[0], module.apply(variables_of(params, state), *arrays))


def test_partitioned_params_are_plain_arrays() -> None:
    plain = nn.initializers.lecun_normal()
    _, params, _ = drawn(nn.Dense(3, kernel_init=nn.with_partitioning(plain, ("in", "out"))))
    assert_close(params, drawn(nn.Dense(3))[1])


def test_sowing_into_the_state_is_refused() -> None:
    class Sows(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            self.sow("losses", "l2", (x**2).sum())
            return x

    with pytest.raises(JGraphError, match=r"as_layer\(Sows"):
        drawn(Sows())


class Scaled(nn.Module):
    """A module whose second input is given by keyword alone."""

    @nn.compact
    def __call__(self, x: Any, *, scale: Any) -> Any:
        return nn.Dense(3)(x) * nn.Dense(3, name="scale")(scale)


def test_inputs_by_keyword_reach_the_module() -> None:
    x, scale = jg.Input((4,)), jg.Input((2,))
    model = jg.Model([x, scale], jg.as_layer(Scaled(), name="scaled")(x, scale=scale))
    params, state = model.init(jax.random.key(0))
    assert jax.tree.map(jnp.shape, params["scaled"]["scale"]) == {"bias": (3,), "kernel": (2, 3)}
    given = np.ones((2, 4), np.float32), np.full((2, 2), 0.5, np.float32)
    expected = Scaled().apply({"params": params["scaled"]}, given[0], scale=given[1])
    np.testing.assert_allclose(model.apply(params, state, list(given))[0], np.asarray(expected), rtol=1e-6)
