"""Layers that only change the shape."""

import math

from jgraph.core.layer import Layer
from jgraph.core.spec import is_symbolic
from jgraph.draw.specs import show, without_tokens
from jgraph.errors import ArgumentError, ShapeError
from jgraph.typing import Array, Key, Params, Spec, State


class Flatten(Layer):
    """Every row as a vector: [batch, ...] -> [batch, n]. As `keras.layers.Flatten`.

    >>> import jgraph as jg
    >>> jg.layers.Flatten()(jg.Input((4, 5)))
    <Symbol float32[batch, 20]>
    """

    mixes_rows = False
    logits = "as inputs"

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Reshapes."""
        del params, train, key
        return x.reshape(x.shape[0], math.prod(x.shape[1:])), state


class Reshape(Layer):
    """Every row in another shape, without the batch axis; one size may be -1. As `keras.layers.Reshape`.

    Raises:
        ArgumentError: the shape has a size that is not positive, or -1 twice.
        ShapeError: the elements of a row do not fit, or a free axis leaves open whether they do.

    >>> import jgraph as jg
    >>> jg.layers.Reshape((2, -1))(jg.Input((10,)))
    <Symbol float32[batch, 2, 5]>
    """

    target_shape: tuple[int, ...]

    mixes_rows = False
    logits = "as inputs"

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = self.target_shape
        if (
            not isinstance(shape, (tuple, list))
            or not all(type(n) is int and (n > 0 or n == -1) for n in shape)
            or list(shape).count(-1) > 1
        ):
            raise ArgumentError(
                "Reshape, target_shape",
                expected="a tuple of positive integers, at most one of them -1",
                got=repr(shape),
                cure="Leave out the batch axis: Reshape((2, -1)).",
            )

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks that a row fits; there is nothing to keep."""
        row, known = math.prod(x.shape[1:]), math.prod(n for n in self.target_shape if n != -1)
        some = -1 in self.target_shape
        over = row % known if some else row - known
        if is_symbolic(over) or over != 0:
            cure = "The product of target_shape must be that of the input without the batch axis."
            if is_symbolic(row):
                drawn = "Draw a free axis so that every size of it fits: jg.Input(('2*steps', 4)) for Reshape((-1, 8))."
                cure = drawn if some else "Write -1 for the size that follows from a free axis: Reshape((-1, 8))."
            raise ShapeError(
                repr(self),
                expected=f"rows of {'a multiple of ' * some}{known} elements",
                got=without_tokens(f"{row}: {show(x)}"),
                cure=cure,
            )
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Reshapes."""
        del params, train, key
        known = math.prod(n for n in self.target_shape if n != -1)
        sizes = (math.prod(x.shape[1:]) // known if n == -1 else n for n in self.target_shape)
        return x.reshape(x.shape[0], *sizes), state
