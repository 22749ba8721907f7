"""Convolution over any number of spatial axes, channels last, with Keras' paddings; its transpose, and by channel."""

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
    pads = [(dilation[0] * (kernel.shape[0] - 1), 0)] if padding == "causal" else padding.upper()
    return lax.conv_general_dilated(
        *promoted(x, kernel),
        strides,
        pads,
        rhs_dilation=dilation,
        dimension_numbers=layout(x),
        feature_group_count=groups,
    )


def convolve_channels(
    x: Array, kernel: Array, *, strides: Sequence[int], padding: str, dilation: Sequence[int]
) -> Array:
    """Each channel of `x` [batch, *space, n] with its kernels in [*window, n, m] -> [batch, *space', n * m].

    The outputs of the first channel come first.

    >>> import jax.numpy as jnp
    >>> kernel = jnp.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> convolve_channels(jnp.ones((1, 1, 2)), kernel, strides=[1], padding="valid", dilation=[1])[0, 0]
    Array([1., 2., 3., 4.], dtype=float32)
    """
    *window, n, m = kernel.shape
    grouped = kernel.reshape(*window, 1, n * m)
    return convolve(x, grouped, strides=strides, padding=padding, dilation=dilation, groups=n)


def convolve_transposed(
    x: Array,
    kernel: Array,
    *,
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int],
    output_padding: Sequence[int | None],
) -> Array:
    """`x` [batch, *space, in] with `kernel` [*window, out, in] -> [batch, *space', out]: a step writes a window.

    Each step of `x` adds its multiple of the kernel to the output, `strides` further than the step before.

    >>> import jax.numpy as jnp
    >>> x, kernel = jnp.array([1.0, 10.0]).reshape(1, 2, 1), jnp.array([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    >>> convolve_transposed(x, kernel, strides=[2], padding="valid", dilation=[1], output_padding=[None])[0, :, 0]
    Array([ 1.,  2., 13., 20., 30.], dtype=float32)
    """
    places = zip(kernel.shape[:-2], strides, dilation, output_padding, strict=True)
    return lax.conv_transpose(
        *promoted(x, kernel),
        strides,
        [_pads((k - 1) * d + 1, s, padding, extra) for k, s, d, extra in places],
        rhs_dilation=dilation,
        dimension_numbers=layout(x),
        transpose_kernel=True,
    )


def size_of_one(reach: int, stride: int, padding: str, output_padding: int | None) -> int:
    """How many outputs a transposed convolution makes of one step; each further step makes `stride` more.

    >>> size_of_one(3, 2, "valid", None), size_of_one(3, 2, "same", None), size_of_one(4, 2, "same", 1)
    (3, 2, 1)
    """
    if padding == "valid":
        return max(reach, stride) if output_padding is None else reach + output_padding
    return stride if output_padding is None else reach % 2 + output_padding


def _pads(reach: int, stride: int, padding: str, output_padding: int | None) -> tuple[int, int]:
    """What is added around steps that are `stride` apart: the reach of the kernel, less what is cut from the output.

    Half of the cut is in front, rounded down; a negative one appends zeros.
    """
    cut = reach - size_of_one(reach, stride, padding, output_padding)
    front = max(cut // 2, 0)
    return reach - 1 - front, reach - 1 - (cut - front)


def promoted(x: Array, kernel: Array) -> tuple[Array, Array]:
    """Both in one dtype, as JAX's convolutions demand."""
    dtype = jnp.result_type(x, kernel)
    return x.astype(dtype), kernel.astype(dtype)


def layout(x: Array) -> tuple[str, str, str]:
    """The order of the axes of inputs, kernels and outputs, for JAX's convolutions."""
    space = "DHW"[5 - x.ndim :]
    return f"N{space}C", f"{space}IO", f"N{space}C"
