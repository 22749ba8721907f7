"""What every test stands on: Keras on JAX as the outside reference, and keys from a fixed seed."""

import os
from collections.abc import Callable

os.environ["KERAS_BACKEND"] = "jax"

import jax
import pytest


@pytest.fixture
def getkey() -> Callable[[], jax.Array]:
    """A function that gives another key at every call, the same ones in every run."""
    keys = iter(jax.random.split(jax.random.key(20240229), 64))
    return lambda: next(keys)
