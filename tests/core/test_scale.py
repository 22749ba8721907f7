"""Thousands of nodes: nothing recurses over a graph, the work grows as the nodes do, no hash seed shows in a name."""

import copy
import gc
import hashlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import jax
import numpy as np
import pytest

import jgraph as jg

SIZE = 20_000


def chain(size: int) -> jg.Model:
    """A chain of layers, each with weights of its own."""
    x = y = jg.Input((2,), name="x")
    for _ in range(size):
        y = jg.layers.Dense(2)(y)
    return jg.Model(x, y)


def web(size: int) -> jg.Model:
    """A graph in which every node reads two earlier ones, and few layers have many calls."""
    x = jg.Input((2,), name="x")
    shared = [jg.layers.Dense(2, activation="tanh", name=f"shared_{i}") for i in range(5)]
    symbols = [x]
    for step in range(size // 2):
        near, far = symbols[-1], symbols[(step * 7919) % len(symbols)]
        symbols.append(shared[step % 5](0.5 * (near + far)) if step % 3 == 0 else near - far)
    return jg.Model(x, {"last": symbols[-1], "middle": symbols[len(symbols) // 2]})


def towers(size: int) -> jg.Model:
    """Calls of nested models one after the other; every fifth tower is another one, and one symbol is read within."""
    x = y = jg.Input((2,), name="x")
    model = jg.Model(x, x + 0.0)
    for step in range(size // 5):
        if step % 5 == 0:
            start = inner = jg.Input((2,))
            for _ in range(4):
                inner = jg.layers.Dense(2)(inner)
            model = jg.Model(start, inner, name=f"tower_{step}")
        y = model(y)
    whole = jg.Model(x, y)
    return jg.Model(x, [y, whole.output_of("tower_0/dense", call=0)])


def nested(depth: int, times: int) -> jg.Model:
    """Models in models: every level calls the one below so many times."""
    x = jg.Input((2,))
    model = jg.Model(x, jg.layers.Dense(2, name="leaf")(x), name="level")
    for _ in range(depth - 1):
        x = y = jg.Input((2,))
        for _ in range(times):
            y = model(y)
        model = jg.Model(x, y, name="level")
    return model


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


def test_a_chain_of_twenty_thousand_layers() -> None:
    model = chain(SIZE)
    assert list(model.layers)[:3] == ["x", "dense", "dense_1"]
    assert model.nodes[-1].path == f"dense_{SIZE - 1}"
    assert model.mixes_rows is False
    assert len(jax.tree.leaves(model.params_spec)) == 2 * SIZE
    assert sum("shared" not in line and "Dense" in line for line in model.summary().splitlines()) == SIZE
    half = jg.Model(model.inputs, model.output_of(f"dense_{SIZE // 2}"))
    assert len(half.nodes) == SIZE // 2 + 2
    fifth = jg.Model(model.inputs, model.output_of(f"dense_{SIZE // 5}"))
    assert fingerprint(pickle.loads(pickle.dumps(fifth))) == fingerprint(fifth)


def operations(model: jg.Model) -> dict[str, Callable[[], Any]]:
    """What is done with a model, by name."""
    layers = [node for node in model.nodes if node.inference.params]
    path, new = layers[len(layers) // 2].path, jg.layers.Dense(2, name="new")
    text, dumped = model.to_json(), pickle.dumps(model)
    sub = jg.Model(model.inputs, model.output_of(path, 0))
    return {
        "params_spec": lambda: copy.copy(model).params_spec,
        "output_of": lambda: [model.output_of(node.path, node.call) for node in model.nodes],
        "select": lambda: sub.select(model.params_spec, of=model),
        "summary": model.summary,
        "to_json": model.to_json,
        "from_json": lambda: jg.Model.from_json(text),
        "dumps": lambda: pickle.dumps(model),
        "loads": lambda: pickle.loads(dumped),
        "deepcopy": lambda: copy.deepcopy(model),
        "call": lambda: jg.Model(x := jg.Input((2,)), model(x)),
        "with_policy": lambda: model.with_policy(jg.Policy({"*": {"dtype": "bfloat16"}})),
        "remat": lambda: model.with_policy(jg.Policy({"*": {"remat": True}})),
        "freeze": lambda: model.freeze(path),
        "insert_after": lambda: model.insert_after(path, new, 0),
        "replace": lambda: model.replace(path, new),
        "remove": lambda: model.remove(path, 0),
        "trace": lambda: jax.eval_shape(
            model.apply, model.params_spec, model.state_spec, jax.ShapeDtypeStruct((4, 2), "float32")
        ),
    }


def work(operation: Callable[[], Any]) -> int:
    """How many lines of Python an operation runs, each turn of a comprehension being one."""
    count = 0

    def counted(frame: FrameType, event: str, argument: Any) -> Any:
        del frame, event, argument
        nonlocal count
        count += 1
        return counted

    operation()  # what is inferred once for all, is
    before, collects = sys.gettrace(), gc.isenabled()
    gc.disable()
    sys.settrace(counted)
    try:
        operation()
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
    return count


@pytest.mark.parametrize("draw", [chain, web, towers])
def test_the_work_grows_as_the_nodes_do(draw: Callable[[int], jg.Model]) -> None:
    def per_node(size: int) -> dict[str, float]:
        model = draw(size)
        counts = {"draw": work(lambda: draw(size))} | {name: work(o) for name, o in operations(model).items()}
        return {name: count / len(model.nodes) for name, count in counts.items()}

    small, large = per_node(60), per_node(120)
    growth = {name: round(large[name] / small[name], 2) for name in small}
    assert {name: ratio for name, ratio in growth.items() if ratio > 1.1} == {}


def test_depth_costs_no_stack() -> None:
    model = nested(40, 1)
    assert len(model.nodes) == 41
    assert model.nodes[1].path == "level/" * 39 + "leaf"
    again = jg.Model.from_json(model.to_json())
    assert fingerprint(pickle.loads(pickle.dumps(again))) == fingerprint(model)


def test_a_call_is_drawn_each_time_but_written_once() -> None:
    model = nested(7, 2)
    assert sum(node.path.endswith("leaf") for node in model.nodes) == 2**6
    assert len(jax.tree.leaves(model.params_spec)) == 2
    assert len(model.to_json()) < 3 * len(nested(6, 2).to_json())


def test_a_node_that_reads_thousands_shows_a_few() -> None:
    x = jg.Input((2,), name="x")
    model = jg.Model(x, jg.layers.add([jg.layers.Dense(2)(x) for _ in range(1000)]))
    row = next(line for line in model.summary().splitlines() if " Add " in line)
    assert "dense_10, dense_11, ... (1000 in all)" in row
    assert len(row) < 300


def test_a_web_with_heavy_sharing() -> None:
    model = web(3_000)
    assert len(model.nodes) > 1_500
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
