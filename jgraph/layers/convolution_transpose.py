"""Transposed convolutions: each step of the input writes its multiple of the kernel into a larger output.

What a convolution reads in one window, its transpose writes from one step; the writings of n steps lie `strides` apart
and add up. With `w = (kernel_size - 1) * dilation_rate + 1`, they cover `(n - 1) * strides + w` places, of which
`padding` keeps:

    kernel_size=3, strides=2, 3 steps a, b, c, of which each writes three places:

    a a a
        b b b
            c c c
    y y y y y y y      valid: (3 - 1) * 2 + 3 = 7, all of them
    y y y y y y .      same: 3 * 2 = 6; of what is too many, half is cut in front, rounded down, the rest behind
    y y y y y y y 0    valid, output_padding=1: one more place behind

`same` is the exact transpose of a convolution with padding `same` of an input of n * strides steps.
"""

from typing import Any

from jgraph.constraints import Constraint
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, ShapeError
from jgraph.initializers.initializer import Initializer
from jgraph.layers.checks import is_integer
from jgraph.layers.convolution import Windowed, check_strides_or_dilation
from jgraph.ops.activations import Activation
from jgraph.ops.convolve import convolve_transposed, size_of_one
from jgraph.regularizers import Regularizer
from jgraph.typing import Array, Params


