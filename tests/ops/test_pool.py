"""Windows by slices against XLA's own: values, every derivative, `vmap`, and programs for several platforms."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jgraph.ops.pool import average_pool, max_pool
from jgraph.typing import Array

Pool = Callable[[Array], Array]

CASES = {
    "as far apart as long": ((2, 9, 3), (3,), (3,)),
    "overlapping": ((2, 9, 3), (3,), (1,)),
    "overlapping by one": ((2, 10, 3), (3,), (2,)),
    "with gaps": ((2, 10, 3), (2,), (3,)),
    "a window of all": ((2, 5, 3), (5,), (2,)),
    "longer than is sliced": ((2, 40, 3), (17,), (2,)),
    "further apart than is sliced": ((2, 600, 3), (2,), (290,)),
    "no batch": ((0, 9, 3), (3,), (2,)),
    "plane": ((2, 7, 6, 3), (2, 2), (2, 2)),
    "plane, overlapping": ((2, 7, 6, 3), (3, 3), (2, 2)),
    "plane, unequal": ((2, 7, 9, 2), (1, 5), (2, 3)),
    "space": ((2, 5, 4, 6, 2), (2, 3, 2), (2, 1, 3)),
}

cases = pytest.mark.parametrize(("shape", "window", "strides"), CASES.values(), ids=CASES)
paddings = pytest.mark.parametrize("padding", ["valid", "same"])


def reduced(x: Array, window: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    """The maxima as XLA's own operation finds them."""
    start: Any = np.array(-np.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min, x.dtype)
    return lax.reduce_window(x, start, lax.max, (1, *window, 1), (1, *strides, 1), padding.upper())


