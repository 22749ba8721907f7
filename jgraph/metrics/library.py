"""The metrics by name: Keras' class names, the same in snake_case, and the short ones."""

import dataclasses
from typing import Any

from jgraph.errors import ArgumentError, LossError, listing, nearest
from jgraph.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from jgraph.metrics.correlation import (
    ConcordanceCorrelation,
    PearsonCorrelation,
    PearsonR,
    R2Score,
    SpearmanCorrelation,
)
from jgraph.metrics.counts import (
    F1Score,
    FalseNegatives,
    FalsePositives,
    FBetaScore,
    Precision,
    Recall,
    Specificity,
    TrueNegatives,
    TruePositives,
)
from jgraph.metrics.matrix import BalancedAccuracy, CohenKappa, MatthewsCorrelation
from jgraph.metrics.metric import Mean, Metric
from jgraph.metrics.overlap import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from jgraph.metrics.probabilistic import (
    BinaryCrossentropy,
    BrierScore,
    CategoricalCrossentropy,
    KLDivergence,
    Perplexity,
    Poisson,
    SparseCategoricalCrossentropy,
)
from jgraph.metrics.regression import (
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    Huber,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    RootMeanSquaredError,
    SquaredHinge,
)
from jgraph.metrics.thresholds import (
    AUC,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)

NAMES: dict[type[Metric], tuple[str, ...]] = {
    Accuracy: (),
    BinaryAccuracy: (),
    CategoricalAccuracy: (),
    SparseCategoricalAccuracy: (),
    TopKCategoricalAccuracy: (),
    SparseTopKCategoricalAccuracy: (),
    BalancedAccuracy: (),
    BinaryCrossentropy: ("bce", "BCE"),
    CategoricalCrossentropy: (),
    SparseCategoricalCrossentropy: (),
    KLDivergence: ("kld", "KLD", "kullback_leibler_divergence"),
    Poisson: (),
    Perplexity: (),
    BrierScore: (),
    MeanSquaredError: ("mse", "MSE"),
    RootMeanSquaredError: ("rmse", "RMSE"),
    MeanAbsoluteError: ("mae", "MAE"),
    MeanAbsolutePercentageError: ("mape", "MAPE"),
    MeanSquaredLogarithmicError: ("msle", "MSLE"),
    LogCoshError: ("log_cosh_error", "log_cosh"),
    Huber: (),
    CosineSimilarity: (),
    R2Score: ("r2",),
    PearsonCorrelation: (),
    ConcordanceCorrelation: (),
    PearsonR: (),
    SpearmanCorrelation: (),
    Hinge: (),
    SquaredHinge: (),
    CategoricalHinge: (),
    AUC: (),
    TruePositives: (),
    FalsePositives: (),
    TrueNegatives: (),
    FalseNegatives: (),
    Precision: (),
    Recall: (),
    Specificity: (),
    F1Score: ("f1",),
    FBetaScore: ("f_beta_score",),
    MatthewsCorrelation: (),
    CohenKappa: (),
    BinaryIoU: ("binary_iou",),
    MeanIoU: ("mean_iou",),
    OneHotMeanIoU: ("one_hot_mean_iou",),
}
"""The classes that can be named, with what they are called beside `ClassName` and `class_name`."""

NEED_ARGUMENTS: dict[str, str] = {
    kind.__name__: call
    for kind, call in {
        SensitivityAtSpecificity: "SensitivityAtSpecificity(0.9)",
        SpecificityAtSensitivity: "SpecificityAtSensitivity(0.9)",
        PrecisionAtRecall: "PrecisionAtRecall(0.9)",
        RecallAtPrecision: "RecallAtPrecision(0.9)",
        IoU: "IoU(num_classes=2, target_class_ids=[1])",
        OneHotIoU: "OneHotIoU(num_classes=2, target_class_ids=[1])",
    }.items()
}
"""The classes that a name alone does not describe, and how they are written."""


def _table() -> dict[str, Metric]:
    table: dict[str, Metric] = {}
    for kind, names in NAMES.items():
        make: Any = kind  # all of its arguments have defaults
        metric: Metric = make()
        table |= dict.fromkeys((kind.__name__, metric.name, *names), metric)
    return table


METRICS: dict[str, Metric] = _table()
"""What strings name. `accuracy` and `acc`, `crossentropy` and `ce`, mean the one that fits the output's loss."""

BY_LOSS: dict[str, dict[tuple[str | None, str], str]] = {
    word: {
        ("sigmoid", "same"): binary,
        ("softmax", "same"): categorical,
        ("softmax", "labels"): f"sparse_{categorical}",
    }
    for words, binary, categorical in (
        (("accuracy", "acc"), "binary_accuracy", "categorical_accuracy"),
        (("crossentropy", "ce"), "binary_crossentropy", "categorical_crossentropy"),
    )
    for word in words
}
"""The metrics that words mean, by the link and the targets of the output's loss."""


def resolve(where: str, value: Any, loss: Any) -> Metric:
    """A metric from its name, from a `Metric`, or from any function (targets, outputs) -> per-example values.

    `loss` is that of the output, or `None`: it says how targets look, and which metric `accuracy` and `crossentropy`
    are. A metric that was named is called as it was named.

    Raises:
        ArgumentError: it is none; the nearest name is suggested.
        LossError: it is for other targets than the loss.
    """
    if isinstance(value, str) and value.lower() in BY_LOSS:
        return dataclasses.replace(METRICS[_by_loss(where, value, loss)], name=value)
    if isinstance(value, str) and value in METRICS:
        metric = dataclasses.replace(METRICS[value], name=value)
    elif isinstance(value, Metric):
        metric = value
    elif callable(value) and not isinstance(value, type):
        metric = Mean(value, name=getattr(value, "__name__", "metric"), targets="free", mixes_rows=True)
    else:
        raise _unknown(where, value)
    fitting = metric.for_targets(loss.targets if loss else "free")
    if loss and fitting is None:
        raise LossError(
            where,
            expected=f"a metric of the targets of {loss.name} ({loss.targets})",
            got=f"{metric.name!r}, whose targets are other ones ({metric.targets})",
            cure="Choose a metric for these targets, such as 'accuracy'.",
        )
    return fitting or metric


def _by_loss(where: str, word: str, loss: Any) -> str:
    table = BY_LOSS[word.lower()]
    if loss is None or (loss.link, loss.targets) not in table:
        raise LossError(
            where,
            expected=f"a cross-entropy, whose {word} is known",
            got=f"{word} beside {loss.name if loss else 'no loss'}",
            cure=f"Name the metric: {listing(table.values())}.",
        )
    return table[loss.link, loss.targets]


def _unknown(where: str, value: Any) -> ArgumentError:
    names = [*METRICS, *BY_LOSS]
    kinds = {kind.__name__: f"{kind.__name__}()" for kind in NAMES} | NEED_ARGUMENTS
    snake = {call.split("(")[0].lower(): call for call in kinds.values()}
    written = getattr(value, "__name__", value)
    if call := snake.get(str(written).lower().replace("_", "")):
        cure = f"Write jg.metrics.{call}."
    else:
        known = dict.fromkeys([*BY_LOSS, *(metric.name for metric in METRICS.values())])
        cure = f"{nearest(value, names)}Known: {listing(known, 60)}."
    return ArgumentError(
        where,
        expected="the name of a metric, a Metric, or a function (targets, outputs) -> per-example values",
        got=repr(value),
        cure=cure,
    )