class _ConvTranspose(Windowed):
    """`y = activation(the transpose of conv(y, kernel), at x, + bias)`."""

    filters: int
    kernel_size: int | tuple[int, ...]
    strides: int | tuple[int, ...] = 1
    padding: str = "valid"
    output_padding: int | tuple[int, ...] | None = None
    dilation_rate: int | tuple[int, ...] = 1
    activation: Activation = None
    use_bias: bool = True
    kernel_initializer: Initializer = "glorot_uniform"
    bias_initializer: Initializer = "zeros"
    kernel_regularizer: Regularizer = None
    bias_regularizer: Regularizer = None
    activity_regularizer: Regularizer = None
    kernel_constraint: Constraint = None
    bias_constraint: Constraint = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strides_or_dilation(self)
        check_output_padding(type(self).__name__, self.output_padding, self.steps("strides"))

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params."""
        return {"kernel": ("...", "filters", "features"), "bias": ("filters",)}

    def shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """The kernel of the convolution from `filters` to `channels` that this is the transpose of."""
        return {"kernel": (*self.steps("kernel_size"), self.filters, channels), "bias": (self.filters,)}

    def linear(self, params: Params, x: Array) -> Array:
        """The transposed convolution."""
        return convolve_transposed(x, params["kernel"], output_padding=self.added(), **self.places())

    def added(self) -> tuple[int | None, ...]:
        """`output_padding` for each axis."""
        added = self.output_padding
        return tuple(added) if isinstance(added, (tuple, list)) else (added,) * self.rank

    def check_extents(self, x: Any) -> None:
        """One step may make no output at all, where `same` is given an output_padding of 0."""
        places = zip(self.reach(), self.steps("strides"), self.added(), strict=True)
        ones = [size_of_one(w, s, self.padding, added) for w, s, added in places]
        if any(n == 1 and one == 0 for n, one in zip(x.shape[1:-1], ones, strict=True)):
            raise ShapeError(
                repr(self),
                expected="more than one step on an axis where one alone makes no output",
                got=show(x),
                cure="Leave out output_padding, or choose a kernel of odd size.",
            )


def check_output_padding(where: str, value: Any, strides: tuple[int, ...]) -> None:
    """Checks that what is added to the output is `None`, or on each axis an integer from 0 up to below the stride.

    Raises:
        ArgumentError: it is not.
    """
    values = value if isinstance(value, (tuple, list)) else (value,) * len(strides)
    whole = all(is_integer(v) for v in values) and len(values) == len(strides)
    if value is not None and not (whole and all(0 <= v < s for v, s in zip(values, strides, strict=True))):
        raise ArgumentError(
            f"{where}, output_padding",
            expected=f"None, an integer or {len(strides)} integers, each at least 0 and below its stride",
            got=f"output_padding={value!r}, strides={strides!r}",
            cure="Leave it out for Keras' usual output size.",
        )


class Conv1DTranspose(_ConvTranspose):
    """`y[t * strides + i * dilation_rate] += x[t] @ kernel[i].T` for all t and i, then `activation(y + bias)`.

    [batch, steps, n] -> [batch, steps', filters]. One step writes over `w = (kernel_size - 1) * dilation_rate + 1`
    places, the next one `strides` further. `padding`:

    - `valid`: steps' = (steps - 1) * strides + w + output_padding, of which the last are zero; by default as many as
      make it (steps - 1) * strides + max(w, strides)
    - `same`, places are cut off at both ends, or zeros added behind: steps' = steps * strides by default; with an
      `output_padding`, steps' = (steps - 1) * strides + w % 2 + output_padding

    Keras' rule for `same` is odd where w is even: an output_padding of 0 makes strides places less than the default,
    and none below strides reaches it. Leave output_padding out, or choose a kernel of odd size. A mask ends here.

    Parameters: `kernel` [kernel_size, filters, n], in the order of the convolution that this is the transpose of, and
    `bias` [filters]. As `keras.layers.Conv1DTranspose` with its JAX backend, channels last; dilation works, though
    Keras' text says it does not.

    Raises:
        ArgumentError: a size, padding or name is not valid, `output_padding` is not below `strides`, or strides and
            dilation_rate are both above 1 (Keras' rule).
        ShapeError: the input has another rank, its channels are free, or there would be no output.
        DTypeError: the input holds booleans or complex numbers.

    >>> import jgraph as jg
    >>> jg.layers.Conv1DTranspose(8, 3, strides=2, padding="same")(jg.Input((20, 4)))
    <Symbol float32[batch, 40, 8]>
    """

    rank = 1


class Conv2DTranspose(_ConvTranspose):
    """`y[p * strides + i * dilation_rate] += x[p] @ kernel[i].T` for all places p and i, then `activation(y + bias)`.

    [batch, height, width, n] -> [batch, height', width', filters]. Sizes are one number for both axes or one for each.
    On each axis, one place writes over `w = (kernel_size - 1) * dilation_rate + 1` places, the next one `strides`
    further. `padding`:

    - `valid`: height' = (height - 1) * strides + w + output_padding, of which the last are zero; by default as many as
      make it (height - 1) * strides + max(w, strides)
    - `same`, places are cut off at both ends, or zeros added behind: height' = height * strides by default; with an
      `output_padding`, height' = (height - 1) * strides + w % 2 + output_padding

    Keras' rule for `same` is odd where w is even: an output_padding of 0 makes strides places less than the default,
    and none below strides reaches it. Leave output_padding out, or choose a kernel of odd size. A mask ends here.

    Parameters: `kernel` [*kernel_size, filters, n], in the order of the convolution that this is the transpose of, and
    `bias` [filters]. As `keras.layers.Conv2DTranspose` with its JAX backend, channels last (Zeiler et al. 2010); each
    axis may be dilated, though Keras' text says it may not.

    Raises:
        ArgumentError: a size, padding or name is not valid, `output_padding` is not below `strides`, or strides and
            dilation_rate are both above 1 on any axes (Keras' rule).
        ShapeError: the input has another rank, its channels are free, or there would be no output.
        DTypeError: the input holds booleans or complex numbers.

    >>> import jgraph as jg
    >>> jg.layers.Conv2DTranspose(8, 3, strides=2, padding="same")(jg.Input((14, 14, 16)))
    <Symbol float32[batch, 28, 28, 8]>
    """

    strides: int | tuple[int, ...] = (1, 1)
    dilation_rate: int | tuple[int, ...] = (1, 1)

    rank = 2


class Conv3DTranspose(_ConvTranspose):
    """`y[p * strides + i * dilation_rate] += x[p] @ kernel[i].T` for all places p and i, then `activation(y + bias)`.

    [batch, depth, height, width, n] -> [batch, depth', height', width', filters]. Sizes are one number for all axes or
    one for each. On each axis, one place writes over `w = (kernel_size - 1) * dilation_rate + 1` places, the next one
    `strides` further. `padding`:

    - `valid`: depth' = (depth - 1) * strides + w + output_padding, of which the last are zero; by default as many as
      make it (depth - 1) * strides + max(w, strides)
    - `same`, places are cut off at both ends, or zeros added behind: depth' = depth * strides by default; with an
      `output_padding`, depth' = (depth - 1) * strides + w % 2 + output_padding

    Keras' rule for `same` is odd where w is even: an output_padding of 0 makes strides places less than the default,
    and none below strides reaches it. Leave output_padding out, or choose a kernel of odd size. A mask ends here.

    Parameters: `kernel` [*kernel_size, filters, n], in the order of the convolution that this is the transpose of, and
    `bias` [filters]. As `keras.layers.Conv3DTranspose` with its JAX backend, channels last; each axis may be dilated,
    though Keras' text says it may not.

    Raises:
        ArgumentError: a size, padding or name is not valid, `output_padding` is not below `strides`, or strides and
            dilation_rate are both above 1 on any axes (Keras' rule).
        ShapeError: the input has another rank, its channels are free, or there would be no output.
        DTypeError: the input holds booleans or complex numbers.

    >>> import jgraph as jg
    >>> jg.layers.Conv3DTranspose(8, 2, strides=2)(jg.Input((4, 5, 6, 3)))
    <Symbol float32[batch, 8, 10, 12, 8]>
    """

    strides: int | tuple[int, ...] = (1, 1, 1)
    dilation_rate: int | tuple[int, ...] = (1, 1, 1)

    rank = 3
