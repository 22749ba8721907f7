"""Thousands of nodes: nothing recurses over a graph, and no hash seed shows in a name."""

import hashlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

import jgraph as jg

SIZE = 5_000


def chain(size: int = SIZE) -> jg.Model:
    """A chain of layers, each with weights of its own."""
    x = y = jg.Input((2,))
    for _ in range(size):
        y = jg.layers.Dense(2)(y)
    return jg.Model(x, y)


def web(size: int = SIZE) -> jg.Model:
    """A graph in which every node reads two earlier ones, and few layers have many calls."""
    x = jg.Input((2,), name="x")
    shared = [jg.layers.Dense(2, activation="tanh", name=f"shared_{i}") for i in range(5)]
    symbols = [x]
    for step in range(size // 2):
        near, far = symbols[-1], symbols[(step * 7919) % len(symbols)]
        symbols.append(shared[step % 5](0.5 * (near + far)) if step % 3 == 0 else near - far)
    return jg.Model(x, {"last": symbols[-1], "middle": symbols[len(symbols) // 2]})


def fingerprint(model: jg.Model) -> str:
    """A hash of all names, calls and references."""
    text = repr([(n.path, n.call, n.args, n.kwargs, n.mask) for n in model.nodes])
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(autouse=True)
def shallow() -> Iterator[None]:
    """A stack far lower than the graphs are deep."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(min(before, 1000))
    yield
    sys.setrecursionlimit(before)


def test_a_chain_of_five_thousand_layers() -> None:
    model = chain()
    assert [n.path for n in model.nodes[:3]] == ["input", "dense", "dense_1"]
    assert model.nodes[-1].path == f"dense_{SIZE - 1}"
    assert len(jax.tree.leaves(model.params_spec)) == 2 * SIZE
    half = jg.Model(model.inputs, model.output_of(f"dense_{SIZE // 2}"))
    assert len(half.nodes) == SIZE // 2 + 2


def test_a_chain_is_pickled_and_called_without_recursion() -> None:
    model = chain(SIZE // 2)
    again = pickle.loads(pickle.dumps(model))
    assert [n.path for n in again.nodes] == [n.path for n in model.nodes]
    x = jg.Input((2,))
    assert len(jg.Model(x, again(x)).nodes) == SIZE // 2 + 2


def test_a_web_with_heavy_sharing() -> None:
    model = web()
    assert len(model.nodes) > SIZE // 2
    assert len(model.params_spec) == 5
    again = pickle.loads(pickle.dumps(model))
    assert [(n.path, n.call) for n in again.nodes] == [(n.path, n.call) for n in model.nodes]


def test_values_are_those_of_the_loop_that_drew_them() -> None:
    model = web(200)
    params, state = model.init(jax.random.key(0))
    row = np.array([[0.3, -0.7]], np.float32)
    values = [row]
    for step in range(100):
        near, far = values[-1], values[(step * 7919) % len(values)]
        own = params[f"shared_{step % 5}"]
        values.append(np.tanh(0.5 * (near + far) @ own["kernel"] + own["bias"]) if step % 3 == 0 else near - far)
    outputs, _ = jax.jit(model.apply)(params, state, row)
    np.testing.assert_allclose(outputs["middle"], values[50], rtol=1e-4, atol=1e-5)  # 50 float32 layers in other orders


def test_names_are_the_same_in_a_process_with_another_hash_seed() -> None:
    source = (
        "import sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import test_scale\n"
        "print(test_scale.fingerprint(test_scale.web(600)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "1234", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == fingerprint(web(600))
