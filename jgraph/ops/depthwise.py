"""Depthwise convolution on CPUs, and its two transposes: sums of shifted arrays, which compile to one loop each.

XLA:CPU has no convolution of its own for one channel a group, and its `pad` copies number by number. So a sum of
shifts is cut into boxes: the inner one, where every tap lies within the array, reads it as it stands, and only the
thin ones around it are padded. The kernel [*window, 1, n * m] is XLA's: `m` outputs for each of `n` channels.
"""

import itertools
import math
from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax

from jgraph.ops.rows import by_rows
from jgraph.ops.slices import cut, every
from jgraph.ops.window import Window
from jgraph.typing import Array

Tap = tuple[tuple[int, ...], Array]
"""Where it reads, relative to where it is summed, and its factors, one a channel."""

BLOCK = 32
MOST_TAPS = 64
"""Each tap is a term of the compiled loop: with more, compiling takes longer than it saves."""


def suits(window: Window, x: tuple[int, ...], kernel: tuple[int, ...]) -> bool:
    """Whether it is a depthwise convolution, and these functions are the better ones, by the shapes of both."""
    return window.groups == x[-1] and math.prod(kernel[:-2]) <= MOST_TAPS


def forward(x: Array, kernel: Array, window: Window) -> Array:
    """`y[o, c] = sum_t kernel[t, c] * x[o * stride + t * dilation - pad, c]`: [batch, *space, n] -> [.., n * m].

    >>> import jax.numpy as jnp
    >>> forward(jnp.ones((1, 4, 1)), jnp.ones((3, 1, 1)), Window((1,), ((1, 1),), (1,)))[0, :, 0]
    Array([2., 3., 3., 2.], dtype=float32)
    """
    spans = zip(x.shape[1:-1], kernel.shape[:-2], window.strides, window.pads, window.dilation, strict=True)
    sizes = tuple((n + sum(pads) - (k - 1) * d - 1) // s + 1 for n, k, s, pads, d in spans)
    parts = []
    for factors in _by_multiple(_wide(kernel), x.shape[-1]):
        taps = [(_offsets(tap, window), factors[(*tap, 0)]) for tap in _taps(kernel.shape)]
        parts.append(_correlate(_wide(x), taps, sizes, window.strides).astype(x.dtype))
    return parts[0] if len(parts) == 1 else jnp.stack(parts, -1).reshape(*parts[0].shape[:-1], -1)


def for_inputs(y: Array, kernel: Array, window: Window, shape: tuple[int, ...]) -> Array:
    """The transpose by the inputs, of `shape`: `x[i, c]` is the sum of all `kernel[t, c] * y[o, c]` that read x[i, c].

    With strides, inputs of one remainder are read by the same taps: each remainder is a sum of shifts of its own.

    >>> import jax.numpy as jnp
    >>> window = Window((2,), ((0, 0),), (1,))
    >>> for_inputs(jnp.ones((1, 2, 1)), jnp.array([[[1.0]], [[2.0]], [[3.0]]]), window, (1, 5, 1))[0, :, 0]
    Array([1., 2., 4., 2., 3.], dtype=float32)
    """
    steps = list(zip(_by_multiple(_wide(kernel), shape[-1]), _by_multiple(_wide(y), shape[-1]), strict=True))
    sizes = tuple(-(-n // s) for n, s in zip(shape[1:-1], window.strides, strict=True))

    def of_remainders(*remainders: int) -> Array:
        axis = len(remainders)
        if axis < len(sizes):
            parts = [of_remainders(*remainders, r) for r in range(window.strides[axis])]
            merged = jnp.stack(parts, axis + 2).reshape(*parts[0].shape[: axis + 1], -1, *parts[0].shape[axis + 2 :])
            return parts[0] if len(parts) == 1 else lax.slice_in_dim(merged, 0, shape[axis + 1], axis=axis + 1)
        total = jnp.zeros((shape[0], *sizes, shape[-1]), _wide(y).dtype)
        for factors, part in steps:
            taps = []
            for tap in _taps(kernel.shape):
                places = [r - o for r, o in zip(remainders, _offsets(tap, window), strict=True)]
                if all(place % s == 0 for place, s in zip(places, window.strides, strict=True)):
                    offsets = tuple(place // s for place, s in zip(places, window.strides, strict=True))
                    taps.append((offsets, factors[(*tap, 0)]))
            if taps:
                total = total + _correlate(part, taps, sizes, (1,) * len(sizes))
        return total.astype(y.dtype)

    return of_remainders()


def for_kernel(x: Array, y: Array, window: Window, shape: tuple[int, ...]) -> Array:
    """The transpose by the kernel, of `shape`: `kernel[t, c] = sum_o x[o * stride + t * dilation - pad, c] * y[o, c]`.

    >>> import jax.numpy as jnp
    >>> x = jnp.arange(4.0).reshape(1, 4, 1)
    >>> for_kernel(x, jnp.ones((1, 3, 1)), Window((1,), ((0, 0),), (1,)), (2, 1, 1))[:, 0, 0]
    Array([3., 6.], dtype=float32)
    """
    taps, n = shape[:-2], x.shape[-1]

    def products(x: Array, y: Array) -> Array:
        return jnp.stack([_products(x, part, window, taps) for part in _by_multiple(y, n)], -1)

    start = jnp.zeros((*taps, n, y.shape[-1] // n), _wide(y).dtype)
    return by_rows(products, _wide(x), _wide(y), start).reshape(shape).astype(x.dtype)


def _products(x: Array, y: Array, window: Window, taps: tuple[int, ...]) -> Array:
    """All sums for one output a channel, [*taps, n].

    Each is a sum over the last axis, written out term by term, and then over rows, by a product with ones: XLA:CPU's
    own sum over rows takes one number at a time. The taps of a row stay beside each other, for they read the same.
    """
    n, reach = x.shape[-1], taps[-1]
    rows = []
    for lead in itertools.product(*map(range, taps[:-1])):
        x_row, y_row = x, y
        for axis, place in enumerate(lead):
            first, last, start = _within(axis, place, x.shape, y.shape, window)
            y_row = every(y_row, first, last - first, 1, axis + 1)
            x_row = every(x_row, start, last - first, window.strides[axis], axis + 1)
        spans = [_within(len(lead), place, x.shape, y.shape, window) for place in range(reach)]
        rows.append(_row(x_row, y_row, spans, window.strides[-1]))
    return jnp.stack(rows).reshape(*taps, n)


def _row(x: Array, y: Array, spans: Sequence[tuple[int, int, int]], stride: int) -> Array:
    """The sums of the taps that differ only along the last axis: [taps, n]."""
    low, high = max(first for first, _, _ in spans), min(last for _, last, _ in spans)
    count = (high - low) // BLOCK if high - low >= 2 * BLOCK else 0
    blocks = range(low, low + count * BLOCK)
    rest = [
        [(o, start + (o - first) * stride) for o in range(first, last) if o not in blocks]
        for first, last, start in spans
    ]
    total = _sums(x, y, rest, 1, stride)
    if count:
        heads = [[(o, start + (o - first) * stride) for o in blocks[:BLOCK]] for first, _, start in spans]
        total = total + _sums(x, y, heads, count, stride)
    return total


def _sums(x: Array, y: Array, places: Sequence[Sequence[tuple[int, int]]], count: int, stride: int) -> Array:
    """For each list of places (in y, in x) the sum of their products and of `count - 1` further ones a block apart."""
    n, axis = x.shape[-1], x.ndim - 2
    columns = []
    for pairs in places:
        column = jnp.zeros((*y.shape[:axis], count, n), x.dtype)
        for o, i in pairs:
            column = column + every(y, o, count, BLOCK, axis) * every(x, i, count, BLOCK * stride, axis)
        columns.append(column)
    rows = jnp.stack(columns, -2).reshape(-1, len(places) * n)
    return (jnp.ones((1, rows.shape[0]), x.dtype) @ rows).reshape(len(places), n)


def _correlate(x: Array, taps: Sequence[Tap], sizes: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """`y[o, c] = sum factors[c] * x[o * stride + offset, c]`, of `sizes`; x is zero outside of its axes."""
    lows = [min(offset[axis] for offset, _ in taps) for axis in range(len(sizes))]
    highs = [max(offset[axis] for offset, _ in taps) for axis in range(len(sizes))]

    def of_box(*spans: tuple[int, int]) -> Array:
        part = x
        for axis, (first, last) in enumerate(spans):
            start, stop = first * strides[axis] + lows[axis], (last - 1) * strides[axis] + highs[axis] + 1
            part = cut(part, start, stop, axis + 1)
        terms = []
        for offset, factors in taps:
            term = part
            for axis, (first, last) in enumerate(spans):
                term = every(term, offset[axis] - lows[axis], last - first, strides[axis], axis + 1)
            terms.append(term * factors)
        return sum(terms[1:], terms[0])

    def of_boxes(*inner: tuple[int, int]) -> Array:
        axis = len(inner)
        if axis == len(sizes):
            return of_box(*inner)
        size, stride = sizes[axis], strides[axis]
        low = min(max(-(lows[axis] // stride), 0), size)
        high = min(max((x.shape[axis + 1] - 1 - highs[axis]) // stride + 1, low), size)
        full = [(0, size) for size in sizes[axis + 1 :]]
        parts = [of_box(*inner, (first, last), *full) for first, last in [(0, low), (high, size)] if first < last]
        if low < high:
            parts.insert(low > 0, of_boxes(*inner, (low, high)))
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis + 1)

    return of_boxes()


def _within(axis: int, place: int, x: Sequence[int], y: Sequence[int], window: Window) -> tuple[int, int, int]:
    """The outputs (first, last) whose tap at this place lies within x along the axis, and what the first one reads."""
    stride, offset = window.strides[axis], place * window.dilation[axis] - window.pads[axis][0]
    first = min(max(-(offset // stride), 0), y[axis + 1])
    last = min(max((x[axis + 1] - 1 - offset) // stride + 1, first), y[axis + 1])
    return first, last, first * stride + offset


def _taps(kernel: Sequence[int]) -> list[tuple[int, ...]]:
    return list(itertools.product(*map(range, kernel[:-2])))


def _offsets(tap: tuple[int, ...], window: Window) -> tuple[int, ...]:
    """Where a tap reads, relative to where its sum stands."""
    places = zip(tap, window.dilation, window.pads, strict=True)
    return tuple(place * distance - front for place, distance, (front, _) in places)


def _by_multiple(array: Array, n: int) -> list[Array]:
    """The outputs of each channel apart: `m` arrays with `n` channels; a kernel loses its axis of one."""
    parts = array.reshape(*array.shape[:-1], n, -1)
    return [parts[..., i] for i in range(parts.shape[-1])]


def _wide(x: Array) -> Array:
    """In float32 at least, in which half precision is summed."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
