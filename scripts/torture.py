"""A run survives everything: kills, signals, full disks, damage, wear. All the tortures, short or long.

    python -m scripts.torture                       the short form, some minutes
    python -m scripts.torture --long                the long one, hours: the figures of `scripts/notes-torture.md`
    python -m scripts.torture --only killed,full    some of them

Each is a file of `scripts/tortures/`, says there what it does and what counts as good, and can be run alone.
"""

import argparse
import importlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.tortures.command import run

COUNTS = {
    "killed": (4, 200),
    "signalled": (8, 80),
    "ended": (4, 40),
    "full": (5, 40),
    "corrupted": (40, 400),
    "trusted": (60, 420),
    "soaked": (5, 1000),
    "blocked": (5, 15),
    "restored": (5, 15),
}
"""Each torture with its counts, short and long."""


def main(words: Sequence[str] | None = None) -> int:
    """Runs tortures and prints their figures; 1 where not all of them are whole."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--long", action="store_true", help="the counts that are asked for, which take hours")
    parser.add_argument("--only", default=",".join(COUNTS), help="some of them, with commas")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and faults (0)")
    parser.add_argument("--folder", type=Path, help="where all is done (a temporary folder)")
    options = parser.parse_args(words)
    if unknown := set(options.only.split(",")) - set(COUNTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(COUNTS)}")
    figures = []
    for name in options.only.split(","):
        print(f"-- {name}", flush=True)
        torture = importlib.import_module(f"scripts.tortures.{name}").torture
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="jgraph-torture-") as folder:
            figures += run(torture, COUNTS[name][options.long], options.seed, Path(folder))
    good = sum(figure.whole for figure in figures)
    print(f"{good} of {len(figures)} figures are whole")
    return int(good < len(figures))


if __name__ == "__main__":
    sys.exit(main())
