"""Gradients in parts: those of the whole batch in less memory, whatever the weights and masks of the parts."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import jgraph as jg
from jgraph.errors import ArgumentError, DataError, ResumeError

L = jg.layers
TOLERANCE = 2e-5  # float32, sums in another order


def mlp() -> jg.Model:
    x = jg.Input((4,), name="x")
    h = L.Dense(6, activation="tanh", name="h", kernel_regularizer="l2")(x)
    return jg.Model(x, {"a": L.Dense(1, name="a")(h), "b": L.Dense(3, activation="softmax", name="b")(h)})


def masked() -> jg.Model:
    tokens = jg.Input((6,), dtype="int32", name="tokens")
    h = L.LSTM(5, return_sequences=True, name="lstm")(L.Embedding(9, 4, mask_zero=True, name="embedding")(tokens))
    a = L.Dense(1, name="a")(L.LSTM(3, name="last")(h))
    return jg.Model(tokens, {"a": a, "b": L.Dense(3, activation="softmax", name="b")(h)})


def flat_rows(count: int) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    targets = {"a": random.normal(size=count).astype("float32"), "b": random.integers(0, 3, count)}
    return random.normal(size=(count, 4)).astype("float32"), targets


def masked_rows(count: int) -> tuple[Any, Any]:
    """Sequences of very different lengths, sorted, so that the parts differ in what is masked."""
    random = np.random.default_rng(0)
    lengths = np.sort(random.integers(1, 7, count))
    tokens = np.where(np.arange(6) < lengths[:, None], random.integers(1, 9, (count, 6)), 0)
    targets = {"a": random.normal(size=count).astype("float32"), "b": random.integers(0, 3, (count, 6))}
    return tokens, targets


CASES = {"mlp": (mlp, flat_rows), "lstm": (masked, masked_rows)}


def trainer(model: jg.Model, parts: int, **options: Any) -> jg.Trainer:
    losses = {"a": "mse", "b": "sparse_categorical_crossentropy"}
    given: Any = {"optimizer": optax.sgd(0.5), "loss": losses, "loss_weights": {"a": 0.3, "b": 2.0}}
    return jg.Trainer(model, **{**given, "metrics": {"a": ["mae"], "b": ["accuracy"]}, **options}, accumulate=parts)


def assert_close(a: Any, b: Any, tolerance: float = TOLERANCE) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance), a, b)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("case", CASES)
def test_a_step_in_parts_is_the_step_of_the_whole_batch(case: str, weighted: bool) -> None:
    """10 rows in 4 parts: 3, 3, 3 and 1, which is filled up; with weights that leave the first part without any."""
    draw, rows = CASES[case]
    batch = rows(10)
    if weighted:
        weights = np.array([0, 0, 0, 1, 0.5, 3, 0, 2, 1, 7], "float32")
        batch = (*batch, {"a": weights, "b": weights[::-1].copy()})
    model = draw()
    whole, parts = trainer(model, 1), trainer(model, 4)
    state = whole.init(jax.random.key(0))
    expected, found = whole.step(state, batch), parts.step(state, batch)
    assert_close(found[0].params, expected[0].params)
    assert_close(found[1], expected[1])
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), expected[0].params, state.params)
    assert max(jax.tree.leaves(moved)) > 100 * TOLERANCE


@pytest.mark.parametrize("balance", [jg.balance.Uncertainty(), jg.balance.GradNorm(of="h"), jg.balance.PCGrad()])
def test_balances_take_the_gradients_of_all_parts(balance: jg.balance.Balance) -> None:
    model, rows = mlp(), flat_rows(10)
    whole, parts = (trainer(model, k, loss_weights=balance) for k in (1, 4))
    state = whole.init(jax.random.key(0))
    expected, found = whole.step(state, rows), parts.step(state, rows)
    assert_close((found[0].params, found[0].balance, found[1]), (expected[0].params, expected[0].balance, expected[1]))


def test_fit_in_parts_is_fit_with_ragged_batches() -> None:
    model, rows = mlp(), flat_rows(27)
    options: Any = {"epochs": 2, "batch_size": 10, "validation_split": 0.2, "progress": False}
    whole, parts = (trainer(model, k).fit(rows, **options) for k in (1, 4))  # 21 rows: 10, 10 and 1
    assert_close(parts.train_state.params, whole.train_state.params)
    for name, values in whole.history.items():
        assert parts.history[name] == pytest.approx(values, rel=1e-4), name
    assert int(parts.train_state.step) == 6


def test_low_precision_gradients_are_added_up_in_float32() -> None:
    """Each part's gradient is far below what a bfloat16 sum of the others could hold."""
    x = jg.Input((1,), name="x")
    model = jg.Model(x, L.Dense(1, use_bias=False, name="y")(x), policy=jg.Policy({"*": {"param_dtype": "bfloat16"}}))

    def slope(targets: Any, outputs: Any) -> Any:
        return outputs[:, 0] * targets

    rows = np.ones((512, 1), "float32"), np.ones(512, "float32")
    ours = jg.Trainer(model, optax.sgd(1.0), loss=slope, accumulate=512)
    start = ours.init(jax.random.key(0))
    start = start.replace(params=jax.tree.map(jnp.zeros_like, start.params))
    after, _ = ours.step(start, rows)
    assert after.params["y"]["kernel"].dtype == jnp.bfloat16
    assert float(after.params["y"]["kernel"][0, 0]) == -1.0


