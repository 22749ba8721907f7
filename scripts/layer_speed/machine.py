"""The machine, in words, and its roof: what it can compute and move at best."""

import importlib.metadata
import os
import platform
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

SIZE, COPIED, REPEATS = 2048, 2**26, 8
"""The size of the matrices, the numbers of the copy, and how often each is measured."""


def roof() -> dict[str, float]:
    """GFLOP/s of a matrix product, and GB/s read and written by a copy, the best of several."""
    a = jax.random.normal(jax.random.key(0), (SIZE, SIZE))
    product = jax.jit(lambda a: a @ a)
    moved = jax.jit(lambda x: x + 1, donate_argnums=0)
    x = moved(jnp.zeros(COPIED))
    jax.block_until_ready(product(a))
    seconds: dict[str, list[float]] = {"product": [], "copy": []}
    for _ in range(REPEATS):
        begin = time.perf_counter()
        jax.block_until_ready(product(a))
        seconds["product"].append(time.perf_counter() - begin)
        begin = time.perf_counter()
        x = jax.block_until_ready(moved(x))
        seconds["copy"].append(time.perf_counter() - begin)
    return {
        "gflops": 2 * SIZE**3 / min(seconds["product"]) / 1e9,
        "gbs": 2 * 4 * COPIED / min(seconds["copy"]) / 1e9,
    }


def described() -> dict[str, Any]:
    """The processor, the system and the versions."""
    versions = {}
    for name in ("jax", "jaxlib", "flax", "numpy", "torch"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory() / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "device": jax.devices()[0].device_kind,
        "backend": jax.default_backend(),
        "versions": versions,
    }


def processor() -> str:
    """What the processor is called."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def memory() -> int:
    """The bytes of memory, 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
