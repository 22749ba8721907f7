"""Linear functions with a transpose of their own: how a hand-written gradient enters without losing `jax.jvp`.

`jax.custom_vjp` writes a gradient by hand, and forbids forward differentiation. Here the two are one thing: the tangent
of a function is a linear function of its input's tangent, `forward`, and a reverse pass needs its transpose alone,
`transpose`. So a kernel is a `jax.custom_jvp` whose tangent is `linear(forward, transpose, residuals, tangents)`:
forward mode evaluates `forward`, reverse mode evaluates `transpose`, `vmap` maps both, and derivatives of higher order
differentiate whichever of the two there is.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jgraph.typing import Array

Arrays = tuple[Array, ...]
Map = Callable[[Arrays, Arrays], Arrays]
"""(residuals, x) -> y, linear in x."""


def linear(forward: Map, transpose: Map, residuals: Arrays, x: Arrays) -> Arrays:
    """`forward(residuals, x)`, whose transpose is `transpose(residuals, y)`.

    Both are pure functions of their arguments alone: they close over numbers, never over arrays. What they give for
    residuals is differentiated as it stands.

    >>> import jax, jax.numpy as jnp
    >>> double = lambda x: linear(lambda _, x: (2 * x[0],), lambda _, y: (2 * y[0],), (), (x,))[0]
    >>> jax.grad(double)(3.0), jax.jvp(double, (3.0,), (1.0,))[1]
    (Array(2., dtype=float32, weak_type=True), Array(2., dtype=float32, weak_type=True))
    """
    arrays = [*map(jnp.asarray, residuals), *map(jnp.asarray, x)]
    return tuple(linear_p.bind(*arrays, count=len(residuals), forward=forward, transpose=transpose))


def _call(*arrays: Array, count: int, forward: Map, transpose: Map) -> Arrays:
    del transpose
    return tuple(forward(arrays[:count], arrays[count:]))


def _specs(*specs: Any, count: int, forward: Map, transpose: Map) -> list[Any]:
    del transpose
    made = jax.eval_shape(lambda *arrays: forward(arrays[:count], arrays[count:]), *specs)
    return [ShapedArray(spec.shape, spec.dtype) for spec in made]


def _jvp(primals: Arrays, tangents: Any, *, count: int, forward: Map, transpose: Map) -> tuple[Any, Any]:
    """The tangent of x goes the linear way; that of the residuals through `forward` as it stands."""
    params = {"count": count, "forward": forward, "transpose": transpose}
    y = linear_p.bind(*primals, **params)
    moving = [i for i in range(count) if type(tangents[i]) is not ad.Zero]
    parts = []
    if any(type(t) is not ad.Zero for t in tangents[count:]):
        parts.append(linear_p.bind(*primals[:count], *map(ad.instantiate_zeros, tangents[count:]), **params))
    if moving:

        def of_residuals(*moved: Array) -> Arrays:
            residuals = list(primals[:count])
            for i, residual in zip(moving, moved, strict=True):
                residuals[i] = residual
            return tuple(forward(tuple(residuals), tuple(primals[count:])))

        parts.append(jax.jvp(of_residuals, [primals[i] for i in moving], [tangents[i] for i in moving])[1])
    return y, [sum(some[1:], some[0]) for some in zip(*parts, strict=True)]


def _transpose(cotangents: Any, *arrays: Any, count: int, forward: Map, transpose: Map) -> list[Any]:
    y = [ad.instantiate_zeros(cotangent) for cotangent in cotangents]
    x = linear_p.bind(*arrays[:count], *y, count=count, forward=transpose, transpose=forward)
    asked = [ad.is_undefined_primal(array) for array in arrays[count:]]
    return [None] * count + [part if wanted else None for part, wanted in zip(x, asked, strict=True)]


def _batch(arrays: Any, axes: Any, *, count: int, forward: Map, transpose: Map) -> tuple[Any, Any]:
    size = next(a.shape[axis] for a, axis in zip(arrays, axes, strict=True) if axis is not None)
    x = [_in_front(a, axis, size) for a, axis in zip(arrays[count:], axes[count:], strict=True)]
    of_residuals = tuple(axes[:count])
    params = {"forward": jax.vmap(forward, (of_residuals, 0)), "transpose": jax.vmap(transpose, (of_residuals, 0))}
    y = linear_p.bind(*arrays[:count], *x, count=count, **params)
    return y, [0] * len(y)


def _in_front(array: Array, axis: int | None, size: int) -> Array:
    """The array with its mapped axis in front, where every linear argument has it, so that the transpose has it too."""
    return jnp.broadcast_to(array, (size, *array.shape)) if axis is None else jnp.moveaxis(array, axis, 0)


linear_p = Primitive("linear")
linear_p.multiple_results = True
linear_p.def_impl(_call)
linear_p.def_abstract_eval(_specs)
ad.primitive_jvps[linear_p] = _jvp
ad.primitive_transposes[linear_p] = _transpose
batching.primitive_batchers[linear_p] = _batch
mlir.register_lowering(linear_p, mlir.lower_fun(_call, multiple_results=True))
