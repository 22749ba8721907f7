"""Ctrl-C and SIGTERM at random moments: a run that can be used and goes on to the same bits, and no step lost.

    python -m scripts.tortures.signalled --count 80

Five of eight are Ctrl-C: `fit` returns the run, or raises KeyboardInterrupt where training has not begun, and then the
run is evaluated, saved, loaded, and trained to its end, in the same process. Three of eight are SIGTERM, to a process
that saves every 20 steps and dies of it; another one goes on from the directory.
"""

import json
import math
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jgraph as jg
from scripts.tortures.command import main
from scripts.tortures.figure import Figure
from scripts.tortures.killed import LIMIT
from scripts.tortures.life import Place, data, hash_of, live, living, trainer

EPOCHS = 4
"""Epochs of the run that is interrupted by Ctrl-C: of 20 steps, each with a pause."""


def torture(count: int, seed: int, folder: Path) -> list[Figure]:
    """Sends so many signals in all."""
    chance, terms = random.Random(seed), max(1, count * 3 // 8)
    interrupts = max(1, count - terms)
    out = folder / "interrupted.json"
    with living(interrupted, interrupts, seed, folder / "interrupted", out) as process:
        process.join(LIMIT + 20.0 * interrupts)
    found = json.loads(out.read_text()) if out.exists() else ["the process ended before"]
    bad = tuple(text for text in found if not text.startswith("good"))
    early = sum("before" in text for text in found)
    good = interrupts - len(bad)
    told = [terminated(Place(folder / f"run{n}", folder / f"run{n}" / "checkpoints"), chance) for n in range(terms)]
    wrong = tuple(text for text in told if text)
    where = (f"{early} of them before the first step",)
    return [
        Figure(
            "Ctrl-C: a run that is whole, can be used, and goes on to the same bits", good, interrupts, bad or where
        ),
        Figure("SIGTERM: no step lost, dies of the signal", terms - len(wrong), terms, wrong),
    ]


def interrupted(count: int, seed: int, folder: Path, out: Path) -> None:
    """Interrupts `fit` in this process at so many moments, and writes what came of each."""
    chance = random.Random(seed)
    begin = time.perf_counter()
    whole = fit(folder / "whole")
    seconds, found = time.perf_counter() - begin, []
    wanted = hash_of(whole.train_state), whole.history
    for number in range(count):
        found.append(one(chance.uniform(0.0, 0.9 * seconds), folder / str(number), wanted))
    out.write_text(json.dumps(found))


def one(delay: float, folder: Path, wanted: tuple[str, Any]) -> str:
    """A run that is interrupted after so many seconds: `good`, and when; or what went wrong."""
    timer = threading.Timer(delay, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    run = None
    try:
        run = fit(folder)
        while timer.is_alive():  # it came to its end before
            time.sleep(0.01)
    except KeyboardInterrupt as error:
        run = run or error.__dict__.get("run")
    finally:
        timer.join()
    if run is None:
        return "good, before the first step" if same(fit(folder, resume=folder), wanted) else "another run after it"
    own = trainer()
    problems = [
        (run.stopped not in (None, "interrupted"), f"stopped is {run.stopped!r}"),
        (len(run.history.get("loss", ())) != run.position.epoch, "the history is not whole"),
        (not math.isfinite(own.evaluate(run.train_state, data())["loss"]), "it cannot be evaluated"),
        (not saved(own, run, folder / "model"), "it cannot be saved"),
        (not same(fit(folder / "on", run=run), wanted), f"it goes on to other bits, from step {run.train_state.step}"),
    ]
    return next((text for wrong, text in problems if wrong), "good")


def fit(folder: Path, **options: Any) -> jg.Run:
    """A run of some epochs with a pause at each dispatch, that is saved beside the loop."""
    pausing = jg.callbacks.on_step_end(lambda event: time.sleep(0.005), every_steps=4, name="pausing")
    stopping = jg.callbacks.EarlyStopping(patience=9)
    callbacks = [stopping, pausing, jg.callbacks.Checkpoint(folder, every_steps=10, max_to_keep=2)]
    given: dict[str, Any] = {"batch_size": 8, "validation_split": 0.2, "progress": False, "epochs": EPOCHS, **options}
    return trainer().fit(data(), callbacks=callbacks, **given)


def same(run: jg.Run, wanted: tuple[str, Any]) -> bool:
    """Whether a run has ended with the same bits."""
    return (hash_of(run.train_state), run.history) == wanted


def saved(own: jg.Trainer, run: jg.Run, path: Path) -> bool:
    """Whether the model of a run comes back as it was."""
    trees = run.train_state.params, run.train_state.model_state
    jg.save(path, own.model, *trees)
    pairs = zip(jax.tree.leaves(jg.load(path)[1:]), jax.tree.leaves(trees), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def terminated(place: Place, chance: random.Random) -> str:
    """Ends a process by SIGTERM and lets another one go on: what went wrong, if anything did."""
    with living(live, place) as process:
        while process.is_alive() and not (place.trace.exists() and "step" in place.trace.read_text()):
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, 1.5))
        os.kill(process.pid or 0, signal.SIGTERM)
        process.join(LIMIT)
        code, ended = process.exitcode, place.result.exists()
    if code != -signal.SIGTERM and not (code == 0 and ended):
        return f"exit code {code}"
    before = place.trace.read_text().split("\n")
    last = max(int(line.split()[1]) for line in before if line.startswith(("step", "begin")))
    with living(live, place) as process:
        process.join(LIMIT)
        if process.exitcode != 0:
            return f"going on ended with the exit code {process.exitcode}"
    begins = [int(line.split()[1]) for line in place.trace.read_text().split("\n") if line.startswith("begin")]
    return "" if begins[-1] >= last else f"went on from step {begins[-1]}, not {last}"


if __name__ == "__main__":
    sys.exit(main(torture, __doc__, count=8))
