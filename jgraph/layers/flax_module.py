"""Flax Linen modules as layers: `params` as they are, all other collections as state."""

import inspect
from typing import TYPE_CHECKING, Any

import jax

from jgraph.core.layer import Layer, snake_case
from jgraph.core.spec import concrete
from jgraph.keys import fold
from jgraph.layers.regularization import need_key
from jgraph.typing import Key, Params, PyTree, Spec, State

if TYPE_CHECKING:
    from flax import linen

# How Flax modules are told whether they are trained, and whether they hear it the other way round.
TRAIN_WORDS = {
    "train": False,
    "training": False,
    "is_training": False,
    "deterministic": True,
    "use_running_average": True,
}


class FlaxModule(Layer):
    """A Flax Linen module; made by `jg.as_layer(module)`.

    The collection `params` is the layer's params, every other one that `init` makes is part of its state. An argument
    of `__call__` named train, training, is_training, deterministic or use_running_average is given what fits, unless
    the module has a field of that name that says it already. While training, every random stream is fed from the
    layer's key. What is sown into `intermediates` is not collected; a state that sowing would make grow is an error.

    >>> import flax.linen as nn, jgraph as jg
    >>> jg.as_layer(nn.Dense(3))(jg.Input((5,)))
    <Symbol float32[batch, 3]>
    """

    module: "linen.Module"

    def init(self, key: Key, *specs: Spec, **options: Any) -> tuple[Params, State]:
        """Initialises the module; sizes that are not known stand in as numbers, on which parameters cannot depend."""
        known = jax.tree.map(lambda s: concrete(s) if isinstance(s, jax.ShapeDtypeStruct) else s, (specs, options))
        streams = {"params": fold(key, "params"), "dropout": fold(key, "dropout")}
        variables = _unboxed(self.module.lazy_init(streams, *known[0], **known[1], **self._mode(False)))
        params = variables.pop("params", {})
        return params, variables

    def apply(
        self, params: Params, state: State, *inputs: Any, train: bool = False, key: Key | None = None, **options: Any
    ) -> tuple[PyTree, State]:
        """Applies the module; its state changes only where the module changes it."""
        variables = {**({"params": params} if params else {}), **state}
        streams = {n: fold(key, n) for n in ("params", "dropout")} if key is not None else None
        try:
            outputs, changed = self.module.apply(
                variables, *inputs, **options, **self._mode(train), rngs=streams, mutable=list(state)
            )
        except Exception as error:
            if type(error).__name__ == "InvalidRngError":
                need_key(self, key)
            raise
        return outputs, {**state, **_unboxed(changed)}

    def _mode(self, train: bool) -> dict[str, Any]:
        words = inspect.signature(type(self.module).__call__).parameters
        asked = [word for word in TRAIN_WORDS if word in words and getattr(self.module, word, None) is None]
        return {word: train != TRAIN_WORDS[word] for word in asked}

    def default_name(self) -> str:
        """The class of the module, in snake case."""
        return snake_case(type(self.module).__name__)

    def describe(self) -> str:
        """The class of the module, as a table shows it."""
        return f"flax {type(self.module).__name__}"

    def __repr__(self) -> str:
        return f"as_layer({type(self.module).__name__}(...))"


def _unboxed(variables: Any) -> dict[str, Any]:
    """Plain dicts of plain arrays: without the boxes that carry partitioning, and without frozen dicts."""
    from flax.core import meta, unfreeze

    return unfreeze(meta.unbox(dict(variables)))
