"""What a backward pass needs of a forward pass, found in programs of both."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from jgraph.core.residuals import carried, kept_of, used, values_of


def kept(function: Callable[..., Any], *shapes: tuple[int, ...]) -> list[tuple[str, int]]:
    """What stays in memory for the gradient by all inputs: how it was made, and its bytes."""
    specs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    made = jax.eval_shape(function, *specs)

    def both(*given: Any) -> Any:
        y, back = jax.vjp(function, *given[:-1])
        return y, back(given[-1])

    program = used(jax.make_jaxpr(both)(*specs, made))
    values = values_of(program)
    return sorted((value.kind, value.bytes) for value in kept_of([values[v] for v in carried(program, 1)]))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: 3 * x + 1, []),
        (jnp.sin, [("made", 32)]),
        (jnp.tanh, [("made", 32)]),
        (lambda x: x * x, [("input", 32)]),
        (lambda x: jnp.maximum(x, 0), [("input", 32)]),
        (lambda x: (2 * x + 1) ** 2, [("input", 32)]),
        (lambda x: jnp.tanh(x) ** 2, [("made", 32)]),
        (jax.jit(jnp.tanh), [("made", 32)]),
        (lambda x: jnp.tanh(x.reshape(2, 4)).T, [("made", 32)]),
        (lambda x: x * jnp.arange(8), []),
        (lambda x: x.sum()[None], []),
        (lambda x: x / jnp.sqrt((x * x).sum()), [("input", 32), ("made", 4)]),
    ],
)
def test_what_is_cheap_is_computed_again_from_its_roots(function: Any, expected: list[tuple[str, int]]) -> None:
    assert kept(function, (8,)) == expected


def test_a_product_keeps_both_of_its_factors_and_each_once() -> None:
    assert kept(lambda x, w: x @ w, (2, 3), (3, 4)) == [("input", 24), ("input", 48)]
    assert kept(lambda x, w: x @ w + jnp.sum(x**2), (2, 3), (3, 4)) == [("input", 24), ("input", 48)]


def test_a_random_mask_is_kept_itself() -> None:
    def drop(x: Any) -> Any:
        return jnp.where(jax.random.bernoulli(jax.random.key(0), 0.5, x.shape), x, 0.0)

    assert kept(drop, (8,)) == [("cheap", 8)]


def test_a_program_that_is_called_twice_is_read_twice() -> None:
    squared = jax.jit(lambda x: jnp.exp(x))
    assert kept(lambda x: squared(squared(x)), (8,)) == [("made", 32), ("made", 32)]


def test_what_nothing_depends_on_is_left_out() -> None:
    program = jax.make_jaxpr(lambda x: (jnp.sin(x), x + 1)[1])(1.0)
    assert [equation.primitive.name for equation in used(program).jaxpr.eqns] == ["add"]
