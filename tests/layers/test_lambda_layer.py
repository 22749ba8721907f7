"""Functions as layers: what they are given, what goes on of masks, and what a file says of them."""

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, LoadError, SaveError

X: Any = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
MASK = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 0, 1, 1]], bool)


def spread(x: Any, power: float = 2.0, *, mask: Any = None, training: Any = None) -> Any:
    """Uses everything that a function may ask for."""
    y = x**power if mask is None else jnp.where(mask[..., None], x**power, 0.0)
    return -y if training else y


def both_ends(xs: Any) -> Any:
    return {"sum": xs[0] + xs[1], "first": xs[0][:, 0]}


def first_step(inputs: Any, mask: Any) -> Any:
    return None if mask is None else mask[:, :1]


def test_a_function_gets_its_arguments_the_mask_and_training() -> None:
    layer = jg.layers.Lambda(spread, arguments={"power": 3.0})
    np.testing.assert_allclose(layer.apply({}, {}, X)[0], X**3, rtol=1e-6)
    np.testing.assert_allclose(layer.apply({}, {}, X, train=True)[0], -(X**3), rtol=1e-6)
    np.testing.assert_allclose(layer.apply({}, {}, X, mask=MASK)[0], X**3 * MASK[..., None], rtol=1e-6)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_keras_gives_the_same(train: bool, mask: Any) -> None:
    """Keras asks a function for the names of its positional parameters only."""

    def function(x: Any, power: float, mask: Any = None, training: bool = False) -> Any:
        return spread(x, power, mask=mask, training=training)

    config: Any = {"mask": first_step, "arguments": {"power": 3.0}}
    ours = jg.layers.Lambda(function, **config).apply({}, {}, X, mask=mask, train=train)[0]
    theirs = keras.layers.Lambda(function, **config)(X, mask=mask, training=train)
    np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-6)


def test_functions_of_trees_and_functions_without_a_signature() -> None:
    x, y = jg.Input((5, 4), name="x"), jg.Input((5, 4), name="y")
    drawn = jg.layers.Lambda(both_ends)([x, y])
    assert {name: symbol.shape[1:] for name, symbol in drawn.items()} == {"sum": (5, 4), "first": (4,)}
    assert jg.layers.Lambda(abs)(x).shape == x.shape


def test_masks_end_unless_a_function_says_what_goes_on() -> None:
    tokens = jg.Input((5,), "int32", name="tokens")
    embedded = jg.layers.Embedding(4, 3, mask_zero=True)(tokens)
    assert jg.layers.Lambda(jnp.square)(embedded).mask is None
    model = jg.Model(tokens, jg.layers.Lambda(lambda x: x[:, :1], mask=first_step)(embedded).mask)
    rows = np.array([[1, 0, 0, 0, 0], [0, 1, 2, 3, 0]], "int32")
    np.testing.assert_array_equal(model.apply(*model.init(jax.random.key(0)), rows)[0], [[True], [False]])
    masks = keras.layers.Lambda(lambda x: x[:, :1], mask=first_step).compute_mask(X, MASK)
    np.testing.assert_array_equal(jg.layers.Lambda(spread, first_step).pass_mask(MASK, X), masks)


def test_functions_of_single_elements_mix_no_rows() -> None:
    x = jg.Input((4,), name="x")
    assert not jg.Model(x, jg.layers.Lambda(jnp.tanh)(x)).mixes_rows
    assert jg.Model(x, jg.layers.Lambda(spread)(x)).mixes_rows
    assert jg.Model(x, jg.layers.Lambda(jnp.sum, arguments={"axis": 0, "keepdims": True})(x)).mixes_rows


def test_files_name_the_functions() -> None:
    x = jg.Input((5, 4), name="x")
    model = jg.Model(x, jg.layers.Lambda(spread, first_step, {"power": 3.0})(jg.layers.Lambda(jnp.square)(x)))
    text = model.to_json()
    assert '"jax.numpy.square"' in text
    twin = jg.Model.from_json(text, allow=[spread, first_step])
    np.testing.assert_array_equal(twin.apply({}, {}, X)[0], model.apply({}, {}, X)[0])
    with pytest.raises(LoadError, match="spread"):
        jg.Model.from_json(text, allow=[first_step])
    with pytest.raises(SaveError, match="Write it with def"):
        jg.Model(x, jg.layers.Lambda(lambda x: x + 1)(x)).to_json()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda made: made(3), "Lambda, function: expected a function, got 3"),
        (lambda made: made(jg.layers.Dense), "Lambda, function"),
        (lambda made: made(jg.layers.Activation("relu")), "Lambda, function"),
        (lambda made: made(abs, np.ones((3, 5), bool)), "Lambda, mask: expected a function or None"),
        (lambda made: made(abs, None, [1]), "Lambda, arguments: expected a dict by names"),
        (lambda made: made(abs, None, {1: 2}), "Lambda, arguments: expected a dict by names"),
    ],
    ids=["number", "class", "layer", "array", "list", "keys"],
)
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make(jg.layers.Lambda)
