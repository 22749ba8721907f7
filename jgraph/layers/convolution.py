"""Convolutions: what all of them share, over rank, strides, dilation and padding, and the plain ones, with groups.

A window of `kernel_size` taps reads steps `dilation_rate` apart, so that it reaches over
`w = (kernel_size - 1) * dilation_rate + 1` steps; windows lie `strides` apart. Of n steps, `padding` makes

    valid     (n - w) // strides + 1 windows: those that fit
    same      ceil(n / strides): zeros at both ends, the odd one behind
    causal    ceil(n / strides): zeros in front alone, so that a window ends at its own step (Conv1D)

    kernel_size=3, steps a to e, a zero 0:

    valid      a b c d e      same     0 a b c d e 0      causal     0 0 a b c d e
               [abc]                   [0ab]                         [00a]
                 [bcd]                   [abc]                         [0ab]
                   [cde]                   [bcd]                         [abc]
                                             [cde]                         [bcd]
                                               [de0]                         [cde]

    strides=2                 dilation_rate=2
    [abc]                     [a c e]
        [cde]
"""

import abc
from typing import Any, ClassVar

from jgraph.constraints import Constraint
from jgraph.errors import ArgumentError, ShapeError, check_one_of
from jgraph.initializers.initializer import Initializer, draw
from jgraph.layers.checks import check_numbers, check_rank, check_width, check_window, sizes
from jgraph.layers.standard import Standard
from jgraph.ops.activations import Activation, activation
from jgraph.ops.convolve import convolve
from jgraph.regularizers import Regularizer
from jgraph.typing import Array, Key, Params, Spec, State

AXES = {
    1: "[batch, steps, channels]",
    2: "[batch, height, width, channels]",
    3: "[batch, depth, height, width, channels]",
}


class Windowed(Standard):
    """`y = activation(linear(x) + bias)` with weights over windows: what all convolutions check and share.

    A subclass gives the fields, the rank of its space, the shapes of its weights and the linear part.
    """

    rank: ClassVar[int]
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    mixes_rows = False
    logits = "always"

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("kernel_size", "strides", "dilation_rate"):
            self.steps(field)
        check_one_of(type(self).__name__, "padding", vars(self)["padding"], self.paddings)

    @abc.abstractmethod
    def shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """The shapes of all weights, for inputs with that many channels."""

    @abc.abstractmethod
    def linear(self, params: Params, x: Array) -> Array:
        """What is computed before the bias is added."""

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Draws the kernels and the bias."""
        check_rank(self, x, self.rank + 2, AXES[self.rank])
        check_numbers(self, x)
        shapes = self.shapes(check_width(self, x))
        self.check_extents(x)
        if not vars(self)["use_bias"]:
            del shapes["bias"]
        return {n: draw(self._field(n, "initializer"), key, n, shape) for n, shape in shapes.items()}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Convolves, adds, activates."""
        del train, key
        self.check_extents(x)
        y = self.linear(params, x)
        return activation(vars(self)["activation"])(y + params["bias"] if "bias" in params else y), state

    def steps(self, field: str) -> tuple[int, ...]:
        """A field with one number per spatial axis."""
        return sizes(type(self).__name__, field, vars(self)[field], self.rank)

    def reach(self) -> tuple[int, ...]:
        """How many steps a window reaches over, on each axis."""
        taps = zip(self.steps("kernel_size"), self.steps("dilation_rate"), strict=True)
        return tuple((k - 1) * d + 1 for k, d in taps)

    def places(self) -> dict[str, Any]:
        """Where the windows lie, as the functions of `jgraph.ops` take it."""
        strides, dilation = self.steps("strides"), self.steps("dilation_rate")
        return {"strides": strides, "padding": vars(self)["padding"], "dilation": dilation}

    def check_extents(self, x: Any) -> None:
        """Checks that there are outputs; also in `apply`, where free axes have got their sizes."""
        check_window(self, x, self.reach(), vars(self)["padding"])


def check_strides_or_dilation(layer: Windowed) -> None:
    """Checks that strides and dilation are not both above 1 (Keras' rule).

    Raises:
        ArgumentError: they are.
    """
    if max(layer.steps("strides")) > 1 and max(layer.steps("dilation_rate")) > 1:
        raise ArgumentError(
            f"{type(layer).__name__}, strides",
            expected="strides or dilation_rate above 1, not both",
            got=f"strides={vars(layer)['strides']!r}, dilation_rate={vars(layer)['dilation_rate']!r}",
            cure="Set one of them to 1 (Keras' rule).",
        )


