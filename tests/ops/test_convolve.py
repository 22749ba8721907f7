"""`contract` on the CPU against XLA's own convolution and JAX's transposes of it, over all options."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from jgraph.ops.convolve import Form, K, Y, contract, convolve
from jgraph.ops.window import Window, layout
from jgraph.typing import Array

SIZES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((9,), (1,)),
    ((9,), (3,)),
    ((9, 8), (3, 2)),
    ((7, 6), (1, 1)),
    ((5, 6, 4), (2, 1, 2)),
]
PADS = {"valid": (0, 0), "around": (1, 2), "cut": (-1, 2)}
GROUPS = {"whole": (1, 3, 4), "groups": (2, 4, 6), "depthwise": (3, 3, 6)}
CASES = [
    pytest.param(
        space,
        taps,
        stride,
        dilation,
        PADS[pads],
        GROUPS[groups],
        id=f"{space}-{taps}-{stride}-{dilation}-{pads}-{groups}",
    )
    for space, taps in SIZES
    for stride, dilation, pads, groups in itertools.product([1, 2, 3], [1, 2], PADS, GROUPS)
    if (dilation == 1 or (len(space) == 1 and stride < 3)) and (groups == "whole" or pads == "around")
    if len(space) == 2 or (pads == "around" and stride < 3)
]


def _plain(form: Form, x: Array, kernel: Array) -> Array:
    """XLA's convolution, of inputs that are cut first, as XLA:CPU reads beyond their end where a pad is negative."""
    window = form.window
    cut = [(0, 0, 0), *((min(low, 0), min(high, 0), 0) for low, high in window.pads), (0, 0, 0)]
    around = [(max(low, 0), max(high, 0)) for low, high in window.pads]
    return lax.conv_general_dilated(
        lax.pad(x, np.zeros((), x.dtype), cut),
        kernel,
        window.strides,
        around,
        rhs_dilation=window.dilation,
        dimension_numbers=layout(x),
        feature_group_count=window.groups,
    )


def _all(function: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Any]:
    """The values, both gradients, and the tangent, of the sum of squares."""

    def results(x: Array, kernel: Array) -> Any:
        loss = lambda x, kernel: jnp.sum(function(x, kernel) ** 2)  # noqa: E731
        grads = jax.grad(loss, (0, 1))
        return function(x, kernel), grads(x, kernel), jax.jvp(grads, (x, kernel), (kernel.sum() + x, kernel))

    return results


