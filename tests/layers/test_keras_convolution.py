"""Convolutions as in Keras: outputs and gradients over sets of options in which each meets most of the others.

`scripts/compare/convolution.py` has the full product.
"""

from typing import Any

import keras
import numpy as np
import pytest

import jgraph as jg
from tests.references.keras_twin import check_twin, make_twin

INPUTS = {"1D": (2, 11, 4), "2D": (2, 8, 7, 4), "3D": (1, 5, 6, 4, 4)}
WEIGHTS = ("kernel", "bias", "depthwise", "pointwise")


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def check(name: str, config: dict[str, Any]) -> None:
    rank = next(rank for rank in INPUTS if rank in name)
    check_twin(name, config, normal(*INPUTS[rank]))


def label(value: Any) -> str | None:
    """A test's name from a configuration."""
    return "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else None


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("Conv1D", {"kernel_size": 3, "padding": "causal", "strides": 2, "groups": 2}),
        ("Conv1D", {"kernel_size": 2, "padding": "causal", "dilation_rate": 3, "use_bias": False}),
        ("Conv1D", {"kernel_size": 4, "padding": "same", "strides": 3, "activation": "tanh"}),
        ("Conv1D", {"kernel_size": 3, "padding": "valid", "dilation_rate": 2, "groups": 4}),
        ("Conv2D", {"kernel_size": 3, "padding": "same", "strides": 2, "groups": 4, "use_bias": False}),
        ("Conv2D", {"kernel_size": (1, 2), "padding": "valid", "strides": (2, 1), "groups": 2}),
        ("Conv2D", {"kernel_size": (3, 2), "padding": "same", "dilation_rate": (1, 2), "activation": "softmax"}),
        ("Conv2D", {"kernel_size": 2, "padding": "valid", "dilation_rate": 2}),
        ("Conv3D", {"kernel_size": (1, 2, 3), "padding": "same", "strides": (2, 1, 3), "groups": 2}),
        ("Conv3D", {"kernel_size": 2, "padding": "valid", "dilation_rate": (1, 2, 1), "activation": "relu"}),
    ],
    ids=label,
)
def test_convolutions(name: str, config: dict[str, Any]) -> None:
    check(name, {"filters": 8, **config})


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("Conv1DTranspose", {"kernel_size": 3, "padding": "same", "strides": 2}),
        ("Conv1DTranspose", {"kernel_size": 1, "padding": "same", "strides": 3, "use_bias": False}),
        ("Conv1DTranspose", {"kernel_size": 2, "padding": "valid", "strides": 3, "activation": "tanh"}),
        ("Conv1DTranspose", {"kernel_size": 4, "padding": "same", "strides": 3, "output_padding": 1}),
        ("Conv1DTranspose", {"kernel_size": 2, "padding": "same", "dilation_rate": 3, "output_padding": 0}),
        ("Conv2DTranspose", {"kernel_size": (4, 3), "padding": "valid", "strides": (2, 3), "output_padding": (0, 2)}),
        ("Conv2DTranspose", {"kernel_size": (2, 5), "padding": "same", "strides": (3, 2), "output_padding": (2, 1)}),
        ("Conv2DTranspose", {"kernel_size": 3, "padding": "same", "dilation_rate": (1, 2), "activation": "softmax"}),
        ("Conv2DTranspose", {"kernel_size": 2, "padding": "same", "output_padding": 0, "use_bias": False}),
        ("Conv3DTranspose", {"kernel_size": (1, 2, 3), "padding": "same", "strides": (1, 3, 2)}),
        ("Conv3DTranspose", {"kernel_size": 2, "padding": "valid", "dilation_rate": (2, 1, 1)}),
    ],
    ids=label,
)
def test_transposed_convolutions(name: str, config: dict[str, Any]) -> None:
    check(name, {"filters": 3, **config})


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("DepthwiseConv1D", {"kernel_size": 3, "padding": "same", "strides": 2, "depth_multiplier": 2}),
        ("DepthwiseConv1D", {"kernel_size": 2, "padding": "valid", "dilation_rate": 3, "use_bias": False}),
        ("DepthwiseConv2D", {"kernel_size": (3, 2), "padding": "valid", "strides": (1, 2), "activation": "tanh"}),
        ("DepthwiseConv2D", {"kernel_size": 2, "padding": "same", "dilation_rate": 2, "depth_multiplier": 3}),
        ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same", "strides": 2, "dilation_rate": (1, 2)}),
        ("SeparableConv1D", {"filters": 5, "kernel_size": 3, "padding": "same", "strides": 2, "use_bias": False}),
        ("SeparableConv1D", {"filters": 5, "kernel_size": 2, "dilation_rate": 2, "depth_multiplier": 2}),
        ("SeparableConv2D", {"filters": 5, "kernel_size": (2, 3), "padding": "same", "dilation_rate": (1, 2)}),
        (
            "SeparableConv2D",
            {"filters": 5, "kernel_size": 2, "strides": (3, 2), "depth_multiplier": 3, "activation": "softmax"},
        ),
    ],
    ids=label,
)
def test_convolutions_by_channel(name: str, config: dict[str, Any]) -> None:
    check(name, config)


@pytest.mark.parametrize("name", ["Conv1DTranspose", "DepthwiseConv1D", "SeparableConv1D"])
def test_penalties_and_constraints_find_their_weights(name: str) -> None:
    rank = next(rank for rank in INPUTS if rank in name)
    sizes = {"kernel_size": 2} | ({} if name.startswith("Depthwise") else {"filters": 4})
    fields = {f"{w}_regularizer": keras.regularizers.L2(n) for n, w in enumerate(WEIGHTS, 1)}
    fields |= {f"{w}_constraint": keras.constraints.MaxNorm(n) for n, w in enumerate(WEIGHTS, 1)}
    taken = {k: v for k, v in fields.items() if hasattr(getattr(jg.layers, name), k)}
    twin = make_twin(name, {**sizes, **taken}, (normal(*INPUTS[rank]),))
    for variable in twin.theirs.trainable_variables:
        variable.assign(twin.params[variable.name])
    np.testing.assert_allclose(twin.ours.regularization(twin.params), sum(twin.theirs.losses), rtol=1e-6)
    constrained = twin.ours.constrain(twin.params)
    for variable in twin.theirs.trainable_variables:
        want = variable.constraint(variable.value)
        np.testing.assert_allclose(constrained[variable.name], want, rtol=1e-6)
        assert not np.array_equal(want, twin.params[variable.name])
