"""Start values against the distributions that their names promise."""

import math
from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np
import pytest
from keras.src.initializers.random_initializers import compute_fans
from scipy import stats

import jgraph as jg
from jgraph import initializers
from jgraph.errors import ArgumentError, ShapeError
from jgraph.initializers.initializer import INITIALIZERS, draw
from jgraph.initializers.scaling import fans

KEY = jax.random.key(0)

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
    "variance_scaling": stats.truncnorm(-2, 2, scale=math.sqrt(1 / FAN_IN) / CUT.std()),
}
VALUES: dict[Any, Any] = {
    initializers.RandomNormal(1.0, 0.5): stats.norm(1.0, 0.5),
    initializers.TruncatedNormal(-1.0, 0.5): stats.truncnorm(-2, 2, -1.0, 0.5),
    initializers.RandomUniform(-1.0, 3.0): stats.uniform(-1.0, 4.0),
    initializers.VarianceScaling(2.0, "fan_out", "uniform"): stats.uniform(
        -math.sqrt(6 / FAN_OUT), 2 * math.sqrt(6 / FAN_OUT)
    ),
    initializers.VarianceScaling(0.5, "fan_avg", "untruncated_normal"): stats.norm(
        scale=math.sqrt(1 / (FAN_IN + FAN_OUT))
    ),
    initializers.VarianceScaling(3.0, "fan_in", "normal"): stats.truncnorm(
        -2, 2, scale=math.sqrt(3 / FAN_IN) / CUT.std()
    ),
    initializers.HeNormal((0, 1), (2, 3)): stats.truncnorm(-2, 2, scale=math.sqrt(2 / 9) / CUT.std()),
}


def named(value: Any) -> str:
    """A test's name: the initializer's; a distribution has none but its place in memory."""
    return "law" if hasattr(value, "support") else str(value)


@pytest.mark.parametrize(("initializer", "law"), [*DISTRIBUTIONS.items(), *VALUES.items()], ids=named)
def test_distribution(initializer: Any, law: Any, getkey: Callable[[], jax.Array]) -> None:
    """Mean, variance and bounds, and the whole distribution by Kolmogorov and Smirnov; the seed is fixed."""
    values = np.asarray(draw(initializer, getkey(), "kernel", SHAPE), "float64").ravel()
    assert abs(values.mean() - law.mean()) < 5 * law.std() / math.sqrt(values.size)
    assert abs(values.var() / law.var() - 1) < 5 * math.sqrt(2 / values.size)
    low, high = law.support()
    assert low - 1e-6 * abs(low) <= values.min()
    assert values.max() <= high + 1e-6 * abs(high)
    assert stats.kstest(values, law.cdf).pvalue > 0.001


def test_every_name_is_tested() -> None:
    assert set(INITIALIZERS) == {*DISTRIBUTIONS, "zeros", "ones", "constant", "identity", "orthogonal", "stft"}


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


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_names_and_arguments_are_those_of_keras(name: str) -> None:
    ours: Any = INITIALIZERS[name]()
    theirs: Any = keras.initializers.Constant() if name == "constant" else keras.initializers.get(name)
    expected = {k: getattr(theirs, k) for k in vars(ours)}
    assert type(ours).__name__ == type(theirs).__name__
    assert vars(ours) == expected


def test_every_initializer_of_keras_is_here() -> None:
    theirs = {kind.__name__ for kind in vars(keras.initializers).values() if isinstance(kind, type)}
    assert {kind.__name__ for kind in INITIALIZERS.values()} == theirs - {"Initializer"}


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (4, 2)], ids=str)
def test_identity(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(initializers.Identity(3.0)(KEY, shape), 3 * np.eye(shape[0], shape[1]))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"side": "imag"},
        {"window": None},
        {"window": "hamming", "scaling": "spectrum"},
        {"window": "hann", "scaling": None, "periodic": True},
        {"window": tuple(np.linspace(0.1, 1.0, 16).tolist())},
    ],
    ids=lambda options: "-".join(options) or "plain",
)
def test_short_time_fourier_transform_is_that_of_keras(options: dict[str, Any]) -> None:
    want: Any = keras.initializers.STFT(**options)((16, 1, 9))
    np.testing.assert_allclose(initializers.STFT(**options)(KEY, (16, 1, 9)), want, atol=1e-5)


# Typed as anything, so that the type checker lets wrong arguments pass.
layers: Any = jg.layers
lift: Any = initializers

WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: initializers.Constant(float("nan")), "Constant, value.*finite"),
    (lambda: lift.Constant("1"), "Constant, value.*got '1'"),
    (lambda: initializers.RandomNormal(stddev=-1.0), "RandomNormal, stddev.*at least 0"),
    (lambda: initializers.TruncatedNormal(stddev=-1.0), "TruncatedNormal, stddev"),
    (lambda: initializers.RandomUniform(1.0, 0.0), "minval of at most maxval"),
    (lambda: initializers.VarianceScaling(0.0), "VarianceScaling, scale.*positive"),
    (lambda: initializers.VarianceScaling(mode="fan_inn"), "mode.*Did you mean 'fan_in'"),
    (lambda: initializers.VarianceScaling(distribution="unifrom"), "distribution.*Did you mean 'uniform'"),
    (lambda: initializers.Orthogonal(float("inf")), "Orthogonal, gain"),
    (lambda: initializers.STFT("left"), "STFT, side"),
    (lambda: initializers.STFT(window="hanni"), "STFT, window"),
    (lambda: layers.Dense(2, kernel_initializer=initializers.Zeros), "kernel_initializer.*got"),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_wrong_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("name", "shape"),
    [("orthogonal", (3,)), ("identity", (2, 2, 2)), ("identity", (3,)), ("stft", (3, 3)), ("stft", (4, 1, 1))],
)
def test_shapes_that_cannot_be_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"expected a shape with"):
        draw(name, KEY, "leaf", shape)


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
