"""The machine, in words, and its roofs: what it can compute and move at best."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.storage.places import memory_bytes

SIZE, MEGABYTES, TIMES, AT_ONCE = 2048, 256, 7, 4
"""The size of the matrices and of the array, how many turns are measured, and of how many runs each."""


def machine() -> dict[str, Any]:
    """The processor, the system, the device and its roofs."""
    return {
        "processor": processor(),
        "cores": cores(),
        "memory": memory_bytes(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "device": f"{jax.default_backend()}: {jax.devices()[0].device_kind}",
        "devices": jax.device_count(),
        "roofs": roofs(),
    }


def processor() -> str:
    """The model of the CPU, in the maker's words."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor() or platform.machine()


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fastest(run: Callable[[], Any]) -> float:
    """The seconds of one run, the least of several turns, each of a few runs that are not waited for one by one."""
    jax.block_until_ready(run())
    seconds = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        for _ in range(AT_ONCE - 1):
            run()
        jax.block_until_ready(run())
        seconds.append((time.perf_counter() - begin) / AT_ONCE)
    return min(seconds)


def roofs() -> dict[str, float]:
    """Operations a second of a float32 matrix product, and bytes a second read and written by an addition."""
    square, long = jnp.ones((SIZE, SIZE)), [jnp.ones(MEGABYTES * 2**20 // 4)]
    product, addition = jax.jit(jnp.matmul), jax.jit(lambda array: array + 1, donate_argnums=0)

    def add() -> jax.Array:
        long[0] = addition(long[0])  # in place, so that no new memory is asked of the system
        return long[0]

    seconds = fastest(lambda: product(square, square)), fastest(add)
    return {"flops": 2 * SIZE**3 / seconds[0], "bytes": 2 * long[0].nbytes / seconds[1]}
