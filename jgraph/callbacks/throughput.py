"""How fast training goes, and what memory it takes."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from jgraph.callbacks.monitor import check_count, check_number
from jgraph.errors import ArgumentError
from jgraph.train.callback import Callback, Event, Result
from jgraph.train.state import TrainState
from jgraph.typing import PyTree

STATISTICS = {"memory_in_use": "bytes_in_use", "peak_memory": "peak_bytes_in_use"}
"""What JAX calls them."""

RESIDENT = Path("/proc/self/statm")


class Throughput(Callback):
    """Measures steps and examples per second, operations per second, their share of the peak, and memory.

    They are timings: `event.timings` of all callbacks has them at the end of each epoch, and every `every_steps`, so
    `JSONLogger` and `TensorBoard` write them; those of epochs stand in `run.timings`. They are not in the history,
    which is reproducible.

    | timing | what it is |
    |---|---|
    | `steps_per_second` | of the epoch without validation, or since the last look; the first has the compiling in it |
    | `examples_per_second` | that times the batch size, a last batch that is smaller counted as whole |
    | `operations_per_second` | that times `operations`, those of one step: `trainer.lower(batch_size=64).flops` |
    | `utilisation` | its share of `peak`, the operations per second that the device can do, which nobody guesses |
    | `memory_in_use`, `peak_memory` | bytes on the device now, and at most until now |
    | `process_memory` | where the platform says nothing of them (the CPU): the bytes of this process, on Linux |

    `batch_size` has to be given where the data are an iterable. At a step, one dispatch or two may still be under way.

    Raises:
        ArgumentError: an argument is no number above 0, or there is a peak without operations.

    >>> import jgraph as jg
    >>> throughput = jg.callbacks.Throughput(operations=1e9, peak=1e12)
    >>> event = jg.callbacks.Event(step=500, batch_size=64, timings={"seconds": 9.0, "steps_per_second": 100.0})
    >>> dict(throughput.measures(throughput.init(None), event))
    {'steps_per_second': 100.0, 'examples_per_second': 6400.0, 'operations_per_second': 100000000000.0, ...}
    """

    every_steps: int | None = None
    batch_size: int | None = None
    operations: float | None = None
    peak: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for argument in ("every_steps", "batch_size"):
            if getattr(self, argument) is not None:
                check_count("Throughput", argument, getattr(self, argument), least=1)
        for argument in ("operations", "peak"):
            if getattr(self, argument) is not None:
                check_number("Throughput", argument, getattr(self, argument), " above 0", 1e12)
        if self.peak is not None and self.operations is None:
            cure = "Write operations=trainer.lower(batch_size=64).flops."
            raise ArgumentError(
                "Throughput, operations", expected="those of a step, beside a peak", got="none", cure=cure
            )

    def init(self, train_state: TrainState) -> PyTree:
        """Makes the memory: the step and the second of the last look."""
        del train_state
        return {"step": 0, "seconds": 0.0}

    def measures(self, memory: PyTree, event: Event) -> Mapping[str, float]:
        """What is measured since the last look, or of the epoch that is over."""
        steps, seconds = event.step - memory["step"], event.timings["seconds"] - memory["seconds"]
        rate = event.timings.get("steps_per_second", steps / seconds if seconds > 0 else 0.0)
        size = self.batch_size or event.batch_size
        found = {"steps_per_second": rate}
        if size is not None:
            found["examples_per_second"] = rate * size
        if self.operations is not None:
            found["operations_per_second"] = rate * self.operations
            if self.peak is not None:
                found["utilisation"] = rate * self.operations / self.peak
        return {**found, **_memory(event.train_state)}

    def on_train_begin(self, memory: PyTree, event: Event) -> Result:
        """Looks at the clock, which begins anew with each `fit`."""
        return _looked(memory, event)

    def on_epoch_begin(self, memory: PyTree, event: Event) -> Result:
        """Looks at the clock: what was between two epochs does not count."""
        return _looked(memory, event)

    def on_step_end(self, memory: PyTree, event: Event) -> Result:
        """Looks at the clock."""
        return _looked(memory, event)


def _looked(memory: PyTree, event: Event) -> Result:
    del memory
    return {"step": event.step, "seconds": float(event.timings["seconds"])}, []


def _memory(train_state: Any) -> dict[str, float]:
    """The bytes in use, of the device that holds the train state; where it does not say, of the process."""
    devices = [device for leaf in jax.tree.leaves(train_state)[:1] for device in leaf.devices()]
    known = (devices[0].memory_stats() if devices else None) or {}
    found = {name: float(known[own]) for name, own in STATISTICS.items() if own in known}
    if not found and RESIDENT.exists():
        found["process_memory"] = float(RESIDENT.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return found
