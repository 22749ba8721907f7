"""Statistics taken anew: equal to those of all rows, and nothing else is touched."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, DataError


def rows(count: int = 22) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(3.0, 2.0, size=(count, 4)).astype("float32")
    return x, x.sum(1)


class Counter(jg.Layer):
    """Its state counts, keeps the last mean, and stays as long as a direction."""

    def init(self, key: Any, x: Any) -> Any:
        return {}, {"steps": jnp.zeros((), jnp.int32), "last": jnp.zeros(4), "direction": jnp.ones(4) / 2}

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
        turned = state["direction"] + 0.1 * jnp.arange(4.0)
        new = {"steps": state["steps"] + 1, "last": x.mean(0), "direction": turned / jnp.linalg.norm(turned)}
        return x, new if train else state


def trainer_of(momentum: float = 0.99) -> jg.Trainer:
    layers = [jg.layers.BatchNormalization(momentum=momentum), Counter(), jg.layers.Dense(1)]
    return jg.Trainer(jg.Sequential([jg.Input((4,)), *layers]), optax.sgd(0.01), loss="mse")


@pytest.mark.parametrize("momentum", [0.5, 0.99, 0.999])
def test_they_are_the_means_over_the_batches(momentum: float) -> None:
    trainer, (x, y) = trainer_of(momentum), rows()
    start = trainer.fit((x, y), epochs=1, batch_size=8, progress=False).train_state
    found = jg.update_statistics(trainer, start, (x, y), batch_size=8)
    weights = np.array([8, 8, 6]) / 22
    parts = [x[:8], x[8:16], x[16:]]
    state = found.model_state["batch_normalization"]
    for name, own in (("moving_mean", np.mean), ("moving_variance", np.var)):
        expected = sum(w * own(part, axis=0, dtype=np.float64) for w, part in zip(weights, parts, strict=True))
        np.testing.assert_allclose(state[name], expected, rtol=3e-4)
    jax.tree.map(np.testing.assert_array_equal, found.model_state["counter"], start.model_state["counter"])
    jax.tree.map(np.testing.assert_array_equal, found.params, start.params)
    assert int(found.step) == int(start.step)


def test_batches_of_an_iterable() -> None:
    trainer, (x, y) = trainer_of(), rows(16)
    start = trainer.init(jax.random.key(0))
    given = jg.update_statistics(trainer, start, [(x[:8], y[:8]), (x[8:], y[8:])])
    expected = jg.update_statistics(trainer, start, (x, y), batch_size=8)
    jax.tree.map(np.testing.assert_array_equal, given.model_state, expected.model_state)


def test_a_frozen_layer_keeps_its_own() -> None:
    model = trainer_of().model.freeze("batch_normalization")
    trainer = jg.Trainer(model, optax.sgd(0.01), loss="mse")
    start = trainer.init(jax.random.key(0))
    found = jg.update_statistics(trainer, start, rows())
    jax.tree.map(np.testing.assert_array_equal, found.model_state, start.model_state)


def test_what_cannot_be_done_is_refused() -> None:
    trainer = trainer_of()
    start = trainer.init(jax.random.key(0))
    with pytest.raises(DataError, match="update_statistics: expected at least 1 batches"):
        jg.update_statistics(trainer, start, [])
    with pytest.raises(ArgumentError, match="update_statistics, train_state: expected a TrainState"):
        jg.update_statistics(trainer, start.params, rows())  # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="batch_size"):
        jg.update_statistics(trainer, start, rows(), batch_size=0)
