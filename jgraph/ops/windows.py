"""Maxima and sums of windows as XLA:CPU compiles them well, with the gradients written by hand.

XLA:CPU walks the elements of a window one by one, and finds the gradient of a maximum with a serial loop over all of
them. Here a window of several axes is a window along each in turn, and a window along one axis is a few slices of
the whole array that lie one step apart: two such slices have a maximum or a sum element by element.

    size 3, stride 2, of a to g      first   a   c   e
                                     second  b   d   f
                                     third   c   e   g

The way back is the same picture in columns: an element is in at most ceil(size / stride) windows, and where it stands
in each follows from its place modulo the stride alone. GPU and TPU keep XLA's own form.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jgraph.ops.apart import apart
from jgraph.ops.linear import linear
from jgraph.typing import Array

MOST = 16
"""Longer windows, and such further apart, are left to XLA: a slice for each step would make long programs."""


class Windows(NamedTuple):
    """Where windows lie: for each spatial axis their size, their stride, and what is padded in front and behind."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]

    @property
    def are_padded(self) -> bool:
        """Whether any reaches over an end."""
        return any(map(any, self.pads))

    @property
    def lie_apart(self) -> bool:
        """Whether each is a part of a block of one stride, within the array."""
        return self._overlaps == 0 and not self.are_padded

    @property
    def share_much(self) -> bool:
        """Whether they overlap along several axes, which one after the other have fewer steps than all at once."""
        return self._overlaps > 1 and math.prod(self.sizes) > sum(self.sizes)

    @property
    def _overlaps(self) -> int:
        """Along how many axes they overlap."""
        return sum(size > stride for size, stride in zip(self.sizes, self.strides, strict=True))


def windows_over(space: Sequence[int], sizes: Sequence[int], strides: Sequence[int], padding: str) -> Windows:
    """The windows over an array with spatial axes of these lengths, `padding` being `valid` or `same`.

    >>> windows_over([5], [2], [2], "same").pads
    ((0, 1),)
    """
    pads = lax.padtype_to_pads(tuple(space), tuple(sizes), tuple(strides), padding.upper())
    return Windows(tuple(sizes), tuple(strides), tuple(pads))


def largest(x: Array, windows: Windows) -> Array:
    """The largest element of each window: [batch, *space, n] -> [batch, *space', n].

    The gradient goes to the first of the largest, in the order of the axes.

    >>> import jax.numpy as jnp
    >>> largest(jnp.arange(6.0).reshape(1, 6, 1), windows_over([6], [3], [2], "valid"))[0, :, 0]
    Array([2., 4.], dtype=float32)
    """
    sliced = _are_short(windows, x) and jnp.issubdtype(x.dtype, jnp.floating)
    return _largest(windows, x) if sliced else _reduced_max(windows, x)


def total(x: Array, windows: Windows) -> Array:
    """The sum of each window, padding being 0: [batch, *space, n] -> [batch, *space', n].

    Windows that lie apart are blocks, those that share much are cheaper by axis; others XLA's own form does as well.

    >>> import jax.numpy as jnp
    >>> total(jnp.arange(6.0).reshape(1, 6, 1), windows_over([6], [3], [2], "valid"))[0, :, 0]
    Array([3., 9.], dtype=float32)
    """
    if not (_are_short(windows, x) and (windows.lie_apart or windows.share_much)):
        return _reduced_sum(windows, x)
    forward, transpose = partial(_sums, windows), partial(_sums_transpose, windows, x.shape[1:-1])
    return linear(forward, transpose, (), (x,))[0]


def lowest(dtype: Any) -> Any:
    """The number of a dtype that no other is below, where a maximum starts from.

    >>> lowest("float32"), lowest("int8")
    (-inf, -128)
    """
    return -jnp.inf if jnp.issubdtype(dtype, jnp.floating) else int(jnp.iinfo(dtype).min)


