"""Pooling: one mechanism over rank, and what is left of whole axes."""

from typing import ClassVar

import jax.numpy as jnp

from jgraph.core.layer import Layer
from jgraph.layers.checks import check_one_of, check_rank, check_window, sizes
from jgraph.layers.convolution import AXES
from jgraph.layers.masking import widened
from jgraph.ops.pool import average_pool, lowest, max_pool
from jgraph.typing import Array, Function, Key, Params, Spec, State


class _Pooling(Layer):
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
        """Checks rank and extent; there is nothing to keep."""
        check_rank(self, x, self.rank + 2, AXES[self.rank])
        check_window(self, x, self.windows()[0], self.padding)
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Pools every window."""
        del params, train, key
        return type(self).pool(x, *self.windows(), self.padding), state


class MaxPooling1D(_Pooling):
    """The largest of each window: [batch, steps, n] -> [batch, steps', n]; ends a mask.

    As `keras.layers.MaxPooling1D`.

    Raises:
        ArgumentError: a size or the padding is not valid.
        ShapeError: the input has another rank, or is smaller than a window.

    >>> import jgraph as jg
    >>> jg.layers.MaxPooling1D(5)(jg.Input((100, 8)))
    <Symbol float32[batch, 20, 8]>
    """

    pool_size: int | tuple[int, ...] = 2

    rank = 1
    pool = staticmethod(max_pool)


class MaxPooling2D(_Pooling):
    """The largest of each window: [batch, height, width, n] -> [batch, height', width', n].

    As `keras.layers.MaxPooling2D`.

    Raises:
        ArgumentError: a size or the padding is not valid.
        ShapeError: the input has another rank, or is smaller than a window.

    >>> import jgraph as jg
    >>> jg.layers.MaxPooling2D()(jg.Input((28, 28, 8)))
    <Symbol float32[batch, 14, 14, 8]>
    """

    pool_size: int | tuple[int, ...] = (2, 2)

    rank = 2
    pool = staticmethod(max_pool)


class AveragePooling1D(_Pooling):
    """The mean of each window, padding not counted: [batch, steps, n] -> [batch, steps', n]; ends a mask.

    As `keras.layers.AveragePooling1D`.

    Raises:
        ArgumentError: a size or the padding is not valid.
        ShapeError: the input has another rank, or is smaller than a window.

    >>> import jgraph as jg
    >>> jg.layers.AveragePooling1D(5)(jg.Input((100, 8)))
    <Symbol float32[batch, 20, 8]>
    """

    rank = 1
    pool = staticmethod(average_pool)


class AveragePooling2D(_Pooling):
    """The mean of each window, padding not counted. As `keras.layers.AveragePooling2D`.

    [batch, height, width, n] -> [batch, height', width', n].

    Raises:
        ArgumentError: a size or the padding is not valid.
        ShapeError: the input has another rank, or is smaller than a window.

    >>> import jgraph as jg
    >>> jg.layers.AveragePooling2D(3, strides=1, padding="same")(jg.Input((8, 8, 4)))
    <Symbol float32[batch, 8, 8, 4]>
    """

    rank = 2
    pool = staticmethod(average_pool)


class _Global(Layer):
    """A reduction over all spatial axes."""

    keepdims: bool = False

    rank: ClassVar[int]
    reduce: ClassVar[Function]
    mixes_rows = False
    logits = "as inputs"

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the rank; there is nothing to keep."""
        check_rank(self, x, self.rank + 2, AXES[self.rank])
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Reduces the spatial axes."""
        del params, train, key
        return type(self).reduce(x, axis=tuple(range(1, x.ndim - 1)), keepdims=self.keepdims), state


class GlobalMaxPooling1D(_Global):
    """The largest over all steps, the masked ones left out: [batch, steps, n] -> [batch, n].

    As `keras.layers.GlobalMaxPooling1D`, which warns that it destroys a mask and counts masked steps as others: what
    stands in the padding would decide the maximum. A row whose steps are all masked gives 0.

    Raises:
        ShapeError: the input has another rank.

    >>> import jgraph as jg
    >>> jg.layers.GlobalMaxPooling1D()(jg.Input((100, 8)))
    <Symbol float32[batch, 8]>
    """

    rank = 1
    reduce = staticmethod(jnp.max)
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
        """Takes the largest of the steps that the mask keeps."""
        if mask is None:
            return super().apply(params, state, x, train=train, key=key)
        real = widened(mask, x.ndim)
        largest = jnp.max(jnp.where(real, x, lowest(x.dtype)), axis=1, keepdims=self.keepdims)
        return jnp.where(jnp.any(real, axis=1, keepdims=self.keepdims), largest, jnp.zeros((), x.dtype)), state


class GlobalAveragePooling1D(_Global):
    """The mean over all steps, the masked ones left out: [batch, steps, n] -> [batch, n].

    As `keras.layers.GlobalAveragePooling1D`, but a row whose steps are all masked gives 0 (Keras: NaN).

    Raises:
        ShapeError: the input has another rank.

    >>> import jgraph as jg
    >>> jg.layers.GlobalAveragePooling1D()(jg.Input((100, 8)))
    <Symbol float32[batch, 8]>
    """

    rank = 1
    reduce = staticmethod(jnp.mean)
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
        """Averages the steps that the mask keeps."""
        if mask is None:
            return super().apply(params, state, x, train=train, key=key)
        real = widened(mask, x.ndim)
        total = jnp.sum(jnp.where(real, x, 0), axis=1, keepdims=self.keepdims)
        return total / jnp.maximum(jnp.sum(real, axis=1, keepdims=self.keepdims), 1), state


class GlobalAveragePooling2D(_Global):
    """The mean over height and width: [batch, height, width, n] -> [batch, n].

    As `keras.layers.GlobalAveragePooling2D`.

    Raises:
        ShapeError: the input has another rank.

    >>> import jgraph as jg
    >>> jg.layers.GlobalAveragePooling2D()(jg.Input((7, 7, 64)))
    <Symbol float32[batch, 64]>
    """

    rank = 2
    reduce = staticmethod(jnp.mean)
