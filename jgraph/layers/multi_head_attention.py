"""Attention in several learned projections at once, the heads.

    query -- query, gate --.                              gate (with use_gate)
    key   -- key ----------+-- attention in each head ------- * -- attention_output -- y
    value -- value --------'

Where there are fewer heads of keys and values than of queries, neighbours share one:

    heads of the queries             0 1 2 3 4 5
    theirs, of num_heads=6           0 1 2 3 4 5
    of num_key_value_heads=3         0 0 1 1 2 2
    of num_key_value_heads=1         0 0 0 0 0 0
"""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jgraph.constraints import Constraint
from jgraph.draw.specs import show, show_tree
from jgraph.errors import ArgumentError, DTypeError, ShapeError
from jgraph.initializers.initializer import Initializer, draw
from jgraph.keys import fold
from jgraph.layers.attending import Sight, attend, check_attended, of_keys, seen
from jgraph.layers.checks import check_axes, check_positive, check_width
from jgraph.layers.masking import masks_of, widened
from jgraph.layers.standard import Standard
from jgraph.regularizers import Regularizer
from jgraph.typing import Array, Function, Key, Params, PyTree, Spec, State

DIMENSIONS = {
    "kernel": ("features", "heads", "width"),
    "bias": ("heads", "width"),
    "attention_output/kernel": ("heads", "width", "features"),
    "attention_output/bias": ("features",),
}
"""The names of the dimensions of the params."""


class _Heads(Standard):
    """Attention of query, value and perhaps key in heads, whose numbers and widths a class gives."""

    heads: ClassVar[Function]
    """A method: how many heads there are of queries, and of keys and values; how wide keys are, and values."""
    mixes_rows = False

    def __call__(self, *inputs: Any, mask: Any = None, **options: Any) -> Any:
        """Draws a call; `query`, `value` and `key` are given by their places, or by these names."""
        for name in ("query", "value", "key")[len(inputs) :]:
            if name not in options:
                break
            inputs = (*inputs, options.pop(name))
        return super().__call__(*inputs, mask=mask, **options)

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params."""
        return dict(DIMENSIONS)

    def init(self, key: Key, query: Spec, value: Spec, keys: Spec | None = None, /) -> tuple[Params, State]:
        """Checks the inputs and draws the projections."""
        check_heads(self, query, value, value if keys is None else keys)
        shapes = projected(self, query, value, value if keys is None else keys)
        return {part: projection(self, fold(key, part), *shape) for part, shape in shapes.items()}, {}

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
        xs, axes = (query, value) if keys is None else (query, value, keys), attended_axes(self, query.ndim)
        parts = projections(params, query, value, xs[-1])
        masks = masks_of(self, mask, len(xs), beside=1)
        sight = seen_in_heads(self, xs, masks, attention_mask, use_causal_mask)
        heads = tuple(folded(parts[name], axes, 2) for name in ("query", "key", "value"))
        fit = 1 / math.sqrt(self.heads()[2])
        mean, weights, _ = attend(self, heads, fit, sight, return_attention_scores, train, key)
        mean = unfolded(mean, query, axes)
        y = project(params["attention_output"], mean * parts["gate"] if "gate" in parts else mean, 2)
        return (y, weights.reshape(of_scores(self, query, value))) if return_attention_scores else y, state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """The query's."""
        return masks_of(self, mask, sum(x is not None for x in inputs), beside=1)[0]

    def penalizes(self) -> bool:
        """True where activities are regularized."""
        return getattr(self, "activity_regularizer", None) is not None

    def penalty(self, params: Params, inputs: tuple, outputs: PyTree) -> Array | float:
        """The activity regularizer's, over the outputs of each projection (Keras' rule)."""
        made = projections(params, inputs[0], inputs[1], inputs[-1])
        return super().penalty(params, inputs, [*made.values(), jax.tree.leaves(outputs)[0]])


