"""Slices along one axis, with zeros beyond the ends."""

import jax.numpy as jnp
import pytest

from jgraph.ops.slices import cut, every


@pytest.mark.parametrize("start", range(-6, 7))
@pytest.mark.parametrize("length", [1, 2, 5])
def test_what_lies_outside_is_zero(start: int, length: int) -> None:
    expected = [i + 1 if 0 <= i < 3 else 0 for i in range(start, start + length)]
    assert cut(jnp.arange(1, 4), start, start + length, 0).tolist() == expected


def test_none_of_the_entries() -> None:
    assert every(jnp.arange(4), 2, 0, 3, 0).shape == (0,)
