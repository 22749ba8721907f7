"""Recurrences with a gradient by hand against plain scans of the same formulas: values, every derivative, `vmap`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgraph.ops.recurrence import Step, Way, gru, lstm, recur, simple, weigh
from jgraph.typing import Array

TIME, BATCH, UNITS = 4, 2, 3


def _plain_lstm(z: Array, inner: Array, memories: list[Array]) -> list[Array]:
    i, f, g, o = jnp.split(z + inner, 4, axis=-1)
    c = jax.nn.sigmoid(f) * memories[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    return [jax.nn.sigmoid(o) * jnp.tanh(c), c]


def _plain_gru(z: Array, inner: Array, memories: list[Array]) -> list[Array]:
    (a, b, c), (k, r, g) = jnp.split(z, 3, axis=-1), jnp.split(inner, 3, axis=-1)
    keep = jax.nn.sigmoid(a + k)
    return [keep * memories[0] + (1 - keep) * jnp.tanh(c + jax.nn.sigmoid(b + r) * g)]


def _plain_simple(z: Array, inner: Array, memories: list[Array]) -> list[Array]:
    del memories
    return [jnp.tanh(z + inner)]


STEPS: dict[str, tuple[Step, Any, int, int]] = {
    "lstm": (lstm, _plain_lstm, 4, 2),
    "gru": (gru, _plain_gru, 3, 1),
    "simple": (simple, _plain_simple, 1, 1),
}


def _plain(
    step: Any, reverse: bool, sequence: bool, z: Array, kernel: Array, bias: Any, memories: Any, real: Any
) -> Any:
    """The same by `jax.lax.scan` and JAX's own derivatives."""

    def advance(old: list[Array], at: Any) -> tuple[list[Array], Array]:
        z, real = at
        new = step(z, old[0] @ kernel + (0.0 if bias is None else bias[None]), old)
        new = new if real is None else [jnp.where(real[:, None], n, o) for n, o in zip(new, old, strict=True)]
        return new, new[0]

    last, hs = jax.lax.scan(advance, [*memories], (z, real), reverse=reverse)
    return hs if sequence else None, last


def _made(key: Array, name: str, biased: bool = True, masked: bool = True) -> Any:
    """z, kernel, bias, memories and the mask of a case."""
    _, _, gates, count = STEPS[name]
    sizes = [(TIME, BATCH, gates * UNITS), (UNITS, gates * UNITS), (gates * UNITS,), *[(BATCH, UNITS)] * count]
    z, kernel, bias, *memories = (
        jax.random.normal(k, size) for k, size in zip(jax.random.split(key, len(sizes)), sizes, strict=True)
    )
    real = jnp.array([[True, True], [True, False], [False, False], [True, True]]) if masked else None
    return z, kernel, bias if biased else None, memories, real


def _both(name: str, reverse: bool = False, sequence: bool = True, unroll: bool = False) -> list[Callable[..., Any]]:
    """The kernel and the plain scan as functions of the arrays that have derivatives, and the mask."""
    ours, theirs, *_ = STEPS[name]
    return [partial(recur, Way(ours, reverse, sequence, unroll)), partial(_plain, theirs, reverse, sequence)]


def _score(run: Callable[..., Any], real: Any) -> Callable[..., Array]:
    """A scalar in which every output has a weight of its own."""

    def score(*arrays: Any) -> Array:
        leaves = jax.tree.leaves(run(*arrays, real))
        return sum(
            (jnp.sum(jnp.sin(leaf + 0.1 * i) * jnp.arange(1.0, leaf.size + 1).reshape(leaf.shape)))
            for i, leaf in enumerate(leaves)
        )  # type: ignore[return-value]

    return score


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("sequence", [False, True], ids=["last", "sequence"])
@pytest.mark.parametrize("more", [False, True], ids=["bare", "bias and mask"])
def test_values_and_gradients(
    getkey: Callable[[], Array], name: str, reverse: bool, sequence: bool, more: bool
) -> None:
    *arrays, real = _made(getkey(), name, more, more)
    ours, theirs = _both(name, reverse, sequence)
    _close(jax.jit(ours)(*arrays, real), jax.jit(theirs)(*arrays, real))
    places = (0, 1, 2, 3) if more else (0, 1, 3)
    ours, theirs = (jax.jit(jax.grad(_score(run, real), places))(*arrays) for run in (ours, theirs))
    _close(ours, theirs)


@pytest.mark.parametrize("name", STEPS)
def test_without_a_loop(getkey: Callable[[], Array], name: str) -> None:
    *arrays, real = _made(getkey(), name)
    ours, theirs = (jax.jit(jax.grad(_score(run, real), (0, 1, 2, 3))) for run in _both(name, unroll=True))
    assert " while(" not in str(ours.lower(*arrays).compile().as_text())
    _close(ours(*arrays), theirs(*arrays))


