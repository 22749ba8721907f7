"""A recurrence over time whose gradient is written by hand, one step at a time: `lstm`, `gru` and `simple`.

A step sees what the sequence gives it, z, and what the memory h gives it, `inner = h @ kernel + bias`. Its derivative
is linear in both, and in the memories, with coefficients that are known once it is taken, its `slopes`. They are what
is kept, so that the backward pass is one product and a few multiplications a step:

    step        advance(z, inner, memories) -> memories, slopes
    tangent     push(slopes, dz, dinner, dmemories) -> dmemories
    transpose   pull(slopes, dmemories) -> dz, dinner, dmemories but for what goes through inner

The kernel's own gradient is no part of the loop: its tangent enters through `before @ dkernel`, with `before` all h
before their steps, and so its gradient is one product over time and batch, as is that of the sequence's projection,
`weigh`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from jgraph.ops.linear import linear
from jgraph.typing import Array

Arrays = Sequence[Array]


class Step(NamedTuple):
    """One step of a recurrence and its derivative, as above; `apart` where z and inner are more than summed."""

    advance: Callable[[Array, Array, Arrays], tuple[list[Array], tuple[Array, ...]]]
    push: Callable[[Arrays, Array, Array, Arrays], list[Array]]
    pull: Callable[[Arrays, Arrays], tuple[Array, Array, list[Any]]]
    apart: bool = False


class Way(NamedTuple):
    """How a step is taken through a sequence: from its end, to give every h, without a loop."""

    step: Step
    reverse: bool = False
    sequence: bool = False
    unroll: bool = False

    def scan(self, advance: Any, memories: Any, steps: Any, *, back: bool = False) -> Any:
        """`jax.lax.scan` in the order of the steps, or `back` again."""
        return jax.lax.scan(advance, memories, steps, reverse=self.reverse != back, unroll=self.unroll or 1)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def recur(
    way: Way,
    z: Array,
    kernel: Array,
    bias: Array | None,
    memories: Arrays,
    real: Array | None,
) -> tuple[Array | None, list[Array]]:
    """Folds a step over z, time first: every h [time, batch, units] if the way asks for them, and the last memories.

    z [time, batch, gates * units], kernel [units, gates * units], bias as wide, memories [batch, units], h first. Where
    `real` [time, batch] is false, the memories stay as they are. In reverse, too, each h stands where its step does.

    >>> import jax.numpy as jnp
    >>> z, kernel, h = jnp.ones((5, 2, 3)), jnp.eye(3), jnp.zeros((2, 3))
    >>> hs, (last,) = recur(Way(simple, sequence=True), z, kernel, None, [h], None)
    >>> hs.shape, bool(jnp.all(hs[-1] == last)), last[0, 0]
    ((5, 2, 3), True, Array(0.961..., dtype=float32))
    """
    return _taken(way, (way.sequence, False), z, kernel, bias, memories, real)[:2]


@recur.defjvp
def _tangent(way: Way, primals: Any, tangents: Any) -> tuple[Any, Any]:
    z, kernel, bias, memories, real = primals
    dz, dkernel, dbias, dmemories, _ = tangents
    hs, last, slopes = _taken(way, (True, True), z, kernel, bias, memories, real)
    first = memories[0][None]
    before = jnp.concatenate([hs[1:], first] if way.reverse else [first, hs[:-1]])
    dinner = _by_kernel(before, dkernel) if bias is None else _by_kernel(before, dkernel) + dbias[None, None]
    moving = (dz, dinner) if way.step.apart else (dz + dinner,)
    masked = () if real is None else (real,)
    push, pull = partial(_pushed, way, len(masked)), partial(_pulled, way, len(masked))
    moved = linear(push, pull, (kernel, *masked, *slopes), (*moving, *dmemories))
    dhs, *dlast = moved if way.sequence else (None, *moved)
    return (hs if way.sequence else None, last), (dhs, dlast)


@jax.custom_jvp
def weigh(x: Array, kernel: Array) -> Array:
    """`x @ kernel`: [..., n], [n, m] -> [..., m], with the kernel's gradient as one product `x^T dy`.

    JAX writes it as the transpose of `dy^T x`, for which XLA on a CPU copies the whole of dy.

    >>> import jax.numpy as jnp
    >>> weigh(jnp.ones((5, 2, 3)), jnp.ones((3, 4))).shape
    (5, 2, 4)
    """
    return x @ kernel


@partial(weigh.defjvp, symbolic_zeros=True)
def _weigh_tangent(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (x, kernel), (dx, dkernel) = primals, tangents
    y = weigh(x, kernel)
    dy = jnp.zeros_like(y) if isinstance(dx, SymbolicZero) else dx @ kernel
    return y, dy if isinstance(dkernel, SymbolicZero) else dy + _by_kernel(x, dkernel)


def _by_kernel(x: Array, dkernel: Array) -> Array:
    """`x @ dkernel`, linear in dkernel."""
    return linear(lambda r, k: (r[0] @ k[0],), lambda r, y: (_gradient(r[0], y[0]),), (x,), (dkernel,))[0]


def _gradient(x: Array, dy: Array) -> Array:
    every = tuple(range(x.ndim - 1))
    return jax.lax.dot_general(x, dy, ((every, every), ((), ())))


def _taken(
    way: Way, kept: tuple[bool, bool], z: Array, kernel: Array, bias: Any, memories: Arrays, real: Any
) -> tuple[Any, list[Array], Any]:
    """The steps themselves, which keep every h and every step's slopes, or not."""

    def advance(old: list[Array], at: Any) -> tuple[list[Array], Any]:
        z, real = at
        inner = old[0] @ kernel if bias is None else old[0] @ kernel + bias[None]
        new, slopes = way.step.advance(z, inner, old)
        new = _where(real, new, old)
        return new, (new[0] if kept[0] else None, slopes if kept[1] else None)

    last, (hs, slopes) = way.scan(advance, [*memories], (z, real))
    return hs, last, slopes


