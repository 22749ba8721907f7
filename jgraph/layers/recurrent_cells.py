"""The three recurrent cells: one step of a simple recurrence, of a GRU and of an LSTM.

How the memories of an LSTM go through a step; of the four gates, i, f and o open and close, g is what is written:

    c ----- * f ------- + ------------------> c
                        |          |
                      i * g      tanh
                        |          |
    h, x -> i, f, g, o -+----- o - * -------> h, the output
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jgraph.constraints import Constraint
from jgraph.initializers.initializer import Initializer, draw
from jgraph.keys import fold
from jgraph.layers.cells import Begun, check_memories
from jgraph.layers.checks import check_rank, check_real, check_width
from jgraph.layers.regularization import drop, need_key
from jgraph.layers.standard import Standard
from jgraph.ops.activations import Activation, activation
from jgraph.ops.draws import with_ones
from jgraph.ops.recurrence import Step, gru, lstm, simple, weigh
from jgraph.regularizers import Regularizer
from jgraph.typing import Array, Key, Params, PyTree, Spec, State

DIMENSIONS = {"kernel": ("features", "gates"), "recurrent_kernel": ("units", "gates"), "bias": ("...", "gates")}
"""The names of the dimensions of the params; all gates lie side by side."""


class GatedCell(Standard):
    """What the three cells share: a kernel for steps and one for the memory, with columns for each gate.

    A class gives its number of `gates`, and `advance(params, z, memories, factors)`, the formula: the next memories,
    the output first, from a projected step and the factors of the recurrent dropout. Its `formula` is the same for
    Keras' default options, with one tanh for all gates and a derivative of its own.
    """

    gates: ClassVar[int]
    formula: ClassVar[Step]
    mixes_rows = False

    @property
    def state_size(self: Any) -> Any:
        """The width of the memory, which is the output."""
        return self.units

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params."""
        return dict(DIMENSIONS)

    def init(self: Any, key: Key, x: Spec, memories: PyTree = None) -> tuple[Params, State]:
        """Draws both kernels and the bias."""
        check_rank(self, x, 2, "[batch, features]")
        check_real(self, x)
        check_memories(self, self, x, memories)
        width = self.gates * self.units
        kernel = draw(self.kernel_initializer, key, "kernel", (check_width(self, x), width))
        recurrent = draw(self.recurrent_initializer, key, "recurrent_kernel", (self.units, width))
        params = {"kernel": kernel, "recurrent_kernel": recurrent}
        return params | ({"bias": self.make_bias(key)} if self.use_bias else {}), {}

    def make_bias(self: Any, key: Key) -> Array:
        """One for each column of the kernel."""
        return draw(self.bias_initializer, key, "bias", (self.gates * self.units,))

    def input_bias(self, params: Params) -> Array | None:
        """What is added to a projected step, if anything."""
        return params.get("bias")

    def inner_bias(self, params: Params) -> Array | None:
        """What is added to the memory's product, if anything."""
        return None

    def apply(
        self, params: Params, state: State, x: Array, memories: PyTree, *, train: bool = False, key: Key | None = None
    ) -> tuple[PyTree, State]:
        """One step: projects, then goes through the gates."""
        project, step = self.begin(params, state, x, train=train, key=key)
        return step(state, project(x), memories)

    def begin(self: Any, params: Params, state: State, x: Spec | Array, *, train: bool, key: Key | None) -> Begun:
        """Draws the dropout, which serves all steps; all steps are then projected at once."""
        dropped, factors = dropouts(self, params, x, key) if train else (None, None)
        bias, usual = self.input_bias(params), usual_step(self, params, x)

        def project(x: Array, batch: int = 0) -> Array:
            z = product(x, params["kernel"], dropped, batch)
            return z if bias is None else z + jnp.expand_dims(bias, tuple(range(z.ndim - 1)))

        def step(state: State, z: Array, memories: PyTree) -> tuple[PyTree, State]:
            leaves, tree = jax.tree.flatten(memories)
            new = advanced(self, usual, params, z, leaves, factors)
            return (new[0], jax.tree.unflatten(tree, new)), state

        return project, step


def usual_step(cell: Any, params: Params, x: Spec | Array) -> Step | None:
    """The cell's `formula` where its options, those of Keras by default, and dtypes are the formula's; else `None`.

    A class of one's own that changes the step has none, nor have dtypes below float32: a sigmoid made of a tanh keeps
    only the absolute precision of small values.
    """
    own, formulas = type(cell), {kind.advance: kind.formula for kind in (SimpleRNNCell, GRUCell, LSTMCell)}
    if getattr(own, "advance", None) not in formulas or own.begin is not GatedCell.begin:
        return None
    gates = activation(getattr(cell, "recurrent_activation", "sigmoid"))
    usual = activation(cell.activation) is jnp.tanh and gates is jax.nn.sigmoid and getattr(cell, "reset_after", True)
    dtypes = {jnp.result_type(x.dtype, params["kernel"].dtype), *(leaf.dtype for leaf in params.values())}
    wide = len(dtypes) == 1 and dtypes <= {jnp.dtype("float32"), jnp.dtype("float64")}
    return formulas[own.advance] if usual and wide else None


