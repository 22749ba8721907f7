"""Layers that disturb their input while training."""

from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.layer import Layer
from jgraph.errors import RandomKeyError
from jgraph.layers.checks import check_fraction
from jgraph.typing import Array, Key, Params, State


class Dropout(Layer):
    """`y = where(keep, x / (1 - rate), 0)` while training, with `keep` true with probability `1 - rate`; else `x`.

    `rate` is the fraction dropped. `noise_shape`, of the input's rank, has 1 where one draw serves a whole axis and
    `None` where the size is the input's. Passes a mask on. As `keras.layers.Dropout` (Srivastava et al. 2014).

    Raises:
        ArgumentError: `rate` is not in [0, 1).
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.Dropout(0.5)(jg.Input((4,)))
    <Symbol float32[batch, 4]>
    """

    rate: float
    noise_shape: tuple | None = None

    mixes_rows = False
    logits = "as inputs"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("Dropout", rate=self.rate)

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Drops and scales while training."""
        del params
        if not train or self.rate == 0:
            return x, state
        shape = [n if n is not None else x.shape[i] for i, n in enumerate(self.noise_shape or (None,) * x.ndim)]
        return drop(x, self.rate, shape, need_key(self, key)), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Rows and steps stay where they are."""
        return mask


def drop(x: Array, rate: float, shape: Any, key: Key) -> Array:
    """`x` scaled by `1 / (1 - rate)`, and zero where a draw of `shape` says so."""
    keep = jax.random.bernoulli(key, 1.0 - rate, shape)
    return jnp.where(keep, x / (1.0 - rate), jnp.zeros((), x.dtype))


def need_key(layer: Layer, key: Key | None) -> Key:
    """The key of a layer that draws random numbers.

    Raises:
        RandomKeyError: there is none.
    """
    if key is None:
        raise RandomKeyError(
            repr(layer),
            expected="a key, as it draws random numbers while training",
            got="apply(..., train=True) without one",
            cure="Write model.apply(params, state, inputs, train=True, key=jax.random.key(0)).",
        )
    return key
