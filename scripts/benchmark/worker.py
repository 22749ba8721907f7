"""Measures one model with one library, in a process of its own; the last line it prints is what it found, as JSON.

    python -m scripts.benchmark.worker '{"model": "mlp", "library": "jgraph", "batches": 256, "seconds": 2}'

An epoch's end is when its loss is known to the host. Steps per second are those of all epochs that end within the
given time, from the end of the first epoch on, which has compiled, and after a moment of warm-up where epochs are
short. The first step is all that comes before its end: imports, building model and optimizer, tracing and lowering to
XLA's language, compiling, and `run`, what is left of the first epoch when its other steps are taken off at the speed
found later. Where nothing tells tracing and compiling apart, as in TensorFlow, both are part of `run`.
"""

import importlib
import json
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from scripts.benchmark.libraries import LIBRARIES
from scripts.benchmark.tasks import TASKS

WARM_UP = 0.3
"""Seconds after the first epoch in which short epochs are not counted."""

TRACE = ("/jax/core/compile/jaxpr_trace_duration", "/jax/core/compile/jaxpr_to_mlir_module_duration")
COMPILE = ("/jax/core/compile/backend_compile_duration",)

Interval = tuple[float, float]


def covered(intervals: Iterable[Interval]) -> float:
    """The length of the union of intervals, as functions that are traced within others are timed twice.

    >>> covered([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0)])
    4.0
    """
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def counted(ends: Sequence[float], warm_up: float = WARM_UP) -> tuple[int, float]:
    """How many epochs are measured, and their seconds, given when each ended.

    >>> counted([10.0, 10.1, 10.4, 10.6])
    (1, 0.2)
    """
    warm = [end for end in ends[:-1] if end <= ends[0] + warm_up] or [ends[0]]
    after = [end for end in ends if end > ends[0] + warm_up]
    begin = after[0] if len(warm) > 1 and len(after) > 1 else warm[0]
    measured = [end for end in ends if end > begin]
    return len(measured), round(ends[-1] - begin, 9)


class Clock:
    """Notes when epochs end, and whether there is time for another."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.ends = seconds, list[float]()

    def __call__(self) -> bool:
        """An epoch has ended: whether to go on."""
        self.ends.append(time.perf_counter())
        return len(self.ends) < 2 or self.ends[-1] - self.ends[0] < self.seconds + WARM_UP


class Compilations:
    """What JAX says of its tracing, lowering and compiling: when, and how often."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Interval]] = []

    def listen(self) -> None:
        """Listens from now on."""
        import jax

        def note(event: str, duration_secs: float, **kwargs: str | int) -> None:
            del kwargs
            now = time.perf_counter()
            self.spans.append((event, (now - duration_secs, now)))

        jax.monitoring.register_event_duration_secs_listener(note)

    def between(self, begin: float, end: float) -> tuple[float, float, int]:
        """Seconds of tracing and lowering, seconds of compiling, and the number of programs."""
        within = [(event, span) for event, span in self.spans if begin <= span[1] <= end]
        compiled = [span for event, span in within if event in COMPILE]
        both = [span for event, span in within if event in TRACE + COMPILE]
        return covered(both) - covered(compiled), covered(compiled), len(compiled)


def peak_of_process() -> int:
    """The most memory that this process has had, in bytes.

    Linux keeps that of the process which started this one in `ru_maxrss`, so its own count is asked first.
    """
    status = Path("/proc/self/status")
    lines: Iterator[str] = iter(status.read_text(encoding="utf-8").splitlines() if status.exists() else ())
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(model: str, library: str, batches: int, seconds: float) -> dict[str, Any]:
    """All figures of one model with one library."""
    task, side, clock, compilations = TASKS[model], LIBRARIES[library], Clock(seconds), Compilations()
    data = task.data(batches)
    start = time.perf_counter()
    module = importlib.import_module(f"scripts.benchmark.{side.module}")
    imported = time.perf_counter()
    if uses_jax := "jax" in side.packages:
        compilations.listen()
    prepared = module.prepare(model, task, data, **side.options)
    built = time.perf_counter()
    prepared.train(clock)
    epochs, measured = counted(clock.ends)
    first, rate = clock.ends[0], epochs * batches / measured
    early, (trace, compile_, _) = compilations.between(imported, built), compilations.between(imported, first)
    build = built - imported - early[0] - early[1]
    rest = max(0.0, first - built - (trace - early[0]) - (compile_ - early[1]) - (batches - 1) / rate)
    parts = {"import": imported - start, "build": build, "trace": trace, "compile": compile_, "run": rest}
    if not uses_jax:
        parts |= {"trace": None, "compile": None}
    return {
        "steps_per_second": rate,
        "first_step": sum(value for value in parts.values() if value is not None),
        **parts,
        "compilations": compilations.between(imported, clock.ends[-1])[2] if uses_jax else None,
        "process_bytes": peak_of_process(),
        "device_bytes": prepared.peak(),
        "parameters": prepared.parameters,
        "device": prepared.device,
    }


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
