"""GradNorm: the formula of Chen et al. in float64, and a toy whose optimum is known."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jgraph as jg

KINDS = dict.fromkeys("abc", "regression")


def step_by_paper(weights: Any, losses: Any, first: Any, norms: Any, alpha: float, rate: float) -> np.ndarray:
    """Algorithm 1: a step down `sum |w_i |g_i| - constant|`, then a scaling to the sum n."""
    scaled = weights * norms
    shares = losses / first
    wanted = scaled.mean() * (shares / shares.mean()) ** alpha
    moved = weights - rate * np.sign(scaled - wanted) * norms
    return moved * len(moved) / moved.sum()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), alpha=st.floats(0.0, 2.0))
def test_the_update_is_that_of_the_paper(seed: int, alpha: float) -> None:
    random = np.random.default_rng(seed)
    losses, first, weights = random.uniform(0.5, 2.0, (3, 3))
    weights = 3 * weights / weights.sum()
    each = [{"h": {"k": random.normal(size=(2, 2))}, "head": {"k": random.normal(size=3)}} for _ in range(3)]
    for of, norms in (
        (None, [np.sqrt((g["h"]["k"] ** 2).sum() + (g["head"]["k"] ** 2).sum()) for g in each]),
        ("h", [np.sqrt((g["h"]["k"] ** 2).sum()) for g in each]),
    ):
        balance = jg.balance.GradNorm(alpha=alpha, of=of, learning_rate=0.01).for_losses(KINDS, each[0])
        memory = balance.init(3) | {
            "weights": jnp.asarray(weights, jnp.float32),
            "first": jnp.asarray(first, jnp.float32),
            "seen": jnp.ones(3, jnp.int32),
        }
        given_ = tuple(jax.tree.map(lambda g: jnp.asarray(g, jnp.float32), g) for g in each)
        after = balance.learned(memory, jnp.asarray(losses, jnp.float32), jnp.ones(3, bool), given_)
        expected = step_by_paper(weights, losses, first, np.array(norms), alpha, 0.01)
        np.testing.assert_allclose(after["weights"], expected, rtol=1e-4)
        np.testing.assert_array_equal(after["first"], memory["first"])
        assert float(after["weights"].sum()) == pytest.approx(3.0, rel=1e-6)


def test_the_first_values_are_those_of_the_first_step() -> None:
    balance = jg.balance.GradNorm(learning_rate=1e-3).for_losses({"a": "regression", "b": "regression"}, {})
    each = {"w": jnp.ones(2)}, {"w": jnp.ones(2)}
    memory = balance.learned(balance.init(2), jnp.array([3.0, 5.0]), jnp.array([True, False]), each)
    memory = balance.learned(memory, jnp.array([2.0, 4.0]), jnp.ones(2, bool), each)
    np.testing.assert_array_equal(memory["first"], [3.0, 4.0])
    np.testing.assert_array_equal(memory["seen"], [2, 1])


def test_scaled_duplicates_get_weights_that_undo_the_scale() -> None:
    """Two losses that differ by a factor of 10 alone: norms are equal at weights 20/11 and 2/11."""
    x = jg.Input((4,), name="x")
    h = jg.layers.Dense(1, name="h")(x)
    drawn = jg.Model(x, {"a": jg.layers.Identity(name="a")(h), "b": jg.layers.Identity(name="b")(h)})

    def tenfold(targets: Any, outputs: Any) -> Any:
        return 10 * (targets - outputs[:, 0]) ** 2

    random = np.random.default_rng(0)
    rows = random.normal(size=(64, 4)).astype("float32")
    target = random.normal(size=64).astype("float32")  # noise, so that gradients stay
    balance = jg.balance.GradNorm(learning_rate=2e-3, of="h")
    trainer = jg.Trainer(drawn, optax.sgd(1e-2), loss={"a": "mse", "b": tenfold}, loss_weights=balance)
    run = trainer.fit((rows, {"a": target, "b": target}), epochs=400, batch_size=16, progress=False)
    np.testing.assert_allclose(run.train_state.balance["weights"], [20 / 11, 2 / 11], rtol=0.1)


def test_weights_stay_above_zero() -> None:
    balance = jg.balance.GradNorm(alpha=0.0, learning_rate=100.0).for_losses({"a": "regression", "b": "regression"}, {})
    each = {"w": jnp.array([3.0])}, {"w": jnp.array([1.0])}
    memory = balance.learned(balance.init(2), jnp.ones(2), jnp.ones(2, bool), each)
    assert (memory["weights"] > 0).all()
    assert float(memory["weights"].sum()) == pytest.approx(2.0)
