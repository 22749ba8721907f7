"""SIGKILL, and again: a run that is killed at any moment ends with the same bits as the one nobody touched.

    python -m scripts.tortures.killed --count 200

The run has dropout, batch normalisation, shuffling, a plateau, early stopping with its best state, balanced losses,
accumulation, averages, several steps a dispatch, and every callback that writes; half of the runs save beside the loop
and half in it, half of them on another file system than all else, where there is one. Kills come in turn in a save,
at a file operation of the taking away of an old step, and at a random moment; which it was is told by what is left.
After every kill the run is started anew with `resume=`.

A kill may cost the steps between two saves, or those that ran until the last whole one was on the disk where these are
more, and those that ran in saves after it.
"""

import itertools
import json
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

from jgraph.errors import LoadError
from jgraph.storage.arrays import DRAFT
from jgraph.storage.lock import NAME
from jgraph.storage.steps import DELETED, best_step, record_of
from scripts.tortures.command import main
from scripts.tortures.figure import Figure
from scripts.tortures.life import DISPATCH, EVERY_STEPS, Place, live, living

A_RUN = 10
"""The kills of one run, after which it is left to end."""

LIMIT = 120.0
"""Seconds that no life takes."""


def torture(count: int, seed: int, folder: Path) -> list[Figure]:
    """Kills runs so often in all, and lets each end."""
    chance, kinds, lost = random.Random(seed), Counter[str](), list[tuple[int, int]]()
    alone = Place(folder / "alone", folder / "alone" / "checkpoints")
    with living(live, alone) as process:
        process.join(LIMIT)
    wanted, other = json.loads(alone.result.read_text()), elsewhere(folder)
    told, equal, monotone, runs = list[str](), 0, 0, 0
    with tempfile.TemporaryDirectory(dir=other, prefix="jgraph-torture-") as away:
        while sum(kinds.values()) < count:
            here = folder / f"run{runs}"
            place = Place(here, (here / "checkpoints", Path(away, f"run{runs}"))[runs % 2], runs % 4 < 2)
            ended = kill_often(place, min(A_RUN, count - sum(kinds.values())), chance)
            difference = differing(wanted, ended.result) + [f"left {name}" for name in strays(place)]
            told += [f"run {runs}: {text}" for text in (*ended.said, *difference)]
            kinds, lost = kinds + ended.kinds, lost + losses(place.trace.read_text())
            equal, monotone, runs = equal + (not difference), monotone + ended.rising, runs + 1
    cost = (
        f"{sum(steps for steps, _ in lost) / max(len(lost), 1):.1f} steps a kill, at most {max(lost, default=(0,))[0]}"
    )
    elsewhere_too = "half on another file system" if other else "all on one file system, as there is no other here"
    return [
        Figure("kills", count - kinds["failed"], count, tuple(f"{n} {kind}" for kind, n in sorted(kinds.items()))),
        Figure(f"runs with the same bits at the end and nothing left, {elsewhere_too}", equal, runs, tuple(told)),
        Figure("runs whose best step was never replaced by a worse one", monotone, runs),
        Figure("restarts that cost no more than a kill may", sum(n <= most for n, most in lost), len(lost), (cost,)),
    ]


def elsewhere(folder: Path) -> Path | None:
    """A folder on another file system, if there is one."""
    found = (Path(path) for path in ("/dev/shm", "/run", tempfile.gettempdir()))
    return next((path for path in found if path.is_dir() and path.stat().st_dev != folder.stat().st_dev), None)


class Ended(NamedTuple):
    """What came of one run: its hashes, its kills by what they met, whether its best step only rose, and errors."""

    result: dict[str, object]
    kinds: Counter[str]
    rising: bool
    said: list[str]


