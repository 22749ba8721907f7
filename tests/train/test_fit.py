"""Fit over data: exact history, order from (seed, epoch) alone, going on, ragged batches, the host, iterables, logs."""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.train import source

TOLERANCE = 1e-5  # float32: an epoch of at most 16 steps, added up in another order


def data(rows: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, 4)).astype("float32"), random.integers(0, 3, rows)


def mlp() -> jg.Model:
    x = jg.Input((4,), name="x")
    return jg.Model(x, jg.layers.Dense(3, activation="softmax", name="y")(jg.layers.Dense(5, "tanh", name="h")(x)))


def normed() -> jg.Model:
    x = jg.Input((4,), name="x")
    hidden = jg.layers.BatchNormalization(name="norm")(jg.layers.Dense(5, name="h")(x))
    return jg.Model(x, jg.layers.Dense(3, activation="softmax", name="y")(hidden))


def dropped() -> jg.Model:
    x = jg.Input((4,), name="x")
    return jg.Model(x, jg.layers.Dense(3, activation="softmax", name="y")(jg.layers.Dropout(0.5, name="drop")(x)))


MODELS = {"mlp": mlp, "batch norm": normed, "dropout": dropped}
EVERY_MODEL = pytest.mark.parametrize("draw", MODELS.values(), ids=MODELS)


def trainer_of(model: jg.Model, optimizer: Any = None, **options: Any) -> jg.Trainer:
    options = {"loss": "sparse_categorical_crossentropy", "metrics": "accuracy", **options}
    return jg.Trainer(model, optimizer or optax.adam(1e-2), **options)


@functools.cache
def shared(draw: Any) -> jg.Trainer:
    """One trainer for all tests of a model, whose programs are then compiled once."""
    return trainer_of(draw())


def plain(tree: Any) -> Any:
    """The tree with its keys as numbers, on the host."""
    keys = jax.tree.map(lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key), tree)
    return jax.tree.map(lambda x, key: np.array(jax.random.key_data(x) if key else x), tree, keys)


def assert_same(a: Any, b: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, plain(a), plain(b))


def assert_close(a: Any, b: Any) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=TOLERANCE, atol=1e-6), plain(a), plain(b))


# History


def test_history_is_the_weighted_mean_over_all_rows() -> None:
    trainer = trainer_of(mlp(), optax.sgd(0.0))
    (inputs, targets), weights = data(31), np.random.default_rng(1).uniform(0, 2, 31)
    run = trainer.fit((inputs, targets, weights), epochs=2, batch_size=4, progress=False)
    shares = trainer.predict(run.train_state, inputs)
    values = -np.log(shares[np.arange(31), targets])
    for name, expected in (("loss", values), ("accuracy", shares.argmax(1) == targets)):
        np.testing.assert_allclose(run.history[name], np.average(expected, weights=weights), rtol=1e-6)
    assert set(run.history) == {"loss", "accuracy"}
    assert all(type(number) is float for numbers in run.history.values() for number in numbers)


def test_the_loss_of_an_epoch_is_that_of_its_steps() -> None:
    trainer = shared(mlp)
    run = trainer.fit(data(8), epochs=1, batch_size=2, shuffle=False, progress=False)
    train_state, losses = trainer.init(jax.random.key(0)), []
    for start in range(0, 8, 2):
        train_state, logs = trainer.step(train_state, jax.tree.map(lambda a, s=start: a[s : s + 2], data(8)))
        losses.append(float(logs["loss"]))
    assert run.history["loss"] == [pytest.approx(np.mean(losses), rel=1e-6)]
    assert_close(run.train_state, train_state)


def test_epochs_and_steps_are_counted_and_timed() -> None:
    run = shared(mlp).fit(data(30), epochs=3, batch_size=4, progress=False)
    assert (run.position, int(run.train_state.step)) == ((3, 0), 24)
    assert [len(v) for v in (*run.history.values(), *run.timings.values())] == [3] * 4
    assert run.stopped is None
    assert "epoch 3, step 24" in repr(run)


def test_numbers_of_numpy_are_numbers() -> None:
    options: dict[str, Any] = {"epochs": np.int64(1), "batch_size": np.int32(4), "seed": np.uint8(0)}
    run = shared(mlp).fit(data(), progress=False, **options)
    assert run.history == shared(mlp).fit(data(), epochs=1, batch_size=4, seed=0, progress=False).history


