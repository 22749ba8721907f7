"""PCGrad: algorithm 1 of Yu et al. in float64, and the step that takes the projected gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jgraph as jg


def projected_by_paper(grads: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """The projected gradients [n, size]; `orders` [n, n] says in which order each one meets the others."""
    found = []
    for place, own in enumerate(grads):
        own = own.copy()
        for other in orders[place]:
            if other != place and own @ grads[other] < 0:
                own -= own @ grads[other] / (grads[other] @ grads[other]) * grads[other]
        found.append(own)
    return np.stack(found)


def orders_of(key: jax.Array, count: int) -> np.ndarray:
    return np.stack([jax.random.permutation(k, count) for k in jax.random.split(key, count)])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(2, 5))
def test_the_sum_is_that_of_the_paper(seed: int, count: int) -> None:
    grads = np.random.default_rng(seed).normal(size=(count, 4))
    key = jax.random.key(seed)
    coefficients = jg.balance.PCGrad().coefficients((), 0, tuple(jnp.asarray(g, jnp.float32) for g in grads), key)
    expected = projected_by_paper(grads, orders_of(key, count)).sum(axis=0)
    np.testing.assert_allclose(np.asarray(coefficients, float) @ grads, expected, rtol=1e-4, atol=1e-4)


def test_a_gradient_does_not_meet_itself() -> None:
    """Here the first one, once it has met the second and the third, points away from what it was."""
    grads = np.array([[1.0, 0.0], [-np.cos(0.3), np.sin(0.3)], [-np.sqrt(0.5), -np.sqrt(0.5)]])
    projected = projected_by_paper(grads, np.array([[1, 2, 0]] * 3))
    assert projected[0] @ grads[0] < 0
    balance, given_ = jg.balance.PCGrad(), tuple(jnp.asarray(g, jnp.float32) for g in grads)
    for number in range(12):  # orders of all kinds
        key = jax.random.key(number)
        expected = projected_by_paper(grads, orders_of(key, 3)).sum(axis=0)
        coefficients = np.asarray(balance.coefficients((), 0, given_, key), float)
        np.testing.assert_allclose(coefficients @ grads, expected, rtol=1e-4, atol=1e-5)


def test_gradients_that_agree_stay_and_opposite_ones_vanish() -> None:
    key = jax.random.key(0)
    agree = jnp.array([1.0, 0.2]), jnp.array([0.5, 1.0])
    np.testing.assert_array_equal(jg.balance.PCGrad().coefficients((), 0, agree, key), [1.0, 1.0])
    opposite = jnp.array([1.0, 2.0]), jnp.array([-2.0, -4.0])
    c = jg.balance.PCGrad().coefficients((), 0, opposite, key)
    np.testing.assert_allclose(c[0] * opposite[0] + c[1] * opposite[1], [0.0, 0.0], atol=1e-6)
    none = jnp.array([1.0, 2.0]), jnp.zeros(2)
    np.testing.assert_array_equal(jg.balance.PCGrad().coefficients((), 0, none, key), [1.0, 1.0])


def test_the_step_takes_the_projected_gradients_and_those_of_the_penalty() -> None:
    x = jg.Input((3,), name="x")
    h = jg.layers.Dense(2, name="h", kernel_regularizer="l2", use_bias=False)(x)
    drawn = jg.Model(x, {n: jg.layers.Identity(name=n)(h) for n in "ab"})
    trainer = jg.Trainer(drawn, optax.sgd(1.0), loss={"a": "mse", "b": "mse"}, loss_weights=jg.balance.PCGrad())
    random = np.random.default_rng(0)
    rows, target = random.normal(size=(8, 3)).astype("float32"), 10 * random.normal(size=(8, 2)).astype("float32")
    targets = {"a": target, "b": -2 * target}
    start = trainer.init(jax.random.key(0))

    def loss_of(name: str) -> Any:
        return jax.grad(lambda k: jnp.mean((rows @ k - targets[name]) ** 2))(start.params["h"]["kernel"])

    a, b = (np.asarray(loss_of(n), float).ravel() for n in "ab")
    assert a @ b < 0
    expected = projected_by_paper(np.stack([a, b]), np.array([[0, 1], [1, 0]])).sum(axis=0).reshape(3, 2)
    kernel = np.asarray(start.params["h"]["kernel"], float)
    after, logs = trainer.step(start, (rows, targets))
    np.testing.assert_allclose(after.params["h"]["kernel"], kernel - expected - 0.02 * kernel, rtol=1e-4, atol=1e-5)
    total = float(logs["a/loss"] + logs["b/loss"]) + 0.01 * (kernel**2).sum()
    assert float(logs["loss"]) == pytest.approx(total, rel=1e-5)
    assert set(logs) == {"loss", "a/loss", "b/loss"}


def test_the_order_is_drawn_anew_at_every_step() -> None:
    grads = tuple(jnp.asarray(g, jnp.float32) for g in np.random.default_rng(3).normal(size=(5, 3)))
    balance = jg.balance.PCGrad()
    found = {tuple(np.round(balance.coefficients((), 0, grads, jax.random.key(n)), 4).tolist()) for n in range(8)}
    assert len(found) > 1
