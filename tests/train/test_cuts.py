"""One program for n steps: every way of cutting 64 steps into dispatches gives the same bits with one compile."""

import functools
import logging
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import jgraph as jg
from jgraph.train import loop, programs, session

ROWS, BATCH, STEPS = 128, 4, 64
CUTS = {"64x1": [1] * 64, "4x16": [16] * 4, "7+13+1+43": [7, 13, 1, 43], "1x64": [64]}


def mlp() -> jg.Model:
    x = jg.Input((6,), name="x")
    hidden = jg.layers.Dense(8, activation="relu")(jg.layers.Dense(8, activation="tanh")(x))
    return jg.Model(x, jg.layers.Dense(3, activation="softmax")(hidden))


def lstm() -> jg.Model:
    x = jg.Input((6,), name="x")
    steps = jg.layers.BatchNormalization()(jg.layers.Reshape((3, 2))(x))
    hidden = jg.layers.Dropout(0.3)(jg.layers.LSTM(5)(steps))
    return jg.Model(x, jg.layers.Dense(3, activation="softmax")(hidden))


def convolution() -> jg.Model:
    x = jg.Input((6,), name="x")
    image = jg.layers.Conv2D(4, 2, activation="relu", padding="same")(jg.layers.Reshape((2, 3, 1))(x))
    return jg.Model(x, jg.layers.Dense(3, activation="softmax")(jg.layers.Flatten()(image)))


def foreign() -> jg.Model:
    """A convolution that is not jgraph's, whose gradient XLA:CPU computes slowly in a loop."""
    x = jg.Input((6,), name="x")
    smooth = functools.partial(lax.conv, rhs=jnp.ones((1, 1, 2)), window_strides=(1,), padding="SAME")
    image = jg.op(smooth)(jg.layers.Reshape((1, 6))(jg.layers.Dense(6)(x)))
    return jg.Model(x, jg.layers.Dense(3, activation="softmax")(jg.layers.Flatten()(image)))


MODELS = {
    "mlp": mlp,
    "lstm with batch norm and dropout": lstm,
    "convolution": convolution,
    "a convolution of others": foreign,
}


def data(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(rows, 6)).astype("float32"), random.integers(0, 3, rows)


def trainer_of(model: jg.Model, **options: Any) -> jg.Trainer:
    options = {"loss": "sparse_categorical_crossentropy", "metrics": "accuracy", **options}
    return jg.Trainer(model, optax.adam(1e-2), **options)


def bits(tree: Any) -> list[bytes]:
    leaves = jax.tree.leaves(tree)
    keys = [jnp.issubdtype(x.dtype, jax.dtypes.prng_key) for x in leaves]
    return [np.asarray(jax.random.key_data(x) if k else x).tobytes() for x, k in zip(leaves, keys, strict=True)]


def compiled(caplog: pytest.LogCaptureFixture, name: str) -> int:
    """How many times JAX said that it compiles the program of that name."""
    return sum(f"Compiling jit({name})" in record.getMessage() for record in caplog.records)


def cached(program: Any) -> int:
    """How many compiled forms a jitted program has."""
    return program._cache_size()


@pytest.mark.parametrize("draw", MODELS.values(), ids=MODELS)
def test_every_cut_gives_the_same_bits_with_one_compile(draw: Any, caplog: pytest.LogCaptureFixture) -> None:
    trainer, results = trainer_of(draw()), {}
    rows = jax.tree.map(jnp.asarray, (data()[:1], data()[1:], (None,)))
    order = jnp.asarray(np.random.default_rng(1).integers(0, ROWS, (STEPS, BATCH)), jnp.int32)
    with jax.log_compiles(), caplog.at_level(logging.WARNING, logger="jax"):
        for name, cut in CUTS.items():
            carry, start = (trainer.init(jax.random.key(0)), trainer.step_function.init()), 0
            for count in cut:
                carry = trainer.programs.many(*carry, rows, order, np.int32(start), np.int32(count))
                start += count
            results[name] = bits(carry)
    assert all(result == results["64x1"] for result in results.values())
    assert cached(trainer.programs.many) == 1
    assert compiled(caplog, "many") == 1


