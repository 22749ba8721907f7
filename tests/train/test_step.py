"""The step: equal to one written by hand, repeatable, differentiable, mapped and scanned; weights, masks and rates."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError

TOLERANCE = 1e-6  # float32, a few dozen terms


def data(rows: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, 4)).astype("float32"), random.integers(0, 3, rows)


def mlp() -> jg.Model:
    x = jg.Input((4,), name="x")
    hidden = jg.layers.Dense(5, activation="tanh", name="hidden")(x)
    return jg.Model(x, {"y": jg.layers.Dense(3, activation="softmax", name="y")(hidden)})


def trainer(optimizer: Any = None, **options: Any) -> jg.Trainer:
    options = {"loss": "sparse_categorical_crossentropy", "metrics": "accuracy", **options}
    return jg.Trainer(mlp(), optax.adam(1e-2) if optimizer is None else optimizer, **options)


def loss_by_hand(params: Any, batch: tuple[Any, Any]) -> Any:
    hidden = jnp.tanh(batch[0] @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    logits = hidden @ params["y"]["kernel"] + params["y"]["bias"]
    return jnp.mean(optax.losses.softmax_cross_entropy_with_integer_labels(logits, batch[1]))


def assert_close(a: Any, b: Any, rtol: float = TOLERANCE) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol), a, b)


def assert_equal(a: Any, b: Any) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(_bits(x), _bits(y)), a, b)


def _bits(x: Any) -> Any:
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


@pytest.mark.parametrize("optimizer", [optax.sgd(0.1, momentum=0.9), optax.adamw(1e-2)], ids=["sgd", "adamw"])
def test_steps_equal_those_written_by_hand(optimizer: Any) -> None:
    ours = trainer(optimizer)
    train_state = ours.init(jax.random.key(0))
    params, opt_state = train_state.params, optimizer.init(train_state.params)
    for seed in range(3):
        batch = data(seed=seed)
        loss, grads = jax.value_and_grad(loss_by_hand)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        train_state, logs = ours.step(train_state, batch)
        assert float(logs["loss"]) == pytest.approx(float(loss), rel=TOLERANCE)
        assert_close(train_state.params, params, 1e-5)  # adam divides by square roots of small squares
        assert int(train_state.step) == seed + 1


def test_a_step_in_float64_by_numpy() -> None:
    x = jg.Input((2,), name="x")
    ours = jg.Trainer(jg.Model(x, jg.layers.Dense(1, name="y")(x)), optax.sgd(0.5), loss="mse")
    start = {"y": {"kernel": jnp.array([[1.0], [-2.0]]), "bias": jnp.array([0.5])}}
    inputs, targets, weights = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([1.0, 0.0]), np.array([1.0, 3.0])
    error = inputs @ [1.0, -2.0] + 0.5 - targets
    share = weights / weights.sum()
    expected = np.array([1.0, -2.0]) - 0.5 * 2 * (share * error) @ inputs, 0.5 - 0.5 * 2 * share @ error
    after, logs = ours.step(ours.init(jax.random.key(0), params=start), (inputs, targets, weights))
    assert float(logs["loss"]) == pytest.approx(share @ error**2, rel=TOLERANCE)
    np.testing.assert_allclose(after.params["y"]["kernel"][:, 0], expected[0], rtol=TOLERANCE)
    np.testing.assert_allclose(after.params["y"]["bias"], [expected[1]], rtol=TOLERANCE)


def test_the_loss_is_the_weighted_sum_over_outputs() -> None:
    x = jg.Input((4,), name="x")
    outputs = {
        "age": jg.layers.Dense(1, name="age")(x),
        "income": jg.layers.Dense(3, activation="softmax", name="income")(x),
        "gender": jg.layers.Dense(1, activation="sigmoid", name="gender")(x),
    }
    losses = {"age": "mse", "income": "sparse_categorical_crossentropy", "gender": "binary_crossentropy"}
    weights = {"age": 0.25, "gender": 10.0}
    metrics = {"income": ["accuracy"], "gender": "accuracy", "age": ["mae", "mse"]}
    ours = jg.Trainer(jg.Model(x, outputs), optax.sgd(0.1), loss=losses, loss_weights=weights, metrics=metrics)
    (inputs, labels), random = data(), np.random.default_rng(1)
    targets = {"age": random.normal(size=8), "income": labels, "gender": random.integers(0, 2, 8)}
    train_state = ours.init(jax.random.key(0))
    after, logs = ours.step(train_state, (inputs, targets))
    assert set(logs) == {
        *("loss", "age/loss", "age/mae", "age/mse"),
        *("income/loss", "income/accuracy", "gender/loss", "gender/accuracy"),
    }

    def by_hand(params: Any) -> Any:
        y = {name: inputs @ params[name]["kernel"] + params[name]["bias"] for name in outputs}
        age = jnp.mean((y["age"][:, 0] - targets["age"]) ** 2)
        income = optax.losses.softmax_cross_entropy_with_integer_labels(y["income"], labels).mean()
        gender = optax.losses.sigmoid_binary_cross_entropy(y["gender"][:, 0], targets["gender"]).mean()
        return 0.25 * age + income + 10.0 * gender, (age, income, gender)

    (total, parts), grads = jax.value_and_grad(by_hand, has_aux=True)(train_state.params)
    assert_close(tuple(logs[f"{n}/loss"] for n in outputs), parts)
    assert float(logs["loss"]) == pytest.approx(float(total), rel=TOLERANCE)
    assert_close(after.params, jax.tree.map(lambda p, g: p - 0.1 * g, train_state.params, grads))


def test_outputs_without_a_loss_need_no_targets() -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, [jg.layers.Dense(1, name="a")(x), jg.layers.Dense(2, "relu", name="b")(x)])
    ours = jg.Trainer(model, optax.sgd(0.1), loss=["mse", None])
    train_state = ours.init(jax.random.key(0))
    ones = np.ones((8, 1))
    first, logs = ours.step(train_state, (data()[0], {"a": ones}))
    second, _ = ours.step(train_state, (data()[0], [ones, None]))
    assert_equal(first, second)
    assert set(logs) == {"loss", "a/loss"}
    assert_equal(first.params["b"], train_state.params["b"])


def test_rates_and_weights_are_numbers_of_numpy_and_jax_and_may_be_traced() -> None:
    x = jg.Input((4,), name="x")
    model, ones = jg.Model(x, jg.layers.Dense(1, name="y")(x)), np.ones((8, 1))
    printed = []

    def trained(rate: Any, weight: Any) -> Any:
        trainer = jg.Trainer(model, optax.sgd, loss="mse", loss_weights=weight, learning_rate=rate)
        printed.append(str(trainer))
        train_state, logs = trainer.step(trainer.init(jax.random.key(0)), (data()[0], ones))
        return train_state.params, logs

    wanted = trained(0.25, 2.0)
    for kind in (np.float32, np.float64, jnp.float32):
        assert_equal(trained(kind(0.25), kind(2.0)), wanted)
    assert_close(jax.jit(trained)(0.25, 2.0), wanted)
    assert_close(jax.jit(lambda weight: trained(lambda step: jnp.full((), 0.25), weight))(2.0), wanted)
    assert "traced" in printed[-1]
    assert "traced" not in printed[0]
    with pytest.raises(ArgumentError, match=r"loss_weights of 'y'.*finite"):
        jax.jit(trained)(0.25, jnp.ones(3))
    with pytest.raises(ArgumentError, match=r"learning_rate.*finite"):
        jax.jit(trained)(True, 2.0)


class L2(jg.Layer):
    """Hands its input on, and adds the square of a gain to the loss at every call."""

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        return {"gain": jnp.full((), 3.0)}, {}

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> tuple[Any, Any]:
        return x, state

    def penalty(self, params: Any, inputs: Any, outputs: Any) -> Any:
        return params["gain"] ** 2


def test_penalties_are_added_once_a_call() -> None:
    x = jg.Input((4,), name="x")
    penalty = L2(name="l2")
    ours = jg.Trainer(jg.Model(x, jg.layers.Dense(1)(penalty(penalty(x)))), optax.sgd(0.1), loss="mse")
    train_state = ours.init(jax.random.key(0))
    batch = data()[0], np.zeros(8)
    after, logs = ours.step(train_state, batch)
    error = np.mean(np.square(ours.predict(train_state, batch[0])))
    assert float(logs["loss"]) == pytest.approx(error + 2 * 3.0**2, rel=TOLERANCE)
    assert float(after.params["l2"]["gain"]) == pytest.approx(3.0 - 0.1 * 2 * 2 * 3.0, rel=TOLERANCE)
    assert ours.evaluate(train_state, batch)["loss"] == pytest.approx(float(logs["loss"]), rel=TOLERANCE)


@pytest.mark.parametrize("scale", [0.0, 0.5, 3.0])
def test_lr_scale_multiplies_the_updates(scale: float) -> None:
    ours, factor = trainer(optax.adam(1e-2)), trainer(optax.adam(1e-2 * scale))
    start = ours.init(jax.random.key(0))
    scaled, expected = start.replace(lr_scale=jnp.float32(scale)), factor.init(jax.random.key(0))
    for seed in range(2):
        scaled, expected = ours.step(scaled, data(seed=seed))[0], factor.step(expected, data(seed=seed))[0]
    assert_close(scaled.params, expected.params)
    assert float(scaled.lr_scale) == scale


def test_nothing_is_donated_and_a_step_can_be_repeated() -> None:
    ours = trainer()
    train_state, batch = ours.init(jax.random.key(0)), jax.tree.map(jnp.asarray, data())
    before = jax.tree.map(lambda x: np.array(_bits(x)), train_state)
    first, second = ours.step(train_state, batch), ours.step(train_state, batch)
    assert_equal(first, second)
    assert_equal(before, jax.tree.map(_bits, train_state))
    again = ours.step(first[0], batch)
    assert_equal(again, ours.step(second[0], batch))
    assert not any(x.is_deleted() for x in jax.tree.leaves((train_state, batch, first)))


def test_gradients_through_a_step() -> None:
    ours = trainer()
    train_state, batch = ours.init(jax.random.key(0)), data()
    ours_grad = jax.grad(lambda params: ours.step(train_state.replace(params=params), batch)[1]["loss"])
    assert_close(ours_grad(train_state.params), jax.grad(loss_by_hand)(train_state.params, batch))


def test_gradients_through_two_steps() -> None:
    rate = 0.3
    ours, batches = trainer(optax.sgd(rate)), (data(seed=0), data(seed=1))
    train_state = ours.init(jax.random.key(0))

    def unrolled(params: Any) -> Any:
        after, _ = ours.step(train_state.replace(params=params), batches[0])
        return ours.step(after, batches[1])[1]["loss"]

    def by_hand(params: Any) -> Any:
        grads = jax.grad(loss_by_hand)(params, batches[0])
        return loss_by_hand(jax.tree.map(lambda p, g: p - rate * g, params, grads), batches[1])

    assert_close(jax.grad(unrolled)(train_state.params), jax.grad(by_hand)(train_state.params), 1e-5)


def test_steps_scanned_equal_steps_taken() -> None:
    ours = trainer()
    batches = [data(seed=seed) for seed in range(4)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches)
    start = taken = ours.init(jax.random.key(0))
    scanned, logs = jax.lax.scan(ours.step, start, stacked)
    losses = []
    for batch in batches:
        taken, log = ours.step(taken, batch)
        losses.append(log["loss"])
    assert_close(scanned.params, taken.params, 1e-5)
    assert int(scanned.step) == 4
    np.testing.assert_allclose(logs["loss"], losses, rtol=1e-5)


def test_steps_mapped_over_seeds_and_rates() -> None:
    ours, batch = trainer(), data()
    starts = [ours.init(jax.random.key(seed)).replace(lr_scale=jnp.float32(seed)) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
    mapped, logs = jax.vmap(ours.step, in_axes=(0, None))(stacked, batch)
    for place, start in enumerate(starts):
        after, log = ours.step(start, batch)
        assert_close(jax.tree.map(lambda x, i=place: x[i], mapped.params), after.params, 1e-5)
        assert float(logs["loss"][place]) == pytest.approx(float(log["loss"]), rel=1e-5)


def test_a_key_of_its_own_for_every_step() -> None:
    x = jg.Input((50,), name="x")
    model = jg.Model(x, jg.layers.Dropout(0.5)(x))
    ours = jg.Trainer(model, optax.sgd(0.1), loss="mse")
    train_state, batch = ours.init(jax.random.key(0)), (np.ones((4, 50)), np.zeros((4, 50)))
    second, first_log = ours.step(train_state, batch)
    third, second_log = ours.step(second, batch)
    assert float(first_log["loss"]) != float(second_log["loss"])
    again = ours.step(third.replace(step=train_state.step), batch)[1]
    assert float(again["loss"]) == float(first_log["loss"])


def sequences(rows: int = 6) -> tuple[jg.Model, np.ndarray, np.ndarray]:
    tokens = jg.Input((5,), dtype="int32", name="tokens")
    hidden = jg.layers.LSTM(4, return_sequences=True)(jg.layers.Embedding(9, 3, mask_zero=True)(tokens))
    model = jg.Model(tokens, {"y": jg.layers.Dense(3, activation="softmax", name="y")(hidden)})
    random = np.random.default_rng(5)
    return model, random.integers(0, 3, (rows, 5)) * random.integers(1, 4, (rows, 5)), random.integers(0, 3, (rows, 5))


@pytest.mark.parametrize("shape", [None, (6,), (6, 5)], ids=str)
def test_masked_steps_are_out_of_loss_and_metrics(shape: tuple[int, ...] | None) -> None:
    model, inputs, labels = sequences()
    ours = jg.Trainer(model, optax.sgd(0.1), loss="sparse_categorical_crossentropy", metrics="accuracy")
    train_state, random = ours.init(jax.random.key(0)), np.random.default_rng(6)
    weights = None if shape is None else random.uniform(0, 2, shape)
    shares = ours.predict(train_state, inputs)["y"]
    wide = np.ones((6, 5)) if weights is None else np.broadcast_to(weights.reshape(6, -1), (6, 5))
    real = (inputs != 0) * wide
    after, logs = ours.step(train_state, (inputs, labels, weights) if shape else (inputs, labels))
    values = -np.log(np.take_along_axis(shares, labels[..., None], -1)[..., 0])
    assert float(logs["loss"]) == pytest.approx(np.average(values, weights=real), rel=1e-5)
    assert float(logs["accuracy"]) == pytest.approx(np.average(shares.argmax(-1) == labels, weights=real), rel=1e-5)
    changed = np.where(inputs == 0, (labels + 1) % 3, labels)  # what stands at masked steps is of no account
    other = ours.step(train_state, (inputs, changed, weights) if shape else (inputs, changed))
    assert_equal((after, logs), other)


def test_weights_by_output() -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, {"a": jg.layers.Dense(1, name="a")(x), "b": jg.layers.Dense(1, name="b")(x)})
    ours = jg.Trainer(model, optax.sgd(0.1), loss={"a": "mse", "b": "mae"})
    train_state, inputs, weights = ours.init(jax.random.key(0)), data()[0], np.arange(8.0)
    targets = {"a": np.ones(8), "b": np.zeros((8, 1))}
    y = ours.predict(train_state, inputs)
    a, b = (y["a"][:, 0] - 1) ** 2, abs(y["b"][:, 0])
    for given, expected in [
        ({"a": weights}, (np.average(a, weights=weights), b.mean())),
        ({"a": weights, "b": weights[::-1]}, (np.average(a, weights=weights), np.average(b, weights=weights[::-1]))),
        (weights, (np.average(a, weights=weights), np.average(b, weights=weights))),
        ({"a": None, "b": weights}, (a.mean(), np.average(b, weights=weights))),
    ]:
        logs = ours.step(train_state, (inputs, targets, given))[1]
        np.testing.assert_allclose([logs["a/loss"], logs["b/loss"]], expected, rtol=TOLERANCE)
        assert float(logs["loss"]) == pytest.approx(sum(expected), rel=TOLERANCE)


def test_a_batch_without_weight_moves_nothing_and_makes_no_nan() -> None:
    ours = trainer(optax.sgd(0.1))
    train_state = ours.init(jax.random.key(0))
    after, logs = ours.step(train_state, (*data(), np.zeros(8)))
    assert_equal(after.params, train_state.params)
    assert np.isnan(logs["loss"])  # there is nothing to average over: no number, rather than a good one
    run = ours.fit([(*data(), np.zeros(8)), data(seed=1)], epochs=2, progress=False)
    assert np.isfinite(run.history["loss"]).all()


def test_an_output_without_weight_leaves_the_sum_of_the_others() -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, {"a": jg.layers.Dense(1, name="a")(x), "b": jg.layers.Dense(1, name="b")(x)})
    ours = jg.Trainer(model, optax.sgd(0.1), loss={"a": "mse", "b": "mae"})
    train_state, targets = ours.init(jax.random.key(0)), {"a": np.ones(8), "b": np.zeros(8)}
    batch = data()[0], targets, {"b": np.zeros(8)}
    after, logs = ours.step(train_state, batch)
    assert float(logs["loss"]) == float(logs["a/loss"])
    assert np.isnan(logs["b/loss"])
    assert_equal(after.params["b"], train_state.params["b"])
    grads = jax.grad(lambda p: ours.step(train_state.replace(params=p), batch)[1]["loss"])(train_state.params)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))


def test_a_learning_rate_goes_through_the_optimizers_state() -> None:
    fixed, injected = trainer(optax.adam(0.02)), trainer(optax.adam, learning_rate=0.02)
    a, b, logs = fixed.init(jax.random.key(0)), injected.init(jax.random.key(0)), {}
    for seed in range(2):
        (a, _), (b, logs) = fixed.step(a, data(seed=seed)), injected.step(b, data(seed=seed))
    assert_close(a.params, b.params)
    assert float(logs["learning_rate"]) == pytest.approx(0.02)
    halved = injected.step(b.replace(lr_scale=jnp.float32(0.5)), data())[1]
    assert float(halved["learning_rate"]) == pytest.approx(0.01)


def test_a_schedule_of_the_learning_rate() -> None:
    schedule = optax.linear_schedule(0.1, 0.0, 4)
    fixed, injected = trainer(optax.sgd(schedule)), trainer(optax.sgd, learning_rate=schedule)
    a, b, rates = fixed.init(jax.random.key(0)), injected.init(jax.random.key(0)), []
    for seed in range(5):
        (a, _), (b, logs) = fixed.step(a, data(seed=seed)), injected.step(b, data(seed=seed))
        rates.append(float(logs["learning_rate"]))
    assert_close(a.params, b.params)
    np.testing.assert_allclose(rates, [0.1, 0.075, 0.05, 0.025, 0.0], rtol=TOLERANCE)
    run = injected.fit(data(), epochs=3, batch_size=4, progress=False)
    np.testing.assert_allclose(run.history["learning_rate"], [0.075, 0.025, 0.0], rtol=TOLERANCE)


def test_state_of_layers_goes_on() -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, jg.layers.Dense(1)(jg.layers.BatchNormalization(momentum=0.5, name="norm")(x)))
    ours = jg.Trainer(model, optax.sgd(0.1), loss="mse")
    train_state, inputs = ours.init(jax.random.key(0)), data()[0]
    after = ours.step(train_state, (inputs, np.zeros(8)))[0]
    np.testing.assert_allclose(after.model_state["norm"]["moving_mean"], 0.5 * inputs.mean(0), rtol=1e-5, atol=1e-6)


def test_optimizers_that_search_are_told_the_loss() -> None:
    plateau = optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau(patience=1, factor=0.5))
    for optimizer, share in ((optax.lbfgs(), 0.2), (plateau, 0.95), (optax.MultiSteps(optax.sgd(0.1), 2), 1.0)):
        run = trainer(optimizer).fit(data(), epochs=10, progress=False)
        assert run.history["loss"][-1] < share * run.history["loss"][0]


def test_start_values_can_be_given() -> None:
    ours = trainer()
    params, state = ours.model.init(jax.random.key(9))
    train_state = ours.init(jax.random.key(0), params=params, state=state)
    assert_equal(train_state.params, params)
    assert_equal(train_state.key, ours.init(jax.random.key(0)).key)
    with pytest.raises(jg.errors.ShapeError, match=r"Trainer.init, params, leaf 'y/bias'"):
        ours.init(jax.random.key(0), params={**params, "y": {**params["y"], "bias": jnp.zeros(4)}})


def test_a_step_says_which_train_state_it_needs() -> None:
    x = jg.Input((4,))
    foreign = jg.Trainer(jg.Model(x, jg.layers.Dense(3)(x)), optax.sgd(0.1), loss="mse").init(jax.random.key(0))
    with pytest.raises(
        jg.errors.KeyMismatchError, match=r"train state, params.*'hidden/kernel'.*trainer of this model"
    ):
        trainer().step(foreign, data())


def test_a_trainer_shows_where_weights_are_found_and_what_it_is_spread_over() -> None:
    x = jg.Input((3,), name="x")
    model = jg.Model(x, {name: jg.layers.Dense(1, name=name)(x) for name in ("a", "b")})
    mesh = jax.make_mesh((1,), ("data",))
    loss = {"a": "mse", "b": "mse"}
    shown = str(jg.Trainer(model, optax.sgd(0.1), loss, loss_weights=jg.balance.Uncertainty(), mesh=mesh))
    assert shown.count("balanced") == 3  # in the title, and for each output
    assert "Mesh: data=1" in shown
    assert "balanced" not in str(jg.Trainer(model, optax.sgd(0.1), loss))