def averaged(x: Array, window: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    """The means from XLA's own sums."""
    sums = [
        lax.reduce_window(a, 0.0, lax.add, (1, *window, 1), (1, *strides, 1), padding.upper())
        for a in (x, jnp.ones_like(x))
    ]
    return sums[0] / sums[1]


def few_numbers(key: Array, shape: tuple[int, ...]) -> Array:
    """Mostly ties, as behind a relu, and one row of -inf."""
    x = jnp.round(jax.nn.relu(2 * jax.random.normal(key, shape)))
    return x.at[:1, :3].set(-jnp.inf)


def gradient(pool: Pool, x: Array) -> Array:
    """The gradient of a sum whose parts weigh differently."""
    return jax.vjp(pool, x)[1](jnp.arange(1.0, 1 + pool(x).size).reshape(pool(x).shape))[0]


@cases
@paddings
def test_maxima_and_their_gradients_are_those_of_xla(
    getkey: Callable[[], Array], shape: tuple[int, ...], window: tuple[int, ...], strides: tuple[int, ...], padding: str
) -> None:
    x = few_numbers(getkey(), shape)
    ours, theirs = (lambda x, f=f: f(x, window, strides, padding) for f in (max_pool, reduced))
    np.testing.assert_array_equal(jax.jit(ours)(x), theirs(x))
    np.testing.assert_allclose(jax.jit(gradient, static_argnums=0)(ours, x), gradient(theirs, x), rtol=1e-6)


@cases
@paddings
def test_means_and_their_gradients_are_those_of_xla(
    getkey: Callable[[], Array], shape: tuple[int, ...], window: tuple[int, ...], strides: tuple[int, ...], padding: str
) -> None:
    x = jax.random.normal(getkey(), shape)
    ours, theirs = (lambda x, f=f: f(x, window, strides, padding) for f in (average_pool, averaged))
    np.testing.assert_allclose(jax.jit(ours)(x), theirs(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.jit(gradient, static_argnums=0)(ours, x), gradient(theirs, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pools", [(max_pool, reduced), (average_pool, averaged)], ids=["max", "average"])
@paddings
def test_every_derivative_is_that_of_xla(getkey: Callable[[], Array], pools: tuple[Any, Any], padding: str) -> None:
    x, dx = jax.random.normal(getkey(), (2, 2, 5, 6, 2))
    ours, theirs = (lambda x, f=f: jnp.sum(jnp.sin(f(x, (3, 2), (2, 2), padding))) for f in pools)
    for derivative in (
        lambda f: jax.jvp(f, (x,), (dx,))[1],
        lambda f: jax.grad(f)(x),
        lambda f: jax.jvp(jax.grad(f), (x,), (dx,))[1],
        lambda f: jax.grad(lambda x: jnp.vdot(jax.grad(f)(x), dx))(x),
        lambda f: jax.grad(lambda x: jax.jvp(f, (x,), (dx,))[1])(x),
        lambda f: jax.grad(jax.checkpoint(f))(x),
    ):
        np.testing.assert_allclose(derivative(ours), derivative(theirs), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pool", [max_pool, average_pool])
@pytest.mark.parametrize("axis", [0, 2, 4])
def test_what_is_mapped_is_pooled_one_by_one(getkey: Callable[[], Array], pool: Any, axis: int) -> None:
    x = jax.random.normal(getkey(), (2, 7, 6, 3))
    many = jnp.stack([x, -x, 2 * x], axis)
    pooled = lambda x: pool(x, (3, 2), (2, 2), "same")  # noqa: E731
    for f in (pooled, lambda x: gradient(pooled, x)):
        np.testing.assert_allclose(
            jax.vmap(f, axis)(many), jnp.stack([f(a) for a in (x, -x, 2 * x)]), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_stays(getkey: Callable[[], Array], dtype: str) -> None:
    x = few_numbers(getkey(), (2, 7, 6, 3)).astype(dtype)
    y = max_pool(x, (2, 2), (2, 2), "same")
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, reduced(x, (2, 2), (2, 2), "same"))
    dx = jax.grad(lambda x: jnp.sum(max_pool(x, (2, 2), (2, 2), "valid").astype("float32")))(x)
    assert dx.dtype == dtype
    assert jnp.sum(dx.astype("float32")) == 2 * 3 * 3 * 3


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_integers_have_maxima_and_means(dtype: str) -> None:
    x = jnp.arange(2 * 7 * 6).reshape(2, 7, 6, 1).astype(dtype)
    np.testing.assert_array_equal(max_pool(x, (3, 2), (2, 2), "same"), reduced(x, (3, 2), (2, 2), "same"))
    assert average_pool(x, (3, 2), (2, 2), "same").dtype == "float32"


def test_a_window_with_nan_is_nan_and_no_other() -> None:
    x = jnp.array([1.0, jnp.nan, 2.0, 3.0, 5.0, 4.0]).reshape(1, 6, 1)
    pooled = lambda x: max_pool(x, (2,), (2,), "valid")  # noqa: E731
    np.testing.assert_array_equal(pooled(x)[0, :, 0], [np.nan, 3, 5])
    np.testing.assert_array_equal(gradient(pooled, x)[0, 2:, 0], [0, 2, 3, 0])


@pytest.mark.parametrize("pool", [max_pool, average_pool])
def test_one_program_serves_several_platforms(getkey: Callable[[], Array], pool: Any) -> None:
    x = jax.random.normal(getkey(), (2, 7, 6, 3))
    of_both = jax.jit(lambda x: gradient(lambda x: pool(x, (3, 3), (2, 2), "same"), x))
    exported = jax.export.export(of_both, platforms=("cpu", "cuda"))(x)
    np.testing.assert_allclose(exported.call(x), of_both(x), rtol=1e-6)
    on_gpu = jax.export.export(of_both, platforms=("cuda",))(x).mlir_module()
    on_cpu = jax.export.export(of_both, platforms=("cpu",))(x).mlir_module()
    one_operation = "select_and_scatter" if pool is max_pool else "reduce_window"
    assert one_operation in on_gpu
    assert one_operation not in on_cpu


@pytest.mark.parametrize("pool", [max_pool, average_pool])
def test_a_free_extent_is_left_to_xla(pool: Any) -> None:
    (n,) = jax.export.symbolic_shape("n")
    y = jax.eval_shape(lambda x: pool(x, (2,), (2,), "same"), jax.ShapeDtypeStruct((2, n, 3), "float32"))
    assert y.shape[1] == -(-n // 2)
