"""Grouped convolution on CPUs, and its two transposes: dense convolutions beside each other.

XLA:CPU computes the weight gradient of a grouped convolution one number at a time; that of a dense one is a product
of matrices. The kernel [*window, n / groups, out] holds the groups' outputs one after the other. Groups of few
channels are merged until there are `WIDTH` of them, their kernels standing on the diagonal of a dense one: the zeros
cost less than a product of small matrices does. (A number that is not finite reaches the groups merged with its own.)
"""

from dataclasses import replace

import jax.numpy as jnp

from jgraph.ops import convolve3d, ungrouped
from jgraph.ops.window import Window
from jgraph.typing import Array

WIDTH = 16


def forward(x: Array, kernel: Array, window: Window) -> Array:
    """`x` [batch, *space, n] with `kernel` [*window, n / groups, out] -> [batch, *space', out].

    >>> import jax.numpy as jnp
    >>> x, kernel = jnp.array([[[1.0, 2.0, 3.0, 4.0]]]), jnp.ones((1, 2, 2))
    >>> forward(x, kernel, Window((1,), ((0, 0),), (1,), groups=2))
    Array([[[3., 7.]]], dtype=float32)
    """
    count, dense = _count(window, x.shape[-1]), replace(window, groups=1)
    pieces = zip(jnp.split(x, count, -1), jnp.split(kernel, count, -1), strict=True)
    merged, apply = window.groups // count, convolve3d.forward if x.ndim == 5 else ungrouped.forward
    return jnp.concatenate([apply(a, _diagonal(k, merged), dense) for a, k in pieces], -1)


def for_inputs(y: Array, kernel: Array, window: Window, shape: tuple[int, ...]) -> Array:
    """The transpose by the inputs, of `shape`.

    >>> import jax.numpy as jnp
    >>> y, kernel = jnp.array([[[3.0, 7.0]]]), jnp.ones((1, 2, 2))
    >>> for_inputs(y, kernel, Window((1,), ((0, 0),), (1,), groups=2), (1, 1, 4))
    Array([[[3., 3., 7., 7.]]], dtype=float32)
    """
    count, dense = _count(window, shape[-1]), replace(window, groups=1)
    pieces = zip(jnp.split(y, count, -1), jnp.split(kernel, count, -1), strict=True)
    merged, of_piece = window.groups // count, (*shape[:-1], shape[-1] // count)
    apply = convolve3d.for_inputs if y.ndim == 5 else ungrouped.for_inputs
    return jnp.concatenate([apply(a, _diagonal(k, merged), dense, of_piece) for a, k in pieces], -1)


def for_kernel(x: Array, y: Array, window: Window, shape: tuple[int, ...]) -> Array:
    """The transpose by the kernel, of `shape`.

    >>> import jax.numpy as jnp
    >>> x, y = jnp.array([[[1.0, 2.0, 3.0, 4.0]]]), jnp.array([[[1.0, 10.0]]])
    >>> for_kernel(x, y, Window((1,), ((0, 0),), (1,), groups=2), (1, 2, 2))
    Array([[[ 1., 30.],
            [ 2., 40.]]], dtype=float32)
    """
    count, dense = _count(window, x.shape[-1]), replace(window, groups=1)
    pieces = zip(jnp.split(x, count, -1), jnp.split(y, count, -1), strict=True)
    merged, apply = window.groups // count, convolve3d.for_kernel if x.ndim == 5 else ungrouped.for_kernel
    of_piece = (*shape[:-2], shape[-2] * merged, shape[-1] // count)
    return jnp.concatenate([_off_diagonal(apply(a, b, dense, of_piece), merged) for a, b in pieces], -1)


def _count(window: Window, n: int) -> int:
    """How many dense convolutions: as many as there are groups, where these are wide."""
    each = n // window.groups
    fits = [merged for merged in range(1, window.groups + 1) if window.groups % merged == 0 and merged * each <= WIDTH]
    return window.groups // max(fits, default=1)


def _diagonal(kernel: Array, groups: int) -> Array:
    """The kernels of the groups [*window, i, groups * o] on the diagonal of one [*window, groups * i, groups * o]."""
    if groups == 1:
        return kernel
    *window, i, out = kernel.shape
    apart = kernel.reshape(*window, 1, i, groups, -1)
    own = jnp.eye(groups, dtype=bool)[:, None, :, None]
    return jnp.where(own, apart, 0).reshape(*window, groups * i, out)


def _off_diagonal(kernel: Array, groups: int) -> Array:
    """The transpose of `_diagonal`: what stands off the diagonal is left out."""
    i, o = kernel.shape[-2] // groups, kernel.shape[-1] // groups
    return jnp.concatenate([kernel[..., g * i : (g + 1) * i, g * o : (g + 1) * o] for g in range(groups)], -1)
