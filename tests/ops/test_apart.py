"""A call that XLA does not inline, under the transformations of JAX."""

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.ops.apart import apart
from jgraph.typing import Array


def _chain(x: Array, y: Array) -> tuple[Array, Array]:
    return jnp.sin(x) * y, jnp.cos(y)


def _apart(x: Array, y: Array) -> Array:
    a, b = apart(_chain, x + 1, y)
    return a * a + b


def _plain(x: Array, y: Array) -> Array:
    a, b = _chain(x + 1, y)
    return a * a + b


def test_derivatives_and_maps_are_those_of_the_function_itself() -> None:
    x, y = jnp.linspace(-1, 1, 6).reshape(2, 3), jnp.linspace(0, 1, 6).reshape(2, 3)
    for change in (
        lambda f: f(x, y),
        lambda f: jax.grad(lambda x, y: f(x, y).sum(), (0, 1))(x, y),
        lambda f: jax.jvp(f, (x, y), (y, x)),
        lambda f: jax.vmap(f)(x, y),
        lambda f: jax.vmap(jax.grad(lambda x, y: f(x, y).sum()), (0, None))(x, y[0]),
    ):
        for ours, theirs in zip(jax.tree.leaves(change(_apart)), jax.tree.leaves(change(_plain)), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_it_is_a_call_of_the_compiled_program_in_a_loop_too() -> None:
    def repeated(x: Array) -> Array:
        return jax.lax.fori_loop(0, 3, lambda _, x: apart(jnp.sin, x + 1) * 2, x)

    text = str(jax.jit(repeated).lower(jnp.ones(3)).compile().as_text())
    assert any(" call(" in line and 'inlineable="false"' in line for line in text.splitlines())