@pytest.mark.parametrize("draw", MODELS.values(), ids=MODELS)
def test_fit_gives_the_same_bits_however_it_dispatches(draw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, results = trainer_of(draw()), []
    for most in (64, 5, 1):
        for place in (loop, programs):
            monkeypatch.setattr(place, "STEPS_PER_DISPATCH", most)
        run = trainer.fit(data(50), epochs=2, batch_size=4, seed=3, progress=False)
        results.append((bits(run.train_state), run.history))
    assert all(result == results[0] for result in results)
    sizes = [cached(p) for p in (trainer.programs.many, trainer.programs.at, trainer.programs.one)]
    looped = draw is not foreign
    mixing = draw in (lstm, foreign)  # the last batch of 2 rows has a program of its own where rows mix
    assert sizes == [int(looped), int(not looped), int(mixing)]
    assert ("up to 1 steps" if looped else "one step per dispatch") in run.events[0]


def test_single_steps_are_dispatched_several_between_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, dispatch = [], session.Session.dispatch

    def counted(self: session.Session, feed: programs.Feed) -> bool:
        before = self.step
        going = dispatch(self, feed)
        looks.append(self.step - before)
        return going

    monkeypatch.setattr(session.Session, "dispatch", counted)
    monkeypatch.setattr(programs, "QUICK", math.inf)  # however slow this machine is, a dispatch may hold more
    watcher = jg.callbacks.on_step_end(lambda event: None, every_steps=24)
    trainer_of(convolution()).fit(data(200), epochs=2, batch_size=4, callbacks=[watcher], progress=False)
    assert max(looks) > 4
    assert sum(looks) == 100
    assert {24, 48, 72, 96} <= {sum(looks[: n + 1]) for n in range(len(looks))}


RATES = {"none": None, "number": 0.1, "schedule": optax.linear_schedule(0.1, 0.0, 9)}


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
def test_training_compiles_once_whatever_the_optimizer_keeps(rate: Any) -> None:
    x = jg.Input((6,), name="x")
    optimizer = optax.sgd(0.1, momentum=0.9) if rate is None else optax.adam
    trainer = jg.Trainer(jg.Model(x, jg.layers.Dense(1)(x)), optimizer, loss="mse", learning_rate=rate)
    held_out = data(9)
    for epochs in (1, 3):
        run = trainer.fit(data(30), epochs=epochs, batch_size=4, validation_data=held_out, progress=False)
    run = trainer.fit(data(30), epochs=5, batch_size=4, validation_data=held_out, run=run, progress=False)
    trainer.fit(data(30), epochs=1, batch_size=4, train_state=run.train_state, progress=False)
    assert cached(trainer.programs.many) == 1
    assert cached(trainer.programs.measured_many) == 1


def test_small_last_batches_compile_nothing_new_where_no_rows_mix(caplog: pytest.LogCaptureFixture) -> None:
    trainer = trainer_of(mlp())
    with jax.log_compiles(), caplog.at_level(logging.WARNING, logger="jax"):
        trainer.fit(data(10), epochs=2, batch_size=4, validation_data=data(7), progress=False)
    assert compiled(caplog, "many") == compiled(caplog, "measured_many") == 1
    assert compiled(caplog, "summed") == compiled(caplog, "measured") == 0


def test_small_batches_from_the_host_compile_nothing_new_where_no_rows_mix() -> None:
    trainer = trainer_of(mlp())
    x, y = data(10)
    batches = [(x[:4], y[:4]), (x[4:8], y[4:8]), (x[8:], y[8:])]
    trainer.fit(batches, epochs=2, validation_data=batches, progress=False)
    assert cached(trainer.programs.one) == cached(trainer.programs.measured) == 1


def test_the_kind_of_program_is_decided_by_graph_and_platform() -> None:
    for draw, expected in ((mlp, True), (lstm, True), (convolution, True), (foreign, False)):
        trainer = trainer_of(draw())
        rows = jax.tree.map(jnp.asarray, (data()[:1], data()[1:], (None,)))
        train_state = trainer.init(jax.random.key(0))
        assert programs.loops(trainer.step_function, train_state, rows, "cpu") is expected
        assert programs.loops(trainer.step_function, train_state, rows, "gpu") is True
