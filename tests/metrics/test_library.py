"""Metrics by name, as a trainer takes them: against scikit-learn and NumPy, on probabilities and on logits."""

import inspect
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from keras.src.metrics import ALL_OBJECTS_DICT
from sklearn import metrics as sklearn

import jgraph as jg
from jgraph.errors import ArgumentError, LossError
from jgraph.losses.library import LOSSES
from jgraph.metrics.library import METRICS, NEED_ARGUMENTS, resolve

RANDOM_STATE = 3
KERAS_BASES = ("Metric", "Mean", "Sum", "MeanMetricWrapper")
AXIS = ("CosineSimilarity", "PearsonCorrelation", "ConcordanceCorrelation")
LINKS = {"softmax": jax.nn.softmax, "sigmoid": jax.nn.sigmoid, "linear": jnp.asarray}


def logs_of(
    metrics: list[Any], loss: str, targets: np.ndarray, logits: np.ndarray, end: str, weights: np.ndarray
) -> dict[str, float]:
    """The logs of a model that ends in `end`, as `evaluate` gives them, over batches of which the last is ragged."""
    x = jg.Input(logits.shape[1:], name="x")
    trainer = jg.Trainer(jg.Model(x, jg.layers.Activation(end)(x)), optax.sgd(0.1), loss=loss, metrics=metrics)
    return trainer.evaluate(trainer.init(jax.random.key(0)), (logits, targets, weights), batch_size=7)


def measured(name: str, loss: str, targets: np.ndarray, logits: np.ndarray, end: str, weights: np.ndarray) -> float:
    """One metric of such a model."""
    return logs_of([name], loss, targets, logits, end, weights)[name]


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


KERAS_NAMES = {name: kind for name, kind in ALL_OBJECTS_DICT.items() if kind.__name__ not in KERAS_BASES}
"""What `keras.metrics.get` knows: class names, snake_case and short names, but for its bases."""
KERAS_CLASSES: list[Any] = sorted(set(KERAS_NAMES.values()), key=lambda kind: kind.__name__)


def test_every_name_of_keras_is_known_and_means_the_same() -> None:
    need_arguments = {kind for kind in KERAS_NAMES.values() if kind.__name__ in NEED_ARGUMENTS}
    for name, kind in KERAS_NAMES.items():
        if kind not in need_arguments:
            assert type(METRICS[name]).__name__ == kind.__name__, name
    assert len(need_arguments) == len(NEED_ARGUMENTS) == 6


@pytest.mark.parametrize("kind", KERAS_CLASSES, ids=lambda kind: kind.__name__)
def test_arguments_names_and_directions_are_those_of_keras(kind: Any) -> None:
    ours, theirs = inspect.signature(getattr(jg.metrics, kind.__name__)).parameters, inspect.signature(kind).parameters
    left_out = {"dtype"} | (set() if kind.__name__ in AXIS else {"axis"})
    assert set(theirs) - set(ours) <= left_out
    positional = [name for name, p in ours.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert [name for name in positional if name in theirs] == [name for name in theirs if name in positional]
    if kind.__name__ in NEED_ARGUMENTS:
        return
    keras_metric, metric = kind(**({"num_classes": 2} if "num_classes" in theirs else {})), METRICS[kind.__name__]
    assert metric.name == re.sub(r"_\d+$", "", keras_metric.name)  # Keras numbers what it names itself
    known = {"up": "max", "down": "min", None: metric.direction}
    assert metric.direction == known[getattr(keras_metric, "_direction", None)]


def test_a_metric_that_is_named_is_called_so() -> None:
    assert [resolve("here", name, None).name for name in METRICS if name not in ("accuracy", "Accuracy")] == [
        name for name in METRICS if name not in ("accuracy", "Accuracy")
    ]


@pytest.mark.parametrize(
    ("loss", "accuracy", "crossentropy"),
    [
        ("binary_crossentropy", "BinaryAccuracy", "BinaryCrossentropy"),
        ("categorical_crossentropy", "CategoricalAccuracy", "CategoricalCrossentropy"),
        ("sparse_categorical_crossentropy", "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy"),
    ],
)
def test_words_mean_the_metric_that_fits_the_loss(loss: str, accuracy: str, crossentropy: str) -> None:
    for words, kind in ((("accuracy", "acc", "Accuracy"), accuracy), (("crossentropy", "ce"), crossentropy)):
        for word in words:
            metric = resolve("here", word, LOSSES[loss])
            assert (type(metric).__name__, metric.name) == (kind, word)


@pytest.mark.parametrize(
    ("value", "kind", "told"),
    [
        ("acuracy", ArgumentError, "Did you mean 'accuracy'?"),
        ("precison", ArgumentError, "Did you mean 'precision'?"),
        ("recall_at_precision", ArgumentError, "Write jg.metrics.RecallAtPrecision(0.9)."),
        ("IoU", ArgumentError, "Write jg.metrics.IoU(num_classes=2, target_class_ids=[1])."),
        (jg.metrics.AUC, ArgumentError, "Write jg.metrics.AUC()."),
        (3, ArgumentError, "Known: 'accuracy', 'acc', 'crossentropy', 'ce'"),
        ("ce", LossError, "'binary_crossentropy', 'categorical_crossentropy', 'sparse_categorical_crossentropy'"),
        ("sparse_categorical_accuracy", LossError, "Choose a metric for these targets"),
    ],
    ids=str,
)
def test_what_is_no_metric_is_told_with_its_cure(value: Any, kind: type[Exception], told: str) -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, jg.layers.Dense(3)(x))
    with pytest.raises(kind) as caught:
        jg.Trainer(model, optax.sgd(0.1), loss="mse", metrics=[value])
    assert told in str(caught.value)


