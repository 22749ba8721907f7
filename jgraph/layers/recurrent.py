"""Recurrent layers: one scan over time, which a mask makes stand still, with any cell in it.

What comes out, in the order in which it is computed; a masked step, here step 2, leaves the memory as it was:

    steps                       1    2    3    4       outputs with return_sequences
    forwards                    h1   h1   h3   h4      h1 h1 h3 h4
    forwards, zero_output_...   h1   0    h3   h4      h1 0  h3 h4
    go_backwards                h1   h3   h3   h4      h4 h3 h3 h1
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jgraph.constraints import Constraint
from jgraph.core.layer import Layer
from jgraph.draw.specs import show
from jgraph.errors import ShapeError
from jgraph.initializers.initializer import Initializer
from jgraph.layers.cells import StackedRNNCells, begun, check_cell, check_memories, made, memory_specs, output_of
from jgraph.layers.checks import check_features, check_rank, check_real, check_width
from jgraph.layers.masking import widened
from jgraph.layers.recurrent_cells import GRUCell, LSTMCell, SimpleRNNCell, usual_step
from jgraph.layers.standard import Standard
from jgraph.layers.wrapping import Wrapping, mixing
from jgraph.ops.activations import Activation
from jgraph.ops.recurrence import Way, recur
from jgraph.regularizers import Regularizer
from jgraph.typing import Array, Key, Params, PyTree, Spec, State


class Recurrent(Standard):
    """A cell taken through a sequence. A class has Keras' fields, and a `cell` by field or by property."""

    mixes_rows = False

    def named_dimensions(self: Any) -> dict[str, tuple[str, ...]]:
        """Those of the cell."""
        return self.cell.named_dimensions()

    def init(self: Any, key: Key, x: Spec, initial_state: PyTree = None) -> tuple[Params, State]:
        """Makes what the cell keeps for a step of this sequence."""
        check_features(self, x)
        check_memories(self, self.cell, step_of(x), initial_state)
        return made(self.cell, key, step_of(x))

    def apply(
        self: Any,
        params: Params,
        state: State,
        x: Array,
        initial_state: PyTree = None,
        *,
        mask: Any = None,
        train: bool = False,
        key: Key | None = None,
    ) -> tuple[PyTree, State]:
        """Lets the cell project all steps at once, then goes through them, by a kernel where there is one."""
        project, step = begun(self.cell, params, state, step_of(x), train, key)
        start = started(self, params, x, initial_state)
        real = step_mask(self, mask, x)
        if sweeps(self, params, x, train):
            y, memories = swept(self, params, project(jnp.swapaxes(x, 0, 1), 1), start, real)
        else:
            y, memories, state = scan_time(self, step, start, state, project(x), real)
        if real is not None and getattr(self, "zero_output_for_mask", False):
            counts = self.pass_mask(real, x) if self.return_sequences else real[:, 0 if self.go_backwards else -1]
            y = jnp.where(widened(counts, y.ndim), y, jnp.zeros((), y.dtype))
        return [y, *memories] if self.return_state else y, state

    def pass_mask(self: Any, mask: Any, *inputs: Any) -> Any:
        """A mask goes on with the sequence, in the sequence's order, and ends where there is none."""
        mask = mask[0] if isinstance(mask, (tuple, list)) else mask
        if mask is None or not self.return_sequences:
            return None
        return jnp.flip(mask, 1) if self.go_backwards else mask


def step_of(x: Any) -> Spec:
    """The spec of one step of a sequence."""
    return jax.ShapeDtypeStruct((x.shape[0], *x.shape[2:]), x.dtype)


def started(layer: Any, params: Params, x: Array, given: PyTree) -> PyTree:
    """The memories before the first step: those that are given, or zeros."""
    check_memories(layer, layer.cell, step_of(x), given)
    specs, tree = jax.tree.flatten(memory_specs(layer.cell, params, step_of(x)))
    if given is None:
        return jax.tree.unflatten(tree, [jnp.zeros(spec.shape, spec.dtype) for spec in specs])
    leaves = zip(jax.tree.leaves(given), specs, strict=True)
    return jax.tree.unflatten(tree, [jnp.asarray(leaf, spec.dtype) for leaf, spec in leaves])