def advanced(
    cell: Any, usual: Step | None, params: Params, z: Array, memories: Sequence[Array], factors: Array | None
) -> list[Array]:
    """The next memories, by the usual step where there is one."""
    if usual is None:
        return cell.advance(params, z, memories, factors)
    return usual.advance(z, inner(cell, params, memories[0], factors), memories)[0]


def inner(cell: Any, params: Params, h: Array, factors: Array | None) -> Array:
    """What the memory gives to all gates."""
    h, bias = product(h, params["recurrent_kernel"], factors), cell.inner_bias(params)
    return h if bias is None else h + bias[None]


def dropouts(cell: Any, params: Params, x: Spec | Array, key: Key | None) -> tuple[Array | None, Array | None]:
    """Factors of steps and of memories, 0 or `1 / (1 - rate)`: [1 or gates, batch, size]; `None` without dropout."""
    count = cell.gates if cell.recurrent_dropout else 1  # Keras' rule
    dtype = jnp.result_type(x.dtype, params["kernel"].dtype)

    def factors(rate: float, size: int, word: str) -> Array | None:
        ones = jnp.ones((count, x.shape[0], size), dtype)
        return drop(ones, rate, ones.shape, fold(need_key(cell, key), word)) if rate else None

    return factors(cell.dropout, x.shape[1], "input"), factors(cell.recurrent_dropout, cell.units, "recurrent")


def product(x: Array, kernel: Array, factors: Array | None, batch: int = 0) -> Array:
    """`x @ kernel`, where each part of the kernel's columns sees x times a factor of its own: [..., batch, ..., n]."""
    if factors is None:
        return weigh(x, kernel) if x.ndim > 2 and x.dtype == kernel.dtype else x @ kernel
    wide = jnp.expand_dims(factors, (*range(1, 1 + batch), *range(2 + batch, x.ndim)))
    parts = jnp.split(kernel, factors.shape[0], axis=-1)
    return jnp.concatenate([product(x * factor, part, None) for factor, part in zip(wide, parts, strict=True)], axis=-1)


