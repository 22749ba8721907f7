"""What it takes until the first step is done, in a fresh process, beside Keras on JAX.

    python -m scripts.measure_startup --models mlp qa --turns 3 --cache

Both sides draw the same model by the same lines, and train one batch of 32 rows. `XLA, step` is the longest of XLA's
compiles, which is that of the step; `fit` is the rest of `fit`: start values, tracing, lowering and the small programs
around the step. Both sides in turn, medians; a cache is filled by a start of its own. Where Python may not keep
bytecode, as here, all imports are longer.

Predicted: all but XLA at most half of Keras', XLA's compile of the step at most 1.1 of it. On two shared cores
(2026-11, JAX 0.10, Keras 3.15, Python 3.11), seconds, and jgraph / Keras for all but XLA and for XLA:

                     import  draw   fit  XLA, step   all but XLA
    mlp     jgraph     2.28  0.26  0.64       0.41          3.18   0.45 (0.44 to 0.46)   1.63 (1.50 to 1.75)
            Keras      5.88  0.86  0.27       0.27          7.01
            cached     2.28  0.25  0.27       0.02          2.80
    siamese jgraph     2.70  0.32  1.19       1.42          4.25   0.45 (0.36 to 0.59)   1.43 (0.88 to 2.16)
            Keras      7.38  1.67  0.47       0.99          9.55
            cached     2.78  0.29  0.61       0.07          3.69
    heads   jgraph     2.66  0.33  1.22       2.01          4.23   0.38 (0.37 to 0.38)   0.99 (0.88 to 1.09)
            Keras      7.16  3.02  0.66       1.94         11.11
            cached     2.76  0.32  0.50       0.06          3.68

Of one turn each, before the start of a train state became one program: qa 0.33 and 0.85, inception 0.44 and 1.07,
xception 0.42 and 1.01.

The step of the MLP takes XLA longer than Keras' because it is more than a step: a loop of steps with the gather of
rows, the epoch's sums and the guard of the loss are 48 small kernels where Keras' single step has 29, at some 10 ms
each.
"""

import argparse
import functools
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any


def mlp(made: Any) -> tuple[Any, Any, Any]:
    """16-64-64-1."""
    layers, x = made.layers, made.Input((16,), name="x")
    hidden = layers.Dense(64, activation="relu")(layers.Dense(64, activation="relu")(x))
    return x, layers.Dense(1, name="y")(hidden), "mse"


def qa(made: Any) -> tuple[Any, Any, Any]:
    """A text and a question about it, read by an LSTM each; one of 500 answers."""
    layers, ends = made.layers, []
    tokens = [made.Input((length,), dtype="int32", name=name) for name, length in (("text", 100), ("question", 20))]
    for x, width, units in zip(tokens, (64, 32), (32, 16), strict=True):
        ends.append(layers.LSTM(units)(layers.Embedding(10_000, width, mask_zero=True)(x)))
    answer = layers.Dense(500, activation="softmax", name="answer")(layers.concatenate(ends))
    return tokens, answer, "sparse_categorical_crossentropy"


def siamese(made: Any) -> tuple[Any, Any, Any]:
    """One LSTM for two sequences."""
    layers, pair = made.layers, [made.Input((40, 128), name=name) for name in ("left", "right")]
    shared = layers.LSTM(32)
    y = layers.Dense(1, activation="sigmoid", name="same")(layers.concatenate([shared(x) for x in pair]))
    return pair, y, "binary_crossentropy"


def heads(made: Any) -> tuple[Any, Any, Any]:
    """Three outputs over convolutions of a text."""
    layers, x = made.layers, made.Input((200,), dtype="int32", name="post")
    h = layers.MaxPooling1D(5)(layers.Conv1D(64, 5, activation="relu")(layers.Embedding(5_000, 64)(x)))
    for _ in range(2):
        h = layers.Conv1D(128, 5, activation="relu")(h)
    h = layers.Dense(64, activation="relu")(layers.GlobalMaxPooling1D()(h))
    outputs = {
        "age": layers.Dense(1, name="age")(h),
        "income": layers.Dense(10, activation="softmax", name="income")(h),
        "gender": layers.Dense(1, activation="sigmoid", name="gender")(h),
    }
    return x, outputs, {"age": "mse", "income": "sparse_categorical_crossentropy", "gender": "binary_crossentropy"}


def inception(made: Any) -> tuple[Any, Any, Any]:
    """Blocks of four branches, with a residual around each."""
    layers, x = made.layers, made.Input((32, 32, 3), name="x")

    def conv(x: Any, filters: int, size: int) -> Any:
        return layers.Conv2D(filters, size, padding="same", activation="relu")(x)

    h = conv(x, 64, 3)
    for _ in range(4):
        pooled = layers.AveragePooling2D(3, strides=1, padding="same")(h)
        branches = [conv(h, 16, 1), conv(conv(h, 16, 1), 16, 3), conv(conv(conv(h, 16, 1), 16, 3), 16, 3)]
        h = layers.add([h, layers.concatenate([*branches, conv(pooled, 16, 1)])])
    y = layers.Dense(10, activation="softmax", name="y")(layers.GlobalAveragePooling2D()(h))
    return x, y, "sparse_categorical_crossentropy"


