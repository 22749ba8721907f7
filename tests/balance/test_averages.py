"""DWA: the formula of Liu et al., by epochs and by steps."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jgraph as jg


def weights_by_paper(means: np.ndarray, temperature: float) -> np.ndarray:
    """Equation 7, for the period after those whose means [periods, n] are given."""
    count = means.shape[1]
    if len(means) < 2:
        return np.ones(count)
    powers = np.exp(means[-1] / means[-2] / temperature)
    return count * powers / powers.sum()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), steps=st.integers(1, 3), temperature=st.floats(0.3, 5.0))
def test_weights_are_those_of_the_paper(seed: int, steps: int, temperature: float) -> None:
    losses = np.random.default_rng(seed).uniform(0.1, 3.0, size=(4 * steps, 3))
    balance = jg.balance.DWA(temperature=temperature, steps=steps)
    memory = balance.init(3)
    for place, own in enumerate(losses):
        memory = balance.begin(memory, False)
        means = losses[: place // steps * steps].reshape(-1, steps, 3).mean(axis=1)
        np.testing.assert_allclose(balance.weights(memory, place), weights_by_paper(means, temperature), rtol=1e-5)
        memory = balance.update(memory, jnp.asarray(own), jnp.ones(3, bool), None)


def test_an_epoch_begins_once() -> None:
    balance = jg.balance.DWA()
    memory = balance.update(balance.init(2), jnp.array([2.0, 4.0]), jnp.ones(2, bool), None)
    begun = balance.begin(memory, True)
    again = balance.begin(begun, True)
    np.testing.assert_array_equal(begun["last"], [2.0, 4.0])
    jax.tree.map(np.testing.assert_array_equal, begun, again)


def test_the_weights_of_each_epoch_of_fit_are_those_of_its_history() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(24, 4)).astype("float32")
    targets = {"a": 5 * x[:, 0], "b": random.normal(size=24)}
    i = jg.Input((4,), name="x")
    drawn = jg.Model(i, {n: jg.layers.Dense(1, name=n)(i) for n in targets})
    balance = jg.balance.DWA(temperature=0.5)
    trainer = jg.Trainer(drawn, optax.sgd(0.05), loss=dict.fromkeys(targets, "mse"), loss_weights=balance)
    run = trainer.fit((x, targets), epochs=5, batch_size=8, progress=False)
    means = np.stack([run.history["a/loss"], run.history["b/loss"]], axis=1)
    for epoch in range(5):
        own = [run.history[f"{n}/weight"][epoch] for n in targets]
        assert own == pytest.approx(weights_by_paper(means[:epoch], 0.5).tolist(), rel=1e-5)
        assert run.history["loss"][epoch] == pytest.approx(float(np.dot(own, means[epoch])), rel=1e-5)
    assert run.history["b/weight"][-1] > run.history["a/weight"][-1]  # what cannot fall counts for more


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_a_mean_that_is_no_number_leaves_the_rate_at_1(bad: float) -> None:
    balance = jg.balance.DWA(steps=1)
    memory = balance.init(2)
    for losses in ([bad, 1.0], [1.0, 1.0]):
        memory = balance.begin(balance.update(memory, jnp.array(losses), jnp.ones(2, bool), None), False)
    np.testing.assert_allclose(balance.weights(memory, 2), [1.0, 1.0], rtol=1e-6)