def test_no_epochs_are_no_training() -> None:
    trainer = shared(mlp)
    run = trainer.fit(data(), epochs=0, progress=False)
    assert run.history == {}
    assert_same(run.train_state, trainer.init(jax.random.key(0)))


# Order


def record_of_rows(seed: int, epochs: int, shuffle: bool = True, batch_size: int = 4) -> list[list[int]]:
    """The rows as a model saw them, from what it kept in its state."""

    class Witness(jg.Layer):
        def init(self, key: Any, x: Any) -> tuple[Any, Any]:
            return {}, {"seen": jnp.zeros(40, jnp.int32), "count": jnp.zeros((), jnp.int32)}

        def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> tuple[Any, Any]:
            rows, count = x[:, 0].astype(jnp.int32), state["count"]
            seen = state["seen"].at[count + jnp.arange(rows.shape[0])].set(rows)
            return x, {"seen": seen, "count": count + rows.size} if train else state

    x = jg.Input((1,), name="x")
    trainer = trainer_of(jg.Model(x, Witness(name="witness")(x)), loss="mse", metrics=None)
    rows = np.arange(8.0)[:, None]
    run = trainer.fit((rows, rows), epochs=epochs, seed=seed, shuffle=shuffle, batch_size=batch_size, progress=False)
    return np.asarray(run.train_state.model_state["witness"]["seen"])[: 8 * epochs].reshape(epochs, 8).tolist()


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    np.random.seed(1)
    first = record_of_rows(seed=5, epochs=3)
    np.random.seed(2)
    assert record_of_rows(seed=5, epochs=3) == first
    assert record_of_rows(seed=5, epochs=3, batch_size=2) == first
    assert record_of_rows(seed=5, epochs=2) == first[:2]
    assert record_of_rows(seed=6, epochs=3) != first
    assert len({tuple(order) for order in first}) == 3
    assert all(sorted(order) == list(range(8)) for order in first)


def test_without_shuffling_rows_come_in_their_order() -> None:
    assert record_of_rows(seed=5, epochs=2, shuffle=False) == [list(range(8))] * 2


# Again, and on


@EVERY_MODEL
def test_the_same_call_gives_the_same_bits(draw: Any) -> None:
    options = {"epochs": 2, "batch_size": 4, "progress": False}
    first, again, anew = (t.fit(data(), seed=7, **options) for t in (shared(draw), shared(draw), trainer_of(draw())))
    assert_same(first.train_state, again.train_state)
    assert_same(first.train_state, anew.train_state)
    assert first.history == again.history == anew.history
    assert shared(draw).fit(data(), seed=8, **options).history != first.history


@EVERY_MODEL
def test_going_on_equals_never_having_stopped(draw: Any) -> None:
    trainer = trainer_of(draw(), optax.adam, learning_rate=optax.linear_schedule(0.1, 0.0, 40))
    options = {"batch_size": 4, "seed": 2, "validation_split": 0.2, "progress": False}
    whole = trainer.fit(data(), epochs=6, **options)
    half = trainer.fit(data(), epochs=3, **options)
    rest = trainer.fit(data(), epochs=6, run=half, **options)
    assert_same(whole.train_state, rest.train_state)
    assert whole.history == rest.history
    assert half.position == (3, 0)
    assert {len(numbers) for numbers in half.history.values()} == {3}


def test_a_log_that_comes_later_has_nan_before() -> None:
    trainer = shared(mlp)
    run = trainer.fit(data(), epochs=1, progress=False)
    run = trainer.fit(data(), epochs=3, run=run, validation_data=data(9), progress=False)
    run = trainer.fit(data(), epochs=4, run=run, progress=False)
    np.testing.assert_array_equal(np.isnan(run.history["val_loss"]), [True, False, False, True])
    assert np.isfinite(run.history["loss"]).all()


def test_training_goes_on_from_a_train_state() -> None:
    trainer = shared(mlp)
    train_state = trainer.fit(data(), epochs=2, progress=False).train_state
    run = trainer.fit(data(), epochs=1, train_state=train_state, progress=False)
    assert int(run.train_state.step) == int(train_state.step) + 1
    assert run.position == (1, 0)


