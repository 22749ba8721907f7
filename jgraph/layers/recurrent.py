"""Recurrent layers: one scan over time, which a mask makes stand still."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.layer import Layer
from jgraph.initializers import Initializer, check_initializer, draw
from jgraph.keys import fold
from jgraph.layers.checks import check_fraction, check_positive, check_rank, check_width
from jgraph.layers.regularization import drop, need_key
from jgraph.ops.activations import Activation, activation, check_activation
from jgraph.typing import Array, Function, Key, Params, PyTree, Spec, State


class LSTM(Layer):
    """Long short-term memory (Hochreiter and Schmidhuber 1997): [batch, time, n] -> [batch, units].

    With gates `i, f, g, o = split(x_t @ kernel + h @ recurrent_kernel + bias)`, i, f, o through the recurrent
    activation and g through the activation: `c = f * c + i * g`, `h = o * activation(c)`. With `return_sequences` every
    h, [batch, time, units]; with `return_state` a list of that, the last h and the last c. A masked step leaves h and c
    as they were; with `go_backwards` the last step comes first, in the sequence and its mask too. Parameters: `kernel`
    [n, 4 units], `recurrent_kernel` [units, 4 units], `bias` [4 units], the gates in the order i, f, c, o. As
    `keras.layers.LSTM`; one dropout mask serves all steps and all four gates.

    Raises:
        ArgumentError: a size, rate or name is not valid.
        ShapeError: the input is not [batch, time, features].

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
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    unroll: bool = False

    mixes_rows = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("LSTM", units=self.units)
        check_fraction("LSTM", dropout=self.dropout, recurrent_dropout=self.recurrent_dropout)
        check_activation("LSTM", activation=self.activation, recurrent_activation=self.recurrent_activation)
        check_initializer("LSTM", **{n: v for n, v in vars(self).items() if n.endswith("_initializer")})

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Draws both kernels; the bias of the forget gate starts at one (`unit_forget_bias`)."""
        check_rank(self, x, 3, "[batch, time, features]")
        kernel = draw(self.kernel_initializer, key, "kernel", (check_width(self, x), 4 * self.units))
        recurrent = draw(self.recurrent_initializer, key, "recurrent_kernel", (self.units, 4 * self.units))
        params = {"kernel": kernel, "recurrent_kernel": recurrent}
        if self.use_bias:
            bias = draw(self.bias_initializer, key, "bias", (4 * self.units,))
            forget = slice(self.units, 2 * self.units)
            params["bias"] = bias.at[forget].set(1.0) if self.unit_forget_bias else bias
        return params, {}

    def apply(
        self,
        params: Params,
        state: State,
        x: Array,
        *,
        mask: Array | None = None,
        train: bool = False,
        key: Key | None = None,
    ) -> tuple[PyTree, State]:
        """Projects all inputs at once, then scans over time."""
        x, keep = dropped_inputs(self, x, key) if train else (x, None)
        gate, squash = activation(self.recurrent_activation), activation(self.activation)
        projected = x @ params["kernel"]
        projected = projected + params["bias"] if self.use_bias else projected
        zeros = jnp.zeros((x.shape[0], self.units), projected.dtype)

        def step(carry: tuple[Array, Array], z: Array) -> tuple[Array, Array]:
            h, c = carry
            return gated(z + (h if keep is None else h * keep) @ params["recurrent_kernel"], c, gate, squash)

        sequence, (h, c) = scan_time(step, (zeros, zeros), projected, mask, self.go_backwards, self.unroll)
        output = sequence if self.return_sequences else h
        return [output, h, c] if self.return_state else output, state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """A mask goes on with the sequence, in the sequence's order, and ends where there is none."""
        if mask is None or not self.return_sequences:
            return None
        return jnp.flip(mask, 1) if self.go_backwards else mask


def gated(z: Array, c: Array, gate: Function, squash: Function) -> tuple[Array, Array]:
    """The next h and c of an LSTM, from what goes into its four gates and the last c."""
    i, f, g, o = jnp.split(z, 4, axis=-1)
    c = gate(f) * c + gate(i) * squash(g)
    return gate(o) * squash(c), c


def dropped_inputs(layer: LSTM, x: Array, key: Key | None) -> tuple[Array, Array | None]:
    """The inputs with their dropout, the same at all steps, and the factor of the recurrent one."""
    keep = None
    if layer.dropout:
        x = drop(x, layer.dropout, (x.shape[0], 1, x.shape[2]), fold(need_key(layer, key), "input"))
    if layer.recurrent_dropout:
        ones = jnp.ones((x.shape[0], layer.units), x.dtype)
        keep = drop(ones, layer.recurrent_dropout, ones.shape, fold(need_key(layer, key), "recurrent"))
    return x, keep


def scan_time(
    step: Callable[[Any, Array], Any], carry: Any, xs: Array, mask: Array | None, backwards: bool, unroll: bool
) -> tuple[Array, Any]:
    """Folds `step` over the time axis of `xs` [batch, time, ...]: the outputs [batch, time, ...] and the last carry.

    The first leaf of the carry is the output. A masked step leaves the carry as it was. Backwards, the last step comes
    first, in the outputs too.
    """
    times = jnp.swapaxes(xs, 0, 1), None if mask is None else jnp.swapaxes(mask, 0, 1)
    times = jax.tree.map(lambda t: jnp.flip(t, 0), times) if backwards else times

    def advance(carry: Any, at: tuple[Array, Array | None]) -> tuple[Any, Array]:
        x, real = at
        new = step(carry, x)
        if real is not None:
            new = jax.tree.map(lambda a, b: jnp.where(real[:, None], a, b), new, carry)
        return new, jax.tree.leaves(new)[0]

    carry, outputs = jax.lax.scan(advance, carry, times, unroll=unroll or 1)
    return jnp.swapaxes(outputs, 0, 1), carry
