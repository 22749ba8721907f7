"""Recurrent layers as in Keras: outputs and gradients over sets of options in which each meets most of the others.

`scripts/compare/recurrent.py` has the full product.
"""

import itertools
from typing import Any

import jax
import numpy as np
import pytest

from tests.references.keras_twin import Part, check_twin, make_twin

MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0]], bool)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def memories(*sizes: int) -> list[np.ndarray]:
    return [normal(3, size) * (i + 1) for i, size in enumerate(sizes)]


X = normal(3, 5, 2)


def label(value: Any) -> str | None:
    """A test's name from a configuration."""
    return "-".join(f"{k}={v}" for k, v in value.items()) or "plain" if isinstance(value, dict) else None


@pytest.mark.parametrize(
    ("name", "config", "count", "masked"),
    [
        ("LSTM", {"return_sequences": True, "return_state": True, "go_backwards": True}, 2, True),
        ("LSTM", {"return_state": True, "unroll": True, "unit_forget_bias": False}, 0, True),
        ("LSTM", {"go_backwards": True, "activation": "relu", "recurrent_activation": "hard_sigmoid"}, 2, False),
        ("LSTM", {"return_sequences": True, "unroll": True, "use_bias": False, "activation": None}, 0, False),
        ("GRU", {"return_sequences": True, "return_state": True, "reset_after": False}, 1, True),
        ("GRU", {"go_backwards": True, "unroll": True}, 0, True),
        ("GRU", {"return_sequences": True, "go_backwards": True, "use_bias": False}, 1, False),
        ("GRU", {"use_bias": False, "reset_after": False, "recurrent_activation": "softmax"}, 0, False),
        ("SimpleRNN", {"return_sequences": True, "return_state": True, "unroll": True}, 0, True),
        ("SimpleRNN", {"go_backwards": True, "use_bias": False, "activation": "relu"}, 1, True),
    ],
    ids=label,
)
def test_layers(name: str, config: dict[str, Any], count: int, masked: bool) -> None:
    inputs = (X, memories(*[4] * count)) if count else (X,)
    check_twin(name, {"units": 4, **config}, *inputs, mask=MASK if masked else None, train=masked, gradients=count > 0)


STACK = [
    Part("LSTMCell", {"units": 4, "name": "low"}),
    Part("GRUCell", {"units": 3, "name": "middle"}),
    Part("SimpleRNNCell", {"units": 2, "name": "high"}),
]


@pytest.mark.parametrize(
    ("config", "given", "masked"),
    [
        ({"cell": Part("LSTMCell", {"units": 3}), "return_sequences": True, "zero_output_for_mask": True}, None, True),
        ({"cell": Part("GRUCell", {"units": 3}), "zero_output_for_mask": True, "return_state": True}, None, True),
        ({"cell": STACK, "return_sequences": True, "return_state": True, "go_backwards": True}, None, True),
        ({"cell": STACK, "unroll": True}, [memories(4, 4), memories(3), memories(2)], False),
    ],
    ids=["zero", "zero-last", "stack", "stack-unroll"],
)
def test_cells_taken_through(config: dict[str, Any], given: Any, masked: bool) -> None:
    inputs = (X,) if given is None else (X, given)
    check_twin("RNN", config, *inputs, mask=MASK if masked else None, gradients=not config.get("unroll"))


def test_a_cell_alone() -> None:
    check_twin("LSTMCell", {"units": 4}, X[:, 0], memories(4, 4))
    check_twin("GRUCell", {"units": 4, "reset_after": False}, X[:, 0], memories(4))