@EVERY_MODEL
def test_what_was_given_survives_unharmed(draw: Any) -> None:
    trainer, (inputs, targets) = shared(draw), data()
    arrays = inputs.copy(), targets.copy()
    devices = jax.tree.map(jnp.asarray, arrays)
    first = trainer.fit(arrays, epochs=1, progress=False)
    kept = plain(first.train_state), {name: list(numbers) for name, numbers in first.history.items()}
    for options in ({"run": first, "epochs": 2}, {"train_state": first.train_state, "epochs": 1}):
        trainer.fit(devices, progress=False, **options)
        trainer.fit(arrays, progress=False, validation_data=devices, **options)
    assert_same(first.train_state, kept[0])
    assert first.history == kept[1]
    assert_same((arrays, devices), ((inputs, targets), (inputs, targets.astype("int32"))))


# Ragged batches


@EVERY_MODEL
def test_a_ragged_last_batch_is_its_real_rows_alone(draw: Any) -> None:
    trainer, whole = shared(draw), data(10)
    run = trainer.fit(whole, epochs=1, batch_size=4, shuffle=False, progress=False)
    train_state, total = trainer.init(jax.random.key(0)), 0.0
    for rows in (slice(0, 4), slice(4, 8), slice(8, 10)):
        train_state, logs = trainer.step(train_state, (whole[0][rows], whole[1][rows]))
        total += float(logs["loss"]) * (rows.stop - rows.start)
    assert_close(run.train_state, train_state)
    assert run.history["loss"] == [pytest.approx(total / 10, rel=TOLERANCE)]


def test_a_loss_over_several_rows_sees_real_rows_alone() -> None:
    def contrast(targets: Any, outputs: Any) -> Any:
        return (outputs[:, 0] - jnp.mean(outputs[:, 0])) ** 2 + 0.0 * targets

    class Spread(jg.Layer):
        mixes_rows = False

        def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> tuple[Any, Any]:
            return x, state

        def penalty(self, params: Any, inputs: Any, outputs: Any) -> Any:
            return jnp.mean(outputs**2)

    x = jg.Input((4,), name="x")
    inputs, targets = data(5)
    for output, loss in ((jg.layers.Activation("linear")(x), contrast), (Spread()(x), "mse")):
        trainer = trainer_of(jg.Model(x, output), loss=loss, metrics=None)
        given = targets if callable(loss) else inputs
        logs = trainer.evaluate(trainer.init(jax.random.key(0)), (inputs, given), batch_size=4)
        mean = 0.8 * float(np.var(inputs[:4, 0]))  # a row alone does not vary
        penalty = np.mean([np.mean(inputs[:4] ** 2), np.mean(inputs[4:] ** 2)])
        assert logs["loss"] == pytest.approx(mean if callable(loss) else penalty, rel=TOLERANCE)


@pytest.mark.parametrize("draw", [mlp, normed])
def test_evaluate_does_not_depend_on_the_batch_size(draw: Any) -> None:
    trainer, weights = shared(draw), np.random.default_rng(3).uniform(0, 1, 31)
    train_state = trainer.fit(data(), epochs=1, progress=False).train_state
    logs = [trainer.evaluate(train_state, (*data(31), weights), batch_size=size) for size in (3, 31, 100)]
    for log in logs[1:]:
        assert log == pytest.approx(logs[0], rel=1e-6)


# Validation


def test_validation_split_takes_the_last_rows_before_shuffling() -> None:
    trainer, (inputs, targets) = shared(mlp), data(20)
    options = {"epochs": 2, "batch_size": 4, "progress": False}
    split = trainer.fit((inputs, targets), validation_split=0.25, **options)
    given = trainer.fit((inputs[:15], targets[:15]), validation_data=(inputs[15:], targets[15:]), **options)
    assert_same(split.train_state, given.train_state)
    assert split.history == given.history
    logs = trainer.evaluate(split.train_state, (inputs[15:], targets[15:]), batch_size=4)
    assert logs["loss"] == split.history["val_loss"][-1]
    assert list(split.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]


def test_validation_changes_nothing_in_training() -> None:
    trainer = shared(dropped)
    alone = trainer.fit(data(), epochs=2, progress=False)
    beside = trainer.fit(data(), epochs=2, validation_data=(*data(7), np.arange(7.0)), progress=False)
    assert_same(alone.train_state, beside.train_state)


# Iterables and the host


@dataclasses.dataclass
class Batches:
    """Batches that can be read again; counts how many were taken."""

    batches: list[Any]
    taken: int = 0

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches:
            self.taken += 1
            yield batch


def cut(rows: int, size: int) -> list[Any]:
    return [jax.tree.map(lambda a, s=start: a[s : s + size], data(rows)) for start in range(0, rows, size)]