def step_mask(layer: Layer, mask: Any, x: Array) -> Array | None:
    """The sequence's mask; masks of what else is given are left out.

    Raises:
        ShapeError: it is not [batch, time].
    """
    mask = mask[0] if isinstance(mask, (tuple, list)) else mask
    if mask is not None and mask.shape != x.shape[:2]:
        raise ShapeError(
            f"{layer!r}, mask",
            expected=f"the batch and time axes of its input {show(x)}",
            got=show(mask),
            cure="Give a mask of shape [batch, time].",
        )
    return mask


def scan_time(
    layer: Any, step: Callable[..., Any], memories: PyTree, state: State, zs: PyTree, mask: Array | None
) -> tuple[Array, list[Any], State]:
    """Folds `step` over the time axis of `zs` [batch, time, ...].

    Gives the outputs [batch, time, ...] in the order of their steps, or the last one alone; the last memories, and the
    state. A masked step leaves the memories as they were, and gives the output of the step before; before the first
    that is the memory that the cell gives as its output, or zero.
    """
    times = jax.tree.map(lambda t: jnp.swapaxes(t, 0, 1), (zs, mask))
    old, tree = jax.tree.flatten(memories)
    spec, place = shown(step, state, jax.tree.map(step_of, zs), memories)

    def advance(carry: Any, at: tuple[PyTree, Array | None]) -> tuple[Any, Array | None]:
        (old, last, state), (z, real) = carry, at
        (y, new), state = step(state, z, jax.tree.unflatten(tree, old))
        new = [n.astype(o.dtype) for n, o in zip(jax.tree.leaves(new), old, strict=True)]
        if real is not None:
            new = [jnp.where(widened(real, n.ndim), n, o) for n, o in zip(new, old, strict=True)]
            y = jnp.where(widened(real, y.ndim), y, last) if place is None else y
        y = y if place is None else new[place]
        return (new, y if place is None else None, state), y if layer.return_sequences else None

    last = jnp.zeros(spec.shape, spec.dtype) if place is None else None
    backwards, unroll = layer.go_backwards, layer.unroll or 1
    (new, last, state), ys = jax.lax.scan(advance, (old, last, state), times, reverse=backwards, unroll=unroll)
    y = last if place is None else new[place]
    if ys is not None:
        y = jnp.swapaxes(jnp.flip(ys, 0) if backwards else ys, 0, 1)
    memories = jax.tree.unflatten(tree, new)
    return y, [*memories] if isinstance(memories, (list, tuple)) else [memories], state


def sweeps(layer: Any, params: Params, x: Array, train: bool) -> bool:
    """True where a kernel goes through the whole sequence: for a usual step that draws nothing for h."""
    return usual_step(layer.cell, params, x) is not None and not (train and layer.cell.recurrent_dropout)


def swept(layer: Any, params: Params, zs: Array, memories: PyTree, mask: Array | None) -> tuple[Array, list[Array]]:
    """What `scan_time` gives, by a kernel: zs [time, batch, gates * units]."""
    kernel, bias = params["recurrent_kernel"], layer.cell.inner_bias(params)
    real = None if mask is None else jnp.swapaxes(mask, 0, 1).astype(bool)
    way = Way(layer.cell.formula, layer.go_backwards, layer.return_sequences, layer.unroll)
    hs, last = recur(way, zs, kernel, bias, jax.tree.leaves(memories), real)
    if hs is None:
        return last[0], last
    return jnp.swapaxes(jnp.flip(hs, 0) if layer.go_backwards else hs, 0, 1), last


def shown(step: Callable[..., Any], state: State, z: PyTree, memories: PyTree) -> tuple[Spec, int | None]:
    """The spec of a cell's output, and which of the memories it is, if it is one; that need not be kept twice."""
    places: list[int | None] = []

    def probe(state: State, z: PyTree, memories: PyTree) -> Array:
        (y, new), _ = step(state, z, memories)
        places.append(next((i for i, memory in enumerate(jax.tree.leaves(new)) if memory is y), None))
        return y

    return jax.eval_shape(probe, state, z, memories), places[0]


