"""Layers that take steps from both ends of the spatial axes, or add zeros there.

One number serves both ends, a pair says what is before and behind:

    Cropping1D((1, 2))           a b c d e  ->  b c
    ZeroPadding1D((1, 2))            a b c  ->  0 a b c 0 0
    ZeroPadding2D(((1, 0), (0, 2)))    a b      0 0 0 0
                                       c d  ->  a b 0 0
                                                c d 0 0
"""

from typing import Any, ClassVar

from jgraph.core.spec import is_symbolic
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, ShapeError
from jgraph.layers.checks import check_rank
from jgraph.layers.convolution import AXES
from jgraph.layers.standard import Standard
from jgraph.ops.resize import crop, pad
from jgraph.typing import Array, Key, Params, Spec, State

Amounts = int | tuple[int, ...] | tuple[tuple[int, int], ...]
"""One number for all ends, one for each axis, or a pair for each axis."""


class _Cropping(Standard):
    """The input without some steps at both ends of each spatial axis."""

    cropping: Amounts

    rank: ClassVar[int]
    mixes_rows = False
    logits = "as inputs"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.pairs()

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """What is taken from each axis, before and behind."""
        return pairs(type(self).__name__, "cropping", self.cropping, self.rank)

    def check_extents(self, x: Any) -> None:
        """Checks that something is left; also in `apply`, where free axes have got their sizes."""
        taken = tuple(map(sum, self.pairs()))
        if any(not is_symbolic(n) and n <= t for n, t in zip(x.shape[1:-1], taken, strict=True)):
            raise ShapeError(
                repr(self),
                expected=f"spatial axes longer than {taken}, which is cropped",
                got=show(x),
                cure="Crop less, or give it a larger input.",
            )

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks rank and extent; there is nothing to keep."""
        check_rank(self, x, self.rank + 2, AXES[self.rank])
        self.check_extents(x)
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Crops."""
        del params, train, key
        self.check_extents(x)
        return crop(x, self.pairs()), state


class Cropping1D(_Cropping):
    """`y[t] = x[t + before]`: [batch, steps, n] -> [batch, steps - before - behind, n].

    `cropping` is one number of steps for both ends, or `(before, behind)`. A mask ends here. As
    `keras.layers.Cropping1D`.

    Raises:
        ArgumentError: `cropping` is no integer of at least 0, and no pair of them.
        ShapeError: the input has another rank, or nothing would be left.

    >>> import jgraph as jg
    >>> jg.layers.Cropping1D((1, 2))(jg.Input((10, 8)))
    <Symbol float32[batch, 7, 8]>
    """

    cropping: Amounts = (1, 1)

    rank = 1


class Cropping2D(_Cropping):
    """`y[i, j] = x[i + top, j + left]`: [batch, height, width, n] -> [batch, height - top - bottom, width', n].

    width' is width - left - right. `cropping` is one integer for all ends, `(vertical, horizontal)`, each for both
    ends, or `((top, bottom), (left, right))`. A mask ends here. As `keras.layers.Cropping2D`, channels last.

    Raises:
        ArgumentError: `cropping` has another form, or a number below 0.
        ShapeError: the input has another rank, or nothing would be left.

    >>> import jgraph as jg
    >>> jg.layers.Cropping2D(((1, 2), (0, 4)))(jg.Input((28, 28, 3)))
    <Symbol float32[batch, 25, 24, 3]>
    """

    cropping: Amounts = ((0, 0), (0, 0))

    rank = 2


class Cropping3D(_Cropping):
    """The input without its borders: [batch, depth, height, width, n] -> [batch, depth', height', width', n].

    `cropping` is one integer for all ends, one for both ends of each axis, or a pair `(before, behind)` for each axis,
    by whose sum the axis gets shorter. A mask ends here. As `keras.layers.Cropping3D`, channels last.

    Raises:
        ArgumentError: `cropping` has another form, or a number below 0.
        ShapeError: the input has another rank, or nothing would be left.

    >>> import jgraph as jg
    >>> jg.layers.Cropping3D((1, 2, 0))(jg.Input((8, 8, 8, 3)))
    <Symbol float32[batch, 6, 4, 8, 3]>
    """

    cropping: Amounts = ((1, 1), (1, 1), (1, 1))

    rank = 3


