"""Training under a policy: frozen layers, low precision, activations that are computed again."""

from collections import Counter
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import GraphError, KeyMismatchError, ResumeError

L = jg.layers
TOLERANCE = 1e-6
LOSS = "sparse_categorical_crossentropy"


def data(rows: int = 12) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(rows, 4)).astype("float32"), random.integers(0, 3, rows)


def net(policy: dict[str, dict[str, Any]] | None = None) -> jg.Model:
    x, i = jg.Input((4,), name="x"), jg.Input((5,))
    inner = L.Dense(5, activation="tanh", name="inner")(i)
    body = jg.Model(i, L.BatchNormalization(name="norm")(inner), name="body")
    head = L.Dense(3, activation="softmax", name="head")(body(L.Dense(5, activation="tanh", name="stem")(x)))
    return jg.Model(x, {"y": head}, policy=jg.Policy(policy or {}))


def trainer(model: jg.Model, optimizer: Any = None, **options: Any) -> jg.Trainer:
    return jg.Trainer(model, optimizer or optax.adamw(1e-2, weight_decay=0.1), loss=LOSS, **options)


def fit(trainer: jg.Trainer, epochs: int = 3, **options: Any) -> jg.Run:
    return trainer.fit(data(), epochs=epochs, batch_size=4, progress=False, **options)


def same(a: Any, b: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


def close(a: Any, b: Any) -> None:
    jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, rtol=TOLERANCE, atol=TOLERANCE), a, b)


def held(variable: Any) -> np.ndarray:
    """What a variable of Keras holds."""
    return np.asarray(variable.value)


def primitives(jaxpr: Any) -> Counter[str]:
    """How often a program has each primitive, with all that is inside."""
    found = Counter[str]()
    for equation in jaxpr.eqns:
        found[equation.primitive.name] += 1
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            found += primitives(inner) if hasattr(inner, "eqns") else Counter()
    return found


def program(trainer: jg.Trainer) -> Any:
    """The program of several steps."""
    arrays = jax.tree.map(jnp.asarray, data())
    rows = ((arrays[0],), (arrays[1],), (None,))
    step = trainer.step_function
    order = jnp.arange(12, dtype=jnp.int32).reshape(3, 4)
    begin = trainer.init(jax.random.key(0)), step.init(), rows, order, jnp.int32(0), jnp.int32(3)
    return jax.make_jaxpr(step.many)(*begin)


# Frozen layers


def test_frozen_layers_are_those_whose_updates_optax_sets_to_zero() -> None:
    model = net().freeze("body/norm")  # so that batch statistics are the same in both
    frozen, optimizer = ("stem", "body"), optax.adamw(1e-2, weight_decay=0.1)

    def labels(params: Any) -> Any:
        return {name: jax.tree.map(lambda _, n=name: n in frozen, below) for name, below in params.items()}

    theirs = optax.multi_transform({False: optimizer, True: optax.set_to_zero()}, labels)
    ours, reference = fit(trainer(model.freeze(*frozen), optimizer)), fit(trainer(model, theirs))
    close(ours.train_state.params, reference.train_state.params)
    assert ours.history["loss"] == pytest.approx(reference.history["loss"], rel=TOLERANCE)


def test_frozen_params_and_state_keep_their_bits_and_have_no_optimizer_state() -> None:
    ours = trainer(net().freeze("body", "stem"))
    before = ours.init(jax.random.key(0))
    after = fit(ours, train_state=before).train_state
    same({n: after.params[n] for n in ("body", "stem")}, {n: before.params[n] for n in ("body", "stem")})
    same(after.model_state, before.model_state)
    assert not np.array_equal(after.params["head"]["kernel"], before.params["head"]["kernel"])
    assert jax.tree.structure(after.params) == jax.tree.structure(before.params)
    adam = after.opt_state[0]
    assert set(adam.mu) == set(adam.nu) == {"head"}
    stepped, logs = ours.step(before, data())
    same(stepped.params["body"], before.params["body"])
    assert np.isfinite(logs["loss"])


def test_part_of_a_nested_model_can_be_frozen() -> None:
    ours = trainer(net().freeze("body/norm"), optax.sgd(0.1, momentum=0.9))
    before = ours.init(jax.random.key(0))
    assert set(before.opt_state[0].trace["body"]) == {"inner"}
    after = fit(ours, train_state=before).train_state
    same((after.params["body"]["norm"], after.model_state), (before.params["body"]["norm"], before.model_state))
    assert not np.array_equal(after.params["body"]["inner"]["kernel"], before.params["body"]["inner"]["kernel"])


def test_no_gradient_of_frozen_params_is_computed() -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, L.Dense(3, name="y")(L.Dense(5, activation="tanh", name="hidden")(x)))
    products = [primitives(program(trainer(m)).jaxpr)["dot_general"] for m in (model, model.freeze("hidden"))]
    assert products == [5, 3]  # forward 2, then of two kernels and one input: 3; frozen, of one kernel


