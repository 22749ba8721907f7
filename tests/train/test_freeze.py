"""Freezing while training: what is frozen stays to the bit, all else trains as in a model that was frozen."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.callbacks import Checkpoint, EarlyStopping, Freeze, on_epoch_end, on_step_end
from jgraph.errors import CallbackError

ROWS = 24


def network(dropout: float = 0.0) -> jg.Model:
    x = jg.Input((4,), name="x")
    h = jg.layers.BatchNormalization(name="norm")(jg.layers.Dense(5, activation="tanh", name="body")(x))
    return jg.Model(x, jg.layers.Dense(1, name="head")(jg.layers.Dropout(dropout)(h)))


def rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, 4)).astype("float32")
    return x, np.sum(x**2, axis=1).astype("float32")


def at(epoch: int, *patterns: str) -> Any:
    return on_epoch_end(lambda event: [Freeze(p) for p in patterns] if event.epoch == epoch else None, name="freezing")


def fit(trainer: jg.Trainer, epochs: int, *callbacks: Any, **options: Any) -> jg.Run:
    options = {"batch_size": 8, "progress": False} | options
    return trainer.fit(rows(), epochs=epochs, callbacks=list(callbacks), **options)


def assert_same(one: Any, other: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize(
    "optimizer",
    [optax.sgd(0.1), optax.adamw(0.05, weight_decay=0.1), optax.sgd(0.1, momentum=0.9)],
    ids=["sgd", "adamw", "momentum"],
)
def test_what_is_frozen_stays_and_all_else_goes_on(optimizer: Any) -> None:
    trainer = jg.Trainer(network(), optimizer, loss="mse")
    before, after = fit(trainer, 2), fit(trainer, 5, at(1, "body", "norm"))
    assert_same(
        *(
            ({n: run.train_state.params[n] for n in ("body", "norm")}, run.train_state.model_state)
            for run in (before, after)
        )
    )
    assert not np.allclose(before.train_state.params["head"]["kernel"], after.train_state.params["head"]["kernel"])
    assert after.frozen == ("body", "norm")
    assert jax.tree.structure(before.train_state) == jax.tree.structure(after.train_state)
    assert any("freezing: freezes 'body'" in event for event in after.events)


def test_it_is_as_going_on_with_a_model_that_was_frozen() -> None:
    """With plain sgd, whose state is empty, so that the model which was frozen before can take it over."""
    model = network(dropout=0.5)
    whole, part = (jg.Trainer(m, optax.sgd(0.1), loss="mse") for m in (model, model.freeze("body", "norm")))
    first = fit(whole, 2)
    found = fit(whole, 4, at(1, "body", "norm"))
    state = first.train_state
    expected = fit(
        part,
        4,
        train_state=part.init(state.key, state.params, state.model_state).replace(step=state.step, key=state.key),
        initial_epoch=2,
    )
    for one, other in zip(
        jax.tree.leaves(found.train_state.params), jax.tree.leaves(expected.train_state.params), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
    assert found.history["loss"][2:] == pytest.approx(expected.history["loss"], rel=1e-6)


@pytest.mark.parametrize("on_device", [True, False])
def test_it_acts_at_its_own_step(on_device: bool) -> None:
    trainer = jg.Trainer(network(), optax.adam(0.05), loss="mse")
    kept: list[Any] = []

    def freeze(event: Any) -> Any:
        kept.append(jax.tree.map(np.array, event.train_state.params["body"]))
        return Freeze("body") if event.step == 2 else None

    run = fit(trainer, 2, on_step_end(freeze), data_on_device=on_device)
    assert not np.array_equal(kept[0]["kernel"], kept[1]["kernel"])
    for later in (*kept[2:], run.train_state.params["body"]):
        assert_same(later, kept[1])


def test_averages_and_known_rates_and_parts_go_along() -> None:
    trainer = jg.Trainer(network(), optax.adam, learning_rate=0.05, loss="mse", ema=0.5, accumulate=1)
    run = fit(trainer, 3, at(0, "head"))
    assert set(run.train_state.ema) == {"body", "head", "norm"}
    assert np.isfinite(run.history["loss"]).all()


def test_a_run_goes_on_from_a_checkpoint_and_from_memory(tmp_path: Path) -> None:
    trainer = jg.Trainer(network(0.5), optax.adam(0.05), loss="mse")
    early = EarlyStopping(monitor="loss", patience=20, restore_best=True)
    expected = fit(trainer, 5, at(1, "body"), early)
    saved = [at(1, "body"), early, Checkpoint(tmp_path)]
    fit(trainer, 3, *saved)
    resumed = fit(jg.Trainer(network(0.5), optax.adam(0.05), loss="mse"), 5, *saved, resume=tmp_path)
    going_on = fit(trainer, 5, at(1, "body"), early, run=fit(trainer, 3, at(1, "body"), early))
    for run in (resumed, going_on):
        assert run.frozen == ("body",)
        assert run.history == expected.history
        assert_same(run.train_state.params, expected.train_state.params)
        assert_same(run.train_state.opt_state, expected.train_state.opt_state)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [("bdy", "Did you mean 'body'"), ("*", "only frozen ones"), ("dropout", "layers with params")],
)
def test_what_cannot_be_frozen(pattern: str, what: str) -> None:
    trainer = jg.Trainer(network(), optax.sgd(0.1), loss="mse")
    with pytest.raises(CallbackError, match=what) as raised:
        fit(trainer, 3, at(1, pattern))
    run: Any = raised.value.__dict__["run"]
    assert run.frozen == ()
    assert len(run.history["loss"]) == 1


def test_again_is_nothing_new() -> None:
    run = fit(jg.Trainer(network(), optax.sgd(0.1), loss="mse"), 4, on_epoch_end(lambda event: Freeze("body")))
    assert run.frozen == ("body",)
    assert sum("freezes" in event for event in run.events) == 1


def test_members_share_a_program() -> None:
    trainer = jg.Trainer(network(), optax.sgd(0.1), loss="mse")
    with pytest.raises(CallbackError, match="a run of its own, by fit"):
        trainer.fit_many(rows(), epochs=2, seeds=2, callbacks=[at(0, "body")], progress=False)


@pytest.mark.parametrize("pattern", [None, "", 3, ["body"]])
def test_a_pattern_is_a_text(pattern: Any) -> None:
    with pytest.raises(ValueError, match="Freeze, pattern: expected a pattern of paths"):
        Freeze(pattern)
