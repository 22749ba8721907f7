"""Configurations as plain values: what JSON holds, and the same in every process."""

import dataclasses
import functools
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jgraph.train.configuration import plain

ROOT = Path(__file__).parents[2]


@dataclasses.dataclass
class Own:
    limit: float
    function: Any


class Opaque:
    pass


def shown() -> list[Any]:
    """Values of every kind."""
    return [
        None,
        True,
        3,
        0.1,
        "text",
        math.inf,
        Path("runs") / "x",
        (1, [2.5, None]),
        {"b": 1, "a": (2,)},
        {"x", "y", "z"},
        np.float32(0.5),
        np.bool_(False),
        jnp.asarray(4),
        np.arange(4.0),
        jax.random.key(3),
        math.sqrt,
        np.mean,
        jnp.tanh,
        Own,
        Own(1.0, math.sqrt),
        Opaque(),
        [].append,
        functools.partial(math.pow, 2.0),
        optax.linear_schedule(1.0, 0.0, 5),
        lambda x: x,
    ]


@pytest.mark.parametrize("place", range(len(shown())))
def test_it_survives_json_and_has_no_addresses(place: int) -> None:
    value = plain(shown()[place])
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    assert "0x" not in json.dumps(value)


@pytest.mark.slow
def test_another_process_sees_the_same() -> None:
    code = (
        "import importlib.util, json, sys\n"
        "spec = importlib.util.spec_from_file_location(sys.argv[2], sys.argv[1])\n"
        "module = sys.modules[sys.argv[2]] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(json.dumps(module.plain(module.shown())))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, __file__, __name__]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert json.loads(found.stdout) == plain(shown())


def test_what_differs_differs() -> None:
    values = [json.dumps(plain(value), sort_keys=True) for value in shown()]
    assert len(set(values)) == len(values)
    assert plain(np.arange(3)) != plain(np.array([0, 2, 1]))
    assert plain(functools.partial(math.pow, 2.0)) != plain(functools.partial(math.pow, 3.0))
    assert plain(Own(1.0, math.sqrt)) != plain(Own(2.0, math.sqrt))
    assert plain(math.sqrt) == "math:sqrt"


def test_numbers_are_numbers() -> None:
    assert [plain(x) for x in (np.float64(0.5), np.int32(2), jnp.asarray(True), math.nan)] == [0.5, 2, True, "nan"]
