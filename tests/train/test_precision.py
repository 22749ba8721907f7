"""What a precision does: dtypes of params, state and outputs, values against a step by hand and Keras, wrong uses."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, ResumeError

L = jg.layers
LOSS = "sparse_categorical_crossentropy"
FLOAT, HALF, SHORT = jnp.dtype("float32"), jnp.dtype("bfloat16"), jnp.dtype("float16")
DIGITS = 2**-8  # of bfloat16
WORDS = ("float32", "bfloat16", "mixed_bfloat16", "mixed_float16")


def data(rows: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, 4)).astype("float32"), random.integers(0, 3, rows)


def net(**policy: Any) -> jg.Model:
    x, i = jg.Input((4,), name="x"), jg.Input((8,))
    body = jg.Model(i, L.BatchNormalization(name="norm")(L.Dense(8, activation="tanh", name="inner")(i)), name="body")
    head = L.Dense(3, activation="softmax", name="head")(body(L.Dense(8, activation="tanh", name="stem")(x)))
    return jg.Model(x, {"y": head}, policy=jg.Policy(policy))


def trainer(precision: str | None, model: jg.Model | None = None, **options: Any) -> jg.Trainer:
    options = {"optimizer": optax.adam(1e-2), "metrics": "accuracy", **options}
    return jg.Trainer(net() if model is None else model, loss=LOSS, precision=precision, **options)


def fit(ours: jg.Trainer, epochs: int = 3, **options: Any) -> jg.Run:
    return ours.fit(data(), epochs=epochs, **{"batch_size": 8, "progress": False, **options})


def dtypes(tree: Any) -> set[Any]:
    return {leaf.dtype for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)}


def same(a: Any, b: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize(
    ("precision", "kept", "computed"),
    [
        ("float32", FLOAT, FLOAT),
        ("bfloat16", HALF, HALF),
        ("mixed_bfloat16", FLOAT, HALF),
        ("mixed_float16", FLOAT, SHORT),
        (None, FLOAT, FLOAT),
    ],
)
def test_what_is_kept_and_computed(precision: str | None, kept: Any, computed: Any) -> None:
    ours = trainer(precision)
    run = fit(ours)
    assert dtypes(run.train_state.params) == {kept}
    assert dtypes(run.train_state.opt_state) == {kept}
    assert dtypes(run.train_state.model_state) == {FLOAT}  # moving statistics
    assert {symbol.dtype for symbol in jax.tree.leaves(ours.model.outputs)} == {computed}
    assert {n.inference.outputs[0].dtype for n in ours.model.nodes if n.path != "x"} == {computed}
    assert ours.predict(run.train_state, data()[0])["y"].dtype == FLOAT
    assert run.history["loss"][-1] < run.history["loss"][0]
    _, logs = ours.step(run.train_state, data())
    assert dtypes(logs) == {FLOAT}


def test_a_mixed_step_by_hand() -> None:
    """Products and activations in bfloat16, loss and gradients of params in float32."""
    x = jg.Input((4,), name="x")
    model = jg.Model(x, L.Dense(3, name="y")(L.Dense(8, activation="tanh", name="h")(x)))
    ours = trainer("mixed_bfloat16", model, optimizer=optax.sgd(0.5))
    train_state = ours.init(jax.random.key(0))

    def loss_of(params: Any) -> Any:
        low = jax.tree.map(lambda leaf: leaf.astype(HALF), params)
        hidden = jnp.tanh(data()[0].astype(HALF) @ low["h"]["kernel"] + low["h"]["bias"])
        logits = (hidden @ low["y"]["kernel"] + low["y"]["bias"]).astype(FLOAT)
        return jnp.mean(optax.losses.softmax_cross_entropy_with_integer_labels(logits, data()[1]))

    loss, grads = jax.value_and_grad(loss_of)(train_state.params)
    after, logs = ours.step(train_state, data())
    assert float(logs["loss"]) == pytest.approx(float(loss), rel=DIGITS / 4)
    stepped = jax.tree.map(lambda p, g: p - 0.5 * g, train_state.params, grads)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=0.5 * DIGITS), after.params, stepped)
    exact, _ = trainer(None, model, optimizer=optax.sgd(0.5)).step(train_state, data())
    assert not np.array_equal(exact.params["y"]["kernel"], after.params["y"]["kernel"])


@pytest.mark.parametrize("make", [optax.adam, optax.adamw, optax.rmsprop, optax.lion, optax.nadam])
def test_a_known_rate_leaves_the_other_numbers_of_an_optimizer_alone(make: Any) -> None:
    """In the dtype of the params, a decay of 0.999 would be 1."""
    fixed = trainer("bfloat16", optimizer=make(1e-2))
    known = trainer("bfloat16", optimizer=make, learning_rate=1e-2)
    states = [t.init(jax.random.key(0)) for t in (fixed, known)]
    for _ in range(5):
        states = [t.step(state, data())[0] for t, state in zip((fixed, known), states, strict=True)]
    for one, other in zip(*(jax.tree.leaves(state.params) for state in states), strict=True):
        assert np.isfinite(np.asarray(other, "float32")).all()
        np.testing.assert_allclose(np.asarray(other, "float32"), np.asarray(one, "float32"), rtol=0.02, atol=2e-3)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "bfloat16"])
def test_losses_are_those_of_keras(precision: str) -> None:
    keras.utils.set_random_seed(0)
    theirs = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, "tanh", name="h", dtype=precision),
            keras.layers.Dense(3, name="y", dtype=precision),
        ]
    )
    sgd = keras.optimizers.SGD(0.125)
    theirs.compile(sgd, keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float32"))
    start = {layer.name: {v.name: jnp.asarray(v.value) for v in layer.weights} for layer in theirs.layers}
    x = jg.Input((4,), name="x")
    model = jg.Model(x, L.Dense(3, name="y")(L.Dense(8, activation="tanh", name="h")(x)))
    ours = trainer(precision, model, optimizer=optax.sgd(0.125))
    train_state = ours.init(jax.random.key(0), params=start)
    for seed in range(6):
        train_state, logs = ours.step(train_state, data(seed=seed))
        loss = theirs.train_on_batch(*data(seed=seed))
        assert float(logs["loss"]) == pytest.approx(float(np.asarray(loss)), rel=4 * DIGITS)


def test_a_precision_is_a_policy_of_all_nodes() -> None:
    mixed = trainer("mixed_bfloat16")
    by_policy = trainer(None, net(**{"*": {"dtype": "bfloat16", "param_dtype": "float32"}}))
    assert mixed.model.fingerprint == by_policy.model.fingerprint
    a, b = fit(mixed), fit(by_policy)
    same(a.train_state.params, b.train_state.params)
    assert a.history == b.history


def test_a_policy_of_a_node_goes_before() -> None:
    model = net(head={"dtype": "float32"}, body={"param_dtype": "bfloat16", "remat": True}, stem={"trainable": False})
    ours = trainer("mixed_bfloat16", model)
    found = {node.path: node.treatment for node in ours.model.nodes}
    assert (found["head"].dtype, found["head"].param_dtype) == ("float32", "float32")
    assert (found["body/inner"].dtype, found["body/inner"].param_dtype) == ("bfloat16", "bfloat16")
    assert found["body"].remat
    assert not found["stem"].trainable
    assert (found["stem"].dtype, found["stem"].param_dtype) == ("bfloat16", "float32")
    train_state = fit(ours).train_state
    assert dtypes(train_state.params["body"]) == {HALF}
    assert dtypes(train_state.params["head"]) == {FLOAT}
    assert "stem" not in str(jax.tree_util.tree_structure(train_state.opt_state))
    assert ours.predict(train_state, data()[0])["y"].sum(-1) == pytest.approx(1.0, abs=1e-6)  # a softmax in float32


def test_the_model_that_was_given_stays() -> None:
    model = net()
    ours = trainer("bfloat16", model)
    assert all(node.treatment.dtype is None for node in model.nodes)
    assert ours.model.layers["stem"] is model.layers["stem"]
    plain = trainer(None, model)
    run = fit(ours)
    outputs = plain.model.predict(run.train_state.params, run.train_state.model_state, data()[0])["y"]
    np.testing.assert_allclose(outputs, ours.predict(run.train_state, data()[0])["y"], atol=8 * DIGITS)


def test_params_that_are_given_are_kept_as_the_precision_says() -> None:
    params, state = net().init(jax.random.key(3))
    assert dtypes(trainer("bfloat16").init(jax.random.key(0), params, state).params) == {HALF}
    low = jax.tree.map(lambda leaf: leaf.astype(HALF), params)
    assert dtypes(trainer("mixed_bfloat16").init(jax.random.key(0), low, state).params) == {FLOAT}
    same(trainer("mixed_bfloat16").init(jax.random.key(0), params, state).params, params)


def test_statistics_are_taken_in_float32() -> None:
    """A mean over 4096 steps and a variance around 30, which sums in bfloat16 would not have."""
    random = np.random.default_rng(0)
    values = np.asarray(jnp.asarray(30 + random.normal(size=(64, 8)), HALF).astype(FLOAT))
    x = jg.Input((8,), name="x")
    model = jg.Model(x, L.Dense(1, name="y")(L.BatchNormalization(momentum=0.0, name="norm")(x)))
    ours = jg.Trainer(model, optax.sgd(0.0), loss="mse", precision="mixed_bfloat16")
    after, _ = ours.step(ours.init(jax.random.key(0)), (values, np.zeros(64)))
    np.testing.assert_allclose(after.model_state["norm"]["moving_mean"], values.mean(0), rtol=1e-5)
    np.testing.assert_allclose(after.model_state["norm"]["moving_variance"], values.var(0), rtol=1e-3)
    steps = jg.Input((4096, 1), name="steps")
    pooled = L.GlobalAveragePooling1D(name="pooled")(steps)
    low = jg.Trainer(jg.Model(steps, L.Dense(1, name="y")(pooled)), optax.sgd(0.0), loss="mse", precision="bfloat16")
    mean = jg.Model(low.model.inputs, low.model.output_of("pooled"))
    np.testing.assert_array_equal(mean.predict({}, {}, np.ones((1, 4096, 1), "float32")).astype(FLOAT), 1.0)


def small_gradients(precision: str | None) -> jg.Trainer:
    """A loss so small that float16 has no numbers for the gradients between its layers."""
    x = jg.Input((4,), name="x")
    model = jg.Model(x, L.Dense(3, name="y")(L.Dense(8, activation="tanh", name="h")(x)))
    return jg.Trainer(model, optax.sgd(1e6), loss=LOSS, loss_weights=1e-7, precision=precision)


def test_small_gradients_do_not_vanish_in_float16() -> None:
    ours, exact = small_gradients("mixed_float16"), small_gradients(None)
    start = exact.init(jax.random.key(0))
    after, _ = ours.step(ours.init(jax.random.key(0)), data())
    expected, _ = exact.step(start, data())
    change = jax.tree.map(lambda a, b: np.asarray(a - b), after.params, start.params)
    wanted = jax.tree.map(lambda a, b: np.asarray(a - b), expected.params, start.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), change, wanted)
    assert np.abs(wanted["h"]["kernel"]).min() > 1e-5
    policy = jg.Policy({"*": {"dtype": "float16", "param_dtype": "float32"}})
    unscaled = jg.Trainer(exact.model.with_policy(policy), optax.sgd(1e6), loss=LOSS, loss_weights=1e-7)
    lost, _ = unscaled.step(start, data())
    assert np.abs(lost.params["h"]["kernel"] - expected.params["h"]["kernel"]).max() > 2e-3


def test_steps_that_overflow_are_skipped_and_counted() -> None:
    """Targets of 1000 times a scale of 32768 are beyond float16: the scale is halved until it fits."""
    x = jg.Input((4,), name="x")
    model = jg.Model(x, L.Dense(1, name="y")(x))
    ours = jg.Trainer(model, optax.sgd(1e-3), loss="mse", precision="mixed_float16", ema=0.99)
    inputs, targets = data()[0], np.full(16, 1000.0, "float32")
    first, logs = ours.step(ours.init(jax.random.key(0)), (inputs, targets))
    assert int(logs["skipped_steps"]) == 1
    same(first.params, ours.init(jax.random.key(0)).params)
    same(first.ema, first.params)
    state = first
    while int(logs["skipped_steps"]) == int(state.step):
        state, logs = ours.step(state, (inputs, targets))
    assert 1 < int(state.step) < 16
    same(state.ema, state.params)  # as after a first step, whatever was skipped before it
    assert not np.array_equal(state.params["y"]["kernel"], first.params["y"]["kernel"])
    run = ours.fit((inputs, targets), epochs=20, batch_size=16, progress=False)
    assert run.stopped is None
    assert 1 < run.history["skipped_steps"][-1] < 16
    assert run.history["loss"][-1] < run.history["loss"][-2] < 1e6
    assert int(run.train_state.step) == 20


def test_averages_and_clipping_under_a_precision() -> None:
    optimizer = optax.chain(optax.clip_by_global_norm(0.1), optax.adamw(1e-2, mask=jg.optimizers.decay_mask))
    ours = trainer("bfloat16", optimizer=optimizer, ema=0.99, validate_ema=True)
    run = fit(ours, validation_data=data(seed=1))
    assert dtypes(run.train_state.ema) == {FLOAT}
    assert dtypes(run.train_state.averaged().params) == {HALF}
    assert run.history["val_loss"][-1] == ours.evaluate(run.train_state.averaged(), data(seed=1), 8)["loss"]


def test_a_run_goes_on_in_its_precision(tmp_path: Path) -> None:
    saving = [jg.callbacks.Checkpoint(tmp_path)]
    whole = fit(trainer("bfloat16"))
    fit(trainer("bfloat16"), epochs=1, callbacks=saving)
    resumed = fit(trainer("bfloat16"), callbacks=saving, resume=tmp_path)
    same(resumed.train_state.params, whole.train_state.params)
    assert resumed.history == whole.history
    model, params, state = jg.load(tmp_path, step="latest")
    same(model.predict(params, state, data()[0]), trainer("bfloat16").model.predict(params, state, data()[0]))
    with pytest.raises(ResumeError, match=r"params/head/bias: bfloat16\[3\].*params/head/bias: float32\[3\]"):
        fit(trainer("mixed_bfloat16"), callbacks=saving, resume=tmp_path)
    mixed = [jg.callbacks.Checkpoint(tmp_path / "mixed")]
    fit(trainer("mixed_bfloat16"), epochs=1, callbacks=mixed)
    with pytest.raises(ResumeError, match=r"model, head: .*bfloat16"):
        fit(trainer(None), callbacks=mixed, resume=tmp_path / "mixed")


def test_a_trainer_with_a_precision_is_a_value() -> None:
    ours = trainer("mixed_bfloat16", optimizer=optax.adam, learning_rate=1e-2)
    again = dataclasses.replace(ours, metrics=None)
    assert again.model.fingerprint == ours.model.fingerprint
    assert pickle.loads(pickle.dumps(ours)).model.fingerprint == ours.model.fingerprint
    with pytest.raises(ArgumentError, match="expected a layer whose dtypes the model's policy leaves to it"):
        dataclasses.replace(ours, precision="float32")


def test_a_precision_is_shown() -> None:
    ours = trainer("mixed_bfloat16")
    assert "Precision: mixed_bfloat16" in str(ours)
    assert "bfloat16, kept in float32" in ours.model.summary()
    assert "Precision" not in str(trainer(None))


@pytest.mark.parametrize(
    ("precision", "told"),
    [
        ("bfloat", r"Did you mean 'bfloat16'\?"),
        ("mixed_bfloat", r"Did you mean 'mixed_bfloat16'\?"),
        ("float16", "jg.Policy"),
        (16, "got 16"),
        (["bfloat16"], r"got \['bfloat16'\]"),
        (jnp.bfloat16, "None or one of 'float32', 'bfloat16', 'mixed_bfloat16', 'mixed_float16'"),
        ("", "got ''"),
    ],
)
def test_a_precision_is_one_of_a_few_words(precision: Any, told: str) -> None:
    with pytest.raises(ArgumentError, match=f"Trainer, precision: .*{told}"):
        trainer(precision)


def test_words_of_the_docstring() -> None:
    assert all(f'`"{word}"`' in (jg.Trainer.__doc__ or "") for word in WORDS)