@EVERY_MODEL
def test_an_iterable_of_batches_equals_rows(draw: Any) -> None:
    trainer, batches = shared(draw), Batches(cut(10, 4))
    over_rows = trainer.fit(data(10), epochs=2, batch_size=4, shuffle=False, validation_data=data(7), progress=False)
    over_batches = trainer.fit(batches, epochs=2, validation_data=cut(7, 3), progress=False)
    assert_close(over_rows.train_state, over_batches.train_state)
    for name, numbers in over_rows.history.items():
        np.testing.assert_allclose(over_batches.history[name], numbers, rtol=TOLERANCE)
    assert batches.taken == 6


def test_a_generator_lasts_for_one_epoch() -> None:
    trainer = shared(mlp)
    run = trainer.fit((batch for batch in cut(10, 4)), epochs=1, progress=False)
    assert int(run.train_state.step) == 3
    with pytest.raises(jg.errors.ArgumentError, match=r"an iterator \(generator\).*__iter__ starts anew, or epochs=1"):
        trainer.fit((batch for batch in cut(10, 4)), epochs=2, progress=False)
    with pytest.raises(jg.errors.ArgumentError, match=r"fit, validation_data: .*iterator"):
        trainer.fit(data(), epochs=2, validation_data=iter(cut(10, 4)), progress=False)


def test_steps_per_epoch_of_rows_and_of_batches() -> None:
    trainer, batches = shared(mlp), Batches(cut(20, 4))
    assert int(trainer.fit(data(20), epochs=2, batch_size=4, steps_per_epoch=3, progress=False).train_state.step) == 6
    assert int(trainer.fit(batches, epochs=2, steps_per_epoch=3, progress=False).train_state.step) == 6
    assert batches.taken == 6  # none is read that is not trained on
    with pytest.raises(jg.errors.DataError, match=r"expected 6 batches an epoch, got 5, then the data ended"):
        trainer.fit(batches, epochs=1, steps_per_epoch=6, progress=False)


