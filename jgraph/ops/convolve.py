"""Convolution over any number of spatial axes, channels last, with Keras' paddings; its transpose, and by channel.

A convolution is one sum of products of three arrays: inputs `x`, a kernel `k` and outputs `y`, over all places where a
tap of a window meets an input. Two of them being given, the sum's coefficients of the third are its derivative, so
that one function, `contract`, is the convolution (`y` from x, k), the transposed one (`x` from k, y), both gradients
(`k` from x, y), and their derivatives too.

    missing   given   is
    Y         x, k    the convolution
    X         k, y    the gradient by the inputs, and the transposed convolution
    K         x, y    the gradient by the kernel

GPU and TPU have XLA's own convolution and its transposes. XLA:CPU gets forms that it compiles well, as JAX writes the
gradients in a layout that XLA:CPU computes 100 to 400 times slower inside of a loop body, where the trainer's program
of several steps has them.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jgraph.ops import convolve3d, depthwise, grouped, ungrouped
from jgraph.ops.linear import linear
from jgraph.ops.window import Sizes, Window, convolved, layout
from jgraph.typing import Array

X, K, Y = 0, 1, 2

PROGRAM = "contracted"
"""The name of what `contract` computes within a program; it tells jgraph's convolutions from those of others."""


@dataclasses.dataclass(frozen=True)
class Form:
    """What a missing array is made to: the window, the extents of `x` and the taps of `k`."""

    window: Window
    space: Sizes
    taps: Sizes


def convolve(
    x: Array, kernel: Array, *, strides: Sequence[int], padding: str, dilation: Sequence[int], groups: int = 1
) -> Array:
    """`x` [batch, *space, in] with `kernel` [*window, in / groups, out] -> [batch, *space', out].

    `padding` is `valid`, `same` or, for one spatial axis, `causal` (all of it in front). Dtypes are promoted.

    >>> import jax.numpy as jnp
    >>> convolve(jnp.ones((1, 5, 1)), jnp.ones((3, 1, 1)), strides=[1], padding="causal", dilation=[1])[0, :, 0]
    Array([1., 2., 3., 3., 3.], dtype=float32)
    """
    space, window = x.shape[1:-1], kernel.shape[:-2]
    if not all(isinstance(n, int) for n in space):
        return _free(x, kernel, strides, padding, dilation, groups)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    pads = [(reach[0] - 1, 0)] if padding == "causal" else lax.padtype_to_pads(space, reach, strides, padding.upper())
    form = Form(Window(tuple(strides), tuple(pads), tuple(dilation), groups), tuple(space), tuple(window))
    return contract(form, Y, *promoted(x, kernel))


def convolve_channels(
    x: Array, kernel: Array, *, strides: Sequence[int], padding: str, dilation: Sequence[int]
) -> Array:
    """Each channel of `x` [batch, *space, n] with its kernels in [*window, n, m] -> [batch, *space', n * m].

    The outputs of the first channel come first.

    >>> import jax.numpy as jnp
    >>> kernel = jnp.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> convolve_channels(jnp.ones((1, 1, 2)), kernel, strides=[1], padding="valid", dilation=[1])[0, 0]
    Array([1., 2., 3., 4.], dtype=float32)
    """
    *window, n, m = kernel.shape
    by_channel = kernel.reshape(*window, 1, n * m)
    return convolve(x, by_channel, strides=strides, padding=padding, dilation=dilation, groups=n)


