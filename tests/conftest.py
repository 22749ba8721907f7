"""What every test stands on: Keras on JAX as the outside reference, and keys from a fixed seed."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

import jax
import pytest

QUICK = ("tests/layers/", "tests/laws/test_layer_laws.py")
"""Tests of values, where XLA takes most of the time. What promises bits is not among them."""


@pytest.fixture(autouse=True)
def quick_compilation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Values are the same, within tolerances, without the expensive passes of XLA, and take a third less time."""
    place = request.path.relative_to(Path(__file__).parents[1]).as_posix()
    jax.config.update("jax_disable_most_optimizations", place.startswith(QUICK))
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def getkey() -> Callable[[], jax.Array]:
    """A function that gives another key at every call, the same ones in every run."""
    keys = iter(jax.random.split(jax.random.key(20240229), 64))
    return lambda: next(keys)
