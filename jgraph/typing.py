"""The words that type annotations share, each explained once."""

from collections.abc import Callable
from typing import Any

import jax

Array = jax.Array
"""An array on a device, or a tracer of one."""

Key = jax.Array
"""A typed random key, `jax.random.key(0)`."""

PyTree = Any
"""Any nesting of dicts, lists, tuples and registered nodes around leaves."""

Params = dict[str, Any]
"""The trained arrays: nested dicts with string keys, `params["dense"]["kernel"]`."""

State = dict[str, Any]
"""The arrays that a layer updates itself, such as moving averages: nested like params."""

Spec = jax.ShapeDtypeStruct
"""Shape and dtype of an array that is not there yet; the batch and free axes are symbolic dimensions."""

Shape = tuple[Any, ...]
"""Sizes of axes: integers, `None` for a free axis, or symbolic dimensions."""

Function = Callable[..., Any]
"""A function that users pass in: an activation, an initializer, a JAX operation."""