def _pushed(way: Way, masked: int, residuals: Arrays, x: Arrays) -> tuple[Array, ...]:
    kernel, real, slopes = residuals[0], residuals[1] if masked else None, residuals[1 + masked :]
    inputs = 1 + way.step.apart

    def advance(old: list[Array], at: Any) -> tuple[list[Array], Any]:
        (dz, *dinner), slopes, real = at
        new = way.step.push(slopes, dz, sum(dinner, old[0] @ kernel), old)
        new = _where(real, new, old)
        return new, new[0] if way.sequence else None

    last, hs = way.scan(advance, [*x[inputs:]], (x[:inputs], slopes, real))
    return (hs, *last) if way.sequence else tuple(last)


def _pulled(way: Way, masked: int, residuals: Arrays, y: Arrays) -> tuple[Array, ...]:
    turned, real, slopes = residuals[0].T, residuals[1] if masked else None, residuals[1 + masked :]

    def retreat(new: list[Array], at: Any) -> tuple[list[Array], Any]:
        dh, slopes, real = at
        new = new if dh is None else [new[0] + dh, *new[1:]]
        still = [jnp.zeros_like(array) for array in new]
        dz, dinner, old = way.step.pull(slopes, _where(real, new, still))
        old = [old[0] + dinner @ turned, *old[1:]]
        if real is not None:
            old = [a + b for a, b in zip(old, _where(real, still, new), strict=True)]
        return old, (dz, dinner) if way.step.apart else (dz,)

    dhs, last = (y[0], y[1:]) if way.sequence else (None, y)
    first, inputs = way.scan(retreat, [*last], (dhs, slopes, real), back=True)
    return (*inputs, *first)


def _where(real: Array | None, new: Arrays, old: Arrays) -> list[Array]:
    return [*new] if real is None else [jnp.where(real[:, None], n, o) for n, o in zip(new, old, strict=True)]


def _opened(a: Array) -> tuple[Array, Array]:
    """`sigmoid(x)` and its derivative, from `a = tanh(x / 2)`."""
    return 0.5 + 0.5 * a, 0.25 - 0.25 * a * a


