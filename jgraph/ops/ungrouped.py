"""Convolutions without groups in the forms that XLA:CPU computes near the roof, alone and inside of loops.

XLA:CPU has a fast convolution for `NHWC` inputs, `HWIO` kernels and `NHWC` outputs, without dilated inputs, and brings
others to that layout outside of loops only. So the gradient by the inputs is written as such a convolution, with the
kernel turned round; with strides it is one for each residue of the stride, whose results are interleaved. The gradient
by the kernel is a matrix product for each tap, of so many rows at a time that they stay in the cache.
"""

import dataclasses
import itertools
import math

import jax.numpy as jnp
from jax import lax

from jgraph.ops.rows import by_rows
from jgraph.ops.window import Sizes, Window, convolved, padded
from jgraph.typing import Array

MOST_TAPS, MOST_RESIDUES = 32, 16
"""Above these programs would grow long, and the gradients are one convolution each, in XLA:CPU's layout."""


def forward(x: Array, kernel: Array, window: Window) -> Array:
    """The convolution: XLA's own, or a matrix product of the inputs that are read, where a window is one step."""
    taps = kernel.shape[:-2]
    if math.prod(taps) == 1 and not any(itertools.chain(*window.pads)):
        return jnp.dot(_every(x, window.strides), kernel.reshape(kernel.shape[-2:]))
    return convolved(x, kernel, window)


def for_inputs(y: Array, kernel: Array, window: Window, shape: Sizes) -> Array:
    """The inputs `shape` [batch, *space, in] that outputs `y` give back through a kernel.

    Input `u` gets `y[q] k[i]` from all taps `i` and windows `q` with `q stride + i dilation - pad = u`. For the inputs
    of one residue of the stride these are every `stride`-th tap: a convolution with a part of the kernel.
    """
    if math.prod(window.strides) > MOST_RESIDUES:
        return for_inputs(
            _spread(y, window.strides), kernel, dataclasses.replace(window, strides=(1,) * len(window.strides)), shape
        )
    taps, space = kernel.shape[:-2], shape[1:-1]
    residues = [[_residue(axis, r, taps, window) for r in range(stride)] for axis, stride in enumerate(window.strides)]
    extents = tuple(-(-n // stride) for n, stride in zip(space, window.strides, strict=True))
    parts = [_of_residue(y, kernel, extents, places) for places in itertools.product(*residues)]
    if len(parts) == 1:
        return parts[0]
    rank = len(space)
    whole = jnp.stack(parts).reshape(*window.strides, len(y), *extents, shape[-1])
    order = [rank, *itertools.chain(*((rank + 1 + axis, axis) for axis in range(rank))), 2 * rank + 1]
    filled = (n * stride for n, stride in zip(extents, window.strides, strict=True))
    joined = jnp.transpose(whole, order).reshape(len(y), *filled, shape[-1])
    return lax.slice(joined, [0] * (rank + 2), [len(y), *space, shape[-1]])


def for_kernel(x: Array, y: Array, window: Window, shape: Sizes) -> Array:
    """The kernel `shape` [*taps, in, out]: the product of the inputs that each tap meets with the outputs."""
    taps, channels, filters = shape[:-2], *shape[-2:]
    if math.prod(taps) > MOST_TAPS:
        return _correlated(x, y, window, shape)
    places = list(itertools.product(*map(range, taps)))

    def product(x: Array, y: Array) -> Array:
        around = padded(x, window.pads) if any(itertools.chain(*window.pads)) else x
        met = (_met(around, tap, y.shape[1:-1], window).reshape(-1, channels) for tap in places)
        rows = y.reshape(-1, filters)
        return jnp.stack([lax.dot_general(part, rows, (((0,), (0,)), ((), ()))) for part in met])

    total = by_rows(product, x, y, jnp.zeros((len(places), channels, filters), y.dtype))
    return total.reshape(shape)


def _correlated(x: Array, y: Array, window: Window, shape: Sizes) -> Array:
    """The gradient by the kernel as a convolution of the inputs with the outputs, batch and channels exchanged."""
    rank = len(window.strides)
    exchanged = dataclasses.replace(window, strides=window.dilation, dilation=window.strides)
    kernels = convolved(jnp.swapaxes(x, 0, -1), jnp.moveaxis(y, 0, -2), exchanged)
    return lax.slice(jnp.moveaxis(kernels, 0, rank), [0] * (rank + 2), shape)


def _spread(y: Array, strides: Sizes) -> Array:
    """Outputs with zeros between them, as many as the windows are apart."""
    return lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), *((0, 0, s - 1) for s in strides), (0, 0, 0)])


def _every(x: Array, strides: Sizes) -> Array:
    """Every `stride`-th step of each axis."""
    return lax.slice(x, [0] * x.ndim, x.shape, [1, *strides, 1])


def _met(around: Array, tap: Sizes, size: Sizes, window: Window) -> Array:
    """The inputs that a tap meets, window by window."""
    starts = [i * d for i, d in zip(tap, window.dilation, strict=True)]
    ends = [a + (n - 1) * s + 1 for a, n, s in zip(starts, size, window.strides, strict=True)]
    begin, end = [0, *starts, 0], [len(around), *ends, around.shape[-1]]
    return lax.slice(around, begin, end, [1, *window.strides, 1])


def _residue(axis: int, residue: int, taps: Sizes, window: Window) -> tuple[range, int, int]:
    """The taps that reach the inputs of a residue, the window that the first has its first input in, and their step.

    From tap to tap of them the window moves by that step, in the other direction.
    """
    stride, dilation, low = window.strides[axis], window.dilation[axis], window.pads[axis][0]
    apart = stride // math.gcd(stride, dilation)
    first = next((i for i in range(taps[axis]) if (residue + low - i * dilation) % stride == 0), taps[axis])
    return range(first, taps[axis], apart), (residue + low - first * dilation) // stride, apart * dilation // stride


def _of_residue(y: Array, kernel: Array, extents: Sizes, places: tuple[tuple[range, int, int], ...]) -> Array:
    """What the inputs of one residue get: the sum over its taps of the outputs of their windows."""
    chosen = [taps for taps, _, _ in places]
    if not all(chosen):
        return jnp.zeros((len(y), *extents, kernel.shape[-2]), y.dtype)
    rank = len(extents)
    part = lax.slice(
        kernel, [*(taps[0] for taps in chosen), 0, 0], kernel.shape, [*(taps.step for taps in chosen), 1, 1]
    )
    turned = jnp.swapaxes(lax.rev(part, range(rank)), -1, -2)
    pads, steps = [], []
    for n, size, (taps, first, step) in zip(extents, y.shape[1:-1], places, strict=True):
        reach = (len(taps) - 1) * step
        pads.append((reach - first, n + first - size))
        steps.append(step)
    return forward(y, turned, Window((1,) * rank, tuple(pads), tuple(steps)))
