"""Layers that only change the shape, also where sizes are not known yet."""

from typing import Any

import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import ShapeError

X: Any = np.arange(48, dtype="float32").reshape(2, 4, 6)


@pytest.mark.parametrize("shape", [(2,), (2, 24), (2, 4, 6), (2, 2, 2, 6)], ids=str)
def test_flatten(shape: tuple[int, ...]) -> None:
    x = X.ravel()[: int(np.prod(shape))].reshape(shape)
    np.testing.assert_array_equal(jg.layers.Flatten().apply({}, {}, x)[0], x.reshape(2, -1))


@pytest.mark.parametrize("shape", [(24,), (-1,), (2, 12), (2, -1, 3), (24, 1, 1)], ids=str)
def test_reshape(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(jg.layers.Reshape(shape).apply({}, {}, X)[0], X.reshape(2, *shape))


@pytest.mark.parametrize("dims", [(1, 2, 3), (3, 1, 2), (2, 3, 1), [2, 1, 3]], ids=str)
def test_permute(dims: Any) -> None:
    x = X.reshape(2, 2, 3, 4)
    y, _ = jg.layers.Permute(dims).apply({}, {}, x)
    assert y.shape == (2, *(x.shape[d] for d in dims))
    for place in np.ndindex(*y.shape[1:]):
        at = tuple(place[list(dims).index(axis)] for axis in (1, 2, 3))
        np.testing.assert_array_equal(y[(slice(None), *place)], x[(slice(None), *at)])


def test_repeat_vector() -> None:
    y, _ = jg.layers.RepeatVector(3).apply({}, {}, X[:, 0])
    np.testing.assert_array_equal(y, np.stack([X[:, 0]] * 3, axis=1))


def test_one_number_a_row() -> None:
    np.testing.assert_array_equal(jg.layers.Reshape(()).apply({}, {}, X[:, :1, 0])[0], X[:, 0, 0])
    np.testing.assert_array_equal(jg.layers.Flatten().apply({}, {}, X[:, 0, 0])[0], X[:, 0, :1])


@pytest.mark.parametrize(
    "layer",
    [
        jg.layers.Flatten(),
        jg.layers.Permute((2, 1)),
        *map(jg.layers.Reshape, [(-1, 3), (3, -1), (-1,), (-1, 6), (1, -1, 2, 3)]),
    ],
    ids=str,
)
def test_free_axes(layer: jg.Layer) -> None:
    x = jg.Input((None, 6), name="x")
    model = jg.Model(x, layer(x))
    for steps in (4, 2):
        y, _ = model.apply({}, {}, X[:, :steps])
        np.testing.assert_array_equal(y, layer.apply({}, {}, X[:, :steps])[0])


@pytest.mark.parametrize(
    ("axes", "layer"),
    [
        (("h", "w"), jg.layers.Flatten()),
        (("h", "w"), jg.layers.Reshape((-1,))),
        (("h", "w"), jg.layers.Reshape((1, -1))),
        (("2*h", "3*w"), jg.layers.Reshape((2, -1, 3))),
        (("4*t", 6), jg.layers.Reshape((-1, 8))),
    ],
    ids=str,
)
def test_named_axes(axes: tuple[Any, ...], layer: jg.Layer) -> None:
    x = jg.Input(axes, name="x")
    y, _ = jg.Model(x, layer(x)).apply({}, {}, X)
    np.testing.assert_array_equal(y, layer.apply({}, {}, X)[0])


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [
        (("t", 4), (-1, 8), r"expected rows of a multiple of 8 elements, got 4\*t: .*\('2\*steps', 4\)"),
        ((None, 4), (-1, 8), r"expected rows of a multiple of 8 elements, got 4\*None: "),
        (("h", "w", 3), (4, -1), r"expected rows of a multiple of 4 elements, got 3\*h\*w: "),
        (("t", 4), (8,), r"expected rows of 8 elements, got 4\*t: .*Write -1 for the size"),
        ((3, 4), (-1, 8), "expected rows of a multiple of 8 elements, got 12: .*product of target_shape"),
        ((3, 4), (2, 5), "expected rows of 10 elements, got 12: .*product of target_shape"),
    ],
    ids=str,
)
def test_sizes_that_are_not_known_to_fit_are_refused_when_drawn(axes: Any, shape: Any, message: str) -> None:
    x = jg.Input(axes)
    with pytest.raises(ShapeError, match=message):
        jg.layers.Reshape(shape)(x)
