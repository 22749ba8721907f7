"""Losses against NumPy in float64 and against Keras: on logits, with weights, and for every shape of targets."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.losses.library import LOSSES
from jgraph.losses.loss import Loss, check_targets

TOLERANCE = 2e-6  # float32: a logarithm and sums of at most 5 terms, each to about 1e-7


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def binary(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    p = sigmoid(logits)
    return np.mean(-targets * np.log(p) - (1 - targets) * np.log(1 - p), axis=-1)


def huber(targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    error = abs(outputs - targets)
    return np.mean(np.where(error <= 1, error**2 / 2, error - 0.5), axis=-1)


@dataclasses.dataclass(frozen=True)
class Case:
    """A loss by name, its formula in float64, and Keras' own."""

    name: str
    formula: Callable[[np.ndarray, np.ndarray], np.ndarray]
    theirs: Callable[..., Any]
    kind: str = "numbers"

    def data(self, shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(seed)
        outputs = random.normal(size=shape) * 3
        targets = {
            "numbers": random.normal(size=shape) * 3,
            "bits": random.integers(0, 2, shape),
            "shares": softmax(random.normal(size=shape)),
            "labels": random.integers(0, shape[-1], shape[:-1]),
        }[self.kind]
        return targets, outputs.astype("float32")


CASES = [
    Case("mse", lambda t, y: np.mean((y - t) ** 2, -1), keras.losses.mean_squared_error),
    Case("mae", lambda t, y: np.mean(abs(y - t), -1), keras.losses.mean_absolute_error),
    Case("huber", huber, keras.losses.huber),
    Case("binary_crossentropy", binary, keras.losses.binary_crossentropy, "bits"),
    Case(
        "categorical_crossentropy",
        lambda t, y: -np.sum(t * np.log(softmax(y)), -1),
        keras.losses.categorical_crossentropy,
        "shares",
    ),
    Case(
        "sparse_categorical_crossentropy",
        lambda t, y: -np.log(np.take_along_axis(softmax(y), t[..., None], -1)[..., 0]),
        keras.losses.sparse_categorical_crossentropy,
        "labels",
    ),
]
EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_every_loss_is_public_under_its_name() -> None:
    assert all(getattr(jg.losses, str(loss.name)) is loss for loss in LOSSES.values())
    assert all(type(loss) is getattr(jg.losses, type(loss).__name__) for loss in LOSSES.values())


@EVERY_CASE
@pytest.mark.parametrize("shape", [(7, 5), (4, 3, 5), (6, 2)], ids=str)
def test_values(case: Case, shape: tuple[int, ...]) -> None:
    targets, outputs = case.data(shape)
    ours = LOSSES[case.name](jnp.asarray(targets), jnp.asarray(outputs))
    assert ours.shape == shape[:-1]
    assert ours.dtype == jnp.float32
    np.testing.assert_allclose(ours, case.formula(targets, outputs.astype("float64")), rtol=TOLERANCE, atol=TOLERANCE)
    options = {"from_logits": True} if LOSSES[case.name].link else {}
    given = targets if case.kind == "labels" else targets.astype("float32")
    np.testing.assert_allclose(ours, case.theirs(given, outputs, **options), rtol=TOLERANCE, atol=TOLERANCE)


@EVERY_CASE
@pytest.mark.parametrize("end", ["probabilities", "logits"])
def test_weighted_mean_of_a_model(case: Case, end: str) -> None:
    loss, (targets, outputs) = LOSSES[case.name], case.data((9, 4))
    x = jg.Input((4,), name="x")
    last = loss.link if end == "probabilities" else "linear"
    model = jg.Model(x, jg.layers.Activation(last or "linear")(x))
    trainer = jg.Trainer(model, optax.sgd(0.1), loss=case.name)
    weights = np.random.default_rng(1).uniform(0, 2, 9)
    logs = trainer.evaluate(trainer.init(jax.random.key(0)), (outputs, targets, weights), batch_size=4)
    values = case.formula(targets, outputs.astype("float64"))
    assert logs["loss"] == pytest.approx(np.sum(weights * values) / np.sum(weights), rel=TOLERANCE)
    if end == "probabilities":  # Keras takes these on probabilities, cut off at 1e-7, which these do not reach
        options = {} if case.name == "huber" or not loss.link else {"from_logits": False}
        fed = {"softmax": softmax, "sigmoid": sigmoid}.get(str(loss.link), lambda y: y)(outputs)
        theirs = np.asarray(
            case.theirs(targets if case.kind == "labels" else targets.astype("float32"), fed, **options)
        )
        assert logs["loss"] == pytest.approx(np.sum(weights * theirs) / np.sum(weights), rel=1e-5)


@EVERY_CASE
def test_targets_with_and_without_an_axis_of_one(case: Case) -> None:
    loss = LOSSES[case.name]
    if case.kind == "labels":
        targets, outputs = case.data((6, 3))
        both = targets, targets[:, None]
    else:
        targets, outputs = case.data((6, 1))
        both = targets[:, 0], targets
    values = [loss(jnp.asarray(t), jnp.asarray(outputs)) for t in both]
    assert values[0].shape == (6,)
    np.testing.assert_array_equal(values[0], values[1])


@EVERY_CASE
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "bool", "float16", "float64"])
def test_dtypes_of_targets(case: Case, dtype: str) -> None:
    kind = "labels" if case.kind == "labels" else "bits"
    targets, outputs = dataclasses.replace(case, kind=kind).data((6, 4))
    if kind == "labels" and not np.issubdtype(dtype, np.integer):
        with pytest.raises(jg.errors.DataError, match=r"integer labels.*astype"):
            check_targets("here", LOSSES[case.name], targets.astype(dtype), outputs)
        return
    values = LOSSES[case.name](jnp.asarray(targets.astype(dtype)), jnp.asarray(outputs))
    expected = case.formula(targets, outputs.astype("float64"))
    np.testing.assert_allclose(values, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("name", [case.name for case in CASES if LOSSES[case.name].link])
def test_cross_entropies_are_exact_where_probabilities_saturate(name: str) -> None:
    logits = jnp.array([[200.0, -200.0], [-200.0, 200.0]])
    targets = jnp.array([1, 0]) if LOSSES[name].targets == "labels" else jnp.array([[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_array_equal(
        LOSSES[name](targets, logits), [200.0 if LOSSES[name].link == "sigmoid" else 400.0] * 2
    )
    gradient = jax.grad(lambda y: LOSSES[name](targets, y).sum())(logits)
    assert np.isfinite(gradient).all()


def test_labels_out_of_range_give_nan_and_no_other_number() -> None:
    values = jg.losses.sparse_categorical_crossentropy(jnp.array([-1, 0, 3, 2]), jnp.zeros((4, 3)))
    np.testing.assert_array_equal(np.isnan(values), [True, False, True, False])


def test_masked_logits_do_no_harm() -> None:
    logits = jnp.array([[0.0, -jnp.inf]])
    assert jg.losses.categorical_crossentropy(jnp.array([[1.0, 0.0]]), logits) == 0.0


def test_a_loss_is_what_a_function_makes_it() -> None:
    def squared(targets: Any, outputs: Any) -> Any:
        return (targets[:, 0] - outputs[:, 0]) ** 2

    x = jg.Input((2,), name="x")
    data = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[0.0], [1.0]])
    for loss in (squared, Loss(squared, name="other"), Loss(squared, mixes_rows=False)):
        trainer = jg.Trainer(jg.Model(x, jg.layers.Activation("linear")(x)), optax.sgd(0.1), loss=loss)
        assert trainer.evaluate(trainer.init(jax.random.key(0)), data)["loss"] == (1.0 + 4.0) / 2
