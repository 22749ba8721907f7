"""The fully connected layer."""

from typing import Any

from jgraph.constraints import Constraint
from jgraph.initializers.initializer import Initializer, draw
from jgraph.layers.checks import check_width
from jgraph.layers.standard import Standard
from jgraph.ops.activations import Activation, activation
from jgraph.regularizers import Regularizer
from jgraph.typing import Array, Key, Params, Spec, State


class Dense(Standard):
    """`y = activation(x @ kernel + bias)`: [batch, ..., n] -> [batch, ..., units]; passes a mask on.

    Parameters: `kernel` [n, units], `bias` [units]. As `keras.layers.Dense`.

    Raises:
        ArgumentError: `units` is not a positive integer, or a name is not known.
        ShapeError: the last axis is free or missing.

    >>> import jgraph as jg
    >>> jg.layers.Dense(64, activation="relu")(jg.Input((10,)))
    <Symbol float32[batch, 64]>
    """

    units: int
    activation: Activation = None
    use_bias: bool = True
    kernel_initializer: Initializer = "glorot_uniform"
    bias_initializer: Initializer = "zeros"
    kernel_regularizer: Regularizer = None
    bias_regularizer: Regularizer = None
    activity_regularizer: Regularizer = None
    kernel_constraint: Constraint = None
    bias_constraint: Constraint = None

    mixes_rows = False
    logits = "always"

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params."""
        return {"kernel": ("features", "units"), "bias": ("units",)}

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Draws the kernel and the bias."""
        params = {"kernel": draw(self.kernel_initializer, key, "kernel", (check_width(self, x), self.units))}
        if self.use_bias:
            params["bias"] = draw(self.bias_initializer, key, "bias", (self.units,))
        return params, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Multiplies, adds, activates."""
        del train, key
        y = x @ params["kernel"]
        return activation(self.activation)(y + params["bias"] if self.use_bias else y), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Rows and steps stay where they are."""
        return mask