def test_each_part_draws_its_own_randomness_from_the_key_and_the_step() -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, L.Dropout(0.5, name="drop")(L.Dense(64, name="y", use_bias=False)(x)))

    def seen(targets: Any, outputs: Any) -> Any:
        return jnp.mean(outputs * targets, axis=1)

    ours = jg.Trainer(model, optax.sgd(1.0), loss=seen, accumulate=2)
    start = ours.init(jax.random.key(0))
    rows = np.eye(4, dtype="float32")[[0, 0, 1, 1]], np.ones((4, 64), "float32")  # each part moves a row of the kernel
    first, _ = ours.step(start, rows)
    again, _ = ours.step(start, rows)
    moved = np.asarray(first.params["y"]["kernel"] - start.params["y"]["kernel"]) != 0
    assert (moved[0] != moved[1]).any()
    np.testing.assert_array_equal(first.params["y"]["kernel"], again.params["y"]["kernel"])
    other, _ = ours.step(start.replace(step=start.step + 1), rows)
    assert (np.asarray(other.params["y"]["kernel"] - start.params["y"]["kernel"])[0] != 0).tolist() != moved[0].tolist()


def test_memory_falls_and_the_pass_over_the_weights_computes_no_layer(record_property: Any) -> None:
    x = h = jg.Input((64,), name="x")
    for place in range(4):
        h = L.Dense(128, activation="relu", name=f"h{place}")(h)
    model = jg.Model(x, L.Dense(10, activation="softmax", name="y")(h))
    batch = (jnp.zeros((4096, 64)),), (jnp.zeros(4096, jnp.int32),), (None,)
    bytes_, products = [], []
    for parts in (1, 8):
        ours = jg.Trainer(model, optax.sgd(0.1), loss="sparse_categorical_crossentropy", accumulate=parts)
        step = jax.jit(ours.step_function.summed, donate_argnums=0)
        compiled: Any = step.lower(ours.init(jax.random.key(0)), ours.step_function.init(), batch).compile()
        bytes_.append(compiled.memory_analysis().temp_size_in_bytes)
        products.append(compiled.as_text().count(" dot("))
    record_property("temporary memory in 8 parts, by that of the whole", bytes_[1] / bytes_[0])
    assert bytes_[1] < bytes_[0] / 4
    assert products[0] == products[1]


def test_batch_normalisation_sees_the_parts_by_themselves() -> None:
    """Parts that hold the same rows have the statistics of the whole; its averages move once a part."""
    x = jg.Input((3,), name="x")
    model = jg.Model(x, L.Dense(1, name="y")(L.BatchNormalization(momentum=0.5, name="norm")(x)))
    rows = np.tile(np.random.default_rng(0).normal(size=(4, 3)), (2, 1)).astype("float32"), np.ones(8, "float32")
    whole, parts = (jg.Trainer(model, optax.sgd(0.1), loss="mse", accumulate=k) for k in (1, 2))
    state = whole.init(jax.random.key(0))
    expected, found = whole.step(state, rows)[0], parts.step(state, rows)[0]
    assert_close(found.params, expected.params)
    np.testing.assert_allclose(found.model_state["norm"]["moving_mean"], 0.75 * rows[0].mean(axis=0), rtol=1e-5)


