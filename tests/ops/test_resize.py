"""Numbers brought into the dtype that pictures had."""

import jax.numpy as jnp
import numpy as np
import pytest

from jgraph.ops.resize import in_dtype


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "uint32"])
def test_integers_are_rounded_and_kept_in_range(dtype: str) -> None:
    bounds = np.iinfo(dtype)
    x = jnp.array([-np.inf, -1e12, 0.4, 1.6, 2.5, 1e12, np.inf], "float32")
    want = [bounds.min, bounds.min, 0, 2, 2, bounds.max, bounds.max]
    y = in_dtype(x, dtype)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, np.array(want, dtype))


def test_floating_numbers_are_cast() -> None:
    x = jnp.array([0.25, 1.5])
    assert in_dtype(x, "bfloat16").dtype == "bfloat16"
    np.testing.assert_array_equal(in_dtype(x, "float32"), x)
