"""What a convolution does beside multiplying: how its window moves over the spatial axes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """One number, or one pair, for each spatial axis: steps, zeros (in front, behind), distances of the taps."""

    strides: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1
