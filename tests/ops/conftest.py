"""How a bilinear operation and its two transposes are compared with XLA's convolution."""

from collections.abc import Callable
from types import ModuleType

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jgraph.ops.convolve import layout
from jgraph.ops.window import Window
from jgraph.typing import Array


@pytest.fixture
def agree(getkey: Callable[[], Array]) -> Callable[..., None]:
    """Compares the three functions of a module, compiled, with XLA's, for shapes of inputs and kernel."""

    def compare(
        module: ModuleType,
        shape: tuple[int, ...],
        kernel_shape: tuple[int, ...],
        window: Window,
        dtype: str = "float32",
    ) -> None:
        x, kernel = (jax.random.normal(getkey(), size).astype(dtype) for size in (shape, kernel_shape))
        expected, pull = jax.vjp(lambda x, kernel: _plain(x, kernel, window), x, kernel)
        y = jax.random.normal(getkey(), expected.shape).astype(dtype)
        found = (
            jax.jit(lambda x, k: module.forward(x, k, window))(x, kernel),
            jax.jit(lambda y, k: module.for_inputs(y, k, window, shape))(y, kernel),
            jax.jit(lambda x, y: module.for_kernel(x, y, window, kernel_shape))(x, y),
        )
        tolerance = 1e-4 if dtype == "float32" else 0.05
        for ours, theirs in zip(found, (expected, *pull(y)), strict=True):
            assert ours.shape == theirs.shape
            assert ours.dtype == theirs.dtype
            assert jnp.allclose(ours, theirs, rtol=tolerance, atol=tolerance)

    return compare


def _plain(x: Array, kernel: Array, window: Window) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        window.strides,
        window.pads,
        rhs_dilation=window.dilation,
        dimension_numbers=layout(x),
        feature_group_count=window.groups,
    )
