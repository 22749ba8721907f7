"""Layers that change pictures at random while training, each picture by numbers of its own, on the device.

They take [batch, height, width, channels]. The numbers follow from the layer's key and the picture's row alone, so a
picture is changed in the same way whatever batch stands beside it; without training nothing is drawn. Integers become
float32 first, also without training, as a drawing promises one dtype; a floating dtype is kept. All are differentiable
in the pictures. In front of a model they are a part of it, compiled with the step:

    >>> import jax, jax.numpy as jnp, jgraph as jg
    >>> picture = jg.Input((32, 32, 3), dtype="uint8", name="picture")
    >>> x = jg.layers.RandomFlip("horizontal")(picture)
    >>> x = jg.layers.RandomRotation(0.1, fill_mode="constant")(x)
    >>> x = jg.layers.RandomBrightness(0.2)(x) / 255.0
    >>> model = jg.Model(picture, jg.layers.Dense(10)(jg.layers.Flatten()(x)))
    >>> params, state = model.init(jax.random.key(0))
    >>> pictures = jnp.zeros((2, 32, 32, 3), "uint8")
    >>> outputs, state = model.apply(params, state, pictures, train=True, key=jax.random.key(1))
    >>> outputs.shape
    (2, 10)

A factor is one number or a pair of bounds, in either order; one number `f` means between `-f` and `f`. What comes in
from outside the picture is said by `fill_mode`:

    "reflect"     d c b a | a b c d | d c b a     mirrored at the edge, which stands twice
    "wrap"        a b c d | a b c d | a b c d     the other side
    "nearest"     a a a a | a b c d | d d d d     the edge
    "constant"    k k k k | a b c d | k k k k     k = fill_value

`interpolation` is "bilinear" or "nearest". Layers that move pixels end a mask, which cannot follow them; RandomContrast
and RandomBrightness pass it on.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jgraph.layers.augmenting import Augmentation, Factor, Interval, bounds, check_pictures
from jgraph.ops import images
from jgraph.ops.resize import crop_to_aspect_ratio, resize
from jgraph.typing import Array, Key, Params, Spec, State


class RandomFlip(Augmentation):
    """Mirrors half of the pictures while training; the shape stays.

    `mode` is "horizontal" (left to right), "vertical" (upside down), or "horizontal_and_vertical", which does both at
    once or nothing, so it turns by half a circle (Keras 3); put one layer of each mode in a row for independent flips.
    A mask ends here. As `keras.layers.RandomFlip`, which takes any other mode for no flip.

    Raises:
        ArgumentError: the mode is not known.
        ShapeError: the input is not [batch, height, width, channels].
        DTypeError: the input is of truth values or complex numbers.
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.RandomFlip("horizontal")(jg.Input((32, 32, 3)))
    <Symbol float32[batch, 32, 32, 3]>
    """

    mode: str = "horizontal_and_vertical"

    def intervals(self, x: Array) -> tuple[Interval, ...]:
        """One number, to be compared with one half."""
        return ((0.0, 1.0),)

    def change(self, x: Array, numbers: list[Array]) -> Array:
        """Mirrors where the number is one half at most."""
        return images.flip(x, numbers[0] <= 0.5, self.mode)


class RandomCrop(Augmentation):
    """Cuts a window [height, width] from each picture, at a place of its own while training.

    [batch, h, w, channels] -> [batch, height, width, channels]. Without training, and where a picture is smaller than
    the window, the largest window in the middle with the shape of `height` to `width` is resized to that size
    (bilinear), as by `Resizing(height, width, crop_to_aspect_ratio=True)`. So pictures that are padded to be cropped
    are seen smaller without training: to shift pictures alone, take `RandomTranslation`. A mask ends here.

    As `keras.layers.RandomCrop` in its documentation. What Keras 3 does differs in four ways: it cuts all pictures
    of a batch at one place; without training it returns them whole, in another shape than it promises; it cuts the
    middle where one side alone is longer than the window; and a picture that is smaller is distorted.

    Raises:
        ArgumentError: a size is not a positive integer.
        ShapeError: the input is not [batch, height, width, channels], or its height or width is free.
        DTypeError: the input is of truth values or complex numbers.
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.RandomCrop(24, 24)(jg.Input((32, 32, 3)))
    <Symbol float32[batch, 24, 24, 3]>
    """

    height: int
    width: int

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the input; there is nothing to keep."""
        check_pictures(self, x, known=True)
        return {}, {}

    def intervals(self, x: Array) -> tuple[Interval, ...]:
        """The places of the first row and column, to be rounded down."""
        return (0.0, x.shape[1] - self.height + 1.0), (0.0, x.shape[2] - self.width + 1.0)

    def change(self, x: Array, numbers: list[Array]) -> Array:
        """Cuts, or resizes what is too small."""
        if x.shape[1] < self.height or x.shape[2] < self.width:
            return self.keep(x)
        top, left = (number.astype(jnp.int32) for number in numbers)
        return images.crop(x, top, left, self.height, self.width)

    def keep(self, x: Array) -> Array:
        """Resizes the middle."""
        return resize(crop_to_aspect_ratio(x, (self.height, self.width)), (self.height, self.width), "bilinear")


