"""The range test: the steps that it takes, where it ends, what it suggests, and that it leaves nothing behind."""

import itertools
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, DataError, WriteError
from jgraph.train.rate_search import RateSearch, moving_means, steepest


def rows(count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(count, 4)).astype("float32")
    return x, x @ np.array([1.0, -2.0, 0.5, 3.0], "float32")


def trainer_of(optimizer: Any = optax.sgd, rate: Any = 0.5, **options: Any) -> jg.Trainer:
    model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(1, name="out")])
    return jg.Trainer(model, optimizer, loss="mse", learning_rate=rate, **options)


def test_its_steps_are_those_of_the_trainer_at_these_rates() -> None:
    trainer, (x, y) = trainer_of(), rows()
    batches = [(x[i : i + 8], y[i : i + 8]) for i in range(0, 24, 8)]
    found = jg.find_learning_rate(trainer, batches, least=1e-3, most=0.1, steps=12)
    np.testing.assert_allclose(found.rates, np.geomspace(1e-3, 0.1, 12))
    train_state, losses = trainer.init(jax.random.key(0)), []
    for rate, batch in zip(found.rates, itertools.cycle(batches), strict=False):
        train_state, logs = trainer.step(train_state.replace(lr_scale=jax.numpy.float32(rate / 0.5)), batch)
        losses.append(float(logs["loss"]))
    np.testing.assert_allclose(found.losses, losses, rtol=1e-5)
    np.testing.assert_allclose(found.smoothed, moving_means(moving_means(losses)[::-1])[::-1], rtol=1e-5)


@pytest.mark.parametrize("optimizer", [optax.sgd, optax.adam])
def test_the_suggestion_trains_and_the_end_is_where_it_diverges(optimizer: Any) -> None:
    trainer = trainer_of(optimizer)
    start = trainer.init(jax.random.key(1))
    before = jax.tree.map(np.array, start.params)
    found = jg.find_learning_rate(trainer, rows(240), least=1e-5, most=1e5, batch_size=8, train_state=start)
    jax.tree.map(np.testing.assert_array_equal, start.params, before)
    assert len(found.rates) < 100
    assert found.suggestion is not None
    assert min(found.rates) < found.suggestion < found.rates[-1] / 3
    rated = trainer_of(optimizer, found.suggestion)
    run = rated.fit(rows(240), epochs=10, batch_size=8, progress=False)
    assert run.history["loss"][-1] < 0.5 * found.losses[0]


def test_it_is_the_same_each_time_and_needs_no_more_rows_than_there_are() -> None:
    once, again = (jg.find_learning_rate(trainer_of(), rows(20), batch_size=8, steps=30, seed=3) for _ in range(2))
    assert once == again
    assert once != jg.find_learning_rate(trainer_of(), rows(20), batch_size=8, steps=30, seed=4)


def test_where_a_loss_falls_fastest() -> None:
    rates = list(np.geomspace(1e-4, 1, 9))
    losses = [2.0, 2.0, 2.0, 1.9, 1.5, 1.0, 0.9, 0.9, 5.0]
    assert steepest(rates, losses, 9) == pytest.approx(rates[4])
    assert steepest(rates, sorted(losses), 9) is None
    assert steepest(rates[:1], losses[:1], 9) is None


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_picture(tmp_path: Path, suffix: str) -> None:
    found = RateSearch((1e-3, 1e-2, 1e-1), (2.0, 1.0, 30.0), (2.0, 1.5, 2.0), 1e-2)
    found.plot(tmp_path / "new" / f"search.{suffix}", title="a < b")
    again = tmp_path / f"again.{suffix}"
    found.plot(again, title="a < b")
    content = (tmp_path / "new" / f"search.{suffix}").read_bytes()
    assert content == again.read_bytes()
    assert suffix == "png" or b"suggestion 0.01" in content
    RateSearch((1e-3, 1e-2), (2.0, 2.0), (2.0, 2.0), None).plot(again)
    found.plot(again, title="$x^{$ and $y$")
    assert suffix == "png" or b"$x^{$ and $y$" in again.read_bytes()
    assert repr(found) == "RateSearch(3 steps, 0.001 to 0.1, suggestion 0.01)"
    with pytest.raises(ArgumentError, match="curves, path: expected a suffix"):
        found.plot(tmp_path / "search.gif")
    with pytest.raises(WriteError):
        found.plot(again / "search.png")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"least": 0}, "least: expected numbers with 0 < least < most"),
        ({"least": 2.0}, "least: expected numbers with 0 < least < most"),
        ({"most": float("nan")}, "least: expected numbers with 0 < least < most"),
        ({"steps": 5}, "steps: expected an integer of at least 10"),
        ({"batch_size": 0}, "batch_size"),
        ({"seed": "a"}, "seed"),
        ({"train_state": 3}, "train_state: expected a TrainState"),
    ],
)
def test_arguments_are_checked(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        jg.find_learning_rate(trainer_of(), rows(), **given)


def test_a_rate_that_is_not_known_or_at_0_is_refused() -> None:
    with pytest.raises(ArgumentError, match="find_learning_rate: expected a trainer that knows its learning rate"):
        jg.find_learning_rate(trainer_of(optax.sgd(0.1), None), rows())
    with pytest.raises(ArgumentError, match="got a schedule that is at 0 at step 0"):
        jg.find_learning_rate(trainer_of(rate=optax.linear_schedule(0.0, 0.1, 10)), rows())


def test_a_loss_that_is_never_finite_and_data_that_end() -> None:
    trainer, (x, y) = trainer_of(), rows()
    start = trainer.init(jax.random.key(0))
    broken = start.replace(params={"out": {**start.params["out"], "bias": jax.numpy.full(1, np.nan)}})
    with pytest.raises(ArgumentError, match="expected a finite loss at the first step, got nan"):
        jg.find_learning_rate(trainer, (x, y), train_state=broken)
    with pytest.raises(DataError, match="an earlier epoch has used this one up"):
        jg.find_learning_rate(trainer, iter([(x, y)]), steps=10)