def test_where_nothing_is_frozen_nothing_differs() -> None:
    model = net()
    whole, back = trainer(model), trainer(model.freeze("stem").unfreeze("stem"))
    state = whole.init(jax.random.key(0))
    assert whole.step_function.divide(state.params) == (state.params, {})
    assert whole.step_function.divide(state.params)[0] is state.params
    assert jax.tree.structure(state) == jax.tree.structure(back.init(jax.random.key(0)))
    assert str(program(whole)) == str(program(back))


def test_frozen_batch_normalization_trains_like_that_of_keras() -> None:
    inputs = keras.Input((4,))
    norm, head = keras.layers.BatchNormalization(momentum=0.5, trainable=False), keras.layers.Dense(1)
    theirs = keras.Model(inputs, head(norm(inputs)))
    theirs.compile(keras.optimizers.SGD(0.01), "mse")
    x = jg.Input((4,), name="x")
    model = jg.Model(x, L.Dense(1, name="head")(L.BatchNormalization(momentum=0.5, name="norm")(x))).freeze("norm")
    random = np.random.default_rng(1)
    gamma, beta, mean, variance, kernel = (random.uniform(0.5, 2.0, 4).astype("float32") for _ in range(5))
    norm.set_weights([gamma, beta, mean, variance])
    head.set_weights([kernel[:, None], np.zeros(1)])
    params = {"norm": {"gamma": gamma, "beta": beta}, "head": {"kernel": kernel[:, None], "bias": np.zeros(1, "f4")}}
    state = {"norm": {"moving_mean": mean, "moving_variance": variance}}
    rows, targets = data()[0], random.normal(size=(12, 1)).astype("float32")
    for start in (0, 4, 8):
        theirs.train_on_batch(rows[start : start + 4], targets[start : start + 4])
    ours = jg.Trainer(model, optax.sgd(0.01), loss="mse")
    begin = ours.init(jax.random.key(0), *jax.tree.map(jnp.asarray, (params, state)))
    run = ours.fit((rows, targets), epochs=1, batch_size=4, shuffle=False, progress=False, train_state=begin)
    trained = run.train_state
    close(trained.params["head"], {"kernel": held(head.kernel), "bias": held(head.bias)})
    same(trained.params["norm"], {"gamma": held(norm.gamma), "beta": held(norm.beta)})
    same(trained.model_state["norm"]["moving_mean"], held(norm.moving_mean))
    assert not np.array_equal(trained.params["head"]["kernel"], params["head"]["kernel"])


def test_a_layer_with_a_frozen_call_is_trained_through_the_others() -> None:
    x, i = jg.Input((4,), name="x"), jg.Input((4,))
    judge = jg.Model(i, L.Dense(3, name="judge")(i))
    drawn = [L.Activation("softmax", name=n)(m(x)) for n, m in (("a", judge), ("b", judge.freeze("judge")))]
    ours = jg.Trainer(jg.Model(x, drawn), optax.sgd(0.1), loss=[LOSS, LOSS])
    alone = jg.Trainer(jg.Model(x, {"a": judge(x)}), optax.sgd(0.1), loss=LOSS)
    state = ours.init(jax.random.key(0))
    rows, labels = data()
    both, _ = ours.step(state, (rows, [labels, labels]))
    one, _ = alone.step(alone.init(jax.random.key(0), params=state.params), (rows, labels))
    close(both.params, one.params)


def test_optimizers_that_search_and_rates_that_are_known() -> None:
    x = jg.Input((4,), name="x")
    head = L.Dense(3, activation="softmax", name="head")
    model = jg.Model(x, head(L.Dense(5, activation="tanh", name="stem")(x))).freeze("stem")
    searching = trainer(model, optax.lbfgs())
    begin = searching.init(jax.random.key(0))
    searched, _ = searching.step(begin, data())
    assert not np.array_equal(searched.params["head"]["kernel"], begin.params["head"]["kernel"])
    same(searched.params["stem"], begin.params["stem"])
    halving = jg.callbacks.ReduceLROnPlateau(monitor="loss", patience=0, min_delta=10.0, factor=0.5)
    run = fit(jg.Trainer(model, optax.adam, loss=LOSS, learning_rate=0.5), callbacks=[halving])
    assert run.history["learning_rate"] == [0.5, 0.5, 0.25]
    assert set(run.train_state.opt_state.inner_state[0].mu) == {"head"}


