"""Weights by class against weights by hand: labels, one-hot and binary targets, steps, iterables, and wrong uses."""

import re
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jgraph as jg

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(20, 4)).astype("f4")
LABELS = RANDOM.integers(0, 3, 20)
WEIGHTS = {0: 2.0, 2: 5.0}  # class 1 is not named


def single(units: int, end: str | None, loss: Any) -> jg.Trainer:
    x = jg.Input((4,), name="x")
    return jg.Trainer(jg.Model(x, jg.layers.Dense(units, activation=end, name="y")(x)), optax.sgd(0.1), loss=loss)


def by_hand(classes: np.ndarray, table: dict[int, float]) -> np.ndarray:
    return np.vectorize(lambda c: table.get(int(c), 1.0))(classes).astype("f4")


def fitted(trainer: jg.Trainer, data: Any, **options: Any) -> dict[str, list[float]]:
    return trainer.fit(data, epochs=2, batch_size=8, progress=False, **options).history


@pytest.mark.parametrize("shape", ["[rows]", "[rows, 1]", "one-hot", "smoothed"])
def test_weights_are_those_by_hand(shape: str) -> None:
    labels = shape.startswith("[")
    trainer = single(3, "softmax", "sparse_categorical_crossentropy" if labels else "categorical_crossentropy")
    hot = np.eye(3, dtype="f4")[LABELS]
    targets = {"[rows]": LABELS, "[rows, 1]": LABELS[:, None], "one-hot": hot, "smoothed": hot * 0.9 + 0.1 / 3}[shape]
    own = fitted(trainer, (INPUTS, targets), class_weight=WEIGHTS)
    hand = fitted(trainer, (INPUTS, targets, by_hand(LABELS, WEIGHTS)))
    assert own == hand
    assert own != fitted(trainer, (INPUTS, targets))


@pytest.mark.parametrize("loss", ["binary_crossentropy", "hinge", "mse"])
@pytest.mark.parametrize("axis", [False, True])
def test_two_classes(loss: str, axis: bool) -> None:
    trainer = single(1, None, loss)
    bits = (LABELS > 0).astype("f4")
    targets = bits[:, None] if axis else bits
    hand = fitted(trainer, (INPUTS, targets, by_hand(bits, {1: 3.0})))
    assert fitted(trainer, (INPUTS, targets), class_weight={1: 3.0}) == hand
    if loss == "hinge":
        assert fitted(trainer, (INPUTS, 2 * targets - 1), class_weight={1: 3.0}) == hand


def test_they_multiply_the_weights_of_examples() -> None:
    trainer, weights = single(3, "softmax", "sparse_categorical_crossentropy"), RANDOM.uniform(0, 2, 20).astype("f4")
    own = fitted(trainer, (INPUTS, LABELS, weights), class_weight=WEIGHTS)
    assert own == fitted(trainer, (INPUTS, LABELS, weights * by_hand(LABELS, WEIGHTS)))


def test_by_output_and_validation_is_not_weighed() -> None:
    x = jg.Input((4,), name="x")
    outputs = {
        "income": jg.layers.Dense(3, "softmax", name="income")(x),
        "age": jg.layers.Dense(1, name="age")(x),
        "same": jg.layers.Dense(1, "sigmoid", name="same")(x),
    }
    losses = {"income": "sparse_categorical_crossentropy", "age": "mse", "same": "binary_crossentropy"}
    trainer = jg.Trainer(jg.Model(x, outputs), optax.sgd(0.1), loss=losses, metrics={"income": "accuracy"})
    targets = {"income": LABELS, "age": INPUTS[:, :1], "same": (LABELS == 1).astype("int32")}
    tables = {"income": WEIGHTS, "same": {0: 0.5}, "age": None}
    run = trainer.fit((INPUTS, targets), epochs=2, validation_split=0.25, progress=False, class_weight=tables)
    weights = {"income": by_hand(LABELS, WEIGHTS), "same": by_hand(targets["same"], {0: 0.5})}
    weights = {name: np.where(np.arange(20) < 15, values, 1).astype("f4") for name, values in weights.items()}
    hand = trainer.fit((INPUTS, targets, weights), epochs=2, validation_split=0.25, progress=False)
    assert run.history == hand.history


def test_steps_and_masks() -> None:
    x = jg.Input((5,), dtype="int32", name="x")
    y = jg.layers.Dense(3, "softmax", name="y")(jg.layers.Embedding(9, 4, mask_zero=True)(x))
    trainer = jg.Trainer(jg.Model(x, y), optax.sgd(0.1), loss="sparse_categorical_crossentropy")
    inputs, labels = RANDOM.integers(0, 9, (10, 5)), RANDOM.integers(0, 3, (10, 5))
    labels[inputs == 0] = -1
    rows = RANDOM.uniform(0.5, 2, 10).astype("f4")
    hand = rows[:, None] * by_hand(labels, WEIGHTS)
    own = fitted(trainer, (inputs, labels, rows), class_weight=WEIGHTS)
    for name, values in fitted(trainer, (inputs, labels, hand.astype("f4"))).items():
        assert own[name] == pytest.approx(values, rel=1e-6)


def test_what_does_not_count_may_be_no_class() -> None:
    trainer = single(3, None, "mse")
    hot = np.eye(3, dtype="f4")[LABELS]
    weights = np.arange(20) % 2
    spoiled = np.where(weights[:, None] == 0, np.nan, hot)
    own = fitted(trainer, (INPUTS, spoiled, weights.astype("f4")), class_weight=WEIGHTS)
    assert own == fitted(trainer, (INPUTS, hot, (weights * by_hand(LABELS, WEIGHTS)).astype("f4")))


