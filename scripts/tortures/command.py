"""The command line of one torture."""

import argparse
import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts.tortures.figure import Figure


def main(torture: Callable[[int, int, Path], list[Figure]], doc: str | None, words: Sequence[str] | None = None) -> int:
    """Runs a torture and prints its figures; 1 where one of them is not what it should be."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=200, help="how many faults in all (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the faults")
    parser.add_argument("--folder", type=Path, help="where it works (default: a temporary folder)")
    options = parser.parse_args(words)
    logging.getLogger("jgraph").setLevel(logging.ERROR)  # what it warns of is what is done to it here
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = torture(options.count, options.seed, Path(folder))
    for figure in figures:
        print(f"{figure.good} of {figure.of}  {figure.what}")
        for line in figure.told:
            print(f"    {line}")
    return int(any(figure.good != figure.of for figure in figures))
