"""Balances in a trainer: pure, logged, saved, differentiated and mapped; schedules; wrong uses."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.data.rows import order_of
from jgraph.errors import ArgumentError, KeyMismatchError, NameClashError, ResumeError

B = jg.balance
TOLERANCE = 1e-5  # float32, sums of a few dozen terms
BALANCES = {
    "schedule": {"a": optax.linear_schedule(1.0, 0.2, 8), "b": 2.0},
    "uncertainty": B.Uncertainty(learning_rate=0.05),
    "dwa": B.DWA(temperature=1.5),
    "dwa by steps": B.DWA(steps=2),
    "gradnorm": B.GradNorm(of="h", learning_rate=0.1),
    "pcgrad": B.PCGrad(),
}
EVERY = pytest.mark.parametrize("weights", BALANCES.values(), ids=BALANCES)


def model(**options: Any) -> jg.Model:
    x = jg.Input((4,), name="x")
    h = jg.layers.Dense(5, activation="tanh", name="h", **options)(x)
    h = jg.layers.Dropout(0.2, name="drop")(h)
    return jg.Model(
        x, {"a": jg.layers.Dense(1, name="a")(h), "b": jg.layers.Dense(3, activation="softmax", name="b")(h)}
    )


def trainer(weights: Any, drawn: jg.Model | None = None, **options: Any) -> jg.Trainer:
    losses = {"a": "mse", "b": "sparse_categorical_crossentropy"}
    optimizer = options.pop("optimizer", optax.adam(1e-2))
    return jg.Trainer(drawn or model(), optimizer, loss=losses, loss_weights=weights, **options)


def data(rows: int = 24, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 4)).astype("float32")
    return x, {"a": 3 * x[:, 0] + random.normal(size=rows).astype("float32"), "b": random.integers(0, 3, rows)}


def assert_equal(a: Any, b: Any) -> None:
    """The same bits."""

    def bits(x: Any) -> Any:
        return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x

    jax.tree.map(lambda x, y: np.testing.assert_array_equal(bits(x), bits(y)), a, b)


@EVERY
def test_a_run_goes_on_from_a_checkpoint_and_from_memory_to_the_same_bits(weights: Any, tmp_path: Path) -> None:
    ours = trainer(weights)
    options: Any = {"batch_size": 5, "validation_split": 0.25, "seed": 3, "progress": False}  # the last batch: 3 rows
    whole = ours.fit(data(), epochs=3, **options)
    ours.fit(data(), epochs=2, callbacks=[jg.callbacks.Checkpoint(tmp_path, every_steps=3)], **options)
    resumed = ours.fit(data(), epochs=3, resume=tmp_path, **options)
    again = ours.fit(data(), epochs=3, run=ours.fit(data(), epochs=1, **options), **options)
    for run in (resumed, again):
        assert_equal(run.train_state, whole.train_state)
        assert run.history == whole.history


@EVERY
def test_a_run_goes_on_from_the_midst_of_an_epoch(weights: Any, tmp_path: Path) -> None:
    ours = trainer(weights)
    options: Any = {"batch_size": 5, "seed": 3, "progress": False}
    whole = ours.fit(data(), epochs=3, **options)
    stop = jg.callbacks.on_step_end(lambda event: jg.callbacks.Stop("here") if event.step == 7 else None)
    stopped = ours.fit(data(), epochs=3, callbacks=[stop, jg.callbacks.Checkpoint(tmp_path, every_steps=7)], **options)
    assert stopped.position == (1, 2)
    run = ours.fit(data(), epochs=3, run=stopped, **options)
    assert_equal(run.train_state, whole.train_state)
    assert run.history == whole.history


@EVERY
def test_steps_are_pure_and_mapped(weights: Any) -> None:
    ours = trainer(weights)
    start = ours.init(jax.random.key(0))
    first, logs = ours.step(start, data())
    again, _ = ours.step(start, data())
    assert_equal(first, again)
    assert all(value.shape == () for value in logs.values())
    states = jax.tree.map(lambda *leaves: jnp.stack(leaves), start, first)
    mapped, _ = jax.vmap(lambda state: ours.step(state, data()))(states)
    for place, state in enumerate((start, first)):
        alone, _ = ours.step(state, data())
        jax.tree.map(
            lambda a, b, place=place: np.testing.assert_allclose(a[place], b, rtol=1e-4, atol=1e-6),
            (mapped.params, mapped.balance),
            (alone.params, alone.balance),
        )


@EVERY
def test_steps_are_differentiable(weights: Any) -> None:
    """By the start values: the gradient of what two steps lead to is that of finite differences."""
    drawn = trainer(weights, optimizer=optax.sgd(0.05))
    start = drawn.init(jax.random.key(0))
    batches = jax.tree.map(lambda *parts: jnp.stack(parts), data(seed=0), data(seed=1))

    def after(shift: Any) -> Any:
        params = {**start.params, "h": {**start.params["h"], "bias": start.params["h"]["bias"] + shift}}
        return jax.lax.scan(drawn.step, start.replace(params=params), batches)[1]["a/loss"][1]

    found = jax.jit(jax.vmap(jax.value_and_grad(after)))(jnp.array([-1e-2, 0.0, 1e-2]))
    assert float(found[1][1]) == pytest.approx(float(found[0][2] - found[0][0]) / 2e-2, rel=2e-2)


@EVERY
def test_the_loss_is_what_was_minimised_and_val_loss_has_the_weights_of_its_moment(weights: Any) -> None:
    ours = trainer(weights, model(kernel_regularizer="l2"))
    start = ours.init(jax.random.key(1))
    balance, step = ours.objective.balance, ours.step_function
    state, logs = ours.step(start, data())
    own = logs["a/loss"], logs["b/loss"]
    penalty = 0.01 * jnp.sum(start.params["h"]["kernel"] ** 2)
    assert float(logs["loss"]) == pytest.approx(float(balance.total(start.balance, 0, own, penalty)), rel=TOLERANCE)
    measured = ours.evaluate(state, data(seed=1))
    own, penalty = (measured["a/loss"], measured["b/loss"]), 0.01 * float(jnp.sum(state.params["h"]["kernel"] ** 2))
    assert measured["loss"] == pytest.approx(float(balance.total(state.balance, 1, own, penalty)), rel=TOLERANCE)
    assert not any("weight" in name for name in measured)
    if balance.moves:
        now = balance.weights(state.balance, state.step)
        assert [float(logs["a/weight"]), float(logs["b/weight"])] == pytest.approx([float(w) for w in now])
    else:
        assert set(step.state_log(state)) == set()


def test_the_loss_of_an_epoch_is_the_mean_over_its_steps() -> None:
    ours = trainer(BALANCES["schedule"])
    seen = []
    watch = jg.callbacks.on_step_end(lambda event: seen.append((event.logs["loss"], event.step)) or None)
    run = ours.fit(data(), epochs=2, batch_size=7, seed=0, callbacks=[watch], progress=False)
    state, losses = ours.init(jax.random.key(0)), []
    for epoch in range(2):
        for rows in order_of(24, 7, seed=0, epoch=epoch):
            rows = rows[rows >= 0]
            inputs, targets = data()
            state, logs = ours.step(state, (inputs[rows], {n: t[rows] for n, t in targets.items()}))
            losses.append(float(logs["loss"]))
    assert run.history["loss"] == pytest.approx([np.mean(losses[:4]), np.mean(losses[4:])], rel=TOLERANCE)
    assert [run.history["a/weight"], run.history["b/weight"]] == [pytest.approx([0.6, 0.2]), pytest.approx([2.0, 2.0])]
    assert seen[2][0] == pytest.approx(np.mean(losses[:3]), rel=TOLERANCE)


def test_a_schedule_gives_each_step_its_weight() -> None:
    """As a trainer of numbers, that is made anew for every step."""
    schedule = {"a": optax.exponential_decay(2.0, 2, 0.5), "b": lambda step: 1 + step}
    ours, state = trainer(schedule, optimizer=optax.sgd(0.1)), None
    state = plain = ours.init(jax.random.key(0))
    for step in range(4):
        numbers = {"a": 2.0 * 0.5 ** (step / 2), "b": 1.0 + step}
        state, logs = ours.step(state, data(seed=step))
        plain, other = trainer(numbers, optimizer=optax.sgd(0.1)).step(plain, data(seed=step))
        np.testing.assert_allclose(logs["loss"], other["loss"], rtol=TOLERANCE)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), state.params, plain.params)


def test_a_single_output_may_have_a_schedule() -> None:
    x = jg.Input((4,), name="x")
    drawn = jg.Model(x, jg.layers.Dense(1, name="y")(x))
    ours = jg.Trainer(drawn, optax.sgd(0.1), loss="mse", loss_weights=lambda step: 0.5**step)
    state, logs = ours.step(ours.init(jax.random.key(0)), (data()[0], data()[1]["a"]))
    _, later = ours.step(state, (data()[0], data()[1]["a"]))
    assert float(logs["weight"]) == 0.5
    assert float(later["loss"]) == pytest.approx(0.5 * ours.evaluate(state, (data()[0], data()[1]["a"]))["loss"] / 0.5)
    assert "schedule" in str(ours)


def test_an_output_without_weight_in_a_batch_moves_no_memory() -> None:
    inputs, targets = data()
    weights = {"a": np.zeros(24, "float32"), "b": np.ones(24, "float32")}
    for balance in (B.Uncertainty(), B.GradNorm(), B.DWA(steps=1)):
        ours = trainer(balance)
        state, _ = ours.step(ours.init(jax.random.key(0)), (inputs, targets, weights))
        state, _ = ours.step(state, (inputs, targets, weights))
        if isinstance(balance, B.Uncertainty):
            assert float(state.balance["log_variance"][0]) == 0.0
            assert float(state.balance["log_variance"][1]) != 0.0
        elif isinstance(balance, B.GradNorm):
            np.testing.assert_allclose(state.balance["weights"], [1.0, 1.0], rtol=1e-6)
            assert state.balance["seen"].tolist() == [0, 2]
        else:
            np.testing.assert_allclose(balance.weights(balance.begin(state.balance, False), 2), [1.0, 1.0], atol=2e-2)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))


def test_plain_numbers_leave_no_memory_in_the_train_state() -> None:
    state = trainer({"a": 0.5}).init(jax.random.key(0))
    assert state.balance == state.loss_scale == ()


def test_a_class_of_ones_own() -> None:
    @dataclasses.dataclass(frozen=True)
    class Alternating(B.Balance):
        def weights(self, memory: Any, step: Any) -> Any:
            return jnp.where(step % 2 == 0, 1.0, 0.0), jnp.where(step % 2 == 0, 0.0, 1.0)

    ours = trainer(Alternating())
    start = ours.init(jax.random.key(0))
    state, _ = ours.step(start, data())
    assert_equal(state.params["b"], start.params["b"])
    state, _ = ours.step(state, data())
    assert not np.array_equal(state.params["b"]["bias"], start.params["b"]["bias"])


def test_resume_names_another_balance(tmp_path: Path) -> None:
    options: Any = {"epochs": 1, "batch_size": 8, "progress": False}
    trainer(B.Uncertainty()).fit(data(), callbacks=[jg.callbacks.Checkpoint(tmp_path)], **options)
    with pytest.raises(ResumeError, match=r"expected balance, learning_rate: 0.01, got balance, learning_rate: 0.5"):
        trainer(B.Uncertainty(learning_rate=0.5)).fit(data(), resume=tmp_path, **options)
    with pytest.raises(ResumeError, match="balance/log_variance: no leaf"):
        trainer(None).fit(data(), resume=tmp_path, **options)


def test_resume_names_another_schedule(tmp_path: Path) -> None:
    options: Any = {"epochs": 1, "batch_size": 8, "progress": False}
    trainer({"a": lambda step: 1.0}).fit(data(), callbacks=[jg.callbacks.Checkpoint(tmp_path)], **options)
    with pytest.raises(ResumeError, match="loss weight of 'a' by step"):
        trainer({"a": lambda step: 0.5**step}).fit(data(), resume=tmp_path, **options)


def test_the_train_state_of_another_balance_is_refused() -> None:
    with pytest.raises(KeyMismatchError, match=r"train_state.balance.*log_variance"):
        trainer(B.Uncertainty()).fit(data(), epochs=1, train_state=trainer(None).init(jax.random.key(0)))


def single(weights: Any) -> jg.Trainer:
    x = jg.Input((4,), name="x")
    return jg.Trainer(jg.Model(x, jg.layers.Dense(1)(x)), optax.sgd(0.1), loss="mse", loss_weights=weights)


def clashing() -> jg.Trainer:
    def weight(targets: Any, outputs: Any) -> Any:
        return targets[:, None] - outputs

    return trainer(B.DWA(), metrics={"a": [weight]})


WRONG: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "one loss": (lambda: single(B.DWA()), ArgumentError, "at least two losses for DWA"),
    "one loss of two outputs": (
        lambda: jg.Trainer(model(), optax.sgd(0.1), loss={"a": "mse", "b": None}, loss_weights=B.PCGrad()),
        ArgumentError,
        "that of 'a' alone",
    ),
    "a class": (lambda: trainer(B.DWA), ArgumentError, r"jg\.balance\.DWA\(\)"),
    "among others": (lambda: trainer({"a": B.DWA(), "b": 1.0}), ArgumentError, "for an output"),
    "in a list": (lambda: trainer([B.DWA(), 1.0]), ArgumentError, "for an output"),
    "a wrong output": (lambda: trainer(B.Uncertainty(forms={"c": "regression"})), KeyMismatchError, "'a', 'b'"),
    "a wrong form": (lambda: B.Uncertainty(forms={"a": "regresion"}), ArgumentError, "Did you mean 'regression'"),
    "no rate": (lambda: B.Uncertainty(learning_rate=0.0), ArgumentError, "finite number above 0"),
    "no factory": (lambda: B.Uncertainty(optimizer=optax.adam(1e-2)), ArgumentError, "a factory"),
    "nan": (lambda: B.Uncertainty(initial=float("nan")), ArgumentError, "Uncertainty, initial"),
    "no temperature": (lambda: B.DWA(temperature=-1.0), ArgumentError, "above 0, got -1.0"),
    "no steps": (lambda: B.DWA(steps=0), ArgumentError, "DWA, steps"),
    "true": (lambda: B.DWA(temperature=True), ArgumentError, "DWA, temperature"),
    "negative alpha": (lambda: B.GradNorm(alpha=-0.5), ArgumentError, "of at least 0"),
    "a wrong layer": (lambda: trainer(B.GradNorm(of="hh")), KeyMismatchError, "Did you mean 'h'"),
    "no layer": (lambda: B.GradNorm(of=()), ArgumentError, "path of a layer"),
    "a schedule of two": (lambda: trainer({"a": lambda step, epoch: 1.0}), ArgumentError, "function of the step alone"),
    "a schedule of nan": (lambda: trainer({"a": lambda step: jnp.nan}), ArgumentError, "which gives nan"),
    "a schedule of arrays": (lambda: trainer({"a": lambda step: jnp.ones(2)}), ArgumentError, "finite number"),
    "a schedule of no loss": (
        lambda: jg.Trainer(model(), optax.sgd(0.1), loss={"a": "mse", "b": None}, loss_weights={"b": lambda s: 1.0}),
        ArgumentError,
        "an output without one",
    ),
    "a metric called weight": (clashing, NameClashError, "'a/weight'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_uses(case: str) -> None:
    wrong, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        wrong()
