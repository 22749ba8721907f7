"""Random keys as functions of words: a key for every path, the same whatever stands beside it."""

import hashlib

import jax

from jgraph.typing import Key


def fold(key: Key, *words: str | int) -> Key:
    """Folds words, such as a node's path and the number of its call, into a key.

    A hash of 64 bits is folded in two halves, so that two paths of one model do not meet by chance.

    >>> import jax
    >>> a, b = fold(jax.random.key(0), "dense"), fold(jax.random.key(0), "dense_1")
    >>> bool((jax.random.key_data(a) == jax.random.key_data(b)).all())
    False
    """
    digest = hashlib.blake2s("\0".join(map(str, words)).encode(), digest_size=8).digest()
    high, low = int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big")
    return jax.random.fold_in(jax.random.fold_in(key, high), low)
