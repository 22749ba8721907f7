"""Where the windows of a convolution lie, in numbers alone; and XLA's own convolution of inputs so windowed."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax

from jgraph.typing import Array

Sizes = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class Window:
    """Strides, what is padded in front and behind, and dilation of the taps, a number per spatial axis; groups.

    >>> Window(strides=(2,), pads=((1, 1),), dilation=(1,)).reach((3,))
    (3,)
    """

    strides: Sizes
    pads: Pads
    dilation: Sizes
    groups: int = 1

    def reach(self, taps: Sizes) -> Sizes:
        """How many steps so many taps reach over, on each axis."""
        return tuple((k - 1) * d + 1 for k, d in zip(taps, self.dilation, strict=True))

    def size(self, space: Sizes, taps: Sizes) -> Sizes:
        """How many windows there are, on each axis.

        >>> Window(strides=(2,), pads=((1, 1),), dilation=(1,)).size((8,), (3,))
        (4,)
        """
        axes = zip(space, self.pads, self.reach(taps), self.strides, strict=True)
        return tuple((n + low + high - reach) // s + 1 for n, (low, high), reach, s in axes)


def layout(x: Array) -> tuple[str, str, str]:
    """The order of the axes of inputs, kernels and outputs, channels last, for JAX's convolutions."""
    space = "DHW"[5 - x.ndim :]
    return f"N{space}C", f"{space}IO", f"N{space}C"


def padded(x: Array, pads: Sequence[tuple[int, int]]) -> Array:
    """Zeros around, or steps cut off where a pad is negative."""
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0)])


def convolved(x: Array, kernel: Array, window: Window) -> Array:
    """XLA's own convolution: `x` [batch, *space, in], `kernel` [*taps, in / groups, out] -> [batch, *space', out].

    XLA:CPU reads beyond the end of inputs where a pad is negative and a stride is not 1, so that these are cut first.
    """
    if any(pad < 0 for pads in window.pads for pad in pads):
        x = padded(x, [(min(low, 0), min(high, 0)) for low, high in window.pads])
    return lax.conv_general_dilated(
        x,
        kernel,
        window.strides,
        [(max(low, 0), max(high, 0)) for low, high in window.pads],
        rhs_dilation=window.dilation,
        dimension_numbers=layout(x),
        feature_group_count=window.groups,
    )