def test_every_metric_is_public() -> None:
    assert {type(metric).__name__ for metric in METRICS.values()} | set(NEED_ARGUMENTS) <= set(vars(jg.metrics))


BITS: list[Any] = ["auc", "precision", "recall", "f1_score", "bce", "binary_iou", "balanced_accuracy", "brier_score"]
CLASSES: list[Any] = [
    *("auc", "precision", "f1_score", "mean_iou", "one_hot_mean_iou", "cohen_kappa", "matthews_correlation"),
    *("brier_score", "crossentropy", "accuracy"),
    jg.metrics.Recall(top_k=2),
    jg.metrics.AUC(multi_label=True, name="auc_of_classes"),
]


@pytest.mark.parametrize("end", ["sigmoid", "linear"])
def test_a_run_measures_probabilities_whatever_the_output_ends_in(end: str) -> None:
    random, logits, weights = draw(classes=1)
    targets = random.integers(0, 2, 60)
    logs = logs_of(BITS, "binary_crossentropy", targets, logits, end, weights)
    p, found = 1 / (1 + np.exp(-logits[:, 0].astype("float64"))), logits[:, 0] > 0
    given: dict[str, Any] = {"sample_weight": weights}
    assert logs["auc"] == pytest.approx(sklearn.roc_auc_score(targets, p, **given), abs=0.01)
    for name, theirs in [
        ("precision", sklearn.precision_score(targets, found, **given)),
        ("recall", sklearn.recall_score(targets, found, **given)),
        ("f1_score", sklearn.f1_score(targets, found, **given)),
        ("bce", sklearn.log_loss(targets, p, **given)),
        ("balanced_accuracy", sklearn.balanced_accuracy_score(targets, found, **given)),
        ("brier_score", sklearn.brier_score_loss(targets, p, **given)),
        ("binary_iou", sklearn.jaccard_score(targets, found, average="macro", **given)),
    ]:
        assert logs[name] == pytest.approx(theirs, rel=1e-5), name
    assert logs["loss"] == pytest.approx(logs["bce"], rel=1e-6)


@pytest.mark.parametrize("end", ["softmax", "linear"])
@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_a_run_measures_classes_of_either_kind_of_targets(end: str, loss: str) -> None:
    random, logits, weights = draw()
    labels = random.integers(0, 4, 60)
    targets = labels if loss.startswith("sparse") else np.eye(4)[labels]
    logs = logs_of(CLASSES, loss, targets, logits, end, weights)
    found, given = logits.argmax(1), dict[str, Any](sample_weight=weights)
    p = np.asarray(jax.nn.softmax(logits))
    each = [sklearn.roc_auc_score(labels == i, p[:, i], **given) for i in range(4)]
    assert logs["auc_of_classes"] == pytest.approx(np.mean(each), abs=0.02)
    iou = sklearn.jaccard_score(labels, found, average="macro", **given)
    for name, theirs in [
        ("accuracy", sklearn.accuracy_score(labels, found, **given)),
        ("recall", sklearn.top_k_accuracy_score(labels, logits, k=2, **given)),
        ("f1_score", sklearn.f1_score(labels, found, average="macro", **given)),
        ("mean_iou", iou),
        ("one_hot_mean_iou", iou),
        ("cohen_kappa", sklearn.cohen_kappa_score(labels, found, **given)),
        ("matthews_correlation", sklearn.matthews_corrcoef(labels, found, **given)),
        ("crossentropy", logs["loss"]),
    ]:
        assert logs[name] == pytest.approx(theirs, abs=1e-6), name


