"""What graphs of thousands of nodes cost: every operation on them, at three sizes, and how it grows.

    python -m scripts.measure_graph

Three graphs: a chain of layers, a web in which every node reads two earlier ones and layers are shared by hundreds of
calls, and a chain of nested models of eight nodes each. Then nested models that are deep, and some in which every level
calls the one below twice. All of it runs under a recursion limit far lower than the graphs are deep. The times are
seconds of the processor, as shared cores measure the neighbours otherwise, without collecting the garbage of what was
there before. Predicted: at most 5 s for 20,000 nodes, and at most 2.6 times those of 10,000. On two shared cores
(2026-11, JAX 0.10, Python 3.11), for 20,000 nodes:

             draw   check, name   summary   to_json   from_json   deepcopy   with_policy   one edit   trace of apply
    chain     1.4           0.9       0.4       1.8         2.7        4.4           2.9        2.4              4.7
    web       1.6           0.9       0.5       1.1         3.0        4.0           2.6        2.8              2.5
    towers    6.3           1.2       0.4       2.0         6.1        8.6           3.2        2.9              4.2

What is missed: towers are read in 6 s and copied in 8, as a nested model is drawn by itself and once more in each call.
Seven of the 51 ratios were above 2.6 (at most 3.1); measured again, those were 2.0 to 2.4, so it is the neighbours, and
`tests/core/test_scale.py` counts the lines that run. 300 models in one another are 45,000 nodes to draw, 7 s; twelve
levels that each call the one below twice are 6,143 nodes, 1.5 s.
"""

import argparse
import copy
import functools
import gc
import pickle
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

import jgraph as jg
from jgraph.draw.terminal import table

SIZES = (5_000, 10_000, 20_000)

SHALLOW = 400
"""The recursion limit: enough for JAX to trace one layer."""

Drawing = tuple[Any, Any]
"""What a model is made of: inputs and outputs."""


def chain(size: int) -> Drawing:
    """Layers one after the other, each with weights of its own."""
    x = y = jg.Input((2,), name="x")
    for _ in range(size - 1):
        y = jg.layers.Dense(2)(y)
    return x, y


