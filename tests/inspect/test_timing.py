"""Measured time per node: every node once, in order, and values that are the model's own."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, KeyMismatchError, ShapeError
from jgraph.inspect.timing import NodeTime, Timings

L = jg.layers


def drawn() -> jg.Model:
    text, i = jg.Input((6,), dtype="int32", name="text"), jg.Input((4,))
    inner = jg.Model(i, L.Dense(4, name="inside")(i), name="inner")
    states = L.LSTM(4)(L.Embedding(9, 4, mask_zero=True)(text))
    shared = L.Dense(4, name="shared")
    return jg.Model(text, shared(shared(inner(states))) * jnp.ones(4))


MODEL = drawn()
PARAMS, STATE = MODEL.init(jax.random.key(0))
INPUTS = jnp.ones((8, 6), jnp.int32)


def test_every_node_that_computes_is_measured_once() -> None:
    timings = jg.inspect.measure(MODEL, PARAMS, STATE, INPUTS, repeats=2)
    paths = [(node.path, node.call) for node in timings.nodes]
    expected = [(n.path, n.call) for n in MODEL.nodes if n.path not in ("text", "inner")]
    assert paths == expected
    assert all(node.seconds > 0 for node in timings.nodes)
    assert timings.rows == 8


def test_the_table_shows_shares_and_the_whole() -> None:
    nodes = (NodeTime("a", 0, "Dense", 3e-3), NodeTime("b", 1, "LSTM", 1e-3))
    lines = str(Timings(64, nodes, 2.5e-3)).splitlines()
    assert lines[0] == "A prediction of 64 rows"
    assert lines[4].split()[:4] == ["a", "Dense", "3.000", "75.0"]
    assert lines[5].split()[:5] == ["b", "[1]", "LSTM", "1.000", "25.0"]
    assert lines[4].count("▇") == 3 * lines[5].count("▇") - 1
    assert lines[-2:] == ["Nodes one by one: 4.000 ms", "As one program: 2.500 ms"]


@pytest.mark.parametrize("repeats", [0, True, 2.5])
def test_repeats_that_are_none_are_refused(repeats: Any) -> None:
    with pytest.raises(ArgumentError, match="measure, repeats: expected a positive integer"):
        jg.inspect.measure(MODEL, PARAMS, STATE, INPUTS, repeats=repeats)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"measure, model: expected a jg\.Model"):
        jg.inspect.measure(L.Dense(3), PARAMS, STATE, INPUTS)  # pyright: ignore[reportArgumentType]
    with pytest.raises(KeyMismatchError, match="measure, params"):
        jg.inspect.measure(MODEL, {}, STATE, INPUTS)
    with pytest.raises(ShapeError, match="measure"):
        jg.inspect.measure(MODEL, PARAMS, STATE, INPUTS[:, :5])