def test_a_line_search_measures_in_parts_too() -> None:
    model, rows = mlp(), flat_rows(10)
    options: Any = {
        "optimizer": optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(4)),
        "metrics": None,
    }
    whole, parts = (trainer(model, k, **options) for k in (1, 4))
    state = whole.init(jax.random.key(0))
    assert_close(parts.step(state, rows)[0].params, whole.step(state, rows)[0].params, 1e-4)


def test_a_run_in_parts_goes_on_to_the_same_bits_and_is_not_one_of_whole_batches(tmp_path: Path) -> None:
    model, rows = mlp(), flat_rows(24)
    options: Any = {"batch_size": 8, "progress": False}
    expected = trainer(model, 3).fit(rows, epochs=2, **options)
    trainer(model, 3).fit(rows, epochs=1, callbacks=[jg.callbacks.Checkpoint(tmp_path)], **options)
    found = trainer(model, 3).fit(rows, epochs=2, resume=tmp_path, **options)
    jax.tree.map(np.testing.assert_array_equal, found.train_state.params, expected.train_state.params)
    with pytest.raises(ResumeError, match=r"gradients: .*'parts': 3"):
        trainer(model, 1).fit(rows, epochs=2, resume=tmp_path, **options)


@pytest.mark.parametrize("parts", [0, -1, 2.0, True, "2"])
def test_parts_are_counted(parts: Any) -> None:
    with pytest.raises(ArgumentError, match="Trainer, accumulate: expected an integer of at least 1"):
        trainer(mlp(), parts)


def mixing(parts: int) -> jg.Trainer:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, L.Dense(1, name="y")(L.BatchNormalization()(x)))
    return jg.Trainer(model, optax.sgd(0.1), loss="mse", accumulate=parts)


def test_rows_that_depend_on_each_other_have_to_be_shared_evenly() -> None:
    ours, rows = mixing(4), (np.ones((22, 4), "float32"), np.ones(22, "float32"))
    with pytest.raises(DataError, match=r"4 parts share evenly .*got one of 22 rows"):
        ours.step(ours.init(jax.random.key(0)), rows)
    options: Any = {"epochs": 1, "progress": False}
    with pytest.raises(DataError, match=r"fit, batch_size: .*got one of 10 rows") as raised:
        ours.fit(rows, batch_size=10, **options)
    assert raised.value.__dict__["run"] is None
    with pytest.raises(DataError, match=r"fit, batch_size: .*got one of 6 rows"):
        ours.fit(rows, batch_size=8, **options)
    assert int(ours.fit(rows, batch_size=8, steps_per_epoch=2, **options).train_state.step) == 2


def smoothed(x: Any) -> Any:
    """A convolution that is not jgraph's."""
    return lax.conv(jnp.moveaxis(x, -1, 1), jnp.ones((2, 1, 3, 3)), (1, 1), "VALID")


@pytest.mark.parametrize(
    ("convolve", "outside"), [(L.Conv2D(2, 3, name="c"), False), (jg.op(smoothed), True)], ids=["jgraph's", "others'"]
)
def test_convolutions_of_others_stand_outside_of_loops_on_the_cpu(convolve: Any, outside: bool) -> None:
    x = jg.Input((6, 6, 1), name="x")
    model = jg.Model(x, L.Dense(1, name="y")(L.Flatten()(convolve(x))))
    batch = (jnp.zeros((8, 6, 6, 1)),), (jnp.zeros((8, 1)),), (None,)
    ours = jg.Trainer(model, optax.sgd(0.1), loss="mse", accumulate=2)
    state = ours.init(jax.random.key(0))
    program = jax.make_jaxpr(ours.step_function)(state, batch)
    loops = [e.params for e in program.jaxpr.eqns if e.primitive.name == "scan"]
    unrolled = [p["unroll"] == p["length"] for p in loops if "conv_general_dilated" in str(p["jaxpr"])]
    assert any(unrolled) == (outside and jax.default_backend() == "cpu")
