"""Vectors for integers."""

from typing import Any

import jax.numpy as jnp

from jgraph.core.layer import Layer
from jgraph.draw.specs import show
from jgraph.errors import DTypeError
from jgraph.initializers.initializer import Initializer, check_initializer, draw
from jgraph.layers.checks import check_positive
from jgraph.typing import Array, Key, Params, Spec, State


class Embedding(Layer):
    """`y = embeddings[x]`: integers [batch, ...] -> [batch, ..., output_dim].

    With `mask_zero` the output carries the mask `x != 0`. Parameters: `embeddings` [input_dim, output_dim]. As
    `keras.layers.Embedding`; an index out of range, a negative one too, gives NaN, and `fit` refuses data with one.

    Raises:
        ArgumentError: a size is not a positive integer.
        DTypeError: the input is not of an integer dtype.

    >>> import jgraph as jg
    >>> jg.layers.Embedding(10_000, 64, mask_zero=True)(jg.Input((100,), dtype="int32"))
    <Symbol float32[batch, 100, 64] masked>
    """

    input_dim: int
    output_dim: int
    embeddings_initializer: Initializer = "uniform"
    mask_zero: bool = False

    mixes_rows = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("Embedding", input_dim=self.input_dim, output_dim=self.output_dim)
        check_initializer("Embedding", embeddings_initializer=self.embeddings_initializer)

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
