"""A few cases for the runner: three that are equal, one that is not, and one whose layer cannot be made."""

from typing import Any

import numpy as np

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")


def cases() -> list[tuple[str, dict[str, Any], tuple, dict[str, Any]]]:
    dense = [("Dense", {"units": 2, "activation": name}, (X,), {}) for name in ("relu", "tanh")]
    return [
        *dense,
        ("Add", {}, ([X, X],), {"gradients": False}),
        ("GlobalAveragePooling1D", {}, (X,), {"mask": np.zeros((3, 5), bool)}),  # Keras' mean of nothing is NaN
        ("Dense", {"units": 0}, (X,), {}),
    ]
