"""Every layer against Keras' of the same name, over the full product of its options, with figures.

    python -m scripts.compare_keras
    python -m scripts.compare_keras --family recurrent --layer GRU --sample 50 --seed 1 --json figures.json

Each file of `scripts/compare/` is a family: its `cases()` are tuples `(layer, config, inputs, options)`, where `inputs`
is a tuple of NumPy arrays, or lists of them, and `options` are those of `tests.references.keras_twin.differences`:
`train`, `mask`, `gradients`, and what the calls of both layers take. A case is equal where every output, part of the
next state and gradient differs from Keras' by 1e-5 of its largest number at most, in float32; with `--dtype bfloat16`
both compute in that, and may differ by 2^-5. Families are cut into
slices, which processes share; each forgets what it has compiled now and then, so that memory stays flat. The last
column is the largest difference among all cases whose shapes are right. Exits with 1 if any case is not equal.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import functools
import importlib
import json
import multiprocessing
import os
import pkgutil
import random
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

import jgraph as jg
from jgraph.draw.terminal import table
from tests.references.keras_twin import TOLERANCES, differences

Case = tuple[str, dict[str, Any], tuple, dict[str, Any]]

SLICE = 40
"""How many cases a process takes at a time, after which it forgets what it has compiled."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of one case: `error` is the largest relative difference, `fault` says why it is not equal."""

    layer: str
    case: str
    error: float
    fault: str | None


def families(package: str = "scripts.compare") -> list[str]:
    """The families that have a file."""
    return sorted(module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__))


def cases_of(module: str) -> list[Case]:
    """The cases of a family, in an order that is the same in every process."""
    return importlib.import_module(module).cases()


def without_cases(modules: Iterable[str]) -> list[str]:
    """The layers that both libraries have, and that no case is of."""
    compared = {case[0] for module in modules for case in cases_of(module)}
    return sorted(
        name
        for name, value in vars(jg.layers).items()
        if isinstance(value, type) and hasattr(keras.layers, name) and name not in compared
    )


def compare(case: Case, dtype: str = "float32") -> Result:
    """Runs one case through both libraries; whatever is raised is a fault of that case."""
    name, config, inputs, options = case
    text = describe(case)
    try:
        found = differences(name, config, *inputs, dtype=dtype, **options)
    except Exception as error:  # a case that fails in any way is counted, and the others go on
        return Result(name, text, 0.0, f"{type(error).__name__}: {error}".strip())
    worst = max(found, key=lambda leaf: (found[leaf] != found[leaf], found[leaf]), default="outputs")
    error = found.get(worst, 0.0)
    return Result(
        name, text, error, None if error <= TOLERANCES[dtype] else f"{worst} differs by {error:.2e} of its largest"
    )


def describe(case: Case) -> str:
    """A case on one line: the call that makes the layer, shapes in place of arrays, options."""
    name, config, inputs, options = case
    made = ", ".join(f"{k}={_show(v)}" for k, v in config.items())
    rest = "".join(f", {k}={_show(v)}" for k, v in options.items())
    return f"{name}({made}) on {', '.join(map(_show, inputs))}{rest}"


