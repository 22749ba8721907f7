"""Evaluating when a callback asks for it: the numbers are those of `evaluate`, and training goes on as it would."""

import os
import signal
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.callbacks import Checkpoint, Evaluate, Stop, on_epoch_end, on_evaluate_end, on_step_end, on_train_begin
from jgraph.errors import CallbackError


def trainer() -> jg.Trainer:
    x = jg.Input((4,), name="x")
    h = jg.layers.Dropout(0.2)(jg.layers.Dense(5, activation="tanh")(x))
    return jg.Trainer(jg.Model(x, jg.layers.Dense(1)(h)), optax.adam(0.05), loss="mse", metrics="mae")


def rows(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(24, 4)).astype("float32")
    return x, np.sum(x**2, axis=1).astype("float32")


OPTIONS: dict[str, Any] = {"batch_size": 8, "validation_data": rows(1), "progress": False}
ASKING = on_step_end(lambda event: Evaluate(), every_steps=2, name="asking")


def test_the_numbers_are_those_of_evaluate() -> None:
    ours, seen, found = trainer(), [], []

    def keep(event: Any) -> Any:
        seen.append(jax.tree.map(np.array, event.train_state.replace(key=jax.random.key_data(event.train_state.key))))
        return Evaluate()

    collect = on_evaluate_end(lambda event: found.append((event.step, dict(event.logs))))
    run = ours.fit(rows(), epochs=2, callbacks=[on_step_end(keep, every_steps=2), collect], **OPTIONS)
    assert [step for step, _ in found] == [2, 4, 6]
    for (_, logs), state in zip(found, seen, strict=True):
        state = state.replace(key=jax.random.wrap_key_data(state.key))
        expected = ours.evaluate(state, OPTIONS["validation_data"], batch_size=8)
        assert logs == {f"val_{name}": value for name, value in expected.items()}
    assert sum("evaluated: val_loss" in event for event in run.events) == 3


def test_training_goes_on_as_if_nobody_had(tmp_path: Path) -> None:
    plain = trainer().fit(rows(), epochs=3, **OPTIONS)
    asked = trainer().fit(rows(), epochs=3, callbacks=[ASKING], **OPTIONS)
    trainer().fit(rows(), epochs=2, callbacks=[ASKING, Checkpoint(tmp_path)], **OPTIONS)
    resumed = trainer().fit(rows(), epochs=3, callbacks=[ASKING, Checkpoint(tmp_path)], resume=tmp_path, **OPTIONS)
    for run in (asked, resumed):
        assert run.history == plain.history
        jax.tree.map(np.testing.assert_array_equal, run.train_state.params, plain.train_state.params)


def test_what_is_asked_for_then_is_done() -> None:
    enough = on_evaluate_end(lambda event: Stop("enough") if event.step >= 4 else None)
    run = trainer().fit(rows(), epochs=5, callbacks=[ASKING, enough], **OPTIONS)
    assert (run.stopped, int(run.train_state.step)) == ("enough", 4)


@pytest.mark.parametrize("asking", [on_train_begin, on_epoch_end])
def test_from_other_hooks(asking: Any) -> None:
    seen: list[Any] = []
    callbacks = [asking(lambda event: Evaluate()), on_evaluate_end(seen.append)]
    trainer().fit(rows(), epochs=1, callbacks=callbacks, **OPTIONS)
    assert len(seen) == 1
    assert set(seen[0].logs) == {"val_loss", "val_mae"}


def test_without_validation_data_and_from_itself() -> None:
    with pytest.raises(CallbackError, match="'asking', on_step_end: expected Evaluate where there are validation data"):
        trainer().fit(rows(), epochs=1, batch_size=8, callbacks=[ASKING], progress=False)
    endless = on_evaluate_end(lambda event: Evaluate(), name="endless")
    with pytest.raises(CallbackError, match=r"'endless', on_evaluate_end: .*got it from on_evaluate_end"):
        trainer().fit(rows(), epochs=1, callbacks=[ASKING, endless], **OPTIONS)


def known() -> jg.Trainer:
    x = jg.Input((4,), name="x")
    return jg.Trainer(jg.Model(x, jg.layers.Dense(1)(x)), optax.sgd, loss="mse", learning_rate=0.01)


def halving(directory: Path) -> list[Any]:
    halve = on_evaluate_end(lambda event: jg.callbacks.ScaleLearningRate(0.5), name="halve")
    return [jg.callbacks.EvaluateEvery(every_steps=3), halve, Checkpoint(directory, every_steps=3)]


def same(ours: jg.Run, theirs: jg.Run) -> None:
    assert ours.history == theirs.history
    jax.tree.map(np.testing.assert_array_equal, ours.train_state.params, theirs.train_state.params)
    assert float(ours.train_state.lr_scale) == float(theirs.train_state.lr_scale)


def test_what_is_saved_has_what_came_of_the_evaluation(tmp_path: Path) -> None:
    whole = known().fit(rows(), epochs=3, callbacks=halving(tmp_path / "whole"), **OPTIONS)
    known().fit(rows(), epochs=2, callbacks=halving(tmp_path / "cut"), **OPTIONS)
    resumed = known().fit(rows(), epochs=3, callbacks=halving(tmp_path / "cut"), resume=tmp_path / "cut", **OPTIONS)
    same(resumed, whole)
    assert float(whole.train_state.lr_scale) == 0.125


def test_a_signal_while_it_is_evaluated_loses_nothing(tmp_path: Path) -> None:
    whole = known().fit(rows(), epochs=3, callbacks=halving(tmp_path / "whole"), **OPTIONS)

    def interrupted(targets: Any, outputs: Any) -> Any:
        jax.debug.callback(once)
        return abs(targets - outputs).mean(-1)

    sent: list[int] = []

    def once() -> None:
        if not sent:
            sent.append(1)
            os.kill(os.getpid(), signal.SIGINT)

    x = jg.Input((4,), name="x")
    model = jg.Model(x, jg.layers.Dense(1)(x))
    ours = jg.Trainer(model, optax.sgd, loss="mse", learning_rate=0.01, metrics={"dense": interrupted})
    run = ours.fit(rows(), epochs=3, callbacks=halving(tmp_path / "cut"), **OPTIONS)
    assert run.stopped == "interrupted"
    resumed = ours.fit(rows(), epochs=3, callbacks=halving(tmp_path / "cut"), resume=tmp_path / "cut", **OPTIONS)
    assert resumed.history["loss"] == whole.history["loss"]
    assert float(resumed.train_state.lr_scale) == float(whole.train_state.lr_scale)


def test_fit_many_says_that_it_does_not_evaluate() -> None:
    every = jg.callbacks.EvaluateEvery(every_epochs=1)
    with pytest.raises(CallbackError, match="in fit_many, which validates all members"):
        known().fit_many(rows(), epochs=1, batch_size=8, validation_split=0.25, callbacks=[every], progress=False)
