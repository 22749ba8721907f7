"""Noise while training: what is kept, how it scales, its moments, and where its draws come from.

Bounds are five standard errors of what is measured, of seeded draws.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import RandomKeyError

X: Any = (np.random.default_rng(0).normal(size=(50, 4, 20)) ** 2 + 1).astype("float32")


def trained(layer: jg.Layer, x: Any = X, seed: int = 0) -> np.ndarray:
    return np.asarray(layer.apply({}, {}, x, train=True, key=jax.random.key(seed))[0])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_a_fraction_is_dropped_and_the_rest_scaled(rate: float) -> None:
    y = trained(jg.layers.Dropout(rate))
    np.testing.assert_allclose(y[y != 0], (X / (1 - rate))[y != 0], rtol=1e-6)
    assert abs((y == 0).mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / y.size)


@pytest.mark.parametrize(
    "noise_shape", [(None, 1, None), (None, None, 1), (1, 1, None), (None, 4, 1), [None, 1, 20]], ids=str
)
def test_one_draw_serves_an_axis_of_size_one(noise_shape: tuple) -> None:
    for make in (jg.layers.Dropout, jg.layers.AlphaDropout):
        y = trained(make(0.5, noise_shape))
        kept = y > y.min() + 1e-4
        for axis, size in enumerate(noise_shape):
            same = (kept == np.take(kept, [0], axis)).all()
            assert same == (size == 1)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("rate", [0.2, 0.7])
def test_whole_features_are_dropped(rank: int, rate: float) -> None:
    x: Any = np.ones((40, *(4, 3, 2)[:rank], 50), "float32")
    y = trained(getattr(jg.layers, f"SpatialDropout{rank}D")(rate), x)
    spatial = tuple(range(1, rank + 1))
    kept = (y != 0).all(spatial)
    np.testing.assert_array_equal((y != 0).any(spatial), kept)
    np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-6)
    assert abs(kept.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / kept.size)
    assert len({row.tobytes() for row in kept}) == 40  # each row has its own draws
    assert len({column.tobytes() for column in kept.T}) == 50


def fourth_moments(noise: np.ndarray, mean: float, stddev: float) -> None:
    """Checks mean, variance, and that neither skew nor tails are other than the normal distribution's."""
    n, centred = noise.size, (noise - mean) / stddev
    assert abs(centred.mean()) < 5 / math.sqrt(n)
    assert abs((centred**2).mean() - 1) < 5 * math.sqrt(2 / n)
    assert abs((centred**3).mean()) < 5 * math.sqrt(15 / n)
    assert abs((centred**4).mean() - 3) < 5 * math.sqrt(96 / n)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_gaussian_dropout_multiplies_with_noise_around_one(rate: float) -> None:
    """Of the variance that dropout has."""
    noise = trained(jg.layers.GaussianDropout(rate)).astype("float64") / X
    fourth_moments(noise, 1.0, math.sqrt(rate / (1 - rate)))


@pytest.mark.parametrize("stddev", [0.01, 1.0, 30.0])
def test_gaussian_noise_is_added(stddev: float) -> None:
    fourth_moments(trained(jg.layers.GaussianNoise(stddev), np.zeros_like(X)), 0.0, stddev)
    moved = trained(jg.layers.GaussianNoise(stddev)) - trained(jg.layers.GaussianNoise(stddev), np.zeros_like(X))
    np.testing.assert_allclose(moved, X, atol=2e-5 * stddev + 1e-5)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6])
def test_alpha_dropout_keeps_mean_and_variance_of_selus(rate: float) -> None:
    """Of inputs with mean 0 and variance 1, and of what `selu` makes of normal ones."""
    plain = np.random.default_rng(1).normal(size=(200, 1000))
    for x in (plain, np.asarray(jax.nn.selu(plain))):
        y = trained(jg.layers.AlphaDropout(rate), x.astype("float32")).astype("float64")
        spread = math.sqrt((y**4).mean() - 1)
        assert abs(y.mean()) < 10 / math.sqrt(y.size)  # the inputs' own mean is off by as much
        assert abs((y**2).mean() - 1) < 10 * spread / math.sqrt(y.size)
    low = -1.0507009873554805 * 1.6732632423543772
    a = ((1 - rate) * (1 + rate * low**2)) ** -0.5
    x: Any = X + 10
    y = trained(jg.layers.AlphaDropout(rate), x)
    dropped = y < a * 10 * 0.9
    np.testing.assert_allclose(y, a * np.where(dropped, low, x) - a * low * rate, rtol=1e-5)
    assert abs(dropped.mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / y.size)


