"""What `fit_many` saves: the time of eight members that train as one, beside eight calls of `fit`.

    python -m scripts.measure_many

Both sides train the same members on the same data in turn, in one process, after all programs have been compiled.
Predicted for two cores: 0.5x where the operations of a step are so small that their number counts (an MLP of 16-16-1,
batch 8), and 0.8x for the MLP of 16-64-64-1 with batch 32, whose products keep a core busy already. On two shared cores
that were busy with other work (2026-11, JAX 0.10, Python 3.11, medians of 7 turns):

    MLP 16-16-1, batch 8           0.27x of the time (0.23 to 0.30)
    MLP 16-64-64-1, batch 32       0.78x of the time (0.48 to 0.88)
"""

import argparse
import statistics
import time
from typing import Any

import numpy as np
import optax

import jgraph as jg

MEMBERS = 8


def trainer_of(*units: int) -> jg.Trainer:
    """A trainer of an MLP on 16 numbers."""
    layers = [jg.layers.Dense(n, activation="relu") for n in units]
    model = jg.Sequential([jg.Input((16,)), *layers, jg.layers.Dense(1)])
    return jg.Trainer(model, optax.adam, learning_rate=1e-3, loss="mse")


def compare(what: str, trainer: jg.Trainer, batch: int, epochs: int, turns: int) -> None:
    """Prints the ratio of the seconds that both ways take."""
    random = np.random.default_rng(0)
    data = random.normal(size=(8_192, 16)).astype("float32"), random.normal(size=8_192).astype("float32")
    options: dict[str, Any] = {"epochs": epochs, "batch_size": batch, "validation_split": 0.1, "progress": False}
    ratios = []
    for turn in range(turns + 1):
        begin = time.perf_counter()
        for seed in range(MEMBERS):
            trainer.fit(data, seed=seed, **options)
        between = time.perf_counter()
        trainer.fit_many(data, seeds=MEMBERS, **options)
        if turn:  # the first compiles
            ratios.append((time.perf_counter() - between) / (between - begin))
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"{what:30} {middle:.3f}x of the time ({low:.3f} to {high:.3f})")


def main(arguments: Any = None) -> None:
    """Measures both models."""
    parser = argparse.ArgumentParser(description="What fit_many saves.")
    parser.add_argument("--turns", type=int, default=5, help="turns of each side (default 5)")
    turns = parser.parse_args(arguments).turns
    compare("MLP 16-16-1, batch 8", trainer_of(16), 8, 5, turns)
    compare("MLP 16-64-64-1, batch 32", trainer_of(64, 64), 32, 5, turns)


if __name__ == "__main__":
    main()
