"""What checking costs: a restore of 100 MB with all its checks beside one by Orbax alone, in turn, on the same files.

    python -m scripts.tortures.restored --count 15

The goal: the checks cost at most as much as the restore. `count` is the number of rounds; the medians count. Files are
in the memory of the system when they are read, so that this is the dearest case for the checks.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

import jgraph as jg
from jgraph.storage.arrays import ARRAYS
from jgraph.storage.steps import read_step, save_step
from scripts.tortures import command
from scripts.tortures.figure import Figure

LEAVES, MEGABYTES = 25, 100


def torture(count: int, seed: int, folder: Path) -> list[Figure]:
    """So many rounds of each pair, with and without checks."""
    draws = np.random.default_rng(seed)
    rows = MEGABYTES * 10**6 // LEAVES // 4 // 1000
    kernels = [draws.normal(size=(rows, 1000)).astype("float32") for _ in range(LEAVES)]
    tree = {"train_state": {f"layer_{n}": {"kernel": kernel} for n, kernel in enumerate(kernels)}}
    save_step(folder / "run", 1, tree, {})
    x = h = jg.Input((1000,), name="x")
    for _ in range(LEAVES):
        h = jg.layers.Dense(1000, use_bias=False)(h)
    model = jg.Model(x, h)
    jg.save(folder / "saved", model, *model.init(jax.random.key(seed)))
    both = {"params": model.params_spec, "state": model.state_spec}
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    plain, placed = ocp.RestoreArgs(restore_type=np.ndarray), ocp.ArrayRestoreArgs(sharding=device)
    pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "a step": (
            lambda: read_step(folder / "run", 1),
            lambda: _by_orbax(folder / "run" / "1" / ARRAYS, tree, plain),
        ),
        "a saved model": (
            lambda: jg.load(folder / "saved", model),
            lambda: jax.block_until_ready(_by_orbax(folder / "saved" / ARRAYS, both, placed)),
        ),
    }
    return [_figure(what, *pair, rounds=max(count, 3)) for what, pair in pairs.items()]


def _by_orbax(path: Path, tree: Any, kind: Any) -> Any:
    """Everything in a directory, as Orbax restores it, without any check."""
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        arguments = ocp.args.PyTreeRestore(item=tree, restore_args=jax.tree.map(lambda _: kind, tree))
        return checkpointer.restore(path.absolute(), arguments)


def _figure(what: str, checked: Callable[[], Any], alone: Callable[[], Any], rounds: int) -> Figure:
    seconds: dict[Callable[[], Any], list[float]] = {checked: [], alone: []}
    for number in range(rounds + 1):  # the first one is not counted
        for restore in (checked, alone) if number % 2 else (alone, checked):
            began = time.perf_counter()
            restore()
            seconds[restore].append(time.perf_counter() - began)
    both, only = (statistics.median(seconds[restore][1:]) for restore in (checked, alone))
    more = 100 * (both / only - 1)
    told = f"{1e3 * both:.0f} ms checked, {1e3 * only:.0f} ms by Orbax alone: the checks cost {more:.0f} % of that"
    return Figure(
        f"{what} of {MEGABYTES} MB: checking costs at most as much as restoring", int(both <= 2 * only), 1, (told,)
    )


if __name__ == "__main__":
    sys.exit(command.main(torture, __doc__))
