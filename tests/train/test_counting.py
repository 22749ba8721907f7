"""A run says what was compiled for it, and a program is compiled no more often than it must be."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import jgraph as jg
from jgraph.train.counting import noting


def plain(x: Any) -> Any:
    return jg.layers.Dense(4, activation="relu")(x)


def normed(x: Any) -> Any:
    return jg.layers.BatchNormalization()(jg.layers.Dense(4)(x))


def convolved(x: Any) -> Any:
    """With a convolution that is not jgraph's, which takes single steps on the CPU."""
    smooth = functools.partial(lax.conv, rhs=jnp.ones((1, 1, 2)), window_strides=(1,), padding="SAME")
    return jg.layers.Flatten()(jg.op(smooth)(jg.layers.Reshape((1, 6))(jg.layers.Dense(6)(x))))


def trainer_of(hidden: Callable[[Any], Any] = plain) -> jg.Trainer:
    x = jg.Input((6,), name="x")
    model = jg.Model(x, jg.layers.Dense(3, activation="softmax")(hidden(x)))
    return jg.Trainer(model, optax.adam(1e-2), loss="sparse_categorical_crossentropy", metrics="accuracy")


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(rows, 6)).astype("float32"), random.integers(0, 3, rows)


def said(run: jg.Run) -> list[str]:
    """What a run says that was compiled for it."""
    return [text.removeprefix("compiled ") for text in run.events if text.startswith("compiled ")]


LOOPS = ["train: a loop of steps of 8 rows", "evaluate: a loop of batches of 8 rows"]
SINGLE = ["train: a step of 8 rows", "evaluate: a step of 8 rows"]


@pytest.mark.parametrize(
    ("hidden", "rows", "held", "expected"),
    [
        (plain, 32, 16, LOOPS),
        (plain, 35, 13, LOOPS),  # ragged batches are filled up
        (normed, 35, 16, [LOOPS[0], "train: a batch of 3 rows", LOOPS[1]]),
        (normed, 35, 13, [LOOPS[0], "train: a batch of 3 rows", LOOPS[1], "evaluate: a batch of 5 rows"]),
        (convolved, 32, 16, SINGLE),
    ],
    ids=["whole", "filled up", "mixing, ragged", "mixing, both ragged", "single steps"],
)
def test_a_fit_compiles_each_program_once(
    hidden: Any, rows: int, held: int, expected: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    trainer = trainer_of(hidden)
    options: dict[str, Any] = {"batch_size": 8, "validation_data": data(held), "progress": False}
    with jax.log_compiles(), caplog.at_level(logging.WARNING, logger="jax"):
        run = trainer.fit(data(rows), epochs=3, **options)
    assert said(run) == expected
    names = ("many", "at", "summed", "measured", "measured_at", "measured_many")
    compiled = [r for r in caplog.records if r.getMessage().startswith(tuple(f"Compiling jit({n})" for n in names))]
    assert len(compiled) == len(expected), "JAX itself says the same"

    assert said(trainer.fit(data(rows), epochs=2, seed=1, **options)) == [], "a second fit needs no program"
    again = trainer.fit(data(rows), epochs=4, run=run, **options)
    assert said(again) == expected, "what the run said stays, and nothing is new"


def test_another_batch_size_is_another_program() -> None:
    trainer = trainer_of()
    trainer.fit(data(32), epochs=1, batch_size=8, progress=False)
    assert said(trainer.fit(data(32), epochs=1, batch_size=4, progress=False)) == ["train: a loop of steps of 4 rows"]
    trainer.evaluate(trainer.init(jax.random.key(0)), data(32), batch_size=1)
    run = trainer.fit(data(32), epochs=1, batch_size=1, validation_data=data(32), progress=False)
    assert said(run) == ["train: a loop of steps of 1 row"], "what `evaluate` compiled is none of the run's"


def test_batches_from_an_iterable_are_counted_too() -> None:
    x, y = data(20)
    batches = [(x[:8], y[:8]), (x[8:16], y[8:16]), (x[16:], y[16:])]
    run = trainer_of(normed).fit(batches, epochs=2, progress=False)
    assert said(run) == ["train: a batch of 8 rows", "train: a batch of 4 rows"]


def test_another_guard_has_programs_of_its_own() -> None:
    trainer = trainer_of()
    trainer.fit(data(32), epochs=1, progress=False)
    watched = [jg.callbacks.TerminateOnNaN(gradients=True)]
    run = trainer.fit(data(32), epochs=1, callbacks=watched, progress=False)
    assert said(run) == ["train: a loop of steps of 32 rows"]


def test_noting_keeps_name_and_donation() -> None:
    made: list[str] = []

    def double(x: jax.Array) -> jax.Array:
        return 2 * x

    program = noting(double, made, lambda x: str(x.shape), (0,))
    x = jax.numpy.ones(3)
    assert "jit_double" in program.lower(x).as_text()
    program(x)
    assert x.is_deleted()
    assert made == ["(3,)"], "lowering and calling are one trace"
