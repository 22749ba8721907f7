"""The layers of attention over one list: a query, the values, and perhaps keys that are not the values.

    query [batch, t, n] --.
                          +-- scores [batch, t, s] -- softmax over the keys that are seen --.
    key   [batch, s, n] --'                                                                 +-- y [batch, t, m]
    value [batch, s, m] --------------------------------------------------------------------'

Which keys (across) a query (down) sees, where the fourth one is masked:

    the mask alone    use_causal_mask=True    sliding_window=2    both
      x x x . x             x . . . .             x x . . .       x . . . .
      x x x . x             x x . . .             x x x . .       x x . . .
      x x x . x             x x x . .             . x x . .       . x x . .
      x x x . x             x x x . .             . . x . x       . . x . .
      x x x . x             x x x . x             . . . . x       . . . . x

Where no weights are asked for and none are dropped, products are averaged by `jax.nn.dot_product_attention`, whose
kernel is chosen per platform; the other way agrees with it to rounding.
"""

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp

from jgraph.draw.specs import show_tree
from jgraph.errors import ShapeError, check_one_of
from jgraph.initializers.initializer import draw
from jgraph.layers.attending import attend, check_attended, of_keys, seen
from jgraph.layers.checks import check_rank, check_width
from jgraph.layers.masking import masks_of, widened
from jgraph.layers.standard import Standard
from jgraph.typing import Array, Function, Key, Params, PyTree, Spec, State


class _Attention(Standard):
    """Attention of a list [query, value] or [query, value, key], by the fit that a class gives."""

    fit: ClassVar[Function]
    """A method `(params, query, key)`: the scores [batch, t, s], or the number by which to multiply products."""
    mixes_rows = False

    def apply(
        self,
        params: Params,
        state: State,
        xs: Sequence[Array],
        *,
        mask: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
        train: bool = False,
        key: Key | None = None,
    ) -> tuple[PyTree, State]:
        """Fits keys to queries, then averages."""
        asked, *masks = masks_of(self, mask, len(xs))
        dtype = functools.reduce(jnp.promote_types, (x.dtype for x in xs))
        q, v, k = (x.astype(dtype) for x in (xs[0], xs[1], xs[-1]))
        sight = seen((q.shape[1], k.shape[1]), [of_keys(m) for m in masks], causal=use_causal_mask)
        heads = tuple(x[:, :, None] for x in (q, k, v))  # one
        y, _, weights = attend(self, heads, self.fit(params, q, k), sight, return_attention_scores, train, key)
        y = y[:, :, 0] if asked is None else jnp.where(widened(asked, 3), y[:, :, 0], jnp.zeros((), y.dtype))
        return (y, weights[:, 0]) if return_attention_scores else y, state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """The query's."""
        return masks_of(self, mask, len(inputs[0]))[0]


