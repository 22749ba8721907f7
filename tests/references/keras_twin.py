"""A layer of jgraph and the layer of Keras of the same name, with the same weights on the same inputs."""

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src.backend import set_keras_mask
from keras.src.backend.common.variables import AutocastScope

import jgraph as jg
from jgraph.core.treatment import Treatment, applied, cast
from jgraph.tree import leaves_with_names, put, read

TOLERANCES = {"float32": 1e-5, "bfloat16": 2**-5}
"""By which a leaf may differ, relative to its largest number: both libraries sum in their own order, and round the sums
in between in their own places; eight units of rounding in bfloat16."""

TOLERANCE = TOLERANCES["float32"]
SHARES = {"float32": 0.0, "bfloat16": 0.1}


@dataclasses.dataclass(frozen=True)
class Part:
    """A layer in the configuration of another, which each library makes of its own kind."""

    name: str
    config: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.config.items())})"


def built(value: Any, library: Any) -> Any:
    """A configuration with the parts made, also in lists."""
    if isinstance(value, Part):
        return getattr(library, value.name)(**built(value.config, library))
    if isinstance(value, dict):
        return {k: built(v, library) for k, v in value.items()}
    return [built(v, library) for v in value] if isinstance(value, list) else value


@dataclasses.dataclass(frozen=True)
class Twin:
    """The pair of layers; `params` and `state` are dicts by Keras' names for ours, and lists in its order for Keras.

    `paths` are those of the trained variables, in its order.
    """

    ours: Any
    theirs: Any
    params: dict[str, Any]
    state: dict[str, np.ndarray]
    paths: list[list[str]]
    seeds: list[np.ndarray]
    dtype: str = "float32"

    def functions(self) -> tuple[Any, Any]:
        return self.apply, self.stateless_call

    def apply(self, params: Any, inputs: tuple, train: bool, mask: Any, **options: Any) -> tuple[Any, Any]:
        options |= {} if mask is None else {"mask": mask}
        treatment = Treatment(dtype=None if self.dtype == "float32" else self.dtype)
        return applied(self.ours, treatment, params, self.state, inputs, options, train, jax.random.key(1))

    def stateless_call(self, params: Any, inputs: tuple, train: bool, mask: Any, **options: Any) -> tuple[Any, Any]:
        if mask is not None and "value_mask" in inspect.signature(self.theirs.call).parameters:
            options |= dict(zip(("query_mask", "value_mask", "key_mask"), mask, strict=False))
            inputs = (carrying(self.theirs, inputs[0], mask[0]), *inputs[1:])
        elif mask is not None:
            options |= {"mask": mask}
        options |= {"training": train} if self.theirs._call_has_training_arg else {}
        trained = [read(params, path) for path in self.paths]
        inputs, options = cast((inputs, options), self.dtype)  # as Keras' `__call__` does
        with AutocastScope(self.dtype):
            others = [*self.state.values(), *self.seeds]
            outputs, values = self.theirs.stateless_call(trained, others, *inputs, **options)
        return outputs, dict(zip(self.state, values, strict=False))


def make_twin(name: str, config: dict[str, Any], inputs: tuple, seed: int = 0, dtype: str = "float32") -> Twin:
    """Builds both layers and draws weights for them; their names and shapes are compared on the way.

    With another dtype than float32 both compute in it, with weights in float32.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype if dtype == "float32" else f"mixed_{dtype}")
    try:
        ours, theirs = (built(Part(name, config), library) for library in (jg.layers, keras.layers))
    finally:
        keras.config.set_dtype_policy(before)
    shapes = jax.tree.map(lambda x: (None, *x.shape[1:]), inputs)
    theirs.build(*shapes[: len(inspect.signature(theirs.build).parameters)])
    seeds = [v for v in theirs.non_trainable_variables if "seed" in v.name]
    moving = [v for v in theirs.non_trainable_variables if "seed" not in v.name]
    specs = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), inputs)
    made = jax.eval_shape(lambda key: ours.init(key, *specs), jax.random.key(0))
    groups = theirs.trainable_variables, moving
    own = [{name: v.shape for name, v in leaves_with_names(tree)} for tree in made]
    paths, _ = found = [paths_of(group, names) for group, names in zip(groups, own, strict=True)]
    assert own == [
        {"/".join(p): v.shape for p, v in zip(*pair, strict=True)} for pair in zip(found, groups, strict=True)
    ]
    random = np.random.default_rng(seed)
    params: dict[str, Any] = {}
    for path, v in zip(paths, theirs.trainable_variables, strict=True):
        put(params, path[:-1], {path[-1]: np.asarray(random.normal(size=v.shape) * 0.5, "float32")})
    state = {v.name: random.uniform(0.5, 1.5, v.shape).astype("float32") for v in moving}
    return Twin(ours, theirs, params, state, paths, [np.asarray(v.value) for v in seeds], dtype)


def carrying(theirs: Any, query: Any, mask: Any) -> Any:
    """The query with its mask attached, where alone Keras' MultiHeadAttention looks for it."""
    query = jnp.asarray(query)
    if mask is not None and isinstance(theirs, keras.layers.MultiHeadAttention):
        set_keras_mask(query, jnp.asarray(mask))
    return query


def paths_of(variables: Any, names: Any) -> list[list[str]]:
    """Our paths of Keras' variables, without the cells and other parts that we have no names for."""
    found = []
    for v in variables:
        path = [DIRECTIONS.get(part.split("_")[0], part) for part in v.path.split("/")[:-1]] + [v.name]
        fits = [name.split("/") for name in names if is_within(name.split("/"), path)]
        found.append(max(fits, key=len, default=path))
    return found


