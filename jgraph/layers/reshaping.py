"""Layers that give a row's elements another shape, another order of axes, or repeat them."""

import math

import jax.numpy as jnp

from jgraph.core.spec import is_symbolic
from jgraph.draw.specs import show, without_tokens
from jgraph.errors import ArgumentError, ShapeError
from jgraph.layers.checks import check_rank
from jgraph.layers.standard import Standard
from jgraph.typing import Array, Key, Params, Spec, State


class Flatten(Standard):
    """Every row as a vector: [batch, ...] -> [batch, n], the last axis counting fastest.

    A row that is one number becomes a vector of one. A mask ends here. As `keras.layers.Flatten`, channels last.

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


class Reshape(Standard):
    """Every row in another shape: [batch, ...] -> [batch, *target_shape], the last axis counting fastest.

    `target_shape` is a tuple without the batch axis; one of its sizes may be -1, and follows from the others. A mask
    ends here. As `keras.layers.Reshape`.

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


class Permute(Standard):
    """The axes of every row in another order: axis i of the output is axis `dims[i - 1]` of the input.

    `dims` names each axis of a row once, counted from 1, as 0 is the batch axis: `Permute((2, 1))` takes
    [batch, a, b] to [batch, b, a]. A mask ends here. As `keras.layers.Permute`.

    Raises:
        ArgumentError: `dims` does not hold each of 1, 2, ... up to its length once.
        ShapeError: a row of the input has more or fewer axes.

    >>> import jgraph as jg
    >>> jg.layers.Permute((3, 1, 2))(jg.Input((4, 5, 6)))
    <Symbol float32[batch, 6, 4, 5]>
    """

    dims: tuple[int, ...]

    mixes_rows = False
    logits = "as inputs"

    def __post_init__(self) -> None:
        super().__post_init__()
        dims = self.dims
        whole = isinstance(dims, (tuple, list)) and all(type(d) is int for d in dims)
        if not whole or sorted(dims) != list(range(1, len(dims) + 1)):
            raise ArgumentError(
                "Permute, dims",
                expected="each axis of a row once, counted from 1",
                got=repr(dims),
                cure="Leave out the batch axis, which is 0: Permute((2, 1)).",
            )

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the rank; there is nothing to keep."""
        check_rank(self, x, len(self.dims) + 1, f"the batch axis and the {len(self.dims)} of dims")
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Transposes."""
        del params, train, key
        return jnp.transpose(x, (0, *self.dims)), state


class RepeatVector(Standard):
    """Every row as each of `n` steps: [batch, features] -> [batch, n, features].

    As `keras.layers.RepeatVector`.

    Raises:
        ArgumentError: `n` is not a positive integer.
        ShapeError: the input is not [batch, features].

    >>> import jgraph as jg
    >>> jg.layers.RepeatVector(3)(jg.Input((8,)))
    <Symbol float32[batch, 3, 8]>
    """

    n: int

    mixes_rows = False
    logits = "as inputs"

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the rank; there is nothing to keep."""
        check_rank(self, x, 2, "[batch, features]")
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Repeats."""
        del params, train, key
        return jnp.broadcast_to(x[:, None], (x.shape[0], self.n, x.shape[1])), state
