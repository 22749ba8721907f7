"""What `model.init` costs for 100 layers of any shapes: with nothing compiled, with a warm compilation cache, again.

    python -m scripts.measure_init

Dense layers, convolutions, LSTMs and attention, 25 of each, every one of other sizes; 254 arrays. Each figure is the
median of five processes of their own: `cold` with an empty compilation cache, `warm` with the one that the cold process
left behind, `again` the second `init` of the same process. `jit` is what one writes by hand: the same kernels drawn by
`jax.nn.initializers.glorot_uniform` in one jitted function, cold, for the 25 Dense layers alone.

Predicted: cold about 2 s (three loops of 0.45 s to compile, and one small program that folds a key), warm 0.3 s, again
0.2 s. On two cores with nothing else running (2026-11, JAX 0.10, Python 3.11): cold 0.72, warm 0.21, again 0.09, jit
3.4. Beside other work on the same cores: cold 2.0, warm 0.68, again 0.30, jit 64.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

import jgraph as jg
from jgraph.draw.terminal import table

LAYERS = 100


def model(largest: int) -> jg.Model:
    """100 layers beside each other; sizes are drawn up to `largest`."""
    sizes = random.Random(0)
    inputs, outputs = [], []
    for place in range(LAYERS):
        few, many = sizes.randint(2, largest // 4), sizes.randint(2, largest)
        shape, make = layer(place % 4, few, many, sizes)
        inputs.append(jg.Input(shape, name=f"input_{place}"))
        outputs.append(make(inputs[-1]))
    return jg.Model(inputs, outputs)


def layer(kind: int, few: int, many: int, sizes: random.Random) -> tuple[tuple[int, ...], Callable[[Any], Any]]:
    """The shape that a layer is drawn on, and the layer."""
    if kind == 0:
        return (many,), jg.layers.Dense(few)
    if kind == 1:
        return (16, 16, few), jg.layers.Conv2D(few, sizes.randint(1, 4), kernel_initializer="he_normal")
    if kind == 2:
        return (20, many), jg.layers.LSTM(few)
    attention = jg.layers.MultiHeadAttention(sizes.randint(1, 8), sizes.randint(2, 32))
    return (20, few), lambda x: attention(x, x)


def timed(function: Callable[[], Any]) -> float:
    """Seconds of the clock."""
    began = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - began


def measure(what: str, largest: int) -> None:
    """Prints the seconds of one process."""
    drawn, key = model(largest), jax.random.key(0)
    jax.block_until_ready(key)
    if what == "jit":
        shapes = [node.inference.params["kernel"].shape for node in drawn.nodes if node.layer.describe() == "Dense"]
        draw = jax.nn.initializers.glorot_uniform()
        print(
            timed(
                jax.jit(lambda key: [draw(jax.random.fold_in(key, i), s) for i, s in enumerate(shapes)])
                .lower(key)
                .compile
            )
        )
        return
    print(timed(lambda: drawn.init(key)), timed(lambda: drawn.init(key)))


def process(what: str, largest: int, cache: str) -> list[float]:
    """The seconds that a process of its own prints."""
    settings = {
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    command = [sys.executable, "-m", "scripts.measure_init", "--process", what, "--largest", str(largest)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, env=os.environ | settings, cwd=root, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--largest", type=int, default=256)
    parser.add_argument("--process", default="")
    given = parser.parse_args()
    if given.process:
        measure(given.process, given.largest)
        return
    seconds: dict[str, list[float]] = {"cold": [], "warm": [], "again": [], "jit": []}
    for _ in range(given.runs):
        with tempfile.TemporaryDirectory() as cache:
            seconds["cold"].append(process("init", given.largest, cache)[0])
            warm, again = process("init", given.largest, cache)
            seconds["warm"].append(warm)
            seconds["again"].append(again)
            seconds["jit"].append(process("jit", given.largest, cache)[0])
    rows = [[name, f"{statistics.median(s):.2f}", f"{min(s):.2f}", f"{max(s):.2f}"] for name, s in seconds.items()]
    print(table(f"model.init of {LAYERS} layers, seconds", ("", "median", "least", "most"), rows, []))


if __name__ == "__main__":
    main()
