"""AverageWeights: the means by hand, what is put in place, and runs that go on."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.callbacks import AverageWeights, Checkpoint, on_epoch_end, on_step_end
from jgraph.errors import ArgumentError


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
    return x, x.sum(1)


def fit(*callbacks: Any, epochs: int = 5, policy: Any = None, **options: Any) -> jg.Run:
    model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(3, "tanh"), jg.layers.Dense(1)])
    trainer = jg.Trainer(model if policy is None else model.with_policy(policy), optax.adam(0.05), loss="mse")
    return trainer.fit(data(), epochs=epochs, batch_size=8, callbacks=list(callbacks), progress=False, **options)


def collecting(hook: Any, seen: list[Any], **options: Any) -> Any:
    return hook(lambda event: seen.append(jax.tree.map(np.array, event.train_state.params)), **options)


def close(ours: Any, expected: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-7), ours, expected)


def test_the_plain_mean_of_the_last_epochs() -> None:
    seen: list[Any] = []
    run = fit(AverageWeights(start_from_epoch=2), collecting(on_epoch_end, seen))
    close(run.train_state.params, jax.tree.map(lambda *leaves: np.mean(leaves, 0, np.float64), *seen[2:]))
    assert run.memories["average_weights"]["count"] == 3
    assert int(run.train_state.step) == 15


def test_the_moving_mean_over_steps() -> None:
    seen: list[Any] = []
    own = AverageWeights(mode="ema", momentum=0.75, every_steps=2, start_from_epoch=1)
    run = fit(own, collecting(on_step_end, seen, every_steps=2))
    mean = seen[1]
    for params in seen[2:]:
        mean = jax.tree.map(lambda m, p: 0.75 * m + 0.25 * p, mean, params)
    close(run.train_state.params, mean)


def test_training_is_as_it_was_and_the_mean_can_be_asked_for() -> None:
    plain, own = fit(), AverageWeights(swap=False)
    run = fit(own)
    jax.tree.map(np.testing.assert_array_equal, run.train_state.params, plain.train_state.params)
    assert run.history == plain.history
    averaged = own.averaged(run.memories["average_weights"], run.train_state)
    jax.tree.map(np.testing.assert_array_equal, averaged.params, fit(AverageWeights()).train_state.params)
    untouched = own.averaged(own.init(run.train_state), run.train_state)
    assert untouched is run.train_state


@pytest.mark.parametrize(
    "own", [AverageWeights(start_from_epoch=1), AverageWeights("ema", every_steps=2)], ids=["a", "b"]
)
def test_a_run_that_goes_on_has_the_same_bits(own: AverageWeights, tmp_path: Path) -> None:
    whole = fit(own)
    fit(own, Checkpoint(tmp_path), epochs=3)
    again = fit(own, Checkpoint(tmp_path), resume=tmp_path)
    jax.tree.map(np.testing.assert_array_equal, again.train_state.params, whole.train_state.params)


def test_a_mean_of_small_numbers_is_taken_in_float32() -> None:
    run = fit(AverageWeights(), policy=jg.Policy({"*": {"param_dtype": "bfloat16"}}))
    assert {leaf.dtype for leaf in jax.tree.leaves(run.memories["average_weights"]["mean"])} == {jnp.dtype("float32")}
    assert {leaf.dtype for leaf in jax.tree.leaves(run.train_state.params)} == {jnp.dtype("bfloat16")}


def test_an_interrupted_run_is_left_as_it_is() -> None:
    own, state = AverageWeights(), fit().train_state
    memory, _ = own.on_epoch_end(own.init(state), jg.callbacks.Event(train_state=state))
    assert own.on_train_end(memory, jg.callbacks.Event(train_state=state, stopped="interrupted")) == (memory, [])
    assert len(own.on_train_end(memory, jg.callbacks.Event(train_state=state, stopped="enough"))[1]) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mode": "sva"}, "mode: expected one of 'swa', 'ema', got 'sva'. Did you mean 'swa'?"),
        ({"start_from_epoch": -1}, "start_from_epoch: expected an integer of at least 0"),
        ({"every_steps": 0}, "every_steps: expected an integer of at least 1"),
        ({"momentum": 1.0}, "momentum: expected a number between 0 and 1"),
        ({"swap": 1}, "swap: expected True or False"),
    ],
)
def test_arguments_are_checked(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        AverageWeights(**given)
    assert f"AverageWeights, {words}" in str(caught.value)
