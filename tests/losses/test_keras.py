"""Losses against Keras 3 on the probabilities of the same logits: values, gradients, and the names of strings."""

from typing import Any

import jax
import keras as keras_package
import numpy as np
import pytest

import jgraph as jg
from jgraph.losses.library import LOSSES
from tests.losses.cases import TWINS, Twin, data_for

keras: Any = keras_package

EVERY_TWIN = pytest.mark.parametrize("twin", TWINS, ids=repr)

# Keras cuts probabilities off at 1e-7, adds 1e-7 to what it divides by, and loses digits of 1 - p where p is near 1.
VALUES: dict[str, Any] = {"rtol": 3e-5, "atol": 2e-5}
GRADIENTS: dict[str, Any] = {"rtol": 1e-3, "atol": 2e-5}


def both(loss: Any, targets: Any, outputs: Any) -> tuple[Any, Any]:
    """The values of a loss, and the gradient of their sum."""

    @jax.jit
    def run(outputs: Any) -> tuple[Any, Any]:
        def total(outputs: Any) -> tuple[Any, Any]:
            values = loss(targets, outputs)
            return values.sum(), values

        slopes, values = jax.grad(total, has_aux=True)(outputs)
        return values, slopes

    return run(outputs)


@EVERY_TWIN
def test_values_and_gradients(twin: Twin) -> None:
    targets, outputs = data_for(twin.ours, twin.shape, scale=1.5)
    (values, slopes), (theirs, their_slopes) = (both(loss, targets, outputs) for loss in (twin.ours, twin.keras))
    assert values.shape == theirs.shape
    np.testing.assert_allclose(values, theirs, **VALUES)
    np.testing.assert_allclose(slopes, their_slopes, **GRADIENTS)


def test_every_class_of_keras_is_tried() -> None:
    names = {name for name in dir(keras.losses) if isinstance(getattr(keras.losses, name), type)} - {"Loss"}
    assert names <= {type(twin.ours).__name__ for twin in TWINS}
    assert names <= set(dir(jg.losses))


def test_strings_are_those_of_keras() -> None:
    from keras.src.losses import ALL_OBJECTS_DICT

    known = {name for name in ALL_OBJECTS_DICT if name not in ("Loss", "LossFunctionWrapper")}
    assert known <= set(LOSSES)
    for name in known:
        theirs = keras.losses.get(name)
        own = getattr(theirs, "name", None) or theirs.__name__
        assert LOSSES[name].name == own.removesuffix("_loss"), name


@pytest.mark.parametrize("name", ["MSE", "MeanSquaredError", "mse", "mean_squared_error"])
def test_every_spelling_is_one_loss(name: str) -> None:
    assert LOSSES[name] is jg.losses.mean_squared_error


def test_defaults_of_options_are_those_of_keras() -> None:
    for twin in TWINS:
        kind: Any = type(twin.ours)
        theirs = getattr(keras.losses, kind.__name__, None)
        config = theirs().get_config() if theirs else {}
        for name, value in config.items():
            if name not in ("name", "reduction", "fn", "from_logits", "dtype") and hasattr(twin.ours, name):
                assert getattr(kind(), name) == value, (kind, name)


def test_dice_without_axes_is_of_each_example() -> None:
    """Keras without axes has one value for the whole batch."""
    targets, outputs = data_for(jg.losses.dice, (3, 4))
    assert jg.losses.dice(targets, outputs).shape == (3,)
    assert keras.losses.Dice(None)(targets, outputs).shape == ()
    one = targets[:1], outputs[:1]
    np.testing.assert_allclose(jg.losses.dice(*one)[0], keras.losses.Dice(None)(*one), rtol=1e-6)


def test_hinges_read_zeros_element_by_element() -> None:
    """Keras reads 0 as -1 only where the whole batch is of 0 and 1, so that a row's value depends on others."""
    targets, outputs = np.array([[0.0], [1.0]], "f4"), np.array([[0.5], [0.5]], "f4")
    np.testing.assert_array_equal(jg.losses.hinge(targets, outputs), [1.5, 0.5])
    np.testing.assert_array_equal(jg.losses.hinge(targets * 2 - 1, outputs), [1.5, 0.5])
