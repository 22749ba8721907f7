"""Normalisation by statistics of the batch, and by moving ones after training."""

from typing import Any

import jax
import jax.numpy as jnp

from jgraph.constraints import Constraint
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, ShapeError, listing, nearest
from jgraph.initializers.initializer import Initializer, draw
from jgraph.layers.checks import check_axis, check_width
from jgraph.layers.masking import widened
from jgraph.layers.normalization import draw_affine, standardized, widen
from jgraph.layers.standard import Standard
from jgraph.regularizers import Regularizer
from jgraph.typing import Array, Key, Params, Spec, State


class BatchNormalization(Standard):
    """`y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, per entry of `axis`, of the same shape.

    While training, mean and (biased) variance are the batch's, over all other axes, and the moving ones become
    `moving * momentum + batch * (1 - momentum)`; otherwise they are the moving ones. Computed in at least float32.
    Under a mesh the batch is the whole one, however it is split over devices. Without `scale` there is no `gamma`,
    without `center` no `beta`.

    A mask [batch], [batch, time] or of more axes, up to the input's rank, leaves rows, steps or entries out of the
    statistics, whatever they hold; it is passed on. Drawn masks are booleans. `apply` also takes numbers of at least 0
    that weigh: mean and variance are `sum(weight * x) / sum(weight)`. (Keras takes masks of one axis less than x.)

    With `renorm` the batch's statistics are corrected towards slower moving ones (Ioffe 2017): `(x - mean) / s * r + d`
    with `s = sqrt(variance + epsilon)`, `r = s / renorm_stddev` and `d = (mean - renorm_mean) / renorm_stddev`, both
    without gradient and within `renorm_clipping`, a dict of some of "rmin", "rmax" and "dmax". Those statistics move
    with `renorm_momentum`.

    Parameters: `gamma`, `beta` [n]; state: `moving_mean`, `moving_variance` [n], with `renorm` also `moving_stddev`,
    `renorm_mean`, `renorm_stddev` [n]. As `keras.layers.BatchNormalization` (Ioffe and Szegedy 2015).

    Raises:
        ArgumentError: `momentum` is not in [0, 1), `epsilon` not positive, `axis` the batch axis, `renorm_clipping` no
        dict of such numbers, or a name not known.
        ShapeError: the axis is free or missing, or a mask has other axes than the input's first ones.

    >>> import jgraph as jg
    >>> jg.layers.BatchNormalization()(jg.Input((28, 28, 8)))
    <Symbol float32[batch, 28, 28, 8]>
    """

    axis: int = -1
    momentum: float = 0.99
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: Initializer = "zeros"
    gamma_initializer: Initializer = "ones"
    moving_mean_initializer: Initializer = "zeros"
    moving_variance_initializer: Initializer = "ones"
    beta_regularizer: Regularizer = None
    gamma_regularizer: Regularizer = None
    beta_constraint: Constraint = None
    gamma_constraint: Constraint = None
    renorm: bool = False
    renorm_clipping: dict[str, float] | None = None
    renorm_momentum: float = 0.99

    logits = "always"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_axis("BatchNormalization", self.axis)
        check_clipping(self.renorm_clipping)

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params."""
        return {"gamma": ("features",), "beta": ("features",)}

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Makes scale, offset and the moving statistics."""
        shape = (check_width(self, x, self.axis),)
        state = {"moving_mean": draw(self.moving_mean_initializer, key, "moving_mean", shape)}
        state["moving_variance"] = draw(self.moving_variance_initializer, key, "moving_variance", shape)
        if self.renorm:
            state["moving_stddev"] = jnp.sqrt(state["moving_variance"])
            state["renorm_mean"] = draw(self.moving_mean_initializer, key, "moving_mean", shape)
            state["renorm_stddev"] = jnp.sqrt(state["moving_variance"])
        return draw_affine(self, key, shape), state

    def apply(
        self,
        params: Params,
        state: State,
        x: Array,
        *,
        mask: Array | None = None,
        train: bool = False,
        key: Key | None = None,
    ) -> tuple[Array, State]:
        """Normalises by the batch while training, else by the moving statistics."""
        del key
        check_mask(self, mask, x)
        wide, axes = widen(x), [a for a in range(x.ndim) if a != self.axis % x.ndim]
        mean, variance = state["moving_mean"], state["moving_variance"]
        scale, offset = params.get("gamma", 1.0), params.get("beta", 0.0)
        if train:
            mean, variance = moments(wide, self.axis, mask)
            if self.renorm:
                r, d = corrections(self, state, mean, variance)
                scale, offset = scale * r, scale * d + offset
            state = moved(self, state, mean, variance)
        parts = (jnp.expand_dims(jnp.broadcast_to(v, mean.shape), axes) for v in (mean, variance, scale, offset))
        y = standardized(wide, *parts, epsilon=self.epsilon)
        return y.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else y, state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Rows and steps stay where they are."""
        return mask


def check_mask(layer: BatchNormalization, mask: Any, x: Array) -> None:
    """Checks that a mask has the sizes of an input's first axes, or 1, also where its values are not needed.

    Raises:
        ShapeError: it has not.
    """
    pairs = () if mask is None else zip(mask.shape, x.shape, strict=False)
    if mask is not None and (mask.ndim > x.ndim or any(m not in (1, n) for m, n in pairs)):
        raise ShapeError(
            f"{layer!r}, mask",
            expected=f"the first axes of its input {show(x)}",
            got=show(mask),
            cure="Give a mask [batch], [batch, time] or of more axes.",
        )


def moments(x: Array, axis: int, mask: Array | None) -> tuple[Array, Array]:
    """Mean and biased variance over all axes but one, weighed by a mask; what weighs nothing does not count."""
    axes = tuple(a for a in range(x.ndim) if a != axis % x.ndim)
    if mask is None:
        return jnp.mean(x, axes), jnp.var(x, axes)
    weights = jnp.broadcast_to(widened(mask, x.ndim), x.shape).astype(x.dtype)
    total = jnp.sum(weights, axes, keepdims=True)
    total = jnp.where(total > 0, total, 1)  # a batch that is masked whole is no 0 / 0
    x = jnp.where(weights > 0, x, 0)
    mean = jnp.sum(weights * x, axes, keepdims=True) / total
    variance = jnp.sum(weights * (x - mean) ** 2, axes, keepdims=True) / total
    return mean.reshape(-1), variance.reshape(-1)


def moved(layer: BatchNormalization, state: State, mean: Array, variance: Array) -> State:
    """The moving statistics after a batch; with `renorm` the standard deviation moves, and the variance follows it."""

    def step(name: str, batch: Array, momentum: float) -> Array:
        return (state[name] * momentum + batch * (1 - momentum)).astype(state[name].dtype)

    after = {"moving_mean": step("moving_mean", mean, layer.momentum)}
    if not layer.renorm:
        return after | {"moving_variance": step("moving_variance", variance, layer.momentum)}
    deviation = jnp.sqrt(variance + layer.epsilon)
    after["moving_stddev"] = step("moving_stddev", deviation, layer.momentum)
    after["moving_variance"] = jax.nn.relu(after["moving_stddev"] ** 2 - layer.epsilon)
    after["renorm_mean"] = step("renorm_mean", mean, layer.renorm_momentum)
    return after | {"renorm_stddev": step("renorm_stddev", deviation, layer.renorm_momentum)}


def corrections(layer: BatchNormalization, state: State, mean: Array, variance: Array) -> tuple[Array, Array]:
    """What brings the batch's statistics to the slower ones: the factor r and the offset d, without gradients."""
    deviation = jnp.maximum(state["renorm_stddev"], layer.epsilon**0.5)  # Keras: it may be near zero at first
    limits = layer.renorm_clipping or {}
    most = limits.get("dmax")
    r = jnp.clip(jnp.sqrt(variance + layer.epsilon) / deviation, limits.get("rmin"), limits.get("rmax"))
    d = jnp.clip((mean - state["renorm_mean"]) / deviation, None if most is None else -most, most)
    return jax.lax.stop_gradient(r), jax.lax.stop_gradient(d)


def check_clipping(clipping: Any) -> None:
    """Checks the limits of batch renormalisation.

    Raises:
        ArgumentError: no dict of "rmin", "rmax" and "dmax" with numbers of at least 0, or rmax is less than rmin.
    """
    names = ("rmin", "rmax", "dmax")
    where, limits = "BatchNormalization, renorm_clipping", {} if clipping is None else clipping
    strange = [n for n in limits if n not in names] if isinstance(limits, dict) else [repr(limits)]
    if strange:
        cure = f"{nearest(strange[0], names)}Write renorm_clipping={{'rmax': 3.0, 'dmax': 5.0}}."
        raise ArgumentError(
            where, expected="a dict with some of 'rmin', 'rmax', 'dmax'", got=listing(strange), cure=cure
        )
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) and v >= 0 for v in limits.values())
    if not numbers or limits.get("rmin", 0) > limits.get("rmax", float("inf")):
        raise ArgumentError(
            where,
            expected="numbers of at least 0, rmin of at most rmax",
            got=repr(clipping),
            cure="Write renorm_clipping={'rmin': 0.3, 'rmax': 3.0, 'dmax': 5.0}.",
        )
