"""What jgraph costs beside hand-written JAX: import, start values, the compiled step, and steps per second.

    python -m scripts.measure

Every ratio is taken in one run on one machine, the two sides in turn, and printed as the median with its range.
Predicted: import under 0.3 s, start values about 1 s, at least 0.9 of the hand-written loop. On two shared cores:

    2026-11, JAX 0.10, Python 3.11   import 0.07 s   start values 1.65 s cold, 0.21 s warm   fit / by hand 1.00
    2026-11, JAX 0.12, Python 3.13   import 0.14 s   start values 1.21 s cold, 0.23 s warm   fit / by hand 0.97

With the loop of callbacks and the guard of the loss: fit / by hand 1.04 (0.99 to 1.10) on JAX 0.10. With balances,
averages and loss scales as parts of the step, none of them used: 1.10 (1.02 to 1.17), beside 1.12 (1.07 to 1.14)
before; import 0.15 s, or 0.28 s where Python may not keep bytecode. With the start of a train state as one program, in
turn with the version before it: 0.98 (0.95 to 1.09) and 0.99 (0.96 to 1.01), before 0.95 and 0.98.
"""

import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jgraph as jg

TURNS = 7


def in_turn(*sides: Callable[[], float]) -> list[list[float]]:
    """The seconds of each side, measured in turn."""
    rows = [[side() for side in sides] for _ in range(TURNS)]
    return [list(column) for column in zip(*rows, strict=True)]


def show(what: str, values: list[float], unit: str) -> None:
    """Prints a median with its range."""
    print(f"{what:52} {statistics.median(values):10.3g} {unit}   ({min(values):.3g} to {max(values):.3g})")


def import_seconds(code: str) -> float:
    """The seconds that a fresh process spends on some imports."""
    timed = f"import time; begin = time.perf_counter(); {code}; print(time.perf_counter() - begin)"
    return float(subprocess.run([sys.executable, "-c", timed], check=True, capture_output=True, text=True).stdout)


def measure_import() -> None:
    """`import jgraph` over `import jax, optax`, each in fresh processes."""
    bare, whole = in_turn(
        lambda: import_seconds("import jax, optax"), lambda: import_seconds("import jax, optax; import jgraph")
    )
    show("import jgraph, over import jax, optax", [w - b for w, b in zip(whole, bare, strict=True)], "s")


def measure_init() -> None:
    """The start values of 100 layers of different shapes, for the first time in this process."""
    x = image = jg.Input((16, 16, 8))
    for i in range(50):
        x = jg.layers.Conv2D(8 + i % 17, 3, padding="same")(x)
    x = jg.layers.Flatten()(x)
    for i in range(50):
        x = jg.layers.Dense(20 + i)(x)
    model = jg.Model(image, x)
    for what in ("cold", "warm"):
        begin = time.perf_counter()
        jax.block_until_ready(model.init(jax.random.key(0)))
        print(f"{f'model.init of 100 layers, {what}':52} {time.perf_counter() - begin:10.3g} s")


def mlp() -> jg.Model:
    """16-64-64-1, the smallest model whose steps people count."""
    x = jg.Input((16,), name="x")
    hidden = jg.layers.Dense(64, activation="relu")(jg.layers.Dense(64, activation="relu")(x))
    return jg.Model(x, jg.layers.Dense(1)(hidden))


def forward(params: dict[str, Any], x: jax.Array) -> jax.Array:
    """The same model by hand."""
    for name in ("dense", "dense_1"):
        x = jax.nn.relu(x @ params[name]["kernel"] + params[name]["bias"])
    return x @ params["dense_2"]["kernel"] + params["dense_2"]["bias"]


def by_hand(optimizer: optax.GradientTransformation, steps: int) -> Callable[..., Any]:
    """A training loop of so many steps as one writes it by hand, donated and compiled."""

    def step(carry: tuple[Any, Any], batch: tuple[jax.Array, jax.Array]) -> tuple[tuple[Any, Any], jax.Array]:
        params, opt_state = carry
        loss, grads = jax.value_and_grad(lambda p: jnp.mean((forward(p, batch[0]) - batch[1]) ** 2))(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), loss

    def several(carry: tuple[Any, Any], data: tuple[jax.Array, jax.Array], order: jax.Array, start: int) -> Any:
        def body(i: jax.Array, state: tuple[Any, jax.Array]) -> tuple[Any, jax.Array]:
            rows = jax.lax.dynamic_index_in_dim(order, start + i, keepdims=False)
            carry, loss = step(state[0], (data[0][rows], data[1][rows]))
            return carry, state[1] + loss

        return jax.lax.fori_loop(0, steps, body, (carry, jnp.zeros(())))

    return jax.jit(several, donate_argnums=0)


def measure_steps() -> None:
    """Steps per second of `fit` on the MLP against a hand-written loop of 16 steps per dispatch, on the same data."""
    rows, batch, epochs = 8192, 32, 40
    random = np.random.default_rng(0)
    x, y = random.normal(size=(rows, 16)).astype("float32"), random.normal(size=(rows, 1)).astype("float32")
    trainer = jg.Trainer(mlp(), optax.adam(1e-3), loss="mse")
    loop, data = by_hand(optax.adam(1e-3), 16), (jnp.asarray(x), jnp.asarray(y))

    def fit() -> float:
        begin = time.perf_counter()
        trainer.fit((x, y), epochs=epochs, batch_size=batch, progress=False)
        return epochs * rows / batch / (time.perf_counter() - begin)

    def hand() -> float:
        params = mlp().init(jax.random.key(0))[0]
        carry = params, optax.adam(1e-3).init(params)
        begin = time.perf_counter()
        for epoch in range(epochs):
            order = jnp.asarray(np.random.default_rng((0, epoch)).permutation(rows).reshape(-1, batch))
            losses = []
            for start in range(0, rows // batch, 16):
                carry, loss = loop(carry, data, order, np.int32(start))
                losses.append(loss)
            float(sum(losses))
        return epochs * rows / batch / (time.perf_counter() - begin)

    for warm_up in (fit, hand):
        warm_up()
    ours, theirs = in_turn(fit, hand)
    show("MLP, fit", ours, "steps/s")
    show("MLP, hand-written loop of 16 steps", theirs, "steps/s")
    show("MLP, fit / hand-written", [a / b for a, b in zip(ours, theirs, strict=True)], "x")


def main() -> None:
    """Measures all."""
    print(f"JAX {jax.__version__}, Python {platform.python_version()}, {platform.machine()}, {jax.default_backend()}")
    measure_import()
    measure_init()
    measure_steps()


if __name__ == "__main__":
    main()
