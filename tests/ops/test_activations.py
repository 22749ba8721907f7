"""Activation functions against their formulas in float64: values, slopes, the joints of their pieces, narrow dtypes."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError
from jgraph.ops.activations import ACTIVATIONS, activation, check_activation, sparsemax, threshold

JOINTS = np.array([-6.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0])
"""Where pieces of some function meet; what follows covers the rest."""

X = np.concatenate([JOINTS, [-100.0, -20.0, 20.0, 100.0], np.random.default_rng(0).normal(size=35) * 3])
ROWS = np.random.default_rng(1).normal(size=(5, 6)) * 3


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softmax(x: np.ndarray) -> np.ndarray:
    shares = np.exp(x - x.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def selu(x: np.ndarray) -> np.ndarray:
    """The constants of Klambauer et al. 2017, for which mean 0 and variance 1 are a fixed point."""
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * elu(x))


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.clip(x / 6 + 0.5, 0, 1)


def nearest_of_simplex(x: np.ndarray) -> np.ndarray:
    """By bisection: how much to take away so that what is left above zero sums to 1."""
    low, high = x.min(-1, keepdims=True) - 1, x.max(-1, keepdims=True)
    for _ in range(100):
        middle = (low + high) / 2
        more = np.maximum(x - middle, 0).sum(-1, keepdims=True) > 1
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return np.maximum(x - low, 0)


FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "sigmoid": sigmoid,
    "log_sigmoid": lambda x: -softplus(-x),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "hard_sigmoid": hard_sigmoid,
    "tanh": np.tanh,
    "tanh_shrink": lambda x: x - np.tanh(x),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_shrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "soft_shrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "softplus": softplus,
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x)),
    "squareplus": lambda x: np.where(x < 0, 2 / (np.sqrt(x**2 + 4) - x), (x + np.sqrt(x**2 + 4)) / 2),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(x),
    "hard_silu": lambda x: x * hard_sigmoid(x),
    "hard_swish": lambda x: x * hard_sigmoid(x),
    "elu": elu,
    "celu": elu,
    "selu": selu,
    "gelu": lambda x: x * np.vectorize(math.erfc)(-x / math.sqrt(2)) / 2,
    "mish": lambda x: x * np.tanh(softplus(x)),
    "exponential": np.exp,
}
"""Functions of single numbers."""

OF_ROWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "softmax": softmax,
    "log_softmax": lambda x: (
        x - x.max(-1, keepdims=True) - np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1))[:, None]
    ),
    "sparsemax": nearest_of_simplex,
    "glu": lambda x: x[..., :3] * sigmoid(x[..., 3:]),
}
"""Functions of the last axis."""

by_name = pytest.mark.parametrize("name", sorted(FORMULAS))
rows_by_name = pytest.mark.parametrize("name", sorted(OF_ROWS))


def test_every_name_has_a_formula() -> None:
    assert {*FORMULAS, *OF_ROWS} == {*ACTIVATIONS}


@by_name
def test_values_and_slopes(name: str) -> None:
    """In float64: slopes are differences of the formula within pieces, at a joint those beside it or between them."""
    step = 1e-6
    before, want, after = (FORMULAS[name](X + h) for h in (-step, 0.0, step))
    with jax.enable_x64(True):
        y, slopes = map(np.asarray, jax.jit(jax.vmap(jax.value_and_grad(activation(name))))(X))
    np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-14)
    smooth = ~np.isin(X, JOINTS)
    np.testing.assert_allclose(slopes[smooth], ((after - before) / (2 * step))[smooth], rtol=1e-6, atol=1e-8)
    sides = np.stack([want - before, after - want]) / step
    jumps = np.abs(sides).max(0) > 1e5 if name == "hard_shrink" else np.zeros(X.shape, bool)
    assert set(X[jumps]) == ({-0.5, 0.5} if name == "hard_shrink" else set())
    sides[:, jumps] = [[0.0], [1.0]]
    room = 3e-6 * (1 + np.abs(slopes))
    assert np.all((slopes >= sides.min(0) - room) & (slopes <= sides.max(0) + room))


@by_name
def test_values_in_float32_and_slopes_far_out(name: str) -> None:
    """Within few roundings of 2^-24 of what goes in or comes out; and no slope is 0 times infinity."""
    x = np.concatenate([X, [-1e4, 1e4]]).astype("float32")
    y, slopes = map(np.asarray, jax.jit(jax.vmap(jax.value_and_grad(activation(name))))(x))
    with np.errstate(over="ignore"):
        exact = FORMULAS[name](x.astype("float64"))
    finite = exact < 3e38
    assert np.all(y[~finite] == np.inf)
    assert np.all(np.isfinite(slopes[finite]))
    x, y, exact = x[finite], y[finite], exact[finite]
    assert np.all(np.abs(y - exact) <= 4 * 2.0**-24 * (1 + np.abs(x) + np.abs(exact)))


@rows_by_name
def test_values_and_slopes_of_rows(name: str) -> None:
    formula, cotangent = OF_ROWS[name], np.cos(np.arange(30.0)).reshape(5, 6)
    want = formula(ROWS)
    with jax.enable_x64(True):
        y, pull = jax.vjp(activation(name), ROWS)
        np.testing.assert_allclose(y, want, rtol=1e-10, atol=1e-12)
        (slopes,) = pull(jnp.asarray(cotangent[:, : want.shape[1]]))
    differences = np.zeros_like(ROWS)
    for i in range(6):
        step = 1e-6 * np.eye(6)[i]
        moved = (formula(ROWS + step) - formula(ROWS - step)) / 2e-6
        differences[:, i] = (moved * cotangent[:, : want.shape[1]]).sum(-1)
    np.testing.assert_allclose(slopes, differences, rtol=1e-6, atol=1e-7)
    y = activation(name)(jnp.asarray(ROWS, "float32"))
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-6)
    far = activation(name)(jnp.array([[1e4, -1e4, 1e4, 0.0]]))
    assert np.all(np.isfinite(far))


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_narrow_dtypes_are_kept_and_within_their_rounding(name: str) -> None:
    """A bfloat16 has 8 bits: each of a handful of operations may be off by 2^-9 of what it is about."""
    x = (ROWS if name in OF_ROWS else X[np.abs(X) < 50]).astype(jnp.bfloat16)
    y = activation(name)(jnp.asarray(x))
    assert y.dtype == jnp.bfloat16
    exact = ({**FORMULAS, **OF_ROWS}[name])(x.astype("float64"))
    size = np.abs(exact) + (np.abs(x.astype("float64")) if y.shape == x.shape else 1.0)
    assert np.all(np.abs(np.asarray(y, "float64") - exact) <= 4 * 2.0**-9 * (1 + size))


@pytest.mark.parametrize("row", [[1.0, 1.0], [2.0, 2.0], [0.3, 0.5, 0.4], [5.0, 0.0], [-100.0, 100.0], [7.0]], ids=str)
def test_sparsemax_is_a_share_of_one(row: list[float]) -> None:
    y = np.asarray(sparsemax(jnp.array([row])))
    np.testing.assert_allclose(y, nearest_of_simplex(np.array([row])), atol=1e-6)
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-6)


def test_sparsemax_over_another_axis_and_with_what_is_no_number() -> None:
    for axis in (0, 1, -2, -1):
        turned = np.moveaxis(nearest_of_simplex(np.moveaxis(ROWS, axis, -1)), -1, axis)
        np.testing.assert_allclose(sparsemax(jnp.asarray(ROWS, "float32"), axis), turned, atol=1e-6)
    y = np.asarray(sparsemax(jnp.array([[1.0, np.nan], [1.0, 2.0]])))
    assert np.isnan(y[0]).all()
    assert not np.isnan(y[1]).any()


def test_threshold() -> None:
    with jax.enable_x64(True):
        function = functools.partial(threshold, threshold=0.5, default_value=-2.0)
        np.testing.assert_array_equal(function(jnp.asarray(X)), np.where(X > 0.5, X, -2.0))
        np.testing.assert_array_equal(jax.vmap(jax.grad(function))(X), X > 0.5)


def test_none_is_linear_and_functions_are_themselves() -> None:
    assert activation(None) is activation("linear")
    assert activation(jax.nn.relu) is jax.nn.relu


def test_a_typo_is_named() -> None:
    for value in (None, jax.nn.relu, functools.partial(jax.nn.elu, alpha=0.5), abs):
        check_activation("Dense", activation=value)
    with pytest.raises(ArgumentError, match=r"Dense, activation.*'sigmiod'.*Did you mean 'sigmoid'"):
        check_activation("Dense", activation="sigmiod")


@pytest.mark.parametrize(
    "value", ["threshold", jg.layers.Activation, jg.layers.Activation("relu"), ["relu"], 3], ids=str
)
def test_what_is_no_function_of_arrays_is_refused(value: object) -> None:
    with pytest.raises(ArgumentError, match=r"Dense, activation.*functools.partial\(jax.nn.leaky_relu"):
        check_activation("Dense", activation=value)  # pyright: ignore[reportArgumentType]
