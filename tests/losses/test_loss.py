"""What a loss is as a value: options that are checked, how it prints, and what may stand for one."""

import dataclasses
import pickle
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, LossError
from jgraph.losses.loss import snake
from jgraph.losses.resolve import resolve


def distance(targets: Any, outputs: Any) -> Any:
    return abs(targets - outputs)[:, 0]


def test_a_loss_of_ones_own() -> None:
    loss = jg.Loss(distance)
    assert (loss.name, loss.of, loss.targets, loss.link, loss.mixes_rows) == ("distance", None, "free", None, True)
    assert jg.Loss(distance, of=["a", ("b/c", 1)]).of == ("a", ("b/c", 1))
    assert repr(jg.Loss(distance, name="d", link="softmax")) == "Loss('d', link='softmax')"
    assert str(jg.Loss(distance, of=["a", "b"], name="d")) == "d(of=('a', 'b'))"
    assert jg.Loss is jg.losses.Loss
    assert isinstance(jg.losses.Huber(), jg.Loss)


def test_a_loss_of_the_library_prints_what_is_not_as_usual() -> None:
    assert repr(jg.losses.huber) == "Huber()"
    assert repr(jg.losses.Huber(2.0)) == "Huber(delta=2.0)"
    assert str(jg.losses.huber) == "huber"
    assert str(jg.losses.Huber(delta=2.0, name="mine")) == "mine(delta=2.0)"
    assert jg.losses.Huber(1.0) == jg.losses.huber
    assert jg.losses.Huber(2.0) != jg.losses.huber


VALUES = [jg.losses.Huber(2.0), jg.losses.Circle(gamma=3.0), jg.Loss(distance, name="d")]


@pytest.mark.parametrize("loss", VALUES, ids=repr)
def test_losses_are_values(loss: jg.Loss) -> None:
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert dataclasses.replace(loss, name="x").name == "x"
    with pytest.raises(dataclasses.FrozenInstanceError):
        loss.name = "y"  # pyright: ignore[reportAttributeAccessIssue]


def test_the_function_of_a_loss_of_the_library() -> None:
    targets, outputs = jnp.array([[1.0]]), jnp.array([[4.0]])
    assert jg.losses.huber.fn(targets, outputs) == jg.losses.huber(targets, outputs) == 2.5


def test_names() -> None:
    assert [snake(n) for n in ("CTC", "L2Loss", "KLDivergence")] == ["ctc", "l2_loss", "kl_divergence"]


