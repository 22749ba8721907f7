"""How the numbers of an array are distributed: moments, and counts in bins of equal width, computed on the device."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jgraph.typing import Array


class Distribution(NamedTuple):
    """How numbers are distributed: `counts` of them in bins of equal width from `least` to `most`.

    `total` and `squares` are the sums of the numbers and of their squares. What is not finite is in none of these, but
    counted apart as `nan` and `inf`.
    """

    least: float
    most: float
    total: float
    squares: float
    counts: tuple[int, ...]
    nan: int = 0
    inf: int = 0

    @property
    def number(self) -> int:
        """How many finite numbers there are."""
        return sum(self.counts)


def distribution(x: Array, bins: int, keep: Array | None = None) -> tuple[Array, Array]:
    """The distribution of `x` as two arrays: `[min, max, sum, sum of squares]`, and `bins` counts, then NaN and inf.

    A finite number `v` is in bin `floor((v - min) / (max - min) * bins)`, the largest in the last one. `keep`, of a
    shape that broadcasts against that of `x`, is false for what is not counted at all.

    >>> moments, counts = distribution(jnp.array([0.0, 1.0, 2.0, 4.0, jnp.nan]), 2)
    >>> moments.tolist(), counts.tolist()
    ([0.0, 4.0, 7.0, 21.0], [2, 2, 1, 0])
    """
    x = x.astype(jnp.float32)
    kept = jnp.ones(x.shape, bool) if keep is None else jnp.broadcast_to(keep, x.shape)
    finite = jnp.isfinite(x) & kept
    found = finite.any()
    least = jnp.where(found, jnp.min(x, where=finite, initial=jnp.inf), 0.0)
    most = jnp.where(found, jnp.max(x, where=finite, initial=-jnp.inf), 0.0)
    zeroed = jnp.where(finite, x, 0.0)
    # Halves, as the distance of two floats may be none.
    span = most / 2 - least / 2
    share = jnp.where(span > 0, (zeroed / 2 - least / 2) / jnp.where(span > 0, span, 1.0), 0.0)
    place = jnp.clip(jnp.floor(share * bins), 0, bins - 1).astype(jnp.int32)
    # On XLA:CPU this scatter takes 5 ns a number; a loop over the bins takes 17, comparing with all bins 220.
    counts = jnp.zeros(bins, jnp.int32).at[place.reshape(-1)].add(finite.reshape(-1).astype(jnp.int32))
    odd = jnp.stack([(jnp.isnan(x) & kept).sum(dtype=jnp.int32), (jnp.isinf(x) & kept).sum(dtype=jnp.int32)])
    moments = jnp.stack([least, most, zeroed.sum(), jax.lax.square(zeroed).sum()])
    return moments, jnp.concatenate([counts, odd])
