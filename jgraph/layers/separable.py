"""Convolutions channel by channel: each has kernels of its own, and only then are channels mixed, or not at all.

    Conv         [*window, n, filters]       every filter sees every channel
    Depthwise    [*window, n, m]             m filters for each channel:  n channels -> n * m
    Separable    [*window, n, m], then       the same, then every filter sees all n * m
                 [1, n * m, filters]

Strides and dilation may both be above 1: Keras' text forbids it, its layers with the JAX backend compute it.
"""

from typing import ClassVar

from jgraph.constraints import Constraint
from jgraph.initializers.initializer import Initializer
from jgraph.layers.convolution import Windowed
from jgraph.ops.activations import Activation
from jgraph.ops.convolve import convolve, convolve_channels
from jgraph.regularizers import Regularizer
from jgraph.typing import Array, Params


class _DepthwiseConv(Windowed):
    """`y = activation(convolution of each channel + bias)`."""

    kernel_size: int | tuple[int, ...]
    strides: int | tuple[int, ...] = 1
    padding: str = "valid"
    depth_multiplier: int = 1
    dilation_rate: int | tuple[int, ...] = 1
    activation: Activation = None
    use_bias: bool = True
    depthwise_initializer: Initializer = "glorot_uniform"
    bias_initializer: Initializer = "zeros"
    depthwise_regularizer: Regularizer = None
    bias_regularizer: Regularizer = None
    activity_regularizer: Regularizer = None
    depthwise_constraint: Constraint = None
    bias_constraint: Constraint = None

    fields_of: ClassVar[dict[str, str]] = {"kernel": "depthwise"}

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params."""
        return {"kernel": ("...", "features", "multiplier"), "bias": ("filters",)}

    def shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """A few kernels for each channel."""
        kernel = (*self.steps("kernel_size"), channels, self.depth_multiplier)
        return {"kernel": kernel, "bias": (channels * self.depth_multiplier,)}

    def linear(self, params: Params, x: Array) -> Array:
        """The convolution of each channel."""
        return convolve_channels(x, params["kernel"], **self.places())


class _SeparableConv(Windowed):
    """`y = activation(convolution of each channel @ pointwise_kernel + bias)`."""

    filters: int
    kernel_size: int | tuple[int, ...]
    strides: int | tuple[int, ...] = 1
    padding: str = "valid"
    dilation_rate: int | tuple[int, ...] = 1
    depth_multiplier: int = 1
    activation: Activation = None
    use_bias: bool = True
    depthwise_initializer: Initializer = "glorot_uniform"
    pointwise_initializer: Initializer = "glorot_uniform"
    bias_initializer: Initializer = "zeros"
    depthwise_regularizer: Regularizer = None
    pointwise_regularizer: Regularizer = None
    bias_regularizer: Regularizer = None
    activity_regularizer: Regularizer = None
    depthwise_constraint: Constraint = None
    pointwise_constraint: Constraint = None
    bias_constraint: Constraint = None

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params."""
        return {
            "depthwise_kernel": ("...", "features", "multiplier"),
            "pointwise_kernel": ("...", "channels", "filters"),
            "bias": ("filters",),
        }

    def shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """A few kernels for each channel, and one over what they make."""
        window, made = self.steps("kernel_size"), channels * self.depth_multiplier
        return {
            "depthwise_kernel": (*window, channels, self.depth_multiplier),
            "pointwise_kernel": (*[1] * self.rank, made, self.filters),
            "bias": (self.filters,),
        }

    def linear(self, params: Params, x: Array) -> Array:
        """The convolution of each channel, then the mixture of channels."""
        y = convolve_channels(x, params["depthwise_kernel"], **self.places())
        one = [1] * self.rank
        return convolve(y, params["pointwise_kernel"], strides=one, padding="valid", dilation=one)


