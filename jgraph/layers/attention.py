"""Attention: values averaged by how well their keys fit a query; what a mask leaves out has no weight."""

import functools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jgraph.core.layer import Layer
from jgraph.draw.specs import show, show_tree
from jgraph.errors import DTypeError, ShapeError
from jgraph.initializers.initializer import Initializer, check_initializer, draw
from jgraph.keys import fold
from jgraph.layers.checks import check_fraction, check_one_of, check_positive, check_rank, check_width
from jgraph.layers.masking import masks_of, widened
from jgraph.layers.regularization import drop, need_key
from jgraph.typing import Array, Function, Key, Params, PyTree, Spec, State


class _Attention(Layer):
    """Attention of a list [query, value] or [query, value, key], by the scores that a class gives."""

    scores: ClassVar[Function]
    """A method `(params, xs) -> [batch, t, s]`: how well each key fits each query."""
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
        """Scores, then averages."""
        scores = self.scores(params, xs)
        y, weights = attend(self, scores, xs, mask, use_causal_mask, train, key)
        return (y, weights) if return_attention_scores else y, state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """The query's."""
        return masks_of(self, mask, len(inputs[0]))[0]


class Attention(_Attention):
    """Dot-product attention (Luong et al. 2015) of a list [query, value] or [query, value, key].

    `y = softmax(scores) @ value` with `scores = scale * query @ key^T`, or with `score_mode="concat"` `scores =
    concat_score_weight * sum(tanh(scale * (query + key)))`: [batch, t, n] and [batch, s, n] -> [batch, t, n]. The key
    is the value where none is given. The call takes `use_causal_mask=True` (step i sees no step after i) and
    `return_attention_scores=True` (gives y and the weights). `dropout` drops weights. Parameters, numbers: `scale` with
    `use_scale`, `concat_score_weight`. As `keras.layers.Attention`.

    Masked values have no weight, nor have masked keys (Keras reads the value's mask alone); a query that is left with
    nothing gives 0 (Keras: a mean of what is masked); a masked query gives 0. The query's mask goes on.

    Raises:
        ArgumentError: `score_mode` is not known, `dropout` is not in [0, 1), or a mask set by hand is none per input.
        ShapeError: no such list, or sizes that do not go together.
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
        check_fraction("Attention", dropout=self.dropout)

    def init(self, key: Key, xs: Sequence[Spec]) -> tuple[Params, State]:
        """Checks the inputs and makes the scales, which start at one."""
        check_attended(self, xs, same_width=True)
        names = ["scale"] * self.use_scale + ["concat_score_weight"] * (self.score_mode == "concat")
        return {name: draw("ones", key, name, ()) for name in names}, {}

    def scores(self, params: Params, xs: Sequence[Array]) -> Array:
        """Products, or sums through tanh."""
        scale = params.get("scale", 1.0)
        if self.score_mode == "dot":
            return scale * jnp.einsum("btn,bsn->bts", xs[0], xs[-1])
        return params["concat_score_weight"] * jnp.sum(jnp.tanh(scale * pairs(xs)), axis=-1)


class AdditiveAttention(_Attention):
    """Additive attention (Bahdanau et al. 2015) of a list [query, value] or [query, value, key].

    As `Attention`, masks too, with `scores = sum(scale * tanh(query + key))`. Parameters: `scale` [n], with
    `use_scale`. As `keras.layers.AdditiveAttention`.

    Raises:
        ArgumentError: `dropout` is not in [0, 1), or a mask set by hand is none per input.
        ShapeError: no such list, or sizes that do not go together.
        RandomKeyError: applied with `dropout`, `train=True` and no key.

    >>> import jgraph as jg
    >>> query, value = jg.Input((5, 8)), jg.Input((7, 8))
    >>> jg.layers.AdditiveAttention()([query, value])
    <Symbol float32[batch, 5, 8]>
    """

    use_scale: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("AdditiveAttention", dropout=self.dropout)

    def init(self, key: Key, xs: Sequence[Spec]) -> tuple[Params, State]:
        """Checks the inputs and draws the scale (Keras: Glorot's)."""
        check_attended(self, xs, same_width=True)
        return {
            "scale": draw("glorot_uniform", key, "scale", (check_width(self, xs[0]),))
        } if self.use_scale else {}, {}

    def scores(self, params: Params, xs: Sequence[Array]) -> Array:
        """Sums through tanh, weighted."""
        return jnp.sum(params.get("scale", 1.0) * jnp.tanh(pairs(xs)), axis=-1)


class MultiHeadAttention(Layer):
    """Attention in several learned projections at once (Vaswani et al. 2017): of query, value and perhaps key.

    `y = attention_output(softmax(q @ k^T / sqrt(key_dim)) @ v)` with q, k, v projections of query, key and value for
    each head: [batch, t, n], [batch, s, m] -> [batch, t, n], or `output_shape` in place of n. The key is the value
    where none is given; it is the third argument, by position, as `key` is the random one here. The call takes
    `attention_mask`, a symbol or constant of booleans [t, s], [batch, t, s] or [batch, heads, t, s], true where a query
    sees a key; `use_causal_mask=True` (step i sees no step after i); and `return_attention_scores=True` (gives y and
    the weights). `dropout` drops weights. Parameters: `query`, `key`, `value`, each `kernel` [n, heads, dim] and `bias`
    [heads, dim]; `attention_output`, `kernel` [heads, value_dim, n] and `bias` [n]. As
    `keras.layers.MultiHeadAttention`.

    Masked values and keys have no weight, and a query that is left with nothing gives the bias alone (Keras: a mean of
    what is masked). The query's mask goes on; other readers of the inputs find their masks too (Keras takes them off).

    Raises:
        ArgumentError: a size, rate or name is not valid, or a mask set by hand is none per input.
        ShapeError: an input is not [batch, time, features], or sizes do not go together.
        DTypeError: `attention_mask` is not of booleans.
        RandomKeyError: applied with `dropout`, `train=True` and no key.

    >>> import jgraph as jg
    >>> x = jg.Input((5, 8))
    >>> jg.layers.MultiHeadAttention(num_heads=2, key_dim=4)(x, x, use_causal_mask=True)
    <Symbol float32[batch, 5, 8]>
    """

    num_heads: int
    key_dim: int
    value_dim: int | None = None
    dropout: float = 0.0
    use_bias: bool = True
    output_shape: int | tuple[int, ...] | None = None
    kernel_initializer: Initializer = "glorot_uniform"
    bias_initializer: Initializer = "zeros"

    mixes_rows = False

    def __post_init__(self) -> None:
        super().__post_init__()
        where = "MultiHeadAttention"
        optional = {n: v for n in ("value_dim", "output_shape") if (v := getattr(self, n)) is not None}
        check_positive(where, num_heads=self.num_heads, key_dim=self.key_dim, **optional)
        check_fraction(where, dropout=self.dropout)
        check_initializer(where, kernel_initializer=self.kernel_initializer, bias_initializer=self.bias_initializer)

    def init(self, key: Key, query: Spec, value: Spec, keys: Spec | None = None, /) -> tuple[Params, State]:
        """Draws the four projections."""
        xs = [x for x in (query, value, keys) if x is not None]
        check_attended(self, xs, same_width=False)
        out = self.output_shape or check_width(self, query)
        ends = (out,) if isinstance(out, int) else tuple(out)
        head, value_head = (self.num_heads, self.key_dim), (self.num_heads, self.value_dim or self.key_dim)
        parts = {
            "query": ((check_width(self, query),), head),
            "key": ((check_width(self, xs[-1]),), head),
            "value": ((check_width(self, value),), value_head),
            "attention_output": (value_head, ends),
        }
        return {part: projection(self, fold(key, part), *shapes) for part, shapes in parts.items()}, {}

    def apply(
        self,
        params: Params,
        state: State,
        query: Array,
        value: Array,
        keys: Array | None = None,
        /,
        *,
        mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
        train: bool = False,
        key: Key | None = None,
    ) -> tuple[PyTree, State]:
        """Projects, attends in each head, and projects back."""
        xs = [x for x in (query, value, keys) if x is not None]
        q, k, v = (project(params[part], x, 1) for part, x in (("query", query), ("key", xs[-1]), ("value", value)))
        scores = jnp.einsum("btnh,bsnh->bnts", q / math.sqrt(self.key_dim), k)
        asked, *others = masks_of(self, mask, len(xs), beside=1)
        keep = kept(scores, others, use_causal_mask, aligned(self, attention_mask, scores))
        weights = attention_weights(scores, keep, None if asked is None else asked[:, None, :, None])
        heads = jnp.einsum("bnts,bsnh->btnh", dropped(self, weights, train, key), v)
        y = project(params["attention_output"], heads, 2)
        return (y, weights) if return_attention_scores else y, state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """The query's."""
        return masks_of(self, mask, sum(x is not None for x in inputs), beside=1)[0]


def check_attended(layer: Layer, xs: Any, same_width: bool) -> None:
    """Checks query, value and perhaps key: [batch, time, features] each, as many keys as values.

    Raises:
        ShapeError: they are not, or query and key are of different widths where they have to be of one.
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
    if xs[1].shape[1] != xs[-1].shape[1] or (same_width and xs[0].shape[2] != xs[-1].shape[2]):
        raise ShapeError(
            repr(layer),
            expected=f"as many keys as values{', and queries as wide as the keys' * same_width}",
            got=show_tree(list(xs)),
            cure="Give query, value and key in this order; project them to one width with Dense.",
        )


def pairs(xs: Sequence[Array]) -> Array:
    """The sum of every query with every key: [batch, t, s, n]."""
    return xs[0][:, :, None] + xs[-1][:, None]


def attend(
    layer: _Attention,
    scores: Array,
    xs: Sequence[Array],
    mask: Any,
    causal: bool,
    train: bool,
    key: Key | None,
) -> tuple[Array, Array]:
    """The values averaged by scores [batch, t, s], zero for masked queries; and the weights."""
    asked, *others = masks_of(layer, mask, len(xs))
    weights = dropped(layer, attention_weights(scores, kept(scores, others, causal)), train, key)
    y = jnp.einsum("bts,bsn->btn", weights, xs[1])
    return y if asked is None else jnp.where(widened(asked, 3), y, jnp.zeros((), y.dtype)), weights


def kept(scores: Array, masks: Sequence[Array | None], causal: bool, given: Array | None = None) -> Array | None:
    """Which key each query may see, broadcast to the scores [batch, ..., t, s], or `None` for all."""
    middle = [1] * (scores.ndim - 2)
    parts = [m.reshape(m.shape[0], *middle, *m.shape[1:]) for m in masks if m is not None]
    parts += [] if given is None else [given]
    if causal:
        row, column = (jax.lax.broadcasted_iota(jnp.int32, scores.shape[-2:], axis) for axis in (0, 1))
        parts.append(row >= column)
    return functools.reduce(jnp.logical_and, parts) if parts else None


def attention_weights(scores: Array, keep: Array | None, asked: Array | None = None) -> Array:
    """The softmax of scores over the keys that are kept, 0 where there are none; in at least float32.

    A query that is not `asked` weighs all keys alike (Keras' rule).
    """
    wide = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
    for real in (keep, asked):
        wide = wide if real is None else jnp.where(real, wide, jnp.finfo(wide.dtype).min)
    weights = jax.nn.softmax(wide, axis=-1).astype(scores.dtype)
    if keep is None:
        return weights
    return jnp.where(jnp.any(keep, axis=-1, keepdims=True), weights, jnp.zeros((), weights.dtype))


def dropped(layer: Any, weights: Array, train: bool, key: Key | None) -> Array:
    """The weights, with the layer's dropout while training."""
    return drop(weights, layer.dropout, weights.shape, need_key(layer, key)) if train and layer.dropout else weights


def aligned(layer: Layer, given: Any, scores: Array) -> Array | None:
    """A mask [t, s], [batch, t, s] or [batch, heads, t, s] with the axes of the scores [batch, heads, t, s].

    Raises:
        DTypeError: it is not of booleans, whose meaning would be a guess.
        ShapeError: it has other axes.
    """
    if given is None:
        return None
    where, mask = f"{layer!r}, attention_mask", jnp.asarray(given)
    if mask.dtype != jnp.bool_:
        raise DTypeError(where, expected="bool, true where a query sees a key", got=show(mask), cure="Write mask > 0.")
    ends = zip(mask.shape[-2:], scores.shape[-2:], strict=False)
    if not 2 <= mask.ndim <= 4 or not all(size in (1, whole) for size, whole in ends):
        raise ShapeError(
            where,
            expected=f"[queries, keys], with the batch axis and that of the heads in front: {show(scores)}",
            got=show(mask),
            cure="Give it the axes [batch, queries, keys].",
        )
    return mask[:, None] if mask.ndim == 3 else mask


def projection(layer: MultiHeadAttention, key: Key, width: tuple[int, ...], out: tuple[int, ...]) -> Params:
    """The start values of one of the four projections: `kernel` [*width, *out] and `bias` [*out]."""
    params = {"kernel": draw(layer.kernel_initializer, key, "kernel", (*width, *out))}
    return params | ({"bias": draw(layer.bias_initializer, key, "bias", out)} if layer.use_bias else {})


def project(params: Params, x: Array, axes: int) -> Array:
    """`x @ kernel + bias` over the last axes."""
    y = jnp.tensordot(x, params["kernel"], axes)
    return y + params["bias"] if "bias" in params else y
