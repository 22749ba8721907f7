"""Activations, rectifiers and softmax as in Keras: sets of options in which each meets most of the others.

`scripts/compare/activation.py` has the full product.
"""

import functools
from typing import Any

import jax
import keras
import numpy as np
import pytest

import jgraph as jg
from jgraph.ops import activations
from jgraph.ops.activations import ACTIVATIONS
from tests.references.keras_twin import assert_close, check_twin, make_twin


def normal(*shape: int) -> np.ndarray:
    return (2 * np.random.default_rng(sum(shape)).normal(size=shape)).astype("float32")


GRID = np.stack([np.linspace(-8, 7.5, 32), np.linspace(-80, 80, 32)]).astype("float32")
"""It holds the numbers where pieces of functions meet, and some far out."""

MASK = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 1, 1, 1]], bool)


def label(value: Any) -> str | None:
    """A test's name from a configuration."""
    return "-".join(f"{k}={v}" for k, v in value.items()) or "plain" if isinstance(value, dict) else None


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations(name: str) -> None:
    """Of `sparsemax`, where one element alone is left: elsewhere Keras' does not sum to 1."""
    check_twin("Activation", {"activation": name}, GRID[::-1] if name != "sparsemax" else 4 * GRID)


def test_sparsemax_of_keras_is_none() -> None:
    x = np.array([[1.0, 1.0], [2.0, 2.0]], "float32")
    twin = make_twin("Activation", {"activation": "sparsemax"}, (x,))
    sums = [np.sum(f({}, (x,), False, None)[0], -1) for f in (twin.apply, twin.stateless_call)]
    np.testing.assert_allclose(sums, [[1.0, 1.0], [0.0, 0.0]], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("threshold", {"threshold": 0.5, "default_value": -1.0}),
        ("threshold", {"threshold": -2.0, "default_value": 3.0}),
        ("hard_shrink", {"threshold": 1.0}),
        ("soft_shrink", {"threshold": 0.0}),
        ("soft_shrink", {"threshold": 3.0}),
        ("leaky_relu", {"negative_slope": 0.05}),
        ("gelu", {"approximate": True}),
    ],
    ids=str,
)
def test_functions_with_other_parameters(name: str, parameters: dict[str, Any]) -> None:
    got, want = (
        jax.jit(jax.vmap(jax.vmap(jax.value_and_grad(functools.partial(getattr(home, name), **parameters)))))(GRID)
        for home in (activations, keras.activations)
    )
    assert_close(got, want, name)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        *(("ReLU", c) for c in ({}, {"max_value": 6}, {"max_value": 6.0, "negative_slope": 0.1})),
        *(("ReLU", c) for c in ({"negative_slope": 0.5}, {"threshold": 1.0}, {"max_value": 3.0})),
        ("ReLU", {"max_value": 6, "threshold": 1.0, "negative_slope": 2.0}),
        ("ReLU", {"max_value": 1.0, "threshold": 3.0, "negative_slope": 0.1}),
        ("ReLU", {"max_value": 0.0, "negative_slope": 1}),
        *(("LeakyReLU", c) for c in ({}, {"negative_slope": 0}, {"negative_slope": 1.5})),
        *(("ELU", c) for c in ({}, {"alpha": 0.0}, {"alpha": 2})),
        ("PReLU", {"alpha_initializer": "ones"}),
    ],
    ids=label,
)
def test_rectifiers(name: str, config: dict[str, Any]) -> None:
    check_twin(name, config, GRID)


@pytest.mark.parametrize("shared_axes", [2, (3, 1), [1, 2, 3]], ids=str)
def test_prelu_shares(shared_axes: Any) -> None:
    check_twin("PReLU", {"shared_axes": shared_axes}, normal(2, 3, 4, 5))


@pytest.mark.parametrize(
    ("axis", "ones"),
    [
        *((-1, ones) for ones in (None, (), (1, 2))),
        *((1, ones) for ones in (None, (0, 3))),
        *(([2], (2,)), ((1, -1), ()), ((1, -1), (2,)), ([-3, 2, 3], None), ([-3, 2, 3], (1, 3))),
    ],
    ids=str,
)
def test_softmax(axis: Any, ones: tuple | None) -> None:
    """With masks of the input's rank: of size 1 along some axes; some sums are masked whole."""
    shape = (3, 2, 4, 5)
    small = tuple(1 if i in (ones or ()) else size for i, size in enumerate(shape))
    mask = None if ones is None else np.random.default_rng(len(ones)).random(small) < 0.4
    check_twin("Softmax", {"axis": axis}, normal(*shape), mask=mask)


def test_softmax_of_steps_that_are_masked() -> None:
    """Keras gives every step of the input a mask of its own where it is told so; a mask of steps does not fit there."""
    twin = make_twin("Softmax", {"axis": 1}, (normal(3, 5, 4),))
    spread = np.repeat(MASK[..., None], 4, -1)
    theirs = twin.stateless_call({}, (normal(3, 5, 4),), False, spread)[0]
    np.testing.assert_allclose(twin.apply({}, (normal(3, 5, 4),), False, MASK)[0], theirs, rtol=1e-5)
    with pytest.raises(ValueError, match="broadcastable"):
        twin.stateless_call({}, (normal(3, 5, 4),), False, MASK)


@pytest.mark.parametrize("name", ["Activation", "ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax"])
def test_masks_go_on(name: str) -> None:
    x = normal(3, 5, 4)
    twin = make_twin(name, {"activation": "relu"} if name == "Activation" else {}, (x,))
    np.testing.assert_array_equal(twin.ours.pass_mask(MASK, x), twin.theirs.compute_mask(x, MASK))


def test_a_mask_of_the_inputs_rank_ends_in_a_softmax() -> None:
    """Keras hands it on, to layers that would take it for one of steps."""
    x, mask = normal(3, 5, 4), np.ones((3, 5, 4), bool)
    twin = make_twin("Softmax", {}, (x,))
    assert twin.ours.pass_mask(mask, x) is None
    assert twin.theirs.compute_mask(x, mask) is mask


def test_axes_from_the_end_are_shared() -> None:
    """Keras shares the axis before it."""
    spec = jax.ShapeDtypeStruct((2, 3, 4, 5), "float32")
    params, _ = jg.layers.PReLU(shared_axes=-2).init(jax.random.key(0), spec)
    assert params["alpha"].shape == (3, 1, 5)
    theirs = keras.layers.PReLU(shared_axes=[-2])
    theirs.build((None, 3, 4, 5))
    assert theirs.alpha.shape == (1, 4, 5)