L: Any = jg.losses
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "from_logits": (lambda: L.BinaryCrossentropy(from_logits=True), "got 'from_logits'. Leave it out: cross-entropies"),
    "reduction": (
        lambda: L.Huber(reduction="sum"),
        "got 'reduction'. Leave it out: a loss gives one value per",
    ),
    "axis": (lambda: L.CategoricalCrossentropy(axis=1), "got 'axis'. Leave it out: classes are on the last axis"),
    "dtype": (lambda: L.Poisson(dtype="float16"), "got 'dtype'. Leave it out: losses are taken in at least float32"),
    "typo": (
        lambda: L.Huber(delt=1.0),
        "among 'name', 'delta', got 'delt'. Did you mean 'delta'?",
    ),
    "delta": (lambda: L.Huber(delta=0), "Huber, delta: expected a number above 0, got 0"),
    "delta as text": (lambda: L.Huber("2"), "Huber, delta: expected a number above 0, got '2'"),
    "smoothing": (lambda: L.BinaryCrossentropy(1.5), "label_smoothing: expected a number between 0 and 1, got 1.5"),
    "q": (
        lambda: L.CategoricalGeneralizedCrossEntropy(q=1),
        "between 0 and 1, both excluded, got 1",
    ),
    "alpha": (lambda: L.CategoricalFocalCrossentropy(alpha=[1, -1]), "alpha: expected a number of at least 0, got -1"),
    "gamma": (lambda: L.BinaryFocalCrossentropy(gamma=float("nan")), "gamma: expected a number of at least 0, got nan"),
    "epsilon": (lambda: L.PolyLossCrossEntropy(float("inf")), "epsilon: expected a number that is finite, got inf"),
    "balancing": (lambda: L.BinaryFocalCrossentropy("yes"), "apply_class_balancing: expected True or False, got 'yes'"),
    "ignored": (lambda: L.SparseCategoricalCrossentropy(True), "ignore_class: expected an integer, or None, got True"),
    "batch axis": (
        lambda: L.Dice(axis=(0, 1)),
        "axis: expected an axis, or a list of axes, behind the batch",
    ),
    "cosine axis": (
        lambda: L.CosineSimilarity(axis=0),
        "axis: expected an axis behind the batch axis",
    ),
    "name": (lambda: L.Loss(distance, name=""), "Loss, name: expected a text, got ''"),
    "of": (lambda: L.Loss(distance, of="a"), "Loss, of: expected a list of names of outputs and paths of nodes"),
    "of nothing": (lambda: L.Loss(distance, of=[]), "Loss, of: expected a list"),
    "link": (
        lambda: L.Loss(distance, link="relu"),
        "Loss, link: expected one of None, 'softmax', 'sigmoid', got 'relu'",
    ),
    "targets": (lambda: L.Loss(distance, targets="some"), "Loss, targets: expected one of 'same', 'labels', 'free'"),
    "function": (lambda: L.Loss("mse"), "Loss, fn: expected a function (targets, outputs)"),
    "optax": (lambda: L.Loss(optax.losses.l2_loss), "which takes (outputs, targets)"),
    "triplet": (
        lambda: L.TripletMarginLoss(of=["a", "b"]),
        "of: expected an anchor, a positive and",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments(case: str) -> None:
    make, text = WRONG[case]
    with pytest.raises((ArgumentError, LossError), match=re.escape(text)):
        make()


def test_wrong_arrays_are_told_by_the_loss_itself() -> None:
    for loss, targets, outputs, text in [
        (L.ctc, np.ones((2, 3)), np.ones((2, 5, 4)), "ctc: expected integer targets [batch, length] and logits"),
        (L.circle, np.ones(2), np.ones((2, 4)), "circle: expected integer targets [batch] and embeddings [batch, n]"),
        (L.ntxent, np.ones(2, int), np.ones((2, 4, 3)), "ntxent: expected integer targets [batch]"),
        (L.Dice(axis=3), np.ones((2, 4)), np.ones((2, 4)), "axis: expected axes behind the first of the 2, got 3"),
    ]:
        with pytest.raises(LossError, match=re.escape(text)):
            loss(targets, jnp.asarray(outputs))
    with pytest.raises(ArgumentError, match=re.escape("expected one number, or 4, as there are classes, got 3")):
        L.CategoricalFocalCrossentropy(alpha=[1.0, 2.0, 3.0])(np.eye(4), jnp.ones((4, 4)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (keras.losses.Huber(), "got Huber of keras. Write loss='huber', or jg.losses.Huber(...) with its options"),
        (keras.losses.mean_squared_error, "got mean_squared_error of keras. Write loss='mean_squared_error'"),
        (keras.losses.Huber, "got Huber of keras. Write loss='huber'"),
        (keras.losses.Loss, "got Loss of keras. Write it in jax.numpy"),
        (jg.losses.Huber, "got the class Huber. Call it: jg.losses.Huber()."),
        ("mean_square_error", "got 'mean_square_error'. Did you mean 'mean_squared_error'?"),
        (3, "got 3. Known: 'mean_squared_error'"),
    ],
)
def test_what_is_no_loss(value: Any, text: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(text)):
        resolve("Trainer, loss of 'y'", value)


def test_ignored_classes_count_for_nothing() -> None:
    loss = jg.losses.SparseCategoricalCrossentropy(ignore_class=255)
    x = jg.Input((5, 4), name="x")
    model = jg.Model(x, jg.layers.Activation("softmax", name="y")(x))
    trainer = jg.Trainer(model, optax.sgd(0.1), loss=loss, metrics="accuracy")
    random = np.random.default_rng(0)
    inputs, targets = random.normal(size=(6, 5, 4)).astype("f4"), random.integers(0, 4, (6, 5))
    targets[random.random((6, 5)) < 0.5] = 255
    data = inputs, targets.astype("uint8")
    logs = trainer.evaluate(trainer.init(jax.random.key(0)), data, batch_size=4)
    kept, rows = targets != 255, np.indices(targets.shape)
    p = np.exp(inputs) / np.exp(inputs).sum(-1, keepdims=True)
    right = p[(*rows, np.where(kept, targets, 0))]
    assert logs["loss"] == pytest.approx(-np.log(right)[kept].mean(), rel=1e-5)
    assert logs["accuracy"] == pytest.approx((inputs.argmax(-1) == targets)[kept].mean(), rel=1e-6)
    mean: Any = keras.losses.SparseCategoricalCrossentropy(ignore_class=255)(targets, p)
    assert logs["loss"] == pytest.approx(float(mean), rel=1e-5)
    with pytest.raises(jg.errors.DataError, match=r"labels of sparse_categorical_crossentropy from 0 to 3"):
        trainer.fit((inputs, np.where(kept, targets, 254)), epochs=1, progress=False)


def test_probabilities_are_wanted_where_there_is_no_link() -> None:
    x = jg.Input((4,), name="x")
    with pytest.raises(LossError, match=r"output 'y': expected probabilities for dice.*got logits.*binary_dice_loss"):
        jg.Trainer(jg.Model(x, jg.layers.Dense(3, name="y")(x)), optax.sgd(0.1), loss="dice")
    jg.Trainer(jg.Model(x, jg.layers.Dense(3, activation="sigmoid", name="y")(x)), optax.sgd(0.1), loss="dice")


@pytest.mark.parametrize(
    ("loss", "targets", "text"),
    [
        ("hinge", [[3.0]], "targets for hinge from -1 to 1"),
        ("poisson", [[-1.0]], "targets for poisson from 0 to inf"),
        ("binary_crossentropy", [[1.5]], "probabilities for binary_crossentropy from 0 to 1"),
    ],
)
def test_targets_that_a_loss_cannot_have(loss: str, targets: Any, text: str) -> None:
    x = jg.Input((2,), name="x")
    trainer = jg.Trainer(jg.Model(x, jg.layers.Dense(1, name="y")(x)), optax.sgd(0.1), loss=loss)
    with pytest.raises(jg.errors.DataError, match=text):
        trainer.fit((np.ones((1, 2), "f4"), np.array(targets)), epochs=1, progress=False)


@pytest.mark.parametrize("loss", ["binary_focal_crossentropy", "categorical_focal_crossentropy", "kl_divergence"])
def test_accuracy_is_known_for_every_loss_on_logits(loss: str) -> None:
    x = jg.Input((2,), name="x")
    model = jg.Model(x, jg.layers.Dense(2, activation=jg.losses.LOSSES[loss].link)(x))
    trainer = jg.Trainer(model, optax.sgd(0.1), loss=loss, metrics="accuracy")
    assert [m.name for m in trainer.objective.targets[0].metrics] == ["accuracy"]
    assert "logits, before" in str(trainer)
