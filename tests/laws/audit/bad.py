"""What is wrong for an argument, by what the argument is; and the error of each."""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import numpy as np

import jgraph as jg
from jgraph.errors import ArgumentError

ARRAY = np.array([1.0, 2.0])
ODD = (object(), {"a": 1}, b"x", 1j, ARRAY, int, {1})
"""Wrong for numbers, texts and functions alike."""

NO_DICT = (object(), b"x", 1j, ARRAY, int, {1})
"""Wrong for dicts."""

NUMBERS = (*ODD, math.nan, True, "1", ("a",), [[1], [2]])
"""Wrong for every number."""


@dataclasses.dataclass(frozen=True, eq=False)
class Bad:
    """Values that are refused, with an error of this class; `typos` with the name that was meant."""

    values: tuple[Any, ...]
    error: type[Exception] = ArgumentError
    typos: tuple[tuple[Any, str], ...] = ()


def numbers(*more: Any) -> Bad:
    return Bad((*NUMBERS, *more))


def choices(*more: Any, typo: str = "", meant: str = "") -> Bad:
    """Wrong for one of a few texts."""
    values = (*ODD, 5, True, math.nan, "nothing like it", ("a",), *more)
    return Bad(values, typos=((typo, meant),) if typo else ())


TEXT = Bad((*ODD, 5, True, None, "", ("a",)))
NAME = Bad((*ODD, 5, 0, True, "", "a/b", ("a",), []))
LOG = Bad((*ODD, 5, True, "", ("a",)))
FLAG = Bad((*ODD, 0, 1, None, "yes", 1.5, []))
POSITIVE = numbers(0, -1, 1.5, None, [2], math.inf)
COUNT = numbers(-1, 1.5, None, [2])
OPTIONAL = numbers(0, -1, 1.5, [2], math.inf)
"""Positive, or `None`."""
SIZES = numbers(0, -1, 1.5, None, (), (1, 2, 3, 4), (1.5,), [None])
STRIDES = numbers(0, -1, 1.5, (), (1, 2, 3, 4), (1.5,), [None])
AXIS = numbers(0, 1.5, None, (), [0])
AXES = numbers(0, 1.5, (), (1, 1), [None], [0, 1])
FRACTION = numbers(1.0, 1, -0.1, None, [0.5], math.inf)
FACTOR = numbers(-1.0, None, [1.0], math.inf)
POSITIVE_NUMBER = numbers(0, -1.0, None, [1.0])
NUMBER = numbers(None, [1.0])
BETWEEN = numbers(-0.1, 1.5, None, math.inf)
"""From 0 to 1."""

LAYER = jg.layers.Dense(2)
FUNCTION = Bad((*ODD, None, 5, "abs", LAYER, ("a",)))
OPTIONAL_FUNCTION = Bad((*ODD, 5, "abs", LAYER, ("a",)))
ACTIVATION = Bad((*ODD, 5, True, ["relu"], LAYER, jg.layers.ReLU), typos=(("rleu", "relu"),))
INITIALIZER = Bad((*ODD, 5, True, None, ["zeros"], LAYER), typos=(("zeroes", "zeros"),))
REGULARIZER = Bad((*ODD, 5, True, ["l2"], LAYER), typos=(("l22", "l2"),))
CONSTRAINT = Bad((*ODD, 5, True, ["l2"], LAYER), typos=(("nonneg", "non_neg"),))
PATH = Bad((*ODD, 5, True, None, "", ("a",)))
OPTIONAL_PATH = Bad((*ODD, 5, True, "", ("a",)))
MODE = choices(None, "", typo="mni", meant="min")

ROWS = jnp.ones((3, 3))
"""Other rows than those of a good call."""

