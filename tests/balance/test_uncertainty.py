"""Uncertainty: the formula of Kendall et al., joint descent, and toys whose optimum is known."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg

KINDS = {"a": "regression", "b": "classification", "c": "regression"}


def test_weights_and_total_are_those_of_the_paper() -> None:
    balance = jg.balance.Uncertainty().for_losses(KINDS, {})
    s, losses = np.array([0.3, -1.2, 2.0]), np.array([1.5, 0.25, 40.0])
    sigma = np.exp(s / 2)
    paper = [1 / (2 * sigma[0] ** 2), 1 / sigma[1] ** 2, 1 / (2 * sigma[2] ** 2)]
    memory = balance.init(3) | {"log_variance": jnp.asarray(s, jnp.float32)}
    np.testing.assert_allclose(balance.weights(memory, 0), paper, rtol=1e-6)
    total = 0.125 + paper @ losses + np.log(sigma).sum()
    assert float(balance.total(memory, 0, list(losses), 0.125)) == pytest.approx(total, rel=1e-6)


def test_the_update_is_a_step_down_the_total() -> None:
    balance = jg.balance.Uncertainty(optimizer=optax.sgd, learning_rate=0.1).for_losses(KINDS, {})
    losses, memory = jnp.array([1.5, 0.25, 40.0]), balance.init(3) | {"log_variance": jnp.array([0.3, -1.2, 2.0])}
    grads = jax.grad(lambda s: balance.total(memory | {"log_variance": s}, 0, list(losses), 0.0))(
        memory["log_variance"]
    )
    after = balance.update(memory, losses, jnp.ones(3, bool), None)
    np.testing.assert_allclose(after["log_variance"], memory["log_variance"] - 0.1 * grads, rtol=1e-6)


def test_constant_losses_have_their_optimum_at_the_variances_of_the_formula() -> None:
    """`d/ds (scale * exp(-s) * loss + s / 2) = 0` where `exp(s) = 2 * scale * loss`."""
    balance = jg.balance.Uncertainty(learning_rate=0.05).for_losses(KINDS, {})
    losses, everyone = jnp.array([1.5, 0.25, 40.0]), jnp.ones(3, bool)
    memory, _ = jax.lax.scan(
        lambda m, _: (balance.update(m, losses, everyone, None), None), balance.init(3), length=2000
    )
    np.testing.assert_allclose(jnp.exp(memory["log_variance"]), [1.5, 0.5, 40.0], rtol=1e-3)


def test_variances_are_those_of_the_noise() -> None:
    """Two regressions on one input: the best line leaves the noise, whose variance is then learned."""
    random = np.random.default_rng(0)
    x = random.normal(size=(512, 1)).astype("float32")
    noise = random.normal(size=(512, 2)) * [0.5, 3.0]
    targets = {"a": (2 * x[:, 0] + noise[:, 0]), "b": (1 - x[:, 0] + noise[:, 1])}
    left = []
    for target in targets.values():
        design = np.stack([x[:, 0], np.ones(512)], axis=1)
        left.append(np.mean((target - design @ np.linalg.lstsq(design, target)[0]) ** 2))
    i = jg.Input((1,), name="x")
    drawn = jg.Model(i, {n: jg.layers.Dense(1, name=n)(i) for n in targets})
    balance = jg.balance.Uncertainty(learning_rate=0.05)
    trainer = jg.Trainer(drawn, optax.adam(0.05), loss=dict.fromkeys(targets, "mse"), loss_weights=balance)
    run = trainer.fit((x, targets), epochs=600, batch_size=512, progress=False)
    np.testing.assert_allclose(np.exp(run.train_state.balance["log_variance"]), left, rtol=1e-2)
    assert [run.history[f"{n}/weight"][-1] for n in targets] == pytest.approx([0.5 / v for v in left], rel=1e-2)


def test_the_step_descends_params_and_variances_together() -> None:
    """As one gradient descent by hand over both."""
    x = jg.Input((3,), name="x")
    outputs = {"a": jg.layers.Dense(1, name="a")(x), "b": jg.layers.Dense(2, activation="softmax", name="b")(x)}
    losses = {"a": "mse", "b": "sparse_categorical_crossentropy"}
    balance = jg.balance.Uncertainty(optimizer=optax.sgd, learning_rate=0.1, initial=0.5)
    trainer = jg.Trainer(jg.Model(x, outputs), optax.sgd(0.1), loss=losses, loss_weights=balance)
    random = np.random.default_rng(0)
    rows, a, b = random.normal(size=(8, 3)).astype("float32"), random.normal(size=8), random.integers(0, 2, 8)

    def total(tree: Any) -> Any:
        params, s = tree
        y = {name: rows @ params[name]["kernel"] + params[name]["bias"] for name in outputs}
        first = jnp.mean((y["a"][:, 0] - a) ** 2)
        second = optax.losses.softmax_cross_entropy_with_integer_labels(y["b"], b).mean()
        return jnp.exp(-s[0]) * first / 2 + jnp.exp(-s[1]) * second + s.sum() / 2

    state = trainer.init(jax.random.key(0))
    hand = state.params, jnp.full(2, 0.5)
    for _ in range(5):
        state, logs = trainer.step(state, (rows, {"a": a, "b": b}))
        assert float(logs["loss"]) == pytest.approx(float(total(hand)), rel=1e-5)
        hand = jax.tree.map(lambda p, g: p - 0.1 * g, hand, jax.grad(total)(hand))
    both = state.params, state.balance["log_variance"]
    jax.tree.map(lambda p, q: np.testing.assert_allclose(p, q, rtol=1e-4, atol=1e-6), both, hand)


def test_forms_are_those_of_the_losses_unless_named() -> None:
    kinds = {"a": "regression", "b": "classification"}
    assert jg.balance.Uncertainty().for_losses(kinds, {}).forms == kinds
    named = jg.balance.Uncertainty(forms={"b": "regression"}).for_losses(kinds, {})
    assert list((named.forms or {}).items()) == [("a", "regression"), ("b", "regression")]