class RandomRotation(Augmentation):
    """Turns each picture about its centre while training, by a part of a full turn within `factor`; the shape stays.

    `factor` is in [-1, 1]; positive is counter-clockwise: 0.25 means between -90 and 90 degrees, `(0.1, 0.1)` always
    36 degrees. `fill_mode` ("reflect", "wrap", "constant", "nearest") says what comes in from outside, `fill_value`
    which number for "constant"; `interpolation` is "bilinear" or "nearest". A mask ends here. As
    `keras.layers.RandomRotation`, whose check of a pair lets one bound lie outside of [-1, 1].

    Raises:
        ArgumentError: a factor is out of range, or a name is not known.
        ShapeError: the input is not [batch, height, width, channels].
        DTypeError: the input is of truth values or complex numbers.
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.RandomRotation(0.1, fill_mode="constant", fill_value=255.0)(jg.Input((32, 32, 3), dtype="uint8"))
    <Symbol float32[batch, 32, 32, 3]>
    """

    factor: Factor
    fill_mode: str = "reflect"
    interpolation: str = "bilinear"
    fill_value: float = 0.0

    def intervals(self, x: Array) -> tuple[Interval, ...]:
        """Degrees."""
        low, high = bounds(self.factor)
        return ((low * 360.0, high * 360.0),)

    def change(self, x: Array, numbers: list[Array]) -> Array:
        """Turns by degrees."""
        return images.rotate(x, numbers[0], (self.fill_mode, self.interpolation, self.fill_value))


class RandomTranslation(Augmentation):
    """Shifts each picture while training, by parts of its height and width within the factors; the shape stays.

    `height_factor` and `width_factor` are in [-1, 1]; positive is down and to the right: `height_factor=(0.0, 0.2)`
    shifts down by a fifth of the height at most. `fill_mode` ("reflect", "wrap", "constant", "nearest") says what comes
    in from outside, `fill_value` which number for "constant"; `interpolation` is "bilinear" or "nearest", which moves
    by whole pixels: with "constant" it is the padding and cropping of small pictures. A mask ends here. As
    `keras.layers.RandomTranslation`.

    Raises:
        ArgumentError: a factor is out of range, or a name is not known.
        ShapeError: the input is not [batch, height, width, channels].
        DTypeError: the input is of truth values or complex numbers.
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.RandomTranslation(0.1, (0.0, 0.2), fill_mode="nearest")(jg.Input((32, 32, 3)))
    <Symbol float32[batch, 32, 32, 3]>
    """

    height_factor: Factor
    width_factor: Factor
    fill_mode: str = "reflect"
    interpolation: str = "bilinear"
    fill_value: float = 0.0

    def intervals(self, x: Array) -> tuple[Interval, ...]:
        """Parts of the height and of the width."""
        return bounds(self.height_factor), bounds(self.width_factor)

    def change(self, x: Array, numbers: list[Array]) -> Array:
        """Shifts down and to the right."""
        return images.translate(x, numbers[0], numbers[1], (self.fill_mode, self.interpolation, self.fill_value))


