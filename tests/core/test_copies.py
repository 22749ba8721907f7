"""Models go through pickle, copy and deepcopy, into other processes and threads, and change no bit on the way."""

import base64
import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.core.flat import records_of

L = jg.layers
KEY = jax.random.key(11)
TOKENS = np.array([[3, 1, 0, 0], [2, 2, 4, 1]], np.int32)
NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3) / 4

COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "twice": lambda m: copy.deepcopy(pickle.loads(pickle.dumps(m))),
}


@jax.jit
def double(x: jax.Array) -> jax.Array:
    """A compiled function of a module, which pickle alone cannot name."""
    return x * 2


def draw(recurrent: bool = True) -> jg.Model:
    """Free axes, masks, sharing, nesting, constants, compiled functions, state and dropout in one model."""
    text, numbers = jg.Input((None,), dtype="int32", name="text"), jg.Input((3,), name="numbers")
    shared = L.Dense(3, activation=jax.nn.relu)
    inner_x = jg.Input((None, 2))
    steps = L.LSTM(3)(inner_x) if recurrent else L.GlobalAveragePooling1D()(L.Dense(3)(inner_x))
    inner = jg.Model(inner_x, steps, name="inner")
    h = inner(L.Embedding(9, 2, mask_zero=True)(text))
    both = L.concatenate([shared(h), shared(numbers * 2.0), jg.op(double)(numbers)[:, 1:]])
    stack = jg.Sequential([L.Dense(4), L.BatchNormalization(), L.Dropout(0.5)], name="stack")
    y = jg.op(jnp.clip)(stack(both), -1.0, max=1.0) + np.full((1, 4), 0.5, np.float32)
    return jg.Model({"text": text, "numbers": numbers}, {"y": y, "norm": jg.op(jnp.linalg.norm)(y, axis=-1), "h": h})


def results(model: jg.Model) -> Any:
    """Everything that a model computes: start values, predictions, and a step of training."""
    params, state = model.init(KEY)
    inputs = {"text": TOKENS, "numbers": NUMBERS}
    predicted = model.apply(params, state, inputs)
    trained = model.apply(params, state, inputs, train=True, key=KEY)
    return jax.tree.map(np.asarray, (params, state, predicted, trained))


@pytest.fixture(scope="module")
def original() -> tuple[jg.Model, Any]:
    model = draw()
    return model, results(model)


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_changes_no_name_and_no_bit(way: str, original: tuple[jg.Model, Any]) -> None:
    model, expected = original
    again = COPIES[way](model)
    assert [(n.path, n.call, n.mask) for n in again.nodes] == [(n.path, n.call, n.mask) for n in model.nodes]
    assert (again.graph.inputs, again.graph.outputs, again.graph.kept) == (
        model.graph.inputs,
        model.graph.outputs,
        model.graph.kept,
    )
    assert again.summary() == model.summary()
    assert again.mixes_rows == model.mixes_rows
    jax.tree.map(np.testing.assert_array_equal, results(again), expected)


@pytest.mark.parametrize("way", COPIES)
def test_shared_layers_stay_shared_and_copies_are_told_apart(way: str, original: tuple[jg.Model, Any]) -> None:
    model, _ = original
    again = COPIES[way](model)
    assert again is not model
    assert len({n.layer for n in again.nodes}) == len({n.layer for n in model.nodes})
    assert again.layers["inner"].layers["lstm"] is again.layers["inner/lstm"]
    same = again.layers["dense"] is model.layers["dense"]
    assert same == (way == "copy")  # a shallow copy has the same layers, as copies of lists have the same elements


def test_functions_are_the_same_objects_after_a_copy(original: tuple[jg.Model, Any]) -> None:
    model, _ = original
    for way in COPIES.values():
        again = way(model)
        for old, new in zip(model.nodes, again.nodes, strict=True):
            assert getattr(new.layer, "function", None) is getattr(old.layer, "function", None)
        assert again.layers["dense"].activation is jax.nn.relu


def test_a_pickle_is_the_same_in_any_process_whatever_the_hash_seed() -> None:
    model = draw(recurrent=False)
    expected = results(model)
    source = (
        "import base64, pickle, sys, jax, numpy as np\n"
        "from tests.core.test_copies import draw, results\n"
        "model = pickle.loads(base64.b64decode(sys.stdin.read()))\n"
        "own = draw(recurrent=False)\n"
        "answers = [[n.path for n in m.nodes] for m in (model, own)], results(model)\n"
        "print(base64.b64encode(pickle.dumps(answers)).decode())\n"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONHASHSEED": "4242", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", source],
        input=base64.b64encode(pickle.dumps(model)).decode(),
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    (loaded, own), theirs = pickle.loads(base64.b64decode(done.stdout.splitlines()[-1]))
    assert loaded == own == [n.path for n in model.nodes]
    jax.tree.map(np.testing.assert_array_equal, theirs, expected)


def test_eight_threads_draw_initialise_and_apply_the_same() -> None:
    shared = draw(recurrent=False)
    expected = results(shared)

    def work(index: int) -> Any:
        model = draw(recurrent=False) if index % 2 else shared
        return [n.path for n in model.nodes], results(model)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(8)))
    for paths, result in answers:
        assert paths == [n.path for n in shared.nodes]
        jax.tree.map(np.testing.assert_array_equal, result, expected)


def test_a_models_flat_form_holds_no_symbols_and_prints(original: tuple[jg.Model, Any]) -> None:
    model, _ = original
    records = records_of(model.graph)
    assert len(records) == len(model.nodes)
    assert not any("Symbol" in repr(record) for record in records)
    assert [r.shape for r in records if r.shape is not None] == [("text_1",), (3,)]


def test_a_layer_of_ones_own_is_copied_with_its_functions() -> None:
    layer = copy.deepcopy(Holder([jnp.tanh, (jnp.add, 3)], {"b": double, "a": 1.5}))
    assert layer.many[0] is jnp.tanh
    assert layer.many[1] == (jnp.add, 3)
    assert list(layer.table.items()) == [("b", double), ("a", 1.5)]


class Holder(jg.Layer):
    """Functions inside containers."""

    many: list
    table: dict
