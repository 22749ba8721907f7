"""LearningRateFinder: the rate is that of the function, training begins where it would, and a resumed run keeps it."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.callbacks import Checkpoint, FindLearningRate, LearningRateFinder, on_epoch_end
from jgraph.errors import ArgumentError, CallbackError

X = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")
ROWS = X, X @ np.array([1.0, -2.0, 0.5, 3.0], "float32")


def trainer_of(rate: Any = 0.01, optimizer: Any = optax.sgd) -> jg.Trainer:
    model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(1)])
    return jg.Trainer(model, optimizer, loss="mse", learning_rate=rate)


def fit(*callbacks: Any, trainer: jg.Trainer | None = None, epochs: int = 3, **options: Any) -> jg.Run:
    given: dict[str, Any] = {"batch_size": 8, "progress": False, **options}
    return (trainer or trainer_of()).fit(ROWS, epochs=epochs, callbacks=list(callbacks), **given)


def test_the_rate_is_that_of_the_function_and_the_rest_as_ever(tmp_path: Path) -> None:
    found = jg.find_learning_rate(trainer_of(), ROWS, batch_size=8, most=10.0)
    assert found.suggestion is not None
    run = fit(LearningRateFinder(most=10.0, plot=tmp_path / "search.svg"))
    assert run.history["learning_rate"] == pytest.approx([found.suggestion] * 3, rel=1e-6)
    assert b"suggestion" in (tmp_path / "search.svg").read_bytes()
    assert any(f"learning_rate_finder: learning rate 0.01 -> {found.suggestion:.4g}" in said for said in run.events)
    plain = fit(trainer=trainer_of(found.suggestion))
    for ours, theirs in zip(
        jax.tree.leaves(run.train_state.params), jax.tree.leaves(plain.train_state.params), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_a_run_that_goes_on_keeps_its_rate(tmp_path: Path) -> None:
    finder = LearningRateFinder(most=10.0)
    whole = fit(finder, epochs=4)
    fit(finder, Checkpoint(tmp_path), epochs=2)
    again = fit(finder, Checkpoint(tmp_path), epochs=4, resume=tmp_path)
    jax.tree.map(np.testing.assert_array_equal, again.train_state.params, whole.train_state.params)
    assert sum("range test" in said for said in again.events) == 1
    later = fit(LearningRateFinder(name="new"), epochs=5, run=again)
    assert later.history["learning_rate"] == whole.history["learning_rate"] + whole.history["learning_rate"][-1:]


def test_where_the_loss_never_falls_the_rate_stays() -> None:
    run = fit(LearningRateFinder(least=1e3, most=1e6, steps=20))
    assert any("suggests no rate" in said for said in run.events)
    assert run.history["learning_rate"] == pytest.approx([0.01] * 3)


def test_the_action_is_for_the_beginning_of_fit() -> None:
    late = on_epoch_end(lambda event: FindLearningRate(), name="late")
    with pytest.raises(CallbackError, match="'late', on_epoch_end: expected FindLearningRate from on_train_begin"):
        fit(late)
    with pytest.raises(CallbackError, match="fit_many, whose members have rates of their own"):
        trainer_of().fit_many(ROWS, epochs=1, seeds=2, callbacks=[LearningRateFinder()], progress=False)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"least": 0}, "least: expected a finite number above 0"),
        ({"most": float("inf")}, "most: expected a finite number above 0"),
        ({"least": 2.0}, "least: expected less than `most`, which is 1"),
        ({"steps": 9}, "steps: expected an integer of at least 10"),
        ({"plot": ""}, "plot: expected a path"),
    ],
)
def test_arguments_are_checked(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=f"FindLearningRate, {words}"):
        LearningRateFinder(**given)


def test_a_rate_that_is_not_known_is_refused_before_training() -> None:
    with pytest.raises(ArgumentError, match="LearningRateFinder: expected a trainer that knows its learning rate"):
        fit(LearningRateFinder(), trainer=trainer_of(None, optax.sgd(0.1)))


def test_an_iterator_is_refused_as_the_test_would_use_it_up() -> None:
    batches = iter([(X[:8], ROWS[1][:8])] * 30)
    with pytest.raises(ArgumentError, match=r"an iterator .*, which a range test would use up"):
        trainer_of().fit(batches, epochs=1, callbacks=[LearningRateFinder(steps=10)], progress=False)
    assert len(list(batches)) == 30


def test_the_action_needs_a_known_rate() -> None:
    trainer = jg.Trainer(jg.Sequential([jg.Input((4,)), jg.layers.Dense(1)]), optax.sgd(0.1), loss="mse")
    asking = jg.callbacks.on_train_begin(lambda event: FindLearningRate())
    with pytest.raises(CallbackError, match="the trainer knows its learning rate"):
        fit(asking, trainer=trainer)


def test_a_run_that_has_begun_keeps_its_rate() -> None:
    stopping = jg.callbacks.on_step_end(lambda event: jg.callbacks.Stop("enough"), every_steps=2, name="stopping")
    begun = fit(stopping)
    run = fit(LearningRateFinder(most=10.0), run=dataclasses.replace(begun, stopped=None))
    assert run.history["learning_rate"] == pytest.approx([0.01] * 3)
