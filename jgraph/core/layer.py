"""The layer: a pair of pure functions, `init` and `apply`, with a frozen configuration."""

import dataclasses
import functools
import inspect
import re
import uuid
from typing import Any, ClassVar, Literal, Self, dataclass_transform

import jax
import jax.numpy as jnp

from jgraph.core.calls import draw
from jgraph.core.infer import Inference
from jgraph.core.portable import Portable
from jgraph.core.spec import input_spec, known
from jgraph.core.symbol import Call, Symbol
from jgraph.errors import ArgumentError, check_flag, check_known, is_function, listing
from jgraph.ops.activations import activation, linear
from jgraph.ops.indexing import getitem
from jgraph.typing import Array, Function, Key, Params, PyTree, Shape, Spec, State

ABSENT = {
    "activity_regularizer": "Put jg.layers.ActivityRegularization behind the layer.",
    "autocast": "Leave it out: jg.Model(inputs, outputs, policy=jg.Policy(...)) says dtypes.",
    "batch_input_shape": "Draw it on jg.Input(shape), without the batch axis.",
    "batch_shape": "Draw it on jg.Input(shape), without the batch axis.",
    "data_format": "Leave it out: channels are always last.",
    "dtype": "Leave it out: jg.Model(inputs, outputs, policy=jg.Policy(...)) says dtypes.",
    "input_length": "Leave it out: the input says its length.",
    "input_shape": "Draw it on jg.Input(shape), without the batch axis.",
    "lora_rank": "Leave it out, and adapt the model: jg.lora(model, 'dense', rank=8).",
    "quantization_config": "Leave it out: there is no quantization.",
    "seed": "Leave it out: keys come from that of the run and the path of the layer.",
    "stateful": "Leave it out: give `initial_state` in the call, where a layer goes on from what was.",
    "synchronized": "Leave it out: under jit the batch is whole on every number of devices.",
    "trainable": "Leave it out, and freeze by path: model.freeze('dense').",
    "use_cudnn": "Leave it out: kernels are chosen per platform.",
    "weights": "Give start values to the model: trainer.init(key, params=...).",
}
"""Arguments that Keras' layers have and ours do not, and what to do instead."""


class Known(Portable):
    """An object whose arguments are known; what Keras has and jgraph has not is said with what to do instead."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuses what it does not know."""
        del args
        if kwargs and (known := parameters_of(cls)) is not None:
            check_known(cls.__name__, known, kwargs, ABSENT)
        return super().__new__(cls)


