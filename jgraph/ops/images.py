"""Pictures changed by given numbers, one for each picture: turned, shifted, zoomed, flipped, cut, lightened.

All take `images` [batch, height, width, channels] of a floating dtype, which they keep (they compute in float32 at
least), and numbers [batch]. Nothing here is random; `jgraph.layers.augmentation` draws the numbers.
"""

import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jgraph.typing import Array

FILL_MODES = ("reflect", "wrap", "constant", "nearest")
INTERPOLATIONS = ("nearest", "bilinear")
MODES = ("horizontal", "vertical", "horizontal_and_vertical")

Filling = tuple[str, str, float]
"""What stands beside a picture and between its pixels: the fill mode, the interpolation, the fill value."""


def rotate(images: Array, degrees: Array, filling: Filling) -> Array:
    """Turned about their centre, counter-clockwise where the angle is positive."""
    y, x = _centre(images)
    angle = degrees * (math.pi / 180)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return affine(images, ((cos, sin), (-sin, cos)), (y - x * sin - y * cos, x - x * cos + y * sin), filling)


def translate(images: Array, down: Array, right: Array, filling: Filling) -> Array:
    """Shifted, by fractions of the height and of the width."""
    one, zero = jnp.ones_like(down), jnp.zeros_like(down)
    height, width = map(_number, images.shape[1:3])
    return affine(images, ((one, zero), (zero, one)), (-(down * height), -(right * width)), filling)


def zoom(images: Array, tall: Array, wide: Array, filling: Filling) -> Array:
    """Scaled about their centre, so that `tall` heights and `wide` widths of a picture are seen: above 1 it shrinks."""
    y, x = _centre(images)
    zero = jnp.zeros_like(tall)
    return affine(images, ((tall, zero), (zero, wide)), (y * (1.0 - tall), x * (1.0 - wide)), filling)


def affine(
    images: Array,
    matrix: tuple[tuple[Array, Array], tuple[Array, Array]],
    offset: tuple[Array, Array],
    filling: Filling,
) -> Array:
    """The pixels that stood at `matrix @ (row, column) + offset`, whose entries are [batch]."""
    y, x = (jnp.arange(n).astype(jnp.float32) for n in images.shape[1:3])
    grid = jnp.stack(jnp.meshgrid(y, x, indexing="ij"), -1)
    # XLA computes a product of matrices once; sums of products it would repeat, rounded in one way for the pixels'
    # places and in another for their weights, so that a place near a whole number would get its neighbour's weight.
    places = jnp.einsum("hwk,ckb->cbhw", grid, jnp.asarray(matrix), precision="highest")
    rows, columns = places + jnp.asarray(offset)[..., None, None]
    return resample(images, rows, columns, filling)


def resample(images: Array, rows: Array, columns: Array, filling: Filling) -> Array:
    """The pixels found at the coordinates `rows` and `columns`, [batch, height, width]."""
    fill_mode, interpolation, fill_value = filling
    wide = _wide(images)
    nodes = _nearest if interpolation == "nearest" else _linear
    pick = jax.vmap(lambda image, i, j: image.at[i, j].get(mode="promise_in_bounds", wrap_negative_indices=False))
    total = jnp.zeros((), wide.dtype)
    for (i, tall), (j, broad) in itertools.product(nodes(rows), nodes(columns)):
        row, column = (_inside(k, n, fill_mode) for k, n in zip((i, j), images.shape[1:3], strict=True))
        pixels = pick(wide, row, column)
        if fill_mode == "constant":
            pixels = jnp.where(((row == i) & (column == j))[..., None], pixels, jnp.asarray(fill_value, wide.dtype))
        total = total + (tall * broad)[..., None].astype(wide.dtype) * pixels
    return total.astype(images.dtype)


def flip(images: Array, flips: Array, mode: str) -> Array:
    """Mirrored where `flips` is true: left to right (horizontal), upside down (vertical), or both at once."""
    axes = [axis for axis, name in ((1, "vertical"), (2, "horizontal")) if name in mode]
    return jnp.where(flips[:, None, None, None], jnp.flip(images, axes), images)


def crop(images: Array, top: Array, left: Array, height: int, width: int) -> Array:
    """The window of each picture whose first pixel is at `top` and `left`, which are integers."""
    size = (height, width, images.shape[-1])
    return jax.vmap(lambda image, i, j: jax.lax.dynamic_slice(image, (i, j, jnp.zeros_like(i)), size))(
        images, top, left
    )


def contrast(images: Array, factor: Array, lowest: float, highest: float) -> Array:
    """`(x - mean) * factor + mean`, clipped, with the mean of each channel of each picture."""
    wide = _wide(images)
    mean = jnp.mean(jnp.mean(wide, 1, keepdims=True), 2, keepdims=True)  # faster than over both, as channels are few
    return jnp.clip((wide - mean) * factor[:, None, None, None] + mean, lowest, highest).astype(images.dtype)


def brighten(images: Array, share: Array, lowest: float, highest: float) -> Array:
    """`x + share * (highest - lowest)`, clipped."""
    change = (share * (highest - lowest))[:, None, None, None]
    return jnp.clip(_wide(images) + change, lowest, highest).astype(images.dtype)


def _wide(images: Array) -> Array:
    return images.astype(jnp.promote_types(images.dtype, jnp.float32))


def _number(size: int) -> Array:
    """A size, which may be symbolic while a layer is drawn, as a number."""
    return jnp.asarray(size).astype(jnp.float32)


def _centre(images: Array) -> tuple[Array, Array]:
    """The row and the column of the centre, which lies between two pixels where a size is even."""
    height, width = images.shape[1:3]
    return (_number(height) - 1.0) / 2.0, (_number(width) - 1.0) / 2.0


def _nearest(at: Array) -> list[tuple[Array, Array]]:
    """The nearest pixel and its weight; halves go away from zero."""
    return [(jax.lax.round(at).astype(jnp.int32), jnp.ones_like(at))]


def _linear(at: Array) -> list[tuple[Array, Array]]:
    """The pixels on both sides and their weights."""
    low = jnp.floor(at)
    index, part = low.astype(jnp.int32), at - low
    return [(index, 1.0 - part), (index + 1, part)]


def _inside(index: Array, size: int, fill_mode: str) -> Array:
    """The pixel that stands at an index which may lie outside."""
    fixes: dict[str, Callable[[Array], Array]] = {
        "reflect": lambda i: jnp.minimum(i % (2 * size), 2 * size - 1 - i % (2 * size)),
        "wrap": lambda i: i % size,
    }
    return fixes.get(fill_mode, lambda i: jnp.clip(i, 0, size - 1))(index)
