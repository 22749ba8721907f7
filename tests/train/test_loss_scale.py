"""Loss scaling: the rules of the scale, gradients that float16 would lose, skipped steps, and what the guard sees."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError
from jgraph.train.loss_scale import DynamicLossScale

L = jg.layers


def scaled(trainer: jg.Trainer, scaling: DynamicLossScale) -> jg.Trainer:
    """The trainer with a loss scale among its step."""
    trainer.__dict__["step_function"] = dataclasses.replace(trainer.step_function, loss_scale=scaling)
    trainer.__dict__.pop("template")  # the form of a train state with the plain step
    return trainer


def half(loss: Any = "mse", weights: Any = None) -> jg.Trainer:
    x = jg.Input((2,), name="x")
    model = jg.Model(x, L.Dense(1, name="y")(x), policy=jg.Policy({"*": {"dtype": "float16"}}))
    return jg.Trainer(model, optax.adam(0.01), loss=loss, loss_weights=weights)


def rows(count: int = 16) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(count, 2)).astype("float32")
    return x, x[:, 0]


def explosive(targets: Any, outputs: Any) -> Any:
    """Slopes of 1000: float16 holds them up to a scale of 64."""
    return 1000 * jnp.abs(outputs[:, 0] - targets)


def test_the_scale_falls_at_an_overflow_and_rises_after_a_period_of_good_steps() -> None:
    scaling = DynamicLossScale(initial=16.0, period=3)
    memory, seen = scaling.init(), []
    for finite in (True, False, True, True, True, True, True, False, False, False, False, False, True):
        memory = scaling.update(memory, jnp.asarray(finite))
        seen.append((float(memory["scale"]), int(memory["good_steps"]), int(memory["skipped"])))
    scales, good, skipped = zip(*seen, strict=True)
    assert scales == (16.0, 8.0, 8.0, 8.0, 16.0, 16.0, 16.0, 8.0, 4.0, 2.0, 1.0, 1.0, 1.0)
    assert good == (1, 0, 1, 2, 0, 1, 2, 0, 0, 0, 0, 0, 1)
    assert skipped == (0, 1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6)


def test_the_scale_never_leaves_float32() -> None:
    scaling = DynamicLossScale(initial=2.0**127, period=1)
    assert float(scaling.update(scaling.init(), jnp.asarray(True))["scale"]) == 2.0**127


def test_gradients_too_small_for_float16_arrive() -> None:
    def faint(targets: Any, outputs: Any) -> Any:
        return 1e-9 * outputs[:, 0] * targets

    batch = (jnp.ones((4, 2)),), (jnp.ones(4),), (None,)
    for trainer, moves in ((half(faint), False), (scaled(half(faint), DynamicLossScale()), True)):
        start = trainer.init(jax.random.key(0))
        found = trainer.step_function.look(start, batch, None)
        assert bool((found.grads["y"]["kernel"] != 0).all()) == moves
        if moves:
            np.testing.assert_allclose(found.grads["y"]["kernel"], 1e-9, rtol=1e-2)


def test_in_float32_a_scaled_step_is_the_plain_one() -> None:
    """A scale of 2^15 changes no digit of a float32."""
    x = jg.Input((2,), name="x")
    model = jg.Model(x, L.Dense(1, name="y", kernel_regularizer="l2")(x))
    plain, ours = (jg.Trainer(model, optax.adam(0.01), loss="mse") for _ in range(2))
    scaled(ours, DynamicLossScale())
    state = plain.init(jax.random.key(0))
    expected, logs = plain.step(state, rows())
    found, other = ours.step(ours.init(jax.random.key(0)), rows())
    jax.tree.map(np.testing.assert_array_equal, found.params, expected.params)
    assert float(logs["loss"]) == float(other["loss"])
    assert int(other["skipped_steps"]) == 0


def test_a_step_that_overflows_is_skipped_and_counted() -> None:
    ours = scaled(half(explosive), DynamicLossScale(initial=2.0**12, period=1000))
    start = ours.init(jax.random.key(0))
    state, logs = ours.step(start, rows())
    jax.tree.map(np.testing.assert_array_equal, (state.params, state.opt_state), (start.params, start.opt_state))
    assert (int(state.step), int(logs["skipped_steps"]), float(state.loss_scale["scale"])) == (1, 1, 2.0**11)
    while int(logs["skipped_steps"]) == int(state.step):
        state, logs = ours.step(state, rows())
    assert float(state.loss_scale["scale"]) <= 512  # a mean over 16 rows: the slope of one is 62.5
    assert not np.array_equal(state.params["y"]["kernel"], start.params["y"]["kernel"])


def test_the_guard_lets_a_skipped_step_pass_and_the_logs_are_those_of_the_others(tmp_path: Path) -> None:
    options: Any = {"batch_size": 4, "progress": False, "seed": 0}
    ours = scaled(half(explosive), DynamicLossScale(initial=2.0**14, period=6))
    checkpoint = jg.callbacks.Checkpoint(tmp_path, every_steps=3)
    guard = jg.callbacks.TerminateOnNaN(gradients=True)
    run = ours.fit(rows(), epochs=3, **options)
    stopped = ours.fit(rows(), epochs=1, callbacks=[checkpoint], **options)
    watched = ours.fit(rows(), epochs=3, callbacks=[guard], **options)
    resumed = ours.fit(rows(), epochs=3, resume=tmp_path, **options)
    assert (run.stopped, int(run.train_state.step), run.position) == (None, 12, (3, 0))
    skipped = run.history["skipped_steps"]
    assert skipped[-1] == int(run.train_state.loss_scale["skipped"]) > 0
    assert np.isfinite(run.history["loss"][-1])
    assert stopped.history["skipped_steps"] == skipped[:1]
    for other in (resumed, watched):
        jax.tree.map(np.testing.assert_array_equal, other.train_state.params, run.train_state.params)
        jax.tree.map(np.testing.assert_array_equal, other.train_state.loss_scale, run.train_state.loss_scale)
        np.testing.assert_array_equal(other.history["loss"], run.history["loss"])


def test_the_guard_stops_what_no_scale_can_mend_at_its_step() -> None:
    def broken(targets: Any, outputs: Any) -> Any:
        return jnp.sqrt(outputs[:, 0] * targets - 1e9)

    ours = scaled(half(broken), DynamicLossScale(initial=16.0))
    start = ours.init(jax.random.key(0))
    run = ours.fit(rows(), epochs=9, batch_size=8, progress=False, seed=0)
    assert "not finite at step 5 (epoch 3, batch 1)" in (run.stopped or "")  # 16, 8, 4 and 2 were tried
    assert (int(run.train_state.step), run.position) == (4, (2, 0))
    assert int(run.train_state.loss_scale["skipped"]) == 4
    jax.tree.map(np.testing.assert_array_equal, run.train_state.params, start.params)


def test_a_skipped_step_moves_no_balance() -> None:
    x = jg.Input((2,), name="x")
    h = L.Dense(1, name="h")(x)
    model = jg.Model(x, {n: L.Dense(1, name=n)(h) for n in "ab"}, policy=jg.Policy({"*": {"dtype": "float16"}}))
    balance = jg.balance.Uncertainty()
    ours = jg.Trainer(model, optax.sgd(1e-4), loss={"a": explosive, "b": "mse"}, loss_weights=balance)
    scaled(ours, DynamicLossScale(initial=2.0**24))
    start = ours.init(jax.random.key(0))
    inputs, targets = rows()
    state, logs = ours.step(start, (inputs, {"a": targets, "b": targets}))
    assert int(logs["skipped_steps"]) == 1
    jax.tree.map(np.testing.assert_array_equal, state.balance, start.balance)


def test_the_parts_of_a_batch_are_scaled_alike() -> None:
    x = jg.Input((2,), name="x")
    model = jg.Model(x, L.Dense(1, name="y")(x))
    whole, parts = (
        scaled(jg.Trainer(model, optax.sgd(0.1), loss="mse", accumulate=k), DynamicLossScale()) for k in (1, 4)
    )
    state = whole.init(jax.random.key(0))
    expected, found = whole.step(state, rows())[0], parts.step(state, rows())[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found.params, expected.params)


@pytest.mark.parametrize(
    "wrong", [{"initial": 0.5}, {"initial": np.inf}, {"period": 0}, {"period": 1.5}, {"factor": 1.0}, {"factor": "2"}]
)
def test_wrong_numbers_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=f"DynamicLossScale, {next(iter(wrong))}"):
        DynamicLossScale(**wrong)
