"""Layers that only change the shape, also where sizes are not known yet."""

from typing import Any

import numpy as np
import pytest

import jgraph as jg

X: Any = np.arange(48, dtype="float32").reshape(2, 4, 6)


@pytest.mark.parametrize("shape", [(2,), (2, 24), (2, 4, 6), (2, 2, 2, 6)], ids=str)
def test_flatten(shape: tuple[int, ...]) -> None:
    x = X.ravel()[: int(np.prod(shape))].reshape(shape)
    np.testing.assert_array_equal(jg.layers.Flatten().apply({}, {}, x)[0], x.reshape(2, -1))


@pytest.mark.parametrize("shape", [(24,), (-1,), (2, 12), (2, -1, 3), (24, 1, 1)], ids=str)
def test_reshape(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(jg.layers.Reshape(shape).apply({}, {}, X)[0], X.reshape(2, *shape))


def test_one_number_a_row() -> None:
    np.testing.assert_array_equal(jg.layers.Reshape(()).apply({}, {}, X[:, :1, 0])[0], X[:, 0, 0])


@pytest.mark.parametrize(
    "layer", [jg.layers.Flatten(), jg.layers.Reshape((-1, 3)), jg.layers.Reshape((3, -1))], ids=str
)
def test_free_axes(layer: jg.Layer) -> None:
    x = jg.Input((None, 6), name="x")
    model = jg.Model(x, layer(x))
    for steps in (4, 2):
        y, _ = model.apply({}, {}, X[:, :steps])
        np.testing.assert_array_equal(y, layer.apply({}, {}, X[:, :steps])[0])