class DepthwiseConv1D(_DepthwiseConv):
    """`y[t, c * m + j] = activation(sum_i x[t * strides + i * dilation_rate, c] * kernel[i, c, j] + bias[c * m + j])`.

    [batch, steps, n] -> [batch, steps', n * m]: each channel c makes m = `depth_multiplier` channels of its own and
    sees no other. A window reaches over `w = (kernel_size - 1) * dilation_rate + 1` steps; windows lie `strides` apart.
    `padding`:

    - `valid`, no zeros are added: steps' = (steps - w) // strides + 1
    - `same`, zeros at both ends: steps' = ceil(steps / strides)

    The `depthwise_` arguments are those of the kernel. A mask ends here, as in Keras.

    Parameters: `kernel` [kernel_size, n, m], `bias` [n * m]. As `keras.layers.DepthwiseConv1D`, channels last.

    Raises:
        ArgumentError: a size, padding or name is not valid.
        ShapeError: the input has another rank, its channels are free, or it has fewer than w steps where `padding` is
            `valid`.
        DTypeError: the input holds booleans or complex numbers.

    >>> import jgraph as jg
    >>> jg.layers.DepthwiseConv1D(3, depth_multiplier=2)(jg.Input((8, 4)))
    <Symbol float32[batch, 6, 8]>
    """

    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    """`y[p, c * m + j] = activation(sum_i x[p * strides + i * dilation_rate, c] * kernel[i, c, j] + bias[c * m + j])`.

    [batch, height, width, n] -> [batch, height', width', n * m]: each channel c makes m = `depth_multiplier` channels
    of its own and sees no other. Sizes are one number for both axes or one for each. On each axis, a window reaches
    over `w = (kernel_size - 1) * dilation_rate + 1` places; windows lie `strides` apart. `padding`:

    - `valid`, no zeros are added: height' = (height - w) // strides + 1
    - `same`, zeros at both ends: height' = ceil(height / strides)

    The `depthwise_` arguments are those of the kernel. A mask ends here, as in Keras.

    Parameters: `kernel` [*kernel_size, n, m], `bias` [n * m]. As `keras.layers.DepthwiseConv2D`, channels last.

    Raises:
        ArgumentError: a size, padding or name is not valid.
        ShapeError: the input has another rank, its channels are free, or an axis is shorter than w where `padding` is
            `valid`.
        DTypeError: the input holds booleans or complex numbers.

    >>> import jgraph as jg
    >>> jg.layers.DepthwiseConv2D(3, depth_multiplier=2)(jg.Input((8, 8, 4)))
    <Symbol float32[batch, 6, 6, 8]>
    """

    strides: int | tuple[int, ...] = (1, 1)
    dilation_rate: int | tuple[int, ...] = (1, 1)

    rank = 2


class SeparableConv1D(_SeparableConv):
    """`y = activation(depthwise(x, depthwise_kernel) @ pointwise_kernel + bias)`: a DepthwiseConv1D, then a mixture.

    [batch, steps, n] -> [batch, steps', filters]: each channel is convolved with m = `depth_multiplier` kernels of its
    own, then `filters` sums are taken over the n * m channels. A window reaches over
    `w = (kernel_size - 1) * dilation_rate + 1` steps; windows lie `strides` apart. `padding`:

    - `valid`, no zeros are added: steps' = (steps - w) // strides + 1
    - `same`, zeros at both ends: steps' = ceil(steps / strides)

    A mask ends here, as in Keras.

    Parameters: `depthwise_kernel` [kernel_size, n, m], `pointwise_kernel` [1, n * m, filters], `bias` [filters].
    As `keras.layers.SeparableConv1D`, channels last (Chollet 2017).

    Raises:
        ArgumentError: a size, padding or name is not valid.
        ShapeError: the input has another rank, its channels are free, or it has fewer than w steps where `padding` is
            `valid`.
        DTypeError: the input holds booleans or complex numbers.

    >>> import jgraph as jg
    >>> jg.layers.SeparableConv1D(16, 3, padding="same")(jg.Input((8, 4)))
    <Symbol float32[batch, 8, 16]>
    """

    rank = 1


class SeparableConv2D(_SeparableConv):
    """`y = activation(depthwise(x, depthwise_kernel) @ pointwise_kernel + bias)`: a DepthwiseConv2D, then a mixture.

    [batch, height, width, n] -> [batch, height', width', filters]: each channel is convolved with
    m = `depth_multiplier` kernels of its own, then `filters` sums are taken over the n * m channels. Sizes are one
    number for both axes or one for each. On each axis, a window reaches over
    `w = (kernel_size - 1) * dilation_rate + 1` places; windows lie `strides` apart. `padding`:

    - `valid`, no zeros are added: height' = (height - w) // strides + 1
    - `same`, zeros at both ends: height' = ceil(height / strides)

    A mask ends here, as in Keras.

    Parameters: `depthwise_kernel` [*kernel_size, n, m], `pointwise_kernel` [1, 1, n * m, filters], `bias` [filters].
    As `keras.layers.SeparableConv2D`, channels last (Chollet 2017).

    Raises:
        ArgumentError: a size, padding or name is not valid.
        ShapeError: the input has another rank, its channels are free, or an axis is shorter than w where `padding` is
            `valid`.
        DTypeError: the input holds booleans or complex numbers.

    >>> import jgraph as jg
    >>> jg.layers.SeparableConv2D(16, 3, padding="same")(jg.Input((8, 8, 4)))
    <Symbol float32[batch, 8, 8, 16]>
    """

    strides: int | tuple[int, ...] = (1, 1)
    dilation_rate: int | tuple[int, ...] = (1, 1)

    rank = 2