@pytest.mark.parametrize(("space", "taps", "stride", "dilation", "pads", "groups"), CASES)
def test_every_form_is_that_of_xla(
    getkey: Callable[[], Array],
    space: tuple[int, ...],
    taps: tuple[int, ...],
    stride: int,
    dilation: int,
    pads: tuple[int, int],
    groups: tuple[int, int, int],
) -> None:
    rank, (number, channels, filters) = len(space), groups
    form = Form(Window((stride,) * rank, (pads,) * rank, (dilation,) * rank, number), space, taps)
    x = jax.random.normal(getkey(), (2, *space, channels))
    kernel = jax.random.normal(getkey(), (*taps, channels // number, filters))
    ours, theirs = functools.partial(contract, form, Y), functools.partial(_plain, form)
    _same(jax.jit(_all(ours))(x, kernel), jax.jit(_all(theirs))(x, kernel))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_batch_of_many_rows_adds_up_its_parts(getkey: Callable[[], Array], dtype: str) -> None:
    form = Form(Window((1, 1), ((1, 1), (1, 1)), (1, 1)), (30, 30), (3, 3))
    x, y = (jax.random.normal(getkey(), (6, 30, 30, 2)).astype(dtype) for _ in range(2))
    wide = jax.vjp(functools.partial(_plain, form, x.astype("float32")), jnp.zeros((3, 3, 2, 2)))[1](
        y.astype("float32")
    )[0]
    found = contract(form, K, x, y)
    assert found.dtype == dtype
    tolerance = {"float32": 1e-5, "bfloat16": 2e-2, "float16": 4e-3}[dtype]
    assert jnp.allclose(found.astype("float32"), wide, rtol=tolerance, atol=tolerance * float(jnp.abs(wide).max()))


def test_vmap_maps_inputs_kernels_and_both(getkey: Callable[[], Array]) -> None:
    form = Form(Window((2, 1), ((1, 0), (1, 1)), (1, 1)), (6, 5), (3, 2))
    x, kernel = jax.random.normal(getkey(), (3, 2, 6, 5, 2)), jax.random.normal(getkey(), (3, 3, 2, 2, 4))
    for axes in [(0, None), (None, 0), (0, 0)]:
        args = [a if axis == 0 else a[0] for a, axis in zip((x, kernel), axes, strict=True)]
        ours, theirs = (jax.vmap(_all(functools.partial(f, form)), axes) for f in (_ours, _plain))
        _same(ours(*args), theirs(*args))


def test_one_exported_program_is_right_on_each_platform(getkey: Callable[[], Array]) -> None:
    form = Form(Window((2,), ((1, 1),), (1,)), (8,), (3,))
    x, kernel = jax.random.normal(getkey(), (2, 8, 3)), jax.random.normal(getkey(), (3, 3, 4))
    grads = jax.jit(jax.grad(lambda x, k: jnp.sum(contract(form, Y, x, k) ** 2), (0, 1)))
    exported = export.export(grads, platforms=("cpu", "cuda", "tpu"))(x, kernel)
    _same(exported.call(x, kernel), grads(x, kernel))
    only_cuda = export.export(grads, platforms=("cuda",))(x, kernel).mlir_module()
    theirs = jax.jit(jax.grad(lambda x, k: jnp.sum(_plain(form, x, k) ** 2), (0, 1)))
    assert only_cuda.count("stablehlo.convolution") == 3
    assert export.export(theirs, platforms=("cuda",))(x, kernel).mlir_module().count("stablehlo.convolution") == 3


def test_free_axes_stay_free() -> None:
    batch, steps = export.symbolic_shape("batch, steps")
    x, kernel = jax.ShapeDtypeStruct((batch, steps, 3), "float32"), jax.ShapeDtypeStruct((3, 3, 4), "float32")
    options: Any = {"strides": [1], "padding": "same", "dilation": [1]}
    assert jax.eval_shape(functools.partial(convolve, **options), x, kernel).shape == (batch, steps, 4)
    exported = export.export(jax.jit(jax.grad(lambda k, x: jnp.sum(convolve(x, k, **options)))))(kernel, x)
    assert exported.call(jnp.ones((3, 3, 4)), jnp.ones((2, 5, 3))).shape == (3, 3, 4)


def _ours(form: Form, x: Array, kernel: Array) -> Array:
    return contract(form, Y, x, kernel)


def _same(found: Any, expected: Any) -> None:
    def close(found: Array, expected: Array) -> None:
        assert found.shape == expected.shape
        assert jnp.allclose(found, expected, rtol=1e-4, atol=1e-5 * float(jnp.abs(expected).max()))

    jax.tree.map(close, found, expected)


def test_a_depthwise_window_of_many_taps_is_no_grouped_convolution_of_xla(getkey: Callable[[], Array]) -> None:
    """XLA:CPU computes the gradients of those 100 to 400 times slower in a loop body."""
    form = Form(Window((1, 1), ((4, 4), (4, 4)), (1, 1), 4), (10, 10), (9, 9))
    x, kernel = jax.random.normal(getkey(), (2, 10, 10, 4)), jax.random.normal(getkey(), (9, 9, 1, 8))
    grads = jax.jit(_all(functools.partial(contract, form, Y)))
    text = export.export(grads, platforms=("cpu",))(x, kernel).mlir_module()
    assert "feature_group_count = 1" in text
    assert "feature_group_count = 4" not in text
    assert "batch_group_count = 4" not in text
    _same(grads(x, kernel), jax.jit(_all(functools.partial(_plain, form)))(x, kernel))


def test_what_does_not_move_has_no_gradient(getkey: Callable[[], Array]) -> None:
    """As the inputs of a first layer: the program has the convolution and the gradient by its kernel, no third one."""
    form = Form(Window((1,), ((1, 1),), (1,)), (8,), (3,))
    x, kernel = jax.random.normal(getkey(), (2, 8, 3)), jax.random.normal(getkey(), (3, 3, 4))
    loss = lambda x, k: jnp.sum(contract(form, Y, x, k) ** 2)  # noqa: E731
    text = {
        by: export.export(jax.jit(jax.grad(loss, by)), platforms=("cuda",))(x, kernel).mlir_module() for by in (0, 1)
    }
    assert [text[by].count("stablehlo.convolution") for by in (0, 1)] == [2, 2]
