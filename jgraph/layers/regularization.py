"""Layers that disturb their input while training."""

from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.layer import Layer
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, DTypeError, RandomKeyError, ShapeError
from jgraph.layers.checks import check_fraction, check_positive
from jgraph.typing import Array, Key, Params, Spec, State


class Dropout(Layer):
    """`y = where(keep, x / (1 - rate), 0)` while training, with `keep` true with probability `1 - rate`; else `x`.

    `rate` is the fraction dropped. `noise_shape`, of the input's rank, has 1 where one draw serves a whole axis and
    `None` where the size is the input's. Passes a mask on. As `keras.layers.Dropout` (Srivastava et al. 2014).

    Raises:
        ArgumentError: `rate` is not in [0, 1), or `noise_shape` not a tuple of positive integers and `None`.
        ShapeError: `noise_shape` does not fit the input.
        DTypeError: the input is not of a floating-point dtype.
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
        if self.noise_shape is not None and not isinstance(self.noise_shape, (tuple, list)):
            raise ArgumentError(
                "Dropout, noise_shape",
                expected="a tuple of None and positive integers",
                got=repr(self.noise_shape),
                cure="Write (None, 1, None) to drop whole steps.",
            )
        check_positive("Dropout", noise_shape=[1 if n is None else n for n in self.noise_shape or (None,)])

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the input; there is nothing to keep."""
        noise = tuple(
            d if n is None or n == 1 else n for n, d in zip(self.noise_shape or x.shape, x.shape, strict=False)
        )
        if len(self.noise_shape or x.shape) != len(x.shape) or noise != tuple(x.shape):
            raise ShapeError(
                repr(self),
                expected="as many axes as noise_shape has, each of its size where that is not 1 or None",
                got=show(x),
                cure="Write None where the size is the input's, and 1 where one draw serves the axis.",
            )
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise DTypeError(repr(self), expected="floating-point numbers", got=show(x), cure="Embed or cast it first.")
        return {}, {}

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
