"""Describes this machine and its roofs, and the models' operations; the last line it prints is all of it, as JSON.

python -m scripts.benchmark.machine
"""

import json
from typing import Any

import jax

import jgraph as jg
from scripts.benchmark import drawings
from scripts.benchmark.arithmetic import operations
from scripts.benchmark.tasks import TASKS
from scripts.machine import machine


def describe() -> dict[str, Any]:
    """The machine, and by model the operations of a step and how many numbers are trained."""
    drawn: dict[str, Any] = {name: getattr(drawings, name)(jg) for name in TASKS}
    models = {
        name: {
            "about": task.about,
            "batch_size": task.batch_size,
            "flops": task.batch_size * operations(drawn[name]),
            "parameters": sum(leaf.size for leaf in jax.tree.leaves(drawn[name].params_spec)),
        }
        for name, task in TASKS.items()
    }
    return {"machine": machine(), "models": models}


if __name__ == "__main__":
    print(json.dumps(describe()))
