"""How a node is computed, beside what it computes: dtypes, whether it is trained, what is kept for the gradient.

`initialized` and `applied` are the only ways in which jgraph calls a layer's `init` and `apply`, so that what is
inferred when a graph is drawn is what is computed when it runs.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.typing import Array, Key, Params, PyTree, State


@dataclasses.dataclass(frozen=True, eq=False)
class Places:
    """Where a layer finds its params on a mesh, a tree of `jax.sharding.NamedSharding`, and where its outputs lie.

    What is split over more devices than `params` say is brought together for the layer alone: within a block that is
    computed again for the gradient, it is brought together again.
    """

    params: PyTree = None
    outputs: Any = None


@dataclasses.dataclass(frozen=True)
class Treatment:
    """What a policy says of a node.

    `remat`: activations inside are computed again for the gradient, not kept; that of a nested model is one block, and
    so are nodes that follow each other and have the same text here.
    `dtype`: floating inputs and params are cast to it before the layer is applied, floating outputs after; state is
    not. `param_dtype`: the dtype that floating params are made and kept in. `trainable`: whether params are trained;
    where not, no gradient reaches them, and a layer with state is applied as it is outside of training, so that its
    state stays too (as Keras' frozen `BatchNormalization`). A layer that is called inside a frozen model and outside of
    it is trained through its other calls alone. `places`: where params and outputs lie on a mesh; a trainer says so of
    the model that it runs, never a policy.
    """

    remat: bool | str = False
    dtype: str | None = None
    param_dtype: str | None = None
    trainable: bool = True
    places: Places | None = dataclasses.field(default=None, metadata={"of_policy": False})

    def typing(self) -> "Treatment":
        """The part that changes dtypes."""
        return Treatment(dtype=self.dtype, param_dtype=self.param_dtype)


PLAIN = Treatment()


def initialized(
    layer: Any, treatment: Treatment, key: Key, specs: tuple, options: dict[str, Any]
) -> tuple[Params, State]:
    """What the layer's `init` makes, params in the dtype of the treatment."""
    made = layer.init(key, *specs, **options)
    if treatment.param_dtype is None:
        return made
    params, state = made
    return cast(params, treatment.param_dtype), state


def applied(
    layer: Any,
    treatment: Treatment,
    params: Params,
    state: State,
    args: tuple,
    options: dict[str, Any],
    train: bool = False,
    key: Key | None = None,
) -> Any:
    """What the layer's `apply` gives under a treatment."""
    if (places := treatment.places) is not None:
        own = dataclasses.replace(treatment, places=None)
        lying = (
            params if places.params is None or not params else jax.lax.with_sharding_constraint(params, places.params)
        )
        outputs, state = applied(layer, own, lying, state, args, options, train, key)
        return outputs if places.outputs is None else jax.lax.with_sharding_constraint(outputs, places.outputs), state
    if not treatment.trainable:
        params, train = jax.lax.stop_gradient(params), train and not state
    if treatment.dtype is None:
        return layer.apply(params, state, *args, **options, train=train, key=key)
    params, args, options = cast((params, args, options), treatment.dtype)
    result = layer.apply(params, state, *args, **options, train=train, key=key)
    if isinstance(result, tuple) and len(result) == 2:  # anything else is refused where the layer is drawn
        return cast(result[0], treatment.dtype), result[1]
    return result


def penalized(layer: Any, treatment: Treatment, params: Params, args: tuple, outputs: PyTree) -> Array | float:
    """The layer's penalty under a treatment, taken in at least float32."""
    if not layer.penalizes():
        return 0.0
    params = params if treatment.trainable else jax.lax.stop_gradient(params)
    return layer.penalty(*widened((params, args, outputs)))


def widened(tree: PyTree) -> PyTree:
    """The tree with its floating arrays in at least float32, in which all sums are taken.

    >>> import jax.numpy as jnp
    >>> widened([jnp.ones(2, "bfloat16"), jnp.ones(2, "int8")])[0].dtype
    dtype('float32')
    """

    def one(leaf: Any) -> Any:
        return jnp.asarray(leaf, jnp.float32) if is_floating(leaf) and jnp.finfo(leaf.dtype).bits < 32 else leaf

    return jax.tree.map(one, tree)


def is_floating(leaf: Any) -> bool:
    """Whether it is an array of floating numbers."""
    return isinstance(leaf, (jax.Array, np.ndarray, np.generic)) and jnp.issubdtype(leaf.dtype, jnp.floating)


def cast(tree: PyTree, dtype: str) -> PyTree:
    """The tree with its floating arrays in a dtype; everything else, Python's numbers too, as it is.

    >>> import jax.numpy as jnp
    >>> cast({"a": jnp.ones(2), "b": jnp.ones(2, "int32"), "c": 1.5}, "bfloat16")["a"].dtype
    dtype(bfloat16)
    """
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if is_floating(leaf) else leaf, tree)
