"""A process that measures cases, one after another, so that a case that hangs or dies takes nothing else with it."""

import importlib
import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import jax

from scripts.benchmark.versions import installed
from scripts.layer_speed.clock import ROUNDS, interleaved
from scripts.layer_speed.family import Case, Family, Work
from scripts.layer_speed.goals import unsure
from scripts.layer_speed.sides import Data, sides
from scripts.machine import machine

AGAIN = 2 * ROUNDS
"""How many rounds more there are where a goal is missed by little."""

Asked = tuple[Case, str, str]
"""A case, a direction, and a mode: `step` or `loop`."""


def by_name(modules: Sequence[str]) -> dict[str, Family]:
    """The families of some modules, each of which has a function `families()`."""
    found = [family for module in modules for family in importlib.import_module(module).families()]
    return {family.name: family for family in found}


def measure(family: Family, asked: Asked, top: dict[str, float]) -> dict[str, Any]:
    """The record of one case: rounds of all sides, and the seconds below which no side can be."""
    case, direction, mode = asked
    record = begun(family, asked)
    try:
        work = family.work(**case.options)
        runs, data, record["same"] = sides(work, direction, loop=mode == "loop")
        flops = work.flops * (1 if direction == "forward" else 3)
        moved = moved_bytes(work, data, direction)
        record |= {"flops": flops, "bytes": moved, "roof": max(flops / top["flops"], moved / top["bytes"])}
        record["rounds"] = interleaved(runs)
        if unsure(record):
            more = interleaved(runs, AGAIN)
            record["rounds"] = {name: [*values, *more[name]] for name, values in record["rounds"].items()}
    except Exception as error:
        record["fault"] = f"{type(error).__name__}: {error}".splitlines()[0]
    jax.clear_caches()
    return record


def moved_bytes(work: Work, data: Data, direction: str) -> int:
    """What is read and written once at least: params, inputs and outputs; with the gradient, those of each too."""
    params, x, c = (sum(leaf.nbytes for leaf in jax.tree.leaves(tree)) for tree in (data.params, data.x, data.c))
    read = c if work.sparse else params
    return read + x + c if direction == "forward" else read + params + 2 * (x + c)


def begun(family: Family, asked: Asked) -> dict[str, Any]:
    """What is known of a record before anything is measured."""
    case, direction, mode = asked
    names = {"case": str(case), "family": case.family, "options": case.options, "direction": direction, "mode": mode}
    return {**names, "slow": family.slow(case.options, direction), "recurrent": family.recurrent}


def serve(connection: Connection, modules: Sequence[str]) -> None:
    """Says what the machine is, then answers every case with its record, until it gets `None`."""
    families = by_name(modules)
    described: dict[str, Any] = machine() | {"versions": installed()}
    connection.send({"machine": described})
    while (asked := connection.recv()) is not None:
        connection.send(measure(families[asked[0].family], asked, described["roofs"]))


class Worker:
    """The process, started anew when it has died or took too long."""

    def __init__(self, modules: Sequence[str]) -> None:
        self.modules, self.families = modules, by_name(modules)
        self.process: Any = None
        self.machine: dict[str, Any] = {}

    def start(self) -> None:
        """Starts it, if it does not run, and hears what the machine is."""
        if self.process is not None:
            return
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.modules), daemon=True)
        self.process.start()
        theirs.close()
        self.machine = self.connection.recv()

    def stop(self) -> None:
        """Ends it."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.connection.close()
            self.process = None

    def measure(self, asked: Asked, patience: float) -> dict[str, Any]:
        """The record of one case, or one that says that it took too long or ended the process."""
        self.start()
        self.connection.send(asked)
        try:
            if self.connection.poll(patience):
                return self.connection.recv()
            fault = f"took longer than {patience:.0f} s"
        except (EOFError, ConnectionError):
            fault = "ended its process"
        self.stop()
        return {**begun(self.families[asked[0].family], asked), "fault": fault}
