"""Training speed of jgraph beside hand-written JAX on Flax, Keras on JAX, PyTorch and Keras on TensorFlow.

    make bench
    make bench BENCH="--models mlp qa --libraries jgraph flax --rounds 5 --seconds 3"
    make bench BENCH="--peers ENVIRONMENT/bin/python --keep scripts/results/NAME.json"

Six models (`scripts/benchmark/drawings.py`), the same shapes, losses, optimizer (Adam, 1e-3) and arrays for all. jgraph
and Keras carry masks in `qa`; Flax and PyTorch take the texts as they are, which have no padding. Every figure comes
from a fresh process (`scripts/benchmark/worker.py` says what it takes), one at a time; the libraries take turns, round
by round, and ratios to jgraph are taken within a round. The table shows medians:

- steps a second, half their range, their ratio to jgraph's, and what part they are of the roof: what the model's
  arithmetic would take at the speed of a matrix product;
- seconds to the end of the first step, and their parts;
- memory: the device's where it has its own, else the most that the process had; how many programs XLA compiled.

A library that is not installed is skipped, which is said; those that live in another environment are found there with
`--peers`. A process that fails or takes too long is reported, and the others go on. `--out` gets `bench.json` after
each round, `bench.svg` and `bench.png` at the end; `--keep` another copy of the figures. The whole takes about a
quarter of an hour on two cores.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scripts.benchmark.libraries import LIBRARIES, Library
from scripts.benchmark.plot import draw
from scripts.benchmark.summary import number, print_model, summaries
from scripts.benchmark.tasks import TASKS

ROOT = Path(__file__).parents[1]


class WorkerError(Exception):
    """A process that did not give what it was to find: the last thing it said."""


class Work(NamedTuple):
    """One model with one library: the Python that has it, and how many batches an epoch has."""

    model: str
    library: str
    python: str
    batches: int


def run(python: str, module: str, *arguments: str, timeout: float, environment: dict[str, str] | None = None) -> Any:
    """What a module of `scripts.benchmark` prints last, as JSON, run by a Python in a process of its own.

    Raises:
        WorkerError: it failed, or took too long.
    """
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2", **(environment or {})}
    command = [python, "-m", f"scripts.benchmark.{module}", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise WorkerError(f"it took more than {timeout:g} seconds") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise WorkerError(said[-1] if said else f"it ended with {done.returncode}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def python_of(library: Library, environments: dict[str, dict[str, str]]) -> str:
    """The Python that has the library, or the first, if none has."""
    having = [python for python, found in environments.items() if all(name in found for name in library.packages)]
    return [*having, *environments][0]


def plan(
    models: Sequence[str],
    libraries: Sequence[str],
    environments: dict[str, dict[str, str]],
    described: dict[str, Any],
) -> tuple[list[Work], dict[str, dict[str, Any]]]:
    """What is to be measured, model by model, and the results so far: why the others are left out."""
    works, results = [], {}
    for model in models:
        step = described["models"][model]["flops"] / described["machine"]["roofs"]["flops"]
        batches, results[model] = TASKS[model].batches_within(step), {}
        for name in [name for name in LIBRARIES if name in libraries]:
            python = python_of(LIBRARIES[name], environments)
            why_not = LIBRARIES[name].why_not(model, batches, environments[python])
            results[model][name] = {"rounds": [], "fault": why_not and f"not measured, as {why_not}"}
            works += [] if why_not else [Work(model, name, python, batches)]
    return works, results


def measure(work: Work, seconds: float, timeout: float) -> Any:
    """One round of one model with one library.

    Raises:
        WorkerError: the process failed, or took too long.
    """
    asked = {"model": work.model, "library": work.library, "batches": work.batches, "seconds": seconds}
    environment = dict(LIBRARIES[work.library].environment)
    return run(work.python, "worker", json.dumps(asked), timeout=timeout, environment=environment)


def measure_all(works: Sequence[Work], results: dict[str, Any], seconds: float, timeout: float, said: str) -> None:
    """One round of all, into the results; what has failed once is not tried again. `said` opens each line."""
    for place, work in enumerate(works, 1):
        into, title = results[work.model][work.library], f"{work.model}, {LIBRARIES[work.library].title}"
        if into["fault"]:
            continue
        try:
            figures = measure(work, seconds, timeout)
            into["rounds"].append(figures)
            found = f"{number(figures['steps_per_second'])} steps/s"
        except WorkerError as error:
            found = into["fault"] = f"failed in {said}: {error}"
        print(f"{said}, {place:2} of {len(works)}   {title}: {found}", file=sys.stderr, flush=True)


def check_devices(results: dict[str, Any], device: str) -> None:
    """Notes where a library computes on something else than JAX does here, as where it knows no such device."""
    for found in results.values():
        for result in found.values():
            for figures in result["rounds"][:1]:
                own = figures["device"].split(":")[0]
                if own != device.split(":")[0]:
                    result["fault"] = result["fault"] or f"it ran on {own}, the others on {device}"


def words_for(machine: dict[str, Any]) -> str:
    """The machine on one line."""
    roofs, memory = machine["roofs"], machine["memory"]
    parts = [machine["processor"], f"{machine['cores']} cores", f"{memory / 2**30:.0f} GiB" if memory else ""]
    parts += [machine["device"] * (not machine["device"].startswith("cpu")), f"Python {machine['python']}"]
    versions = {name: version for found in machine["environments"] for name, version in reversed(found.items())}
    titles = {"jax": "JAX", "flax": "Flax", "keras": "Keras", "torch": "PyTorch", "tensorflow": "TensorFlow"}
    parts += [f"{title} {versions[name]}" for name, title in titles.items() if name in versions]
    measured = f"roofs {roofs['flops'] / 1e9:,.0f} GFLOP/s, {roofs['bytes'] / 1e9:,.1f} GB/s"
    return ", ".join([*filter(None, parts), measured])


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    models, libraries = list(TASKS), list(LIBRARIES)
    parser.add_argument("--models", nargs="+", choices=models, default=models, metavar="MODEL", help=", ".join(models))
    parser.add_argument(
        "--libraries", nargs="+", choices=libraries, default=libraries, metavar="LIBRARY", help=", ".join(libraries)
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=2,
        choices=range(1, 100),
        metavar="N",
        help="fresh processes of each library for each model",
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="for how long a process measures steps")
    parser.add_argument("--timeout", type=float, default=180.0, help="after how many seconds a process is given up")
    parser.add_argument("--peers", metavar="PYTHON", help="another environment's Python, for what is missing in this")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="the folder for figures and plot")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="another copy of the figures, as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures what is asked for, prints and draws it, and says by its result whether nothing has failed."""
    asked = parser().parse_args(arguments)
    pythons = dict.fromkeys([sys.executable, *filter(None, [asked.peers])])
    environments = {python: run(python, "versions", timeout=asked.timeout) for python in pythons}
    described = run(sys.executable, "machine", timeout=asked.timeout)
    machine = described["machine"] | {"environments": list(environments.values())}
    print(words_for(machine), file=sys.stderr, flush=True)

    works, results = plan(asked.models, asked.libraries, environments, described)
    models = {model: described["models"][model] | {"results": results[model]} for model in asked.models}
    figures = {"machine": machine, "rounds": 0, "seconds": asked.seconds, "models": models}
    for turn in range(1, asked.rounds + 1):
        measure_all(works, results, asked.seconds, asked.timeout, f"round {turn}")
        figures["rounds"] = turn
        for model in models.values():
            model["summary"] = summaries(model["results"])
        for file in filter(None, [asked.out / "bench.json", asked.keep]):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")

    check_devices(results, machine["device"])
    for model, found in results.items():
        print_model(model, models[model], found, machine["roofs"]["flops"])
    print(words_for(machine))
    for file in draw(figures, words_for(machine), asked.out / "bench"):
        print(file)
    return int(any("failed" in (result["fault"] or "") for found in results.values() for result in found.values()))


if __name__ == "__main__":
    sys.exit(main())
