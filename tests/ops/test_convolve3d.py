"""Convolution over three axes by two: the function and both transposes, against XLA's and its gradients."""

from collections.abc import Callable

import pytest

from jgraph.ops import convolve3d
from jgraph.ops.window import Window


@pytest.mark.parametrize(
    ("taps", "window"),
    [
        ((3, 3, 3), Window((1, 1, 1), ((1, 1), (1, 1), (1, 1)), (1, 1, 1))),
        ((3, 2, 1), Window((2, 1, 3), ((0, 1), (0, 0), (1, 2)), (1, 1, 1))),
        ((1, 2, 2), Window((2, 2, 2), ((0, 0), (0, 0), (0, 0)), (1, 1, 1))),
        ((2, 1, 3), Window((1, 2, 1), ((2, 2), (0, 0), (1, 1)), (2, 1, 2))),
        ((2, 1, 1), Window((3, 1, 1), ((-1, 7), (0, 0), (0, 0)), (1, 1, 1))),
    ],
    ids=["same", "strides", "one deep", "dilation", "far pads"],
)
def test_the_three_are_those_of_xla(agree: Callable[..., None], taps: tuple[int, ...], window: Window) -> None:
    agree(convolve3d, (2, 6, 5, 7, 3), (*taps, 3, 4), window)


def test_it_is_for_windows_of_three_axes() -> None:
    window = Window((1, 1, 1), ((0, 0),) * 3, (1, 1, 1))
    assert convolve3d.suits(window, (2, 9, 9, 9, 4), (3, 1, 1, 4, 4))
    assert not convolve3d.suits(window, (2, 9, 9, 9, 4), (1, 1, 1, 4, 4))