class MultiHeadAttention(_Heads):
    """Attention in several learned projections at once (Vaswani et al. 2017): of query, value and perhaps key.

    `y = attention_output(gate * softmax(q @ k^T / sqrt(key_dim)) @ v)` with q, k, v projections of query, key and value
    for each head: [batch, t, n], [batch, s, m] -> [batch, t, n], or `output_shape`, a size or several, in place of n.
    `value_dim` is `key_dim` unless given (Keras fails where they differ and no weights are asked for). `dropout` is the
    fraction of weights that is dropped while training. `sliding_window=w` lets a query see the keys less than w steps
    away, on both sides; with `use_causal_mask` those before it. With `use_gate` the gate is `sigmoid(gate(query))`
    (Qiu et al. 2025), else it is 1.

    Inputs may have further axes, [batch, ..., n]: `attention_axes`, an axis or several, are those over which a query
    attends, all but the first and last where `None` is given; along the others each index is by itself. For
    `use_causal_mask` and `sliding_window`, steps of several axes are one sequence, along which the last of these axes
    runs fastest (Keras counts along axis 1 whatever is attended over, or fails).

    The call takes `query`, `value` and, where the key is not the value, `key`, by place or name (`apply` takes the
    three by place, as its `key` is the random one); `attention_mask`, a symbol or constant of booleans [t, s], [batch,
    t, s] or [batch, heads, t, s], true where a query sees a key (with `attention_axes`, t and s are as many axes as
    these, and the other axes stand with the batch axis); `use_causal_mask=True`: step i sees no step after i;
    `return_attention_scores=True`: gives y and the weights [batch, heads, t, s], before dropout; and `mask`, a tuple
    with the mask of each input or `None`, where they carry none.

    What the masks of value and key, `attention_mask`, steps ahead and the window leave out has no weight, and a query
    that is left with nothing gives the bias alone (Keras: the mean of what is left out, but 0 where it computes
    weights). A masked query gives the mean of all values (as Keras, unless it computes weights). The query's mask goes
    on; other readers of the inputs find their masks too (Keras takes them off). Masks of inputs and an
    `attention_mask` with heads go together (Keras takes the batch axis of the ones for the heads of the other).
    `activity_regularizer` is one on the outputs of each projection, as in Keras.

    Parameters: `query`, `key`, `value`, and `gate` with `use_gate`, each `kernel` [n, num_heads, dim] and `bias`
    [num_heads, dim]; `attention_output`, `kernel` [num_heads, value_dim, n] and `bias` [n]; no bias with
    `use_bias=False`. As `keras.layers.MultiHeadAttention`.

    Raises:
        ArgumentError: an argument is not valid, or a mask set by hand is none per input.
        ShapeError: an input is not [batch, ..., features], an axis does not exist, or sizes do not go together.
        DTypeError: `attention_mask` is not of booleans, or an input not of floating-point numbers.
        RandomKeyError: applied with `dropout`, `train=True` and no key.

    >>> import jgraph as jg
    >>> x = jg.Input((5, 8))
    >>> jg.layers.MultiHeadAttention(num_heads=2, key_dim=4)(x, x, use_causal_mask=True)
    <Symbol float32[batch, 5, 8]>
    >>> image = jg.Input((6, 6, 8))
    >>> jg.layers.MultiHeadAttention(2, 4, attention_axes=2)(image, image)  # each row of the image by itself
    <Symbol float32[batch, 6, 6, 8]>
    """

    num_heads: int
    key_dim: int
    value_dim: int | None = None
    dropout: float = 0.0
    use_bias: bool = True
    output_shape: int | tuple[int, ...] | None = None
    attention_axes: int | tuple[int, ...] | None = None
    sliding_window: int | None = None
    kernel_initializer: Initializer = "glorot_uniform"
    bias_initializer: Initializer = "zeros"
    kernel_regularizer: Regularizer = None
    bias_regularizer: Regularizer = None
    activity_regularizer: Regularizer = None
    kernel_constraint: Constraint = None
    bias_constraint: Constraint = None
    use_gate: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output_shape is not None:
            check_positive("MultiHeadAttention", output_shape=self.output_shape)
        if self.attention_axes is not None:
            check_axes("MultiHeadAttention", self.attention_axes, "attention_axes")

    def heads(self) -> tuple[int, int, int, int]:
        """As many of queries as of keys."""
        return self.num_heads, self.num_heads, self.key_dim, self.value_dim or self.key_dim


