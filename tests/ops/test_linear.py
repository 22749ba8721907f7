"""`linear`: forward and reverse mode, both orders of both, `vmap`, and what is not asked for."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import pytest
from jax.test_util import check_grads

from jgraph.ops.linear import linear
from jgraph.typing import Array


def _plain(a: Array, b: Array) -> Array:
    return jnp.sin(a) @ b


@jax.custom_jvp
def _kernel(a: Array, b: Array) -> Array:
    return _plain(a, b)


@_kernel.defjvp
def _tangent(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (a, b), (da, db) = primals, tangents
    (by_a,) = linear(
        lambda r, x: ((jnp.cos(r[0]) * x[0]) @ r[1],), lambda r, y: (jnp.cos(r[0]) * (y[0] @ r[1].T),), (a, b), (da,)
    )
    (by_b,) = linear(lambda r, x: (jnp.sin(r[0]) @ x[0],), lambda r, y: (jnp.sin(r[0]).T @ y[0],), (a,), (db,))
    return _kernel(a, b), by_a + by_b


def _squares(function: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    return lambda a, b: jnp.sum(function(a, b) ** 2)


TRANSFORMED: dict[str, Callable[[Callable[..., Array]], Callable[..., Array]]] = {
    "value": lambda f: f,
    "grad": lambda f: jax.grad(f, (0, 1)),
    "grad of the second": lambda f: jax.grad(f, 1),
    "jacfwd": lambda f: jax.jacfwd(f, (0, 1)),
    "forward over reverse": lambda f: jax.jacfwd(jax.grad(f), (0, 1)),
    "reverse over reverse": lambda f: jax.jacrev(jax.grad(f), (0, 1)),
    "reverse over forward": lambda f: jax.grad(lambda a, b: jax.jvp(f, (a, b), (a, b))[1], (0, 1)),
    "remat": lambda f: jax.grad(jax.checkpoint(f)),
}


@pytest.fixture
def arrays(getkey: Callable[[], Array]) -> tuple[Array, Array]:
    """Two matrices that can be multiplied."""
    return jax.random.normal(getkey(), (3, 4)), jax.random.normal(getkey(), (4, 5))


@pytest.mark.parametrize("name", TRANSFORMED)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
def test_every_derivative_is_that_of_the_plain_function(arrays: tuple[Array, Array], name: str, compiled: bool) -> None:
    ours, theirs = (TRANSFORMED[name](_squares(f)) for f in (_kernel, _plain))
    found = (jax.jit(ours) if compiled else ours)(*arrays)
    jax.tree.map(lambda f, e: _close(f, e), found, theirs(*arrays))


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (1, 2), (2, 1)])
def test_vmap_maps_both_ways(getkey: Callable[[], Array], axes: tuple[int | None, int | None]) -> None:
    shapes: list[tuple[int, ...]] = [(3, 4), (4, 5)]
    for i, axis in enumerate(axes):
        if axis is not None:
            shapes[i] = (*shapes[i][:axis], 6, *shapes[i][axis:])
    a, b = (jax.random.normal(getkey(), shape) for shape in shapes)
    for name in ("grad", "forward over reverse"):
        ours, theirs = (jax.vmap(TRANSFORMED[name](_squares(f)), axes)(a, b) for f in (_kernel, _plain))
        jax.tree.map(_close, ours, theirs)


def test_derivatives_are_those_of_finite_differences(arrays: tuple[Array, Array]) -> None:
    check_grads(_kernel, arrays, order=2, rtol=0.02, atol=0.02)


def test_the_transpose_is_the_one_that_is_given() -> None:
    seven_back = lambda x: linear(lambda _, x: (2 * x[0],), lambda _, y: (7 * y[0],), (), (x,))[0]  # noqa: E731
    assert jax.grad(seven_back)(1.0) == 7
    assert jax.jvp(seven_back, (1.0,), (1.0,))[1] == 2
    assert jax.linear_transpose(seven_back, 1.0)(1.0) == (7.0,)


def _close(found: Array, expected: Array) -> None:
    assert found.shape == expected.shape
    assert jnp.allclose(found, expected, rtol=1e-4, atol=1e-4)
