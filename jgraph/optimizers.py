"""What optax leaves to its users: optimizers by path, what weight decay spares, and gradients clipped one by one."""

import fnmatch
import functools
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jgraph.errors import ArgumentError, PathError, listing, nearest
from jgraph.tree import check_keys, leaves_with_names, name_of
from jgraph.typing import Array, Params, PyTree

REST = "*"
"""The pattern of all that no other one means."""

SPARED = ("bias", "beta", "gamma", "scale", "alpha")
"""How the names of those end that are added or multiplied one by one: biases, norms' and attention's scales, slopes."""


def by_path(optimizers: Mapping[str, Any]) -> optax.GradientTransformationExtraArgs:
    """Several optimizers as one, `{pattern: optimizer}`: each for the params whose paths its pattern means.

    A pattern is a path in which `*` stands for anything, slashes too, `?` for one character and `[ab]` for one of
    these, as in `jg.Policy`. It means the path of a parameter (`"*/bias"`), or that of a layer or nested model with
    everything in it (`"encoder"`, `"encoder/*"`). The pattern `"*"` takes what no other one means. Each optimizer sees
    its own params alone, as if there were no others: a norm that it clips is theirs. Frozen params are seen by none.

    It is `optax.partition` with labels by path, an optimizer like any other. With a rate that the trainer knows, give
    the trainer a function: `jg.Trainer(model, lambda learning_rate: jg.optimizers.by_path({"encoder/*":
    optax.sgd(0.1 * learning_rate), "*": optax.adamw(learning_rate)}), learning_rate=1e-3, ...)`.

    Raises:
        ArgumentError: no dict of optax optimizers by pattern. When a trainer is made of it: PathError, a pattern means
            none of the trained params; ArgumentError, two patterns mean one, or none does.

    >>> import jax, jgraph as jg, optax
    >>> body, head = jg.layers.Dense(3, name="body"), jg.layers.Dense(2, name="head")
    >>> model = jg.Sequential([jg.Input((4,)), body, head])
    >>> optimizer = jg.optimizers.by_path({"body": optax.sgd(1e-3), "*": optax.adamw(1e-3)})
    >>> trainer = jg.Trainer(model, optimizer, loss="mse")
    >>> sorted(trainer.init(jax.random.key(0)).opt_state.inner_states)
    ['*', 'body']
    """
    wrong = not isinstance(optimizers, Mapping) or not all(
        isinstance(pattern, str) and pattern and hasattr(optimizer, "init") and hasattr(optimizer, "update")
        for pattern, optimizer in optimizers.items()
    )
    if wrong or not optimizers:
        cure = "Write jg.optimizers.by_path({'encoder/*': optax.sgd(1e-3), '*': optax.adamw(1e-3)})."
        got = repr(optimizers)[:200]
        raise ArgumentError("by_path", expected="a dict of optax optimizers by pattern", got=got, cure=cure)
    transforms: dict[Hashable, Any] = {**optimizers}
    labels = functools.partial(_labels, tuple(optimizers))
    return optax.partition(transforms, labels, mask_compatible_extra_args=True)


def clip_by_norm(max_norm: float) -> optax.GradientTransformation:
    """Scales each gradient whose norm is greater than `max_norm` down to it: Keras' `clipnorm`, which optax lacks.

    Each parameter has a norm of its own here. `optax.clip(max_value)` is Keras' `clipvalue`, and
    `optax.clip_by_global_norm(max_norm)`, one norm over all of them, its `global_clipnorm`. All three stand before the
    optimizer, in a chain. Norms are taken in at least float32.

    Raises:
        ArgumentError: the norm is not a finite number above 0.

    >>> import jax.numpy as jnp, jgraph as jg, optax
    >>> clip = jg.optimizers.clip_by_norm(1.0)
    >>> clip.update({"a": jnp.array([3.0, 4.0]), "b": jnp.array([0.5])}, clip.init({}))[0]
    {'a': Array([0.6, 0.8], dtype=float32), 'b': Array([0.5], dtype=float32)}
    >>> optimizer = optax.chain(jg.optimizers.clip_by_norm(1.0), optax.adam(1e-3))
    """
    number = isinstance(max_norm, int | float | np.number) and not isinstance(max_norm, bool)
    if not number or not 0 < max_norm < math.inf:
        cure = "Write jg.optimizers.clip_by_norm(1.0)."
        raise ArgumentError("clip_by_norm, max_norm", expected="a finite number above 0", got=repr(max_norm), cure=cure)

    def one(update: Array) -> Array:
        wide = jnp.promote_types(update.dtype, jnp.float32)
        norm = jnp.sqrt(jnp.sum(jnp.square(update.astype(wide))))
        return (update * (max_norm / jnp.maximum(norm, max_norm))).astype(update.dtype)

    return optax.stateless(lambda updates, params: jax.tree.map(one, updates))


