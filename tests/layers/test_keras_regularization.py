"""Noise and penalties as in Keras: nothing outside of training, and while training what their draws have in common.

`scripts/compare/regularization.py` has the full product.
"""

from typing import Any

import keras
import numpy as np
import pytest

from tests.references.keras_twin import check_twin, make_twin


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


SHAPES = {"SpatialDropout2D": (2, 3, 4, 5), "SpatialDropout3D": (2, 3, 2, 4, 5)}
MASK = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 1, 1, 1]], bool)

NOISES: list[tuple[str, dict[str, Any]]] = [
    ("Dropout", {"rate": 0.5, "noise_shape": (None, 1, None)}),
    ("AlphaDropout", {"rate": 0.3, "noise_shape": (None, None, 1)}),
    *((f"SpatialDropout{rank}D", {"rate": 0.5}) for rank in (1, 2, 3)),
    ("GaussianDropout", {"rate": 0.9}),
    ("GaussianNoise", {"stddev": 1.0}),
]

noises = pytest.mark.parametrize(("name", "config"), NOISES, ids=[name for name, _ in NOISES])


@noises
def test_nothing_happens_outside_of_training(name: str, config: dict[str, Any]) -> None:
    check_twin(name, config, normal(*SHAPES.get(name, (3, 5, 4))), gradients=False)


@noises
def test_nothing_happens_where_nothing_is_to_be_drawn(name: str, config: dict[str, Any]) -> None:
    config = {key: 0.0 if key in ("rate", "stddev") else value for key, value in config.items()}
    check_twin(name, config, normal(*SHAPES.get(name, (3, 5, 4))), train=True, gradients=False)


@pytest.mark.parametrize("rate", [0.25, 0.8])
@pytest.mark.parametrize("noise_shape", [None, (None, 1, None), (None, None, 1), (1, None, None)], ids=str)
def test_dropout(rate: float, noise_shape: tuple | None) -> None:
    """The draws differ, of course; scale, fraction and what one draw serves are the same."""
    x = normal(20, 10, 10) ** 2 + 1
    twin = make_twin("Dropout", {"rate": rate, "noise_shape": noise_shape}, (x,))
    shape = tuple(s if n is None else n for n, s in zip(noise_shape or (None,) * 3, x.shape, strict=True))
    for function in (twin.apply, twin.stateless_call):
        y = np.asarray(function({}, (x,), True, None)[0])
        kept = y != 0
        np.testing.assert_allclose(y[kept], (x / (1 - rate))[kept], rtol=1e-6)
        axes = tuple(i for i, size in enumerate(shape) if size == 1)
        assert (kept == kept.all(axes, keepdims=True)).all()
        draws = np.prod(shape)
        assert abs(kept.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / draws)


def test_alpha_dropout_takes_the_same_values() -> None:
    """Where an element is dropped, and where it is not, both give the same number."""
    x = normal(40, 50) ** 2  # above what is put in the place of dropped ones
    twin = make_twin("AlphaDropout", {"rate": 0.3}, (x,))
    ours, theirs = (np.asarray(f({}, (x,), True, None)[0]) for f in (twin.apply, twin.stateless_call))
    dropped = [y < y.min() + 1e-5 for y in (ours, theirs)]
    assert all(abs(d.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / d.size) for d in dropped)
    kept = ~(dropped[0] | dropped[1])
    np.testing.assert_allclose(ours[kept], theirs[kept], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.min(), theirs.min(), rtol=1e-5)


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.5), (0.2, 0.3)])
def test_activity_regularization(l1: float, l2: float) -> None:
    x = normal(3, 5, 4)
    twin = make_twin("ActivityRegularization", {"l1": l1, "l2": l2}, (x,))
    theirs = keras.layers.ActivityRegularization(l1=l1, l2=l2)
    theirs(x)
    np.testing.assert_allclose(twin.ours.penalty({}, (x,), x), sum(theirs.losses), rtol=1e-5)
    assert twin.ours.penalizes() == (l1 > 0 or l2 > 0)


@pytest.mark.parametrize("name", [n for n, _ in NOISES if n not in SHAPES] + ["ActivityRegularization"])
def test_masks_go_on(name: str) -> None:
    x = normal(3, 5, 4)
    twin = make_twin(name, dict(NOISES).get(name, {}), (x,))
    np.testing.assert_array_equal(twin.ours.pass_mask(MASK, x), twin.theirs.compute_mask(x, MASK))
