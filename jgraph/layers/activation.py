"""Element by element: an activation function as a layer, and the layer that changes nothing."""

from typing import Any

from jgraph.core.layer import Layer
from jgraph.ops.activations import activation, check_activation
from jgraph.typing import Array, Function, Key, Params, PyTree, State


class Activation(Layer):
    """`y = activation(x)`, of the same shape; passes a mask on. As `keras.layers.Activation`.

    `Activation("linear")` at the end of a model says that what comes before it are logits.

    Raises:
        ArgumentError: the name is not known; the nearest one is suggested.

    >>> import jgraph as jg
    >>> jg.layers.Activation("relu")(jg.Input((4,)))
    <Symbol float32[batch, 4]>
    """

    activation: str | Function

    mixes_rows = False
    logits = "always"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_activation("Activation", activation=self.activation)

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Applies the function."""
        del params, train, key
        return activation(self.activation)(x), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Rows and steps stay where they are."""
        return mask


class Identity(Layer):
    """`y = x`, for any tree of tensors; masks stay with their tensors. As `keras.layers.Identity`.

    >>> import jgraph as jg
    >>> jg.layers.Identity()(jg.Input((4,)))
    <Symbol float32[batch, 4]>
    """

    mixes_rows = False
    logits = "the inputs"

    def apply(
        self, params: Params, state: State, x: PyTree, *, train: bool = False, key: Key | None = None
    ) -> tuple[PyTree, State]:
        """Gives back what it gets."""
        del params, train, key
        return x, state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Everything stays where it is."""
        return mask
