"""How long a save beside the loop holds it up: jgraph and Orbax alone, in turn, with 100 MB.

    python -m scripts.tortures.blocked --count 15

Both copy the arrays, as the next step takes their buffers, and hand them to a thread. The goal: at most 1.5 times as
long as Orbax alone.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from jgraph.storage.saver import Saver
from jgraph.storage.steps import save_step
from jgraph.train.record import arrays_of
from jgraph.train.state import Run, TrainState
from scripts.tortures.command import main
from scripts.tortures.figure import Figure

LEAVES, MOST = 25, 1.5
"""Leaves of 4 MB; how many times as long as Orbax a save may hold up the loop."""


def torture(count: int, seed: int, folder: Path) -> list[Figure]:
    """So many saves of each."""
    params = {f"leaf_{n}": jax.random.normal(jax.random.key(seed + n), (1024, 1024)) for n in range(LEAVES)}
    state = TrainState(jnp.int32(0), params, {}, (), jax.random.key(0), jnp.float32(1))
    run, saver = Run(state), Saver()
    orbax = ocp.AsyncCheckpointer(ocp.StandardCheckpointHandler())

    def ours(step: int) -> Callable[[], Any]:
        tree = arrays_of(run)
        saver.save(folder / "ours", step, lambda: save_step(folder / "ours", step, tree, {}), 4 * LEAVES, 1, ())
        return saver.wait

    def theirs(step: int) -> Callable[[], Any]:
        orbax.save(folder / "theirs" / str(step), args=ocp.args.StandardSave({"params": params}), force=True)
        return orbax.wait_until_finished

    seconds: dict[str, list[float]] = {"jgraph": [], "Orbax": []}
    for step in range(count + 1):
        for name, save in (("jgraph", ours), ("Orbax", theirs)):
            begin = time.perf_counter()
            wait = save(step)
            seconds[name] += [time.perf_counter() - begin] if step else []  # the first ones make directories
            wait()
    saver.close()
    orbax.close()
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    text = ", ".join(f"{name} {median * 1e3:.1f} ms" for name, median in medians.items())
    good = medians["jgraph"] <= MOST * medians["Orbax"]
    return [Figure(f"a save of 100 MB holds the loop up at most {MOST} times as long as Orbax", int(good), 1, (text,))]


if __name__ == "__main__":
    sys.exit(main(torture, __doc__, count=15))