def _are_short(windows: Windows, x: Array) -> bool:
    """Whether each of their steps is worth a slice, and where they lie is known."""
    return max(*windows.sizes, *windows.strides) <= MOST and all(isinstance(n, int) for n in x.shape[1:-1])


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _largest(windows: Windows, x: Array) -> Array:
    """The values, for which it pays to pad only windows that share much; for the gradient it always does."""
    on_cpu = _sliced_max if windows.share_much or not windows.are_padded else _reduced_max
    return lax.platform_dependent(x, cpu=partial(on_cpu, windows), default=partial(_reduced_max, windows))


@_largest.defjvp
def _largest_jvp(windows: Windows, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """What is largest stays so in a neighbourhood: neither x nor y is differentiated again."""
    y = _largest(windows, *primals)
    forward, transpose = partial(_max_tangent, windows), partial(_max_transpose, windows)
    return y, linear(forward, transpose, lax.stop_gradient((*primals, y)), tangents)[0]


def _max_tangent(windows: Windows, at: tuple[Array, ...], dx: tuple[Array, ...]) -> tuple[Array]:
    return (jax.jvp(partial(_reduced_max, windows), at[:1], dx)[1],)


def _max_transpose(windows: Windows, at: tuple[Array, ...], dy: tuple[Array, ...]) -> tuple[Array]:
    by_xla = lambda x, _, dy: jax.vjp(partial(_reduced_max, windows), x)[1](dy)[0]  # noqa: E731
    return (lax.platform_dependent(*at, *dy, cpu=partial(apart, partial(_back_to_first, windows)), default=by_xla),)


def _sums(windows: Windows, _: tuple[Array, ...], x: tuple[Array, ...]) -> tuple[Array]:
    return (lax.platform_dependent(*x, cpu=partial(_sliced_sum, windows), default=partial(_reduced_sum, windows)),)


def _sums_transpose(
    windows: Windows, space: tuple[int, ...], _: tuple[Array, ...], dy: tuple[Array, ...]
) -> tuple[Array]:
    shape = dy[0].shape[0], *space, dy[0].shape[-1]
    by_xla = lambda dy: jax.linear_transpose(partial(_reduced_sum, windows), jnp.empty(shape, dy.dtype))(dy)[0]  # noqa: E731
    return (lax.platform_dependent(*dy, cpu=partial(apart, partial(_back_to_all, windows, space)), default=by_xla),)


def _reduced_max(windows: Windows, x: Array) -> Array:
    return _reduced(windows, x, lowest(x.dtype), lax.max)


def _reduced_sum(windows: Windows, x: Array) -> Array:
    return _reduced(windows, x, 0, lax.add)


def _reduced(windows: Windows, x: Array, start: Any, combine: Any) -> Array:
    initial = np.asarray(start, x.dtype)  # a number while tracing too, so that JAX knows how to differentiate it
    sizes, strides, pads = (1, *windows.sizes, 1), (1, *windows.strides, 1), ((0, 0), *windows.pads, (0, 0))
    return lax.reduce_window(x, initial, combine, sizes, strides, pads)


def _sliced_max(windows: Windows, x: Array) -> Array:
    return _maxima(windows, x)[-1]


def _maxima(windows: Windows, x: Array) -> list[Array]:
    """The padded array, its maxima along the last axis, the maxima of these along the axis before, and so on."""
    found = [_padded(windows, x, lowest(x.dtype))]
    for axis in _axes(windows):
        found.append(_combined(lax.max, _steps(windows, axis, found[-1])))
    return found


def _sliced_sum(windows: Windows, x: Array) -> Array:
    x = _padded(windows, x, 0)
    for axis in _axes(windows):
        x = _combined(lax.add, _steps(windows, axis, x))
    return x


def _back_to_first(windows: Windows, x: Array, y: Array, dy: Array) -> Array:
    """Each element of `dy` to the first of the largest of its window."""
    axes, (*before, _) = _axes(windows), _maxima(windows, x)
    for axis, whole, best in reversed(list(zip(axes, before, [*before[1:], y], strict=True))):
        first = jnp.zeros(best.shape, "int8")  # of a window with NaN, which equals nothing
        for place, step in reversed(list(enumerate(_steps(windows, axis, whole)))):
            first = jnp.where(step == best, jnp.int8(place), first)
        dy = _spread(windows, axis, dy, first, whole.shape[axis])
    return _unpadded(windows, dy, x.shape[1:-1])


def _back_to_all(windows: Windows, space: tuple[int, ...], dy: Array) -> Array:
    """Each element of `dy` to all elements of its window."""
    for axis in reversed(_axes(windows)):
        dy = _spread(windows, axis, dy, None, space[axis - 1] + sum(windows.pads[axis - 1]))
    return _unpadded(windows, dy, space)


def _axes(windows: Windows) -> list[int]:
    """The axes, the last one first; those along which windows change nothing are left out."""
    every = list(enumerate(zip(windows.sizes, windows.strides, strict=True), 1))
    return [axis for axis, one in reversed(every) if one != (1, 1)]


def _steps(windows: Windows, axis: int, x: Array) -> list[Array]:
    """The first elements of all windows along an axis of the padded array, the second ones, and so on."""
    size, stride = windows.sizes[axis - 1], windows.strides[axis - 1]
    reach = (x.shape[axis] - size) // stride * stride + 1
    return [lax.slice_in_dim(x, first, first + reach, stride, axis) for first in range(size)]


def _spread(windows: Windows, axis: int, dy: Array, place: Array | None, length: int) -> Array:
    """The transpose of `_steps`: the array of that length along an axis, as blocks of one stride each.

    Window j has its step t at j * stride + t, so at place r of block j + b stands step b * stride + r. That gets the
    window's element of `dy` if it is its `place`, or always where there is none.
    """
    size, stride = windows.sizes[axis - 1], windows.strides[axis - 1]
    shared, blocks, zero = -(-size // stride), -(-length // stride), jnp.zeros((), dy.dtype)
    widths = [(0, 0, 0)] * dy.ndim
    widths[axis] = (shared - 1, blocks - dy.shape[axis], 0)
    dy, place = lax.pad(dy, zero, widths), None if place is None else lax.pad(place, jnp.int8(-1), widths)
    each = *dy.shape[:axis], blocks, stride, *dy.shape[axis + 1 :]
    parts = []
    for b in range(shared):
        of_blocks = partial(_repeated, first=shared - 1 - b, axis=axis, shape=each)
        step = lax.broadcasted_iota("int8", each, axis + 1) + jnp.int8(b * stride)
        chosen = step < size if place is None else step == of_blocks(place)
        parts.append(jnp.where(chosen, of_blocks(dy), zero))
    whole = _combined(lax.add, parts).reshape(*dy.shape[:axis], blocks * stride, *dy.shape[axis + 1 :])
    return lax.slice_in_dim(whole, 0, length, axis=axis)


def _repeated(x: Array, first: int, axis: int, shape: tuple[int, ...]) -> Array:
    """As many entries along an axis as the shape has, from the first on, each for all places of a stride."""
    part = lax.slice_in_dim(x, first, first + shape[axis], axis=axis)
    return jnp.broadcast_to(jnp.expand_dims(part, axis + 1), shape)


def _padded(windows: Windows, x: Array, value: Any) -> Array:
    widths = [(0, 0, 0), *((*pad, 0) for pad in windows.pads), (0, 0, 0)]
    return lax.pad(x, jnp.asarray(value, x.dtype), widths) if windows.are_padded else x


def _unpadded(windows: Windows, x: Array, space: Sequence[int]) -> Array:
    starts = [0, *(front for front, _ in windows.pads), 0]
    limits = [x.shape[0], *(front + n for (front, _), n in zip(windows.pads, space, strict=True)), x.shape[-1]]
    return lax.slice(x, starts, limits)


def _combined(combine: Callable[[Array, Array], Array], arrays: Sequence[Array]) -> Array:
    first, *others = arrays
    for other in others:
        first = combine(first, other)
    return first
