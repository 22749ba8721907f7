"""Rectifiers against their formulas in float64, and the learned slope of PReLU."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg

X: Any = np.random.default_rng(0).normal(size=(4, 3, 5)) * 3


def relu(x: np.ndarray, most: float, slope: float, least: float) -> np.ndarray:
    return np.where(x > least, np.minimum(x, most), slope * (x - least))


FORMULAS: list[tuple[Callable[[], jg.Layer], Callable[[np.ndarray], np.ndarray]]] = [
    (lambda: jg.layers.ReLU(), lambda x: relu(x, np.inf, 0, 0)),
    (lambda: jg.layers.ReLU(6), lambda x: relu(x, 6, 0, 0)),
    (lambda: jg.layers.ReLU(2.5, 0.1), lambda x: relu(x, 2.5, 0.1, 0)),
    (lambda: jg.layers.ReLU(threshold=1.5), lambda x: relu(x, np.inf, 0, 1.5)),
    (lambda: jg.layers.ReLU(3.0, 0.2, 0.5), lambda x: relu(x, 3, 0.2, 0.5)),
    (lambda: jg.layers.LeakyReLU(), lambda x: relu(x, np.inf, 0.3, 0)),
    (lambda: jg.layers.ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
]


@pytest.mark.parametrize(("make", "formula"), FORMULAS, ids=[repr(make()) for make, _ in FORMULAS])
def test_values_and_slopes(make: Callable[[], jg.Layer], formula: Callable[[np.ndarray], np.ndarray]) -> None:
    layer = make()
    with jax.enable_x64(True):
        y, pull = jax.vjp(lambda x: layer.apply({}, {}, x)[0], X)
        np.testing.assert_allclose(y, formula(X), rtol=1e-12, atol=1e-14)
        slopes = (formula(X + 1e-6) - formula(X - 1e-6)) / 2e-6
        np.testing.assert_allclose(pull(jnp.ones_like(y))[0], slopes, rtol=1e-6, atol=1e-8)
    narrow = layer.apply({}, {}, jnp.asarray(X, jnp.bfloat16))[0]
    assert narrow.dtype == jnp.bfloat16
    np.testing.assert_allclose(narrow.astype("float32"), formula(X), rtol=2**-6, atol=2**-6)


@pytest.mark.parametrize(("shared", "shape"), [(None, (3, 5)), (1, (1, 5)), ([-1], (3, 1)), ((2, 1), (1, 1))], ids=str)
def test_prelu(shared: Any, shape: tuple) -> None:
    layer = jg.layers.PReLU("ones", shared_axes=shared)
    params, _ = layer.init(jax.random.key(0), jax.ShapeDtypeStruct(X.shape, "float32"))
    np.testing.assert_array_equal(params["alpha"], np.ones(shape))
    alpha = np.random.default_rng(1).normal(size=shape)
    with jax.enable_x64(True):
        y, pull = jax.vjp(lambda alpha, x: layer.apply({"alpha": alpha}, {}, x)[0], alpha, X)
        np.testing.assert_allclose(y, np.where(X > 0, X, alpha * X), rtol=1e-12)
        slope, below = pull(jnp.ones_like(y))
    axes = tuple(i for i, n in enumerate((1, *shape)) if n == 1)
    np.testing.assert_allclose(slope, np.minimum(X, 0).sum(axes, keepdims=True)[0], rtol=1e-12)
    np.testing.assert_allclose(below, np.where(X > 0, 1, np.broadcast_to(alpha, X.shape)), rtol=1e-12)


def test_the_slope_of_prelu_is_regularized_constrained_and_learned() -> None:
    x = jg.Input((3,), name="x")
    layer = jg.layers.PReLU("ones", jg.regularizers.L2(0.5), "non_neg", name="bent")
    trainer = jg.Trainer(jg.Model(x, layer(x)), optax.sgd(10.0), loss="mse")
    train_state, rows = trainer.init(jax.random.key(0)), -np.ones((2, 3), "float32")
    train_state, logs = trainer.step(train_state, (rows, rows))
    assert float(logs["loss"]) == pytest.approx(0.5 * 3)
    np.testing.assert_array_equal(train_state.params["bent"]["alpha"], np.zeros(3))


def test_free_axes_have_to_be_shared() -> None:
    x = jg.Input((None, 3))
    assert jg.layers.PReLU(shared_axes=1)(x).shape[2] == 3
    with pytest.raises(jg.errors.ShapeError, match="a known size of axis 1"):
        jg.layers.PReLU()(x)
