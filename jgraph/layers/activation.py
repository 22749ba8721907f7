"""An activation function as a layer, the softmax over any axes with masks, and the layer that changes nothing."""

from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.layer import Layer
from jgraph.draw.specs import show
from jgraph.errors import ShapeError
from jgraph.layers.checks import check_axes, check_features, check_numbers
from jgraph.layers.standard import Standard
from jgraph.ops.activations import ALONG_THE_LAST_AXIS, activation, linear
from jgraph.typing import Array, Function, Key, Params, PyTree, Spec, State


class Activation(Standard):
    """`y = activation(x)`, of the same shape; passes a mask on. As `keras.layers.Activation`.

    `activation` is a name of Keras' or a function of arrays; with other parameters than its defaults it is
    `functools.partial(jax.nn.elu, alpha=0.5)`, here and wherever a layer has an `activation`. Files hold functions of
    `jax.nn`, `jax.numpy`, `jax.lax` and `jgraph.ops.activations` by name, parameters included; your own functions are
    given to `jg.load(path, allow=[function])`. `softmax`, `log_softmax`, `sparsemax` and `glu` are over the last axis;
    `glu` halves it: `a * sigmoid(b)` of its halves.

    `Activation("linear")` at the end of a model says that what comes before it are logits.

    Raises:
        ArgumentError: the name is not known; the nearest one is suggested.
        ShapeError: a function of the last axis, as `softmax` is, would be taken over the batch, or `glu` of an odd
        size.

    >>> import functools, jax, jgraph as jg
    >>> jg.layers.Activation("relu")(jg.Input((4,)))
    <Symbol float32[batch, 4]>
    >>> jg.layers.Activation(functools.partial(jax.nn.elu, alpha=0.5))
    Activation(partial(jax.elu, alpha=0.5))
    """

    activation: str | Function

    mixes_rows = False
    logits = "always"

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the input; there is nothing to keep."""
        if activation(self.activation) in ALONG_THE_LAST_AXIS:
            check_features(self, x)
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Applies the function."""
        del params, train, key
        return activation(self.activation)(x), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Rows and steps stay where they are."""
        return mask


class Softmax(Standard):
    """`y = exp(x) / sum(exp(x))`, summed over `axis`: one axis or a tuple of them, not the batch axis.

    Where a mask is false the output is 0, and the others share the 1; where all of a sum is masked, all of it is 0.

    - A mask of the input's rank, `layer(x, mask=allowed)`, has the input's sizes, or 1 where one entry serves an axis.
      It has done its work and does not go on (Keras hands it on, to layers that would take it for one of steps).
    - A mask of fewer axes is one of steps, `[batch, time]`, as an Embedding makes it: its axes are the input's first
      ones. It counts where the softmax is over the steps, and goes on in any case. A softmax within each step is not
      changed by it, as in `Activation("softmax")`. (Keras lines it up with the last axes, where it seldom fits.)

    At the end of a model a cross-entropy sees through `Softmax()` to the logits, as through `Activation("softmax")`;
    it refuses one with another `axis` than -1, or under a mask of the input's rank.

    As `keras.layers.Softmax`, whose axis 0 would mix the rows of a batch.

    Raises:
        ArgumentError: `axis` is 0, no integer, or names one axis twice.
        ShapeError: the input lacks such an axis, or the mask does not fit it.
        DTypeError: the input holds neither floating-point numbers nor integers.

    >>> import jgraph as jg
    >>> jg.layers.Softmax()(jg.Input((4,)))
    <Symbol float32[batch, 4]>
    >>> allowed = jg.Input((5, 6), "bool")
    >>> jg.layers.Softmax(axis=(1, 2))(jg.Input((5, 6)), mask=allowed)
    <Symbol float32[batch, 5, 6]>
    """

    axis: int | tuple[int, ...] | list[int] = -1

    mixes_rows = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_axes("Softmax", self.axis)

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the input; there is nothing to keep."""
        check_numbers(self, x)
        rank = len(x.shape)
        if not all(-rank < axis < rank for axis in self._axes()) or len(self._places(rank)) < len(self._axes()):
            raise ShapeError(
                repr(self),
                expected=f"different axes {self._axes()} beside the batch axis",
                got=show(x),
                cure="Draw an input with more axes, or name others.",
            )
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
        """Divides exponentials by their sum, over what the mask leaves."""
        del params, train, key
        places = self._places(x.ndim)
        kept = None if mask is None else lined_up(self, mask, x)
        if mask is not None and min(places) >= mask.ndim:  # each sum is of one step, masked or not
            kept = None
        return jax.nn.softmax(x, places, where=kept), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Steps stay where they are."""
        return None if mask is None or mask.ndim == inputs[0].ndim else mask

    def opened(self) -> tuple[Layer, Function]:
        """The softmax over the last axis is an activation."""
        return (Activation("linear", name=self.name), jax.nn.softmax) if self._axes() == (-1,) else (self, linear)

    def _axes(self) -> tuple[int, ...]:
        return (self.axis,) if isinstance(self.axis, int) else tuple(self.axis)

    def _places(self, rank: int) -> tuple[int, ...]:
        return tuple(sorted({axis % rank for axis in self._axes()}))


def lined_up(layer: Layer, mask: Array, x: Array) -> Array:
    """A mask of the first axes of `x` as one of all its axes.

    Raises:
        ShapeError: it does not fit.
    """
    fits = mask.ndim <= x.ndim and all(m in (1, n) for m, n in zip(mask.shape, x.shape, strict=False))
    if not fits:
        raise ShapeError(
            f"{layer!r}, mask",
            expected=f"the sizes of its input {show(x)}, or of its first axes; or 1 where one entry serves an axis",
            got=show(mask),
            cure="Give a mask of shape [batch, time], or one of the input's shape.",
        )
    return jnp.expand_dims(mask, tuple(range(mask.ndim, x.ndim)))


class Identity(Standard):
    """`y = x`, for any tree of tensors; masks stay with their tensors. As `keras.layers.Identity`.

    >>> import jgraph as jg
    >>> jg.layers.Identity()(jg.Input((4,)))
    <Symbol float32[batch, 4]>
    """

    mixes_rows = False
    logits = "the inputs"

    def apply(
        self, params: Params, state: State, x: PyTree, *, train: bool = False, key: Key | None = None
    ) -> tuple[PyTree, State]:
        """Gives back what it gets."""
        del params, train, key
        return x, state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Everything stays where it is."""
        return mask