class GroupQueryAttention(_Heads):
    """Multi-head attention whose heads of queries share heads of keys and values in groups (Ainslie et al. 2023).

    `y = attention_output(gate * softmax(q @ k^T / sqrt(head_dim)) @ v)`: [batch, t, n], [batch, s, m] -> [batch, t, n].
    Each of `num_key_value_heads` serves `num_query_heads / num_key_value_heads` heads of queries; 1 is multi-query
    attention, as many as there are queries' is `MultiHeadAttention`. What `dropout`, `sliding_window` and `use_gate`
    mean, the call's `attention_mask`, `use_causal_mask` and `return_attention_scores`, and the masks are as there.

    Parameters: `query`, and `gate` with `use_gate`, `kernel` [n, num_query_heads, head_dim] and `bias`
    [num_query_heads, head_dim]; `key` and `value`, [m, num_key_value_heads, head_dim] and [num_key_value_heads,
    head_dim]; `attention_output`, `kernel` [num_query_heads, head_dim, n] and `bias` [n]; no bias with
    `use_bias=False`. As `keras.layers.GroupQueryAttention`, but values may be of another width than queries (Keras
    draws no such call).

    Raises:
        ArgumentError: an argument is not valid, `num_key_value_heads` does not divide `num_query_heads`, or a mask set
            by hand is none per input.
        ShapeError: an input is not [batch, time, features], or sizes do not go together.
        DTypeError: `attention_mask` is not of booleans, or an input not of floating-point numbers.
        RandomKeyError: applied with `dropout`, `train=True` and no key.

    >>> import jgraph as jg
    >>> x = jg.Input((5, 8))
    >>> jg.layers.GroupQueryAttention(head_dim=4, num_query_heads=6, num_key_value_heads=3)(x, x)
    <Symbol float32[batch, 5, 8]>
    """

    head_dim: int
    num_query_heads: int
    num_key_value_heads: int
    dropout: float = 0.0
    use_bias: bool = True
    sliding_window: int | None = None
    kernel_initializer: Initializer = "glorot_uniform"
    bias_initializer: Initializer = "zeros"
    kernel_regularizer: Regularizer = None
    bias_regularizer: Regularizer = None
    activity_regularizer: Regularizer = None
    kernel_constraint: Constraint = None
    bias_constraint: Constraint = None
    use_gate: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_query_heads % self.num_key_value_heads:
            raise ArgumentError(
                "GroupQueryAttention, num_key_value_heads",
                expected=f"a number that divides num_query_heads={self.num_query_heads}",
                got=repr(self.num_key_value_heads),
                cure="Let each head of keys serve as many heads of queries: num_query_heads=8, num_key_value_heads=2.",
            )

    def heads(self) -> tuple[int, int, int, int]:
        """Fewer of keys than of queries."""
        return self.num_query_heads, self.num_key_value_heads, self.head_dim, self.head_dim


def check_heads(layer: _Heads, query: Spec, value: Spec, keys: Spec) -> None:
    """Checks that the inputs are of one rank, and alike along the axes that are not attended over.

    Raises:
        ShapeError: they are not, or an axis does not exist.
        DTypeError: one is not of floating-point numbers.
    """
    rank, several = len(query.shape), isinstance(layer, MultiHeadAttention)
    axes = attended_axes(layer, rank)
    if not all(len(x.shape) == rank for x in (value, keys)) or not (rank >= 3 if several else rank == 3):
        raise ShapeError(
            repr(layer),
            expected="[batch, ..., features] of one rank of at least 3"
            if several
            else "rank 3, [batch, time, features]",
            got=show_tree([query, value, keys]),
            cure="Reshape the inputs, so that the axes between the first and the last are steps.",
        )
    if not all(0 < axis < rank - 1 for axis in axes) or len({*axes}) < len(axes):
        raise ShapeError(
            f"{layer!r}, attention_axes",
            expected=f"different axes between the batch axis and the last one of {show(query)}",
            got=repr(axes),
            cure="Name axes of steps, such as (1, 2) of [batch, height, width, features].",
        )
    if any(query.shape[axis] != value.shape[axis] for axis in apart(axes, rank - 1)):
        raise ShapeError(
            repr(layer),
            expected="query and value alike along the axes that are not among attention_axes",
            got=show_tree([query, value]),
            cure="Attend over the axes along which they differ.",
        )
    check_attended(layer, (query, value, keys))


def projected(layer: Any, query: Spec, value: Spec, keys: Spec) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """What the projections of a layer contract, and the axes that they make."""
    queries, served, key_dim, value_dim = layer.heads()
    out = getattr(layer, "output_shape", None) or check_width(layer, query)
    shapes = {
        "query": ((check_width(layer, query),), (queries, key_dim)),
        "key": ((check_width(layer, keys),), (served, key_dim)),
        "value": ((check_width(layer, value),), (served, value_dim)),
        "attention_output": ((queries, value_dim), (out,) if isinstance(out, int) else tuple(out)),
    }
    return shapes | ({"gate": (shapes["query"][0], (queries, value_dim))} if layer.use_gate else {})


def projection(layer: Any, key: Key, width: tuple[int, ...], out: tuple[int, ...]) -> Params:
    """The start values of a projection: `kernel` [*width, *out] and `bias` [*out]."""
    params = {"kernel": draw(layer.kernel_initializer, key, "kernel", (*width, *out))}
    return params | ({"bias": draw(layer.bias_initializer, key, "bias", out)} if layer.use_bias else {})


def project(params: Params, x: Array, axes: int) -> Array:
    """`x @ kernel + bias` over the last axes."""
    y = jnp.tensordot(x, params["kernel"], axes)
    return y + params["bias"] if "bias" in params else y


