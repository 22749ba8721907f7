"""All experiments, one after the other, each in a process of its own; 1 where one has not learned.

python -m experiments                               the short forms, some minutes each on two cores
python -m experiments inception price               some of them
python -m experiments --full --seeds 3              the real ones, which take hours
python -m experiments --show                        mean and spread over seeds of what is in the folder
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table


class Learned(NamedTuple):
    """What a figure must reach where an experiment has learned; `below` where less is better."""

    figure: str
    value: float
    below: bool = False

    def holds(self, reached: float) -> bool:
        """Whether it does."""
        return reached < self.value if self.below else reached > self.value

    def __str__(self) -> str:
        return f"{self.figure} {'<' if self.below else '>'} {self.value:g}"


EXPERIMENTS = {
    "question_answering": Learned("mean", 45.0),
    "people": Learned("income, % wrong", 16.5, below=True),
    "siamese": Learned("shared, Pearson", 0.6),
    "inception": Learned("test accuracy", 0.8),
    "residual": Learned("test accuracy", 0.8),
    "xception": Learned("test accuracy", 0.8),
    "price": Learned("joint, test", 15.0, below=True),
    "two_cameras": Learned("shared", 35.0, below=True),
    "watch": Learned("test accuracy", 0.4),
}
"""What the short forms must reach: far more than chance, less than the whole experiment does."""


def main(words: list[str] | None = None) -> int:
    """Runs experiments and shows their figures; 1 where one has failed, or has not learned."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help=", ".join(EXPERIMENTS))
    parser.add_argument("--full", action="store_true", help="the whole experiments")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from 0 on (1)")
    parser.add_argument("--folder", type=Path, default=Path("runs"), help="where all is written (runs)")
    parser.add_argument("--resume", action="store_true", help="go on with the runs in the folder")
    parser.add_argument("--show", action="store_true", help="only show what is in the folder")
    given = parser.parse_args(words)
    if unknown := set(given.names) - set(EXPERIMENTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(EXPERIMENTS)}")
    names, failed = given.names or [*EXPERIMENTS], 0
    for name in names:
        for seed in range(0 if given.show else given.seeds):
            failed += not run(name, seed, given)
    Console().print(table(given.folder, names))
    return int(failed > 0)


def run(name: str, seed: int, given: argparse.Namespace) -> bool:
    """Runs one experiment; whether it came to its end and has learned."""
    folder = given.folder / name / str(seed)
    flags = ["--full"] * given.full + ["--resume"] * given.resume
    begun = time.perf_counter()
    print(f"== {name}, seed {seed}", flush=True)
    code = subprocess.run(
        [sys.executable, "-m", f"experiments.{name}", "--seed", str(seed), "--folder", str(folder), *flags]
    ).returncode
    if code:
        print(f"-- {name} ended with exit code {code} after {time.perf_counter() - begun:.0f} s")
        return False
    learned, reached = EXPERIMENTS[name], figures(folder)["reached"][EXPERIMENTS[name].figure]
    holds = learned.holds(reached)
    print(f"-- {name}: {learned}: {'yes' if holds else 'NO'}, {reached:.4g}")
    return holds


def figures(folder: Path) -> dict[str, Any]:
    """What an experiment has left of its figures."""
    return json.loads((folder / "figures.json").read_text(encoding="utf-8"))


def table(folder: Path, names: list[str]) -> Table:
    """The figures of all experiments in a folder: mean, least and most over the seeds that are there."""
    shown = Table("experiment", "figure", "mean", "least to most", "seeds", "minutes", title_justify="left")
    for name in names:
        found = [figures(path.parent) for path in sorted((folder / name).glob("*/figures.json"))]
        for form in (True, False):
            own = [one for one in found if one["full"] is form]
            minutes = statistics.mean(one["seconds"] for one in own) / 60 if own else 0.0
            for number, figure in enumerate(own[0]["reached"] if own else ()):
                values = [one["reached"][figure] for one in own if figure in one["reached"]]
                first = (
                    (name + ("" if form else " (short)"), str(len(own)), f"{minutes:.1f}") if not number else ("",) * 3
                )
                spread = f"{min(values):.4g} to {max(values):.4g}" if len(values) > 1 else ""
                shown.add_row(first[0], figure, f"{statistics.mean(values):.4g}", spread, *first[1:])
    return shown


if __name__ == "__main__":
    sys.exit(main())