def decay_mask(params: Params) -> PyTree:
    """Which params weight decay is for: true for kernels and embeddings, false for biases, norms' scales and slopes.

    True for a leaf of at least two axes, unless its name ends in `bias`, `beta`, `gamma`, `scale` or `alpha`: also
    biases of several axes, as of attention heads, are spared. It is what optax takes as a `mask`, and what Keras'
    users write as `optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])`.

    Raises:
        ArgumentError: a leaf is no array. KeyMismatchError: the keys of a dict are of several kinds.

    >>> import jax, jgraph as jg, optax
    >>> model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(3), jg.layers.LayerNormalization()])
    >>> params, _ = model.init(jax.random.key(0))
    >>> jg.optimizers.decay_mask(params)
    {'dense': {'bias': False, 'kernel': True}, 'layer_normalization': {'beta': False, 'gamma': False}}
    >>> optimizer = optax.adamw(1e-3, weight_decay=0.01, mask=jg.optimizers.decay_mask)
    """
    check_keys(params, "decay_mask, params")

    def one(path: Any, leaf: Any) -> bool:
        if not hasattr(leaf, "shape"):
            cure = "Give a model's params: jg.optimizers.decay_mask(params)."
            raise ArgumentError("decay_mask, params", expected="a tree of arrays", got=repr(leaf)[:80], cure=cure)
        return len(leaf.shape) > 1 and not name_of(path).endswith(SPARED)

    return jax.tree_util.tree_map_with_path(one, params)


def _labels(patterns: Sequence[str], params: PyTree) -> PyTree:
    """The pattern that means each leaf, in the structure of the params."""
    names = [name for name, _ in leaves_with_names(params)]
    meant = {name: [p for p in patterns if p != REST and _means(p, name)] for name in names}
    for pattern in patterns:
        if pattern != REST and not any(pattern in found for found in meant.values()):
            raise PathError(
                f"by_path, the pattern {pattern!r}",
                expected="one that means a parameter that is trained",
                got="one that means none",
                cure=f"{nearest(pattern, _places(names))}Known: {listing(names)}.",
            )
    if several := {name: found for name, found in meant.items() if len(found) > 1}:
        name, found = next(iter(several.items()))
        raise ArgumentError(
            f"by_path, {name!r}",
            expected="one optimizer",
            got=f"those of the patterns {listing(found)}",
            cure="Narrow them, so that no parameter is meant by two; '*' takes what is left.",
        )
    if REST not in patterns and (left := [name for name, found in meant.items() if not found]):
        raise ArgumentError(
            "by_path",
            expected="an optimizer for each parameter that is trained",
            got=f"none for {listing(left)}",
            cure="Add '*' for what is left, such as {'*': optax.adam(1e-3)}, or freeze it: model.freeze(...).",
        )
    labels = [next(iter(found), REST) for found in meant.values()]
    return jax.tree.unflatten(jax.tree.structure(params), labels)


def _means(pattern: str, name: str) -> bool:
    """Whether a pattern means a leaf by its own path, or by that of something that it is in."""
    return any(fnmatch.fnmatchcase(place, pattern) for place in _places([name]))


def _places(names: Sequence[str]) -> list[str]:
    """The paths of leaves and of all that they are in, each once."""
    found: dict[str, None] = {}
    for name in names:
        parts = name.split("/")
        found |= {"/".join(parts[: place + 1]): None for place in range(len(parts))}
    return list(found)
