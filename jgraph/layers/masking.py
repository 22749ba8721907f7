"""Masks, [batch, time] with true where a step counts: how they are made, and how layers read them."""

import math
from typing import Any

import jax.numpy as jnp

from jgraph.core.layer import Layer
from jgraph.errors import ArgumentError
from jgraph.layers.checks import check_features
from jgraph.layers.standard import Standard
from jgraph.typing import Array, Key, Params, Spec, State


class Masking(Standard):
    """Masks every step whose features all equal `mask_value`, and sets them to zero: [batch, time, n], the same shape.

    The mask is `any(x != mask_value, axis=-1)`. As `keras.layers.Masking`, but a step that the input's own mask leaves
    out stays left out (Keras forgets that mask).

    Raises:
        ArgumentError: `mask_value` is not a number, or NaN, which equals nothing.
        ShapeError: the input has no axis beside the batch axis.

    >>> import jgraph as jg
    >>> jg.layers.Masking()(jg.Input((10, 8)))
    <Symbol float32[batch, 10, 8] masked>
    """

    mask_value: float = 0.0

    mixes_rows = False

    def __post_init__(self) -> None:
        super().__post_init__()
        value = self.mask_value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
            raise ArgumentError(
                "Masking, mask_value",
                expected="a number, which is not NaN",
                got=repr(value),
                cure="Mark missing steps with a number of your choice, such as -1.0.",
            )

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the rank; there is nothing to keep."""
        check_features(self, x)
        return {}, {}

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
        """Sets the masked steps to zero."""
        del params, train, key
        return jnp.where(widened(self.pass_mask(mask, x), x.ndim), x, jnp.zeros((), x.dtype)), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """True where any feature differs from the value, and the input's own mask is true."""
        real = jnp.any(inputs[0] != self.mask_value, axis=-1)
        return real if mask is None else real & widened(mask, real.ndim)


def widened(mask: Array, rank: int) -> Array:
    """A mask [batch, time] with axes of size 1 behind, up to a rank.

    >>> import jax.numpy as jnp
    >>> widened(jnp.ones((2, 3), bool), 4).shape
    (2, 3, 1, 1)
    """
    return mask.reshape(*mask.shape, *[1] * (rank - mask.ndim))


def masks_of(layer: Layer, mask: Any, count: int, beside: int = 0) -> list[Array | None]:
    """The masks of a layer's inputs, `None` for an input without; masks of up to `beside` further symbols are left out.

    Raises:
        ArgumentError: the mask was set by hand, and is no tuple with an entry for each input.
    """
    if mask is None:
        return [None] * count
    if not isinstance(mask, (tuple, list)) or not count <= len(mask) <= count + beside:
        raise ArgumentError(
            f"{layer!r}, mask",
            expected=f"one mask for each of its {count} inputs",
            got=f"{len(mask)} masks" if isinstance(mask, (tuple, list)) else "a single one",
            cure="Give them as a tuple, with None for an input without: mask=(first, None).",
        )
    return list(mask[:count])