@pytest.mark.parametrize(("draw", "weighted"), [(mlp, True), (normed, False), (dropped, False)])
def test_large_data_on_the_host_give_the_same(draw: Any, weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = shared(draw)
    rows = (*data(30), np.random.default_rng(4).uniform(0, 2, 30)) if weighted else data(30)
    options = {"epochs": 2, "batch_size": 4, "validation_split": 0.2, "progress": False}
    on_device = trainer.fit(rows, **options)
    monkeypatch.setattr(source, "ON_DEVICE_BYTES", 10)
    on_host = trainer.fit(rows, **options)
    assert_close(on_device.train_state, on_host.train_state)
    for name, numbers in on_device.history.items():
        np.testing.assert_allclose(on_host.history[name], numbers, rtol=TOLERANCE)


@pytest.mark.parametrize("limit", [2**30, 10])
def test_memory_mapped_arrays(tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "ON_DEVICE_BYTES", limit)
    trainer, names = shared(mlp), [tmp_path / "x.npy", tmp_path / "y.npy"]
    for name, array in zip(names, data(), strict=True):
        np.save(name, array)
    mapped = tuple(np.load(name, mmap_mode="r") for name in names)
    runs = [trainer.fit(rows, epochs=1, batch_size=4, progress=False) for rows in (data(), mapped)]
    assert_same(runs[0].train_state, runs[1].train_state)
    assert runs[0].history == runs[1].history


# Structures


def branches() -> tuple[Any, Any, Any]:
    x = jg.Input((4,), name="x")
    return x, jg.layers.Dense(1, name="age")(x), jg.layers.Dense(3, activation="softmax", name="income")(x)


def test_outputs_in_a_dict_in_a_list_and_alone() -> None:
    inputs, labels = data()
    ages, cross_entropy = np.ones(30), "sparse_categorical_crossentropy"
    runs = {}
    for kind in (dict, list, tuple):
        x, age, income = branches()
        outputs = {"age": age, "income": income} if kind is dict else kind([age, income])
        options = {"loss": ["mse", cross_entropy], "loss_weights": [2.0, 1.0], "metrics": [None, ["accuracy"]]}
        if kind is dict:
            options = {name: dict(zip(("age", "income"), value, strict=True)) for name, value in options.items()}
        trainer = trainer_of(jg.Model(x, outputs), **options)
        targets: Any = {"age": ages, "income": labels}
        targets = targets if kind is dict else kind(targets.values())
        runs[kind] = trainer.fit((inputs, targets), epochs=2, validation_split=0.2, progress=False)
        by_name = trainer.fit((inputs, {"age": ages, "income": labels}), epochs=2, validation_split=0.2, progress=False)
        assert by_name.history == runs[kind].history
    names = ["loss", "age/loss", "income/loss", "income/accuracy"]
    for run in runs.values():
        assert list(run.history) == [*names, *(f"val_{name}" for name in names)]
        assert run.history == runs[dict].history
        total = 2.0 * np.array(run.history["age/loss"]) + run.history["income/loss"]
        np.testing.assert_allclose(run.history["loss"], total, rtol=1e-6)


@pytest.mark.parametrize("wrap", [lambda y: y, lambda y: {"y": y}, lambda y: [y], lambda y: {"deep": {"y": y}}])
def test_a_single_output_logs_plain_names(wrap: Any) -> None:
    x, _, income = branches()
    trainer = trainer_of(jg.Model(x, wrap(income)))
    inputs, labels = data()
    runs = [trainer.fit((inputs, y), epochs=1, progress=False) for y in (labels, wrap(labels))]
    assert list(runs[0].history) == ["loss", "accuracy"]
    assert runs[0].history == runs[1].history


def test_outputs_that_share_a_layer_are_told_apart_by_position() -> None:
    left, right = jg.Input((4,), name="left"), jg.Input((4,), name="right")
    dense = jg.layers.Dense(1, name="score")
    trainer = trainer_of(jg.Model([left, right], [dense(left), dense(right)]), loss=["mse", "mse"], metrics=None)
    ones = np.ones(30)
    run = trainer.fit(({"left": data()[0], "right": data(seed=1)[0]}, [ones, ones]), epochs=1, progress=False)
    assert list(run.history) == ["loss", "score/loss", "score_1/loss"]


def test_inputs_and_outputs_of_any_nesting() -> None:
    inputs = {"pair": [jg.Input((4,), name="a"), jg.Input((), name="b")]}
    a, b = inputs["pair"]
    outputs = {"sum": jg.layers.Dense(1)(a), "parts": [jg.layers.Dense(2)(a), (b * 2.0,)]}
    names = {"sum": "mse", "parts/0": "mae", "parts/1/0": "huber"}
    trainer = trainer_of(jg.Model(inputs, outputs), loss=names, metrics=None)
    fed = {"pair": [data()[0], np.arange(30)]}
    targets = {"sum": np.ones(30), "parts": [np.zeros((30, 2)), (np.arange(30),)]}
    run = trainer.fit((fed, targets), epochs=1, progress=False)
    assert list(run.history) == ["loss", "parts/0/loss", "parts/1/0/loss", "sum/loss"]
    by_name = {"sum": np.ones(30), "parts/0": np.zeros((30, 2)), "parts/1/0": np.arange(30)}
    assert trainer.fit((fed, by_name), epochs=1, progress=False).history == run.history


def test_several_outputs_of_which_one_has_no_loss() -> None:
    x, age, income = branches()
    trainer = trainer_of(jg.Model(x, {"age": age, "income": income}), loss={"age": "mse", "income": None}, metrics=None)
    inputs, labels = data()
    alone = trainer.fit((inputs, {"age": np.ones(30)}), epochs=1, progress=False)
    both = trainer.fit((inputs, {"age": np.ones(30), "income": labels}), epochs=1, progress=False)
    assert alone.history == both.history
    assert list(alone.history) == ["loss", "age/loss"]


def test_integers_feed_float_inputs_and_targets_may_be_lists() -> None:
    trainer, rows = shared(mlp), np.array([[1, 2, 3, 4], [4, 3, 2, 1]])
    whole = trainer.fit((rows, [0, 2]), epochs=1, progress=False)
    real = trainer.fit((rows.astype("float64"), np.array([0, 2], "uint8")), epochs=1, progress=False)
    assert_same(whole.train_state, real.train_state)


def test_sequences_of_any_length_with_masks() -> None:
    tokens = jg.Input((None,), dtype="int32", name="tokens")
    hidden = jg.layers.LSTM(4, return_sequences=True)(jg.layers.Embedding(9, 3, mask_zero=True)(tokens))
    model = jg.Model(tokens, jg.layers.Dense(3, activation="softmax")(hidden))
    trainer, random = trainer_of(model), np.random.default_rng(0)
    batches = [(random.integers(0, 9, (4, time)), random.integers(0, 3, (4, time))) for time in (3, 7)]
    run = trainer.fit(batches, epochs=2, progress=False)
    assert np.isfinite(run.history["loss"]).all()
    padded = [np.pad(a, ((0, 0), (0, 7 - a.shape[1]))) for batch in batches for a in batch]
    logs = trainer.evaluate(run.train_state, (np.concatenate(padded[::2]), np.concatenate(padded[1::2])))
    assert trainer.evaluate(run.train_state, batches) == pytest.approx(logs, rel=TOLERANCE)


# What is said


def test_one_line_an_epoch_when_not_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    shared(mlp).fit(data(), epochs=3, validation_split=0.2)
    out, err = capsys.readouterr()
    lines = [*out.splitlines(), *err.splitlines()]
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
    assert all(word in line for line in lines for word in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy"))


def test_nothing_is_printed_without_progress(capsys: pytest.CaptureFixture[str]) -> None:
    trainer = shared(mlp)
    run = trainer.fit(data(), epochs=2, progress=False)
    trainer.evaluate(run.train_state, data())
    trainer.predict(run.train_state, data()[0])
    assert capsys.readouterr() == ("", "")


def test_a_trainer_prints_what_its_losses_are_taken_on() -> None:
    x, age, income = branches()
    losses = {"age": "mse", "income": "sparse_categorical_crossentropy"}
    text = str(trainer_of(jg.Model(x, {"age": age, "income": income}), loss=losses, metrics={"income": "accuracy"}))
    for words in (("age", "mean_squared_error", "output"), ("income", "logits, before softmax", "accuracy")):
        assert any(all(word in line for word in words) for line in text.splitlines())


def test_predict_gives_probabilities_for_any_number_of_rows() -> None:
    trainer = shared(mlp)
    train_state = trainer.init(jax.random.key(0))
    inputs = data(11)[0]
    shares = trainer.predict(train_state, inputs, batch_size=4)
    np.testing.assert_allclose(shares.sum(1), np.ones(11), rtol=1e-6)
    np.testing.assert_allclose(shares, trainer.model.apply(train_state.params, {}, inputs)[0], rtol=1e-6)


def test_targets_that_do_not_count_may_be_anything() -> None:
    """The label -1 under a mask, a NaN under a weight of 0: neither the loss nor any gradient sees them."""
    words, labels = np.array([[1, 2, 0, 0], [3, 1, 2, 0]]), np.array([[1, 2, -1, -1], [3, 1, 2, -1]])
    x = jg.Input((4,), dtype="int32", name="x")
    steps = jg.layers.LSTM(4, return_sequences=True)(jg.layers.Embedding(5, 3, mask_zero=True)(x))
    tagger = jg.Model(x, jg.layers.Dense(5, activation="softmax")(steps))
    trainer = trainer_of(tagger, loss="sparse_categorical_crossentropy", metrics="accuracy")
    runs = [trainer.fit((words, np.where(labels < 0, fill, labels)), epochs=2, progress=False) for fill in (-1, 0, 4)]
    for run in runs[1:]:
        assert_same(runs[0].train_state.params, run.train_state.params)
        assert runs[0].history == run.history
    inputs, weights = data(6)[0], np.array([0, 1, 1, 1, 1, 1.0])
    targets = inputs[:, :1].astype("float32")
    bad = np.where(weights[:, None] == 0, np.nan, targets)
    start = jg.Input((4,), name="x")
    line = trainer_of(jg.Model(start, jg.layers.Dense(1)(start)), loss="mse", metrics="mae")
    ends = [line.fit((inputs, t, weights), epochs=2, progress=False) for t in (bad, targets)]
    assert_same(ends[0].train_state.params, ends[1].train_state.params)
    assert ends[0].history == ends[1].history


def test_going_on_from_a_run_needs_its_own_seed() -> None:
    trainer = trainer_of(mlp())
    run = trainer.fit(data(), epochs=1, seed=4, progress=False)
    assert run.seed == 4
    with pytest.raises(jg.errors.ArgumentError, match="Write seed=4"):
        trainer.fit(data(), epochs=2, run=run, progress=False)


def test_outputs_may_have_integers_as_keys() -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, {2: jg.layers.Dense(1)(x), 10: jg.layers.Dense(1)(x)})
    inputs = data(6)[0]
    trainer = trainer_of(model, loss={2: "mse", 10: "mae"}, metrics={2: "mae"})
    run = trainer.fit((inputs, {2: inputs[:, 0], 10: inputs[:, 1]}), epochs=1, progress=False)
    assert set(run.history) == {"loss", "2/loss", "2/mae", "10/loss"}