def kill_often(place: Place, kills: int, chance: random.Random) -> Ended:
    """Kills a run so many times, or until it ends, and lets it end."""
    kinds, said, scores = Counter[str](), list[str](), [float("inf")]
    for kind in itertools.islice(itertools.cycle(("save", "clean-up", "save", "moment", "save")), kills):
        with living(live, place, chance.randrange(12) if kind == "clean-up" else None) as process:
            if kind != "clean-up":
                wait(process, place, chance, in_save=kind == "save")
                process.kill()
            process.join(LIMIT)
            code = process.exitcode
        if code == 0:
            break
        kinds[left(place) if code == -signal.SIGKILL else "failed"] += 1
        said += [] if code == -signal.SIGKILL else [f"exit code {code}"]
        scores.append(score(place))
    if not place.result.exists():
        with living(live, place) as process:
            process.join(LIMIT)
    result = json.loads(place.result.read_text()) if place.result.exists() else {}
    return Ended(result, kinds, scores == sorted(scores, reverse=True), said)


def wait(process: BaseProcess, place: Place, chance: random.Random, *, in_save: bool) -> None:
    """Waits for a moment: while a save is under way, or any from the start of the process on."""
    until = time.monotonic() + chance.uniform(0.0, 3.0)
    while process.is_alive() and time.monotonic() < until:
        time.sleep(0.001)
    if in_save:
        while process.is_alive() and not any(drafts(place)):
            time.sleep(0.0002)
        time.sleep(chance.uniform(0.0, 0.08))


def drafts(place: Place) -> Iterator[Path]:
    """The saves that are under way."""
    return (path for folder in (place.checkpoints, place.best) for path in folder.glob(f"*{DRAFT}*"))


def left(place: Place) -> str:
    """What a killed life was at, by what it left."""
    folders = (place.checkpoints, place.best)
    if any(path for folder in folders for path in folder.glob(f"*{DELETED}*")):
        return "in a clean-up"
    if any(drafts(place)):
        return "in a save"
    return "at another moment" if any(folder.glob(NAME) for folder in folders) else "before it began"


def score(place: Place) -> float:
    """The value of the best step, infinite where there is none."""
    try:
        return float(record_of(place.best, best_step(place.best))["score"]["value"])
    except LoadError:
        return float("inf")


def strays(place: Place) -> list[str]:
    """What stands beside the steps, where nothing should."""
    found = [path.name for folder in (place.checkpoints, place.best) for path in folder.iterdir()]
    own = {"best", "log.csv", "log.jsonl", "tensorboard", "trace.txt", "result.json"}
    return [name for name in found if not name.isdigit() and name not in own]


def differing(wanted: dict[str, object], got: dict[str, object]) -> list[str]:
    """What is not the same."""
    return [f"{name} differs" for name in wanted if wanted[name] != got.get(name)]


def losses(trace: str) -> list[tuple[int, int]]:
    r"""For each kill the steps that it cost, and how many it may cost, by what all lives have said.

    The best step is saved by the same thread, so its saves count as well.

    >>> losses("begin 0\nstep 4\nsave 4\nstep 8\nsaved 4\nstep 28\nsave 28\nstep 32\nbegin 4\n")
    [(28, 28)]
    """
    found: list[tuple[int, int]] = []
    step = begun = last = since = lives = 0  # `last`: steps until the last save was whole; `since`: in those after it
    saving = False
    for word, number in re.findall(r"(begin|step|save|saved|apart) (\d+)\n", trace):
        flight = step - begun if saving else 0
        if word == "begin":
            if lives:
                found.append((step - int(number), max(EVERY_STEPS, last) + since + flight + DISPATCH))
            last, since, saving, lives = 0, 0, False, lives + 1
        elif word == "save":
            begun, saving = step, True
        elif word == "saved":
            last, since, saving = step - int(number), 0, False
        elif word == "apart":
            since, saving = since + flight, False
        step = int(number) if word in ("begin", "step") else step
    return found


if __name__ == "__main__":
    sys.exit(main(torture, __doc__))
