"""Pooling: the largest or the mean of each window, over rank, strides and padding, and of whole axes.

Windows of `pool_size` steps lie `strides` apart. Of n steps, `padding` makes

    valid     (n - pool_size) // strides + 1 windows: those that fit
    same      ceil(n / strides): windows reach over both ends, where nothing counts

    pool_size=2, strides=2, steps a to e:

    valid      a b c d e      same     a b c d e .
               [ab]                    [ab]
                   [cd]                    [cd]
                                               [e.]       the mean of this window is e
"""

from typing import ClassVar

from jgraph.errors import check_one_of
from jgraph.layers.checks import check_numbers, check_rank, check_window, sizes
from jgraph.layers.convolution import AXES
from jgraph.layers.masking import widened
from jgraph.layers.standard import Standard
from jgraph.ops.pool import average_pool, global_average, global_max, max_pool
from jgraph.typing import Array, Function, Key, Params, Spec, State


class _Pooling(Standard):
    """A function of each window of the input."""

    pool_size: int | tuple[int, ...]
    strides: int | tuple[int, ...] | None = None
    padding: str = "valid"

    rank: ClassVar[int]
    pool: ClassVar[Function]
    mixes_rows = False
    logits = "as inputs"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.windows()
        check_one_of(type(self).__name__, "padding", self.padding, ("valid", "same"))

    def windows(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Sizes and strides of the windows, one number per spatial axis."""
        where, strides = type(self).__name__, self.pool_size if self.strides is None else self.strides
        return sizes(where, "pool_size", self.pool_size, self.rank), sizes(where, "strides", strides, self.rank)

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks dtype, rank and extent; there is nothing to keep."""
        check_numbers(self, x)
        check_rank(self, x, self.rank + 2, AXES[self.rank])
        check_window(self, x, self.windows()[0], self.padding)
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Pools every window, of which there must be one, also where a free axis has got its size."""
        del params, train, key
        check_window(self, x, self.windows()[0], self.padding)
        return type(self).pool(x, *self.windows(), self.padding), state


class MaxPooling1D(_Pooling):
    """The largest of each window: [batch, steps, n] -> [batch, steps', n].

    `pool_size` is how many steps a window has (2); windows lie `strides` apart, `pool_size` where it is `None`.
    `padding`:

    - `valid`, only windows that fit: steps' = (steps - pool_size) // strides + 1
    - `same`, windows over both ends too, where nothing counts: steps' = ceil(steps / strides)

    A mask ends here. As `keras.layers.MaxPooling1D`, channels last; `padding` is written small, and strides of 0 are
    refused.

    Raises:
        ArgumentError: a size or the padding is not valid.
        ShapeError: the input has another rank, or is smaller than a window where `padding` is `valid`.
        DTypeError: the input holds no real numbers.

    >>> import jgraph as jg
    >>> jg.layers.MaxPooling1D(5)(jg.Input((100, 8)))
    <Symbol float32[batch, 20, 8]>
    """

    pool_size: int | tuple[int, ...] = 2

    rank = 1
    pool = staticmethod(max_pool)


class MaxPooling2D(_Pooling):
    """The largest of each window: [batch, height, width, n] -> [batch, height', width', n].

    `pool_size` is the height and width of a window, one integer for both or one for each (2 by 2); windows lie
    `strides` apart, `pool_size` where it is `None`. `padding`:

    - `valid`, only windows that fit: (size - pool_size) // strides + 1 on each axis
    - `same`, windows over both ends too, where nothing counts: ceil(size / strides)

    A mask ends here. As `keras.layers.MaxPooling2D`, channels last; `padding` is written small, and strides of 0 are
    refused.

    Raises:
        ArgumentError: a size or the padding is not valid.
        ShapeError: the input has another rank, or is smaller than a window where `padding` is `valid`.
        DTypeError: the input holds no real numbers.

    >>> import jgraph as jg
    >>> jg.layers.MaxPooling2D()(jg.Input((28, 28, 8)))
    <Symbol float32[batch, 14, 14, 8]>
    """

    pool_size: int | tuple[int, ...] = (2, 2)

    rank = 2
    pool = staticmethod(max_pool)


class MaxPooling3D(_Pooling):
    """The largest of each window: [batch, depth, height, width, n] -> [batch, depth', height', width', n].

    `pool_size` is the depth, height and width of a window, one integer for all or one for each (2 by 2 by 2); windows
    lie `strides` apart, `pool_size` where it is `None`. `padding`:

    - `valid`, only windows that fit: (size - pool_size) // strides + 1 on each axis
    - `same`, windows over both ends too, where nothing counts: ceil(size / strides)

    A mask ends here. As `keras.layers.MaxPooling3D`, channels last; `padding` is written small, and strides of 0 are
    refused.

    Raises:
        ArgumentError: a size or the padding is not valid.
        ShapeError: the input has another rank, or is smaller than a window where `padding` is `valid`.
        DTypeError: the input holds no real numbers.

    >>> import jgraph as jg
    >>> jg.layers.MaxPooling3D((1, 2, 2))(jg.Input((6, 8, 8, 4)))
    <Symbol float32[batch, 6, 4, 4, 4]>
    """

    pool_size: int | tuple[int, ...] = (2, 2, 2)

    rank = 3
    pool = staticmethod(max_pool)


class AveragePooling1D(_Pooling):
    """The mean of each window: [batch, steps, n] -> [batch, steps', n].

    `pool_size` is how many steps a window has; windows lie `strides` apart, `pool_size` where it is `None`. `padding`:

    - `valid`, only windows that fit: steps' = (steps - pool_size) // strides + 1
    - `same`, windows over both ends too, where the mean is of fewer elements: steps' = ceil(steps / strides)

    Numbers of low precision are summed in float32; the mean of integers is float32. A mask ends here. As
    `keras.layers.AveragePooling1D`, channels last; `padding` is written small, and strides of 0 are refused.

    Raises:
        ArgumentError: a size or the padding is not valid.
        ShapeError: the input has another rank, or is smaller than a window where `padding` is `valid`.
        DTypeError: the input holds no real numbers.

    >>> import jgraph as jg
    >>> jg.layers.AveragePooling1D(5)(jg.Input((100, 8)))
    <Symbol float32[batch, 20, 8]>
    """

    rank = 1
    pool = staticmethod(average_pool)


class AveragePooling2D(_Pooling):
    """The mean of each window: [batch, height, width, n] -> [batch, height', width', n].

    `pool_size` is the height and width of a window, one integer for both or one for each; windows lie `strides` apart,
    `pool_size` where it is `None`. `padding`:

    - `valid`, only windows that fit: (size - pool_size) // strides + 1 on each axis
    - `same`, windows over both ends too, where the mean is of fewer elements: ceil(size / strides)

    Numbers of low precision are summed in float32; the mean of integers is float32. A mask ends here. As
    `keras.layers.AveragePooling2D`, channels last; `padding` is written small, and strides of 0 are refused.

    Raises:
        ArgumentError: a size or the padding is not valid.
        ShapeError: the input has another rank, or is smaller than a window where `padding` is `valid`.
        DTypeError: the input holds no real numbers.

    >>> import jgraph as jg
    >>> jg.layers.AveragePooling2D(3, strides=1, padding="same")(jg.Input((8, 8, 4)))
    <Symbol float32[batch, 8, 8, 4]>
    """

    rank = 2
    pool = staticmethod(average_pool)


class AveragePooling3D(_Pooling):
    """The mean of each window: [batch, depth, height, width, n] -> [batch, depth', height', width', n].

    `pool_size` is the depth, height and width of a window, one integer for all or one for each; windows lie `strides`
    apart, `pool_size` where it is `None`. `padding`:

    - `valid`, only windows that fit: (size - pool_size) // strides + 1 on each axis
    - `same`, windows over both ends too, where the mean is of fewer elements: ceil(size / strides)

    Numbers of low precision are summed in float32; the mean of integers is float32. A mask ends here. As
    `keras.layers.AveragePooling3D`, channels last; `padding` is written small, and strides of 0 are refused.

    Raises:
        ArgumentError: a size or the padding is not valid.
        ShapeError: the input has another rank, or is smaller than a window where `padding` is `valid`.
        DTypeError: the input holds no real numbers.

    >>> import jgraph as jg
    >>> jg.layers.AveragePooling3D(2)(jg.Input((6, 8, 8, 4)))
    <Symbol float32[batch, 3, 4, 4, 4]>
    """

    rank = 3
    pool = staticmethod(average_pool)


class _Global(Standard):
    """A function of all spatial axes at once."""

    keepdims: bool = False

    rank: ClassVar[int]
    pool: ClassVar[Function]
    mixes_rows = False
    logits = "as inputs"

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks dtype and rank; there is nothing to keep."""
        check_numbers(self, x)
        check_rank(self, x, self.rank + 2, AXES[self.rank])
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Pools the spatial axes."""
        del params, train, key
        return type(self).pool(x, self.keepdims), state


class _GlobalSteps(_Global):
    """A function of all steps that count."""

    rank = 1
    mixes_rows = False
    logits = "as inputs"

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
        """Pools the steps that the mask keeps."""
        del params, train, key
        return type(self).pool(x, self.keepdims, None if mask is None else widened(mask, x.ndim)), state


class GlobalMaxPooling1D(_GlobalSteps):
    """The largest over all steps, the masked ones left out: [batch, steps, n] -> [batch, n].

    With `keepdims`, [batch, 1, n]. A step counts where `mask` [batch, steps] is true; a row without one gives 0; the
    mask ends here. As `keras.layers.GlobalMaxPooling1D`, which warns that it destroys a mask and counts masked steps as
    others: what stands in the padding would decide the maximum.

    Raises:
        ArgumentError: `keepdims` is not True or False.
        ShapeError: the input has another rank.
        DTypeError: the input holds no real numbers.

    >>> import jgraph as jg
    >>> jg.layers.GlobalMaxPooling1D()(jg.Input((100, 8)))
    <Symbol float32[batch, 8]>
    """

    pool = staticmethod(global_max)


class GlobalMaxPooling2D(_Global):
    """The largest over height and width: [batch, height, width, n] -> [batch, n].

    With `keepdims`, [batch, 1, 1, n]. A mask ends here. As `keras.layers.GlobalMaxPooling2D`, channels last.

    Raises:
        ArgumentError: `keepdims` is not True or False.
        ShapeError: the input has another rank.
        DTypeError: the input holds no real numbers.

    >>> import jgraph as jg
    >>> jg.layers.GlobalMaxPooling2D(keepdims=True)(jg.Input((7, 7, 64)))
    <Symbol float32[batch, 1, 1, 64]>
    """

    rank = 2
    pool = staticmethod(global_max)


class GlobalMaxPooling3D(_Global):
    """The largest over depth, height and width: [batch, depth, height, width, n] -> [batch, n].

    With `keepdims`, [batch, 1, 1, 1, n]. A mask ends here. As `keras.layers.GlobalMaxPooling3D`, channels last.

    Raises:
        ArgumentError: `keepdims` is not True or False.
        ShapeError: the input has another rank.
        DTypeError: the input holds no real numbers.

    >>> import jgraph as jg
    >>> jg.layers.GlobalMaxPooling3D()(jg.Input((4, 7, 7, 64)))
    <Symbol float32[batch, 64]>
    """

    rank = 3
    pool = staticmethod(global_max)


class GlobalAveragePooling1D(_GlobalSteps):
    """The mean over all steps, the masked ones left out: [batch, steps, n] -> [batch, n].

    Numbers of low precision are summed in float32; the mean of integers is float32. With `keepdims`, [batch, 1, n]. A
    step counts where `mask` [batch, steps] is true; a row without one gives 0 (Keras: NaN); the mask ends here. As
    `keras.layers.GlobalAveragePooling1D`.

    Raises:
        ArgumentError: `keepdims` is not True or False.
        ShapeError: the input has another rank.
        DTypeError: the input holds no real numbers.

    >>> import jgraph as jg
    >>> jg.layers.GlobalAveragePooling1D()(jg.Input((100, 8)))
    <Symbol float32[batch, 8]>
    """

    pool = staticmethod(global_average)


class GlobalAveragePooling2D(_Global):
    """The mean over height and width: [batch, height, width, n] -> [batch, n].

    Numbers of low precision are summed in float32; the mean of integers is float32. With `keepdims`, [batch, 1, 1, n].
    A mask ends here. As `keras.layers.GlobalAveragePooling2D`, channels last.

    Raises:
        ArgumentError: `keepdims` is not True or False.
        ShapeError: the input has another rank.
        DTypeError: the input holds no real numbers.

    >>> import jgraph as jg
    >>> jg.layers.GlobalAveragePooling2D()(jg.Input((7, 7, 64)))
    <Symbol float32[batch, 64]>
    """

    rank = 2
    pool = staticmethod(global_average)


class GlobalAveragePooling3D(_Global):
    """The mean over depth, height and width: [batch, depth, height, width, n] -> [batch, n].

    Numbers of low precision are summed in float32; the mean of integers is float32. With `keepdims`, [batch, 1, 1, 1,
    n]. A mask ends here. As `keras.layers.GlobalAveragePooling3D`, channels last.

    Raises:
        ArgumentError: `keepdims` is not True or False.
        ShapeError: the input has another rank.
        DTypeError: the input holds no real numbers.

    >>> import jgraph as jg
    >>> jg.layers.GlobalAveragePooling3D(keepdims=True)(jg.Input((4, 7, 7, 64)))
    <Symbol float32[batch, 1, 1, 1, 64]>
    """

    rank = 3
    pool = staticmethod(global_average)