class RNN(Wrapping, Recurrent):
    """A cell taken through a sequence: [batch, time, ...] -> [batch, size], the last output.

    `cell` is one of jgraph's (`LSTMCell(32)`), a list of cells, which are stacked, or one of your own: a layer with a
    `state_size`, an integer or a list of them, and an `apply` of a step and the memories:

    >>> import jax, jax.numpy as jnp, jgraph as jg
    >>> class Sum(jg.Layer):
    ...     state_size = 8
    ...     mixes_rows = False
    ...     def init(self, key, x):
    ...         return {"kernel": jax.random.normal(key, (x.shape[-1], 8))}, {}
    ...     def apply(self, params, state, x, memory, *, train=False, key=None):
    ...         memory = memory + jnp.tanh(x @ params["kernel"])
    ...         return (memory, memory), state
    >>> jg.layers.RNN(Sum(), return_sequences=True)(jg.Input((100, 3)))
    <Symbol float32[batch, 100, 8]>

    Memories come as `state_size` says, an array [batch, size] or a list of them, and start at zero. All steps get one
    key. A cell with a method `begin` can do what serves all steps once (see `jgraph.layers.cells`).

    With `return_sequences` every output, [batch, time, size]; with `return_state` a list of that and the last memories.
    With `go_backwards` the last step comes first, in the sequence and its mask too (Keras does not turn the mask).
    `unroll` makes no loop, for short sequences. The call takes `initial_state`, the memories to start from, such as
    those of another layer: `layer(x, initial_state=[h, c])`, or by place.

    A masked step leaves the memories as they were, and gives the output of the step before, or 0 with
    `zero_output_for_mask`; without steps before, that is the initial state where a cell's output is a memory, and else
    0. Keras gives the first memory, whatever it is; with `unroll` it starts from 0, and does not know
    `zero_output_for_mask`. The mask goes on with a sequence, and ends where there is none. Params and state are the
    cell's, as they are. As `keras.layers.RNN`.

    Raises:
        ArgumentError: `cell` is no cell, or one with a penalty, which would be lost.
        ShapeError: the input has no time axis, the cell cannot take a step, or `initial_state` is not [batch, size].
    """

    cell: Any
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    unroll: bool = False
    zero_output_for_mask: bool = False

    mixes_rows = mixing

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.cell, (list, tuple)):
            object.__setattr__(self, "cell", StackedRNNCells(self.cell))
        check_cell("RNN, cell", self.cell)

    def held(self) -> dict[tuple[str, ...], Any]:
        """The cell, whose params are this layer's."""
        return {(): self.cell}

    def init(self, key: Key, x: Spec, initial_state: PyTree = None) -> tuple[Params, State]:
        """Makes what the cell keeps, and tries a step."""
        params, state = super().init(key, x, initial_state)
        output_of(self.cell, params, state, step_of(x))
        return params, state


class Gated(Recurrent):
    """A recurrent layer with the fields of the cell that it takes through a sequence."""

    kind: ClassVar[type[Layer]]

    @property
    def cell(self) -> Any:
        """The cell."""
        names = [field.name for field in dataclasses.fields(self.kind)]
        return self.kind(**{name: getattr(self, name) for name in names})

    def init(self, key: Key, x: Spec, initial_state: PyTree = None) -> tuple[Params, State]:
        """Draws both kernels and the bias."""
        check_rank(self, x, 3, "[batch, time, features]")
        check_width(self, x)
        check_real(self, x)
        return super().init(key, x, initial_state)


class SimpleRNN(Gated):
    """`h = activation(x_t @ kernel + h @ recurrent_kernel + bias)`: [batch, time, n] -> [batch, units], the last h.

    With `return_sequences` every h, [batch, time, units]; with `return_state` a list of that and the last h. With
    `go_backwards` the last step comes first, in the sequence and its mask too (Keras does not turn the mask). `unroll`
    makes no loop, for short sequences. The call takes `initial_state`, the h to start from in place of zeros:
    `layer(x, initial_state=h)`. A masked step leaves h as it was. While training, `dropout` drops features of the steps
    and `recurrent_dropout` those of h; the draws are the same at all steps. Parameters: `kernel` [n, units],
    `recurrent_kernel` [units, units], `bias` [units]. As `keras.layers.SimpleRNN`, whose `activity_regularizer` has no
    effect.

    Raises:
        ArgumentError: a size, rate or name is not valid.
        ShapeError: the input is not [batch, time, features], or `initial_state` not [batch, units].
        RandomKeyError: applied with dropout, `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.SimpleRNN(32)(jg.Input((100, 8)))
    <Symbol float32[batch, 32]>
    """

    units: int
    activation: Activation = "tanh"
    use_bias: bool = True
    kernel_initializer: Initializer = "glorot_uniform"
    recurrent_initializer: Initializer = "orthogonal"
    bias_initializer: Initializer = "zeros"
    kernel_regularizer: Regularizer = None
    recurrent_regularizer: Regularizer = None
    bias_regularizer: Regularizer = None
    activity_regularizer: Regularizer = None
    kernel_constraint: Constraint = None
    recurrent_constraint: Constraint = None
    bias_constraint: Constraint = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    unroll: bool = False

    kind = SimpleRNNCell


