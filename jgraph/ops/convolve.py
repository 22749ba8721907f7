"""Convolution over any number of spatial axes, channels last, with Keras' paddings."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax

from jgraph.typing import Array


def convolve(
    x: Array, kernel: Array, *, strides: Sequence[int], padding: str, dilation: Sequence[int], groups: int = 1
) -> Array:
    """`x` [batch, *space, in] with `kernel` [*window, in / groups, out] -> [batch, *space', out].

    `padding` is `valid`, `same` or, for one spatial axis, `causal` (all of it in front). Dtypes are promoted.

    >>> import jax.numpy as jnp
    >>> convolve(jnp.ones((1, 5, 1)), jnp.ones((3, 1, 1)), strides=[1], padding="causal", dilation=[1])[0, :, 0]
    Array([1., 2., 3., 3., 3.], dtype=float32)
    """
    rank, dtype = x.ndim - 2, jnp.result_type(x, kernel)
    space = "DHW"[3 - rank :]
    numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
    pads = [(dilation[0] * (kernel.shape[0] - 1), 0)] if padding == "causal" else padding.upper()
    return lax.conv_general_dilated(
        x.astype(dtype),
        kernel.astype(dtype),
        strides,
        pads,
        rhs_dilation=dilation,
        dimension_numbers=numbers,
        feature_group_count=groups,
    )