def _show(value: Any) -> str:
    """A value as text; arrays as their dtype and shape, functions by name."""
    if isinstance(value, (list, tuple)):
        inner = ", ".join(map(_show, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{k!r}: {_show(v)}' for k, v in value.items())}}}"
    if isinstance(value, (np.ndarray, jax.Array)) and value.ndim:
        return f"{value.dtype}{list(value.shape)}"
    return getattr(value, "__name__", repr(value)) if callable(value) else repr(value)


def compare_slice(dtype: str, module: str, numbers: Sequence[int]) -> list[Result]:
    """Compares some cases of a family, compiled without XLA's expensive passes; then forgets what was compiled."""
    jax.config.update("jax_disable_most_optimizations", True)
    cases = cases_of(module)
    results = [compare(cases[number], dtype) for number in numbers]
    jax.clear_caches()
    keras.utils.clear_session()
    return results


def plan(modules: Iterable[str], layer: str | None, sample: int | None, seed: int) -> list[tuple[str, list[int]]]:
    """Slices of families: the cases of one layer or of all, of each family a sample or all."""
    slices = []
    for module in modules:
        numbers = [i for i, case in enumerate(cases_of(module)) if layer in (None, case[0])]
        if sample is not None and sample < len(numbers):
            numbers = sorted(random.Random(f"{seed} {module}").sample(numbers, sample))
        slices += [(module, numbers[start : start + SLICE]) for start in range(0, len(numbers), SLICE)]
    return slices


def compare_all(slices: Sequence[tuple[str, list[int]]], jobs: int, dtype: str = "float32") -> list[Result]:
    """All results, in the order of the slices; progress goes to the standard error. One job is this process itself."""
    results: list[Result] = []
    with contextlib.ExitStack() as stack:
        run = map
        if jobs > 1:  # new processes, as JAX has threads, which a fork would lose
            spawn = multiprocessing.get_context("spawn")
            run = stack.enter_context(concurrent.futures.ProcessPoolExecutor(jobs, mp_context=spawn)).map
        for found in run(functools.partial(compare_slice, dtype), *zip(*slices, strict=True)):
            results += found
            failed = sum(result.fault is not None for result in results)
            total = sum(len(numbers) for _, numbers in slices)
            print(f"{len(results):6} of {total}, {failed} not equal", file=sys.stderr)
    return results


def figures(results: Iterable[Result]) -> dict[str, dict[str, Any]]:
    """For each layer: how many cases, how many are equal, the largest relative error, and what failed."""
    found: dict[str, dict[str, Any]] = {}
    for result in sorted(results, key=lambda result: result.layer):
        row = found.setdefault(result.layer, {"cases": 0, "equal": 0, "largest": 0.0, "failures": []})
        row["cases"] += 1
        row["equal"] += result.fault is None
        row["largest"] = float(np.fmax(row["largest"], result.error))
        row["failures"] += [] if result.fault is None else [{"case": result.case, "fault": result.fault}]
    return found


def report(found: dict[str, dict[str, Any]]) -> str:
    """The table of figures, with a total, and below it every case that failed."""
    rows = [[name, f"{r['cases']:,}", f"{r['equal']:,}", f"{r['largest']:.1e}"] for name, r in found.items()]
    totals = [f"{sum(r[column] for r in found.values()):,}" for column in ("cases", "equal")]
    rows.append(["all", *totals, f"{max((r['largest'] for r in found.values()), default=0.0):.1e}"])
    failures = [failure for r in found.values() for failure in r["failures"]]
    notes = [line for f in failures for line in ("", f["case"], *(f"    {part}" for part in f["fault"].splitlines()))]
    columns = ["layer", "cases", "equal", "largest error"]
    return table(f"Layers and Keras {keras.__version__}, JAX {jax.__version__}", columns, rows, notes, columns[1:])


def main(arguments: Sequence[str] | None = None, package: str = "scripts.compare") -> int:
    """Compares what is asked for, prints the table, and says by its result whether all is equal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--family", action="append", help="a file of scripts/compare; again for more; else all")
    parser.add_argument("--layer", help="one layer alone")
    parser.add_argument("--sample", type=int, help="how many cases of each family to draw; else all")
    parser.add_argument("--seed", type=int, default=0, help="which cases are drawn")
    parser.add_argument("--dtype", choices=sorted(TOLERANCES), default="float32", help="what both compute in")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes share the work")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    asked = parser.parse_args(arguments)
    known = families(package)
    if unknown := sorted({*(asked.family or ())} - {*known}):
        parser.error(f"there is no family {', '.join(unknown)}; there are {', '.join(known)}")
    slices = plan([f"{package}.{family}" for family in asked.family or known], asked.layer, asked.sample, asked.seed)
    if not slices:
        parser.error(f"there are no cases of {asked.layer or 'any layer'}")
    found = figures(compare_all(slices, asked.jobs, asked.dtype))
    print(report(found))
    if asked.family is asked.layer is None:
        missing = without_cases(f"{package}.{family}" for family in known)
        print(f"\nWithout cases: {', '.join(missing) or 'none'}.")
    if asked.json:
        versions = {
            "keras": keras.__version__,
            "jax": jax.__version__,
            "dtype": asked.dtype,
            "tolerance": TOLERANCES[asked.dtype],
        }
        asked.json.write_text(json.dumps({**versions, "layers": found}, indent=1) + "\n", encoding="utf-8")
    return int(any(row["failures"] for row in found.values()))


if __name__ == "__main__":
    sys.exit(main())
