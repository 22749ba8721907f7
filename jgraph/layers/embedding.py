"""Vectors for integers."""

from typing import Any

import jax.numpy as jnp

from jgraph.constraints import Constraint
from jgraph.draw.specs import show
from jgraph.errors import DTypeError
from jgraph.initializers.initializer import Initializer, draw
from jgraph.layers.standard import Standard
from jgraph.regularizers import Regularizer
from jgraph.typing import Array, Key, Params, Spec, State


class Embedding(Standard):
    """`y = embeddings[x]`: integers [batch, ...] -> [batch, ..., output_dim].

    With `mask_zero` 0 stands for no entry: the output carries the mask `x != 0`, which the layers behind it read; row 0
    is looked up nevertheless, and counts in `input_dim`. A mask that comes in ends. An index out of range, a negative
    one too, gives NaN (Keras on JAX reads the last row, or from the end): a wrong vocabulary is not to pass for a right
    one. `fit`, `evaluate` and `predict` refuse data with one before anything is computed.

    Parameters: `embeddings` [input_dim, output_dim]. As `keras.layers.Embedding`.

    Raises:
        ArgumentError: a size is not a positive integer, or a name is not known.
        DTypeError: the input is not of an integer dtype.

    >>> import jgraph as jg
    >>> jg.layers.Embedding(10_000, 64, mask_zero=True)(jg.Input((100,), dtype="int32"))
    <Symbol float32[batch, 100, 64] masked>
    """

    input_dim: int
    output_dim: int
    embeddings_initializer: Initializer = "uniform"
    embeddings_regularizer: Regularizer = None
    embeddings_constraint: Constraint = None
    mask_zero: bool = False

    mixes_rows = False

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params."""
        return {"embeddings": ("vocabulary", "features")}

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Draws the table."""
        if not jnp.issubdtype(x.dtype, jnp.integer):
            raise DTypeError(repr(self), expected="integers", got=show(x), cure="Draw Input(..., dtype='int32').")
        shape = self.input_dim, self.output_dim
        return {"embeddings": draw(self.embeddings_initializer, key, "embeddings", shape)}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Looks the integers up."""
        del train, key
        rows = jnp.asarray(params["embeddings"]).at[x]
        return rows.get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False), state

    def index_range(self) -> int:
        """Indices are below `input_dim`."""
        return self.input_dim

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """True where the integer is not zero, if asked for."""
        return inputs[0] != 0 if self.mask_zero else None
