"""Regularizers against their formulas and Keras, and what training makes of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph import regularizers
from jgraph.errors import ArgumentError, ShapeError
from jgraph.regularizers import REGULARIZERS

VALUES: list[Any] = [
    regularizers.L1(0.3),
    regularizers.L2(0.2),
    regularizers.L1L2(0.1, 0.4),
    regularizers.OrthogonalRegularizer(0.5),
    regularizers.OrthogonalRegularizer(0.5, "columns"),
]


layers: Any = jg.layers  # so that the type checker lets wrong arguments pass


def matrix(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_value_and_gradient_are_those_of_keras(value: Any) -> None:
    theirs = getattr(keras.regularizers, type(value).__name__)(**vars(value))
    for shape in ((4, 3), (2, 6)):
        for ours, want in zip(
            jax.value_and_grad(value)(matrix(*shape)), jax.value_and_grad(theirs)(matrix(*shape)), strict=True
        ):
            np.testing.assert_allclose(ours, want, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", sorted({*REGULARIZERS} - {"l1_l2"}))  # Keras knows this one in its words alone
def test_names_are_those_of_keras(name: str) -> None:
    assert type(keras.regularizers.get(name)).__name__ == type(REGULARIZERS[name]).__name__


def test_orthogonal_rows() -> None:
    x = matrix(5, 3).astype("float64")
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [abs(unit[i] @ unit[j]) for i in range(5) for j in range(i)]
    np.testing.assert_allclose(regularizers.OrthogonalRegularizer(1.0)(jnp.asarray(x)), np.mean(pairs), rtol=1e-5)


def test_what_has_no_pairs_or_no_length_has_no_penalty_and_no_nan() -> None:
    value = regularizers.OrthogonalRegularizer(1.0)
    for x in (jnp.ones((1, 3)), jnp.zeros((3, 3))):
        assert float(value(x)) == 0
        assert np.isfinite(jax.grad(value)(x)).all()


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: regularizers.L1(-0.1), "L1, l1: expected a finite number of at least 0, got -0.1"),
    (lambda: regularizers.L2(float("nan")), "L2, l2"),
    (lambda: regularizers.L2(True), "L2, l2.*got True"),
    (lambda: regularizers.L1L2(l2=float("inf")), "L1L2, l2"),
    (lambda: regularizers.OrthogonalRegularizer(mode="row"), "mode.*Did you mean 'rows'"),
    (lambda: layers.Dense(2, kernel_regularizer="l3"), "Dense, kernel_regularizer.*got 'l3'"),
    (lambda: layers.Dense(2, bias_regularizer=0.1), "Dense, bias_regularizer.*got 0.1"),
    (lambda: layers.Dense(2, kernel_regularizer=regularizers.L2), "kernel_regularizer.*got"),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_wrong_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_orthogonality_is_one_of_matrices() -> None:
    with pytest.raises(ShapeError, match="expected a matrix"):
        regularizers.OrthogonalRegularizer()(jnp.ones((2, 2, 2)))


def losses(model: jg.Model, x: Any, y: Any) -> tuple[float, float]:
    """The loss of evaluation, and that of one training step."""
    trainer = jg.Trainer(model, optimizer=optax.sgd(0.1), loss="mse")
    train_state = trainer.init(jax.random.key(0))
    return trainer.evaluate(train_state, (x, y))["loss"], float(trainer.step(train_state, (x, y))[1]["loss"])


def test_weights_count_once_and_activities_at_every_call() -> None:
    """A shared layer has one penalty for its kernel and one for each of its outputs."""
    x, y = matrix(8, 3), matrix(8, 3)

    def drawn(**options: Any) -> jg.Model:
        layer, start = layers.Dense(3, name="it", **options), jg.Input((3,), name="x")
        return jg.Model(start, layer(layer(start)))

    plain = drawn()
    params = jg.Trainer(plain, optimizer=optax.sgd(0.1), loss="mse").init(jax.random.key(0)).params
    kernel, bias = np.asarray(params["it"]["kernel"], "float64"), np.asarray(params["it"]["bias"], "float64")
    inner = x @ kernel + bias
    outer = inner @ kernel + bias
    for options, extra in (
        ({"kernel_regularizer": regularizers.L2(0.5)}, 0.5 * np.sum(kernel**2)),
        ({"bias_regularizer": regularizers.L1(0.5)}, 0.5 * np.sum(np.abs(bias))),
        ({"activity_regularizer": regularizers.L2(0.01)}, 0.01 * (np.sum(inner**2) + np.sum(outer**2)) / 8),
        ({"kernel_regularizer": lambda w: jnp.max(w)}, np.max(kernel)),
    ):
        for loss, without in zip(losses(drawn(**options), x, y), losses(plain, x, y), strict=True):
            np.testing.assert_allclose(loss - without, extra, rtol=1e-4, atol=1e-6)


def test_the_penalty_of_a_frozen_layer_is_none() -> None:
    x, y = matrix(8, 3), matrix(8, 2)
    start = jg.Input((3,), name="x")
    inner = jg.layers.Dense(3, kernel_regularizer="l2", name="inner")(start)
    model = jg.Model(start, jg.layers.Dense(2, name="outer")(inner))
    assert losses(model, x, y)[0] > losses(model.freeze("inner"), x, y)[0]
    params = jg.Trainer(model, optimizer=optax.sgd(0.1), loss="mse").init(jax.random.key(0)).params
    kernel = params["inner"]["kernel"]
    gained = losses(model, x, y)[0] - losses(model.freeze("inner"), x, y)[0]
    np.testing.assert_allclose(gained, 0.01 * np.sum(np.square(kernel)), rtol=1e-4)


def test_a_regularized_softmax_end_is_seen_through_and_needs_no_second_program() -> None:
    """Penalties of weights say nothing about rows, so a last batch is filled up, and logits are logits."""
    start = jg.Input((3,), name="x")
    model = jg.Model(start, jg.layers.Dense(4, "softmax", kernel_regularizer="l2")(start))
    trainer = jg.Trainer(model, optimizer=optax.sgd(0.1), loss="sparse_categorical_crossentropy")
    run = trainer.fit((matrix(10, 3), np.arange(10) % 4), epochs=2, batch_size=4, progress=False)
    assert np.isfinite(run.history["loss"]).all()
    assert "logits" in str(trainer)


def test_in_a_nested_model_and_over_time() -> None:
    x, y = matrix(8, 5, 3), matrix(8, 5, 2)
    inside = jg.Input((3,), name="inside")
    nested = jg.Model(inside, jg.layers.Dense(2, kernel_regularizer="l1", name="it")(inside), name="nested")
    start = jg.Input((5, 3), name="x")
    drawn = jg.Model(start, jg.layers.TimeDistributed(nested, name="over")(start))
    plain = drawn.replace("over", jg.layers.Dense(2, name="over"))
    trainer = jg.Trainer(drawn, optimizer=optax.sgd(0.1), loss="mse")
    train_state = trainer.init(jax.random.key(0))
    kernel = train_state.params["over"]["it"]["kernel"]
    alone = jg.Trainer(plain, optimizer=optax.sgd(0.1), loss="mse")
    given = alone.init(jax.random.key(0)).replace(params={"over": train_state.params["over"]["it"]})
    extra = trainer.evaluate(train_state, (x, y))["loss"] - alone.evaluate(given, (x, y))["loss"]
    np.testing.assert_allclose(extra, 0.01 * np.sum(np.abs(kernel)), rtol=1e-4)


def test_saved_and_read_again() -> None:
    start = jg.Input((3,), name="x")
    layer = jg.layers.Dense(2, kernel_regularizer=regularizers.L2(0.03), kernel_constraint=jg.constraints.MaxNorm(3.0))
    again: Any = jg.Model.from_json(jg.Model(start, layer(start)).to_json()).layers["dense"]
    assert (again.kernel_regularizer, again.kernel_constraint) == (layer.kernel_regularizer, layer.kernel_constraint)
