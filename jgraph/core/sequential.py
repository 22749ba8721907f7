"""A plain stack of layers: the model that needs no drawing."""

from collections.abc import Iterable
from typing import Any

import jax

from jgraph.core.layer import InputLayer, Layer, input_symbol
from jgraph.core.model import Model
from jgraph.core.nest import draw_within, with_masks
from jgraph.core.spec import known
from jgraph.core.symbol import Symbol
from jgraph.draw.specs import show_tree
from jgraph.errors import ArgumentError, listing
from jgraph.typing import Key, Params, PyTree, Spec, State


class Stack(Layer):
    """Layers one after the other, for inputs of a shape that is not known yet; made by `jg.Sequential`.

    `init(key, spec)` and `apply(params, state, x)` work as for any layer; drawn into a graph it is a nested model.
    """

    layers: tuple[Layer, ...]

    is_graph = True

    def on(self, spec: Spec) -> Model:
        """The stack as a model, for inputs of this spec (with the batch axis)."""
        x = start = input_symbol(InputLayer(known(spec)[1:], str(spec.dtype)), spec, object())
        for layer in self.layers:
            x = layer(x)
        return Model(start, x, name=self.name)

    def init(self, key: Key, *specs: Spec) -> tuple[Params, State]:
        """Makes the parameters and state of all layers for an input of this spec."""
        return self.on(specs[0]).init(key)

    def apply(
        self, params: Params, state: State, *inputs: Any, train: bool = False, key: Key | None = None
    ) -> tuple[PyTree, State]:
        """Applies the layers one after the other."""
        spec = jax.ShapeDtypeStruct(inputs[0].shape, inputs[0].dtype)
        return self.on(spec).apply(params, state, inputs[0], train=train, key=key)

    def index_range(self) -> int | None:
        """That of the first layer."""
        return self.layers[0].index_range()

    def default_name(self) -> str:
        """Stacks without a name are called as Keras calls them."""
        return "sequential"

    def __call__(self, *inputs: Any, mask: Any = None, **kwargs: Any) -> PyTree:
        """Draws the layers into the caller's graph as one nested model; `mask` sets the input's mask by hand."""
        if len(inputs) != 1 or not isinstance(inputs[0], Symbol) or kwargs:
            got = show_tree(inputs) + (f" and {listing(kwargs)}" if kwargs else "")
            raise ArgumentError(
                repr(self), expected="one symbol, and perhaps its mask", got=got, cure="Stacks have one input."
            )
        return draw_within(self, self.on(inputs[0].spec), with_masks(inputs[0], mask, repr(self)))


def Sequential(layers: Iterable[Any], *, name: str | None = None) -> Any:  # noqa: N802 (Keras' name)
    """A plain stack of layers: a `Model` where it begins with `jg.Input(...)`, else a layer for any input.

    Raises:
        ArgumentError: there is no layer, or something in the list is none.

    >>> import jgraph as jg
    >>> jg.Sequential([jg.Input((8,)), jg.layers.Dense(4), jg.layers.Dense(2)]).outputs
    <Symbol float32[batch, 2]>
    """
    given = [*layers] if isinstance(layers, Iterable) and not isinstance(layers, Symbol) else None
    first, *rest = given or [None]
    stack = rest if isinstance(first, Symbol) else [first, *rest]
    wrong = [layer for layer in stack if not isinstance(layer, Layer)]
    if wrong or not stack:
        raise ArgumentError(
            "Sequential, layers",
            expected="a list of layers, the first perhaps jg.Input(...)",
            got=repr(layers) if given is None else repr(wrong[0]) if wrong and given else "no layer",
            cure="Lift functions with jg.op, Flax modules with jg.as_layer.",
        )
    if not isinstance(first, Symbol):
        return Stack(tuple(stack), name=name)
    x = first
    for layer in stack:
        x = layer(x)
    return Model(first, x, name=name)