def convolve_transposed(
    x: Array,
    kernel: Array,
    *,
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int],
    output_padding: Sequence[int | None],
) -> Array:
    """`x` [batch, *space, in] with `kernel` [*window, out, in] -> [batch, *space', out]: a step writes a window.

    Each step of `x` adds its multiple of the kernel to the output, `strides` further than the step before.

    >>> import jax.numpy as jnp
    >>> x, kernel = jnp.array([1.0, 10.0]).reshape(1, 2, 1), jnp.array([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    >>> convolve_transposed(x, kernel, strides=[2], padding="valid", dilation=[1], output_padding=[None])[0, :, 0]
    Array([ 1.,  2., 13., 20., 30.], dtype=float32)
    """
    window = kernel.shape[:-2]
    space, pads = [], []
    for n, k, s, d, extra in zip(x.shape[1:-1], window, strides, dilation, output_padding, strict=True):
        reach = (k - 1) * d + 1
        one = size_of_one(reach, s, padding, extra)
        cut = max((reach - one) // 2, 0)
        space.append((n - 1) * s + one)
        pads.append((cut, reach - one - cut))
    form = Form(Window(tuple(strides), tuple(pads), tuple(dilation)), tuple(space), tuple(window))
    x, kernel = promoted(x, kernel)
    return contract(form, X, kernel, x)


def size_of_one(reach: int, stride: int, padding: str, output_padding: int | None) -> int:
    """How many outputs a transposed convolution makes of one step; each further step makes `stride` more.

    >>> size_of_one(3, 2, "valid", None), size_of_one(3, 2, "same", None), size_of_one(4, 2, "same", 1)
    (3, 2, 1)
    """
    if padding == "valid":
        return max(reach, stride) if output_padding is None else reach + output_padding
    return stride if output_padding is None else reach % 2 + output_padding


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def contract(form: Form, missing: int, first: Array, second: Array) -> Array:
    """The `missing` one of x, k, y from the two others, in that order."""
    return contracted(form, missing, first, second)


@functools.partial(contract.defjvp, symbolic_zeros=True)
def _tangent(form: Form, missing: int, given: tuple[Array, Array], tangents: tuple[Any, Any]) -> Any:
    """The sum is linear in each of the two: of those that move, as inputs of a first layer do not."""
    names = [name for name in (X, K, Y) if name != missing]
    parts = [
        _by_one(form, missing, names[i], names[1 - i], given[1 - i], tangents[i])
        for i in range(2)
        if not isinstance(tangents[i], SymbolicZero)
    ]
    return contract(form, missing, *given), sum(parts[1:], parts[0])


def _by_one(form: Form, missing: int, name: int, fixed_name: int, fixed: Array, moved: Array) -> Array:
    """The missing one from a given one that moves and one that does not; its transpose is a `contract` too."""
    return linear(
        lambda fixed, moved: (contract(form, missing, *_ordered(name, moved, fixed_name, fixed)),),
        lambda fixed, made: (contract(form, name, *_ordered(missing, made, fixed_name, fixed)),),
        (fixed,),
        (moved,),
    )[0]


def _ordered(name: int, array: Any, other_name: int, other: Any) -> tuple[Array, Array]:
    """Two arrays in the order x, k, y."""
    return (*array, *other) if name < other_name else (*other, *array)


@functools.partial(jax.jit, static_argnums=(0, 1))
def contracted(form: Form, missing: int, first: Array, second: Array) -> Array:
    """The same in a program of its own, whose name tells it from the convolutions of others."""
    forms = {"cpu": functools.partial(_on_cpu, form, missing)}
    return lax.platform_dependent(first, second, **forms, default=functools.partial(_plain, form, missing))


def _plain(form: Form, missing: int, first: Array, second: Array) -> Array:
    """XLA's own convolution, transposed by JAX."""
    if missing == Y:
        return convolved(first, second, form.window)
    spec = jax.ShapeDtypeStruct(_shape(form, missing, first, second), second.dtype)
    linear_part = (
        (lambda x: convolved(x, first, form.window)) if missing == X else (lambda k: convolved(first, k, form.window))
    )
    return jax.linear_transpose(linear_part, spec)(second)[0]


def _on_cpu(form: Form, missing: int, first: Array, second: Array) -> Array:
    """A form that XLA:CPU compiles well, or XLA's own, where an extent is free, or nothing is there."""
    shapes = [first.shape, second.shape]
    shapes.insert(missing, _shape(form, missing, first, second))
    if not all(isinstance(n, int) and n for n in (*shapes[X], *shapes[K])):
        return _plain(form, missing, first, second)
    kind = _kind(form.window, shapes[X], shapes[K])
    if missing == Y:
        return kind.forward(first, second, form.window)
    if missing == X:
        return kind.for_inputs(second, first, form.window, shapes[X])
    return kind.for_kernel(first, second, form.window, shapes[K])


def _kind(window: Window, x: Sizes, kernel: Sizes) -> Any:
    """The file of forms for these shapes."""
    if window.groups > 1:
        return depthwise if depthwise.suits(window, x, kernel) else grouped
    return convolve3d if convolve3d.suits(window, x, kernel) else ungrouped


def _free(x: Array, kernel: Array, strides: Sequence[int], padding: str, dilation: Sequence[int], groups: int) -> Array:
    """XLA's own convolution of free extents, whose padding JAX takes by name alone."""
    return lax.conv_general_dilated(
        *promoted(x, kernel),
        strides,
        [(dilation[0] * (kernel.shape[0] - 1), 0)] if padding == "causal" else padding.upper(),
        rhs_dilation=dilation,
        dimension_numbers=layout(x),
        feature_group_count=groups,
    )


def _shape(form: Form, missing: int, first: Array, second: Array) -> Sizes:
    """The shape of the missing array."""
    if missing == Y:
        return (first.shape[0], *form.window.size(form.space, form.taps), second.shape[-1])
    if missing == X:
        return (second.shape[0], *form.space, first.shape[-2] * form.window.groups)
    return (*form.taps, first.shape[-1] // form.window.groups, second.shape[-1])


def promoted(x: Array, kernel: Array) -> tuple[Array, Array]:
    """Both in one dtype, as JAX's convolutions demand."""
    dtype = jnp.result_type(x, kernel)
    return x.astype(dtype), kernel.astype(dtype)
