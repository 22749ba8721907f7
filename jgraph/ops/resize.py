"""Arrays with other spatial sizes, channels last: windows, borders and interpolation, also where sizes are symbolic."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import core, lax

from jgraph.typing import Array

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")

Pairs = Sequence[tuple[int, int]]
"""What is taken from or added to each spatial axis, before its first step and behind its last."""


def crop(x: Array, pairs: Pairs) -> Array:
    """The array without that many steps at both ends of each spatial axis.

    >>> crop(jnp.arange(5.0).reshape(1, 5, 1), [(1, 2)])[0, :, 0].tolist()
    [1.0, 2.0]
    """
    space = x.shape[1:-1]
    sizes = [core.max_dim(n - before - behind, 0) for n, (before, behind) in zip(space, pairs, strict=True)]
    return _window(x, [core.min_dim(before, n) for n, (before, _) in zip(space, pairs, strict=True)], sizes)


def pad(x: Array, pairs: Pairs, value: float = 0.0) -> Array:
    """The array with that many steps of a value more at both ends of each spatial axis."""
    borders = ((0, 0, 0), *((before, behind, 0) for before, behind in pairs), (0, 0, 0))
    return lax.pad(x, jnp.asarray(value, x.dtype), borders)


def repeat(x: Array, times: Sequence[int]) -> Array:
    """Every step of each spatial axis that many times.

    >>> repeat(jnp.arange(2.0).reshape(1, 2, 1), [3])[0, :, 0].tolist()
    [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    """
    for axis, count in enumerate(times, 1):
        x = jnp.repeat(x, count, axis=axis)
    return x


def resize(x: Array, size: Sequence[Any], interpolation: str, antialias: bool = False) -> Array:
    """Pictures in another size; integers that are interpolated become floating-point numbers."""
    return jax.image.resize(x, (x.shape[0], *size, x.shape[-1]), interpolation, antialias)


def in_dtype(x: Array, dtype: Any) -> Array:
    """Numbers in a dtype; in one of integers, as the nearest that it has.

    >>> in_dtype(jnp.array([-3.0, 1.6, 300.0]), "uint8").tolist()
    [0, 2, 255]
    """
    if x.dtype == dtype or not jnp.issubdtype(dtype, jnp.integer):
        return x.astype(dtype)
    bounds = jnp.iinfo(dtype)
    low, high = np.asarray(bounds.min, x.dtype), np.asarray(bounds.max, x.dtype)
    # The largest int32 is no float32: the next one is too large to be cast, the one before is not.
    high = np.nextafter(high, np.zeros_like(high)) if int(high) > bounds.max else high
    return jnp.where(x > high, np.asarray(bounds.max, dtype), jnp.clip(jnp.round(x), low, high).astype(dtype))


def crop_to_aspect_ratio(x: Array, size: tuple[int, int]) -> Array:
    """The largest window in the middle of pictures that has the form of `size`, [height, width], to a pixel."""
    space = x.shape[1:-1]
    sizes = [core.max_dim(core.min_dim(n, other), 1) for n, other in zip(space, _in_form(space, size), strict=True)]
    return _window(x, [(n - part) // 2 for n, part in zip(space, sizes, strict=True)], sizes)


def pad_to_aspect_ratio(x: Array, size: tuple[int, int], value: float) -> Array:
    """Pictures in the middle of the smallest ones that have the form of `size`, [height, width], to two pixels.

    Integers become floating-point numbers, as the value need be no integer.
    """
    space = x.shape[1:-1]
    halves = [core.max_dim(other - n, 0) // 2 for n, other in zip(space, _in_form(space, size), strict=True)]
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32)) if jnp.issubdtype(x.dtype, jnp.integer) else x
    return pad(x, [(half, half) for half in halves], value)


def _in_form(space: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int]:
    """The height that the width asks for, and the width that the height asks for."""
    (tall, wide), (height, width) = space, size
    return wide * height // width, tall * width // height


def _window(x: Array, starts: Sequence[int], sizes: Sequence[int]) -> Array:
    """The window of those sizes that starts there; both may be symbolic."""
    stops = (start + size for start, size in zip(starts, sizes, strict=True))
    return lax.slice(x, (0, *starts, 0), (x.shape[0], *stops, x.shape[-1]))