def projections(params: Params, query: Array, value: Array, keys: Array | None) -> dict[str, Array]:
    """The heads of query, key and value, and the gates if there are any: [..., heads, dim]."""
    given = {"query": query, "key": value if keys is None else keys, "value": value, "gate": query}
    parts = {name: project(params[name], x, 1) for name, x in given.items() if name in params}
    return parts | ({"gate": jax.nn.sigmoid(parts["gate"])} if "gate" in parts else {})


def attended_axes(layer: Any, rank: int) -> tuple[int, ...]:
    """The axes that a layer attends over, counted from the front."""
    axes = getattr(layer, "attention_axes", None)
    if axes is None:
        return tuple(range(1, rank - 1))
    return tuple(axis + rank if axis < 0 else axis for axis in ((axes,) if isinstance(axes, int) else axes))


def apart(axes: tuple[int, ...], rank: int) -> list[int]:
    """The other axes; the batch axis is the first."""
    return [axis for axis in range(rank) if axis not in axes]


def folded(x: Array, axes: tuple[int, ...], behind: int) -> Array:
    """An array with one axis for all steps, one for all else, and those that stand behind: [rows, steps, ...]."""
    rank = x.ndim - behind
    x = jnp.moveaxis(x, axes, range(rank - len(axes), rank))
    first = rank - len(axes)
    return x.reshape(math.prod(x.shape[:first]), math.prod(x.shape[first:rank]), *x.shape[rank:])


def unfolded(y: Array, query: Array, axes: tuple[int, ...]) -> Array:
    """The inverse of `folded`, for an array with the query's steps."""
    others = apart(axes, query.ndim - 1)
    y = y.reshape(*(query.shape[axis] for axis in (*others, *axes)), *y.shape[2:])
    return jnp.moveaxis(y, range(len(others), query.ndim - 1), axes)


def of_scores(layer: Any, query: Array, value: Array) -> tuple[Any, ...]:
    """The shape of the scores: the axes apart, heads, the query's steps, the value's."""
    axes = attended_axes(layer, query.ndim)
    others = [query.shape[axis] for axis in apart(axes, query.ndim - 1)]
    return (*others, layer.heads()[0], *(x.shape[axis] for x in (query, value) for axis in axes))


def seen_in_heads(layer: Any, xs: tuple[Array, ...], masks: list[Any], attention_mask: Any, causal: bool) -> Sight:
    """What the queries see: `seen` of the masks of query, value and perhaps key, and of the one for attention."""
    axes = attended_axes(layer, xs[0].ndim)
    asked, *others = (spread(m, x, axes) for m, x in zip(masks, xs, strict=True))
    steps = tuple(math.prod(x.shape[axis] for axis in axes) for x in xs[:2])
    return seen(
        steps,
        [*map(of_keys, others), aligned(layer, attention_mask, xs[0], xs[1])],
        causal=causal,
        window=layer.sliding_window,
        asked=None if asked is None else asked[:, None, :, None],
    )


def spread(mask: Array | None, x: Array, axes: tuple[int, ...]) -> Array | None:
    """An input's mask, of its first axes, for every step of it: [rows, steps]."""
    return None if mask is None else folded(jnp.broadcast_to(widened(mask, x.ndim - 1), x.shape[:-1]), axes, 0)


def aligned(layer: Any, given: Any, query: Array, value: Array) -> Array | None:
    """A mask [t, s], [batch, t, s] or [batch, heads, t, s] with the axes of folded scores [rows, heads, t, s].

    Raises:
        DTypeError: it is not of booleans, whose meaning would be a guess.
        ShapeError: it has other axes.
    """
    if given is None:
        return None
    where, mask, whole = f"{layer!r}, attention_mask", jnp.asarray(given), of_scores(layer, query, value)
    if mask.dtype != jnp.bool_:
        raise DTypeError(where, expected="bool, true where a query sees a key", got=show(mask), cure="Write mask > 0.")
    count = len(attended_axes(layer, query.ndim))
    front, back = mask.shape[: -2 * count], mask.shape[-2 * count :]
    full = (*front, *[1] * (len(whole) - mask.ndim), *back)
    fits = all(size in (1, wanted) for size, wanted in zip(full, whole, strict=False))
    if mask.ndim < 2 * count or len(full) != len(whole) or not fits:
        scores = show(jax.ShapeDtypeStruct(whole, jnp.bool_))
        raise ShapeError(
            where,
            expected=f"[queries, keys], with the batch axis and that of the heads in front: {scores}",
            got=show(mask),
            cure="Give it the axes [batch, queries, keys].",
        )
    heads = len(whole) - 2 * count - 1
    rows, steps, keys = (math.prod(sizes) for sizes in (whole[:heads], whole[heads + 1 : -count], whole[-count:]))
    mask = jnp.broadcast_to(mask.reshape(full), (*whole[:heads], full[heads], *whole[heads + 1 :]))
    return mask.reshape(rows, full[heads], steps, keys)
