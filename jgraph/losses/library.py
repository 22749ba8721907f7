"""The losses as values with their usual options, by the names of Keras' functions, or optax'; and what strings name."""

from jgraph.losses.crossentropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    GeneralizedKLDivergence,
    KLDivergence,
    KLDivergenceWithLogTargets,
    PolyLossCrossEntropy,
    SigmoidFocalLoss,
    SparseCategoricalCrossentropy,
)
from jgraph.losses.loss import Loss
from jgraph.losses.margins import (
    CategoricalHinge,
    Hinge,
    MulticlassHingeLoss,
    MulticlassPerceptronLoss,
    MulticlassSparsemaxLoss,
    PerceptronLoss,
    SparsemaxLoss,
    SquaredHinge,
)
from jgraph.losses.overlap import BinaryDiceLoss, Dice, DiceLoss, MulticlassGeneralizedDiceLoss, Tversky
from jgraph.losses.regression import (
    CosineDistance,
    CosineSimilarity,
    Huber,
    L2Loss,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
)
from jgraph.losses.structured import CTC, Circle, Ntxent, RankingSoftmaxLoss

mean_squared_error = MeanSquaredError()
mean_absolute_error = MeanAbsoluteError()
mean_absolute_percentage_error = MeanAbsolutePercentageError()
mean_squared_logarithmic_error = MeanSquaredLogarithmicError()
l2_loss = L2Loss()
huber = Huber()
log_cosh = LogCosh()
poisson = Poisson()
cosine_similarity = CosineSimilarity()
cosine_distance = CosineDistance()

binary_crossentropy = BinaryCrossentropy()
binary_focal_crossentropy = BinaryFocalCrossentropy()
sigmoid_focal_loss = SigmoidFocalLoss()
categorical_crossentropy = CategoricalCrossentropy()
categorical_focal_crossentropy = CategoricalFocalCrossentropy()
sparse_categorical_crossentropy = SparseCategoricalCrossentropy()
categorical_generalized_cross_entropy = CategoricalGeneralizedCrossEntropy()
poly_loss_cross_entropy = PolyLossCrossEntropy()
kl_divergence = KLDivergence()
kl_divergence_with_log_targets = KLDivergenceWithLogTargets()
generalized_kl_divergence = GeneralizedKLDivergence()

hinge = Hinge()
squared_hinge = SquaredHinge()
categorical_hinge = CategoricalHinge()
perceptron_loss = PerceptronLoss()
sparsemax_loss = SparsemaxLoss()
multiclass_hinge_loss = MulticlassHingeLoss()
multiclass_perceptron_loss = MulticlassPerceptronLoss()
multiclass_sparsemax_loss = MulticlassSparsemaxLoss()

dice = Dice()
tversky = Tversky()
dice_loss = DiceLoss()
binary_dice_loss = BinaryDiceLoss()
multiclass_generalized_dice_loss = MulticlassGeneralizedDiceLoss()

ctc = CTC()
circle = Circle()
ntxent = Ntxent()
ranking_softmax_loss = RankingSoftmaxLoss()

VALUES: tuple[Loss, ...] = (
    *(mean_squared_error, mean_absolute_error, mean_absolute_percentage_error, mean_squared_logarithmic_error),
    *(l2_loss, huber, log_cosh, poisson, cosine_similarity, cosine_distance),
    *(binary_crossentropy, binary_focal_crossentropy, sigmoid_focal_loss),
    *(categorical_crossentropy, categorical_focal_crossentropy, sparse_categorical_crossentropy),
    *(categorical_generalized_cross_entropy, poly_loss_cross_entropy),
    *(kl_divergence, kl_divergence_with_log_targets, generalized_kl_divergence),
    *(hinge, squared_hinge, categorical_hinge, perceptron_loss, sparsemax_loss),
    *(multiclass_hinge_loss, multiclass_perceptron_loss, multiclass_sparsemax_loss),
    *(dice, tversky, dice_loss, binary_dice_loss, multiclass_generalized_dice_loss),
    *(ctc, circle, ntxent, ranking_softmax_loss),
)

SHORT = {
    "mse": mean_squared_error,
    "mae": mean_absolute_error,
    "mape": mean_absolute_percentage_error,
    "msle": mean_squared_logarithmic_error,
    "bce": binary_crossentropy,
    "kld": kl_divergence,
}
"""Keras' abbreviations, which may be written in capitals too."""

LOSSES: dict[str, Loss] = {
    **{str(loss.name): loss for loss in VALUES},
    **{type(loss).__name__: loss for loss in VALUES},
    **SHORT,
    **{name.upper(): loss for name, loss in SHORT.items()},
    "logcosh": log_cosh,
    "kullback_leibler_divergence": kl_divergence,
}
"""What strings name: functions and classes, and Keras' abbreviations."""
