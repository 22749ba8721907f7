"""Layers that give spatial axes other sizes: steps repeated, and pictures interpolated.

Up-sampling multiplies sizes:

    UpSampling1D(2)              a b c  ->  a a b b c c
    UpSampling2D((2, 1))           a b      a b
                                   c d  ->  a b
                                            c d
                                            c d

Resizing gives them; of 2 by 4 pixels, `Resizing(2, 2)` reads

    as they are         crop_to_aspect_ratio       pad_to_aspect_ratio

                                                   . . . .
    a b c d                 [b c]                  a b c d
    e f g h                 [f g]                  e f g h
                                                   . . . .
    all, so that they   the largest window in      all, and fill_value above and
    get narrower        the middle                 below, so that nothing is stretched
"""

from typing import ClassVar

from jgraph.errors import ArgumentError, check_one_of
from jgraph.layers.checks import check_numbers, check_rank, sizes
from jgraph.layers.convolution import AXES
from jgraph.layers.standard import Standard
from jgraph.ops.resize import INTERPOLATIONS, crop_to_aspect_ratio, in_dtype, pad_to_aspect_ratio, repeat, resize
from jgraph.typing import Array, Key, Params, Spec, State


class _UpSampling(Standard):
    """The input with every step of each spatial axis repeated."""

    size: int | tuple[int, ...]

    rank: ClassVar[int]
    mixes_rows = False
    logits = "as inputs"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.times()

    def times(self) -> tuple[int, ...]:
        """The factor of each spatial axis."""
        return sizes(type(self).__name__, "size", self.size, self.rank)

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the rank; there is nothing to keep."""
        check_rank(self, x, self.rank + 2, AXES[self.rank])
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Repeats."""
        del params, train, key
        return repeat(x, self.times()), state


class UpSampling1D(_UpSampling):
    """`y[t] = x[t // size]`: [batch, steps, n] -> [batch, size * steps, n].

    `size` is how many times every step stands there. A mask ends here. As `keras.layers.UpSampling1D`.

    Raises:
        ArgumentError: `size` is not a positive integer.
        ShapeError: the input has another rank.

    >>> import jgraph as jg
    >>> jg.layers.UpSampling1D(3)(jg.Input((10, 8)))
    <Symbol float32[batch, 30, 8]>
    """

    size: int | tuple[int, ...] = 2

    rank = 1


class UpSampling2D(_UpSampling):
    """Pictures `size` times as large: [batch, height, width, n] -> [batch, size[0] * height, size[1] * width, n].

    `size` is one factor for both axes, or one for each. `interpolation` is `nearest`, by which every pixel is repeated
    (`y[i, j] = x[i // size[0], j // size[1]]`), or `bilinear`, `bicubic`, `lanczos3` or `lanczos5`, as in `Resizing`;
    integers are then rounded and kept in the range of their dtype. A mask ends here. As `keras.layers.UpSampling2D`,
    channels last; `interpolation` is written small.

    Raises:
        ArgumentError: `size` is not positive, or `interpolation` is not known.
        ShapeError: the input has another rank.
        DTypeError: what is to be interpolated is no number.

    >>> import jgraph as jg
    >>> jg.layers.UpSampling2D((2, 3), interpolation="bilinear")(jg.Input((8, 8, 4)))
    <Symbol float32[batch, 16, 24, 4]>
    """

    size: int | tuple[int, ...] = (2, 2)
    interpolation: str = "nearest"

    rank = 2
    mixes_rows = False
    logits = "as inputs"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_one_of("UpSampling2D", "interpolation", self.interpolation, INTERPOLATIONS)

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks rank and dtype; there is nothing to keep."""
        if self.interpolation != "nearest":
            check_numbers(self, x)
        return super().init(key, x)

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Repeats or interpolates."""
        if self.interpolation == "nearest":
            return super().apply(params, state, x, train=train, key=key)
        larger = [n * times for n, times in zip(x.shape[1:-1], self.times(), strict=True)]
        return in_dtype(resize(x, larger, self.interpolation), x.dtype), state


