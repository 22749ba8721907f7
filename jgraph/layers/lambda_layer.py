"""A function as a layer, with Keras' arguments."""

import inspect
from typing import Any

from jgraph.core.layer import Op
from jgraph.errors import ArgumentError, is_function
from jgraph.layers.standard import Standard
from jgraph.typing import Function, Key, Params, PyTree, State


class Lambda(Standard):
    """`y = function(x, **arguments)`, for one tensor or any tree of them, as a layer without weights.

    A `function` with a parameter `mask` gets the mask of its inputs, one with a parameter `training` gets `train`. The
    mask ends here, unless `mask`, a function `(inputs, mask) -> mask`, says what goes on; it is given `None` where
    there is no mask, and may make one. `function` must be a pure function of
    its arguments: one that draws random numbers or keeps something is `jg.as_layer(init, apply)`. Rows are taken to
    depend on each other, unless `function` is one of JAX's for single elements.

    Files hold a function of `jax.numpy`, `jax.nn` or `jax.lax` by name, and any other by its own name, which the one
    who loads gives: `jg.load(path, allow=[function])`. A `lambda` has no name and cannot be saved; nothing of its code
    is ever written (Keras writes bytecode). `jg.op(function)(x, **arguments)` does the same for functions of several
    inputs.

    As `keras.layers.Lambda`, but for `output_shape`, which is found by tracing, and for arrays as `mask`, which would
    have the size of one batch.

    Raises:
        ArgumentError: `function` or `mask` is no function, or `arguments` no dict by names.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.layers.Lambda(jnp.sum, arguments={"axis": -1})(jg.Input((5, 4)))
    <Symbol float32[batch, 5]>
    """

    function: Function
    mask: Function | None = None
    arguments: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        given = {} if self.arguments is None else self.arguments
        named = isinstance(given, dict) and all(isinstance(name, str) for name in given)
        checks = (
            ("function", is_function(self.function), "a function", "Write Lambda(jnp.square)."),
            ("mask", self.mask is None or is_function(self.mask), "a function or None", "Write mask=keep_mask."),
            ("arguments", named, "a dict by names, or None", "Write arguments={'axis': -1}."),
        )
        for name, fits, expected, cure in checks:
            if not fits:
                got = repr(getattr(self, name))
                raise ArgumentError(f"Lambda, {name}", expected=expected, got=got, cure=cure)

    def apply(
        self,
        params: Params,
        state: State,
        x: PyTree,
        *,
        mask: Any = None,
        train: bool = False,
        key: Key | None = None,
    ) -> tuple[PyTree, State]:
        """Calls the function."""
        del params, key
        asked = parameters_of(self.function)
        known = {name: value for name, value in (("mask", mask), ("training", train)) if name in asked}
        return self.function(x, **{**(self.arguments or {}), **known}), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """What the function `mask` says, or nothing."""
        return None if self.mask is None else self.mask(inputs[0], mask)

    def mixes(self, *inputs: Any) -> bool:
        """Functions of single elements never mix rows."""
        return bool(self.arguments) or Op(self.function).mixes(*inputs)


def parameters_of(function: Function) -> set[str]:
    """The names of a function's parameters; none where Python does not know them."""
    try:
        return set(inspect.signature(function).parameters)
    except ValueError:
        return set()