BY_NAME: dict[str, Bad] = {
    # layers
    **dict.fromkeys(
        ["filters", "units", "groups", "depth_multiplier", "input_dim", "output_dim", "height", "width", "rank"],
        POSITIVE,
    ),
    **dict.fromkeys(["num_heads", "key_dim", "head_dim", "num_query_heads", "num_key_value_heads", "n"], POSITIVE),
    **dict.fromkeys(["value_dim", "sliding_window"], OPTIONAL),
    **dict.fromkeys(["kernel_size", "pool_size", "dilation_rate", "size"], SIZES),
    "strides": SIZES,
    "axis": AXES,
    **dict.fromkeys(["rate", "dropout", "recurrent_dropout", "momentum", "renorm_momentum"], FRACTION),
    **dict.fromkeys(["alpha", "l1", "l2", "negative_slope", "stddev", "threshold"], FACTOR),
    "epsilon": POSITIVE_NUMBER,
    "fill_value": NUMBER,
    "activation": ACTIVATION,
    "recurrent_activation": ACTIVATION,
    "padding": choices(None, "", typo="samee", meant="same"),
    "interpolation": choices(None, typo="biliner", meant="bilinear"),
    "fill_mode": choices(None, typo="constnt", meant="constant"),
    "value_range": Bad((*ODD, None, 5, "ab", (1,), (2, 2), (1, math.nan), ("a", "b"))),
    "factor": numbers(None, 2.5, (1,), (2.0, 1.0), ("a", "b"), [None]),
    "height_factor": numbers(None, 2.5, (1,), (2.0, 1.0), ("a", "b")),
    "width_factor": numbers(2.5, (1,), (2.0, 1.0), ("a", "b")),
    "noise_shape": Bad((*ODD, 5, True, "ab", (None, 0), (1.5,), (None, "a"))),
    "output_padding": numbers(-1, 1.5, 1, (1, 2, 3, 4), ("a",)),
    "cropping": numbers(-1, 1.5, None, (), (1, 2, 3, 4), ("a",)),
    "axes": numbers(0, 1.5, None, (), (1, 2, 3), (1, 0), ("a", "b")),
    # what is true or false
    **dict.fromkeys(
        (
            *("use_bias", "center", "scale", "renorm", "use_scale", "normalize", "mask_zero", "unit_forget_bias"),
            *("return_sequences", "return_state", "go_backwards", "unroll", "keepdims", "use_gate", "reset_after"),
            *("invert", "zero_output_for_mask", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"),
            *("mixes_rows", "from_logits", "from_sorted_ids", "multi_label", "sparse_y_true", "sparse_y_pred"),
            *("apply_class_balancing", "ignore_background", "remove_diagonal", "periodic", "swap", "best_only"),
            *("on_error", "restore_best", "graph", "text", "enabled", "gradients", "locate", "whole_epochs", "keep"),
            *("asynchronous", "replace"),
            *("kernels", "optional", "averaged", "partial"),
        ),
        FLAG,
    ),
    # losses and metrics
    "gamma": FACTOR,
    "beta": FACTOR,
    "smooth": FACTOR,
    "label_smoothing": BETWEEN,
    "ignore_class": numbers(1.5, [1]),
    "fn": FUNCTION,
    "link": choices("", typo="sotfmax", meant="softmax"),
    "direction": choices("", typo="mni", meant="min"),
    "targets": choices(None, typo="lables", meant="labels"),
    "thresholds": numbers(-0.5, 1.5, []),
    "class_id": numbers(-1, 1.5),
    "top_k": OPTIONAL,
    "num_classes": OPTIONAL,
    "num_thresholds": numbers(0, -1, 1.5, None),
    "target_class_ids": Bad((*ODD[:4], None, 5, "ab", [], [-1], [1.5], [True], ("a",))),
    "columns": OPTIONAL,
    "k": POSITIVE,
    # callbacks and balances
    "monitor": LOG,
    "mode": MODE,
    "patience": COUNT,
    "cooldown": COUNT,
    "start_from_epoch": COUNT,
    "min_delta": FACTOR,
    "every_steps": OPTIONAL,
    "every_epochs": POSITIVE,
    "max_to_keep": OPTIONAL,
    "directory": PATH,
    "path": PATH,
    "plot": OPTIONAL_PATH,
    "function": FUNCTION,
    "reason": Bad((*ODD, 5, None, True, ("a",))),
    "learning_rate": POSITIVE_NUMBER,
    "optimizer": Bad((*ODD, 5, None, "adam", LAYER, jg.layers.Dense)),
    "least": numbers(0, -1.0, None, 1.0, math.inf),
    "most": numbers(0, -1.0, None, 1e-8, math.inf),
    "steps": numbers(0, -1, 9, 1.5, None),
    # initializers
    "gain": NUMBER,
    "mean": NUMBER,
    "input_axes": Bad((*ODD, 5, True, "ab", (0,), [1.5])),
    "output_axes": Bad((*ODD, 5, True, "ab", (0,), [1.5])),
}
"""By the name of the parameter, which means the same in most places; `OF` has the others."""

BY_ENDING = {"_initializer": INITIALIZER, "_regularizer": REGULARIZER, "_constraint": CONSTRAINT}