class Attention(_Attention):
    """Dot-product attention (Luong et al. 2015) of a list [query, value] or [query, value, key].

    `y = softmax(scores) @ value` with `scores = scale * query @ key^T`: queries [batch, t, n], keys [batch, s, n] and
    values [batch, s, m] -> [batch, t, m]. The key is the value where none is given. With `score_mode="concat"` the
    scores are `concat_score_weight * sum(tanh(scale * (query + key)))` over n. `dropout` is the fraction of weights
    that is dropped while training. Parameters, numbers: `scale` with `use_scale`, else it is 1; `concat_score_weight`
    with that mode. As `keras.layers.Attention`.

    The call takes the list; `mask`, a tuple with the mask [batch, time] of each or `None`, where they carry none;
    `use_causal_mask=True`: step i of the query sees no key after step i; and `return_attention_scores=True`: gives y
    and the weights [batch, t, s], after dropout.

    Masked values have no weight, nor have masked keys (Keras reads the value's mask alone); a query that is left with
    nothing gives 0 (Keras: a mean of what is masked); a masked query gives 0. The query's mask goes on.

    Raises:
        ArgumentError: an argument is not valid, or a mask set by hand is none per input.
        ShapeError: no such list, or sizes that do not go together.
        DTypeError: an input is not of floating-point numbers.
        RandomKeyError: applied with `dropout`, `train=True` and no key.

    >>> import jgraph as jg
    >>> query, value = jg.Input((5, 8)), jg.Input((7, 8))
    >>> jg.layers.Attention()([query, value])
    <Symbol float32[batch, 5, 8]>
    """

    use_scale: bool = False
    score_mode: str = "dot"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_one_of("Attention", "score_mode", self.score_mode, ("dot", "concat"))

    def init(self, key: Key, xs: Sequence[Spec]) -> tuple[Params, State]:
        """Checks the inputs and makes the scales, which start at one."""
        check_list(self, xs)
        names = ["scale"] * self.use_scale + ["concat_score_weight"] * (self.score_mode == "concat")
        return {name: draw("ones", key, name, ()) for name in names}, {}

    def fit(self, params: Params, query: Array, key: Array) -> Array:
        """The factor of products, or sums through tanh."""
        scale = params.get("scale", jnp.ones((), query.dtype))
        if self.score_mode == "dot":
            return scale
        return params["concat_score_weight"] * jnp.sum(jnp.tanh(scale * pairs(query, key)), axis=-1)


class AdditiveAttention(_Attention):
    """Additive attention (Bahdanau et al. 2015) of a list [query, value] or [query, value, key].

    As `Attention`, masks and the call's `use_causal_mask` and `return_attention_scores` too, with
    `scores = sum(scale * tanh(query + key))` over the features. Parameters: `scale` [n], with `use_scale`, else it is
    1. As `keras.layers.AdditiveAttention`.

    Raises:
        ArgumentError: an argument is not valid, or a mask set by hand is none per input.
        ShapeError: no such list, or sizes that do not go together.
        DTypeError: an input is not of floating-point numbers.
        RandomKeyError: applied with `dropout`, `train=True` and no key.

    >>> import jgraph as jg
    >>> query, value = jg.Input((5, 8)), jg.Input((7, 8))
    >>> jg.layers.AdditiveAttention()([query, value])
    <Symbol float32[batch, 5, 8]>
    """

    use_scale: bool = True
    dropout: float = 0.0

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params."""
        return {"scale": ("features",)}

    def init(self, key: Key, xs: Sequence[Spec]) -> tuple[Params, State]:
        """Checks the inputs and draws the scale (Keras: Glorot's)."""
        check_list(self, xs)
        if not self.use_scale:
            return {}, {}
        return {"scale": draw("glorot_uniform", key, "scale", (check_width(self, xs[0]),))}, {}

    def fit(self, params: Params, query: Array, key: Array) -> Array:
        """Sums through tanh, weighted."""
        terms = jnp.tanh(pairs(query, key))
        return jnp.sum(params["scale"] * terms if self.use_scale else terms, axis=-1)


def check_list(layer: Any, xs: Any) -> None:
    """Checks a list of query, value and perhaps key: [batch, time, features] each, queries as wide as keys.

    Raises:
        ShapeError: it is none.
        DTypeError: one is not of floating-point numbers.
    """
    if not isinstance(xs, (list, tuple)) or not 2 <= len(xs) <= 3:
        raise ShapeError(
            repr(layer),
            expected="a list of two or three tensors",
            got=show_tree(xs),
            cure="Give it [query, value] or [query, value, key].",
        )
    for x in xs:
        check_rank(layer, x, 3, "[batch, time, features]")
    check_attended(layer, xs)
    if xs[0].shape[2] != xs[-1].shape[2]:
        raise ShapeError(
            repr(layer),
            expected="queries as wide as the keys",
            got=show_tree(list(xs)),
            cure="Give query, value and key in this order; project them to one width with Dense.",
        )


def pairs(query: Array, key: Array) -> Array:
    """The sum of every query with every key: [batch, t, s, n]."""
    return query[:, :, None] + key[:, None]