def test_a_frozen_run_goes_on_from_its_checkpoint_and_a_free_one_does_not(tmp_path: Path) -> None:
    model = net().freeze("body")
    keep = jg.callbacks.Checkpoint(tmp_path / "run")
    best = jg.callbacks.EarlyStopping(monitor="loss", patience=5, restore_best=True)
    fit(trainer(model), epochs=1, callbacks=[keep, best])
    resumed = fit(trainer(model), epochs=3, callbacks=[keep, best], resume=tmp_path / "run")
    through = fit(trainer(model), epochs=3, callbacks=[best])
    same(resumed.train_state.params, through.train_state.params)
    same(resumed.train_state.opt_state, through.train_state.opt_state)
    loaded, params, state = jg.load(tmp_path / "run", step="latest")
    assert loaded.to_json() == model.to_json()
    close(loaded.predict(params, state, data()[0])["y"], trainer(model).predict(resumed.train_state, data()[0])["y"])
    with pytest.raises(ResumeError) as caught:
        fit(trainer(net()), callbacks=[keep, best], resume=tmp_path / "run")
    assert """expected model, body/inner: '{"treatment": {"trainable": false}}'; """ in str(caught.value)
    assert """got model, body/inner: '{"treatment": null}'; """ in str(caught.value)
    assert "opt_state" not in str(caught.value)
    with pytest.raises(ResumeError, match="opt_state/0/trace/head/bias: no leaf"):
        fit(trainer(model, optax.sgd(0.1, momentum=0.9)), callbacks=[keep, best], resume=tmp_path / "run")


def test_a_free_run_is_carried_to_a_frozen_model() -> None:
    free, frozen = trainer(net()), trainer(net().freeze("stem"))
    run = fit(free, epochs=1)
    with pytest.raises(KeyMismatchError, match=r"train_state\.opt_state: .*extra leaf .*stem"):
        fit(frozen, train_state=run.train_state)
    start = frozen.init(jax.random.key(1))
    carried = jg.carry(free.model, frozen.model, run.train_state, start=start)
    assert carried.new == ()
    assert all("/stem/" in name and name.startswith("opt_state") for name in carried.dropped)
    after = fit(frozen, epochs=1, train_state=carried.tree).train_state
    same(after.params["stem"], run.train_state.params["stem"])
    same(carried.tree.opt_state[0].mu, {n: m for n, m in run.train_state.opt_state[0].mu.items() if n != "stem"})


def test_a_model_that_is_frozen_whole_is_refused_and_one_without_params_is_not() -> None:
    with pytest.raises(GraphError, match=r"only frozen ones: 'stem', 'body/inner', 'body/norm', 'head'\. Unfreeze"):
        trainer(net().freeze("*"))
    x = jg.Input((4,), name="x")
    bare = jg.Trainer(jg.Model(x, L.Activation("tanh")(x)), optax.adam(0.1), loss="mse")
    assert fit_rows(bare).history["loss"][0] > 0


def fit_rows(trainer: jg.Trainer) -> jg.Run:
    rows = data()[0]
    return trainer.fit((rows, np.zeros_like(rows)), epochs=1, progress=False)


# Low precision


def test_losses_and_metrics_of_low_precision_are_taken_in_float32() -> None:
    """Not compiled, as XLA may keep more digits between two operations than bfloat16 has."""
    model = net({"*": {"dtype": "bfloat16"}})
    ours = trainer(model, metrics=["accuracy"])
    state = ours.init(jax.random.key(0))
    rows, labels = map(jnp.asarray, data())
    body = jg.Model(model.inputs, model.output_of("body"))
    hidden, _ = body.apply(body.select(state.params, of=model), state.model_state, rows)
    head = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), state.params["head"])
    logits = (hidden @ head["kernel"] + head["bias"]).astype(jnp.float32)
    expected = optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    batch = (rows,), (labels,), (None,)
    sums = ours.objective.evaluate(state.params, state.model_state, batch, None, train=False).sums
    loss = ours.objective.logs(sums)["loss"]
    assert hidden.dtype == jnp.bfloat16
    assert loss.dtype == sums.dtype == jnp.float32
    assert float(loss) == pytest.approx(float(expected), rel=TOLERANCE)
    share = np.mean(np.argmax(logits, -1) == labels)
    assert float(ours.objective.logs(sums)["accuracy"]) == pytest.approx(float(share), rel=TOLERANCE)


def test_regression_in_low_precision_keeps_the_targets_digits() -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, L.Dense(1, name="y")(x), policy=jg.Policy({"y": {"dtype": "bfloat16"}}))
    ours = jg.Trainer(model, optax.sgd(0.1), loss="mse", metrics=["mae"])
    state = ours.init(jax.random.key(0))
    rows, targets = data()[0], np.linspace(1.001, 1.002, 12).astype("float32")
    outputs = ours.predict(state, rows)
    assert outputs.dtype == model.outputs.dtype == jnp.bfloat16
    _, logs = ours.step(state, (rows, targets))
    error = outputs.astype("float32")[:, 0] - targets
    assert float(logs["loss"]) == pytest.approx(np.mean(error**2), rel=TOLERANCE)
    assert float(logs["mae"]) == pytest.approx(np.mean(abs(error)), rel=TOLERANCE)


