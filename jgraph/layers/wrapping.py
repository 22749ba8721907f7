"""What layers share that hold other layers: params, penalties and constraints are those of what they hold."""

from typing import Any

from jgraph.core.layer import Layer
from jgraph.core.model import Model
from jgraph.core.sequential import Stack
from jgraph.tree import put, read
from jgraph.typing import Array, Params


class Wrapping(Layer):
    """A layer around others. A class says which by `held`; what training asks for is answered by them."""

    def held(self) -> dict[tuple[str, ...], Any]:
        """The layers by where in the params theirs are; `()` where they are the params themselves."""
        return {}

    def regularizes(self) -> bool:
        """True where one of them does."""
        return any(layer.regularizes() for layer in self.held().values())

    def regularization(self, params: Params) -> Array | float:
        """The sum of theirs."""
        return sum((layer.regularization(read(params, path)) for path, layer in self.held().items()), start=0.0)

    def constrains(self) -> bool:
        """True where one of them does."""
        return any(layer.constrains() for layer in self.held().values())

    def constrain(self, params: Params) -> Params:
        """As each of them does."""
        constrained: Params = {}
        for path, layer in self.held().items():
            put(constrained, path, layer.constrain(read(params, path)))
        return constrained

    def frozen(self, params: Params) -> tuple[tuple[str, ...], ...]:
        """What is frozen in each of them."""
        held = self.held().items()
        return tuple((*path, *inner) for path, layer in held for inner in layer.frozen(read(params, path)))

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """Those of each of them."""
        held = self.held().items()
        return {"/".join((*path, end)): n for path, layer in held for end, n in layer.named_dimensions().items()}

    def index_range(self) -> int | None:
        """The smallest that one of them has."""
        return min((n for layer in self.held().values() if (n := layer.index_range()) is not None), default=None)


def some_mix(layer: Wrapping) -> bool:
    """Whether one of the layers that a layer holds mixes rows."""
    return any(part.mixes_rows for held in layer.held().values() for part in parts_of(held))


mixing: Any = property(some_mix)
"""What a class with an `apply` of its own writes: `mixes_rows = mixing`."""


def parts_of(layer: Any) -> list[Any]:
    """The layers that a layer consists of: those of stacks and models, within each other too, or itself alone."""
    parts, left = [], [layer]
    while left:
        part = left.pop()
        if isinstance(part, (Stack, Model)):
            left.extend(part.layers if isinstance(part, Stack) else part.layers.values())
        else:
            parts.append(part)
    return parts
