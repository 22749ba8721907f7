"""Activation functions against their formulas in float64."""

import math
from collections.abc import Callable

import jax
import numpy as np
import pytest

from jgraph.errors import ArgumentError
from jgraph.ops.activations import ACTIVATIONS, activation, check_activation

X = np.random.default_rng(0).normal(size=(4, 9)) * 3


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(x))


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.exp(x) - 1)


def selu(x: np.ndarray) -> np.ndarray:
    """The constants of Klambauer et al. 2017, for which mean 0 and variance 1 are a fixed point."""
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1))


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.clip(x / 6 + 0.5, 0, 1)


FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "sigmoid": sigmoid,
    "log_sigmoid": lambda x: np.log(sigmoid(x)),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "hard_sigmoid": hard_sigmoid,
    "tanh": np.tanh,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "softmax": softmax,
    "log_softmax": lambda x: np.log(softmax(x)),
    "softplus": softplus,
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x)),
    "squareplus": lambda x: (x + np.sqrt(x**2 + 4)) / 2,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(x),
    "hard_silu": lambda x: x * hard_sigmoid(x),
    "hard_swish": lambda x: x * hard_sigmoid(x),
    "elu": elu,
    "celu": elu,
    "selu": selu,
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
    "mish": lambda x: x * np.tanh(softplus(x)),
    "exponential": np.exp,
}


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_values(name: str) -> None:
    want = FORMULAS[name](X)
    np.testing.assert_allclose(activation(name)(X.astype("float32")), want, rtol=1e-5, atol=1e-5)


def test_none_is_linear_and_functions_are_themselves() -> None:
    assert activation(None) is activation("linear")
    assert activation(jax.nn.relu) is jax.nn.relu


def test_a_typo_is_named() -> None:
    check_activation("Dense", activation=None)
    check_activation("Dense", activation=jax.nn.relu)
    with pytest.raises(ArgumentError, match=r"Dense, activation.*'sigmiod'.*Did you mean 'sigmoid'"):
        check_activation("Dense", activation="sigmiod")
