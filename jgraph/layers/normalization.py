"""Normalisation by statistics of the batch."""

from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.layer import Layer
from jgraph.errors import ArgumentError
from jgraph.initializers.initializer import Initializer, check_initializer, draw
from jgraph.layers.checks import check_axis, check_fraction, check_width
from jgraph.layers.masking import widened
from jgraph.typing import Array, Key, Params, Spec, State


class BatchNormalization(Layer):
    """`y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, per entry of `axis`, of the same shape.

    While training, mean and (biased) variance are the batch's, over all other axes, masked steps left out, and the
    moving ones become `moving * momentum + batch * (1 - momentum)`; otherwise they are the moving ones. Computed in at
    least float32. Parameters: `gamma`, `beta` [n]; state: `moving_mean`, `moving_variance` [n]. Passes a mask on. As
    `keras.layers.BatchNormalization` (Ioffe and Szegedy 2015).

    Raises:
        ArgumentError: `momentum` is not in [0, 1), `epsilon` not positive, `axis` the batch axis, or a name not known.
        ShapeError: the axis is free or missing.

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

    logits = "always"

    def __post_init__(self) -> None:
        super().__post_init__()
        where = "BatchNormalization"
        check_fraction(where, momentum=self.momentum)
        check_initializer(where, **{n: v for n, v in vars(self).items() if n.endswith("_initializer")})
        check_axis(where, self.axis)
        if not isinstance(self.epsilon, (int, float)) or not self.epsilon > 0:
            raise ArgumentError(
                f"{where}, epsilon", expected="a positive number", got=repr(self.epsilon), cure="Keras' is 1e-3."
            )

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Makes scale, offset and the moving statistics."""
        shape = (check_width(self, x, self.axis),)
        params = {"gamma": draw(self.gamma_initializer, key, "gamma", shape)} if self.scale else {}
        params |= {"beta": draw(self.beta_initializer, key, "beta", shape)} if self.center else {}
        mean = draw(self.moving_mean_initializer, key, "moving_mean", shape)
        variance = draw(self.moving_variance_initializer, key, "moving_variance", shape)
        return params, {"moving_mean": mean, "moving_variance": variance}

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
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mean, variance = state["moving_mean"], state["moving_variance"]
        if train:
            mean, variance = moments(wide, self.axis, mask)
            state = {
                "moving_mean": self._moved(state["moving_mean"], mean),
                "moving_variance": self._moved(state["moving_variance"], variance),
            }
        shape = [1] * x.ndim
        shape[self.axis] = x.shape[self.axis]
        factor = jax.lax.rsqrt(variance + self.epsilon) * params.get("gamma", 1.0)
        offset = params.get("beta", 0.0) - mean * factor
        y = wide * factor.reshape(shape) + offset.reshape(shape)
        return y.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else y, state

    def _moved(self, moving: Array, batch: Array) -> Array:
        return (moving * self.momentum + batch * (1 - self.momentum)).astype(moving.dtype)

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Rows and steps stay where they are."""
        return mask


def moments(x: Array, axis: int, mask: Array | None) -> tuple[Array, Array]:
    """Mean and biased variance over all axes but one; masked positions do not count."""
    axes = tuple(a for a in range(x.ndim) if a != axis % x.ndim)
    if mask is None:
        return jnp.mean(x, axes), jnp.var(x, axes)
    real = jnp.broadcast_to(widened(mask, x.ndim), x.shape)
    total = jnp.maximum(jnp.sum(real, axes, keepdims=True), 1)  # a batch that is masked whole is no 0 / 0
    mean = jnp.sum(jnp.where(real, x, 0), axes, keepdims=True) / total
    variance = jnp.sum(jnp.where(real, x - mean, 0) ** 2, axes, keepdims=True) / total
    return mean.reshape(-1), variance.reshape(-1)
