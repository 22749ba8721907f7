"""Dropout: what it keeps, how it scales, and where its draws come from."""

from typing import Any

import jax
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import RandomKeyError

X: Any = (np.random.default_rng(0).normal(size=(50, 4, 20)) ** 2 + 1).astype("float32")


def dropped(layer: jg.Layer, seed: int = 0) -> np.ndarray:
    return np.asarray(layer.apply({}, {}, X, train=True, key=jax.random.key(seed))[0])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_a_fraction_is_dropped_and_the_rest_scaled(rate: float) -> None:
    y = dropped(jg.layers.Dropout(rate))
    np.testing.assert_allclose(y[y != 0], (X / (1 - rate))[y != 0], rtol=1e-6)
    assert abs((y == 0).mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / y.size)


@pytest.mark.parametrize(
    "noise_shape", [(None, 1, None), (None, None, 1), (1, 1, None), (None, 4, 1), [None, 1, 20]], ids=str
)
def test_one_draw_serves_an_axis_of_size_one(noise_shape: tuple) -> None:
    kept = dropped(jg.layers.Dropout(0.5, noise_shape)) != 0
    for axis, size in enumerate(noise_shape):
        same = (kept == np.take(kept, [0], axis)).all()
        assert same == (size == 1)


def test_draws_follow_the_key_and_the_path() -> None:
    layer = jg.layers.Dropout(0.5)
    np.testing.assert_array_equal(dropped(layer), dropped(layer))
    assert (dropped(layer) != dropped(layer, 1)).any()
    x = jg.Input((4, 20), name="x")
    model = jg.Model(x, [layer(x), layer(x), jg.layers.Dropout(0.5)(x)])
    outputs, _ = model.apply({}, {}, X, train=True, key=jax.random.key(0))
    assert len({np.asarray(y).tobytes() for y in outputs}) == 3


def test_nothing_happens_without_training_or_rate() -> None:
    np.testing.assert_array_equal(jg.layers.Dropout(0.5).apply({}, {}, X)[0], X)
    np.testing.assert_array_equal(jg.layers.Dropout(0.0).apply({}, {}, X, train=True)[0], X)


def test_a_missing_key_is_named_with_the_layer_and_the_cure() -> None:
    x = jg.Input((4, 20), name="x")
    model = jg.Model(x, jg.layers.Dropout(0.5, name="noise")(x))
    with pytest.raises(RandomKeyError, match=r"key=jax\.random\.key\(0\)") as caught:
        model.apply({}, {}, X, train=True)
    assert "'noise'" in " ".join(caught.value.__notes__)
