"""Random keys as functions of words: a key for every path, the same whatever stands beside it."""

import functools
import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.errors import ArgumentError
from jgraph.typing import Array, Key


def fold(key: Key, *words: str | int) -> Key:
    """Folds words, such as a node's path and the number of its call, into a key.

    A hash of 64 bits is folded in two halves, so that two paths of one model do not meet by chance.

    >>> import jax
    >>> a, b = fold(jax.random.key(0), "dense"), fold(jax.random.key(0), "dense_1")
    >>> bool((jax.random.key_data(a) == jax.random.key_data(b)).all())
    False

    Raises:
        ArgumentError: what is given is no single key.
    """
    check_key(key)
    digest = hashlib.blake2s("\0".join(map(str, words)).encode(), digest_size=8).digest()
    return _fold(key, np.frombuffer(digest, ">u4").astype(np.uint32))


@functools.partial(jax.jit, inline=True)
def _fold(key: Key, halves: Array | np.ndarray) -> Key:
    """One small program: a key is folded for every leaf that is drawn."""
    return jax.random.fold_in(jax.random.fold_in(key, halves[0]), halves[1])


def check_key(key: Any) -> None:
    """Checks that something is one random key.

    Raises:
        ArgumentError: it is not.
    """
    dtype, rank = getattr(key, "dtype", None), len(getattr(key, "shape", ()))
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key) and rank == 0
    if not typed and not (dtype == jnp.uint32 and rank == 1):  # the second is a key of jax.random.PRNGKey
        got = type(key).__name__ if dtype is None else f"{dtype} of shape {key.shape}"
        raise ArgumentError("key", expected="a single key", got=got, cure="Write jax.random.key(0).")
