"""Averages of the params over the steps: as by hand and in Keras, evaluated, saved and resumed without swapping."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, KeyMismatchError, LoadError, ResumeError
from jgraph.storage.steps import steps_in

L = jg.layers
LOSS = "sparse_categorical_crossentropy"
TOLERANCE = 1e-6  # float32, a few steps


def data(rows: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, 4)).astype("float32"), random.integers(0, 3, rows)


def net() -> jg.Model:
    x = jg.Input((4,), name="x")
    hidden = L.BatchNormalization(name="norm")(L.Dense(5, activation="tanh", name="hidden")(x))
    return jg.Model(x, {"y": L.Dense(3, activation="softmax", name="y")(hidden)})


def trainer(model: jg.Model | None = None, ema: float | None = 0.8, **options: Any) -> jg.Trainer:
    options = {"optimizer": optax.sgd(0.5, momentum=0.9), "metrics": "accuracy", **options}
    return jg.Trainer(net() if model is None else model, loss=LOSS, ema=ema, **options)


def fit(ours: jg.Trainer, epochs: int = 3, **options: Any) -> jg.Run:
    return ours.fit(data(), epochs=epochs, **{"batch_size": 4, "progress": False, **options})


def same(a: Any, b: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


def close(a: Any, b: Any, tolerance: float = TOLERANCE) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance), a, b)


@pytest.mark.parametrize("ema", [0.0, 0.8, 0.999])
def test_averages_by_hand_in_float64(ema: float) -> None:
    ours = trainer(ema=ema)
    train_state, average = ours.init(jax.random.key(0)), None
    same(train_state.ema, train_state.params)
    for seed in range(4):
        train_state, _ = ours.step(train_state, data(seed=seed))
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), train_state.params)
        average = params if average is None else jax.tree.map(lambda a, p: ema * a + (1 - ema) * p, average, params)
        close(train_state.ema, average)
    if ema == 0:
        same(train_state.ema, train_state.params)


def test_training_itself_is_the_same() -> None:
    with_averages, without = fit(trainer()), fit(trainer(ema=None))
    assert without.train_state.ema == ()
    same(with_averages.train_state.replace(ema=(), key=0), without.train_state.replace(key=0))
    assert with_averages.history == without.history


def test_averages_are_those_of_keras() -> None:
    keras.utils.set_random_seed(0)
    inputs, _ = data()
    theirs = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, "tanh", name="hidden"), keras.layers.Dense(3)])
    optimizer = keras.optimizers.SGD(0.5, momentum=0.9, use_ema=True, ema_momentum=0.8)
    theirs.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = jg.Input((4,), name="x")
    model = jg.Model(x, L.Dense(3, name="y")(L.Dense(5, activation="tanh", name="hidden")(x)))
    start = {
        name: {v.name: jnp.asarray(v.value) for v in layer.weights}
        for name, layer in zip(("hidden", "y"), theirs.layers, strict=True)
    }
    ours = trainer(model)
    train_state = ours.init(jax.random.key(0), params=start)
    for seed in range(5):
        train_state, _ = ours.step(train_state, data(seed=seed))
        theirs.train_on_batch(*data(seed=seed))
    averages = [np.asarray(v.value) for v in optimizer._model_variables_moving_average]
    names = [(name, v.name) for name, layer in zip(("hidden", "y"), theirs.layers, strict=True) for v in layer.weights]
    for (layer, name), average in zip(names, averages, strict=True):
        np.testing.assert_allclose(train_state.ema[layer][name], average, rtol=1e-5, atol=1e-6)
    theirs_last = np.asarray(theirs.layers[0].weights[0].value)
    assert not np.allclose(train_state.ema["hidden"]["kernel"], theirs_last, rtol=1e-2)
    optimizer.finalize_variable_values(theirs.trainable_variables)
    ours_now = trainer(model).predict(train_state.averaged(), inputs)
    logits = np.asarray(theirs(inputs))
    np.testing.assert_allclose(ours_now, logits, rtol=1e-4, atol=1e-5)


def test_averages_are_of_constrained_params() -> None:
    x = jg.Input((4,), name="x")
    bounded = L.Dense(3, name="y", kernel_constraint=jg.constraints.NonNeg())(x)
    train_state = fit(trainer(jg.Model(x, bounded))).train_state
    assert float(jnp.min(train_state.ema["y"]["kernel"])) >= 0.0
    assert float(jnp.min(train_state.params["y"]["kernel"])) == 0.0


def test_frozen_params_have_no_average_and_state_is_as_it_is() -> None:
    model = net().freeze("hidden")
    run = fit(trainer(model))
    assert set(run.train_state.ema) == {"norm", "y"}
    averaged = run.train_state.averaged()
    same(averaged.params["hidden"], run.train_state.params["hidden"])
    same(averaged.params["y"], run.train_state.ema["y"])
    same(averaged.model_state, run.train_state.model_state)
    assert not np.array_equal(averaged.params["y"]["kernel"], run.train_state.params["y"]["kernel"])


def test_averages_of_bfloat16_are_kept_in_float32() -> None:
    """In bfloat16 an average with a momentum of 0.999 would never move: a step is less than its last digit."""
    model = net().with_policy(jg.Policy({"*": {"param_dtype": "bfloat16"}}))
    ours = trainer(model, ema=0.999)
    train_state = fit(ours, epochs=2).train_state
    assert {leaf.dtype for leaf in jax.tree.leaves(train_state.ema)} == {jnp.dtype("float32")}
    averaged = train_state.averaged()
    assert {leaf.dtype for leaf in jax.tree.leaves(averaged.params)} == {jnp.dtype("bfloat16")}
    again, _ = ours.step(train_state, data())
    assert not np.array_equal(again.ema["y"]["kernel"], train_state.ema["y"]["kernel"])
    assert np.isfinite(ours.evaluate(averaged, data())["loss"])


def test_evaluate_predict_and_save_read_them(tmp_path: Path) -> None:
    ours = trainer()
    run = fit(ours)
    averaged = run.train_state.averaged()
    params, state = {**run.train_state.ema}, run.train_state.model_state
    expected = ours.model.predict(params, state, data()[0])["y"]
    np.testing.assert_array_equal(ours.predict(averaged, data()[0])["y"], expected)
    loss = -np.mean(np.log(expected[np.arange(12), data()[1]]))
    assert ours.evaluate(averaged, data())["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert ours.evaluate(run.train_state, data())["loss"] != pytest.approx(float(loss), rel=1e-3)
    jg.save(tmp_path / "averaged.jgraph", ours.model, averaged.params, averaged.model_state)
    same(jg.load(tmp_path / "averaged.jgraph")[1], run.train_state.ema)
    assert fit(ours, train_state=averaged).train_state.step == run.train_state.step + 9  # it can be trained on


def test_averaging_is_pure() -> None:
    ours = trainer(optimizer=optax.sgd(0.5))
    start = ours.init(jax.random.key(0))
    params, state = start.params, start.model_state
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf, 3 * leaf]), params)
    starts = jax.vmap(lambda params: ours.init(jax.random.key(0), params, state))(several)
    ended, _ = jax.vmap(lambda s: ours.step(ours.step(s, data())[0], data(seed=1)))(starts)
    averaged = jax.jit(jax.vmap(jg.TrainState.averaged))(ended)
    one = jax.tree.map(lambda leaf: leaf[1], starts)
    one = ours.step(ours.step(one, data())[0], data(seed=1))[0]
    close(jax.tree.map(lambda leaf: leaf[1], averaged.params), one.ema, 1e-5)

    def final(params: Any) -> Any:
        train_state = ours.init(jax.random.key(0), params=params)
        for seed in range(2):
            train_state, _ = ours.step(train_state, data(seed=seed))
        return jnp.sum(train_state.averaged().params["y"]["bias"] * jnp.arange(3.0))

    slope = jax.grad(final)(params)["y"]["bias"]
    moved = jax.tree.map(lambda leaf: leaf, params)
    shift = jnp.array([0.0, 1e-2, 0.0])
    up, down = ({**moved, "y": {**moved["y"], "bias": moved["y"]["bias"] + s * shift}} for s in (1.0, -1.0))
    assert float(slope[1]) == pytest.approx(float((final(up) - final(down)) / 2e-2), rel=1e-2)


# In fit


def test_averages_move_once_for_a_batch_in_parts() -> None:
    """Keras moves them once for each part."""
    x = jg.Input((4,), name="x")
    model = jg.Model(x, L.Dense(3, name="y")(L.Dense(5, activation="tanh", name="hidden")(x)))
    whole, parts = trainer(model), trainer(model, accumulate=2)
    a, b = (fit(ours).train_state for ours in (whole, parts))
    close(a.ema, b.ema, 1e-5)
    assert int(a.step) == int(b.step) == 9


def test_validation_reads_the_averages_where_asked_for() -> None:
    plain, averaged = trainer(), trainer(validate_ema=True)
    runs = [fit(ours, validation_data=data(seed=9)) for ours in (plain, averaged)]
    same(runs[0].train_state.ema, runs[1].train_state.ema)
    judged = plain.evaluate(runs[0].train_state.averaged(), data(seed=9), 4)
    for name, value in judged.items():
        assert runs[1].history[f"val_{name}"][-1] == value
    assert runs[0].history["val_loss"][-1] == plain.evaluate(runs[0].train_state, data(seed=9), 4)["loss"]
    assert runs[0].history["val_loss"][-1] != judged["loss"]
    assert runs[0].history["loss"] == runs[1].history["loss"]


def test_the_best_averages_are_restored_and_loaded(tmp_path: Path) -> None:
    """Early stopping and checkpoints judge by the averages, and keep them."""
    ours = trainer(optimizer=optax.sgd(3.0), validate_ema=True)
    best = [
        jg.callbacks.EarlyStopping(patience=2, restore_best=True),
        jg.callbacks.Checkpoint(tmp_path, monitor="val_loss"),
    ]
    run = fit(ours, epochs=8, validation_data=data(seed=9), callbacks=best)
    lowest = min(run.history["val_loss"])
    assert ours.evaluate(run.train_state.averaged(), data(seed=9), 4)["loss"] == lowest
    model, params, state = jg.load(tmp_path, step="best", averaged=True)
    same(params, run.train_state.ema)
    outputs = model.predict(params, state, data(seed=9)[0])["y"]
    assert -np.mean(np.log(outputs[np.arange(12), data(seed=9)[1]])) == pytest.approx(lowest, rel=1e-5)
    same(jg.load(tmp_path, ours.model, step="best")[1], run.train_state.params)
    assert not np.array_equal(run.train_state.params["y"]["kernel"], params["y"]["kernel"])


def test_averages_of_frozen_and_narrow_params_are_loaded(tmp_path: Path) -> None:
    policy = jg.Policy({"y": {"param_dtype": "bfloat16"}})
    run = fit(trainer(net().freeze("hidden").with_policy(policy)), callbacks=[jg.callbacks.Checkpoint(tmp_path)])
    _, params, _ = jg.load(tmp_path, step="latest", averaged=True)
    same(params, run.train_state.averaged().params)
    assert params["y"]["kernel"].dtype == jnp.bfloat16


@pytest.mark.parametrize("every_steps", [None, 2])
def test_a_run_goes_on_to_the_same_bits(tmp_path: Path, every_steps: int | None) -> None:
    saving = [jg.callbacks.Checkpoint(tmp_path, every_steps=every_steps, max_to_keep=None)]
    options: dict[str, Any] = {"validation_data": data(seed=9), "callbacks": saving}
    whole = fit(trainer(validate_ema=True), **options)
    for step in steps_in(tmp_path)[1:]:
        (tmp_path / str(step)).rename(tmp_path.parent / f"{tmp_path.name}-{step}")
    resumed = fit(trainer(validate_ema=True), resume=tmp_path, **options)
    assert any(f"goes on from step {every_steps or 3} " in event for event in resumed.events)
    same(resumed.train_state.replace(key=0), whole.train_state.replace(key=0))
    assert resumed.history == whole.history


def test_resuming_with_other_averages_is_named(tmp_path: Path) -> None:
    saving = [jg.callbacks.Checkpoint(tmp_path)]
    fit(trainer(), epochs=1, callbacks=saving)
    with pytest.raises(ResumeError, match=r"expected ema: 0.8, got ema: 0.9"):
        fit(trainer(ema=0.9), callbacks=saving, resume=tmp_path)
    with pytest.raises(ResumeError, match=r"validate_ema: None.*validate_ema: True"):
        fit(trainer(validate_ema=True), callbacks=saving, resume=tmp_path)
    with pytest.raises(ResumeError, match=r"ema/hidden/kernel: float32\[4, 5\].*got .*no leaf.*Resume with") as caught:
        fit(trainer(ema=None), callbacks=saving, resume=tmp_path)
    assert "another model" not in str(caught.value)


def test_a_refused_step_leaves_the_averages() -> None:
    inputs, labels = data()
    ours = trainer(optimizer=optax.sgd(1e30))
    run = ours.fit((inputs, labels), epochs=3, batch_size=4, progress=False)
    assert run.stopped is not None
    assert "not finite" in run.stopped
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run.train_state.ema))


def test_averages_are_carried_over_an_edit() -> None:
    ours = trainer()
    run = fit(ours)
    edited = ours.model.replace("y", L.Dense(3, activation="softmax", name="head"))
    new = trainer(edited)
    carried = jg.carry(ours.model, edited, run.train_state, start=new.init(jax.random.key(1)))
    same(carried.tree.ema["hidden"], run.train_state.ema["hidden"])
    assert {name for name in carried.new if name.startswith("ema")} == {"ema/head/bias", "ema/head/kernel"}


# Wrong uses


@pytest.mark.parametrize("ema", [1.0, -0.1, 2, float("nan"), True, "0.9", optax.constant_schedule(0.9)])
def test_a_momentum_is_a_number_below_1(ema: Any) -> None:
    with pytest.raises(ArgumentError, match=r"Trainer, ema: expected a number from 0 to 1, 1 excluded.*ema=0.999"):
        trainer(ema=ema)


def test_there_must_be_averages() -> None:
    with pytest.raises(ArgumentError, match=r"validate_ema: .*got True without ema. Write ema=0.999"):
        trainer(ema=None, validate_ema=True)
    with pytest.raises(ArgumentError, match="validate_ema: expected True or False"):
        trainer(validate_ema=1)
    without, averages = trainer(ema=None), trainer()
    bare, full = without.init(jax.random.key(0)), averages.init(jax.random.key(0))
    with pytest.raises(ArgumentError, match=r"TrainState.averaged: .*got none. Write jg.Trainer\(..., ema=0.999\)"):
        bare.averaged()
    for ours, given in ((without, full), (averages, bare)):
        with pytest.raises(KeyMismatchError, match=r"train_state.ema.*the same `ema`"):
            ours.evaluate(given, data())
        with pytest.raises(KeyMismatchError, match=r"train state, ema.*the same `ema`"):
            ours.step(given, data())


def test_averages_that_a_file_does_not_have(tmp_path: Path) -> None:
    fit(trainer(ema=None), epochs=1, callbacks=[jg.callbacks.Checkpoint(tmp_path / "steps")])
    with pytest.raises(LoadError, match=r"expected averages of the params, got none. Leave out averaged=True"):
        jg.load(tmp_path / "steps", step="latest", averaged=True)
    ours = trainer()
    train_state = ours.init(jax.random.key(0))
    jg.save(tmp_path / "one.jgraph", ours.model, train_state.params, train_state.model_state)
    with pytest.raises(ArgumentError, match=r"load, averaged: expected a step of a Checkpoint, got step=None"):
        jg.load(tmp_path / "one.jgraph", averaged=True)


def test_averages_are_shown() -> None:
    assert "Averages: 0.8, validated" in str(trainer(validate_ema=True))
    assert "Averages" not in str(trainer(ema=None))