def web(size: int) -> Drawing:
    """Sums of two earlier nodes, one of them any; a fifth of the nodes are calls of twenty layers."""
    choose = random.Random(0)
    shared = [jg.layers.Dense(2, activation="tanh", name=f"shared_{i}") for i in range(20)]
    x = jg.Input((2,), name="x")
    symbols = [x]
    while len(symbols) < size - 1:
        first, second = symbols[choose.randrange(len(symbols))], symbols[-1]
        symbols.append(choose.choice(shared)(second) if choose.random() < 0.2 else first + second)
    return x, {"middle": symbols[size // 2], "last": symbols[-1] + x}


def towers(size: int) -> Drawing:
    """Nested models one after the other, each of seven layers and the node that closes it."""
    x = y = jg.Input((2,), name="x")
    for number in range(size // 8):
        start = inner = jg.Input((2,))
        for _ in range(7):
            inner = jg.layers.Dense(2)(inner)
        y = jg.Model(start, inner, name=f"tower_{number}")(y)
    return x, y


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


def seconds(operation: Callable[[], Any]) -> tuple[float, Any]:
    """What an operation takes, and gives."""
    gc.collect()
    gc.freeze()
    begin = time.process_time()
    made = operation()
    taken = time.process_time() - begin
    gc.unfreeze()
    return taken, made


def forgetful(model: jg.Model) -> jg.Model:
    """The same graph in a model that has not been asked anything yet."""
    new = object.__new__(jg.Model)
    vars(new).update(name=model.name, graph=model.graph)
    return new


def operations(model: jg.Model) -> dict[str, Callable[[], Any]]:
    """What is done with a model, by name. One edit is made in the middle of it."""
    layers = [node for node in model.nodes if node.inference.params]
    path, call = layers[len(layers) // 2].path, 0
    new = functools.partial(jg.layers.Dense, 2)
    text, dumped = model.to_json(), pickle.dumps(model)
    part = jg.Model(model.inputs, model.output_of(path, call))
    x = jax.ShapeDtypeStruct((4, 2), "float32")
    return {
        "layers": lambda: forgetful(model).layers,
        "params_spec, state_spec": lambda: (forgetful(model).params_spec, forgetful(model).state_spec),
        "mixes_rows": lambda: model.mixes_rows,
        "output_of, input_of": lambda: (model.output_of(path, call), model.input_of(path, call)),
        "select, of half the model": lambda: part.select(model.params_spec, of=model),
        "summary": model.summary,
        "to_json": model.to_json,
        "from_json": lambda: jg.Model.from_json(text),
        "pickle.dumps": lambda: pickle.dumps(model),
        "pickle.loads": lambda: pickle.loads(dumped),
        "copy.deepcopy": lambda: copy.deepcopy(model),
        "call on a symbol": lambda: model(jg.Input((2,))),
        "plan of a policy": lambda: str(jg.Policy({"*": {"remat": True}}).plan(model)),
        "with_policy": lambda: model.with_policy(jg.Policy({"*": {"dtype": "bfloat16"}})),
        "freeze": lambda: model.freeze(path),
        "insert_after": lambda: model.insert_after(path, new(), call),
        "replace": lambda: model.replace(path, new()),
        "remove": lambda: model.remove(path, call),
        "trace of apply": lambda: jax.jit(model.apply).trace(model.params_spec, model.state_spec, x),
    }


def measure(make: Callable[[int], Drawing], sizes: Sequence[int]) -> list[list[str]]:
    """The rows of one graph: operation, seconds at each size, the last over the one before."""
    found: dict[str, list[float]] = {}
    for size in sizes:
        taken, drawing = seconds(functools.partial(make, size))
        found.setdefault("draw", []).append(taken)
        taken, model = seconds(functools.partial(jg.Model, *drawing))
        found.setdefault("check, order, name", []).append(taken)
        for name, operation in operations(model).items():
            found.setdefault(name, []).append(seconds(operation)[0])
    rows = []
    for name, times in found.items():
        ratio = f"{times[-1] / times[-2]:.1f}" if len(times) > 1 and times[-1] >= 0.05 else "-"
        rows.append([f"{make.__name__}: {name}", *(f"{t:.2f}" for t in times), ratio])
    return rows


def measure_nested(depth: int, times: int) -> list[str]:
    """A row of deep nesting: nodes, and the seconds to draw, write and read it."""
    drawn, model = seconds(lambda: nested(depth, times))
    written, text = seconds(model.to_json)
    read, _ = seconds(lambda: jg.Model.from_json(text))
    copied, _ = seconds(lambda: copy.deepcopy(model))
    numbers = (f"{t:.2f}" for t in (drawn, written, read, copied))
    return [f"{depth} levels, each called {'once' if times == 1 else 'twice'}", f"{len(model.nodes):,}", *numbers]


def main() -> None:
    """Measures all."""
    parser = argparse.ArgumentParser(description="Seconds of every operation on large graphs.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of nodes")
    sizes = parser.parse_args().sizes
    sys.setrecursionlimit(SHALLOW)
    print(f"JAX {jax.__version__}, Python {platform.python_version()}, {platform.machine()}, {jax.default_backend()}\n")
    columns = ["operation", *(f"{size:,}" for size in sizes), "ratio"]
    rows = [row for make in (chain, web, towers) for row in measure(make, sizes)]
    print(table("Seconds of processor time by number of nodes", columns, rows, numbers=columns[1:]))
    columns = ["nested models", "nodes", "draw", "to_json", "from_json", "deepcopy"]
    rows = [measure_nested(depth, 1) for depth in (75, 150, 300)] + [measure_nested(depth, 2) for depth in (10, 11, 12)]
    print("\n" + table("Seconds of processor time by depth", columns, rows, numbers=columns[1:]))


if __name__ == "__main__":
    main()
