"""EinsumDense against loops, the start values of kernels of many axes, and free axes."""

import math
from typing import Any

import jax
import numpy as np
import pytest

import jgraph as jg
from tests.references import numpy_layers as reference

L = jg.layers
RANDOM = np.random.default_rng(0)


def test_values_against_loops() -> None:
    """Heads: y[b, t, h, e] = tanh(sum over n of x[b, t, n] kernel[n, h, e] + bias[h, 1])."""
    x: Any = RANDOM.normal(size=(2, 3, 4)).astype("float32")
    layer = L.EinsumDense("btn,nhe->bthe", (None, 5, 2), activation="tanh", bias_axes="h")
    params, _ = layer.init(jax.random.key(0), jax.ShapeDtypeStruct(x.shape, x.dtype))
    assert {name: leaf.shape for name, leaf in params.items()} == {"kernel": (4, 5, 2), "bias": (5, 1)}
    params = jax.tree.map(lambda p: RANDOM.normal(size=p.shape).astype("float32"), params)
    want = np.zeros((2, 3, 5, 2))
    for b, t, h, e in np.ndindex(*want.shape):
        total = sum(float(x[b, t, n]) * float(params["kernel"][n, h, e]) for n in range(4))
        want[b, t, h, e] = math.tanh(total + float(params["bias"][h, 0]))
    reference.assert_near(layer.apply(params, {}, x)[0], want)


@pytest.mark.parametrize(
    ("equation", "shape", "output_shape", "fan_in", "fan_out"),
    [
        ("abc,cde->abde", (2, 40), (None, 20, 10), 40, 200),
        ("abcd,cde->abe", (2, 20, 10), (None, 40), 200, 40),
        ("abc,ecd->abde", (2, 40), (None, 10, 20), 40, 200),
    ],
    ids=str,
)
def test_scales_count_what_is_summed_over_as_inputs(
    equation: str, shape: tuple[int, ...], output_shape: Any, fan_in: int, fan_out: int
) -> None:
    """Of the shape alone the fans of (20, 10, 40) would be 200 and 800."""
    spec = jg.Input(shape).spec
    scaled = jg.initializers.VarianceScaling
    scales: dict[Any, float] = {
        "glorot_uniform": 6 / (fan_in + fan_out),
        jg.initializers.HeUniform(): 6 / fan_in,
        scaled(1.0, "fan_out", "uniform"): 3 / fan_out,
    }
    first = L.EinsumDense(equation, output_shape).init(jax.random.key(0), spec)[0]["kernel"].shape[0]
    scales[scaled(1.0, "fan_in", "uniform", (0,), (1,))] = 3 / first  # axes that are given stay
    for name, square in scales.items():
        layer = L.EinsumDense(equation, output_shape, kernel_initializer=name)
        largest = np.abs(layer.init(jax.random.key(0), spec)[0]["kernel"]).max()
        assert 0.99 * math.sqrt(square) < largest <= math.sqrt(square) * (1 + 1e-6)


def test_a_dense_layer_in_letters_starts_as_one() -> None:
    spec = jax.ShapeDtypeStruct((1, 5), "float32")
    letters = L.EinsumDense("ab,bc->ac", 4).init(jax.random.key(0), spec)[0]
    np.testing.assert_array_equal(letters["kernel"], L.Dense(4).init(jax.random.key(0), spec)[0]["kernel"])


def test_axes_that_no_weight_has_may_be_free() -> None:
    x = jg.Input((None, None, 8), name="x")
    assert str(L.EinsumDense("...x,xy->...y", 4, bias_axes="y")(x)).endswith(", 4]>")
    model = jg.Model(x, L.EinsumDense("abcd,de->abce", (None, None, 4))(x))
    params, state = model.init(jax.random.key(0))
    assert model.apply(params, state, np.ones((2, 3, 5, 8), "float32"))[0].shape == (2, 3, 5, 4)


def test_a_size_that_the_input_has_need_not_be_said() -> None:
    """Keras needs it where the kernel has the axis too."""
    params, _ = L.EinsumDense("abc,bd->adc", (4, None)).init(jax.random.key(0), jg.Input((3, 2)).spec)
    assert params["kernel"].shape == (3, 4)
    assert L.EinsumDense("abc,bcd->abd", (None, 4))(jg.Input((3, 2))).shape[1:] == (3, 4)
