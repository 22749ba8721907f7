"""Convolution over three axes on CPUs, and its two transposes, by convolutions over two.

XLA:CPU is ten times slower over three axes than over two. So the taps along the first axis become channels: what they
read, `x` shifted along that axis, stands side by side, [batch * depth', h, w, taps * in], and the kernel's axes of
taps and inputs are one. The kernel is [depth, h, w, in, out].
"""

import math

import jax.numpy as jnp

from jgraph.ops import ungrouped
from jgraph.ops.slices import cut, every
from jgraph.ops.window import Window
from jgraph.typing import Array


def suits(window: Window, x: tuple[int, ...], kernel: tuple[int, ...]) -> bool:
    """Whether these functions are the better ones, by the shapes of both; a window of one is a product already."""
    return len(x) == 5 and window.groups == 1 and math.prod(kernel[:-2]) > 1


def forward(x: Array, kernel: Array, window: Window) -> Array:
    """`x` [batch, d, h, w, in] with `kernel` [depth, h, w, in, out] -> [batch, d', h', w', out].

    >>> import jax.numpy as jnp
    >>> window = Window((1, 1, 1), ((1, 1), (0, 0), (0, 0)), (1, 1, 1))
    >>> forward(jnp.ones((1, 4, 1, 1, 1)), jnp.ones((3, 1, 1, 1, 1)), window)[0, :, 0, 0, 0]
    Array([2., 3., 3., 2.], dtype=float32)
    """
    size = (x.shape[1] + sum(window.pads[0]) - (kernel.shape[0] - 1) * window.dilation[0] - 1) // window.strides[0] + 1
    offsets = [tap * window.dilation[0] - window.pads[0][0] for tap in range(kernel.shape[0])]
    y = ungrouped.forward(_beside(x, offsets, size, window.strides[0]), _stacked(kernel), _flat(window))
    return y.reshape(x.shape[0], size, *y.shape[1:])


def for_inputs(y: Array, kernel: Array, window: Window, shape: tuple[int, ...]) -> Array:
    """The transpose by the inputs, of `shape`.

    Planes whose depth has one remainder by the stride are read by the same taps: each remainder is one convolution,
    of the shifted `y` side by side.

    >>> import jax.numpy as jnp
    >>> window = Window((2, 1, 1), ((0, 0),) * 3, (1, 1, 1))
    >>> kernel = jnp.arange(1.0, 4.0).reshape(3, 1, 1, 1, 1)
    >>> for_inputs(jnp.ones((1, 2, 1, 1, 1)), kernel, window, (1, 5, 1, 1, 1))[0, :, 0, 0, 0]
    Array([1., 2., 4., 2., 3.], dtype=float32)
    """
    stride, (front, _), distance = window.strides[0], window.pads[0], window.dilation[0]
    size = -(-shape[1] // stride)
    planes = (shape[0] * size, *shape[2:])
    parts = []
    for remainder in range(stride):
        taps = [tap for tap in range(kernel.shape[0]) if (remainder + front - tap * distance) % stride == 0]
        if taps:
            offsets = [(remainder + front - tap * distance) // stride for tap in taps]
            own = jnp.concatenate([kernel[tap] for tap in taps], -1)
            part = ungrouped.for_inputs(_beside(y, offsets, size, 1), own, _flat(window), planes)
        else:
            part = jnp.zeros(planes, y.dtype)
        parts.append(part.reshape(shape[0], size, *shape[2:]))
    merged = jnp.stack(parts, 2).reshape(shape[0], size * stride, *shape[2:])
    return merged[:, : shape[1]]


def for_kernel(x: Array, y: Array, window: Window, shape: tuple[int, ...]) -> Array:
    """The transpose by the kernel, of `shape`.

    >>> import jax.numpy as jnp
    >>> x, window = jnp.arange(4.0).reshape(1, 4, 1, 1, 1), Window((1, 1, 1), ((0, 0),) * 3, (1, 1, 1))
    >>> for_kernel(x, jnp.ones((1, 3, 1, 1, 1)), window, (2, 1, 1, 1, 1))[:, 0, 0, 0, 0]
    Array([3., 6.], dtype=float32)
    """
    depth, height, width, i, o = shape
    offsets = [tap * window.dilation[0] - window.pads[0][0] for tap in range(depth)]
    planes = _beside(x, offsets, y.shape[1], window.strides[0])
    found = ungrouped.for_kernel(planes, y.reshape(-1, *y.shape[2:]), _flat(window), (height, width, depth * i, o))
    return jnp.moveaxis(found.reshape(height, width, depth, i, o), 2, 0)


def _beside(x: Array, offsets: list[int], size: int, stride: int) -> Array:
    """Planes [batch * size, h, w, taps * n]: what each tap reads along the first axis, zero outside of it."""
    reach = (size - 1) * stride + 1
    shifted = [every(cut(x, offset, offset + reach, 1), 0, size, stride, 1) for offset in offsets]
    return jnp.concatenate(shifted, -1).reshape(-1, *x.shape[2:-1], len(offsets) * x.shape[-1])


def _stacked(kernel: Array) -> Array:
    """[depth, h, w, in, out] -> [h, w, depth * in, out]."""
    depth, height, width, i, o = kernel.shape
    return jnp.moveaxis(kernel, 0, 2).reshape(height, width, depth * i, o)


def _flat(window: Window) -> Window:
    return Window(window.strides[1:], window.pads[1:], window.dilation[1:])
