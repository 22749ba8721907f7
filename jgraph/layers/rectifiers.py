"""Rectifiers: layers that leave what is above zero as it is, and bend what is below.

layer        below 0                  above 0
ReLU         0                        x
LeakyReLU    negative_slope * x       x
PReLU        alpha * x, learned       x
ELU          alpha * (exp(x) - 1)     x

              y
    max_value |          .-------
              |         /
              |        /              ReLU(max_value, negative_slope, threshold)
              |       |
    ----------+-------+---------- x
              |  . `  threshold
          . ` |                       (x - threshold) * negative_slope
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.constraints import Constraint
from jgraph.draw.specs import show
from jgraph.errors import ShapeError
from jgraph.initializers.initializer import Initializer, draw
from jgraph.layers.checks import check_axes, check_numbers, check_width
from jgraph.layers.standard import Standard
from jgraph.regularizers import Regularizer, check_factors
from jgraph.typing import Array, Key, Params, Spec, State


class Rectifier(Standard):
    """The base of rectifiers: `y = rectified(params, x)`, element by element; passes a mask on."""

    mixes_rows = False

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the input; there is nothing to keep."""
        check_numbers(self, x)
        return {}, {}

    def rectified(self, params: Params, x: Array) -> Array:
        """The function; a rectifier overrides it."""
        del params
        return jax.nn.relu(x)

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Applies the function."""
        del train, key
        return self.rectified(params, x), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Rows and steps stay where they are."""
        return mask


class ReLU(Rectifier):
    """`y = min(x, max_value)` where `x > threshold`, else `negative_slope * (x - threshold)`, of the same shape.

    `max_value=None` is no limit. Passes a mask on. As `keras.layers.ReLU`, for which `y` at the threshold itself is 0
    too (its documentation says `x`).

    Raises:
        ArgumentError: an argument is not a finite number of at least 0.
        DTypeError: the input holds neither floating-point numbers nor integers.

    >>> import jgraph as jg
    >>> jg.layers.ReLU(max_value=6.0, negative_slope=0.1)(jg.Input((4,)))
    <Symbol float32[batch, 4]>
    """

    max_value: float | None = None
    negative_slope: float = 0.0
    threshold: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_value is not None:
            check_factors("ReLU", max_value=self.max_value)

    def rectified(self, params: Params, x: Array) -> Array:
        """What is above the threshold, up to the limit, and less of what is below."""
        slope, plain = self.negative_slope, self.threshold == 0  # functions as Keras chooses them, for slopes at joints
        if plain and slope > 0 and self.max_value is None:
            return jax.nn.leaky_relu(x, slope)
        y = jax.nn.relu(x) if plain else jnp.where(x > self.threshold, x, 0)
        if self.max_value is not None:
            y = jax.nn.relu6(x) if plain and self.max_value == 6 else jnp.clip(y, 0, self.max_value)
        return y - slope * jax.nn.relu(self.threshold - x) if slope > 0 else y


class LeakyReLU(Rectifier):
    """`y = x` where `x >= 0`, else `negative_slope * x`, of the same shape; passes a mask on.

    The slope is 0.3; the activation named `leaky_relu` has 0.2, as in Keras. As `keras.layers.LeakyReLU` (Maas, Hannun
    and Ng 2013).

    Raises:
        ArgumentError: `negative_slope` is not a finite number of at least 0.
        DTypeError: the input holds neither floating-point numbers nor integers.

    >>> import jgraph as jg
    >>> jg.layers.LeakyReLU(0.1)(jg.Input((4,)))
    <Symbol float32[batch, 4]>
    """

    negative_slope: float = 0.3

    def rectified(self, params: Params, x: Array) -> Array:
        """Less of what is below zero."""
        return jax.nn.leaky_relu(x, self.negative_slope)


class ELU(Rectifier):
    """`y = x` where `x > 0`, else `alpha * (exp(x) - 1)`, of the same shape; passes a mask on.

    As `keras.layers.ELU` (Clevert, Unterthiner and Hochreiter 2016), which takes an `alpha` below 0 too.

    Raises:
        ArgumentError: `alpha` is not a finite number of at least 0.
        DTypeError: the input holds neither floating-point numbers nor integers.

    >>> import jgraph as jg
    >>> jg.layers.ELU(alpha=0.5)(jg.Input((4,)))
    <Symbol float32[batch, 4]>
    """

    alpha: float = 1.0

    def rectified(self, params: Params, x: Array) -> Array:
        """An exponential below zero."""
        return jax.nn.elu(x, self.alpha)


class PReLU(Rectifier):
    """`y = x` where `x > 0`, else `alpha * x`, with a learned `alpha` for each element of a row; passes a mask on.

    `shared_axes`, one or several, are those along which one `alpha` serves all: 1 and 2 for the pixels of an image,
    [batch, height, width, channels], which leaves one for each channel. A free axis must be among them.

    Parameters: `alpha`, of the input's shape without the batch axis, with 1 for each shared axis. As
    `keras.layers.PReLU` (He et al. 2015), but that a shared axis below 0 is counted from the end (Keras shares the
    axis before it).

    Raises:
        ArgumentError: `shared_axes` are no different integers other than 0, the batch axis; or a name is not known.
        DTypeError: the input holds neither floating-point numbers nor integers.
        ShapeError: the input lacks a shared axis, or one that is not shared is free.

    >>> import jgraph as jg
    >>> jg.layers.PReLU(shared_axes=[1, 2])(jg.Input((None, None, 3)))
    <Symbol float32[batch, None, None, 3]>
    """

    alpha_initializer: Initializer = "zeros"
    alpha_regularizer: Regularizer = None
    alpha_constraint: Constraint = None
    shared_axes: int | Sequence[int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shared_axes is not None and not (isinstance(self.shared_axes, tuple | list) and not self.shared_axes):
            check_axes("PReLU", self.shared_axes, "shared_axes")

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Draws one factor for each element of a row that shares with no other."""
        check_numbers(self, x)
        rank, shared = len(x.shape), self._shared()
        if not all(-rank < axis < rank for axis in shared):
            raise ShapeError(
                repr(self),
                expected=f"an input with the axes {tuple(shared)} beside the batch axis",
                got=show(x),
                cure="Share axes that the input has.",
            )
        places = {axis % rank for axis in shared}
        shape = tuple(1 if place in places else check_width(self, x, place) for place in range(1, rank))
        return {"alpha": draw(self.alpha_initializer, key, "alpha", shape)}, {}

    def rectified(self, params: Params, x: Array) -> Array:
        """As much of what is below zero as was learned."""
        return jax.nn.relu(x) - params["alpha"] * jax.nn.relu(-x)

    def _shared(self) -> Sequence[int]:
        axes = self.shared_axes
        return () if axes is None else (axes,) if isinstance(axes, int) else axes