def test_ignored_class() -> None:
    loss = jg.losses.SparseCategoricalCrossentropy(ignore_class=255)
    targets = np.where(np.arange(20) % 4 == 0, 255, LABELS)
    own = fitted(single(3, "softmax", loss), (INPUTS, targets), class_weight=WEIGHTS)
    hand = (INPUTS, targets, by_hand(targets, WEIGHTS))
    assert own == fitted(single(3, "softmax", loss), hand)


def test_batches_that_are_iterated() -> None:
    trainer = single(3, "softmax", "sparse_categorical_crossentropy")

    def batches(*arrays: Any) -> Any:
        return [tuple(a[i : i + 8] for a in arrays) for i in range(0, 20, 8)]

    own = fitted(trainer, batches(INPUTS, LABELS), class_weight=WEIGHTS)
    assert own == fitted(trainer, batches(INPUTS, LABELS, by_hand(LABELS, WEIGHTS)))


def test_a_function_gets_labels_or_one_hot_targets() -> None:
    def own(targets: Any, outputs: Any) -> Any:
        hot = jax.nn.one_hot(targets, 3) if targets.ndim == 1 else targets
        return ((hot - outputs) ** 2).sum(-1)

    trainer = single(3, None, jg.Loss(own, mixes_rows=False))
    logs = [fitted(trainer, (INPUTS, t), class_weight=WEIGHTS) for t in (LABELS, np.eye(3, dtype="f4")[LABELS])]
    assert logs[0] == logs[1] == fitted(trainer, (INPUTS, LABELS, by_hand(LABELS, WEIGHTS)))


def test_it_is_part_of_what_a_run_is(tmp_path: Any) -> None:
    def fit(**options: Any) -> jg.Run:
        saves = [jg.callbacks.Checkpoint(tmp_path)]
        trainer = single(3, "softmax", "sparse_categorical_crossentropy")
        return trainer.fit((INPUTS, LABELS), progress=False, callbacks=saves, resume=tmp_path, **options)

    fit(epochs=1, class_weight=WEIGHTS)
    with pytest.raises(jg.errors.ResumeError, match=r"expected class_weight: \{'0': 2.0, '2': 5.0\}, got class"):
        fit(epochs=2)
    went_on = fit(epochs=2, class_weight=WEIGHTS)
    assert len(went_on.history["loss"]) == 2


SPARSE = "sparse_categorical_crossentropy"
WRONG: dict[str, tuple[tuple[int, str | None, Any], Any, type[Exception], str]] = {
    "class": (
        (3, "softmax", SPARSE),
        {3: 1.0},
        jg.errors.ArgumentError,
        "from 0 to 2, as integers, got class 3",
    ),
    "negative class": ((3, "softmax", SPARSE), {-1: 1.0}, jg.errors.ArgumentError, "got class -1"),
    "class as text": ((3, "softmax", SPARSE), {"0": 1.0}, jg.errors.ArgumentError, "got class '0'"),
    "third of two": ((1, None, "binary_crossentropy"), {2: 1.0}, jg.errors.ArgumentError, "classes from 0 to 1"),
    "negative": ((3, "softmax", SPARSE), {0: -1.0}, jg.errors.ArgumentError, "got -1.0 for class 0"),
    "nan": ((3, "softmax", SPARSE), {0: np.nan}, jg.errors.ArgumentError, "finite weights of at least 0, got nan"),
    "zeros": ((3, "softmax", SPARSE), {0: 0, 1: 0, 2: 0}, jg.errors.ArgumentError, "a weight that is positive"),
    "list": ((3, "softmax", SPARSE), [1.0, 2.0, 3.0], jg.errors.ArgumentError, "dict(enumerate(weights))"),
    "output": ((3, "softmax", SPARSE), {"z": {0: 1.0}}, jg.errors.KeyMismatchError, "among the outputs 'y', got 'z'"),
    "several labels": ((3, "sigmoid", "binary_crossentropy"), {0: 1.0}, jg.errors.ArgumentError, "one class for each"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_uses(case: str) -> None:
    made, given, error, text = WRONG[case]
    with pytest.raises(error, match=re.escape(text)):
        fitted(single(*made), (INPUTS, LABELS), class_weight=given)


def test_numbers_are_no_classes() -> None:
    with pytest.raises(jg.errors.DataError, match=r"fit, target 'y': expected one-hot targets"):
        fitted(single(3, None, "mse"), (INPUTS, INPUTS[:, :3]), class_weight={0: 2.0})
    with pytest.raises(jg.errors.DataError, match=r"fit, target 'y': expected 0 and 1"):
        fitted(single(1, None, "mse"), (INPUTS, INPUTS[:, :1]), class_weight={0: 2.0})


def test_several_outputs_are_told_apart() -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, {"a": jg.layers.Dense(3, name="a")(x), "b": jg.layers.Dense(3, name="b")(x)})
    trainer = jg.Trainer(model, optax.sgd(0.1), loss={"a": SPARSE, "b": None})
    with pytest.raises(jg.errors.KeyMismatchError, match="Several outputs need to be told apart"):
        fitted(trainer, (INPUTS, {"a": LABELS}), class_weight={0: 1.0})
    with pytest.raises(jg.errors.ArgumentError, match="class_weight of 'b': expected an output with a loss"):
        fitted(trainer, (INPUTS, {"a": LABELS}), class_weight={"b": {0: 1.0}})