TRANSFORMED: dict[str, Callable[[Callable[..., Array]], Callable[..., Any]]] = {
    "jvp": lambda f: lambda a, t: jax.jvp(f, a, t),
    "Hessian times vector": lambda f: lambda a, t: jax.jvp(jax.grad(f, (0, 1, 2, 3)), a, t)[1],
    "reverse over reverse": lambda f: lambda a, t: jax.vjp(jax.grad(f, (0, 1, 2, 3)), *a)[1](t),
    "a single input": lambda f: lambda a, t: jax.grad(f, 1)(*a),
    "remat": lambda f: lambda a, t: jax.grad(jax.checkpoint(f))(*a),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("what", TRANSFORMED)
def test_other_derivatives(getkey: Callable[[], Array], name: str, what: str) -> None:
    *arrays, real = _made(getkey(), name)
    *moves, _ = _made(getkey(), name)
    ours, theirs = (TRANSFORMED[what](_score(run, real)) for run in _both(name))
    _close(jax.jit(ours)(tuple(arrays), tuple(moves)), jax.jit(theirs)(tuple(arrays), tuple(moves)))


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("shared", [False, True], ids=["all mapped", "one kernel"])
def test_vmap(getkey: Callable[[], Array], name: str, shared: bool) -> None:
    cases = [_made(getkey(), name) for _ in range(2)]
    arrays: list[Any] = [*jax.tree.map(lambda *leaves: jnp.stack(leaves), *cases)][:4]
    real = cases[0][4]
    axes: Any = (0, 0, 0, 0)
    if shared:
        arrays[1:3], axes = cases[0][1:3], (0, None, None, 0)
    for transform in (lambda f: f, lambda f: jax.grad(f, (0, 1))):
        ours, theirs = (jax.jit(jax.vmap(transform(_score(run, real)), axes))(*arrays) for run in _both(name))
        _close(ours, theirs)


@pytest.mark.parametrize("name", STEPS)
def test_float64_is_the_formula(getkey: Callable[[], Array], name: str) -> None:
    with jax.enable_x64(True):
        arrays = jax.tree.map(lambda a: np.asarray(a).astype("float64"), _made(getkey(), name, masked=False)[:4])
        ours, theirs = (jax.grad(_score(run, None), (0, 1, 2, 3))(*arrays) for run in _both(name))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12), ours, theirs)


def test_low_precision_keeps_its_dtype(getkey: Callable[[], Array]) -> None:
    *arrays, real = _made(getkey(), "lstm")
    low = jax.tree.map(lambda a: a.astype(jnp.bfloat16), arrays)
    hs, last = recur(Way(lstm, sequence=True), *low, real)
    want, _ = recur(Way(lstm, sequence=True), *arrays, real)
    assert {leaf.dtype for leaf in (hs, *last)} == {jnp.dtype("bfloat16")}
    np.testing.assert_allclose(np.asarray(hs, "float32"), want, atol=0.05)  # a few steps of 2**-8


@pytest.mark.parametrize("name", STEPS)
def test_export_for_several_platforms(getkey: Callable[[], Array], name: str) -> None:
    *arrays, real = _made(getkey(), name)
    function = jax.jit(jax.grad(_score(_both(name)[0], real), (0, 1, 2, 3)))
    exported = jax.export.export(function, platforms=("cpu", "cuda"))(*arrays)
    assert exported.platforms == ("cpu", "cuda")
    _close(exported.call(*arrays), function(*arrays))


def test_weigh_is_a_product(getkey: Callable[[], Array]) -> None:
    x, kernel = jax.random.normal(getkey(), (4, 2, 3)), jax.random.normal(getkey(), (3, 5))
    for transform in (
        lambda f: f,
        lambda f: jax.grad(f, (0, 1)),
        lambda f: jax.grad(f, 1),
        lambda f: jax.grad(f),
        lambda f: jax.hessian(f, 1),
        lambda f: lambda *a: jax.jvp(f, a, a),
    ):
        ours, theirs = (
            jax.jit(transform(lambda x, k, f=f: jnp.sum(jnp.sin(f(x, k)))))(x, kernel) for f in (weigh, jnp.matmul)
        )
        _close(ours, theirs)


def _close(found: Any, expected: Any) -> None:
    """Sums of some tens of terms in float32, in another order."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(lambda f, e: np.testing.assert_allclose(f, e, rtol=1e-4, atol=1e-4), found, expected)
