"""Convolutions: one mechanism over rank, strides, dilation and groups."""

from typing import Any, ClassVar

from jgraph.core.layer import Layer
from jgraph.errors import ArgumentError, ShapeError
from jgraph.initializers.initializer import Initializer, check_initializer, draw
from jgraph.layers.checks import (
    check_one_of,
    check_positive,
    check_rank,
    check_width,
    check_window,
    sizes,
)
from jgraph.ops.activations import Activation, activation, check_activation
from jgraph.ops.convolve import convolve
from jgraph.typing import Array, Key, Params, Spec, State

AXES = {1: "[batch, steps, channels]", 2: "[batch, height, width, channels]"}


class _Windowed(Layer):
    """What all convolutions check and share; a subclass gives the fields and the rank of its space."""

    rank: ClassVar[int]
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def __post_init__(self) -> None:
        super().__post_init__()
        where, fields = type(self).__name__, vars(self)
        check_positive(where, **{n: fields[n] for n in ("filters", "groups", "depth_multiplier") if n in fields})
        strides, dilation = self.steps("strides"), self.steps("dilation_rate")
        self.steps("kernel_size")
        check_one_of(where, "padding", fields["padding"], self.paddings)
        check_activation(where, activation=fields["activation"])
        check_initializer(where, **{n: v for n, v in fields.items() if n.endswith("_initializer")})
        if max(strides) > 1 and max(dilation) > 1:
            raise ArgumentError(
                f"{where}, strides",
                expected="strides or dilation_rate above 1, not both",
                got=f"strides={fields['strides']!r}, dilation_rate={fields['dilation_rate']!r}",
                cure="Set one of them to 1 (Keras' rule).",
            )
        if fields.get("filters", 1) % fields.get("groups", 1):
            raise ArgumentError(
                f"{where}, groups",
                expected="a divisor of filters",
                got=f"groups={fields['groups']}, filters={fields['filters']}",
                cure="Each group makes filters / groups of the channels.",
            )

    def steps(self, field: str) -> tuple[int, ...]:
        """A field with one number per spatial axis."""
        return sizes(type(self).__name__, field, vars(self)[field], self.rank)

    def channels(self, x: Any, groups: int = 1) -> int:
        """The channels of an input, once its rank, extent and divisibility are checked."""
        check_rank(self, x, self.rank + 2, AXES[self.rank])
        reach = [(k - 1) * d + 1 for k, d in zip(self.steps("kernel_size"), self.steps("dilation_rate"), strict=True)]
        check_window(self, x, reach, vars(self)["padding"])
        channels = check_width(self, x)
        if channels % groups:
            raise ShapeError(
                repr(self),
                expected=f"channels that {groups} groups divide",
                got=str(channels),
                cure="Choose groups that divide the channels.",
            )
        return channels

    def convolve(self, x: Array, kernel: Array, groups: int = 1) -> Array:
        """Convolves with this layer's strides, padding and dilation."""
        options = {"strides": self.steps("strides"), "padding": vars(self)["padding"]}
        return convolve(x, kernel, **options, dilation=self.steps("dilation_rate"), groups=groups)

    def finish(self, params: Params, y: Array) -> Array:
        """Adds the bias and activates."""
        y = y + params["bias"] if vars(self)["use_bias"] else y
        return activation(vars(self)["activation"])(y)

    def bias(self, key: Key, units: int) -> Params:
        """The bias, where the layer has one."""
        fields = vars(self)
        return {"bias": draw(fields["bias_initializer"], key, "bias", (units,))} if fields["use_bias"] else {}


class _Conv(_Windowed):
    """`y = activation(conv(x, kernel) + bias)`."""

    filters: int
    kernel_size: int | tuple[int, ...]
    strides: int | tuple[int, ...] = 1
    padding: str = "valid"
    dilation_rate: int | tuple[int, ...] = 1
    groups: int = 1
    activation: Activation = None
    use_bias: bool = True
    kernel_initializer: Initializer = "glorot_uniform"
    bias_initializer: Initializer = "zeros"

    mixes_rows = False
    logits = "always"

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Draws the kernel and the bias."""
        shape = (*self.steps("kernel_size"), self.channels(x, self.groups) // self.groups, self.filters)
        return {"kernel": draw(self.kernel_initializer, key, "kernel", shape), **self.bias(key, self.filters)}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Convolves, adds, activates."""
        del train, key
        return self.finish(params, self.convolve(x, params["kernel"], self.groups)), state


class Conv1D(_Conv):
    """`y = activation(conv(x, kernel) + bias)`: [batch, steps, n] -> [batch, steps', filters].

    Parameters: `kernel` [kernel_size, n / groups, filters], `bias` [filters]. `padding` is `valid`, `same` or `causal`
    (no output sees a later step). As `keras.layers.Conv1D`, channels last.

    Raises:
        ArgumentError: a size, padding or name is not valid, or strides and dilation are both above 1.
        ShapeError: the input has another rank, is smaller than the kernel, or `groups` does not divide its channels.

    >>> import jgraph as jg
    >>> jg.layers.Conv1D(8, 3, padding="causal")(jg.Input((20, 4)))
    <Symbol float32[batch, 20, 8]>
    """

    rank = 1
    paddings = ("valid", "same", "causal")