class _Conv(Windowed):
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
    kernel_regularizer: Regularizer = None
    bias_regularizer: Regularizer = None
    activity_regularizer: Regularizer = None
    kernel_constraint: Constraint = None
    bias_constraint: Constraint = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strides_or_dilation(self)
        if self.filters % self.groups:
            raise ArgumentError(
                f"{type(self).__name__}, groups",
                expected="a divisor of filters",
                got=f"groups={self.groups}, filters={self.filters}",
                cure="Each group makes filters / groups of the channels.",
            )

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params."""
        return {"kernel": ("...", "features", "filters"), "bias": ("filters",)}

    def shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """One kernel for all channels of a group."""
        if channels % self.groups:
            raise ShapeError(
                repr(self),
                expected=f"channels that {self.groups} groups divide",
                got=str(channels),
                cure="Choose groups that divide the channels.",
            )
        kernel = (*self.steps("kernel_size"), channels // self.groups, self.filters)
        return {"kernel": kernel, "bias": (self.filters,)}

    def linear(self, params: Params, x: Array) -> Array:
        """The convolution."""
        return convolve(x, params["kernel"], groups=self.groups, **self.places())


class Conv1D(_Conv):
    """`y[t] = activation(sum_i x[t * strides + i * dilation_rate] @ kernel[i] + bias)` over steps.

    [batch, steps, n] -> [batch, steps', filters]. A window reaches over `w = (kernel_size - 1) * dilation_rate + 1`
    steps; windows lie `strides` apart. `padding`:

    - `valid`, no zeros are added: steps' = (steps - w) // strides + 1
    - `same`, zeros at both ends: steps' = ceil(steps / strides)
    - `causal`, zeros in front alone, so that no output sees a later step: steps' = ceil(steps / strides)

    With `groups` above 1, the channels are cut into that many parts, each with filters / groups filters of its own.
    A mask ends here, as in Keras: a window sees masked steps too.

    Parameters: `kernel` [kernel_size, n / groups, filters], `bias` [filters]. As `keras.layers.Conv1D`, channels last;
    `padding` is written small, and may be no list.

    Raises:
        ArgumentError: a size, padding or name is not valid, `groups` does not divide `filters`, or strides and
            dilation_rate are both above 1 (Keras' rule).
        ShapeError: the input has another rank, its channels are free or not divided by `groups`, or it has fewer than
            w steps where `padding` is `valid`.
        DTypeError: the input holds booleans or complex numbers.

    >>> import jgraph as jg
    >>> jg.layers.Conv1D(8, 3, padding="causal")(jg.Input((20, 4)))
    <Symbol float32[batch, 20, 8]>
    """

    rank = 1
    paddings = ("valid", "same", "causal")


class Conv2D(_Conv):
    """`y[p] = activation(sum_i x[p * strides + i * dilation_rate] @ kernel[i] + bias)` over the places p of an image.

    [batch, height, width, n] -> [batch, height', width', filters]. Sizes are one number for both axes or one for each.
    On each axis, a window reaches over `w = (kernel_size - 1) * dilation_rate + 1` places; windows lie `strides`
    apart. `padding`:

    - `valid`, no zeros are added: height' = (height - w) // strides + 1
    - `same`, zeros at both ends: height' = ceil(height / strides)

    With `groups` above 1, the channels are cut into that many parts, each with filters / groups filters of its own.
    A mask ends here, as in Keras.

    Parameters: `kernel` [*kernel_size, n / groups, filters], `bias` [filters]. As `keras.layers.Conv2D`, channels last;
    `padding` is written small, and may be no list.

    Raises:
        ArgumentError: a size, padding or name is not valid, `groups` does not divide `filters`, or strides and
            dilation_rate are both above 1 on any axes (Keras' rule).
        ShapeError: the input has another rank, its channels are free or not divided by `groups`, or an axis is shorter
            than w where `padding` is `valid`.
        DTypeError: the input holds booleans or complex numbers.

    >>> import jgraph as jg
    >>> jg.layers.Conv2D(8, 3, strides=2, padding="same")(jg.Input((28, 28, 1)))
    <Symbol float32[batch, 14, 14, 8]>
    """

    strides: int | tuple[int, ...] = (1, 1)
    dilation_rate: int | tuple[int, ...] = (1, 1)

    rank = 2


class Conv3D(_Conv):
    """`y[p] = activation(sum_i x[p * strides + i * dilation_rate] @ kernel[i] + bias)` over the places p of a volume.

    [batch, depth, height, width, n] -> [batch, depth', height', width', filters]. Sizes are one number for all axes or
    one for each. On each axis, a window reaches over `w = (kernel_size - 1) * dilation_rate + 1` places; windows lie
    `strides` apart. `padding`:

    - `valid`, no zeros are added: depth' = (depth - w) // strides + 1
    - `same`, zeros at both ends: depth' = ceil(depth / strides)

    With `groups` above 1, the channels are cut into that many parts, each with filters / groups filters of its own.
    A mask ends here, as in Keras.

    Parameters: `kernel` [*kernel_size, n / groups, filters], `bias` [filters]. As `keras.layers.Conv3D`, channels last;
    `padding` is written small, and may be no list.

    Raises:
        ArgumentError: a size, padding or name is not valid, `groups` does not divide `filters`, or strides and
            dilation_rate are both above 1 on any axes (Keras' rule).
        ShapeError: the input has another rank, its channels are free or not divided by `groups`, or an axis is shorter
            than w where `padding` is `valid`.
        DTypeError: the input holds booleans or complex numbers.

    >>> import jgraph as jg
    >>> jg.layers.Conv3D(8, (1, 3, 3), strides=(1, 2, 2))(jg.Input((6, 9, 9, 2)))
    <Symbol float32[batch, 6, 4, 4, 8]>
    """

    strides: int | tuple[int, ...] = (1, 1, 1)
    dilation_rate: int | tuple[int, ...] = (1, 1, 1)

    rank = 3
