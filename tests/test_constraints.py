"""Constraints against their formulas and Keras, and what training makes of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph import constraints
from jgraph.constraints import CONSTRAINTS
from jgraph.errors import ArgumentError

VALUES: list[Any] = [
    constraints.MaxNorm(0.8),
    constraints.MaxNorm(1.5, (0, 1)),
    constraints.MinMaxNorm(1.0, 1.2),
    constraints.MinMaxNorm(1.0, 1.2, 0.3, 1),
    constraints.NonNeg(),
    constraints.UnitNorm(),
    constraints.UnitNorm(-1),
]


layers: Any = jg.layers  # so that the type checker lets wrong arguments pass
lift: Any = constraints


def matrix(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5)], ids=str)
def test_weights_are_those_of_keras(value: Any, shape: tuple[int, ...]) -> None:
    theirs = getattr(keras.constraints, type(value).__name__)(**vars(value))
    np.testing.assert_allclose(value(matrix(*shape)), theirs(matrix(*shape)), rtol=1e-5)


@pytest.mark.parametrize("name", sorted(CONSTRAINTS))
def test_names_and_defaults_are_those_of_keras(name: str) -> None:
    theirs: Any = keras.constraints.get(name)
    assert type(theirs).__name__ == type(CONSTRAINTS[name]).__name__
    assert theirs.get_config() == vars(CONSTRAINTS[name])


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: constraints.MaxNorm(-1.0), "MaxNorm, max_value: expected a number of at least 0, got -1.0"),
    (lambda: lift.MaxNorm(axis="all"), "MaxNorm, axis"),
    (lambda: constraints.MinMaxNorm(2.0, 1.0), "min_value of at most max_value"),
    (lambda: constraints.MinMaxNorm(rate=0.0), "MinMaxNorm.*rate"),
    (lambda: lift.UnitNorm(1.5), "UnitNorm, axis.*got 1.5"),
    (lambda: layers.Dense(2, kernel_constraint="maxnorm"), "kernel_constraint.*Did you mean 'max_norm'"),
    (lambda: layers.Dense(2, bias_constraint=3), "bias_constraint.*got 3"),
    (lambda: layers.Dense(2, kernel_constraint=constraints.NonNeg), "kernel_constraint.*got"),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_wrong_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_training_is_that_of_keras() -> None:
    """Five steps with penalties and constraints on every weight, from the same start."""
    x, y = matrix(16, 4), matrix(16, 2)
    config: dict[str, Any] = {
        "kernel_regularizer": "l2",
        "bias_regularizer": "l1",
        "activity_regularizer": "l2",
        "kernel_constraint": "max_norm",
        "bias_constraint": "non_neg",
    }
    start = jg.Input((4,), name="x")
    hidden = layers.Dense(3, "tanh", name="hidden", **(config | {"kernel_constraint": "unit_norm"}))(start)
    model = jg.Model(start, layers.Dense(2, name="out", **config)(hidden))
    trainer = jg.Trainer(model, optimizer=optax.sgd(0.3), loss="mse")
    train_state = trainer.init(jax.random.key(0))

    dense: Any = keras.layers.Dense
    theirs = keras.Sequential(
        [
            keras.Input((4,)),
            dense(3, "tanh", **(config | {"kernel_constraint": "unit_norm"})),
            dense(2, **config),
        ]
    )
    theirs.compile(keras.optimizers.SGD(0.3), "mse")
    theirs.set_weights([train_state.params[n][leaf] for n in ("hidden", "out") for leaf in ("kernel", "bias")])
    for _ in range(5):
        train_state, logs = trainer.step(train_state, (x, y))
        want = theirs.train_on_batch(x, y)
        np.testing.assert_allclose(logs["loss"], want, rtol=1e-5)
    for name, layer in zip(("hidden", "out"), theirs.layers, strict=True):
        for leaf in ("kernel", "bias"):
            np.testing.assert_allclose(train_state.params[name][leaf], getattr(layer, leaf), rtol=1e-4, atol=1e-6)
    assert float(jnp.min(train_state.params["out"]["bias"])) >= 0


def test_a_frozen_layer_is_left_alone_and_a_shared_one_brought_back_once() -> None:
    start = jg.Input((3,), name="x")
    shared = layers.Dense(3, name="shared", kernel_constraint=constraints.MinMaxNorm(2.0, 3.0, rate=0.5))
    frozen = jg.layers.Dense(3, name="frozen", kernel_constraint="unit_norm")
    model = jg.Model(start, frozen(shared(shared(start)))).freeze("frozen")
    trainer = jg.Trainer(model, optimizer=optax.sgd(0.0), loss="mse")
    before = trainer.init(jax.random.key(0))
    after, _ = trainer.step(before, (matrix(8, 3), matrix(8, 3)))
    np.testing.assert_array_equal(after.params["frozen"]["kernel"], before.params["frozen"]["kernel"])
    once = constraints.MinMaxNorm(2.0, 3.0, rate=0.5)(before.params["shared"]["kernel"])
    np.testing.assert_allclose(after.params["shared"]["kernel"], once, rtol=1e-6)


def test_params_in_bfloat16_stay_so() -> None:
    start = jg.Input((3,), name="x")
    model = jg.Model(start, jg.layers.Dense(3, name="it", kernel_constraint="unit_norm")(start))
    model = model.with_policy(jg.Policy({"it": {"param_dtype": "bfloat16"}}))
    trainer = jg.Trainer(model, optimizer=optax.sgd(0.1), loss="mse")
    after, _ = trainer.step(trainer.init(jax.random.key(0)), (matrix(8, 3), matrix(8, 3)))
    kernel = after.params["it"]["kernel"]
    assert kernel.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.linalg.norm(kernel.astype("float32"), axis=0), 1, rtol=1e-2)


def test_a_nested_model_and_one_over_time_are_constrained_too() -> None:
    inside = jg.Input((3,), name="inside")
    nested = jg.Model(inside, jg.layers.Dense(3, kernel_constraint="unit_norm", name="it")(inside), name="nested")
    start = jg.Input((3,), name="x")
    model = jg.Model(start, jg.layers.TimeDistributed(nested, name="over")(start[:, None] * nested(start)[:, None]))
    trainer = jg.Trainer(model, optimizer=optax.sgd(0.1), loss="mse")
    after, _ = trainer.step(trainer.init(jax.random.key(0)), (matrix(8, 3), matrix(8, 1, 3)))
    for owner in ("nested", "over"):
        np.testing.assert_allclose(np.linalg.norm(after.params[owner]["it"]["kernel"], axis=0), 1, rtol=1e-5)