NOISES: dict[str, Callable[[float], jg.Layer]] = {
    "Dropout": jg.layers.Dropout,
    "AlphaDropout": jg.layers.AlphaDropout,
    "SpatialDropout1D": jg.layers.SpatialDropout1D,
    "GaussianDropout": jg.layers.GaussianDropout,
    "GaussianNoise": jg.layers.GaussianNoise,
}
noises = pytest.mark.parametrize("make", NOISES.values(), ids=NOISES)


@noises
def test_draws_follow_the_key_and_the_path(make: Callable[[float], jg.Layer]) -> None:
    layer = make(0.5)
    np.testing.assert_array_equal(trained(layer), trained(layer))
    assert (trained(layer) != trained(layer, seed=1)).any()
    x = jg.Input((4, 20), name="x")
    model = jg.Model(x, [layer(x), layer(x), make(0.5)(x)])
    outputs, _ = model.apply({}, {}, X, train=True, key=jax.random.key(0))
    assert len({np.asarray(y).tobytes() for y in outputs}) == 3


@noises
def test_nothing_happens_without_training_or_rate(make: Callable[[float], jg.Layer]) -> None:
    np.testing.assert_array_equal(make(0.5).apply({}, {}, X)[0], X)
    np.testing.assert_array_equal(make(0.0).apply({}, {}, X, train=True)[0], X)


@noises
def test_a_missing_key_is_named_with_the_layer_and_the_cure(make: Callable[[float], jg.Layer]) -> None:
    x, layer = jg.Input((4, 20), name="x"), make(0.5)
    model = jg.Model(x, layer(x))
    with pytest.raises(RandomKeyError, match=r"key=jax\.random\.key\(0\)") as caught:
        model.apply({}, {}, X, train=True)
    assert layer.default_name() in " ".join(caught.value.__notes__)


def test_activities_are_paid_for_at_every_call_and_seen_through() -> None:
    """For an average row; what stands behind the layer is the end of the model."""
    x = jg.Input((4,), name="x")
    paid = jg.layers.ActivityRegularization(l1=0.5, l2=0.25)
    y = paid(paid(jg.layers.Dense(3, activation="softmax", name="y")(x)))
    trainer = jg.Trainer(jg.Model(x, y), optax.sgd(0.1), loss="sparse_categorical_crossentropy")
    assert "logits, before softmax" in str(trainer)
    train_state = trainer.init(jax.random.key(0))
    rows, labels = X[:6, :, 0], np.arange(6) % 3
    shares = np.asarray(trainer.model.apply(train_state.params, {}, rows)[0])
    _, logs = trainer.step(train_state, (rows, labels))
    penalty = 2 * (0.5 * shares.sum() + 0.25 * (shares**2).sum()) / 6
    entropy = -np.log(shares[np.arange(6), labels]).mean()
    assert float(logs["loss"]) == pytest.approx(entropy + penalty, rel=1e-5)


def test_activities_of_a_narrow_dtype_are_summed_in_float32() -> None:
    x = jg.Input((400,), "bfloat16", name="x")
    model = jg.Model(x, jg.layers.ActivityRegularization(l1=1.0)(x))
    trainer = jg.Trainer(model, optax.sgd(0.1), loss="mse")
    rows = jnp.full((3, 400), 0.01, jnp.bfloat16)
    _, logs = trainer.step(trainer.init(jax.random.key(0)), (rows, rows))
    assert float(logs["loss"]) == pytest.approx(400 * float(rows[0, 0]), rel=1e-4)
