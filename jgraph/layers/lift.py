"""Making layers of what is none yet: a pair of functions, or a module of another library."""

from typing import Any

from jgraph.core.layer import Layer
from jgraph.errors import ArgumentError, is_function
from jgraph.layers.equinox_module import EquinoxModule
from jgraph.layers.flax_module import FlaxModule, NNXModule
from jgraph.layers.foreign import check_functions, is_module
from jgraph.layers.stax_pair import StaxPair, is_stax_init
from jgraph.typing import Function, Key, Params, PyTree, Spec, State


class Pair(Layer):
    """A layer from two functions; made by `jg.as_layer(init, apply)`.

    `init_function(key, *specs)` gives `(params, state)`, and `apply_function(params, state, *inputs, train=, key=)`
    gives `(outputs, state)`: what `init` and `apply` of a layer give.

    Raises:
        ArgumentError: one of the two is no function.

    >>> import jgraph as jg
    >>> jg.layers.Pair(lambda key, x: ({}, {}), lambda params, state, x, train, key: (-x, state))(jg.Input((3,)))
    <Symbol float32[batch, 3]>
    """

    init_function: Function
    apply_function: Function

    def __post_init__(self) -> None:
        super().__post_init__()
        check_functions(self)

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


def as_layer(init: Any, apply: Any = None, *, name: str | None = None) -> Layer:
    """A layer from a module of another library, or of two functions `init` and `apply`.

    | given | a layer of |
    |---|---|
    | `init(key, *specs)`, `apply(params, state, *inputs, train, key)` | the two functions |
    | a Flax Linen module | `jg.layers.FlaxModule` |
    | a Flax NNX module | `jg.layers.NNXModule`, which starts from the module's own arrays |
    | an Equinox module, and its `eqx.nn.State` if it has one | `jg.layers.EquinoxModule`, the same |
    | a pair of stax | `jg.layers.StaxPair` |

    Two things may also be given as one tuple: `jg.as_layer(stax.Dense(3))`,
    `jg.as_layer(eqx.nn.make_with_state(Block)(...))`.

    Raises:
        ArgumentError: it is none of these.

    >>> import jgraph as jg
    >>> def double(params, state, x, train, key):
    ...     return 2 * x, state
    >>> double = jg.as_layer(lambda key, x: ({}, {}), double, name="double")
    >>> double(jg.Input((3,)))
    <Symbol float32[batch, 3]>
    """
    given: Any = init
    if apply is None and isinstance(init, tuple) and len(init) == 2:
        given, apply = init
    if is_module(given, "equinox"):
        return EquinoxModule(given, apply, name=name)
    if apply is None and is_module(given, "flax.linen"):
        return FlaxModule(given, name=name)
    if apply is None and is_module(given, "flax.nnx"):
        return NNXModule(given, name=name)
    if is_function(given) and is_function(apply):
        return (StaxPair if is_stax_init(given) else Pair)(given, apply, name=name)
    kinds = [f"the class {t.__name__}" if isinstance(t, type) else type(t).__name__ for t in (given, apply)]
    raise ArgumentError(
        "as_layer",
        expected="a module of Flax or Equinox, a pair of stax, or two functions init and apply",
        got=kinds[0] if apply is None else " and ".join(kinds),
        cure=f"Make an object of the class: jg.as_layer({given.__name__}(...))."
        if isinstance(given, type)
        else "Write jg.as_layer(nn.Dense(64)) or jg.as_layer(init, apply).",
    )
