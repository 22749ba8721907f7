"""Gives anything at all to everything public that makes something, and counts what came of it.

    python -m scripts.fuzz --examples 20000 --seed 1

As `tests/laws/test_fuzz.py`, with more calls and another seed. A call is refused by an error of jgraph, or makes an
object that works; a layer is drawn on what suits its class, written as JSON and read again, unless it refuses that
(`misfit`). Anything else is listed, and the exit status is 1.

2026-12, JAX 0.10, two shared cores: 8,000 calls (seed 1) in 113 s: 6,284 refused, 1,042 made, 585 drawn, 89 misfits.
"""

import argparse
import collections
import os
import sys
import tempfile
import time
from typing import Any

from hypothesis import HealthCheck, given, seed, settings

from jgraph.draw.terminal import table
from tests.laws.audit.fuzz import MAKERS, calls, outcome


def fuzz(examples: int, start: int) -> tuple[collections.Counter[str], list[str]]:
    """How many calls came to what, and the faults."""
    counts: collections.Counter[str] = collections.Counter()
    faults = []

    @seed(start)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(calls())
    def count(call: tuple[str, dict[str, Any]]) -> None:
        try:
            counts[outcome(*call)] += 1
        except Exception as error:
            counts["fault"] += 1
            faults.append(f"{call[0]}(**{call[1]!r})\n    {type(error).__name__}: {error}")

    count()
    return counts, faults


def main() -> None:
    """Prints a table of outcomes, and the faults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        counts, faults = fuzz(asked.examples, asked.seed)
        os.chdir("/")
    rows = [[name, f"{number:,}"] for name, number in counts.most_common()]
    seconds = time.perf_counter() - begun
    print(table(f"{asked.examples:,} calls of {len(MAKERS)} makers, {seconds:.0f} s", ("outcome", "calls"), rows))
    print(*faults, sep="\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