def xception(made: Any) -> tuple[Any, Any, Any]:
    """Separable convolutions with batch normalisation, and strided residuals."""
    layers, x = made.layers, made.Input((32, 32, 3), name="x")
    h = layers.Activation("relu")(layers.BatchNormalization()(layers.Conv2D(32, 3, padding="same", use_bias=False)(x)))
    for filters in (32, 64, 128):
        residual = layers.Conv2D(filters, 1, strides=2, padding="same", use_bias=False)(h)
        for _ in range(2):
            h = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(layers.Activation("relu")(h))
            h = layers.BatchNormalization()(h)
        h = layers.add([layers.MaxPooling2D(3, strides=2, padding="same")(h), residual])
    y = layers.Dense(10, activation="softmax", name="y")(layers.GlobalAveragePooling2D()(h))
    return x, y, "sparse_categorical_crossentropy"


MODELS: dict[str, Callable[[Any], tuple[Any, Any, Any]]] = {
    draw.__name__: draw for draw in (mlp, qa, siamese, heads, inception, xception)
}


def rows_of(name: str, count: int) -> tuple[Any, Any]:
    """Inputs and targets for a model, made from zeros and ones, which start as fast as any."""
    ones = importlib.import_module("numpy").ones  # at the top it would not count as a part of the imports

    def some(*shape: int, dtype: str = "float32") -> Any:
        return ones((count, *shape), dtype)

    return {
        "mlp": lambda: (some(16), some(1)),
        "qa": lambda: ([some(100, dtype="int32"), some(20, dtype="int32")], some(dtype="int32")),
        "siamese": lambda: ([some(40, 128), some(40, 128)], some(1)),
        "heads": lambda: (
            some(200, dtype="int32"),
            {"age": some(1), "income": some(dtype="int32"), "gender": some(1)},
        ),
        "inception": lambda: (some(32, 32, 3), some(dtype="int32")),
        "xception": lambda: (some(32, 32, 3), some(dtype="int32")),
    }[name]()


def start(side: str, name: str, cache: str) -> dict[str, float]:
    """The seconds of each part of a start, taken in this process, which has to be a fresh one."""
    begin = time.perf_counter()
    os.environ["KERAS_BACKEND"] = "jax"
    made = importlib.import_module(side)
    optimizers = made.optimizers if side == "keras" else importlib.import_module("optax")
    monitoring = importlib.import_module("jax").monitoring
    parts = {"import": time.perf_counter() - begin}
    compiled: list[tuple[str, float]] = []
    monitoring.register_event_duration_secs_listener(lambda event, took, **_: compiled.append((event, took)))
    x, y = rows_of(name, 32)
    begin = time.perf_counter()
    inputs, outputs, loss = MODELS[name](made)
    model = made.Model(inputs, outputs)
    if side == "keras":
        model.compile(optimizers.Adam(1e-3), loss=loss)
        fit = functools.partial(model.fit, x, y, verbose=0)
    else:
        trainer = made.Trainer(model, optimizers.adam(1e-3), loss=loss, compilation_cache=cache or None)
        fit = functools.partial(trainer.fit, (x, y), progress=False)
    parts["draw"] = time.perf_counter() - begin
    fit(epochs=1, batch_size=32)
    whole = time.perf_counter() - begin
    parts["XLA, step"] = max(took for event, took in compiled if event.endswith("backend_compile_duration"))
    parts["fit"] = whole - parts["draw"] - parts["XLA, step"]
    parts["all but XLA"] = parts["import"] + parts["draw"] + parts["fit"]
    return parts


def started(side: str, name: str, cache: str = "") -> dict[str, float]:
    """The parts of a start in a process of its own."""
    code = "import sys; from scripts.measure_startup import json, start; print(json.dumps(start(*sys.argv[1:])))"
    command = [sys.executable, "-c", code, side, name, cache]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measures and prints a line for each model and side."""
    parser = argparse.ArgumentParser(description="The time until the first step is done.")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--turns", type=int, default=3, help="turns of each side (default 3)")
    parser.add_argument("--cache", action="store_true", help="also jgraph that finds its programs in a cache")
    given = parser.parse_args()
    for name in given.models:
        with tempfile.TemporaryDirectory() as folder:
            sides = {"jgraph": ("jgraph", ""), "keras": ("keras", "")}
            if given.cache:
                sides["jgraph, from the cache"] = "jgraph", folder
                started("jgraph", name, folder)
            rows = [
                {what: started(side, name, where) for what, (side, where) in sides.items()} for _ in range(given.turns)
            ]
        for what in sides:
            medians = {part: statistics.median(row[what][part] for row in rows) for part in rows[0][what]}
            print(
                f"{name:10} {what:24}", "   ".join(f"{part} {took:5.2f}" for part, took in medians.items()), flush=True
            )
        for part in ("all but XLA", "XLA, step"):
            ratios = [row["jgraph"][part] / row["keras"][part] for row in rows]
            spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"{name:10} {part}, jgraph / keras {statistics.median(ratios):.2f} {spread}", flush=True)


if __name__ == "__main__":
    main()