class UpSampling3D(_UpSampling):
    """`y[i, j, k] = x[i // size[0], j // size[1], k // size[2]]`: every element of volumes repeated.

    [batch, depth, height, width, n] -> [batch, size[0] * depth, size[1] * height, size[2] * width, n]. `size` is one
    factor for all axes, or one for each. A mask ends here. As `keras.layers.UpSampling3D`, channels last.

    Raises:
        ArgumentError: `size` is not positive.
        ShapeError: the input has another rank.

    >>> import jgraph as jg
    >>> jg.layers.UpSampling3D((1, 2, 2))(jg.Input((4, 8, 8, 2)))
    <Symbol float32[batch, 4, 16, 16, 2]>
    """

    size: int | tuple[int, ...] = (2, 2, 2)

    rank = 3


class Resizing(Standard):
    """Pictures of any size in one: [batch, h, w, n] -> [batch, height, width, n]; h and w may be free.

    Row i of the output lies at row `(i + 0.5) * h / height - 0.5` of the input, and likewise for columns.
    `interpolation` says which pixels are weighed there, and how:

    - `nearest`, the one nearest pixel
    - `bilinear`, 2 by 2, by their distance
    - `bicubic`, 4 by 4 (Keys 1981, a = -0.5)
    - `lanczos3`, `lanczos5`, 6 by 6 or 10 by 10, by a windowed sinc

    With `antialias`, the weights are spread over as many more pixels as a picture shrinks, so that none is passed over;
    `nearest` has none to spread. With `crop_to_aspect_ratio`, the largest window in the middle that has the shape of
    height to width is resized, to a pixel; with `pad_to_aspect_ratio`, the picture in the middle of the smallest such
    frame, to two pixels, of which the rest is `fill_value`; `fill_mode` has to be `constant`. Without both, pictures
    are stretched. Integers are rounded and kept in the range of their dtype. A mask ends here.

    As `keras.layers.Resizing`, channels last, and always with a batch axis.

    Raises:
        ArgumentError: a size is not a positive integer, `interpolation` or `fill_mode` is not known, `fill_value` is
            not a number, or pictures are to be cropped and padded at once.
        ShapeError: the input is not [batch, h, w, n].
        DTypeError: the input holds no real numbers.

    >>> import jgraph as jg
    >>> jg.layers.Resizing(32, 48, crop_to_aspect_ratio=True)(jg.Input((None, None, 3)))
    <Symbol float32[batch, 32, 48, 3]>
    """

    height: int
    width: int
    interpolation: str = "bilinear"
    crop_to_aspect_ratio: bool = False
    pad_to_aspect_ratio: bool = False
    fill_mode: str = "constant"
    fill_value: float = 0.0
    antialias: bool = False

    mixes_rows = False
    logits = "as inputs"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_one_of("Resizing", "interpolation", self.interpolation, INTERPOLATIONS)
        check_one_of("Resizing", "fill_mode", self.fill_mode, ("constant",))
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise ArgumentError(
                "Resizing, pad_to_aspect_ratio",
                expected="either crop_to_aspect_ratio or pad_to_aspect_ratio",
                got="both",
                cure="Leave one of them out.",
            )

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks rank and dtype; there is nothing to keep."""
        check_rank(self, x, 4, AXES[2])
        check_numbers(self, x)
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Crops or pads, and interpolates."""
        del params, train, key
        y, size = x, (self.height, self.width)
        if self.crop_to_aspect_ratio:
            y = crop_to_aspect_ratio(x, size)
        elif self.pad_to_aspect_ratio:
            y = pad_to_aspect_ratio(x, size, self.fill_value)
        return in_dtype(resize(y, size, self.interpolation, self.antialias), x.dtype), state
