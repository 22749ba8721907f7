"""Start values against the distributions that their names promise."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from keras.src.initializers.random_initializers import compute_fans
from scipy import stats

import jgraph as jg
from jgraph.errors import ShapeError
from jgraph.initializers import INITIALIZERS, draw, fans

SHAPE = (3, 3, 40, 60)  # a convolution's kernel: 21,600 elements
FAN_IN, FAN_OUT = 360, 540
VARIANCES = {"glorot": 2 / (FAN_IN + FAN_OUT), "he": 2 / FAN_IN, "lecun": 1 / FAN_IN}

CUT = stats.truncnorm(-2, 2)
DISTRIBUTIONS = {
    **{f"{k}_uniform": stats.uniform(-math.sqrt(3 * v), 2 * math.sqrt(3 * v)) for k, v in VARIANCES.items()},
    **{f"{k}_normal": stats.truncnorm(-2, 2, scale=math.sqrt(v) / CUT.std()) for k, v in VARIANCES.items()},
    "uniform": stats.uniform(-0.05, 0.1),
    "random_uniform": stats.uniform(-0.05, 0.1),
    "normal": stats.norm(scale=0.05),
    "random_normal": stats.norm(scale=0.05),
    "truncated_normal": stats.truncnorm(-2, 2, scale=0.05),
}


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_distribution(name: str, getkey: Callable[[], jax.Array]) -> None:
    """Mean, variance and bounds, and the whole distribution by Kolmogorov and Smirnov; the seed is fixed."""
    values = np.asarray(draw(name, getkey(), "kernel", SHAPE), "float64").ravel()
    law = DISTRIBUTIONS[name]
    assert abs(values.mean()) < 5 * law.std() / math.sqrt(values.size)
    assert abs(values.var() / law.var() - 1) < 5 * math.sqrt(2 / values.size)
    low, high = law.support()
    assert low * (1 + 1e-6) <= values.min()
    assert values.max() <= high * (1 + 1e-6)
    assert stats.kstest(values, law.cdf).pvalue > 0.001


def test_every_name_is_tested() -> None:
    assert set(INITIALIZERS) == {*DISTRIBUTIONS, "zeros", "ones", "orthogonal"}


@pytest.mark.parametrize("name", sorted(set(VARIANCES) | {"zeros", "ones"}))
def test_dtype_and_shape(name: str, getkey: Callable[[], jax.Array]) -> None:
    initializer = name if name in INITIALIZERS else f"{name}_uniform"
    for shape in ((), (1,), (7,), (3, 5), (2, 3, 4)):
        value = draw(initializer, getkey(), "leaf", shape)
        assert (value.shape, value.dtype) == (shape, "float32")
        if name in ("zeros", "ones"):
            np.testing.assert_array_equal(value, np.full(shape, float(name == "ones")))


@pytest.mark.parametrize("shape", [(6, 6), (3, 8), (8, 3), (2, 3, 4), (3, 3, 2, 5)], ids=str)
def test_orthogonal(shape: tuple[int, ...], getkey: Callable[[], jax.Array]) -> None:
    """Rows or columns, whichever are fewer, have length one and right angles."""
    matrix = np.asarray(draw("orthogonal", getkey(), "kernel", shape), "float64").reshape(-1, shape[-1])
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(wide @ wide.T, np.eye(len(wide)), atol=1e-6)


def test_orthogonal_matrices_have_no_preferred_sign(getkey: Callable[[], jax.Array]) -> None:
    corners = [float(draw("orthogonal", getkey(), "kernel", (3, 3))[0, 0]) for _ in range(40)]
    assert 8 < sum(corner > 0 for corner in corners) < 32


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (3, 4, 5), (3, 3, 4, 5)], ids=str)
def test_fans_are_those_of_keras(shape: tuple[int, ...]) -> None:
    assert fans(shape) == compute_fans(shape)


def test_leaves_do_not_depend_on_each_other() -> None:
    spec, key = jax.ShapeDtypeStruct((1, 4), "float32"), jax.random.key(0)
    whole = jg.layers.Dense(3, bias_initializer="normal").init(key, spec)[0]
    alone = jg.layers.Dense(3, use_bias=False).init(key, spec)[0]
    np.testing.assert_array_equal(whole["kernel"], alone["kernel"])
    assert len(np.unique(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(whole)]))) == 15


def test_a_function_of_the_users_own() -> None:
    layer = jg.layers.Dense(2, kernel_initializer=jax.nn.initializers.constant(3.0))
    params, _ = layer.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 4), "float32"))
    np.testing.assert_array_equal(params["kernel"], np.full((4, 2), 3.0))


@pytest.mark.parametrize(
    "wrong", [lambda key, shape: np.zeros(()), lambda key, shape: np.zeros(shape[::-1])], ids=["number", "turned"]
)
def test_a_function_that_gives_another_shape_is_named(wrong: Any) -> None:
    with pytest.raises(ShapeError, match=r"'kernel'.*of shape \(4, 2\).*\(key, shape\) -> array"):
        jg.layers.Dense(2, kernel_initializer=wrong)(jg.Input((4,)))
