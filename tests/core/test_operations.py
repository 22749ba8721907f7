"""Operations of traced programs: closed formulas, loops, branches, and what XLA counts of whole models."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jgraph as jg
from jgraph.core.operations import Operations, operations_of

L = jg.layers


def counted(function: Callable[..., Any], *shapes: Sequence[int]) -> Operations:
    return operations_of(jax.make_jaxpr(function)(*(jax.ShapeDtypeStruct(tuple(s), jnp.float32) for s in shapes)))


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (lambda x, w: x @ w, [(5, 3), (3, 4)], 2 * 5 * 3 * 4),
        (lambda x, w: jnp.einsum("bij,bjk->bik", x, w), [(7, 5, 3), (7, 3, 4)], 2 * 7 * 5 * 3 * 4),
        (lambda x: jnp.exp(x) + 1, [(5, 3)], 30),
        (lambda x: x.sum(axis=0), [(5, 3)], 15),
        (lambda x: x.reshape(15)[::-1][:4], [(5, 3)], 0),
        (lambda x: jnp.arange(8) + 1, [(5, 3)], 0),
        (lambda x: jnp.cumsum(x), [(9,)], 9),
        (
            lambda x: jnp.linalg.cholesky(x, symmetrize_input=False),
            [(6, 6)],
            6**3 // 3 + 6 * 6,
        ),  # its upper half is set to 0
        (lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (3,), (2,), "VALID"), [(9,)], 4 * 2),
        (lambda x, i: x.at[jnp.array([0, 0])].add(i), [(9,), (2,)], 2),
        (jnp.fft.fft, [(8,)], 5 * 8 * 3),
        (jnp.sort, [(8,)], 8 * 3),
    ],
)
def test_counts_are_those_of_the_formula(function: Any, shapes: Any, expected: int) -> None:
    assert counted(function, *shapes) == Operations(expected)


def test_a_scan_counts_its_body_as_often_as_it_runs_and_a_while_loop_once() -> None:
    def scanned(x: Any) -> Any:
        return lax.scan(lambda c, _: (c * 2, None), x, length=7)[0]

    def nested(x: Any) -> Any:
        return lax.fori_loop(0, 3, lambda _, c: scanned(c), x)

    assert counted(scanned, (4,)) == Operations(28)
    assert counted(nested, (4,)) == Operations(84)
    loop = counted(lambda x: lax.while_loop(lambda c: c.sum() < 5, lambda c: c * 2, x), (4,))
    assert loop == Operations(4 + 4 + 1, loops=1)


def test_what_a_program_calls_is_entered() -> None:
    @jax.custom_jvp
    def own(x: Any) -> Any:
        return x * x

    own.defjvp(lambda primals, tangents: (own(*primals), tangents[0]))
    for wrapped in (jax.jit(lambda x: x * x), own, jax.checkpoint(lambda x: x * x)):
        assert counted(wrapped, (5,)).count == 5
    assert counted(jax.vmap(jax.jit(lambda x: x * x)), (5, 2)).count == 10


def test_the_dearest_branch_counts_and_of_platforms_the_one_for_all_others() -> None:
    def branched(x: Any) -> Any:
        return lax.cond(x[0] > 0, lambda x: x, lambda x: x * x * x, x)

    def placed(x: Any) -> Any:
        return lax.platform_dependent(x, cpu=lambda x: x * x * x * x, default=lambda x: x * 2)

    assert counted(branched, (5,)).count == 1 + 10
    assert counted(placed, (5,)).count == 5


def pairs(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """The pairs of outputs and taps of one axis that meet an input, one by one."""
    reach = (kernel - 1) * dilation + 1
    outputs = -(-size // stride) if padding == "same" else (size - reach) // stride + 1
    front = max((outputs - 1) * stride + reach - size, 0) // 2 if padding == "same" else 0
    taps = itertools.product(range(outputs), range(kernel))
    return sum(0 <= out * stride + tap * dilation - front < size for out, tap in taps)


@pytest.mark.parametrize(
    ("strides", "groups", "dilation", "padding"),
    [
        (1, 1, 1, "valid"),
        (1, 1, 1, "same"),
        (2, 1, 1, "same"),
        (1, 2, 1, "same"),
        (1, 1, 2, "same"),
        (2, 3, 1, "valid"),
    ],
)
def test_a_convolution_counts_the_taps_that_meet_an_input(
    strides: int, groups: int, dilation: int, padding: str
) -> None:
    layer = L.Conv2D(6, 3, strides=strides, groups=groups, dilation_rate=dilation, padding=padding, use_bias=False)
    [spec] = jax.tree.leaves(jg.Model(x := jg.Input((9, 8, 6)), layer(x)).params_spec)
    taps = pairs(9, 3, strides, dilation, padding) * pairs(8, 3, strides, dilation, padding)
    found = counted(lambda k, x: layer.apply({"kernel": k}, {}, x)[0], spec.shape, (5, 9, 8, 6))
    assert found.count == 2 * 5 * taps * 6 * (6 // groups)


def test_a_depthwise_convolution_is_one_of_as_many_groups_as_channels() -> None:
    layer = L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", use_bias=False)
    found = counted(lambda k, x: layer.apply({"kernel": k}, {}, x)[0], (3, 3, 6, 2), (5, 9, 8, 6))
    assert found.count == 2 * 5 * pairs(9, 3, 1, 1, "same") * pairs(8, 3, 1, 1, "same") * 12


def test_holes_of_a_transposed_convolution_are_not_counted() -> None:
    def up(x: Any, k: Any) -> Any:
        return lax.conv_transpose(x, k, (2,), "VALID", dimension_numbers=("NHC", "HIO", "NHC"))

    x, k = (5, 9, 4), (3, 4, 6)
    assert counted(up, x, k).count == 2 * 5 * 9 * 3 * 4 * 6


def test_a_gradient_costs_twice_its_product() -> None:
    def loss(x: Any, w: Any) -> Any:
        return (x @ w).sum()

    forward = 2 * 5 * 3 * 4
    assert counted(jax.grad(loss, (0, 1)), (5, 3), (3, 4)).count == 3 * forward + 5 * 4


def models() -> dict[str, jg.Model]:
    x = jg.Input((8, 16))
    h = L.add([x, L.MultiHeadAttention(2, 8)(x, x)])
    return {
        "dense": jg.Sequential([jg.Input((16,)), L.Dense(32, activation="relu"), L.Dense(4)]),
        "convolution": jg.Sequential(
            [jg.Input((12, 12, 3)), L.Conv2D(8, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(4)]
        ),
        "attention": jg.Model(x, L.Dense(4)(L.GlobalAveragePooling1D()(L.LayerNormalization()(h)))),
        "strides": jg.Sequential([jg.Input((12, 12, 4)), L.Conv2D(8, 3, strides=2, padding="same"), L.Flatten()]),
    }


@pytest.mark.parametrize("name", models())
def test_whole_models_cost_what_xla_counts(name: str) -> None:
    """XLA counts a little more where it writes out `exp` and `tanh`, and less where it finds something twice."""
    model = models()[name]
    x = jax.ShapeDtypeStruct((4, *model.inputs.shape[1:]), jnp.float32)
    forward = lambda params, state, x: model.apply(params, state, x)[0]  # noqa: E731
    found = operations_of(jax.make_jaxpr(forward)(model.params_spec, model.state_spec, x)).count
    costs = jax.jit(forward).lower(model.params_spec, model.state_spec, x).compile().cost_analysis() or {}
    assert found == pytest.approx(costs["flops"] + costs.get("transcendentals", 0), rel=0.03)


def test_a_recurrence_counts_all_of_its_steps() -> None:
    steps, features, units = 7, 5, 6
    layer = L.LSTM(units)
    model = jg.Model(x := jg.Input((steps, features)), layer(x))
    spec = jax.ShapeDtypeStruct((3, steps, features), jnp.float32)
    found = operations_of(jax.make_jaxpr(lambda p, x: model.apply(p, {}, x)[0])(model.params_spec, spec)).count
    products = 3 * steps * 2 * (features + units) * 4 * units
    assert products < found < products + 60 * 3 * steps * units
    assert math.isclose(found, products, rel_tol=0.5)


def test_a_linear_function_of_jgraph_is_entered_in_both_directions() -> None:
    layer = L.AveragePooling1D(2)
    forward = counted(lambda x: layer.apply({}, {}, x)[0], (3, 8, 2)).count
    both = counted(lambda x, y: jax.vjp(lambda x: layer.apply({}, {}, x)[0], x)[1](y), (3, 8, 2), (3, 4, 2)).count
    assert forward > 0
    assert both > 0
    assert np.isfinite([forward, both]).all()
