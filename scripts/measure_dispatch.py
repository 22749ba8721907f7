"""What Python costs around a step: a model that does next to nothing, one step a dispatch, beside the bare jitted call.

    python -m scripts.measure_dispatch

Four sides in turn, in one process, on the same rows; the first is a `for` loop over the trainer's own compiled step,
with the same arguments. Figures are microseconds a step, medians of 7 turns; of each `fit` the faster of two epochs.

Predicted: at most 5 us over the bare call, which itself is some 20, as a key among its arguments is taken apart and put
together in Python. On two shared cores (2026-11, JAX 0.10, Python 3.11):

    bare call                          24
    fit, rows on the device            24    0.5 over it (-1.2 to 0.8); 10.9 before single steps were dispatched several
                                             between two looks at clocks, signals and callbacks
    fit, a callback at every step      63    an event, its checks, and what is committed after it
    fit, batches from the host        433    each is matched to the model, looked through, cast, and handed from a
                                             thread to the loop; beside steps of milliseconds, that happens meanwhile
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jgraph as jg
from jgraph.train import source
from jgraph.train.state import fresh_copy

STEPS, TURNS = 3_000, 7


class Gain(jg.Layer):
    """One number times all."""

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        """Makes it."""
        return {"gain": jnp.ones(1)}, {}

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> tuple[Any, Any]:
        """`y = gain * x`."""
        return x * params["gain"], state


def main() -> None:
    """Measures and prints."""
    x = jg.Input((1,), name="x")
    trainer = jg.Trainer(jg.Model(x, Gain()(x)), optax.sgd(0.1), loss="mse")
    rows = np.ones((STEPS, 1), np.float32)
    source.loops = lambda *_: False  # single steps, which elsewhere only convolutions take
    order = jnp.asarray(np.arange(STEPS, dtype=np.int32)[:, None])
    step, data = trainer.programs.at, ((jnp.asarray(rows),), (jnp.asarray(rows),), (None,))

    def bare() -> float:
        carry = fresh_copy(trainer.init(jax.random.key(0))), trainer.step_function.init()
        carry = jax.block_until_ready(step(*carry, data, order, np.int32(0)))
        begin = time.perf_counter()
        for index in range(1, STEPS):
            carry = step(*carry, data, order, np.int32(index))
        jax.block_until_ready(carry)
        return (time.perf_counter() - begin) / (STEPS - 1) * 1e6

    def fit(given: Any, callbacks: Sequence[jg.callbacks.Callback] = ()) -> float:
        run = trainer.fit(given, epochs=2, batch_size=1, shuffle=False, callbacks=callbacks, progress=False)
        return min(run.timings["epoch_seconds"]) / STEPS * 1e6

    batches = [(rows[:1], rows[:1])] * STEPS
    watcher = jg.callbacks.on_step_end(lambda event: None, every_steps=1)
    sides: dict[str, Callable[[], float]] = {
        "bare call": bare,
        "fit, rows on the device": lambda: fit((rows, rows)),
        "fit, a callback at every step": lambda: fit((rows, rows), [watcher]),
        "fit, batches from the host": lambda: fit(batches),
    }
    table = {name: [] for name in sides}
    for turn in range(TURNS + 1):
        for name, side in sides.items():
            seconds = side()
            if turn:  # the first compiles
                table[name].append(seconds)
    for name, found in table.items():
        over = [a - b for a, b in zip(found, table["bare call"], strict=True)]
        print(
            f"{name:32} {statistics.median(found):7.1f} us a step   over the bare call {statistics.median(over):6.1f}"
            f" ({min(over):.1f} to {max(over):.1f})"
        )


if __name__ == "__main__":
    main()
