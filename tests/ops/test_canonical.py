"""Dense convolution in XLA:CPU's own form, and both transposes, against XLA's convolution and its gradients."""

from collections.abc import Callable

import pytest

from jgraph.ops import canonical
from jgraph.ops.window import Window


@pytest.mark.parametrize(
    ("space", "taps", "window"),
    [
        ((7,), (3,), Window((1,), ((1, 1),), (1,))),
        ((7,), (2,), Window((3,), ((5, 0),), (2,))),
        ((6, 7), (3, 2), Window((2, 3), ((0, 1), (1, 1)), (1, 1))),
        ((6, 5), (1, 1), Window((2, 2), ((0, 0), (0, 0)), (1, 1))),
        ((3, 4, 5), (2, 1, 3), Window((1, 2, 1), ((0, 1), (-1, 2), (1, 1)), (1, 1, 1))),
    ],
    ids=["same", "far pads", "strides", "one by one", "three axes"],
)
def test_the_three_are_those_of_xla(
    agree: Callable[..., None], space: tuple[int, ...], taps: tuple[int, ...], window: Window
) -> None:
    agree(canonical, (2, *space, 3), (*taps, 3, 4), window)
