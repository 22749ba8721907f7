"""Dense convolution and its two transposes, written in the one form that XLA:CPU runs fast inside of a loop, too.

XLA:CPU brings convolutions to its own form, channels last for all three arrays, only where a program starts; in the
body of a loop what is written differently runs 5 to 100 times slower. So the order of the axes and the reversal of
the kernel are operations of their own here, before and after a convolution of that form.
"""

import jax.numpy as jnp
from jax import lax

from jgraph.ops.window import Window
from jgraph.typing import Array


def forward(x: Array, kernel: Array, window: Window) -> Array:
    """`x` [batch, *space, in] with `kernel` [*window, in, out] -> [batch, *space', out].

    >>> import jax.numpy as jnp
    >>> forward(jnp.ones((1, 4, 1)), jnp.ones((3, 1, 1)), Window((1,), ((1, 1),), (1,)))[0, :, 0]
    Array([2., 3., 3., 2.], dtype=float32)
    """
    return _convolve(x, kernel, window.strides, window.pads, window.dilation)


def for_inputs(y: Array, kernel: Array, window: Window, shape: tuple[int, ...]) -> Array:
    """The transpose by the inputs, of `shape`: steps of `y`, as far apart as the strides, under the reversed kernel.

    >>> import jax.numpy as jnp
    >>> for_inputs(jnp.ones((1, 2, 1)), jnp.ones((3, 1, 1)), Window((1,), ((0, 0),), (1,)), (1, 4, 1))[0, :, 0]
    Array([1., 2., 2., 1.], dtype=float32)
    """
    pads = []
    spans = zip(
        shape[1:-1], y.shape[1:-1], kernel.shape[:-2], window.strides, window.pads, window.dilation, strict=True
    )
    for n, outputs, taps, stride, (front, _), distance in spans:
        before = (taps - 1) * distance - front
        pads.append((before, n + front - (outputs - 1) * stride - 1))
    flipped = jnp.swapaxes(jnp.flip(kernel, range(kernel.ndim - 2)), -1, -2)
    return _convolve(y, flipped, (1,) * len(pads), tuple(pads), window.dilation, window.strides)


def for_kernel(x: Array, y: Array, window: Window, shape: tuple[int, ...]) -> Array:
    """The transpose by the kernel, of `shape`: `x` under the window `y`, the batch being summed as channels are.

    >>> import jax.numpy as jnp
    >>> x = jnp.arange(4.0).reshape(1, 4, 1)
    >>> for_kernel(x, jnp.ones((1, 3, 1)), Window((1,), ((0, 0),), (1,)), (2, 1, 1))[:, 0, 0]
    Array([3., 6.], dtype=float32)
    """
    pads = []
    spans = zip(x.shape[1:-1], y.shape[1:-1], shape[:-2], window.strides, window.pads, window.dilation, strict=True)
    for n, outputs, taps, stride, (front, _), distance in spans:
        pads.append((front, (taps - 1) * distance + (outputs - 1) * stride + 1 - n - front))
    of_batch = jnp.swapaxes(x, 0, -1)
    found = _convolve(of_batch, jnp.moveaxis(y, 0, -2), window.dilation, tuple(pads), window.strides)
    return jnp.moveaxis(found, 0, -2)


def _convolve(
    x: Array,
    kernel: Array,
    strides: tuple[int, ...],
    pads: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    apart: tuple[int, ...] | None = None,
) -> Array:
    space = "DHW"[5 - x.ndim :]
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        pads,
        lhs_dilation=apart,
        rhs_dilation=dilation,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    )