def _lstm(z: Array, inner: Array, memories: Arrays) -> tuple[list[Array], tuple[Array, ...]]:
    units = memories[0].shape[-1]
    narrow = jnp.asarray(np.repeat([0.5, 0.5, 1.0, 0.5], units), z.dtype)
    i, f, g, o = jnp.split(jnp.tanh((z + inner) * narrow[None]), 4, axis=-1)
    (i, di), (f, df), (o, do) = map(_opened, (i, f, o))
    c = f * memories[1] + i * g
    shown = jnp.tanh(c)
    return [o * shown, c], (di * g, df * memories[1], i * (1 - g * g), do * shown, o * (1 - shown * shown), f)


def _lstm_push(slopes: Arrays, dz: Array, dinner: Array, dmemories: Arrays) -> list[Array]:
    by_i, by_f, by_g, by_o, by_c, keep = slopes
    i, f, g, o = jnp.split(dz + dinner, 4, axis=-1)
    c = keep * dmemories[1] + by_i * i + by_f * f + by_g * g
    return [by_c * c + by_o * o, c]


def _lstm_pull(slopes: Arrays, dmemories: Arrays) -> tuple[Array, Array, list[Any]]:
    by_i, by_f, by_g, by_o, by_c, keep = slopes
    h, c = dmemories
    c = c + by_c * h
    dz = jnp.concatenate([by_i * c, by_f * c, by_g * c, by_o * h], axis=-1)
    return dz, dz, [0.0, keep * c]


def _gru(z: Array, inner: Array, memories: Arrays) -> tuple[list[Array], tuple[Array, ...]]:
    (h,) = memories
    both, new = 2 * h.shape[-1], inner[:, 2 * h.shape[-1] :]
    gates = jnp.tanh(0.5 * (z[:, :both] + inner[:, :both]))
    (keep, dkeep), (reset, dreset) = map(_opened, jnp.split(gates, 2, axis=-1))
    g = jnp.tanh(z[:, both:] + reset * new)
    by_new = (1 - keep) * (1 - g * g)
    return [g + keep * (h - g)], (keep, (h - g) * dkeep, by_new * new * dreset, by_new, by_new * reset)


def _gru_push(slopes: Arrays, dz: Array, dinner: Array, dmemories: Arrays) -> list[Array]:
    keep, by_keep, by_reset, by_new, by_inner = slopes
    (z_keep, z_reset, z_new), (k, r, new) = (jnp.split(x, 3, axis=-1) for x in (dz, dinner))
    return [keep * dmemories[0] + by_keep * (z_keep + k) + by_reset * (z_reset + r) + by_new * z_new + by_inner * new]


def _gru_pull(slopes: Arrays, dmemories: Arrays) -> tuple[Array, Array, list[Any]]:
    (h,), (keep, *by) = dmemories, slopes
    by_keep, by_reset, by_new, by_inner = (slope * h for slope in by)
    both = jnp.concatenate([by_keep, by_reset], axis=-1)
    return jnp.concatenate([both, by_new], axis=-1), jnp.concatenate([both, by_inner], axis=-1), [keep * h]


def _simple(z: Array, inner: Array, memories: Arrays) -> tuple[list[Array], tuple[Array, ...]]:
    del memories
    h = jnp.tanh(z + inner)
    return [h], (1 - h * h,)


def _simple_push(slopes: Arrays, dz: Array, dinner: Array, dmemories: Arrays) -> list[Array]:
    del dmemories
    return [slopes[0] * (dz + dinner)]


def _simple_pull(slopes: Arrays, dmemories: Arrays) -> tuple[Array, Array, list[Any]]:
    dz = slopes[0] * dmemories[0]
    return dz, dz, [0.0]


lstm = Step(_lstm, _lstm_push, _lstm_pull)
"""Memories h and c, gates i, f, g, o: `c = f * c + i * g`, `h = o * tanh(c)`."""

gru = Step(_gru, _gru_push, _gru_pull, apart=True)
"""Memory h, gates z, r, g, with r before what h gives to g: `h = z * h + (1 - z) * g`."""

simple = Step(_simple, _simple_push, _simple_pull)
"""Memory h: `h = tanh(z + inner)`."""
