"""Making layers of what is none yet: a pair of functions, or a module of Flax."""

from typing import Any

from jgraph.core.layer import Layer
from jgraph.errors import ArgumentError
from jgraph.layers.flax_module import FlaxModule
from jgraph.typing import Function, Key, Params, PyTree, Spec, State


class Pair(Layer):
    """A layer from two functions; made by `jg.as_layer(init, apply)`.

    >>> import jgraph as jg
    >>> jg.layers.Pair(lambda key, x: ({}, {}), lambda params, state, x, train, key: (-x, state))(jg.Input((3,)))
    <Symbol float32[batch, 3]>
    """

    init_function: Function
    apply_function: Function

    def init(self, key: Key, *specs: Spec) -> tuple[Params, State]:
        """Calls the first function."""
        return self.init_function(key, *specs)

    def apply(
        self, params: Params, state: State, *inputs: Any, train: bool = False, key: Key | None = None
    ) -> tuple[PyTree, State]:
        """Calls the second function."""
        return self.apply_function(params, state, *inputs, train=train, key=key)

    def default_name(self) -> str:
        """Pairs without a name are called `pair`, `pair_1`, ..."""
        return "pair"


def as_layer(init: Any, apply: Function | None = None, *, name: str | None = None) -> Layer:
    """A layer from a Flax Linen module, or of two functions: `init(key, *specs)`, `apply(params, state, *inputs, ...)`.

    Raises:
        ArgumentError: neither was given.

    >>> import jgraph as jg
    >>> def double(params, state, x, train, key):
    ...     return 2 * x, state
    >>> double = jg.as_layer(lambda key, x: ({}, {}), double, name="double")
    >>> double(jg.Input((3,)))
    <Symbol float32[batch, 3]>
    """
    if apply is None and _is_linen(init):
        return FlaxModule(init, name=name)
    if callable(init) and callable(apply):
        return Pair(init, apply, name=name)
    raise ArgumentError(
        "as_layer",
        expected="a Flax Linen module, or two functions init and apply",
        got=f"{type(init).__name__}" + (f" and {type(apply).__name__}" if apply is not None else ""),
        cure="Write jg.as_layer(nn.Dense(64)) or jg.as_layer(init, apply).",
    )


def _is_linen(value: Any) -> bool:
    """Looks at the names of the classes, so that Flax is imported only by those who use it."""
    return any(f"{c.__module__}.{c.__qualname__}" == "flax.linen.module.Module" for c in type(value).__mro__)