class RandomZoom(Augmentation):
    """Scales each picture about its centre while training; the shape stays.

    `height_factor` and `width_factor` are in (-1, 1]: 0.2 shows a fifth more than the picture, which shrinks; -0.2
    shows a fifth less, enlarged. With `width_factor=None` both sides are scaled by one number, else each by its own.
    `fill_mode` ("reflect", "wrap", "constant", "nearest") says what comes in from outside, `fill_value` which number
    for "constant"; `interpolation` is "bilinear" or "nearest". A mask ends here. As `keras.layers.RandomZoom`.

    Raises:
        ArgumentError: a factor is out of range, or a name is not known.
        ShapeError: the input is not [batch, height, width, channels].
        DTypeError: the input is of truth values or complex numbers.
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.RandomZoom((-0.3, -0.1))(jg.Input((32, 32, 3)))
    <Symbol float32[batch, 32, 32, 3]>
    """

    height_factor: Factor
    width_factor: Factor | None = None
    fill_mode: str = "reflect"
    interpolation: str = "bilinear"
    fill_value: float = 0.0

    above_lowest = True

    def intervals(self, x: Array) -> tuple[Interval, ...]:
        """How much of the height and of the width is seen, or of both."""
        factors = (self.height_factor,) if self.width_factor is None else (self.height_factor, self.width_factor)
        return tuple((1.0 + low, 1.0 + high) for low, high in map(bounds, factors))

    def change(self, x: Array, numbers: list[Array]) -> Array:
        """Scales."""
        return images.zoom(x, numbers[0], numbers[-1], (self.fill_mode, self.interpolation, self.fill_value))


class RandomContrast(Augmentation):
    """`y = clip((x - mean) * c + mean)` while training, with the mean of each channel of each picture; the shape stays.

    `c` is drawn for each picture between `1 - lower` and `1 + upper`, where `factor` is `(lower, upper)`, both in
    [0, 1], or one number for both. `value_range` is what outputs are clipped to. A mask is passed on.

    As `keras.layers.RandomContrast` in its documentation. Keras 3 itself draws between 1 and `1 + factor` where
    one number is given, so contrast would never shrink, and sorts a pair, whose numbers have different meanings.

    Raises:
        ArgumentError: a factor is out of range, or `value_range` is not two different numbers.
        ShapeError: the input is not [batch, height, width, channels].
        DTypeError: the input is of truth values or complex numbers.
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.RandomContrast(0.2, value_range=(0.0, 1.0))(jg.Input((32, 32, 3)))
    <Symbol float32[batch, 32, 32, 3]>
    """

    factor: Factor
    value_range: Sequence[float] = (0, 255)

    lowest = 0.0

    def intervals(self, x: Array) -> tuple[Interval, ...]:
        """The factors of the contrast."""
        lower, upper = (self.factor, self.factor) if isinstance(self.factor, (int, float)) else self.factor
        return ((1.0 - lower, 1.0 + upper),)

    def change(self, x: Array, numbers: list[Array]) -> Array:
        """Spreads the numbers about their mean."""
        return images.contrast(x, numbers[0], *bounds(self.value_range))

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Pixels stay where they are."""
        return mask


class RandomBrightness(Augmentation):
    """`y = clip(x + share * (highest - lowest))` while training, with one share for each picture; the shape stays.

    The share is drawn within `factor`, in [-1, 1]: at -1 all is black, at 1 white. `value_range` is `(lowest,
    highest)`, which outputs are clipped to. A mask is passed on. As `keras.layers.RandomBrightness`, but integers
    become float32 first: Keras adds in their own dtype, where uint8 runs over, 250 + 51 = 45.

    Raises:
        ArgumentError: a factor is out of range, or `value_range` is not two different numbers.
        ShapeError: the input is not [batch, height, width, channels].
        DTypeError: the input is of truth values or complex numbers.
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.RandomBrightness((-0.2, 0.1), value_range=(0.0, 1.0))(jg.Input((32, 32, 3)))
    <Symbol float32[batch, 32, 32, 3]>
    """

    factor: Factor
    value_range: Sequence[float] = (0, 255)

    def intervals(self, x: Array) -> tuple[Interval, ...]:
        """Shares of the range of values."""
        return (bounds(self.factor),)

    def change(self, x: Array, numbers: list[Array]) -> Array:
        """Adds."""
        return images.brighten(x, numbers[0], *bounds(self.value_range))

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Pixels stay where they are."""
        return mask
