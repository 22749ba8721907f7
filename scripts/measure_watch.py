"""What histograms cost: the time of looking into a step beside the time of the step, on the Inception model.

    python -m scripts.measure_watch

The two programs run in turn in one process, on the same train state and batch of 64 images. Histograms every 100 steps
cost a hundredth of their ratio. On two shared cores (2026-12, JAX 0.10, Python 3.11, medians of 5 turns):

    params, gradients, updates, activations   180 arrays   1.33 % (1.23 to 1.69)
    gradients                                  48 arrays   0.97 % (0.80 to 1.46)
    activations                                36 arrays   0.78 % (0.52 to 1.11)

The machine was shared with four other builds, so that steps took five times as long as alone; the ratio is what counts.
"""

import statistics
import time
from typing import Any

import jax
import optax

import jgraph as jg
from jgraph.train.watch import KINDS, Watch
from scripts.benchmark import drawings
from scripts.benchmark.tasks import TASKS

TURNS = 5


def main() -> None:
    """Measures, and prints a line for each kind of what is watched."""
    task = TASKS["inception"]
    inputs, targets = task.data(1)
    trainer = jg.Trainer(drawings.inception(jg), optax.adam(1e-3), loss=task.losses)
    programs, batch = trainer.programs, ((inputs,), (targets,), (None,))
    carry: Any = trainer.init(jax.random.key(0)), trainer.step_function.init()

    def seconds(function: Any) -> float:
        begin = time.perf_counter()
        jax.block_until_ready(function())
        return time.perf_counter() - begin

    def step() -> Any:
        nonlocal carry
        carry = programs.one(*carry, batch)
        return carry

    for kinds in (KINDS, ("gradients",), ("activations",)):
        watch = Watch(of=kinds)
        for compiled in (step, lambda w=watch: programs.watched(w, *carry, batch)):
            seconds(compiled)
        turns = [(seconds(step), seconds(lambda w=watch: programs.watched(w, *carry, batch))) for _ in range(TURNS)]
        own, looked = (statistics.median(times) for times in zip(*turns, strict=True))
        ratios = sorted(b / a for a, b in turns)
        count = len(programs.watched(watch, *carry, batch).tags)
        print(
            f"{', '.join(kinds):45}{count:5d} arrays   step {1e3 * own:6.1f} ms   looking {1e3 * looked:6.1f} ms   "
            f"every 100 steps {statistics.median(ratios):.2f} % ({ratios[0]:.2f} to {ratios[-1]:.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
