"""Checks of values on the host, before anything is compiled: finite numbers, labels and indices in their range."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jgraph.errors import DataError


def check_finite(where: str, array: Any) -> None:
    """Checks that a float array has no NaN and no infinity; one sum tells, and the first bad row is looked for only then.

    Raises:
        DataError: it has; the row is named.
    """
    values = np.asarray(array)
    if not jnp.issubdtype(values.dtype, jnp.floating) or not values.size:
        return
    with np.errstate(all="ignore"):
        if np.isfinite(np.sum(values, dtype=np.float64)):
            return
    bad = np.argwhere(~np.isfinite(values.astype(np.float64)))
    if len(bad):
        raise DataError(
            where,
            expected="finite numbers",
            got=f"{len(bad)} that are not, the first in row {bad[0][0]}",
            cure="Clean the data, or give such rows up.",
        )


def check_range(where: str, array: Any, size: int, what: str) -> None:
    """Checks that integers are in [0, size).

    Raises:
        DataError: one is not; the row is named.
    """
    values = np.asarray(array)
    if values.size and (values.min() < 0 or values.max() >= size):
        bad = np.argwhere((values < 0) | (values >= size))[0]
        raise DataError(
            where,
            expected=f"{what} from 0 to {size - 1}",
            got=f"{values[tuple(bad)]} in row {bad[0]}",
            cure="Renumber them, or draw the model for more.",
        )


def check_weights(where: str, array: Any) -> None:
    """Checks that weights are finite, not negative, and not all zero.

    Raises:
        DataError: they are.
    """
    values = np.asarray(array)
    check_finite(where, values)
    if values.size and (values.min() < 0 or values.max() == 0):
        got = "a negative one" if values.min() < 0 else "zeros alone"
        raise DataError(where, expected="weights that are not negative, some positive", got=got, cure="Mend the weights.")
