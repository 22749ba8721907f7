"""Checks of values on the host, before anything is compiled: finite numbers, and weights."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.errors import DataError

SUMMED = (np.float32, np.float64)
"""The dtypes whose sums of squares a matrix library takes, at the speed of memory."""


def check_finite(where: str, array: Any, dtype: Any = None, first: int = 0) -> None:
    """Checks that numbers are finite, also in the dtype that they become on the device; a bad row is named.

    `first` is the number of the array's first row, where it is a part of another.

    Raises:
        DataError: one is not.
    """
    values = np.asarray(array)
    if not values.size or values.dtype == np.bool_:
        return
    kind = jax.dtypes.canonicalize_dtype(values.dtype if dtype is None else dtype)
    if jnp.issubdtype(values.dtype, jnp.integer) and np.can_cast(values.dtype, kind):  # as pixels in float32
        return
    if values.dtype == kind and kind in SUMMED and values.flags.c_contiguous:
        flat = values.reshape(-1)
        with np.errstate(all="ignore"):
            if np.isfinite(np.vdot(flat, flat)):  # only where all are; in half the time of finding both ends
                return
    limits = jnp.finfo(kind) if jnp.issubdtype(kind, jnp.floating) else jnp.iinfo(kind)
    with np.errstate(all="ignore"):
        if values.min() >= limits.min and values.max() <= limits.max:  # false for NaN
            return
        bad = np.argwhere(~((values >= limits.min) & (values <= limits.max)))
    raise DataError(
        where,
        expected=f"finite numbers that {kind} can hold",
        got=f"{len(bad)} others, the first in row {first + bad[0][0]}",
        cure="Clean the data, or give such rows up.",
    )


def check_weights(where: str, array: Any, first: int = 0) -> None:
    """Checks that weights are finite and not negative.

    Raises:
        DataError: one is not.
    """
    values = np.asarray(array)
    check_finite(where, values, first=first)
    if values.size and values.min() < 0:
        raise DataError(where, expected="weights that are not negative", got="a negative one", cure="Mend the weights.")