class Conv2D(_Conv):
    """`y = activation(conv(x, kernel) + bias)`: [batch, height, width, n] -> [batch, height', width', filters].

    Parameters: `kernel` [*kernel_size, n / groups, filters], `bias` [filters]. `padding` is `valid` or `same`.
    As `keras.layers.Conv2D`, channels last.

    Raises:
        ArgumentError: a size, padding or name is not valid, or strides and dilation are both above 1.
        ShapeError: the input has another rank, is smaller than the kernel, or `groups` does not divide its channels.

    >>> import jgraph as jg
    >>> jg.layers.Conv2D(8, 3, strides=2, padding="same")(jg.Input((28, 28, 1)))
    <Symbol float32[batch, 14, 14, 8]>
    """

    strides: int | tuple[int, ...] = (1, 1)
    dilation_rate: int | tuple[int, ...] = (1, 1)

    rank = 2


class DepthwiseConv2D(_Windowed):
    """Each channel convolved with kernels of its own: [batch, height, width, n] -> [batch, height', width', n * m].

    Parameters: `kernel` [*kernel_size, n, m] with m = `depth_multiplier`, `bias` [n * m]. As
    `keras.layers.DepthwiseConv2D`, channels last.

    Raises:
        ArgumentError: a size, padding or name is not valid, or strides and dilation are both above 1.
        ShapeError: the input has another rank, or is smaller than the kernel.

    >>> import jgraph as jg
    >>> jg.layers.DepthwiseConv2D(3, depth_multiplier=2)(jg.Input((8, 8, 4)))
    <Symbol float32[batch, 6, 6, 8]>
    """

    kernel_size: int | tuple[int, ...]
    strides: int | tuple[int, ...] = (1, 1)
    padding: str = "valid"
    depth_multiplier: int = 1
    dilation_rate: int | tuple[int, ...] = (1, 1)
    activation: Activation = None
    use_bias: bool = True
    depthwise_initializer: Initializer = "glorot_uniform"
    bias_initializer: Initializer = "zeros"

    rank = 2
    mixes_rows = False
    logits = "always"

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Draws the kernel and the bias."""
        channels = self.channels(x)
        shape = (*self.steps("kernel_size"), channels, self.depth_multiplier)
        kernel = draw(self.depthwise_initializer, key, "kernel", shape)
        return {"kernel": kernel, **self.bias(key, channels * self.depth_multiplier)}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Convolves channel by channel, adds, activates."""
        del train, key
        return self.finish(params, self.convolve(x, *_per_channel(params["kernel"]))), state


class SeparableConv2D(_Windowed):
    """A depthwise convolution, then one of 1 x 1: [batch, height, width, n] -> [batch, height', width', filters].

    Parameters: `depthwise_kernel` [*kernel_size, n, m], `pointwise_kernel` [1, 1, n * m, filters], `bias` [filters].
    As `keras.layers.SeparableConv2D`, channels last (Chollet 2017).

    Raises:
        ArgumentError: a size, padding or name is not valid, or strides and dilation are both above 1.
        ShapeError: the input has another rank, or is smaller than the kernel.

    >>> import jgraph as jg
    >>> jg.layers.SeparableConv2D(16, 3, padding="same")(jg.Input((8, 8, 4)))
    <Symbol float32[batch, 8, 8, 16]>
    """

    filters: int
    kernel_size: int | tuple[int, ...]
    strides: int | tuple[int, ...] = (1, 1)
    padding: str = "valid"
    dilation_rate: int | tuple[int, ...] = (1, 1)
    depth_multiplier: int = 1
    activation: Activation = None
    use_bias: bool = True
    depthwise_initializer: Initializer = "glorot_uniform"
    pointwise_initializer: Initializer = "glorot_uniform"
    bias_initializer: Initializer = "zeros"

    rank = 2
    mixes_rows = False
    logits = "always"

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Draws both kernels and the bias."""
        channels = self.channels(x)
        shape = (*self.steps("kernel_size"), channels, self.depth_multiplier)
        depthwise = draw(self.depthwise_initializer, key, "depthwise_kernel", shape)
        shape = (1, 1, channels * self.depth_multiplier, self.filters)
        pointwise = draw(self.pointwise_initializer, key, "pointwise_kernel", shape)
        return {"depthwise_kernel": depthwise, "pointwise_kernel": pointwise, **self.bias(key, self.filters)}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Convolves channel by channel, mixes the channels, adds, activates."""
        del train, key
        y = self.convolve(x, *_per_channel(params["depthwise_kernel"]))
        y = convolve(y, params["pointwise_kernel"], strides=(1, 1), padding="valid", dilation=(1, 1))
        return self.finish(params, y), state


def _per_channel(kernel: Array) -> tuple[Array, int]:
    """A kernel [*window, n, m] as the grouped kernel [*window, 1, n * m], and its number of groups."""
    *window, channels, multiplier = kernel.shape
    return kernel.reshape(*window, 1, channels * multiplier), channels
