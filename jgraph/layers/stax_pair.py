"""Pairs of stax, `(init_fun, apply_fun)`, as layers: their params, tuples in lists, as nested dicts."""

import functools
import inspect
from typing import Any

import jax

from jgraph.core.spec import concrete
from jgraph.layers.foreign import Foreign, Packing, check_functions, packing_of
from jgraph.typing import Function, Key, Params, PyTree, State


class StaxPair(Foreign):
    """A pair of `jax.example_libraries.stax`; made by `jg.as_layer(stax.serial(...))`, or of the two functions.

    The two are `init_function` and `apply_function`, stax's `init_fun` and `apply_fun`; a pair is known by the second
    parameter of the first, which stax calls `input_shape`. Several inputs are given to `apply_fun` as one tuple. The
    params are packed into nested dicts, by their places: `params["0"]["1"]` is the bias of the first layer of a
    `stax.serial`. There is no state: stax's BatchNorm always takes the batch's own statistics.

    While training `apply_fun` is given `rng=` from the layer's key. stax's layers know nothing of `train`: a Dropout
    that was made with `mode="train"` (its default) drops in evaluation too, there by the same draw every time. What is
    to drop while training alone is a `jg.layers.Dropout` between two pairs, or a pair of one's own: `train=` is passed
    on to whoever takes it.

    Raises:
        KeyMismatchError: two leaves of the params would have the same path.
        SaveError: it is pickled, and what it holds cannot be.

    >>> from jax.example_libraries import stax
    >>> import jgraph as jg
    >>> jg.as_layer(stax.serial(stax.Dense(8), stax.Relu, stax.Dense(3)))(jg.Input((5,)))
    <Symbol float32[batch, 3]>
    """

    init_function: Function
    apply_function: Function

    def __post_init__(self) -> None:
        super().__post_init__()
        check_functions(self)

    def init(self, key: Key, *specs: Any) -> tuple[Params, State]:
        """Calls `init_fun` with the inputs' shapes; sizes that are not known stand in as numbers."""
        _, params = self.init_function(key, _shapes(specs))
        return packing_of(params, repr(self)).pack(params), {}

    def apply(
        self, params: Params, state: State, *inputs: Any, train: bool = False, key: Key | None = None
    ) -> tuple[PyTree, State]:
        """Calls `apply_fun`."""
        packing = _packing(self.init_function, *_frozen(_shapes(inputs)))
        rng = jax.random.key(0) if key is None and not train else key
        words = _accepted(self.apply_function, {"rng": rng, "train": train})
        return self.apply_function(packing.unpack(params), _together(inputs), **words), state

    def default_name(self) -> str:
        """Pairs of stax without a name are called `stax`, `stax_1`, ..."""
        return "stax"

    def describe(self) -> str:
        """The kind of layer, for tables."""
        return "stax pair"

    def __repr__(self) -> str:
        return "as_layer(init_fun, apply_fun)" if self.name is None else f"as_layer(..., name={self.name!r})"


def _together(inputs: tuple) -> Any:
    return inputs[0] if len(inputs) == 1 else inputs


def _shapes(inputs: tuple) -> Any:
    """The shapes as stax takes them: tuples of numbers, in the structure that `apply_fun` is given."""
    specs = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(getattr(leaf, "shape", ()), "float32"), _together(inputs))
    return jax.tree.map(lambda spec: concrete(spec).shape, specs)


def _frozen(shapes: Any) -> tuple[tuple, Any]:
    """A tree of shapes as what can be looked up by."""
    leaves, tree = jax.tree.flatten(shapes, is_leaf=lambda node: isinstance(node, tuple) and _is_shape(node))
    return tuple(leaves), tree


def _is_shape(node: tuple) -> bool:
    return all(isinstance(size, int) for size in node)


@functools.lru_cache(maxsize=256)
def _packing(function: Function, shapes: tuple, tree: Any) -> Packing:
    """How the params that `init_fun` makes for these shapes are packed; found without making them."""

    def params(key: Key) -> PyTree:
        _, made = function(key, jax.tree.unflatten(tree, shapes))  # stax.parallel gives an iterator
        return made

    return packing_of(jax.eval_shape(params, jax.random.key(0)), "the params of a stax pair")


def _accepted(function: Function, words: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments that a function takes."""
    parameters = inspect.signature(function).parameters
    every = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    return {word: value for word, value in words.items() if every or word in parameters}


def is_stax_init(function: Any) -> bool:
    """True for a function whose second parameter is called `input_shape`, as stax calls it.

    >>> is_stax_init(lambda rng, input_shape: (input_shape, ()))
    True
    """
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return False
    return names[1:2] == ["input_shape"]
