"""Random draws in blocks: the same for every shape of one size, compiled or not."""

from collections.abc import Callable

import jax
import numpy as np
import pytest

from jgraph.ops import draws

KEY = jax.random.key(0)


@pytest.mark.parametrize("draw", [draws.uniform, draws.normal, draws.truncated_normal], ids=lambda d: d.__name__)
def test_values_depend_on_key_and_size_alone(draw: Callable[..., jax.Array]) -> None:
    flat = np.asarray(draw(KEY, (12,)))
    for shape in ((3, 4), (2, 3, 2), (12, 1)):
        np.testing.assert_array_equal(draw(KEY, shape), flat.reshape(shape))
    np.testing.assert_array_equal(jax.jit(draw, static_argnums=1)(KEY, (3, 4)), flat.reshape(3, 4))
    assert (np.asarray(draw(jax.random.key(1), (12,))) != flat).all()


@pytest.mark.parametrize("draw", [draws.uniform, draws.normal, draws.truncated_normal], ids=lambda d: d.__name__)
def test_odd_sizes(draw: Callable[..., jax.Array]) -> None:
    for shape in ((), (0,), (1,), (5,), (3, 0), (1025,)):
        values = draw(KEY, shape)
        assert (values.shape, values.dtype) == (shape, "float32")
        assert np.unique(values).size == values.size


@pytest.mark.parametrize("draw", [draws.uniform, draws.normal, draws.truncated_normal], ids=lambda d: d.__name__)
def test_more_blocks_than_one_program_fills_are_the_same_compiled(draw: Callable[..., jax.Array]) -> None:
    shape = (2 * draws.BLOCK * draws.BLOCKS + 77,)
    np.testing.assert_allclose(jax.jit(draw, static_argnums=1)(KEY, shape), draw(KEY, shape), rtol=1e-5, atol=1e-6)


def test_a_large_array_is_planned_in_no_time_and_one_that_cannot_be_is_refused() -> None:
    spec = jax.eval_shape(lambda key: draws.uniform(key, (10**6, 4096)), KEY)
    assert spec.shape == (10**6, 4096)
    with pytest.raises((ValueError, MemoryError)):
        draws.uniform(KEY, (10**30, 3))


def test_an_orthogonal_matrix_is_the_same_under_jit() -> None:
    eager = draws.orthogonal(KEY, (4, 3))
    np.testing.assert_allclose(jax.jit(draws.orthogonal, static_argnums=1)(KEY, (4, 3)), eager, atol=1e-6)
