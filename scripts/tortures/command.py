"""The command line of one torture."""

import argparse
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts.tortures.figure import Figure

Torture = Callable[[int, int, Path], list[Figure]]
"""From a count, a seed and an empty folder to figures."""


def main(torture: Torture, doc: str | None, words: Sequence[str] | None = None, count: int = 20) -> int:
    """Runs a torture and prints its figures; 1 where not all of them are whole."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=count, help=f"how often ({count})")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and faults (0)")
    parser.add_argument("--folder", type=Path, help="where all is done (a temporary folder)")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="jgraph-torture-") as folder:
        figures = run(torture, options.count, options.seed, Path(folder))
    return int(not all(figure.whole for figure in figures))


def run(torture: Torture, count: int, seed: int, folder: Path) -> list[Figure]:
    """The figures of a torture, printed; its processes share what they compile, in the folder."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "compiled"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    place = folder / torture.__module__.rpartition(".")[2]
    place.mkdir(parents=True)
    log = logging.getLogger("jgraph")
    level = log.level
    log.setLevel(logging.ERROR)  # what it warns of is what is done to it here
    try:
        figures = torture(count, seed, place)
    finally:
        log.setLevel(level)
    for figure in figures:
        print(figure, flush=True)
    return figures
