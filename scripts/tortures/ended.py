"""The end of a process right after a save has begun: the checkpoint is whole, however the process ends.

    python -m scripts.tortures.ended --count 40

In turn: `fit` comes to its end and the process with it; a callback raises an error; a callback calls `sys.exit`; an
error is raised beside training, while the last save is under way in a thread.
"""

import itertools
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import jgraph as jg
from jgraph.errors import LoadError
from jgraph.storage.saver import Saver
from jgraph.storage.steps import newest_whole, save_step
from scripts.tortures.command import main
from scripts.tortures.figure import Figure
from scripts.tortures.killed import LIMIT
from scripts.tortures.life import data, living, trainer

KINDS = ("a normal end", "an error", "sys.exit", "an error beside a save")


def torture(count: int, seed: int, folder: Path) -> list[Figure]:
    """Ends so many processes."""
    wrong, tried, told = Counter[str](), Counter[str](), list[str]()
    for number, kind in zip(range(count), itertools.cycle(KINDS), strict=False):
        place, step = folder / str(number), 1 + (seed + number) % 12
        with living(end, kind, place, step) as process:
            process.join(LIMIT)
            code = process.exitcode
        said = problem(place, step, code, kind)
        tried[kind] += 1
        wrong[kind] += bool(said)
        told += [f"{kind}: {said}"] if said else []
    return [
        Figure(f"{kind}, right after a save: committed", tried[kind] - wrong[kind], tried[kind], tuple(told))
        for kind in KINDS
        if tried[kind]
    ]


def problem(place: Path, step: int, code: int | None, kind: str) -> str:
    """What went wrong, if anything did."""
    expected = {"a normal end": 0, "sys.exit": 3}.get(kind, 1)
    if code != expected:
        return f"exit code {code}, not {expected}"
    try:
        found = newest_whole(place)
    except LoadError as error:
        return str(error)
    if found is None or found[0] < step:
        return f"step {step} is not there"
    return "; ".join(found[3]) or "; ".join(path.name for path in place.iterdir() if not path.name.isdigit())


def end(kind: str, folder: Path, step: int) -> None:
    """Trains until a save of a step has begun, and ends this process."""
    if kind == "an error beside a save":
        saver = Saver()
        tree = {"weights": np.random.default_rng(0).normal(size=(1000, 1000))}
        saver.save(folder, step, lambda: save_step(folder, step, tree, {}), 1, None, ())
        raise RuntimeError("the process ends here")

    def leave(event: jg.callbacks.Event) -> Any:
        if event.step <= step:  # what is asked for at a step is done when all hooks have been called
            return []
        if kind == "an error":
            raise RuntimeError("training ends here")
        if kind == "sys.exit":
            sys.exit(3)
        return [jg.callbacks.Stop("it is enough")]

    saving = jg.callbacks.Checkpoint(folder, every_steps=1, max_to_keep=None)
    leaving = jg.callbacks.on_step_end(leave, name="leaving")
    trainer().fit(data(), epochs=2, batch_size=8, callbacks=[saving, leaving], progress=False)


if __name__ == "__main__":
    sys.exit(main(torture, __doc__, count=8))
