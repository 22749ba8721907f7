"""Equinox modules as layers: the inexact arrays as `params`, `eqx.nn.State` as state, one row at a time."""

import inspect
from typing import TYPE_CHECKING, Any

import jax

from jgraph.core.layer import snake_case
from jgraph.errors import ArgumentError
from jgraph.layers.foreign import Foreign, Packing, check_module, packing_of
from jgraph.layers.regularization import need_key
from jgraph.typing import Key, Params, PyTree, Spec, State

if TYPE_CHECKING:
    import equinox as eqx

AXIS = "batch"
"""What the mapped axis is called where the module's batch normalisations do not say."""


class EquinoxModule(Foreign):
    """An Equinox module; made by `jg.as_layer(module)`, or `jg.as_layer(eqx.nn.make_with_state(Block)(...))`.

    A module computes one row; the layer maps it over the batch: every array is given row by row, numbers as they are.
    The module's inexact arrays are its params and the leaves of its `eqx.nn.State` its state; it starts from exactly
    these arrays, whatever the key. With a State (`initial`) the mapped axis has the name that the module's batch
    normalisations ask for (`"batch"` where there are none), and rows may be mixed; without one they are not.

    Unless training, the module is in inference mode; while training it is as it was given. Where its call has an
    argument `key`, each row is given its own while training, and all rows the same one otherwise.

    Raises:
        ArgumentError: a module without `__call__`, a stateful one without its State, or one whose batch
            normalisations name different axes.

    >>> import equinox as eqx, jax, jgraph as jg
    >>> jg.as_layer(eqx.nn.Linear(5, 3, key=jax.random.key(0)))(jg.Input((5,)))
    <Symbol float32[batch, 3]>
    """

    module: "eqx.Module"
    initial: "eqx.nn.State | None" = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_module(self, "equinox", "Write jg.as_layer(eqx.nn.Linear(5, 3, key=jax.random.key(0))).")
        module, initial = _checked(self, self.module, self.initial)
        object.__setattr__(self, "module", module)
        object.__setattr__(self, "initial", initial)

    def init(self, key: Key, *specs: Spec, **options: Any) -> tuple[Params, State]:
        """The arrays that the module and its State came with."""
        del key, specs, options
        (params, _), packing = _arrays_of(self)
        return packing.fresh(params), _packing_of_state(self).fresh(self.initial)

    def apply(
        self, params: Params, state: State, *inputs: Any, train: bool = False, key: Key | None = None, **options: Any
    ) -> tuple[PyTree, State]:
        """Applies the module to every row; its State must be the same for all of them."""
        packing = _packing_of_state(self)
        module, own = _module_with(self, params, train), packing.unpack(state)
        try:
            outputs, after = _map_rows(module, own, inputs, options, train, key)
        except Exception:
            if train and _takes_key(module):
                need_key(self, key)
            raise
        return outputs, packing.pack(after)

    def mixes(self, *inputs: Any) -> bool:
        """Rows meet only where the mapped axis has a name, which is where there is a State."""
        del inputs
        return self.initial is not None

    def default_name(self) -> str:
        """The class of the module, in snake case."""
        return snake_case(type(self.module).__name__)

    def describe(self) -> str:
        """The class of the module, as a table shows it."""
        return f"equinox {type(self.module).__name__}"

    def __repr__(self) -> str:
        return f"as_layer({type(self.module).__name__}(...))"


def _checked(layer: EquinoxModule, module: Any, initial: Any) -> tuple[Any, Any]:
    """The module without start values of its own, and a copy of the State, which Equinox voids when it is used."""
    import equinox as eqx

    if not callable(module):
        raise ArgumentError(
            repr(layer),
            expected="a module with a method `__call__`",
            got="one without",
            cure="Define `__call__` in the class, for one row.",
        )
    indices = jax.tree.leaves(module, is_leaf=lambda node: isinstance(node, eqx.nn.StateIndex))
    if initial is None and any(isinstance(node, eqx.nn.StateIndex) for node in indices):
        raise ArgumentError(
            repr(layer),
            expected="a stateful module together with its State",
            got="the module alone",
            cure="Write jg.as_layer(eqx.nn.make_with_state(Block)(...)), or jg.as_layer(module, state).",
        )
    if initial is not None and not isinstance(initial, eqx.nn.State):
        raise ArgumentError(
            f"{layer!r}, initial",
            expected="an eqx.nn.State beside the module",
            got=type(initial).__name__,
            cure="Write jg.as_layer(module), or jg.as_layer(module, state).",
        )
    if len(axes := _axes(module)) > 1:
        raise ArgumentError(
            repr(layer),
            expected="one name of the batch axis",
            got=", ".join(map(repr, axes)),
            cure="Give all batch normalisations of the module the same axis_name.",
        )
    copied = jax.tree.map(lambda leaf: leaf, initial)
    return eqx.nn.delete_init_state(module), copied


def _axes(module: Any) -> list[str]:
    import equinox as eqx

    nodes = jax.tree.leaves(module, is_leaf=lambda node: isinstance(node, eqx.nn.BatchNorm))
    names = (node.axis_name for node in nodes if isinstance(node, eqx.nn.BatchNorm))
    return sorted({name for name in names if isinstance(name, str)})


def _arrays_of(layer: EquinoxModule) -> tuple[tuple[Any, Any], Packing]:
    """The module's trained arrays and the rest of it, and how the arrays are packed."""
    import equinox as eqx

    arrays, rest = eqx.partition(layer.module, eqx.is_inexact_array)
    return (arrays, rest), packing_of(arrays, f"{layer!r}, params")


def _packing_of_state(layer: EquinoxModule) -> Packing:
    return packing_of(layer.initial, f"{layer!r}, state")


def _module_with(layer: EquinoxModule, params: Params, train: bool) -> Any:
    import equinox as eqx

    (_, rest), packing = _arrays_of(layer)
    module = eqx.combine(packing.unpack(params), rest)
    return module if train else eqx.nn.inference_mode(module)


def _takes_key(module: Any) -> bool:
    return "key" in inspect.signature(type(module).__call__).parameters


def _map_rows(
    module: Any, state: Any, inputs: tuple, options: dict[str, Any], train: bool, key: Key | None
) -> tuple[PyTree, PyTree]:
    """The outputs of all rows, and the State that they agree on."""
    import equinox as eqx

    arrays, rest = eqx.partition((inputs, options), lambda leaf: getattr(leaf, "ndim", 0) > 0)
    takes_key, fixed = _takes_key(module), None if train else jax.random.key(0)
    keys = jax.random.split(key, jax.tree.leaves(arrays)[0].shape[0]) if takes_key and key is not None else None

    def row(arrays: PyTree, key: Key | None) -> Any:
        given, named = eqx.combine(arrays, rest)
        words = {**named, "key": fixed if key is None else key} if takes_key else named
        return (module(*given, **words), None) if state is None else module(*given, state, **words)

    axis = None if state is None else next(iter(_axes(module)), AXIS)
    return jax.vmap(row, out_axes=(0, None), axis_name=axis)(arrays, keys)