DIRECTIONS = {"forward": "forward_layer", "backward": "backward_layer"}
"""What a Bidirectional calls its layers, which in Keras have the name of the class behind."""


def is_within(name: Sequence[str], path: Sequence[str | None]) -> bool:
    """Whether a path has the parts of a name in their order, and its end."""
    rest = iter(path)
    return name[-1] == path[-1] and all(part in rest for part in name)


def check_twin(name: str, config: dict[str, Any], *inputs: Any, **options: Any) -> None:
    """Compares outputs, the next state, and the gradients of parameters and floating inputs; `differences` has options.

    Raises:
        AssertionError: the trees or shapes differ, or one leaf by more than the tolerance of its largest number.
    """
    for what, error in differences(name, config, *inputs, **options).items():
        assert error <= TOLERANCE, f"{what} differs by {error:.2e} of its largest"


def differences(
    name: str,
    config: dict[str, Any],
    *inputs: Any,
    train: bool = False,
    mask: Any = None,
    gradients: bool = True,
    dtype: str = "float32",
    **options: Any,
) -> dict[str, float]:
    """How far each output, part of the next state and gradient is from Keras', relative to the leaf's largest number.

    What is left of the options is given to both calls.
    """
    twin = make_twin(name, config, inputs, dtype=dtype)
    run = _gradients if gradients else jax.jit(_outputs, static_argnums=0)
    ours, theirs = (
        run(lambda *args, f=function: f(*args, train, mask, **options), twin.params, inputs)
        for function in twin.functions()
    )
    found: dict[str, float] = {}
    for what, got, want in zip(("outputs", "state", "gradients"), ours, theirs, strict=False):
        found |= relative_errors(got, want, what, SHARES[dtype])
    return found


def _outputs(function: Any, params: Any, inputs: tuple) -> tuple[Any, Any]:
    outputs, state = function(params, inputs)
    return jax.tree.leaves(outputs), state


def _gradients(function: Any, params: Any, inputs: tuple) -> tuple[Any, Any, Any]:
    """Outputs and state, and the gradients of a weighted sum of the outputs."""
    floats = tuple(np.issubdtype(jax.tree.leaves(x)[0].dtype, np.floating) for x in inputs)

    def loss(params: Any, moving: tuple) -> tuple[Any, Any]:
        full = tuple(new if f else old for new, old, f in zip(moving, inputs, floats, strict=True))
        outputs, state = _outputs(function, params, full)
        total = sum(jnp.sum(y * jnp.cos(jnp.arange(y.size) + i).reshape(y.shape)) for i, y in enumerate(outputs))
        return total, (outputs, state)

    moving = tuple(x if f else 0.0 for x, f in zip(inputs, floats, strict=True))
    gradients, (outputs, state) = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(params, moving)
    return outputs, state, gradients


def assert_close(got: Any, want: Any, what: str, tolerance: float = TOLERANCE) -> None:
    """Checks that two trees are of one structure and shape, and differ by the tolerance of a leaf's largest at most."""
    for path, error in relative_errors(got, want, what).items():
        assert error <= tolerance, f"{path} differs by {error:.2e} of its largest"


def relative_errors(got: Any, want: Any, what: str, share: float = 0.0) -> dict[str, float]:
    """By how much the leaves of two trees of one structure and shape differ, relative to a leaf's largest number.

    That is at least a `share` of the largest of the tree: a gradient that is 0 but for rounding has no relative error.
    """
    assert jax.tree.structure(got) == jax.tree.structure(want), what
    found = {}
    least = max([1e-6, *(share * float(np.max(np.abs(leaf), initial=0.0)) for leaf in jax.tree.leaves(want))])
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(want), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape, (what, path, a.shape, b.shape)
        a, b = (leaf.astype("float32") if leaf.dtype == jnp.bfloat16 else leaf for leaf in (a, b))
        error, scale = np.max(np.abs(a - b), initial=0.0), np.max(np.abs(b), initial=least)
        found[what + jax.tree_util.keystr(path)] = float(error / scale)
    return found


def check_drawing(draw: Any, inputs: dict[str, np.ndarray]) -> None:
    """Draws one model with both libraries, whose layers have names, and compares outputs and gradients of all weights.

    `draw(layers, Input)` takes Keras' layers and Input, or ours, and gives a dict of inputs and an output.
    """
    ours, theirs = jg.Model(*draw(jg.layers, jg.Input)), keras.Model(*draw(keras.layers, keras.Input))
    random = np.random.default_rng(0)
    spec = leaves_with_names(ours.params_spec)
    flat = {name: np.asarray(random.normal(size=s.shape) * 0.5, "float32") for name, s in spec}
    names = [_own_name(v.path, flat) for v in theirs.trainable_variables]
    assert sorted(names) == sorted(flat)
    seeds = [v.value for v in theirs.non_trainable_variables]

    def our_output(flat: Any) -> Any:
        return ours.apply(
            jax.tree.unflatten(jax.tree.structure(ours.params_spec), [flat[n] for n, _ in spec]), {}, inputs
        )

    def their_output(flat: Any) -> Any:
        return theirs.stateless_call([flat[n] for n in names], seeds, inputs)

    def gradients(function: Any) -> Any:
        def loss(flat: Any) -> Any:
            y = function(flat)[0]
            return jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape)), y

        return jax.jit(jax.grad(loss, has_aux=True))(flat)

    assert_close(gradients(our_output), gradients(their_output), "gradients and outputs")


def _own_name(path: str, names: Any) -> str:
    """Keras' path without the cells and inner layers that we have no names for."""
    parts = path.split("/")
    return next(
        "/".join(own) for own in (parts, [parts[0], *parts[-2:]], [parts[0], parts[-1]]) if "/".join(own) in names
    )
