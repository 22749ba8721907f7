"""Distributions, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgraph.ops.distribution import COLUMNS, Distribution, distribution_of, distributions

LARGEST = float(np.finfo(np.float32).max)


def reference(x: np.ndarray, bins: int) -> Distribution:
    """From the definition, in float64."""
    numbers = x[np.isfinite(x)].astype(np.float64).ravel()
    least, most = (numbers.min(), numbers.max()) if numbers.size else (0.0, 0.0)
    share = (numbers - least) / (most - least) if most > least else np.zeros(numbers.size)
    counts = np.bincount(np.clip(np.floor(share * bins), 0, bins - 1).astype(int), minlength=bins)
    nan, inf = int(np.isnan(x).sum()), int(np.isinf(x).sum())
    return Distribution(least, most, numbers.sum(), (numbers**2).sum(), tuple(counts.tolist()), nan, inf)


def found(arrays: list[np.ndarray], bins: int) -> list[Distribution]:
    moments, counts = jax.jit(lambda a: distributions(a, bins, [0] * len(a)))([jnp.asarray(a) for a in arrays])
    rows = zip(np.asarray(moments).tolist(), np.asarray(counts).tolist(), strict=True)
    return [distribution_of(own, count) for own, count in rows]


def test_arrays_of_all_sizes_beside_each_other() -> None:
    random = np.random.default_rng(0)
    sizes = [(1,), (5, 7), (COLUMNS - 1,), (COLUMNS,), (COLUMNS + 1,), (3, 4, 5, 60), ()]
    arrays = [random.normal(size=size).astype(np.float32) for size in sizes]
    arrays[1][2, 3:] = np.nan
    arrays[3][5:8] = np.inf, -np.inf, np.nan
    for own, array in zip(found(arrays, 16), arrays, strict=True):
        want = reference(array, 16)
        assert own[:2] == pytest.approx(want[:2])
        np.testing.assert_allclose(own[2:4], want[2:4], rtol=1e-5, atol=1e-5)
        # A number beside the edge of a bin may fall to its other side in float32.
        assert np.abs(np.cumsum(own.counts) - np.cumsum(want.counts)).max() <= 1
        assert (own.number, own.nan, own.inf) == (want.number, want.nan, want.inf)


@pytest.mark.parametrize(
    ("values", "counts", "odd"),
    [
        ([3.0, 3.0, 3.0], (3, 0, 0, 0), (0, 0)),
        ([np.nan, np.inf, -np.inf], (0, 0, 0, 0), (1, 2)),
        ([-LARGEST, 0.0, LARGEST], (1, 0, 1, 1), (0, 0)),
        ([0.0, 1.0, 2.0, 3.0], (1, 1, 1, 1), (0, 0)),
    ],
)
def test_the_edges_of_what_floats_are(values: list[float], counts: tuple[int, ...], odd: tuple[int, int]) -> None:
    (own,) = found([np.array(values, np.float32)], 4)
    assert own.counts == counts
    assert (own.nan, own.inf) == odd
    assert np.isfinite(own[:3]).all()


def test_bfloat16_is_counted_as_what_it_is() -> None:
    array = jnp.linspace(0, 1, 9).astype(jnp.bfloat16)
    _, counts = jax.jit(lambda a: distributions([a], 8, [0]))(array)
    assert counts.tolist() == [[1, 1, 1, 1, 1, 1, 1, 2, 0, 0]]


def test_what_is_left_out_is_no_nan() -> None:
    array = jnp.array([1.0, jnp.nan, jnp.nan, jnp.nan])
    _, counts = jax.jit(lambda a, n: distributions([a, a], 2, [2, n]))(array, 3)
    assert counts[:, 2].tolist() == [1, 0]
