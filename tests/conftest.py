"""What every test stands on: Keras on JAX as the outside reference, and keys from a fixed seed."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

# What one process of the tests has compiled no other compiles again; JAX_COMPILATION_CACHE_DIR keeps it for later runs.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # the first process, whose children inherit it
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="jgraph-tests-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import jax
import pytest

QUICK = (
    *(f"tests/{part}/" for part in ("layers", "losses", "metrics", "balance", "ops")),
    *(f"tests/test_{name}.py" for name in ("optimizers", "regularizers", "constraints")),
    *(f"tests/laws/test_{name}.py" for name in ("layer_laws", "loss_laws", "metric_laws", "purity")),
    *(f"tests/core/test_{name}.py" for name in ("ends", "functional_api")),
    *(f"tests/train/test_{name}.py" for name in ("many", "precision", "accumulation", "class_weight", "joint", "ema")),
    *(f"tests/train/test_{name}.py" for name in ("step", "policy", "learning_rate")),
)
"""Tests of values, where XLA takes most of the time. What promises bits is not among them."""


@pytest.fixture(autouse=True)
def quick_compilation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Values are the same, within tolerances, without the expensive passes of XLA, and take a third less time."""
    place = request.path.relative_to(Path(__file__).parents[1]).as_posix()
    jax.config.update("jax_disable_most_optimizations", place.startswith(QUICK))
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(autouse=True, scope="module")
def forgetting() -> Iterator[None]:
    """What a file has compiled is let go of behind it; else the thousands of programs of a run take many gigabytes."""
    yield
    jax.clear_caches()


@pytest.fixture
def getkey() -> Callable[[], jax.Array]:
    """A function that gives another key at every call, the same ones in every run."""
    keys = iter(jax.random.split(jax.random.key(20240229), 64))
    return lambda: next(keys)
