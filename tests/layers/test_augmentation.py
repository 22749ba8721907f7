"""Layers that change pictures at random: what is drawn, for whom, and what becomes of the pictures."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

import jgraph as jg
from jgraph.layers.augmenting import draw_numbers

L = jg.layers
KEY = jax.random.key(7)


def trained(layer: jg.Layer, x: Any, key: Any = KEY) -> np.ndarray:
    return np.asarray(jax.jit(lambda x: layer.apply({}, {}, x, train=True, key=key)[0])(x))


def chequered(rows: int, height: int = 6, width: int = 5) -> Any:
    """The same picture in all rows; no two of its numbers are alike."""
    return np.broadcast_to(np.random.default_rng(0).permutation(height * width), (rows, height * width)).reshape(
        rows, height, width, 1
    )


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (L.RandomFlip(), [(0.0, 1.0)]),
        (L.RandomCrop(4, 5), [(0.0, 3.0), (0.0, 1.0)]),
        (L.RandomRotation(0.25), [(-90.0, 90.0)]),
        (L.RandomRotation(-0.25), [(-90.0, 90.0)]),
        (L.RandomRotation((0.5, -0.25)), [(-90.0, 180.0)]),
        (L.RandomTranslation(0.5, [0.25, 0.75]), [(-0.5, 0.5), (0.25, 0.75)]),
        (L.RandomZoom(0.5), [(0.5, 1.5)]),
        (L.RandomZoom(0.5, (-0.25, 0)), [(0.5, 1.5), (0.75, 1.0)]),
        (L.RandomContrast(0.25), [(0.75, 1.25)]),
        (L.RandomContrast((0.5, 0.25)), [(0.5, 1.25)]),
        (L.RandomBrightness(0.5), [(-0.5, 0.5)]),
    ],
    ids=repr,
)
def test_bounds_of_what_is_drawn(layer: Any, expected: list[tuple[float, float]]) -> None:
    assert list(layer.intervals(chequered(2))) == expected


def test_numbers_are_uniform_between_their_bounds() -> None:
    drawn = np.asarray(draw_numbers(KEY, 4000, ((-90.0, 30.0), (2.0, 3.0), (5.0, 5.0))))
    assert drawn.dtype == np.float32
    assert (drawn[2] == 5.0).all()
    for numbers, low, high in zip(drawn[:2], (-90.0, 2.0), (30.0, 3.0), strict=True):
        assert low <= numbers.min() < numbers.max() < high
        shares = np.histogram(numbers, 10, (low, high))[0] / len(numbers)
        assert np.abs(shares - 0.1).max() < 0.025  # five deviations of a share: sqrt(0.09 / 4000) = 0.005
    assert abs(np.corrcoef(drawn[:2])[0, 1]) < 0.08  # five deviations: 1 / sqrt(4000) = 0.016


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_what_a_row_draws_does_not_depend_on_how_many_there_are(impl: str) -> None:
    key = jax.random.key(0, impl=impl)
    few, many = (np.asarray(draw_numbers(key, n, ((0.0, 1.0), (0.0, 1.0)))) for n in (3, 11))
    np.testing.assert_array_equal(few, many[:, :3])
    assert len(np.unique(many)) == 22


def test_half_of_the_pictures_are_flipped() -> None:
    x = chequered(2000).astype("float32")
    turned = {"horizontal": x[:, :, ::-1], "vertical": x[:, ::-1], "horizontal_and_vertical": x[:, ::-1, ::-1]}
    for mode, other in turned.items():
        y = trained(L.RandomFlip(mode), x)
        same, flipped = ((y == z).all((1, 2, 3)) for z in (x, other))
        assert (same ^ flipped).all()
        assert 0.44 < flipped.mean() < 0.56  # five deviations: sqrt(0.25 / 2000) = 0.011


def test_windows_are_at_all_places_alike() -> None:
    x = chequered(4000)
    y = trained(L.RandomCrop(4, 5), x)
    places = np.array([(y == x[:, i : i + 4]).all((1, 2, 3)) for i in range(3)])
    assert (places.sum(0) == 1).all()
    assert np.abs(places.mean(1) - 1 / 3).max() < 0.04  # five deviations: sqrt(2 / 9 / 4000) = 0.0075
    assert (places.argmax(0) != places.argmax(0)[0]).any()


def test_a_window_is_drawn_along_one_side_where_the_other_fits() -> None:
    x = chequered(64, 6, 5)
    assert len(np.unique(trained(L.RandomCrop(6, 2), x), axis=0)) == 4


@pytest.mark.parametrize(
    ("mode", "scipys"),
    [("reflect", "reflect"), ("wrap", "grid-wrap"), ("constant", "grid-constant"), ("nearest", "nearest")],
)
def test_a_turn_against_scipy_in_float64(mode: str, scipys: Any) -> None:
    x = np.random.default_rng(0).normal(size=(1, 7, 6, 1))
    y = trained(L.RandomRotation((0.1, 0.1), mode, fill_value=2.0), x.astype("float32"))
    cos, sin = np.cos(0.2 * np.pi), np.sin(0.2 * np.pi)
    matrix, middle = np.array([[cos, sin], [-sin, cos]]), np.array([3.0, 2.5])
    offset: Any = middle - matrix @ middle
    want = ndimage.affine_transform(x[0, :, :, 0], matrix, offset, order=1, mode=scipys, cval=2.0, prefilter=False)
    np.testing.assert_allclose(y[0, :, :, 0], want, atol=1e-5)


def test_signs() -> None:
    """A quarter turn is counter-clockwise, a positive shift goes down and right, a negative zoom enlarges."""
    x = chequered(1, 5, 5).astype("float32")
    quarter = trained(L.RandomRotation((0.25, 0.25)), x)
    np.testing.assert_allclose(quarter, np.rot90(x, axes=(1, 2)), atol=1e-4)  # pixels of up to 24, moved by 1e-6
    shifted = trained(L.RandomTranslation((0.2, 0.2), (0.4, 0.4), "constant", fill_value=-1.0), x)
    np.testing.assert_allclose(shifted[:, 1:, 2:], x[:, :-1, :-2], atol=1e-4)
    assert (shifted[:, 0] == -1).all()
    assert (shifted[:, :, :2] == -1).all()
    corners = np.ix_([0], [0, 2, 4], [0, 2, 4])
    enlarged = trained(L.RandomZoom((-0.5, -0.5)), x)
    np.testing.assert_allclose(enlarged[corners], x[:, 1:4, 1:4], atol=1e-5)


def test_values_in_float64() -> None:
    x = np.random.default_rng(0).uniform(0, 1, (2, 4, 5, 3))
    mean = x.mean((1, 2), keepdims=True)
    numbers = np.array([0.3, 1.7])[:, None, None, None]
    contrast, brightness = L.RandomContrast(1.0, (0.0, 1.0)), L.RandomBrightness(1.0, (0.0, 1.0))
    given = [jnp.asarray(numbers.ravel(), jnp.float32)]
    narrow = jnp.asarray(x, jnp.float32)
    np.testing.assert_allclose(contrast.change(narrow, given), np.clip((x - mean) * numbers + mean, 0, 1), atol=1e-6)
    np.testing.assert_allclose(brightness.change(narrow, given), np.clip(x + numbers, 0, 1), atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        L.RandomFlip(),
        L.RandomCrop(3, 3),
        L.RandomRotation(0.5),
        L.RandomTranslation(0.5, 0.5),
        L.RandomZoom(0.5),
        L.RandomContrast(0.5),
        L.RandomBrightness(0.5),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_integers_become_float32(layer: Any) -> None:
    x = chequered(2) + 100
    np.testing.assert_array_equal(trained(layer, x.astype("uint8")), trained(layer, x.astype("float32")))
    for train in (False, True):
        y, _ = jax.eval_shape(lambda x, train=train: layer.apply({}, {}, x, train=train, key=KEY), x.astype("int16"))
        assert y.dtype == layer(jg.Input((6, 5, 1), "int16")).dtype == "float32"


def test_brightness_of_bytes_does_not_run_over() -> None:
    x = np.full((1, 2, 2, 1), 250, "uint8")
    assert (trained(L.RandomBrightness((0.2, 0.2)), x) == 255).all()


def test_numbers_that_are_not_finite_stay_where_they_are() -> None:
    x = chequered(1, 5, 5).astype("float32")
    x[0, 0, 0] = np.nan
    y = trained(L.RandomTranslation((0.2, 0.2), (0.2, 0.2), "constant", "nearest"), x)
    assert np.argwhere(np.isnan(y)).tolist() == [[0, 1, 1, 0]]


def test_places_and_weights_are_of_one_rounding() -> None:
    """Centres of odd pictures are a rounding away from a whole number: there a weight must not be of the next pixel.

    Without a fill value a turn is linear, so that its derivative along a direction is the direction, turned; that is
    another program, where roundings differ.
    """
    random = np.random.default_rng(0)
    x, v = (jnp.asarray(random.normal(size=(256, 7, 7, 1)), jnp.float32) for _ in range(2))
    layer = L.RandomRotation(1.0, "constant")

    def turn(x: Any) -> Any:
        return layer.apply({}, {}, x, train=True, key=KEY)[0]

    tangent = jax.jit(lambda x, v: jax.jvp(turn, (x,), (v,))[1])(x, v)
    np.testing.assert_allclose(tangent, jax.jit(turn)(v), atol=1e-5)
