"""Activation layers and softmax: masks, other axes, functions with parameters in files, and what is refused."""

import copy
import functools
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import LoadError, SaveError, ShapeError
from jgraph.ops.activations import threshold

X: Any = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
STEPS: Any = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0]], bool)


def shares(x: np.ndarray, kept: np.ndarray, axes: int | tuple[int, ...]) -> np.ndarray:
    """The formula in float64, 0 where nothing is kept."""
    powers = np.where(kept, np.exp(x.astype("float64")), 0)
    sums = powers.sum(axes, keepdims=True)
    return powers / np.where(sums > 0, sums, 1)


def softmax(x: Any, mask: Any = None, **config: Any) -> np.ndarray:
    return np.asarray(jg.layers.Softmax(**config).apply({}, {}, x, mask=mask)[0])


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), [2], (-1, -2)], ids=str)
@pytest.mark.parametrize("shape", [None, (3, 5, 4), (3, 1, 4), (1, 5, 1)], ids=str)
def test_softmax_over_what_a_mask_leaves(axis: Any, shape: tuple | None) -> None:
    mask = None if shape is None else np.random.default_rng(1).random(shape) < 0.5
    axes = axis if isinstance(axis, int) else tuple(axis)
    kept = np.broadcast_to(np.ones((), bool) if mask is None else mask, X.shape)
    np.testing.assert_allclose(softmax(X, mask, axis=axis), shares(X, kept, axes), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("axis", [1, (1, 2)], ids=str)
def test_a_mask_of_steps_counts_where_the_softmax_is_over_steps(axis: Any) -> None:
    kept = np.broadcast_to(STEPS[..., None], X.shape)
    np.testing.assert_allclose(softmax(X, STEPS, axis=axis), shares(X, kept, axis), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(softmax(X, STEPS), softmax(X))


def test_gradients_of_what_is_masked_are_zero() -> None:
    """Also where all of a sum is masked, and whatever stands there."""
    x = X.copy()
    x[~STEPS] = np.array([1e30, -1e30, 5.0, 0.0])
    slopes = jax.grad(lambda x: jnp.sum(jg.layers.Softmax(1).apply({}, {}, x, mask=STEPS)[0] ** 2))(x)
    assert not np.asarray(slopes)[~STEPS].any()
    assert np.isfinite(slopes).all()


def test_the_mask_of_an_embedding_reaches_a_softmax_over_time_and_goes_on() -> None:
    tokens = jg.Input((5,), "int32", name="tokens")
    embedded = jg.layers.Embedding(4, 3, mask_zero=True)(tokens)
    weights = jg.layers.Softmax(axis=1)(embedded)
    assert weights.mask is embedded.mask
    model = jg.Model(tokens, weights)
    rows = np.array([[1, 2, 0, 3, 0], [0, 0, 0, 0, 0]], "int32")
    y = np.asarray(model.apply(*model.init(jax.random.key(0)), rows)[0])
    np.testing.assert_allclose(y.sum(1), [[1.0] * 3, [0.0] * 3], rtol=1e-6)
    assert not y[rows == 0].any()
    allowed = jg.Input((5, 3), "bool", name="allowed")
    assert jg.layers.Softmax()(embedded, mask=allowed).mask is None


@pytest.mark.parametrize("shape", [(4,), (3, 4), (5, 4), (3, 5, 3), (3, 5, 4, 1)], ids=str)
def test_masks_that_do_not_fit_are_refused(shape: tuple) -> None:
    with pytest.raises(ShapeError, match=r"Softmax.*mask: expected the sizes.*\[batch, time\]"):
        softmax(X, np.ones(shape, bool), axis=1)


def test_a_softmax_of_one_row_is_refused_over_the_batch() -> None:
    """However its axis is written."""
    for draw in (
        lambda x: jg.layers.Softmax(-2)(x),
        lambda x: jg.layers.Softmax((1, -1))(x),
        lambda x: jg.layers.Activation("softmax")(x[:, 0]),
        lambda x: jg.layers.Activation(jax.nn.glu)(x[:, 0]),
    ):
        with pytest.raises(ShapeError, match="beside the batch axis"):
            draw(jg.Input((4,)))


def shifted(x: Any, by: float) -> Any:
    return x + by


PARTIALS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "leaky_relu": lambda x: np.where(x > 0, x, 0.1 * x),
    "threshold": lambda x: np.where(x > 0.5, x, -1.0),
    "shifted": lambda x: x + 2,
}
MADE = {
    "leaky_relu": functools.partial(jax.nn.leaky_relu, negative_slope=0.1),
    "threshold": functools.partial(threshold, threshold=0.5, default_value=-1.0),
    "shifted": functools.partial(shifted, by=2.0),
}


@pytest.mark.parametrize("name", PARTIALS)
def test_functions_with_parameters_are_activations_that_travel(name: str) -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, jg.layers.Activation(MADE[name])(jg.layers.Dense(4, activation=MADE[name])(x)))
    params, state = model.init(jax.random.key(0))
    want = np.asarray(model.apply(params, state, X[0])[0])
    np.testing.assert_allclose(
        want, PARTIALS[name](PARTIALS[name](X[0] @ np.asarray(params["dense"]["kernel"]))), rtol=1e-5, atol=1e-6
    )
    for twin in (
        jg.Model.from_json(model.to_json(), allow=[shifted]),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
    ):
        np.testing.assert_array_equal(twin.apply(params, state, X[0])[0], want)
        assert twin.to_json() == model.to_json()
    assert f"partial({'test_activation' if name == 'shifted' else 'j'}" in repr(
        jg.layers.Activation(MADE[name])
    ).replace("tests.", "test_activation.")


def test_files_say_only_functions_that_may_be_said() -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, jg.layers.Activation(MADE["shifted"])(x))
    with pytest.raises(LoadError, match="shifted"):
        jg.Model.from_json(model.to_json())
    text = model.to_json().replace("custom:shifted", "os.system")
    with pytest.raises(LoadError):
        jg.Model.from_json(text, allow=[shifted])
    with pytest.raises(SaveError, match="Write it with def"):
        jg.Model(x, jg.layers.Activation(functools.partial(lambda x, by: x + by, by=1.0))(x)).to_json()
