"""Depthwise convolution by shifts: the function and both transposes, against XLA's convolution and its gradients."""

from collections.abc import Callable

import pytest

from jgraph.ops import depthwise
from jgraph.ops.window import Window


@pytest.mark.parametrize(
    ("space", "taps", "window"),
    [
        ((7,), (3,), Window((1,), ((1, 1),), (1,), 3)),
        ((7,), (2,), Window((3,), ((5, 0),), (2,), 3)),
        ((7,), (3,), Window((2,), ((-1, 4),), (1,), 3)),
        ((6, 5), (3, 3), Window((1, 1), ((1, 1), (1, 1)), (1, 1), 3)),
        ((6, 7), (3, 2), Window((2, 3), ((0, 1), (1, 1)), (1, 1), 3)),
        ((6, 5), (2, 3), Window((1, 2), ((0, 0), (2, 2)), (2, 2), 3)),
        ((6, 5), (1, 1), Window((2, 2), ((0, 0), (0, 0)), (1, 1), 3)),
        ((3, 4, 5), (2, 1, 3), Window((1, 2, 1), ((0, 1), (0, 0), (1, 1)), (1, 1, 1), 3)),
    ],
    ids=["same", "far pads", "negative pad", "square", "strides", "dilation", "one by one", "three axes"],
)
@pytest.mark.parametrize("multiple", [1, 2])
def test_the_three_are_those_of_xla(
    agree: Callable[..., None], space: tuple[int, ...], taps: tuple[int, ...], window: Window, multiple: int
) -> None:
    agree(depthwise, (2, *space, 3), (*taps, 1, 3 * multiple), window)


@pytest.mark.parametrize("stride", [1, 2])
def test_long_axes_are_summed_in_blocks(agree: Callable[..., None], stride: int) -> None:
    window = Window((stride,), ((2, 2),), (1,), 2)
    agree(depthwise, (2, 203, 2), (5, 1, 2), window)
    agree(depthwise, (2, 3, 131, 2), (2, 3, 1, 2), Window((1, stride), ((0, 1), (0, 0)), (1, 1), 2))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_summed_in_single(agree: Callable[..., None], dtype: str) -> None:
    agree(depthwise, (2, 6, 5, 3), (3, 3, 1, 3), Window((1, 1), ((1, 1), (1, 1)), (1, 1), 3), dtype)


def test_it_is_for_one_channel_a_group_and_not_too_many_taps() -> None:
    window = Window((1, 1), ((0, 0), (0, 0)), (1, 1), 4)
    assert depthwise.suits(window, (2, 9, 9, 4), (3, 3, 1, 8))
    assert not depthwise.suits(window, (2, 9, 9, 8), (3, 3, 2, 8))
    assert not depthwise.suits(window, (2, 9, 9, 4), (9, 9, 1, 4))