def test_binary_metrics_beside_a_softmax_see_its_probabilities() -> None:
    random, logits, weights = draw()
    targets = np.eye(4)[random.integers(0, 4, 60)]
    found = logs_of(["binary_accuracy", "bce"], "categorical_crossentropy", targets, logits, "softmax", weights)
    p = np.asarray(jax.nn.softmax(logits))
    right = np.mean((p > 0.5) == (targets > 0.5), axis=1)
    assert found["binary_accuracy"] == pytest.approx(np.average(right, weights=weights), rel=1e-6)
    expected = np.mean(-targets * np.log(p) - (1 - targets) * np.log(1 - p), axis=1)
    assert found["bce"] == pytest.approx(np.average(expected, weights=weights), rel=1e-5)


def test_metrics_of_masked_sequences_and_several_outputs() -> None:
    random = np.random.default_rng(0)
    tokens, labels = random.integers(0, 9, (30, 7)), random.integers(0, 5, (30, 7))
    numbers = random.normal(size=30)
    x = jg.Input((7,), "int32", name="x")
    h = jg.layers.Embedding(9, 6, mask_zero=True)(x)
    tags = jg.layers.Dense(5, activation="softmax", name="tags")(h)
    model = jg.Model(x, {"tags": tags, "size": jg.layers.Dense(1)(jg.layers.GlobalAveragePooling1D()(h))})
    trainer = jg.Trainer(
        model,
        optax.sgd(0.1),
        loss={"tags": "sparse_categorical_crossentropy", "size": "mse"},
        metrics={"tags": ["perplexity", "f1_score"], "size": ["r2", "pearson_r"]},
    )
    train_state = trainer.init(jax.random.key(0))
    logs = trainer.evaluate(train_state, (tokens, {"tags": labels, "size": numbers}), batch_size=8)
    outputs: Any = trainer.predict(train_state, tokens)
    kept, p = tokens != 0, np.asarray(outputs["tags"], np.float64)  # masked steps are out
    p = p / p.sum(-1, keepdims=True)
    assert logs["tags/perplexity"] == pytest.approx(np.exp(sklearn.log_loss(labels[kept], p[kept])), rel=1e-5)
    f1 = sklearn.f1_score(labels[kept], p[kept].argmax(1), average="macro")
    assert logs["tags/f1_score"] == pytest.approx(f1, rel=1e-5)
    sizes = np.asarray(outputs["size"][:, 0], np.float64)
    assert logs["size/r2"] == pytest.approx(sklearn.r2_score(numbers, sizes), abs=1e-5)
    assert logs["size/pearson_r"] == pytest.approx(np.corrcoef(numbers, sizes)[0, 1], abs=1e-5)


def test_a_run_trains_with_metrics_that_merge_in_their_own_way() -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(50, 3)).astype("float32")
    targets = inputs.sum(1) + 10
    x = jg.Input((3,), name="x")
    metrics = ["r2", "spearman_correlation", "rmse"]
    trainer = jg.Trainer(jg.Model(x, jg.layers.Dense(1)(x)), optax.sgd(0.1), loss="mse", metrics=metrics)
    run = trainer.fit((inputs, targets), epochs=3, batch_size=16, validation_split=0.2, progress=False)
    logs = trainer.evaluate(run.train_state, (inputs[40:], targets[40:]), batch_size=7)
    assert logs["r2"] == pytest.approx(run.history["val_r2"][-1], rel=1e-5)
    assert logs["rmse"] == pytest.approx(np.sqrt(logs["loss"]), rel=1e-5)
    assert run.history["r2"][-1] > run.history["r2"][0]
    assert -1 <= run.history["spearman_correlation"][-1] <= 1
