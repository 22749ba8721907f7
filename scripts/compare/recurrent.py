"""The cases of recurrent layers, their cells, and the layers around them."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.references.keras_twin import Part

Case = tuple[str, dict[str, Any], tuple, dict[str, Any]]

X = (3, 5, 2)
"""Rows, steps and features."""

MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0]], bool)
"""Padding behind, gaps with padding in front, and a row of nothing."""

GATES = {"SimpleRNN": 1, "GRU": 1, "LSTM": 2}
"""How many memories each has."""

FLAGS = tuple(itertools.product((False, True), repeat=4))


def cases() -> list[Case]:
    """The full product of the options of each layer."""
    return [*flows(), *parts(), *cells(), *taken_through(), *stacks(), *both_ways(), *merges(), *each_step()]


def numbers(*shape: int) -> np.ndarray:
    """Normal numbers, the same for one shape."""
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def memories(name: str, units: int, times: int = 1) -> list[np.ndarray]:
    """An initial state, each memory another."""
    return [numbers(3, units) * (i + 1) for i in range(GATES[name] * times)]


def flow(flags: tuple[bool, ...]) -> dict[str, bool]:
    """What is returned, and in what order it is computed."""
    return dict(zip(("return_sequences", "return_state", "go_backwards", "unroll"), flags, strict=True))


def flows() -> Iterator[Case]:
    """What is returned, directions, loops, masks and initial states, for each layer; training differs in nothing."""
    for name, flags, masked, begun in itertools.product(GATES, FLAGS, (False, True), (False, True)):
        options = {"mask": MASK} if masked else {}
        if masked and begun and flags[3]:
            options = {"mask": np.roll(MASK, 1, axis=0) | (np.arange(5) == 4 * flags[2])}
        inputs = (numbers(*X), memories(name, 4)) if begun else (numbers(*X),)
        yield name, {"units": 4, **flow(flags)}, inputs, {**options, "train": flags[0]}


def parts() -> Iterator[Case]:
    """Activations, biases and gates; odd sizes."""
    activations = ("tanh", "relu", None, "softmax", "gelu")
    gates = ("sigmoid", "hard_sigmoid", "tanh", None)
    for activation, bias, (units, shape) in itertools.product(
        activations, (True, False), ((1, (2, 7, 3)), (5, (1, 1, 1)), (3, (4, 2, 6)))
    ):
        plain = {"units": units, "activation": activation, "use_bias": bias, "return_sequences": True}
        yield "SimpleRNN", plain, (numbers(*shape),), {}
        for gate in gates:
            for name, option in (("GRU", "reset_after"), ("LSTM", "unit_forget_bias")):
                for value in (True, False):
                    config = {**plain, "recurrent_activation": gate, option: value}
                    yield name, config, (numbers(*shape),), {}


def cells() -> Iterator[Case]:
    """A cell alone, on a step and its memories."""
    for name, units, bias, activation in itertools.product(GATES, (1, 4), (True, False), ("tanh", "relu")):
        for after in (True, False) if name == "GRU" else (None,):
            config = {"units": units, "use_bias": bias, "activation": activation}
            config |= {} if after is None else {"reset_after": after}
            yield f"{name}Cell", config, (numbers(3, 2), memories(name, units)), {}


def taken_through() -> Iterator[Case]:
    """RNN over each cell."""
    for name, flags, masked, zero in itertools.product(GATES, FLAGS, (False, True), (False, True)):
        if masked and zero and flags[3]:
            continue  # Keras ignores zero_output_for_mask there
        config = {"cell": Part(f"{name}Cell", {"units": 3}), **flow(flags), "zero_output_for_mask": zero}
        yield "RNN", config, (numbers(*X),), {"mask": MASK} if masked else {}


def stacks() -> Iterator[Case]:
    """RNN over cells on top of each other, as a list and as one cell, from an initial state too."""
    for kinds in (("LSTM", "GRU"), ("SimpleRNN", "SimpleRNN"), ("GRU", "LSTM", "SimpleRNN")):
        of = [Part(f"{k}Cell", {"units": 4 - i, "name": f"cell{i}"}) for i, k in enumerate(kinds)]
        for flags, masked, begun in itertools.product(FLAGS, (False, True), (False, True)):
            options: dict[str, Any] = {"mask": MASK} if masked and not (begun and flags[3]) else {}
            given = [memories(k, 4 - i) for i, k in enumerate(kinds)]
            cell = Part("StackedRNNCells", {"cells": of}) if flags[0] else of
            inputs = (numbers(*X), given) if begun else (numbers(*X),)
            yield "RNN", {"cell": cell, **flow(flags)}, inputs, options


def both_ways() -> Iterator[Case]:
    """Both directions: ways to merge, what is returned, masks and initial states."""
    modes = ("concat", "sum", "mul", "ave", None)
    for name, mode, flags in itertools.product(GATES, modes, itertools.product((False, True), repeat=4)):
        sequences, state, masked, begun = flags
        inner = Part(name, {"units": 3, "return_sequences": sequences, "return_state": state})
        inputs = (numbers(*X), memories(name, 3, 2)) if begun else (numbers(*X),)
        yield "Bidirectional", {"layer": inner, "merge_mode": mode}, inputs, {"mask": MASK} if masked else {}


def merges() -> Iterator[Case]:
    """A second layer of another kind, layers that go backwards first, and RNN in both directions."""
    for sequences, state, masked, zero in itertools.product((False, True), repeat=4):
        options = {"mask": MASK} if masked else {}
        same = {"return_sequences": sequences, "return_state": state}
        first = Part("LSTM", {"units": 3, **same, "go_backwards": zero})
        second = Part("GRU", {"units": 2, **same, "go_backwards": not zero, "activation": "relu", "name": "backward"})
        if not (zero and masked and sequences):  # Keras hands on the mask in the wrong order
            yield "Bidirectional", {"layer": first, "backward_layer": second}, (numbers(*X),), options
        of = [Part("LSTMCell", {"units": 4, "name": "low"}), Part("GRUCell", {"units": 3, "name": "high"})]
        inner = Part("RNN", {"cell": of, **same, "zero_output_for_mask": zero})
        yield "Bidirectional", {"layer": inner, "merge_mode": "sum"}, (numbers(*X),), options


def each_step() -> Iterator[Case]:
    """A layer on each step, masks of steps too."""
    inner = (
        Part("Dense", {"units": 3, "activation": "tanh"}),
        Part("Conv1D", {"filters": 2, "kernel_size": 2}),
        Part("LayerNormalization", {}),
        Part("LSTM", {"units": 2}),
        Part("GRU", {"units": 2, "return_sequences": True}),
        Part("Bidirectional", {"layer": Part("SimpleRNN", {"units": 2})}),
        Part("TimeDistributed", {"layer": Part("Dense", {"units": 2})}),
        Part("Flatten", {}),
        Part("GlobalAveragePooling1D", {}),
    )
    for layer, train, steps in itertools.product(inner, (False, True), (1, 4)):
        yield "TimeDistributed", {"layer": layer}, (numbers(2, steps, 3, 2),), {"train": train}