class GRU(Gated):
    """Gated recurrent unit (Cho et al. 2014): [batch, time, n] -> [batch, units], the last h.

    With `z, r = recurrent_activation(...)` and `g = activation(...)` of sums `x_t @ kernel + bias + h @
    recurrent_kernel`: `h = z * h + (1 - z) * g`. In the sum of g, r multiplies `h @ recurrent_kernel + bias[1]` with
    `reset_after`, as cuDNN does, and else h itself, as the paper does.

    With `return_sequences` every h, [batch, time, units]; with `return_state` a list of that and the last h. With
    `go_backwards` the last step comes first, in the sequence and its mask too (Keras does not turn the mask). `unroll`
    makes no loop, for short sequences. The call takes `initial_state`, the h to start from in place of zeros:
    `layer(x, initial_state=h)`. A masked step leaves h as it was. While training, `dropout` drops features of the steps
    and `recurrent_dropout` those of h; the draws are the same at all steps. The gates share one draw, or each has its
    own where there is a `recurrent_dropout`, of both kinds then. Parameters, the gates in the order z, r, g: `kernel`
    [n, 3 units], `recurrent_kernel` [units, 3 units], `bias` [3 units], or with `reset_after` [2, 3 units], for steps
    and for the memory. As `keras.layers.GRU`.

    Raises:
        ArgumentError: a size, rate or name is not valid.
        ShapeError: the input is not [batch, time, features], or `initial_state` not [batch, units].
        RandomKeyError: applied with dropout, `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.GRU(32, return_sequences=True)(jg.Input((100, 8)))
    <Symbol float32[batch, 100, 32]>
    """

    units: int
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    use_bias: bool = True
    kernel_initializer: Initializer = "glorot_uniform"
    recurrent_initializer: Initializer = "orthogonal"
    bias_initializer: Initializer = "zeros"
    kernel_regularizer: Regularizer = None
    recurrent_regularizer: Regularizer = None
    bias_regularizer: Regularizer = None
    activity_regularizer: Regularizer = None
    kernel_constraint: Constraint = None
    recurrent_constraint: Constraint = None
    bias_constraint: Constraint = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    unroll: bool = False
    reset_after: bool = True

    kind = GRUCell


class LSTM(Gated):
    """Long short-term memory (Hochreiter and Schmidhuber 1997): [batch, time, n] -> [batch, units], the last h.

    With gates `i, f, g, o = split(x_t @ kernel + h @ recurrent_kernel + bias)`, i, f, o through the recurrent
    activation and g through the activation: `c = f * c + i * g`, `h = o * activation(c)`.

    With `return_sequences` every h, [batch, time, units]; with `return_state` a list of that, the last h and the last
    c. With `go_backwards` the last step comes first, in the sequence and its mask too (Keras does not turn the mask).
    `unroll` makes no loop, for short sequences. The call takes `initial_state`, the memories to start from in place of
    zeros: `layer(x, initial_state=[h, c])`. A masked step leaves h and c as they were. While training, `dropout` drops
    features of the steps and `recurrent_dropout` those of h; the draws are the same at all steps. The gates share one
    draw, or each has its own where there is a `recurrent_dropout`, of both kinds then. The bias of f starts at one
    (`unit_forget_bias`). Parameters, the gates in the order i, f, g, o: `kernel` [n, 4 units], `recurrent_kernel`
    [units, 4 units], `bias` [4 units]. As `keras.layers.LSTM`.

    Raises:
        ArgumentError: a size, rate or name is not valid.
        ShapeError: the input is not [batch, time, features], or `initial_state` not two [batch, units].
        RandomKeyError: applied with dropout, `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.LSTM(32, return_sequences=True)(jg.Input((100, 8)))
    <Symbol float32[batch, 100, 32]>
    """

    units: int
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    use_bias: bool = True
    kernel_initializer: Initializer = "glorot_uniform"
    recurrent_initializer: Initializer = "orthogonal"
    bias_initializer: Initializer = "zeros"
    unit_forget_bias: bool = True
    kernel_regularizer: Regularizer = None
    recurrent_regularizer: Regularizer = None
    bias_regularizer: Regularizer = None
    activity_regularizer: Regularizer = None
    kernel_constraint: Constraint = None
    recurrent_constraint: Constraint = None
    bias_constraint: Constraint = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    unroll: bool = False

    kind = LSTMCell
