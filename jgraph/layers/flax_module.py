"""Flax modules as layers, of Linen and of NNX, and models as modules of Linen."""

import functools
import inspect
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from jgraph.core.layer import Layer, snake_case
from jgraph.core.model import Model
from jgraph.core.spec import concrete
from jgraph.errors import ArgumentError, ShapeError, check_text, listing
from jgraph.keys import fold
from jgraph.layers.foreign import Foreign, Packing, check_module, packing_of
from jgraph.layers.regularization import need_key
from jgraph.tree import name_of
from jgraph.typing import Key, Params, PyTree, Spec, State

if TYPE_CHECKING:
    from flax import linen, nnx

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

    Raises:
        ArgumentError: it is no module of Flax Linen.

    >>> import flax.linen as nn, jgraph as jg
    >>> jg.as_layer(nn.Dense(3))(jg.Input((5,)))
    <Symbol float32[batch, 3]>
    """

    module: "linen.Module"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_module(self, "flax.linen", "Write jg.as_layer(nn.Dense(64)).")

    def init(self, key: Key, *specs: Spec, **options: Any) -> tuple[Params, State]:
        """Initialises the module; sizes that are not known stand in as numbers, on which parameters cannot depend."""
        known = jax.tree.map(lambda s: concrete(s) if isinstance(s, jax.ShapeDtypeStruct) else s, (specs, options))
        streams = {"params": fold(key, "params"), "dropout": fold(key, "dropout")}
        variables = _unboxed(self.module.lazy_init(streams, *known[0], **known[1], **_mode(self.module, False)))
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
                variables, *inputs, **options, **_mode(self.module, train), rngs=streams, mutable=list(state)
            )
        except Exception as error:
            if type(error).__name__ == "InvalidRngError":
                need_key(self, key)
            raise
        return outputs, {**state, **_unboxed(changed)}

    def default_name(self) -> str:
        """The class of the module, in snake case."""
        return snake_case(type(self.module).__name__)

    def describe(self) -> str:
        """The class of the module, as a table shows it."""
        return f"flax {type(self.module).__name__}"

    def __repr__(self) -> str:
        return f"as_layer({type(self.module).__name__}(...))"


class NNXModule(Foreign):
    """A Flax NNX module; made by `jg.as_layer(module)`.

    What is an `nnx.Param` is the layer's params, every other variable its state; both start from exactly the arrays
    that the module holds, whatever the key. The layer keeps a copy: neither training nor its mode ever change the
    module that was given. Its mode is set as `module.train()` and `module.eval()` of NNX set it, and by the arguments
    of `__call__` that a Linen module would be given. Random streams are no part of the state: while training, each is
    fed from the layer's key and its path; otherwise they are as the module came with them, the same every time. A
    `__call__` with an argument `rngs` is given streams of the key where the module holds none of its own. What is
    sown as `nnx.Intermediate` is not collected; a state that a call would make grow is an error.

    Raises:
        ArgumentError: the module has no `__call__`.

    >>> import jgraph as jg
    >>> from flax import nnx
    >>> jg.as_layer(nnx.Linear(5, 3, rngs=nnx.Rngs(0)))(jg.Input((5,)))
    <Symbol float32[batch, 3]>
    """

    module: "nnx.Module"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_module(self, "flax.nnx", "Write jg.as_layer(nnx.Linear(5, 3, rngs=nnx.Rngs(0))).")
        if not callable(self.module):
            raise ArgumentError(
                repr(self),
                expected="a module with a method `__call__`",
                got="one without",
                cure="Define `__call__` in the class, or lift functions: jg.as_layer(init, apply).",
            )
        object.__setattr__(self, "module", _without_intermediates(self.module))

    def init(self, key: Key, *specs: Spec, **options: Any) -> tuple[Params, State]:
        """The arrays that the module came with."""
        del key, specs, options
        _, params, _, state = _split(self.module)
        return _packing(self, params).fresh(params), _packing(self, state).fresh(state)

    def apply(
        self, params: Params, state: State, *inputs: Any, train: bool = False, key: Key | None = None, **options: Any
    ) -> tuple[PyTree, State]:
        """Merges the module with these arrays, calls it, and splits off its state."""
        from flax import nnx

        graph, own, streams, start = _split(self.module)
        packing = _packing(self, start)
        arrays = _packing(self, own).unpack(params), _fed(streams, key), packing.unpack(state)
        module = nnx.merge(graph, *arrays)
        (module.train if train else module.eval)()
        words = {**options, **_mode(module, train, every=True), **_rngs_asked(module, train, key)}
        outputs = _called(self, module, inputs, words, unfed=train and key is None)
        return outputs, packing.pack(_kept(self, module, (own, start)))

    def default_name(self) -> str:
        """The class of the module, in snake case."""
        return snake_case(type(self.module).__name__)

    def describe(self) -> str:
        """The class of the module, as a table shows it."""
        return f"nnx {type(self.module).__name__}"

    def __repr__(self) -> str:
        return f"as_layer({type(self.module).__name__}(...))"


def _split(module: Any) -> tuple[Any, Any, Any, Any]:
    """The graph of a module, its params, its random streams and all other variables, without those sown."""
    from flax import nnx

    graph, params, streams, _, rest = nnx.split(module, nnx.Param, nnx.RngState, nnx.Intermediate, ...)
    return graph, params, streams, rest


def _without_intermediates(module: Any) -> Any:
    """A copy of the module, without what was sown into it."""
    from flax import nnx

    copied = nnx.clone(module)
    nnx.pop(copied, nnx.Intermediate)
    return copied


def _packing(layer: NNXModule, variables: Any) -> Packing:
    return packing_of(variables, repr(layer), box="value")


def _fed(streams: Any, key: Key | None) -> Any:
    """The random streams of a module, begun anew with a key for the path of each; without a key, copies of them."""
    if key is None:
        return jax.tree.map(lambda leaf: leaf, streams)

    def begun(path: tuple, leaf: Any) -> Any:
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jnp.zeros_like(leaf)
        own = fold(key, name_of(path[:-2]))  # without the variable in the stream, and the value in the variable
        own = own if jnp.issubdtype(own.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(own)
        return jax.random.split(own, leaf.shape) if leaf.shape else own

    return jax.tree_util.tree_map_with_path(begun, streams)


def _rngs_asked(module: Any, train: bool, key: Key | None) -> dict[str, Any]:
    """The argument `rngs` of a call, where the module has it and no streams of its own."""
    from flax import nnx

    asked = "rngs" in inspect.signature(type(module).__call__).parameters
    if not asked or jax.tree.leaves(_split(module)[2]) or (train and key is None):
        return {}
    return {"rngs": nnx.Rngs(jax.random.key(0) if key is None else fold(key, "rngs"))}


def _called(layer: NNXModule, module: Any, inputs: tuple, words: dict[str, Any], unfed: bool) -> PyTree:
    """The outputs of the module; an `unfed` one must not draw from its random streams.

    Raises:
        RandomKeyError: it does.
    """
    before = jax.tree.leaves(_split(module)[2])
    try:
        outputs = module(*inputs, **words)
    except Exception:
        if unfed and "rngs" in inspect.signature(type(module).__call__).parameters:
            need_key(layer, None)
        raise
    if unfed and any(a is not b for a, b in zip(before, jax.tree.leaves(_split(module)[2]), strict=True)):
        need_key(layer, None)
    return outputs


def _kept(layer: NNXModule, module: Any, started: tuple[Any, Any]) -> Any:
    """The state of a module that was called.

    Raises:
        ShapeError: the call made variables that were not there before, or removed some.
    """
    _, params, _, rest = _split(module)
    before, after = (
        {"/".join(path) for tree in trees for path in _packing(layer, tree).paths}
        for trees in (started, (params, rest))
    )
    if before != after:
        raise ShapeError(
            repr(layer),
            expected="a module that has the same variables before and after a call",
            got=f"another {listing(sorted(before ^ after))}",
            cure="Make all variables in the module's __init__; what is to be sown is an nnx.Intermediate.",
        )
    return rest


def _mode(module: Any, train: bool, every: bool = False) -> dict[str, Any]:
    """The arguments of `__call__` that say whether the module is trained; by default no fields that say it already."""
    words = inspect.signature(type(module).__call__).parameters
    asked = [word for word in TRAIN_WORDS if word in words and (every or getattr(module, word, None) is None)]
    return {word: train != TRAIN_WORDS[word] for word in asked}


def _unboxed(variables: Any) -> dict[str, Any]:
    """Plain dicts of plain arrays: without the boxes that carry partitioning, and without frozen dicts."""
    from flax.core import meta, unfreeze

    return unfreeze(meta.unbox(dict(variables)))


def to_linen(model: Model, *, name: str | None = None) -> "linen.Module":
    """A model as a module of Flax Linen: the collections `params` and `state` are the model's trees as they are.

    `module.apply({"params": params, "state": state}, inputs)` is `model.apply(params, state, inputs)[0]`. With
    `train=True` the key of the model is made of `rngs={"dropout": key}`, and `mutable=["state"]` gives the next state
    back. The module can be part of others.

    Raises:
        ArgumentError: what is given is no model.

    >>> import jax, jax.numpy as jnp, jgraph as jg
    >>> module = jg.interop.to_linen(jg.Sequential([jg.Input((5,)), jg.layers.Dense(3)]))
    >>> jax.tree.map(jnp.shape, module.init(jax.random.key(0), jnp.ones((2, 5))))
    {'params': {'dense': {'bias': (3,), 'kernel': (5, 3)}}}
    """
    if not isinstance(model, Model):
        raise ArgumentError(
            "to_linen, model",
            expected="a model",
            got=type(model).__name__,
            cure="Draw it: jg.Model(x, layer(x)), or jg.Sequential([jg.Input((5,)), layer]).",
        )
    if name is not None:
        check_text("to_linen", name=name)
    return _drawn()(model, name=name)


@functools.cache
def _drawn() -> Any:
    """The class of the modules that `to_linen` makes; made here, as Flax is imported only by those who use it."""
    from flax import linen

    class Drawn(linen.Module):
        """A model drawn with jgraph."""

        model: Model

        @linen.compact
        def __call__(self, inputs: PyTree, train: bool = False) -> PyTree:
            if self.is_initializing():
                for collection, tree in zip(("params", "state"), self.model.init(self.make_rng("params")), strict=True):
                    for own, subtree in tree.items():
                        self.put_variable(collection, own, subtree)
            held = _unboxed(self.variables)
            key = self.make_rng("dropout") if train and self.has_rng("dropout") else None
            trees = held.get("params", {}), held.get("state", {})
            outputs, after = self.model.apply(*trees, inputs, train=train, key=key)
            if self.is_mutable_collection("state") and not self.is_initializing():
                for own, subtree in after.items():
                    self.put_variable("state", own, subtree)
            return outputs

        def __reduce__(self) -> tuple:
            return functools.partial(to_linen, name=self.name), (self.model,)

    return Drawn
