"""Normalisation within rows against its formulas, its gradients where lengths are zero, and its dtypes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from tests.references import numpy_layers as reference

L = jg.layers
RANDOM = np.random.default_rng(0)
X: Any = (2 * RANDOM.normal(size=(3, 4, 6)) + 1).astype("float32")


def standardized(x: Any, axes: tuple[int, ...], epsilon: float) -> Any:
    x = x.astype("float64")
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


@pytest.mark.parametrize(("axis", "axes"), [(-1, (2,)), (1, (1,)), ([1, 2], (1, 2)), ((-1, -2), (1, 2))], ids=str)
def test_layer_normalization(axis: Any, axes: tuple[int, ...]) -> None:
    layer = L.LayerNormalization(axis=axis, epsilon=0.01)
    params, _ = layer.init(jax.random.key(0), jax.ShapeDtypeStruct(X.shape, X.dtype))
    params = jax.tree.map(lambda p: RANDOM.normal(size=p.shape).astype("float32"), params)
    gamma, beta = (params[n].reshape([X.shape[a] if a in axes else 1 for a in range(3)]) for n in ("gamma", "beta"))
    reference.assert_near(layer.apply(params, {}, X)[0], gamma * standardized(X, axes, 0.01) + beta)


@pytest.mark.parametrize("groups", [1, 2, 3, -1])
def test_group_normalization(groups: int) -> None:
    layer = L.GroupNormalization(groups)
    params = {n: RANDOM.normal(size=6).astype("float32") for n in ("gamma", "beta")}
    parts = np.split(X, 6 if groups == -1 else groups, axis=-1)
    want = params["gamma"] * np.concatenate([standardized(p, (1, 2), 1e-3) for p in parts], -1) + params["beta"]
    reference.assert_near(layer.apply(params, {}, X)[0], want)
    turned, _ = L.GroupNormalization(groups, axis=1).apply(params, {}, X.transpose(0, 2, 1))
    reference.assert_near(turned, want.transpose(0, 2, 1))


@pytest.mark.parametrize("layer", [L.LayerNormalization(), L.GroupNormalization(1), L.RMSNormalization()], ids=str)
def test_the_power_of_complex_numbers_is_that_of_their_lengths(layer: Any) -> None:
    x: Any = (X[:, 0] + 2j * X[:, 1]).astype("complex64")
    params, _ = layer.init(jax.random.key(0), jax.ShapeDtypeStruct(x.shape, x.dtype))
    away = x if isinstance(layer, L.RMSNormalization) else x - x.mean(1, keepdims=True)
    want = away / np.sqrt((np.abs(away) ** 2).mean(1, keepdims=True) + layer.epsilon)
    np.testing.assert_allclose(layer.apply(params, {}, x)[0], want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("axis", "axes"), [(-1, (2,)), (1, (1,)), ((1, 2), (1, 2))], ids=str)
def test_lengths(axis: Any, axes: tuple[int, ...]) -> None:
    """Along axis 1 Keras scales the wrong axis, or fails."""
    sizes = [X.shape[a] for a in axes]
    scale = RANDOM.normal(size=sizes).astype("float32")
    square = (X.astype("float64") ** 2).sum(axes, keepdims=True)
    lying = scale.reshape([X.shape[a] if a in axes else 1 for a in range(3)])
    scaled, _ = L.RMSNormalization(axis, epsilon=0.01).apply({"scale": scale}, {}, X)
    reference.assert_near(scaled, lying * X / np.sqrt(square / np.prod(sizes) + 0.01))
    reference.assert_near(L.UnitNormalization(axis).apply({}, {}, X)[0], X / np.sqrt(square))


def test_a_vector_of_zeros_stays_one_and_has_no_gradient() -> None:
    """Keras' gradient is NaN there: padding of zeros would spoil every weight."""
    x = jnp.zeros((2, 3)).at[0, 1].set(2.0)
    y, back = jax.vjp(lambda x: L.UnitNormalization().apply({}, {}, x)[0], x)
    np.testing.assert_array_equal(y, x / 2)
    (gradient,) = back(jnp.ones((2, 3)))
    np.testing.assert_allclose(gradient, [[0.5, 0, 0.5], [0, 0, 0]])


@pytest.mark.parametrize("name", ["LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization"])
def test_sums_of_narrow_dtypes_are_taken_in_float32(name: str) -> None:
    """Squares of a thousand are infinite in float16, and sums of many lose what bfloat16 cannot hold."""
    layer = L.GroupNormalization(2) if name == "GroupNormalization" else getattr(L, name)()
    x = 1000 * RANDOM.normal(size=(2, 512))
    params, _ = layer.init(jax.random.key(0), jax.ShapeDtypeStruct(x.shape, "float32"))
    want = np.asarray(layer.apply(params, {}, jnp.asarray(x, "float32"))[0], "float64")
    for dtype, tolerance in (("float16", 2e-3), ("bfloat16", 2e-2)):  # four units in the last place of each
        y, _ = layer.apply(params, {}, jnp.asarray(x, dtype))
        assert y.dtype == dtype
        reference.assert_near(y.astype("float32"), want, tolerance)


def test_a_mask_is_passed_on_and_integers_become_floats() -> None:
    x = L.Masking()(jg.Input((4, 6), name="x"))
    whole = jg.Input((4, 6), "int32", name="whole")
    for layer in (L.LayerNormalization(), L.GroupNormalization(3), L.RMSNormalization(), L.UnitNormalization()):
        assert layer(x).mask is x.mask
        assert layer(whole).dtype == "float32"
