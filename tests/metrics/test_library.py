"""Metrics against scikit-learn and NumPy, on probabilities and on logits."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn import metrics as sklearn

import jgraph as jg
from jgraph.metrics.library import METRICS

RANDOM_STATE = 3
LINKS = {"softmax": jax.nn.softmax, "sigmoid": jax.nn.sigmoid, "linear": jnp.asarray}


def measured(name: str, loss: str, targets: np.ndarray, logits: np.ndarray, end: str, weights: np.ndarray) -> float:
    """The metric of a model that ends in `end`, as `evaluate` gives it."""
    x = jg.Input(logits.shape[1:], name="x")
    trainer = jg.Trainer(jg.Model(x, jg.layers.Activation(end)(x)), optax.sgd(0.1), loss=loss, metrics=[name])
    return trainer.evaluate(trainer.init(jax.random.key(0)), (logits, targets, weights), batch_size=7)[name]


def draw(rows: int = 60, classes: int = 4) -> tuple[Any, np.ndarray, np.ndarray]:
    random = np.random.default_rng(RANDOM_STATE)
    return random, random.normal(size=(rows, classes)).astype("float32"), random.uniform(0, 2, rows)


@pytest.mark.parametrize("end", ["softmax", "linear"])
@pytest.mark.parametrize("name", ["accuracy", "sparse_categorical_accuracy"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64"])
def test_sparse_accuracy(name: str, end: str, dtype: str) -> None:
    random, logits, weights = draw()
    targets = random.integers(0, 4, 60).astype(dtype)
    ours = measured(name, "sparse_categorical_crossentropy", targets, logits, end, weights)
    assert ours == pytest.approx(sklearn.accuracy_score(targets, logits.argmax(1), sample_weight=weights), rel=1e-6)


def test_small_labels_are_compared_with_large_classes() -> None:
    logits = np.zeros((2, 300), "float32")
    logits[:, 259] = 1.0  # as uint8 this is class 3
    ours = measured(
        "accuracy", "sparse_categorical_crossentropy", np.array([3, 3], "uint8"), logits, "linear", np.ones(2)
    )
    assert ours == 0.0


@pytest.mark.parametrize("end", ["softmax", "linear"])
@pytest.mark.parametrize("name", ["accuracy", "categorical_accuracy"])
def test_categorical_accuracy(name: str, end: str) -> None:
    random, logits, weights = draw()
    labels = random.integers(0, 4, 60)
    ours = measured(name, "categorical_crossentropy", np.eye(4)[labels], logits, end, weights)
    assert ours == pytest.approx(sklearn.accuracy_score(labels, logits.argmax(1), sample_weight=weights), rel=1e-6)


@pytest.mark.parametrize("end", ["sigmoid", "linear"])
@pytest.mark.parametrize("name", ["accuracy", "binary_accuracy"])
@pytest.mark.parametrize("flat", [True, False])
def test_binary_accuracy(name: str, end: str, flat: bool) -> None:
    random, logits, weights = draw(classes=1)
    targets = random.integers(0, 2, (60, 1))
    given = targets[:, 0] if flat else targets
    ours = measured(name, "binary_crossentropy", given, logits, end, weights)
    expected = sklearn.accuracy_score(targets[:, 0], logits[:, 0] > 0, sample_weight=weights)
    assert ours == pytest.approx(expected, rel=1e-6)


def test_binary_accuracy_of_several_bits_is_their_mean() -> None:
    random, logits, weights = draw()
    targets = random.integers(0, 2, (60, 4)).astype(bool)
    ours = measured("accuracy", "binary_crossentropy", targets, logits, "sigmoid", weights)
    right = np.mean(targets == (logits > 0), axis=1)
    assert ours == pytest.approx(np.average(right, weights=weights), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("mse", sklearn.mean_squared_error),
        ("mean_squared_error", sklearn.mean_squared_error),
        ("mae", sklearn.mean_absolute_error),
        ("mean_absolute_error", sklearn.mean_absolute_error),
    ],
)
def test_errors(name: str, formula: Any) -> None:
    random, outputs, weights = draw()
    targets = random.normal(size=(60, 4))
    ours = measured(name, "huber", targets, outputs, "linear", weights)
    assert ours == pytest.approx(formula(targets, outputs, sample_weight=weights), rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "link"), [("binary_crossentropy", "sigmoid"), ("categorical_crossentropy", "softmax")]
)
@pytest.mark.parametrize("name", ["mse", "mae"])
def test_errors_beside_a_cross_entropy_are_those_of_probabilities(loss: str, link: str, name: str) -> None:
    random, logits, weights = draw()
    targets = np.eye(4)[random.integers(0, 4, 60)]
    found = [measured(name, loss, targets, logits, end, weights) for end in (link, "linear")]
    error = np.asarray(LINKS[link](logits)) - targets
    values = np.mean(error**2 if name == "mse" else abs(error), axis=1)
    np.testing.assert_allclose(found, np.average(values, weights=weights), rtol=1e-6)


def test_a_function_as_metric_sees_probabilities() -> None:
    def confidence(targets: Any, outputs: Any) -> Any:
        del targets
        return outputs.max(-1)

    random, logits, _ = draw()
    targets, found = random.integers(0, 4, 60), []
    for end in ("softmax", "linear"):
        x = jg.Input((4,), name="x")
        model = jg.Model(x, jg.layers.Activation(end)(x))
        loss = "sparse_categorical_crossentropy"
        trainer = jg.Trainer(model, optax.sgd(0.1), loss=loss, metrics=confidence)
        found.append(trainer.evaluate(trainer.init(jax.random.key(0)), (logits, targets))["confidence"])
    np.testing.assert_allclose(found, np.mean(jax.nn.softmax(logits).max(1)), rtol=1e-6)


def test_metrics_of_an_output_without_a_loss() -> None:
    random, logits, _ = draw()
    x = jg.Input((4,), name="x")
    model = jg.Model(x, {"free": jg.layers.Activation("softmax")(x), "trained": jg.layers.Dense(1)(x)})
    losses, chosen = {"free": None, "trained": "mse"}, {"free": "sparse_categorical_accuracy"}
    trainer = jg.Trainer(model, optax.sgd(0.1), loss=losses, metrics=chosen)
    labels = random.integers(0, 4, (60, 1))
    logs = trainer.evaluate(trainer.init(jax.random.key(0)), (logits, {"free": labels, "trained": np.zeros(60)}))
    assert logs["free/sparse_categorical_accuracy"] == pytest.approx(np.mean(labels[:, 0] == logits.argmax(1)))
    assert set(logs) == {"loss", "trained/loss", "free/sparse_categorical_accuracy"}


@pytest.mark.parametrize("metric", dict.fromkeys(METRICS.values()), ids=lambda metric: metric.name)
def test_every_metric_knows_which_way_is_better(metric: jg.metrics.Metric) -> None:
    assert metric.direction == ("max" if "accuracy" in metric.name else "min")


def test_every_metric_has_a_public_name() -> None:
    public = {value for value in vars(jg.metrics).values() if isinstance(value, jg.metrics.Metric)}
    assert set(METRICS.values()) == public
