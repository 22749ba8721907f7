"""What all layers of attention share: what a query sees, how it weighs that, and the mean of the values.

Where no weights are asked for and none are dropped, the mean is taken by `jax.nn.dot_product_attention`, whose kernel
is chosen per platform; the other way agrees with it to rounding. What a mask leaves out has no weight, and a query that
sees nothing has the mean 0.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jgraph.draw.specs import show, show_tree
from jgraph.errors import DTypeError, ShapeError
from jgraph.layers.regularization import drop, need_key
from jgraph.typing import Array, Key, Spec


def check_attended(layer: Any, xs: Sequence[Spec]) -> None:
    """Checks that there is a key for each value, and that all are numbers that have a mean.

    Raises:
        ShapeError: there is not.
        DTypeError: one is not of floating-point numbers.
    """
    if xs[1].shape[:-1] != xs[-1].shape[:-1]:
        raise ShapeError(
            repr(layer),
            expected="as many keys as values",
            got=show_tree(list(xs)),
            cure="Give query, value and key in this order; name free axes that are one alike: Input(('s', 8)).",
        )
    wrong = next((x for x in xs if not jnp.issubdtype(x.dtype, jnp.floating)), None)
    if wrong is not None:
        raise DTypeError(
            repr(layer), expected="floating-point numbers", got=show(wrong), cure="Embed or cast it first."
        )


class Sight(NamedTuple):
    """What queries see: `keep`, broadcast to [batch, heads, t, s], is true where one sees a key; `None` is all of them.

    `causal` says in place of `keep` that a query sees no key after it. A query that is not `asked` [batch, 1, t, 1]
    weighs all keys alike, as in Keras.
    """

    keep: Array | None = None
    causal: bool = False
    asked: Array | None = None


def seen(
    steps: tuple[Any, ...],
    masks: Sequence[Array | None],
    *,
    causal: bool = False,
    window: int | None = None,
    asked: Array | None = None,
) -> Sight:
    """What t queries see of s keys: what all masks [batch, heads, t, s] leave, and what is near and not after them."""
    parts = [m for m in masks if m is not None]
    if window is not None:
        row, column = places(steps)
        parts.append(jnp.abs(row - column) < window)
    if causal and parts:
        parts.append(not_after(steps))
    return Sight(functools.reduce(jnp.logical_and, parts) if parts else None, causal and not parts, asked)


def of_keys(mask: Array | None) -> Array | None:
    """A mask [batch, s] with the axes of scores."""
    return None if mask is None else mask[:, None, None, :]


def places(steps: tuple[Any, ...]) -> tuple[Array, Array]:
    """The numbers of queries and of keys, along the axes of scores [1, 1, t, s]."""
    shape = (1, 1, *steps)
    return jax.lax.broadcasted_iota(jnp.int32, shape, 2), jax.lax.broadcasted_iota(jnp.int32, shape, 3)


def not_after(steps: tuple[Any, ...]) -> Array:
    """True where a key stands not after the query: [1, 1, t, s]."""
    row, column = places(steps)
    return row >= column


def attend(
    layer: Any,
    heads: tuple[Array, ...],
    fit: Any,
    sight: Sight,
    wanted: bool,
    train: bool,
    key: Key | None,
) -> tuple[Array, Any, Any]:
    """Values averaged over what is seen; and, where `wanted`, the weights [batch, h, t, s] before and after dropout.

    Queries [batch, t, h, n], keys [batch, s, g, n] and values [batch, s, g, m], where each of g heads serves h / g
    heads of queries -> [batch, t, h, m]. The fit is scores [batch, t, s], or the factor of `query @ key^T`.
    """
    q, k, v = heads
    drops = train and layer.dropout > 0
    narrow = k.shape[-1] == v.shape[-1] and wide(q) == jnp.float32  # that function's softmax is one of float32
    if narrow and jnp.ndim(fit) == 0 and not (wanted or drops):
        parts = [m for m in (sight.keep, sight.asked) if m is not None]
        mask = functools.reduce(jnp.logical_and, parts) if parts else None
        y = jax.nn.dot_product_attention(q, k, v, mask=mask, scale=fit, is_causal=sight.causal)
        return y if sight.keep is None else jnp.where(any_kept(sight.keep), y, jnp.zeros((), y.dtype)), None, None
    scores = products(q, k) * jnp.asarray(fit, wide(q)) if jnp.ndim(fit) == 0 else fit[:, None]
    weights = weigh(scores.astype(wide(q)), sight).astype(q.dtype)
    left = drop(weights, layer.dropout, weights.shape, need_key(layer, key)) if drops else weights
    return averages(left, v), weights, left


def wide(x: Array) -> Any:
    """The dtype that scores and weights are computed in: float32, or what is wider."""
    return jnp.promote_types(x.dtype, jnp.float32)


def products(q: Array, k: Array) -> Array:
    """`query @ key^T` for each head of the queries: [batch, h, t, s]."""
    batch, steps, heads, width = q.shape
    grouped = q.reshape(batch, steps, k.shape[2], heads // k.shape[2], width)
    scores = jnp.einsum("btghn,bsgn->bghts", grouped, k, preferred_element_type=wide(q))
    return scores.reshape(batch, heads, steps, k.shape[1])


def averages(weights: Array, v: Array) -> Array:
    """`weights @ value` for each head of the queries: [batch, t, h, m]."""
    batch, heads, steps, keys = weights.shape
    grouped = weights.reshape(batch, v.shape[2], heads // v.shape[2], steps, keys)
    return jnp.einsum("bghts,bsgm->btghm", grouped, v).reshape(batch, steps, heads, v.shape[-1])


def weigh(scores: Array, sight: Sight) -> Array:
    """The softmax of scores [batch, h, t, s] over the keys that are seen, 0 where there are none."""
    keep = not_after(scores.shape[2:]) if sight.causal else sight.keep
    for real in (keep, sight.asked):
        scores = scores if real is None else jnp.where(real, scores, jnp.finfo(scores.dtype).min)
    weights = jax.nn.softmax(scores, axis=-1)
    if sight.keep is None:
        return weights
    return jnp.where(jnp.any(sight.keep, axis=-1, keepdims=True), weights, jnp.zeros((), weights.dtype))


def any_kept(keep: Array) -> Array:
    """Whether a query sees anything, along the axes of the mean: [batch, t, h, 1]."""
    return jnp.swapaxes(jnp.any(keep, axis=-1), 1, 2)[..., None]