def test_a_model_in_low_precision_trains_in_float32_params() -> None:
    rows = data()[0], np.arange(12) % 3
    rows[0][np.arange(12), rows[1]] += 4
    ours = trainer(net({"*": {"dtype": "bfloat16"}}), optax.adam(5e-2), metrics="accuracy")
    batch = (jnp.asarray(rows[0]),), (jnp.asarray(rows[1]),), (None,)
    state = ours.init(jax.random.key(0))
    grads = jax.eval_shape(lambda state: ours.step_function.look(state, batch, None).grads, state)
    assert {g.dtype for g in jax.tree.leaves(grads)} == {jnp.dtype("float32")}
    run = ours.fit(rows, epochs=20, batch_size=4, progress=False)
    assert run.history["loss"][-1] < 0.5 * run.history["loss"][0]
    assert {a.dtype for a in jax.tree.leaves((run.train_state.params, run.train_state.model_state))} == {
        jnp.dtype("float32")
    }
    assert not np.array_equal(run.train_state.model_state["body"]["norm"]["moving_mean"], np.zeros(5))


def test_params_may_be_kept_in_low_precision_too() -> None:
    ours = trainer(net({"head": {"param_dtype": "bfloat16"}}), optax.sgd(0.5, momentum=0.9))
    after = fit(ours).train_state
    kinds = {name: leaf.dtype for name, leaf in after.params["head"].items()}
    assert kinds == {"kernel": jnp.bfloat16, "bias": jnp.bfloat16}
    assert after.opt_state[0].trace["head"]["kernel"].dtype == jnp.bfloat16
    assert after.params["stem"]["kernel"].dtype == jnp.float32
    assert ours.predict(after, data()[0])["y"].dtype == np.float32


def test_a_known_rate_beside_params_of_several_dtypes() -> None:
    x = jg.Input((4,), name="x")
    drawn = jg.Model(x, L.Dense(3, activation="softmax", name="y")(L.Dense(3, name="low")(x)))
    model = drawn.with_policy(jg.Policy({"low": {"param_dtype": "bfloat16"}}))
    run = fit(jg.Trainer(model, optax.adam, loss=LOSS, learning_rate=1e-2))
    held = run.train_state.opt_state
    assert held.hyperparams["learning_rate"].dtype == jnp.float32
    for tree in (run.train_state.params, held.inner_state[0].mu, held.inner_state[0].nu):
        assert {leaf.dtype for leaf in tree["low"].values()} == {jnp.dtype("bfloat16")}
        assert {leaf.dtype for leaf in tree["y"].values()} == {jnp.dtype("float32")}
    assert run.history["loss"][-1] < run.history["loss"][0]


class Costly(jg.Layer):
    """It costs the mean square of what it gives."""

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
        """As it is."""
        return x, state

    def penalty(self, params: Any, inputs: Any, outputs: Any) -> Any:
        """The mean square."""
        return jnp.mean(outputs**2)


def test_penalties_of_low_precision_are_taken_in_float32() -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, L.Dense(3, activation="softmax", name="y")(Costly(name="costly")(x)))
    ours = trainer(model.with_policy(jg.Policy({"costly": {"dtype": "bfloat16"}})))
    state = ours.init(jax.random.key(0))
    rows, labels = data()
    sums = ours.step_function.look(state, ((jnp.asarray(rows),), (jnp.asarray(labels),), (None,)), None).sums
    low = jnp.asarray(rows, jnp.bfloat16).astype(jnp.float32)
    assert float(sums[-2]) == pytest.approx(float(jnp.mean(low**2)), rel=TOLERANCE)


# Activations that are computed again


@pytest.mark.parametrize("pattern", ["body", "*"])
def test_remat_changes_nothing_in_fit(pattern: str) -> None:
    model = net()
    again = model.with_policy(jg.Policy({pattern: {"remat": True}}))
    counts = [primitives(program(trainer(m)).jaxpr) for m in (model, again)]
    remats = [sum(c[n] for n in ("remat", "remat2", "checkpoint")) for c in counts]
    assert remats[0] == 0 < remats[1]
    runs = [fit(trainer(m, optax.sgd(0.1, momentum=0.9))) for m in (model, again)]
    close(runs[0].train_state.params, runs[1].train_state.params)  # fusion may round otherwise
    close(runs[0].train_state.model_state, runs[1].train_state.model_state)
    assert runs[0].history["loss"] == pytest.approx(runs[1].history["loss"], rel=TOLERANCE)