@dataclass_transform(frozen_default=True, eq_default=False)
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Layer(Known):
    """The base of all layers. It makes every subclass a frozen dataclass, compared by identity.

    One object is one set of weights: calling it again shares them. A layer of one's own has fields and one or two
    methods; both may be left out of `init` where there is nothing to keep.

    >>> import jax, jax.numpy as jnp, jgraph as jg
    >>> class Scale(jg.Layer):
    ...     axis: int = -1
    ...     def init(self, key, x):
    ...         return {"gain": jnp.ones(x.shape[self.axis])}, {}
    ...     def apply(self, params, state, x, *, train=False, key=None):
    ...         return x * params["gain"], state
    >>> x = jg.Input((3,), name="x")
    >>> model = jg.Model(x, Scale(name="scale")(x))
    >>> jax.tree.map(jnp.shape, model.init(jax.random.key(0))[0])
    {'scale': {'gain': (3,)}}

    Optional parts: a parameter `mask=None` of `apply` is wired to the input's mask when the layer is drawn (a tuple
    with one entry per input where there are several); `pass_mask`; `penalty`, a part of the loss for every call, and
    `regularization`, one for the params; `constrain`, what they are brought back to after every update; `frozen`, which
    of them are never trained; `mixes_rows = False`, which says that a row's output never depends on the other rows of
    the batch.
    """

    name: str | None = dataclasses.field(default=None, kw_only=True)

    mixes_rows: ClassVar[bool] = True
    """Whether a row's output may depend on other rows of the batch."""

    logits: ClassVar[Literal["unknown", "always", "as inputs", "the inputs"]] = "unknown"
    """Whether outputs are logits, ignoring a field `activation` that is applied last: always (an affine map), as the
    inputs are (a sum, a reordering, a selection), not known; or the outputs are the inputs, leaf by leaf."""

    is_graph: ClassVar[bool] = False
    """Whether calling the layer draws nodes of its own, as models do."""

    written: ClassVar[bool] = True
    """Whether a file can say what the layer is. Where it cannot, the file holds the layer's name alone, and the one who
    loads gives the layer itself: `jg.load(path, allow=[layer])`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "apply" in vars(cls):  # what a parent promises of its own `apply` does not hold for another one
            for promise in ("mixes_rows", "logits"):
                if promise not in vars(cls):
                    setattr(cls, promise, vars(Layer)[promise])
        dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
        hidden = [f.name for f in dataclasses.fields(cls) if f.name != "name" and hasattr(Layer, f.name)]
        if hidden:
            raise ArgumentError(
                cls.__name__,
                expected="fields that hide no part of jg.Layer",
                got=listing(hidden),
                cure=f"Choose another name; where the class is to answer, write `{hidden[0]} = ...` without a type.",
            )

    def __post_init__(self) -> None:
        check_name(self)

    def init(self, key: Key, *specs: Any, **options: Any) -> tuple[Params, State]:
        """Makes `(params, state)` for inputs of these specs (`jax.ShapeDtypeStruct` with the batch axis).

        A layer declares the inputs it takes: `init(self, key, x)`; keyword inputs only where it needs them.
        """
        del key, specs, options
        return {}, {}

    def apply(self, params: Params, state: State, *inputs: Any, **options: Any) -> tuple[PyTree, State]:
        """Computes `(outputs, state)`; purely, from its arguments alone.

        A layer declares the inputs it takes: `apply(self, params, state, x, *, train=False, key=None)`.
        """
        del params, inputs, options
        raise ArgumentError(
            type(self).__name__,
            expected="a method `apply`",
            got="a layer without one",
            cure="Define `apply` in the class.",
        )

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """The mask of the outputs, computed from the inputs' mask and the inputs; `None`, the default, ends it."""
        del mask, inputs
        return None

    def penalty(self, params: Params, inputs: tuple, outputs: PyTree) -> Array | float:
        """A scalar that is added to the training loss, once per call of the layer."""
        del params, inputs, outputs
        return 0.0

    def regularization(self, params: Params) -> Array | float:
        """A scalar that is added to the training loss once, however often the layer is called, while it is trained."""
        del params
        return 0.0

    def constrain(self, params: Params) -> Params:
        """The params that training goes on with after an update."""
        return params

    def frozen(self, params: Params) -> tuple[tuple[str, ...], ...]:
        """Where in the layer's params those are that are never trained; `params` are arrays or their specs."""
        del params
        return ()

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params, by the end of their path: `{"kernel": ("features", "units")}`.

        Rules of `jg.sharding` speak of them. `"..."` in front stands for a window of any rank.
        """
        return {}

    def mixes(self, *inputs: Any) -> bool:
        """Whether this call, with these symbols and constants, mixes rows: the class's `mixes_rows` unless refined."""
        del inputs
        return self.mixes_rows

    def passes_mask(self) -> bool:
        """True where the class overrides `pass_mask`."""
        return type(self).pass_mask is not Layer.pass_mask

    def penalizes(self) -> bool:
        """True where the class overrides `penalty`."""
        return type(self).penalty is not Layer.penalty

    def regularizes(self) -> bool:
        """True where the class overrides `regularization`."""
        return type(self).regularization is not Layer.regularization

    def constrains(self) -> bool:
        """True where the class overrides `constrain`."""
        return type(self).constrain is not Layer.constrain

    def opened(self) -> tuple["Layer", Function]:
        """The layer without the activation that it applies last, and that activation; `linear` where there is none."""
        last = activation(getattr(self, "activation", None)) if self.logits == "always" else linear
        return (self, linear) if last is linear else (dataclasses.replace(self, activation="linear"), last)

    def index_range(self) -> int | None:
        """How many indices an integer input may be one of, where the layer looks them up; `fit` checks data by it."""
        return None

    def weights_of(self) -> "Layer":
        """The layer whose weights it has beside its own: itself, unless it adapts another one."""
        return self

    def default_name(self) -> str:
        """What the layer is called where its user gives no name: the class in snake case."""
        return snake_case(type(self).__name__)

    def describe(self) -> str:
        """The kind of layer, for tables."""
        return type(self).__name__

    def __call__(self, *inputs: Any, mask: Any = None, **kwargs: Any) -> Any:
        """Draws a call of this layer on symbols and returns its outputs as symbols."""
        return draw(self, inputs, kwargs, mask)

    @staticmethod
    def operation(function: Function) -> "Op":
        """A layer that applies a function; what symbols use for arithmetic."""
        return Op(function)

    def __repr__(self) -> str:
        shown = []
        for field in sorted(dataclasses.fields(self), key=lambda f: f.name == "name"):  # the base's field, but last
            value = getattr(self, field.name)
            if field.default is dataclasses.MISSING:
                shown.append(_show(value))
            elif _show(value) != _show(field.default):  # arrays have no truth of being equal
                shown.append(f"{field.name}={_show(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _functions(module: Any, names: str) -> frozenset[Function]:
    return frozenset(getattr(module, name) for name in names.split())


ARITHMETIC = _functions(jnp, "add subtract multiply true_divide divide negative")
ELEMENTWISE = (
    ARITHMETIC
    | _functions(jnp, "floor_divide remainder power abs sign exp expm1 log log1p sqrt square sin cos tanh clip where")
    | _functions(jnp, "maximum minimum floor ceil round less less_equal greater greater_equal equal not_equal isfinite")
    | _functions(jnp, "logical_and logical_or logical_not bitwise_and bitwise_or bitwise_xor bitwise_not")
    | _functions(jax.nn, "relu relu6 sigmoid softplus soft_sign silu gelu elu selu leaky_relu hard_sigmoid tanh mish")
)


class Op(Layer):
    """A JAX function as a layer without parameters: `function(*inputs, **options)`."""

    function: Function

    @property
    def logits(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Arithmetic, matrix products and indexing of logits give logits."""
        return "as inputs" if self.function in ARITHMETIC or self.function in (jnp.matmul, getitem) else "unknown"

    def apply(
        self, params: Params, state: State, *inputs: Any, train: bool = False, key: Key | None = None, **options: Any
    ) -> tuple[PyTree, State]:
        """Applies the function."""
        del params, train, key
        return self.function(*inputs, **options), state

    def mixes(self, *inputs: Any) -> bool:
        """Functions of single elements never mix rows, nor does an index that leaves the batch axis whole.

        Inputs of different ranks are lined up at their last axes, where one's batch axis may meet another's rows.
        """
        if self.function is getitem:
            first, *rest = inputs[1] if isinstance(inputs[1], tuple) and inputs[1] else (inputs[1],)
            return not (isinstance(first, slice) and first == slice(None)) or any(isinstance(i, Symbol) for i in rest)
        ranks = {x.ndim for x in inputs if isinstance(x, Symbol)}
        wide = any(getattr(x, "ndim", 0) > min(ranks) for x in inputs)
        return self.function not in ELEMENTWISE or wide

    def default_name(self) -> str:
        """The function's own name where it has a speakable one."""
        name = getattr(self.function, "__name__", "op")
        return name if name.isidentifier() else "op"

    def describe(self) -> str:
        """The function, as a table shows it."""
        return f"op {self.default_name()}"


class InputLayer(Layer):
    """The place where an input enters: the shape without the batch axis, the dtype, and whether it may be absent."""

    shape: tuple
    dtype: str = "float32"
    optional: bool = False

    mixes_rows = False

    def default_name(self) -> str:
        """Inputs without a name are called `input`, `input_1`, ..."""
        return "input"

    def describe(self) -> str:
        """The dtype, and whether it may be absent, as a table shows it."""
        return f"Input {self.dtype}" + " optional" * self.optional


def Input(  # noqa: N802 (Keras' name)
    shape: Shape, dtype: Any = "float32", *, optional: bool = False, name: str | None = None
) -> Symbol:
    """The symbol that a drawing starts from; `shape` leaves out the batch axis.

    `None` is a free axis, and one of its own. A text is a free axis with a name, or an expression of such names: axes
    of one name have one size, `"4*h"` has four times that of `"h"`. An `optional` input may be given `None` in place of
    an array: the layers that read it are then applied to `None`, and must give outputs of the same shape and dtype.

    Raises:
        ArgumentError: the shape is no tuple of positive integers, `None` and dimensions, or the dtype does not exist.

    >>> import jgraph as jg
    >>> jg.Input((100,), dtype="int32", name="text")
    <Symbol int32[batch, 100]>
    >>> small, large = jg.Input(("h", "w", 3)), jg.Input(("4*h", "4*w", 3))
    >>> large
    <Symbol float32[batch, 4*h, 4*w, 3]>
    """
    check_flag(f"Input({shape!r})", optional=optional)
    # Free axes of two inputs are different axes until someone says otherwise, so each has a name of its own.
    free = name if isinstance(name, str) and name.isidentifier() else f"free_{uuid.uuid4().hex[:12]}"
    spec = input_spec(shape, dtype, free)
    sizes = tuple(size if isinstance(size, str) else axis for size, axis in zip(shape, known(spec)[1:], strict=True))
    return input_symbol(InputLayer(sizes, str(spec.dtype), optional, name=name), spec, object())


def input_symbol(layer: InputLayer, spec: Spec, token: object, path: str | None = None) -> Symbol:
    """The symbol of an input layer; `token` is the identity of its call."""
    inference = Inference({}, {}, (spec,), jax.tree.structure(0), (None,))
    return Symbol(Call(layer, (), {}, None, False, inference, path=path, token=token), 0, spec)


def op(function: Function, *, name: str | None = None) -> Op:
    """Lifts any JAX function into a maker of nodes; constants go in the call.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.op(jnp.clip)(jg.Input((3,)), 0.0, 1.0)
    <Symbol float32[batch, 3]>

    Raises:
        ArgumentError: what is given cannot be called.
    """
    if not is_function(function):
        raise ArgumentError(
            "op", expected="a function", got=type(function).__name__, cure="Write jg.op(jnp.clip)(x, 0.0, 1.0)."
        )
    return Op(function, name=name)


def check_name(layer: Layer) -> None:
    """Checks the name that a user gave.

    Raises:
        ArgumentError: it is no string, empty, or has a slash in it.
    """
    if layer.name is not None and (not isinstance(layer.name, str) or not layer.name or "/" in layer.name):
        raise ArgumentError(
            type(layer).__name__,
            expected="a name that is a non-empty string without '/'",
            got=repr(layer.name),
            cure="Slashes part the names of nested models; use '_' inside a name.",
        )


@functools.lru_cache(maxsize=1024)
def parameters_of(cls: type) -> tuple[str, ...] | None:
    """The names of what a class is made of; `None` where it takes any."""
    _, *parameters = inspect.signature(cls.__init__).parameters.values()
    kinds = {p.kind for p in parameters}
    return None if inspect.Parameter.VAR_KEYWORD in kinds else tuple(p.name for p in parameters)


@functools.lru_cache(maxsize=1024)
def snake_case(name: str) -> str:
    """`BatchNormalization` as `batch_normalization`, `Conv2D` as `conv2d`, `LSTM` as `lstm` (Keras' rule)."""
    name = re.sub(r"\W+", "", name).strip("_")
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower() or "layer"


def _show(value: Any) -> str:
    if isinstance(value, functools.partial):
        keywords = [f"{name}={_show(v)}" for name, v in value.keywords.items()]
        return f"partial({', '.join([*map(_show, (value.func, *value.args)), *keywords])})"
    own = getattr(value, "__qualname__", getattr(value, "__name__", None))
    return repr(value) if own is None else f"{str(getattr(value, '__module__', '')).split('.')[0]}.{own}".lstrip(".")
