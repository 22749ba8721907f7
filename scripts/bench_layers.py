"""Every layer against plain JAX, PyTorch and the roof of the machine, forward and with its gradient.

    python -m scripts.bench_layers                                     an even sample of the whole grid, 15 minutes
    python -m scripts.bench_layers --layers conv2d,lstm --sample 40    of some families; `conv*` is a pattern
    python -m scripts.bench_layers --loop                              the JAX sides in the body of a fori_loop
    python -m scripts.bench_layers --full --shard 1/4 --minutes 600    every fourth of all cases
    python -m scripts.bench_layers --show                              the summary of what is there

Files of `scripts/layer_speed/` hold the families: each is a layer over a grid of options, the same in `jax.lax`, in
`jax.numpy` or in Flax, taking the layer's own params, and the same in PyTorch where it has such a layer. That all
compute the same is checked before they are timed. `gradient` is the layer with the gradient of `sum(y * c)` to params
and inputs, for a fixed random c. PyTorch is left out where it is not installed, and the summary says so.

A case takes twenty short rounds, the sides in turn in one process, fewer where a call is long, and forty more where a
goal is missed by little. A ratio is the median over the rounds; above 1 jgraph is faster. A goal counts as missed where
the upper end of the median's interval of confidence lies below it. Where jgraph and plain JAX are the same program to
the letter (`same` counts these cases), that of plain JAX is never missed: two copies of one small program may differ by
a factor of two as long as they live. The roof is what a product of matrices of 2,048 and a copy of 2^26 numbers reach
in the same process: no side takes less than `max(flops / roof, bytes / roof)`, but where everything fits into caches.

Records are lines of JSON, appended as they are made: what is in the file is not measured again (but with `--again`), so
that a run can be interrupted and go on. A case that fails, hangs or ends its process is a line with the fault.
"""

import argparse
import fnmatch
import itertools
import json
import signal
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from scripts.layer_speed.family import DIRECTIONS, Case, Family, in_turn, spread
from scripts.layer_speed.goals import misses
from scripts.layer_speed.picture import draw
from scripts.layer_speed.summary import show
from scripts.layer_speed.worker import Asked, Worker, by_name

MODULES = tuple(f"scripts.layer_speed.{name}" for name in ("convolutions", "features", "pools", "sequences"))


def chosen(families: dict[str, Family], patterns: Sequence[str]) -> list[Family]:
    """The families whose names match a pattern.

    Raises:
        SystemExit: a pattern matches none.
    """
    for pattern in patterns:
        if not fnmatch.filter(families, pattern):
            sys.exit(f"There is no family {pattern}; there are {', '.join(sorted(families))}.")
    return [family for name, family in families.items() if any(fnmatch.fnmatch(name, p) for p in patterns)]


def planned(families: Iterable[Family], seed: int, most_gflop: float) -> Iterator[Case]:
    """All cases, each family's evenly spread, the families in turn; without those of too much arithmetic."""

    def within(family: Family) -> Iterator[Case]:
        cases = spread(family.cases(), seed)
        return (case for case in cases if 3 * family.work(**case.options).flops <= most_gflop * 1e9)

    return in_turn([within(family) for family in families])


def read(path: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The records of a file, the newest of each case; a line cut short by an interruption is left out."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if "case" in record:
            found[record["case"], record["direction"], record["mode"]] = record
    return found


def line_of(record: dict[str, Any]) -> str:
    """A record in a line for people."""
    what = f"{record['case']}, {record['direction']}"
    if "fault" in record:
        return f"{what}: {record['fault']}"
    times = [f"{side} {statistics.median(rounds) * 1e3:.3g}" for side, rounds in record["rounds"].items()]
    missed = misses(record)
    return f"{what}: {', '.join(times)} ms; roof {record['roof'] * 1e3:.3g} ms" + (" MISSES" if missed else "")


def run(worker: Worker, todo: Sequence[Asked], path: Path, minutes: float, patience: float) -> None:
    """Measures as many cases as the time allows, appending each to the file."""
    until = time.monotonic() + 60 * minutes
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for number, asked in enumerate(todo):
            if time.monotonic() > until:
                print(f"Out of time: {len(todo) - number} of {len(todo)} are left.")
                return
            if worker.process is None:
                worker.start()
                file.write(json.dumps(worker.machine) + "\n")
            left = until - time.monotonic()
            record = worker.measure(asked, max(min(patience, left + 5), 5))
            if "fault" in record and left < patience and record["fault"].startswith("took longer"):
                print(f"Out of time in {record['case']}: {len(todo) - number} of {len(todo)} are left.")
                return
            file.write(json.dumps(record) + "\n")
            file.flush()
            print(line_of(record), flush=True)


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--layers", default="*", help="families, by names or patterns, with commas")
    parser.add_argument("--directions", default=",".join(DIRECTIONS), help="forward, gradient, or both")
    parser.add_argument("--loop", action="store_true", help="the JAX sides in the body of a fori_loop")
    parser.add_argument("--sample", type=int, default=150, help="how many cases, in all (150)")
    parser.add_argument("--full", action="store_true", help="all cases")
    parser.add_argument("--seed", type=int, default=0, help="which sample")
    parser.add_argument("--shard", default="1/1", help="i/n: the i-th of n parts of the cases")
    parser.add_argument("--minutes", type=float, default=15.0, help="the time after which no case begins (15)")
    parser.add_argument("--patience", type=float, default=60.0, help="the seconds that a case may take (60)")
    parser.add_argument("--gflop", type=float, default=20.0, help="the most arithmetic of a case with its gradient")
    parser.add_argument("--out", type=Path, default=Path("build/bench_layers/results.jsonl"), help="the records")
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    parser.add_argument("--show", action="store_true", help="only say what is there")
    parser.add_argument("--plot", type=Path, action="append", default=[], help="draw it into an SVG or PNG file")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None, modules: Sequence[str] = MODULES) -> int:
    """Measures, says, draws; 1 if a case of the plan has a fault."""
    options = arguments(words)
    families = chosen(by_name(modules), options.layers.split(","))
    part, parts = map(int, options.shard.split("/"))
    cases = itertools.islice(planned(families, options.seed, options.gflop), part - 1, None, parts)
    if not options.full:
        cases = itertools.islice(cases, options.sample)
    mode = "loop" if options.loop else "step"
    plan = [(case, direction, mode) for case in cases for direction in options.directions.split(",")]
    there = {} if options.again else read(options.out)
    todo = [asked for asked in plan if (str(asked[0]), *asked[1:]) not in there]
    worker = Worker(modules)
    try:
        if not options.show:
            print(f"{len(todo)} to measure, {len(plan) - len(todo)} are there.")
            run(worker, todo, options.out, options.minutes, options.patience)
    except KeyboardInterrupt:
        print("Interrupted: call it again to go on.")
    finally:
        worker.stop()
    names = {family.name for family in families}
    records = [r for r in read(options.out).values() if r["family"] in names and (options.show or r["mode"] == mode)]
    if records:
        show(records)
        for path in options.plot:
            draw(records, path)
    keys = {(str(asked[0]), *asked[1:]) for asked in plan}
    return int(any("fault" in r and (r["case"], r["direction"], r["mode"]) in keys for r in records))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that the worker ends too
    sys.exit(main())
