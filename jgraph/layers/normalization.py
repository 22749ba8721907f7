"""Normalisation within a row: over its features, groups of channels, or any of its axes; never over the batch.

    one row [time, channels]:   LayerNormalization()      LayerNormalization((1, 2))   GroupNormalization(2)

                                a a a a                   a a a a                      a a b b
                                b b b b                   a a a a                      a a b b
                                c c c c                   a a a a                      a a b b

Entries with one letter share a mean and a variance.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.constraints import Constraint
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, ShapeError
from jgraph.initializers.initializer import Initializer, draw
from jgraph.layers.checks import check_axes, check_axis, check_positive, check_widths, is_integer
from jgraph.layers.standard import Standard
from jgraph.regularizers import Regularizer
from jgraph.typing import Array, Key, Params, Spec, State


class LayerNormalization(Standard):
    """`y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, the statistics over `axis`, of the same shape.

    `axis` is one axis or several; each row and every entry of the axes left out has a mean and a (biased) variance of
    its own. Without `scale` there is no `gamma`, without `center` no `beta`. Computed in at least float32. A mask is
    passed on. What Keras' old `rms_scaling` was meant for is `RMSNormalization`.

    Parameters: `gamma`, `beta` of the sizes of the axes, in ascending order of the numbers given. As
    `keras.layers.LayerNormalization` (Ba et al. 2016).

    Raises:
        ArgumentError: `axis` is no axis or axes beside the batch axis, or `epsilon` not positive.
        ShapeError: an axis is free, missing, or named twice.

    >>> import jgraph as jg
    >>> jg.layers.LayerNormalization()(jg.Input((10, 8)))
    <Symbol float32[batch, 10, 8]>
    """

    axis: int | Sequence[int] = -1
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: Initializer = "zeros"
    gamma_initializer: Initializer = "ones"
    beta_regularizer: Regularizer = None
    gamma_regularizer: Regularizer = None
    beta_constraint: Constraint = None
    gamma_constraint: Constraint = None

    mixes_rows = False
    logits = "always"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_axes("LayerNormalization", self.axis)

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params."""
        return {"gamma": ("features",), "beta": ("features",)}

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Makes scale and offset."""
        return draw_affine(self, key, check_widths(self, x, self.axis)), {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Normalises each row."""
        del train, key
        wide, axes = widen(x), places(self.axis, x.ndim)
        away = wide - jnp.mean(wide, axes, keepdims=True)
        gamma, beta = (spread(params.get(n, v), x, axes) for n, v in (("gamma", 1.0), ("beta", 0.0)))
        # one factor, as in `standardized`, would be a factor, and where XLA fuses it a root, for each number
        y = away * jax.lax.rsqrt(power(away, axes) + self.epsilon) * gamma + beta
        return narrow(y, x), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Rows and steps stay where they are."""
        return mask


class GroupNormalization(Standard):
    """`y = gamma * (x - mean) / sqrt(variance + epsilon) + beta` in groups of neighbours along `axis`, the channels.

    A row has a mean and a (biased) variance for each group, over all its other axes too; `gamma` and `beta` are per
    channel. `groups=-1` is one group for each channel (instance normalisation), `groups=1` one for the row. Without
    `scale` there is no `gamma`, without `center` no `beta`. Computed in at least float32. A mask is passed on; masked
    steps count in the statistics (Keras' rule).

    Parameters: `gamma`, `beta` [channels]. As `keras.layers.GroupNormalization` (Wu and He 2018).

    Raises:
        ArgumentError: `groups` is no positive integer or -1, `axis` the batch axis, or `epsilon` not positive.
        ShapeError: the axis is free or missing, or the groups do not divide it.

    >>> import jgraph as jg
    >>> jg.layers.GroupNormalization(groups=4)(jg.Input((28, 28, 8)))
    <Symbol float32[batch, 28, 28, 8]>
    """

    groups: int = 32
    axis: int = -1
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: Initializer = "zeros"
    gamma_initializer: Initializer = "ones"
    beta_regularizer: Regularizer = None
    gamma_regularizer: Regularizer = None
    beta_constraint: Constraint = None
    gamma_constraint: Constraint = None

    mixes_rows = False
    logits = "always"
    checks_itself = ("groups",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_axis("GroupNormalization", self.axis)
        if not (is_integer(self.groups) and self.groups == -1):
            check_positive("GroupNormalization", groups=self.groups)
        elif not isinstance(self.groups, int):
            raise ArgumentError(
                "GroupNormalization, groups",
                expected="a positive integer, or -1",
                got=repr(self.groups),
                cure="Write groups=-1 for one group a channel.",
            )

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params."""
        return {"gamma": ("features",), "beta": ("features",)}

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks that the groups divide the channels; makes scale and offset."""
        (size,) = check_widths(self, x, self.axis)
        if self.groups > 0 and size % self.groups:
            raise ShapeError(
                repr(self),
                expected=f"channels that {self.groups} groups divide",
                got=f"{size}: {show(x)}",
                cure="Give groups a divisor of the channels, or -1 for one group each.",
            )
        return draw_affine(self, key, (size,)), {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Normalises each group of each row."""
        del train, key
        wide, at = widen(x), self.axis % x.ndim
        axes = tuple(a for a in range(1, x.ndim) if a != at)
        groups = self.groups if self.groups > 0 else x.shape[at]
        mean = shared(jnp.mean(wide, axes, keepdims=True), at, groups)
        variance = shared(power(wide - mean, axes), at, groups)
        gamma, beta = (spread(params.get(n, v), x, (at,)) for n, v in (("gamma", 1.0), ("beta", 0.0)))
        return narrow(standardized(wide, mean, variance, gamma, beta, epsilon=self.epsilon), x), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Rows and steps stay where they are."""
        return mask


class RMSNormalization(Standard):
    """`y = scale * x / sqrt(mean(x ** 2) + epsilon)`, the mean over `axis`, one axis or several, of the same shape.

    Computed in at least float32. Keras lines `scale` up with the last axes whatever `axis` is, which fails or scales
    others than it normalises; here it lies along `axis`. A mask is passed on (Keras' layer warns that it destroys it,
    though every step stays where it is).

    Parameters: `scale` of the sizes of the axes, in ascending order of the numbers given. As
    `keras.layers.RMSNormalization` (Zhang and Sennrich 2019).

    Raises:
        ArgumentError: `axis` is no axis or axes beside the batch axis, or `epsilon` not positive.
        ShapeError: an axis is free, missing, or named twice.

    >>> import jgraph as jg
    >>> jg.layers.RMSNormalization()(jg.Input((10, 8)))
    <Symbol float32[batch, 10, 8]>
    """

    axis: int | Sequence[int] = -1
    epsilon: float = 1e-6

    mixes_rows = False
    logits = "always"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_axes("RMSNormalization", self.axis)

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params."""
        return {"scale": ("features",)}

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Makes the scale."""
        return {"scale": draw("ones", key, "scale", check_widths(self, x, self.axis))}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Divides by the root of the mean square, and scales."""
        del train, key
        wide, axes = widen(x), places(self.axis, x.ndim)
        y = wide * jax.lax.rsqrt(power(wide, axes) + self.epsilon) * spread(params["scale"], x, axes)
        return narrow(y, x), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Rows and steps stay where they are."""
        return mask


class UnitNormalization(Standard):
    """`y = x / sqrt(sum(x ** 2))`, the sum over `axis`, one axis or several: vectors of length 1, of the same shape.

    Vectors shorter than 1e-12 are divided by that. A vector of zeros stays one, with a gradient of 0 (Keras: NaN).
    Computed in at least float32. A mask is passed on. No parameters. As `keras.layers.UnitNormalization`.

    Raises:
        ArgumentError: `axis` is no axis or axes beside the batch axis.
        ShapeError: an axis is missing, or named twice.

    >>> import jgraph as jg
    >>> jg.layers.UnitNormalization()(jg.Input((8,)))
    <Symbol float32[batch, 8]>
    """

    axis: int | Sequence[int] = -1

    mixes_rows = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_axes("UnitNormalization", self.axis)

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the axes; there is nothing to keep."""
        axes = (self.axis,) if isinstance(self.axis, int) else self.axis
        found = {a % len(x.shape) for a in axes if -len(x.shape) < a < len(x.shape)}
        if len(found) < len(axes):
            raise ShapeError(
                repr(self),
                expected=f"the axes {tuple(axes)}, each once and beside the batch axis",
                got=show(x),
                cure="Name axes that the input has.",
            )
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Divides by the length."""
        del params, train, key
        return unit(x, places(self.axis, x.ndim), 1e-12), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Rows and steps stay where they are."""
        return mask


def draw_affine(layer: Any, key: Key, shape: tuple[int, ...]) -> Params:
    """Start values of `gamma` where the layer scales, and of `beta` where it centers."""
    params = {"gamma": draw(layer.gamma_initializer, key, "gamma", shape)} if layer.scale else {}
    return params | ({"beta": draw(layer.beta_initializer, key, "beta", shape)} if layer.center else {})


def power(x: Array, axes: Sequence[int]) -> Array:
    """The mean of |x|^2 along axes, which stay with size 1."""
    return jnp.mean((x * x.conj()).real, tuple(axes), keepdims=True)


def shared(values: Array, axis: int, groups: int) -> Array:
    """The mean of each group of neighbours along an axis, in the place of each of them.

    >>> shared(jnp.array([[1.0, 3.0, 10.0, 20.0]]), 1, 2).tolist()
    [[2.0, 2.0, 15.0, 15.0]]
    """
    apart = values.reshape(*values.shape[:axis], groups, -1, *values.shape[axis + 1 :])
    return jnp.broadcast_to(jnp.mean(apart, axis + 1, keepdims=True), apart.shape).reshape(values.shape)


def standardized(x: Array, mean: Array, variance: Array, gamma: Any, beta: Any, *, epsilon: float) -> Array:
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`, as one factor and one offset."""
    factor = jax.lax.rsqrt(variance + epsilon) * gamma
    return x * factor + (beta - mean * factor)


def unit(x: Array, axis: int | tuple[int, ...], least: float) -> Array:
    """`x / max(|x|, least)` with the length |x| along axes, in at least float32; zeros have a gradient of 0."""
    wide = widen(x)
    square = jnp.sum(wide * wide, axis=axis, keepdims=True)
    return narrow(wide * jnp.where(square > 0, jax.lax.rsqrt(jnp.maximum(square, least * least)), 0), x)


def widen(x: Array) -> Array:
    """The numbers in at least float32, in which statistics are taken."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def narrow(y: Array, x: Array) -> Array:
    """A result in the dtype of the input, where that is a floating one."""
    return y.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else y


def places(axis: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes as numbers of at least 0.

    >>> places((-1, 1), 3)
    (2, 1)
    """
    return (axis % rank,) if isinstance(axis, int) else tuple(a % rank for a in axis)


def spread(value: Any, x: Array, axes: Sequence[int]) -> Array:
    """What has an entry for each place of some axes, with size 1 for the others; a single number as it is."""
    shape = [size if a in axes else 1 for a, size in enumerate(x.shape)]
    return jnp.reshape(value, shape) if jnp.ndim(value) else value
