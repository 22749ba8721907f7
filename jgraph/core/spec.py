"""Shapes with free axes: the batch and every `None` are symbolic dimensions that JAX computes with."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jgraph.core.sizes import names_in
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, ShapeError, nearest
from jgraph.typing import Shape, Spec

# Dimensions of different scopes cannot meet in one computation, so all drawings share this one; it holds no constraint.
SCOPE = export.SymbolicScope()


def dimension(name: str) -> Any:
    """The symbolic dimension of that name or expression.

    Raises:
        ValueError: it is none, or several.
    """
    (size,) = export.symbolic_shape(name, scope=SCOPE)
    return size


BATCH = dimension("batch")

DTYPES = ("float32", "float16", "bfloat16", "float64", "int32", "int8", "uint8", "int64", "bool", "complex64")


def input_spec(shape: Shape, dtype: Any, free: str) -> Spec:
    """The spec of an input: the batch axis in front, `None` as the dimension `{free}_{axis}`, texts as dimensions.

    Raises:
        ArgumentError: the shape is no tuple of positive integers, `None` and dimensions, or the dtype does not exist.
    """
    where = f"Input({shape!r})"
    if not isinstance(shape, (tuple, list)) or not all(
        d is None or (_is_integer(d) and d > 0) or isinstance(d, str) or is_symbolic(d) for d in shape
    ):
        raise ArgumentError(
            f"{where}, shape",
            expected="a tuple of positive integers, None and names such as 'steps', without the batch axis",
            got=repr(shape),
            cure="Write Input((28, 28, 1)), or Input(()) for one number a row.",
        )
    axes = (f"{free}_{axis}" if size is None else size for axis, size in enumerate(shape, 1))
    sizes = tuple(int(size) if _is_integer(size) else _named(size, where) for size in axes)
    try:
        kind = jnp.dtype(dtype) if isinstance(dtype, str | type | np.dtype) else None
    except TypeError:
        kind = None
    if kind is None or not (jnp.issubdtype(kind, jnp.number) or kind == jnp.bool_):
        raise ArgumentError(
            f"{where}, dtype",
            expected="a dtype such as 'float32' or 'int32'",
            got=repr(dtype),
            cure=f"{nearest(dtype, DTYPES)}Name a NumPy dtype.",
        )
    return jax.ShapeDtypeStruct((BATCH, *sizes), jax.dtypes.canonicalize_dtype(kind))


def _is_integer(size: Any) -> bool:
    return isinstance(size, (int, np.integer)) and not isinstance(size, bool)


def _named(axis: Any, where: str) -> Any:
    """The dimension that a user wrote as a text, or took from another shape."""
    try:
        size = dimension(axis) if isinstance(axis, str) else axis
    except ValueError as error:
        said = " ".join(str(error).split())[:120]
        cure = "Write a name, or an expression of + - * and numbers such as '4*steps + 1', or 'floordiv(steps, 2)'."
        raise ArgumentError(f"{where}, axis {axis!r}", expected="a dimension", got=said, cure=cure) from error
    if not is_symbolic(size) or "batch" in names_in(size):
        raise ArgumentError(
            f"{where}, axis {str(axis)!r}",
            expected="an expression with a name in it that is not 'batch'",
            got=repr(str(axis)),
            cure="Write a size as a number; leave out the batch axis: jg.Input(x.shape[1:]).",
        )
    return size


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


RESHAPE = "Reshape the array, or draw the input with the shape of one row (without the batch axis)."


def axes_of(where: str, array: Any, spec: Spec, cure: str = RESHAPE) -> list[tuple[str, Any, Any]]:
    """Every axis of an array for an input, as `(where, dimension, size)`; what `sizes.solve` asks for.

    Raises:
        ShapeError: the rank differs, or a size that is a number.
    """
    if len(array.shape) != len(spec.shape):
        raise ShapeError(
            where,
            expected=f"rank {len(spec.shape)}: {show(spec)}",
            got=f"rank {len(array.shape)}: {show(array)}",
            cure=cure,
        )
    axes = []
    for axis, (got, want) in enumerate(zip(array.shape, spec.shape, strict=True)):
        place = f"{where}, axis {axis}"
        if is_symbolic(want):
            axes.append((place, want, got))
        elif is_symbolic(got) or got != want:
            raise ShapeError(place, expected=f"size {want}: {show(spec)}", got=show(array), cure=cure)
    return axes