class SimpleRNNCell(GatedCell):
    """One step of a simple recurrence: `h = activation(x @ kernel + h @ recurrent_kernel + bias)`.

    Called on a step [batch, n] and the memory h [batch, units], as it is or in a list; gives h and the memory, which is
    h again. `jg.layers.RNN(cell)` takes it through a sequence. While training, `dropout` drops features of the steps
    and `recurrent_dropout` those of the memory; the draws are the same at all steps. Parameters: `kernel` [n, units],
    `recurrent_kernel` [units, units], `bias` [units]. As `keras.layers.SimpleRNNCell`.

    Raises:
        ArgumentError: a size, rate or name is not valid.
        ShapeError: the step is not [batch, features], or the memory not [batch, units].
        RandomKeyError: applied with dropout, `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.RNN(jg.layers.SimpleRNNCell(32))(jg.Input((100, 8)))
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
    kernel_constraint: Constraint = None
    recurrent_constraint: Constraint = None
    bias_constraint: Constraint = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0

    gates = 1
    formula = simple

    def advance(self, params: Params, z: Array, memories: Sequence[Array], factors: Array | None) -> list[Array]:
        """The formula."""
        return [activation(self.activation)(z + product(memories[0], params["recurrent_kernel"], factors))]


class GRUCell(GatedCell):
    """One step of a gated recurrent unit (Cho et al. 2014): a gate z that keeps, and a gate r that forgets.

    With `z, r = recurrent_activation(...)` and `g = activation(...)` of sums `x @ kernel + bias + h @
    recurrent_kernel`: `h = z * h + (1 - z) * g`. In the sum of g, r multiplies `h @ recurrent_kernel + bias[1]` with
    `reset_after`, as cuDNN does, and else h itself, as the paper does.

    Called on a step [batch, n] and the memory h [batch, units], as it is or in a list; gives h and the memory, which is
    h again. `jg.layers.RNN(cell)` takes it through a sequence. While training, `dropout` drops features of the steps
    and `recurrent_dropout` those of the memory; the draws are the same at all steps. The gates share one draw, or each
    has its own where there is a `recurrent_dropout`, of both kinds then. Parameters, the gates in the order z, r, g:
    `kernel` [n, 3 units], `recurrent_kernel` [units, 3 units], `bias` [3 units], or with `reset_after` [2, 3 units],
    for steps and for the memory. As `keras.layers.GRUCell`.

    Raises:
        ArgumentError: a size, rate or name is not valid.
        ShapeError: the step is not [batch, features], or the memory not [batch, units].
        RandomKeyError: applied with dropout, `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.RNN(jg.layers.GRUCell(32), return_sequences=True)(jg.Input((100, 8)))
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
    kernel_constraint: Constraint = None
    recurrent_constraint: Constraint = None
    bias_constraint: Constraint = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    reset_after: bool = True

    gates = 3
    formula = gru

    def make_bias(self, key: Key) -> Array:
        """With `reset_after` one for steps and one for the memory."""
        return draw(self.bias_initializer, key, "bias", (2,) * self.reset_after + (3 * self.units,))

    def input_bias(self, params: Params) -> Array | None:
        """The first of the two with `reset_after`."""
        return params["bias"][0] if self.use_bias and self.reset_after else params.get("bias")

    def inner_bias(self, params: Params) -> Array | None:
        """The second of the two with `reset_after`."""
        return params["bias"][1] if self.use_bias and self.reset_after else None

    def advance(self, params: Params, z: Array, memories: Sequence[Array], factors: Array | None) -> list[Array]:
        """The formula, one product for all gates with `reset_after`."""
        (h,), kernel = memories, params["recurrent_kernel"]
        gate, squash = activation(self.recurrent_activation), activation(self.activation)
        keep, reset, new = jnp.split(z, 3, axis=-1)
        if self.reset_after:
            keep_h, reset_h, new_h = jnp.split(inner(self, params, h, factors), 3, axis=-1)
            keep, new = gate(keep + keep_h), squash(new + gate(reset + reset_h) * new_h)
        else:
            two, one = (None, None) if factors is None else (factors[:2], factors[2:])
            keep_h, reset_h = jnp.split(product(h, kernel[:, : 2 * self.units], two), 2, axis=-1)
            open_h = gate(reset + reset_h) * h
            keep, new = gate(keep + keep_h), squash(new + product(open_h, kernel[:, 2 * self.units :], one))
        return [keep * h + (1 - keep) * new]


class LSTMCell(GatedCell):
    """One step of long short-term memory (Hochreiter and Schmidhuber 1997): a memory c behind gates.

    With gates `i, f, g, o = split(x @ kernel + h @ recurrent_kernel + bias)`, i, f, o through the recurrent activation
    and g through the activation: `c = f * c + i * g`, `h = o * activation(c)`.

    Called on a step [batch, n] and the memories [h, c], each [batch, units]; gives h and the next [h, c].
    `jg.layers.RNN(cell)` takes it through a sequence. While training, `dropout` drops features of the steps and
    `recurrent_dropout` those of h; the draws are the same at all steps. The gates share one draw, or each has its own
    where there is a `recurrent_dropout`, of both kinds then. The bias of f starts at one (`unit_forget_bias`).
    Parameters, the gates in the order i, f, g, o: `kernel` [n, 4 units], `recurrent_kernel` [units, 4 units], `bias`
    [4 units]. As `keras.layers.LSTMCell`.

    Raises:
        ArgumentError: a size, rate or name is not valid.
        ShapeError: the step is not [batch, features], or a memory not [batch, units].
        RandomKeyError: applied with dropout, `train=True` and no key.

    >>> import jgraph as jg
    >>> x, h, c = jg.Input((8,)), jg.Input((32,)), jg.Input((32,))
    >>> jg.layers.LSTMCell(32)(x, [h, c])
    (<Symbol float32[batch, 32]>, [<Symbol float32[batch, 32]>, <Symbol float32[batch, 32]>])
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
    kernel_constraint: Constraint = None
    recurrent_constraint: Constraint = None
    bias_constraint: Constraint = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0

    gates = 4
    formula = lstm

    @property
    def state_size(self) -> list[int]:
        """The widths of h and c."""
        return [self.units, self.units]

    def make_bias(self, key: Key) -> Array:
        """That of the forget gate starts at one (`unit_forget_bias`)."""
        bias = draw(self.bias_initializer, key, "bias", (4 * self.units,))
        return with_ones(bias, self.units, 2 * self.units) if self.unit_forget_bias else bias

    def advance(self, params: Params, z: Array, memories: Sequence[Array], factors: Array | None) -> list[Array]:
        """The formula."""
        h, c = memories
        gate, squash = activation(self.recurrent_activation), activation(self.activation)
        i, f, g, o = jnp.split(z + product(h, params["recurrent_kernel"], factors), 4, axis=-1)
        c = gate(f) * c + gate(i) * squash(g)
        return [gate(o) * squash(c), c]
