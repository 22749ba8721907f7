"""Losses: values per example, by Keras' names, and optax'."""

from jgraph.losses.crossentropy import BinaryCrossentropy as BinaryCrossentropy
from jgraph.losses.crossentropy import (
    BinaryFocalCrossentropy as BinaryFocalCrossentropy,
)
from jgraph.losses.crossentropy import (
    CategoricalCrossentropy as CategoricalCrossentropy,
)
from jgraph.losses.crossentropy import (
    CategoricalFocalCrossentropy as CategoricalFocalCrossentropy,
)
from jgraph.losses.crossentropy import (
    CategoricalGeneralizedCrossEntropy as CategoricalGeneralizedCrossEntropy,
)
from jgraph.losses.crossentropy import (
    GeneralizedKLDivergence as GeneralizedKLDivergence,
)
from jgraph.losses.crossentropy import KLDivergence as KLDivergence
from jgraph.losses.crossentropy import (
    KLDivergenceWithLogTargets as KLDivergenceWithLogTargets,
)
from jgraph.losses.crossentropy import PolyLossCrossEntropy as PolyLossCrossEntropy
from jgraph.losses.crossentropy import SigmoidFocalLoss as SigmoidFocalLoss
from jgraph.losses.crossentropy import (
    SparseCategoricalCrossentropy as SparseCategoricalCrossentropy,
)
from jgraph.losses.library import LOSSES as LOSSES
from jgraph.losses.library import binary_crossentropy as binary_crossentropy
from jgraph.losses.library import binary_dice_loss as binary_dice_loss
from jgraph.losses.library import binary_focal_crossentropy as binary_focal_crossentropy
from jgraph.losses.library import categorical_crossentropy as categorical_crossentropy
from jgraph.losses.library import (
    categorical_focal_crossentropy as categorical_focal_crossentropy,
)
from jgraph.losses.library import (
    categorical_generalized_cross_entropy as categorical_generalized_cross_entropy,
)
from jgraph.losses.library import categorical_hinge as categorical_hinge
from jgraph.losses.library import circle as circle
from jgraph.losses.library import cosine_distance as cosine_distance
from jgraph.losses.library import cosine_similarity as cosine_similarity
from jgraph.losses.library import ctc as ctc
from jgraph.losses.library import dice as dice
from jgraph.losses.library import dice_loss as dice_loss
from jgraph.losses.library import generalized_kl_divergence as generalized_kl_divergence
from jgraph.losses.library import hinge as hinge
from jgraph.losses.library import huber as huber
from jgraph.losses.library import kl_divergence as kl_divergence
from jgraph.losses.library import (
    kl_divergence_with_log_targets as kl_divergence_with_log_targets,
)
from jgraph.losses.library import l2_loss as l2_loss
from jgraph.losses.library import log_cosh as log_cosh
from jgraph.losses.library import mean_absolute_error as mean_absolute_error
from jgraph.losses.library import (
    mean_absolute_percentage_error as mean_absolute_percentage_error,
)
from jgraph.losses.library import mean_squared_error as mean_squared_error
from jgraph.losses.library import (
    mean_squared_logarithmic_error as mean_squared_logarithmic_error,
)
from jgraph.losses.library import (
    multiclass_generalized_dice_loss as multiclass_generalized_dice_loss,
)
from jgraph.losses.library import multiclass_hinge_loss as multiclass_hinge_loss
from jgraph.losses.library import (
    multiclass_perceptron_loss as multiclass_perceptron_loss,
)
from jgraph.losses.library import multiclass_sparsemax_loss as multiclass_sparsemax_loss
from jgraph.losses.library import ntxent as ntxent
from jgraph.losses.library import perceptron_loss as perceptron_loss
from jgraph.losses.library import poisson as poisson
from jgraph.losses.library import poly_loss_cross_entropy as poly_loss_cross_entropy
from jgraph.losses.library import ranking_softmax_loss as ranking_softmax_loss
from jgraph.losses.library import sigmoid_focal_loss as sigmoid_focal_loss
from jgraph.losses.library import (
    sparse_categorical_crossentropy as sparse_categorical_crossentropy,
)
from jgraph.losses.library import sparsemax_loss as sparsemax_loss
from jgraph.losses.library import squared_hinge as squared_hinge
from jgraph.losses.library import tversky as tversky
from jgraph.losses.loss import Loss as Loss
from jgraph.losses.margins import CategoricalHinge as CategoricalHinge
from jgraph.losses.margins import Hinge as Hinge
from jgraph.losses.margins import MulticlassHingeLoss as MulticlassHingeLoss
from jgraph.losses.margins import MulticlassPerceptronLoss as MulticlassPerceptronLoss
from jgraph.losses.margins import MulticlassSparsemaxLoss as MulticlassSparsemaxLoss
from jgraph.losses.margins import PerceptronLoss as PerceptronLoss
from jgraph.losses.margins import SparsemaxLoss as SparsemaxLoss
from jgraph.losses.margins import SquaredHinge as SquaredHinge
from jgraph.losses.overlap import BinaryDiceLoss as BinaryDiceLoss
from jgraph.losses.overlap import Dice as Dice
from jgraph.losses.overlap import DiceLoss as DiceLoss
from jgraph.losses.overlap import (
    MulticlassGeneralizedDiceLoss as MulticlassGeneralizedDiceLoss,
)
from jgraph.losses.overlap import Tversky as Tversky
from jgraph.losses.regression import CosineDistance as CosineDistance
from jgraph.losses.regression import CosineSimilarity as CosineSimilarity
from jgraph.losses.regression import Huber as Huber
from jgraph.losses.regression import L2Loss as L2Loss
from jgraph.losses.regression import LogCosh as LogCosh
from jgraph.losses.regression import MeanAbsoluteError as MeanAbsoluteError
from jgraph.losses.regression import (
    MeanAbsolutePercentageError as MeanAbsolutePercentageError,
)
from jgraph.losses.regression import MeanSquaredError as MeanSquaredError
from jgraph.losses.regression import (
    MeanSquaredLogarithmicError as MeanSquaredLogarithmicError,
)
from jgraph.losses.regression import Poisson as Poisson
from jgraph.losses.structured import CTC as CTC
from jgraph.losses.structured import Circle as Circle
from jgraph.losses.structured import Ntxent as Ntxent
from jgraph.losses.structured import RankingSoftmaxLoss as RankingSoftmaxLoss
from jgraph.losses.structured import TripletMarginLoss as TripletMarginLoss
