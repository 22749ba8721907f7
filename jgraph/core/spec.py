"""Shapes with free axes: the batch and every `None` are symbolic dimensions that JAX computes with."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from jgraph.draw.specs import show, show_size
from jgraph.errors import ArgumentError, ShapeError
from jgraph.typing import Shape, Spec

# Dimensions of different scopes cannot meet in one computation, so all drawings share this one; it holds no constraint.
SCOPE = export.SymbolicScope()


def dimension(name: str) -> Any:
    """The symbolic dimension of that name."""
    return export.symbolic_shape(name, scope=SCOPE)[0]


BATCH = dimension("batch")


def input_spec(shape: Shape, dtype: Any, free: str) -> Spec:
    """The spec of an input: the batch axis in front, `None` as the dimension `{free}_{axis}`.

    Raises:
        ArgumentError: the shape is no tuple of positive integers and `None`, or the dtype does not exist.
    """
    where = f"Input({shape!r})"
    if not isinstance(shape, (tuple, list)) or not all(
        d is None or (isinstance(d, int) and not isinstance(d, bool) and d > 0) or is_symbolic(d) for d in shape
    ):
        raise ArgumentError(
            where,
            expected="a tuple of positive integers and None, without the batch axis",
            got=repr(shape),
            cure="Write Input((28, 28, 1)), or Input(()) for one number a row.",
        )
    sizes = tuple(dimension(f"{free}_{axis}") if d is None else d for axis, d in enumerate(shape, 1))
    try:
        kind = jnp.dtype(dtype)
    except TypeError:
        raise ArgumentError(
            where, expected="a dtype such as 'float32' or 'int32'", got=repr(dtype), cure="Name a NumPy dtype."
        ) from None
    return jax.ShapeDtypeStruct((BATCH, *sizes), jax.dtypes.canonicalize_dtype(kind))


def is_symbolic(size: Any) -> bool:
    """True for a dimension that is not an integer."""
    return export.is_symbolic_dim(size)


def known(spec: Spec) -> tuple[int | None, ...]:
    """The shape with `None` for each axis whose size is not known."""
    return tuple(None if is_symbolic(d) else d for d in spec.shape)


def concrete(spec: Spec, batch: int = 1, free: int = 128) -> Spec:
    """A spec with numbers for the symbolic dimensions, for libraries that need them to make parameters."""
    sizes = (batch if str(d) == "batch" else free if is_symbolic(d) else d for d in spec.shape)
    return jax.ShapeDtypeStruct(tuple(sizes), spec.dtype)


def check_feed(where: str, array: Any, spec: Spec, sizes: dict[str, int]) -> None:
    """Checks an array against an input's spec; `sizes` gathers what the symbolic dimensions turned out to be.

    Raises:
        ShapeError: the rank or a size differs, or one free dimension has two sizes.
    """
    cure = "Reshape the array, or draw the input with the shape of one row (without the batch axis)."
    if len(array.shape) != len(spec.shape):
        raise ShapeError(
            where,
            expected=f"rank {len(spec.shape)}: {show(spec)}",
            got=f"rank {len(array.shape)}: {show(array)}",
            cure=cure,
        )
    for axis, (got, want) in enumerate(zip(array.shape, spec.shape, strict=True)):
        size = sizes.setdefault(str(want), got) if is_symbolic(want) and str(want).isidentifier() else want
        if not is_symbolic(size) and not is_symbolic(got) and size != got:
            reason = f" (as {show_size(want)} is elsewhere in this call)" if is_symbolic(want) else ""
            raise ShapeError(
                f"{where}, axis {axis}", expected=f"size {size}{reason}: {show(spec)}", got=show(array), cure=cure
            )