class _ZeroPadding(Standard):
    """The input with zeros at both ends of each spatial axis."""

    padding: Amounts

    rank: ClassVar[int]
    mixes_rows = False
    logits = "as inputs"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.pairs()

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """What is added to each axis, before and behind."""
        return pairs(type(self).__name__, "padding", self.padding, self.rank)

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the rank; there is nothing to keep."""
        check_rank(self, x, self.rank + 2, AXES[self.rank])
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Pads."""
        del params, train, key
        return pad(x, self.pairs()), state


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and behind all steps: [batch, steps, n] -> [batch, before + steps + behind, n].

    `padding` is one number of steps for both ends, or `(before, behind)`. A mask ends here. As
    `keras.layers.ZeroPadding1D`, channels last.

    Raises:
        ArgumentError: `padding` is no integer of at least 0, and no pair of them.
        ShapeError: the input has another rank.

    >>> import jgraph as jg
    >>> jg.layers.ZeroPadding1D((2, 0))(jg.Input((10, 8)))
    <Symbol float32[batch, 12, 8]>
    """

    padding: Amounts = 1

    rank = 1


class ZeroPadding2D(_ZeroPadding):
    """Zeros around pictures: [batch, height, width, n] -> [batch, top + height + bottom, left + width + right, n].

    `padding` is one integer for all ends, `(vertical, horizontal)`, each for both ends, or
    `((top, bottom), (left, right))`. A mask ends here. As `keras.layers.ZeroPadding2D`, channels last.

    Raises:
        ArgumentError: `padding` has another form, or a number below 0.
        ShapeError: the input has another rank.

    >>> import jgraph as jg
    >>> jg.layers.ZeroPadding2D(((1, 0), (0, 2)))(jg.Input((28, 28, 3)))
    <Symbol float32[batch, 29, 30, 3]>
    """

    padding: Amounts = (1, 1)

    rank = 2


class ZeroPadding3D(_ZeroPadding):
    """Zeros around volumes: [batch, depth, height, width, n] -> [batch, depth', height', width', n].

    `padding` is one integer for all ends, one for both ends of each axis, or a pair `(before, behind)` for each axis,
    by whose sum the axis gets longer. A mask ends here. As `keras.layers.ZeroPadding3D`, channels last.

    Raises:
        ArgumentError: `padding` has another form, or a number below 0.
        ShapeError: the input has another rank.

    >>> import jgraph as jg
    >>> jg.layers.ZeroPadding3D((1, 2, 0))(jg.Input((8, 8, 8, 3)))
    <Symbol float32[batch, 10, 12, 8, 3]>
    """

    padding: Amounts = ((1, 1), (1, 1), (1, 1))

    rank = 3


def pairs(where: str, name: str, value: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """The amounts before and behind each axis; of a single axis, two integers are its pair.

    Raises:
        ArgumentError: an amount is no integer of at least 0, or there are too many or too few.

    >>> pairs("ZeroPadding2D", "padding", (1, 2), 2)
    ((1, 1), (2, 2))
    >>> pairs("ZeroPadding1D", "padding", (1, 2), 1)
    ((1, 2),)
    """
    axes = (value,) * rank if isinstance(value, int) or rank == 1 else value
    both = tuple((axis, axis) if isinstance(axis, int) else axis for axis in axes) if _several(axes, rank) else ()
    if not both or not all(_several(pair, 2) and all(type(n) is int and n >= 0 for n in pair) for pair in both):
        each = f", {rank} integers, or {rank} pairs of them" if rank > 1 else ", or two of them"
        example = ", ".join(["(1, 2)"] * rank)
        raise ArgumentError(
            f"{where}, {name}",
            expected=f"an integer of at least 0{each}",
            got=repr(value),
            cure=f"Give what is at both ends of every axis: {name}={f'({example})' if rank > 1 else example}.",
        )
    return tuple((before, behind) for before, behind in both)


def _several(value: Any, count: int) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == count
