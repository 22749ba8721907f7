"""Grouped convolution by dense ones: the function and both transposes, against XLA's convolution and its gradients."""

from collections.abc import Callable

import pytest

from jgraph.ops import grouped
from jgraph.ops.window import Window


@pytest.mark.parametrize(
    ("space", "taps", "window"),
    [
        ((7,), (3,), Window((1,), ((1, 1),), (1,), 2)),
        ((7,), (2,), Window((3,), ((5, 0),), (2,), 4)),
        ((6, 5), (3, 3), Window((1, 1), ((1, 1), (1, 1)), (1, 1), 4)),
        ((6, 7), (3, 2), Window((2, 3), ((0, 1), (1, 1)), (1, 1), 2)),
        ((6, 5), (2, 3), Window((1, 2), ((0, 0), (2, 2)), (2, 2), 4)),
        ((3, 4, 5), (2, 1, 3), Window((2, 2, 1), ((0, 1), (0, 0), (1, 1)), (1, 1, 1), 2)),
    ],
    ids=["same", "far pads", "square", "strides", "dilation", "three axes"],
)
@pytest.mark.parametrize(("each", "out"), [(2, 3), (20, 1)], ids=["merged", "apart"])
def test_the_three_are_those_of_xla(
    agree: Callable[..., None], space: tuple[int, ...], taps: tuple[int, ...], window: Window, each: int, out: int
) -> None:
    agree(grouped, (2, *space, each * window.groups), (*taps, each, out * window.groups), window)


def test_some_groups_are_merged_and_some_stand_apart(agree: Callable[..., None]) -> None:
    agree(grouped, (2, 5, 24), (3, 4, 12), Window((1,), ((1, 1),), (1,), 6))