@pytest.mark.parametrize(
    ("inner", "config", "count", "masked"),
    [
        (Part("LSTM", {"units": 3, "return_sequences": True, "return_state": True}), {}, 4, True),
        (Part("GRU", {"units": 3}), {"merge_mode": "mul"}, 2, True),
        (Part("SimpleRNN", {"units": 3, "return_sequences": True}), {"merge_mode": "ave"}, 0, False),
        (Part("LSTM", {"units": 3, "return_state": True}), {"merge_mode": None}, 0, True),
        (
            Part("GRU", {"units": 3, "return_sequences": True, "go_backwards": True}),
            {"backward_layer": Part("SimpleRNN", {"units": 2, "return_sequences": True, "name": "backward"})},
            0,
            False,
        ),
        (Part("RNN", {"cell": STACK[1:], "return_sequences": True}), {"merge_mode": "sum"}, 0, True),
    ],
    ids=["concat", "mul", "ave", "none", "other", "stack"],
)
def test_both_ways(inner: Part, config: dict[str, Any], count: int, masked: bool) -> None:
    inputs = (X, memories(*[3] * count)) if count else (X,)
    gradients = inner.name != "RNN"  # each part of it has its gradient compared elsewhere
    check_twin("Bidirectional", {"layer": inner, **config}, *inputs, mask=MASK if masked else None, gradients=gradients)


def test_lstm_forget_bias_starts_at_one() -> None:
    spec = jax.ShapeDtypeStruct((3, 5, 2), "float32")
    for unit_forget_bias in (True, False):
        twin = make_twin("LSTM", {"units": 4, "unit_forget_bias": unit_forget_bias}, (X,))
        ours = twin.ours.init(jax.random.key(0), spec)[0]["bias"]
        theirs = next(v for v in twin.theirs.trainable_variables if v.name == "bias")
        np.testing.assert_array_equal(ours, theirs.value)


@pytest.mark.parametrize(("sequences", "state"), [*itertools.product([False, True], repeat=2)])
@pytest.mark.parametrize("name", ["LSTM", "Bidirectional"])
def test_masks_that_go_on(name: str, sequences: bool, state: bool) -> None:
    config: dict[str, Any] = {"units": 3, "return_sequences": sequences, "return_state": state}
    twin = make_twin(name, config if name == "LSTM" else {"layer": Part("LSTM", config)}, (X,))
    theirs = twin.theirs.compute_mask(X, MASK)
    theirs = theirs[0] if isinstance(theirs, list) else theirs
    ours = twin.ours.pass_mask(MASK, X)
    assert (ours is None) == (theirs is None)
    np.testing.assert_array_equal(ours, theirs)


class TestDifferences:
    """Where jgraph means something else than Keras, and why."""

    def test_a_sequence_backwards_hands_on_the_mask_in_its_own_order(self) -> None:
        """Keras hands on the mask unturned, so that the next layer would mask the wrong steps."""
        twin = make_twin("LSTM", {"units": 3, "return_sequences": True, "go_backwards": True}, (X,))
        np.testing.assert_array_equal(twin.ours.pass_mask(MASK, None), MASK[:, ::-1])
        np.testing.assert_array_equal(twin.theirs.compute_mask(None, MASK), MASK)

    def test_unrolling_changes_nothing(self) -> None:
        """Keras forgets `zero_output_for_mask`, and begins from 0 in place of the initial state."""
        h = memories(3)
        for config, given in (({"zero_output_for_mask": True}, (X,)), ({}, (X, h))):
            config = {"cell": Part("GRUCell", {"units": 3}), "return_sequences": True, **config}
            ours, theirs = [], []
            for unroll in (False, True):
                twin = make_twin("RNN", {**config, "unroll": unroll}, given)
                ours.append(np.asarray(twin.apply(twin.params, given, False, MASK)[0]))
                theirs.append(np.asarray(twin.stateless_call(twin.params, given, False, MASK)[0]))
            np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(ours[1], ours[0], rtol=1e-4, atol=1e-6)
            assert not np.allclose(theirs[1], theirs[0], rtol=1e-4, atol=1e-6)

    def test_activities_of_a_simple_rnn_are_regularized(self) -> None:
        """Keras takes `activity_regularizer` and forgets it."""
        twin = make_twin("SimpleRNN", {"units": 3, "activity_regularizer": "l2"}, (X,))
        assert twin.ours.penalizes()
        twin.theirs(X)
        assert twin.theirs.losses == []
