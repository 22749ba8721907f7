"""Configurations as plain values, equal in every process: how a run that goes on knows its callbacks again."""

import dataclasses
import functools
import math
import os
import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.data.fingerprint import fingerprint

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
"""What the default `repr` says of an object's place in memory, which is another one in every process."""


def plain(value: Any) -> Any:
    """A value as what JSON can hold: numbers, texts, lists and dicts.

    Functions and classes become `module:name`, paths texts, arrays a hash of their values, and anything else its `repr`
    without addresses. Numbers that are not finite become texts, as JSON has none.

    >>> import math
    >>> plain({"function": math.sqrt, "limit": math.inf, "shape": (2, 3)})
    {'function': 'math:sqrt', 'limit': 'inf', 'shape': [2, 3]}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _plain_array(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=repr)
    return _plain_object(value)


def plain_fields(value: Any) -> dict[str, Any]:
    """A dataclass as a dict of its class and its fields."""
    fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return {"class": named(type(value)), **fields}


def named(value: Any) -> str:
    """A function or class as `module:name`."""
    return f"{value.__module__}:{value.__qualname__}"


def _plain_array(array: Any) -> Any:
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    simple = (
        array.dtype == bool or jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)
    )
    if array.ndim == 0 and simple:
        return plain(array.item())
    return f"{array.dtype}{list(array.shape)} {fingerprint(array)}"


def _plain_object(value: Any) -> Any:
    if isinstance(value, functools.partial):
        return {"partial": plain(value.func), "args": plain(value.args), "keywords": plain(value.keywords)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain_fields(value)
    if isinstance(getattr(value, "__module__", None), str) and isinstance(getattr(value, "__qualname__", None), str):
        return named(value)
    return f"{named(type(value))} {ADDRESS.sub('', repr(value))}"
