"""Batch normalisation against its formulas: in training and after it, with masks, weights, narrow dtypes, on a mesh."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from tests.references import numpy_layers as reference

RANDOM = np.random.default_rng(0)
MASK: Any = np.array([[1, 1, 0, 0], [1, 0, 1, 1], [1, 1, 1, 0]], bool)


def values(units: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Params and state that are not the start values."""
    draw = [RANDOM.uniform(0.5, 1.5, units).astype("float32") for _ in range(4)]
    return dict(zip(("gamma", "beta"), draw, strict=False)), dict(
        zip(("moving_mean", "moving_variance"), draw[2:], strict=True)
    )


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(
    ("shape", "axis"), [((8, 4), -1), ((4, 3, 5), 1), ((3, 4, 2, 3), -1), ((3, 4, 2, 3), 2)], ids=str
)
def test_values(shape: tuple[int, ...], axis: int, train: bool) -> None:
    x: Any = (3 * RANDOM.normal(size=shape) - 1).astype("float32")
    params, state = values(shape[axis])
    layer = jg.layers.BatchNormalization(axis=axis, momentum=0.9, epsilon=0.01)
    y, after = layer.apply(params, state, x, train=train)
    mean, variance = state["moving_mean"], state["moving_variance"]
    if train:
        mean, variance = reference.batch_statistics(x, axis)
        reference.assert_near(after["moving_mean"], 0.9 * state["moving_mean"] + 0.1 * mean)
        reference.assert_near(after["moving_variance"], 0.9 * state["moving_variance"] + 0.1 * variance)
    else:
        assert after is state
    reference.assert_near(y, reference.normalize(x, mean, variance, params["gamma"], params["beta"], 0.01, axis))


def test_masked_steps_do_not_count_whatever_they_hold() -> None:
    x: Any = RANDOM.normal(size=(3, 4, 2)).astype("float32")
    x[~MASK] = np.nan
    params, state = values(2)
    y, after = jg.layers.BatchNormalization(momentum=0.0).apply(params, state, x, mask=MASK, train=True)
    mean, variance = reference.batch_statistics(x, -1, MASK)
    reference.assert_near(after["moving_mean"], mean)
    reference.assert_near(after["moving_variance"], variance)
    want = reference.normalize(x, mean, variance, params["gamma"], params["beta"], 1e-3, -1)
    reference.assert_near(y[MASK], want[MASK])


def test_gradient_stays_finite_where_no_step_is_real() -> None:
    x: Any = RANDOM.normal(size=(3, 4, 2)).astype("float32")
    params, state = values(2)

    def loss(x: Any) -> Any:
        return jg.layers.BatchNormalization().apply(params, state, x, mask=0 * MASK != 0, train=True)[0].sum()

    assert np.isfinite(jax.grad(loss)(x)).all()


def test_statistics_of_narrow_dtypes_are_taken_in_float32() -> None:
    """In bfloat16 a sum of 4096 ones stops at 256; the mean would be wrong by 94 %."""
    x = jnp.ones((4096, 1), jnp.bfloat16)
    _, state = jg.layers.BatchNormalization(momentum=0.0).apply(*values(1), x, train=True)
    assert state["moving_mean"].dtype == "float32"
    np.testing.assert_allclose(state["moving_mean"], [1.0], rtol=1e-6)
    np.testing.assert_allclose(state["moving_variance"], [0.0], atol=1e-6)


def test_a_constant_feature_gives_beta() -> None:
    params, state = values(3)
    y, _ = jg.layers.BatchNormalization().apply(params, state, jnp.full((5, 3), 2.0), train=True)
    np.testing.assert_allclose(y, np.broadcast_to(params["beta"], (5, 3)), rtol=1e-4)


def test_integers_become_floats() -> None:
    x = jg.Input((2,), "int32", name="x")
    assert jg.layers.BatchNormalization()(x).dtype == "float32"


def test_state_is_threaded_through_shared_calls() -> None:
    """The second call of a shared layer goes on from the first one's averages."""
    layer, x = jg.layers.BatchNormalization(momentum=0.5, name="norm"), jg.Input((2,), name="x")
    model = jg.Model(x, layer(layer(x)))
    params, state = model.init(jax.random.key(0))
    array: Any = RANDOM.normal(size=(6, 2)).astype("float32")
    _, after = model.apply(params, state, array, train=True)
    first, once = layer.apply(params["norm"], state["norm"], array, train=True)
    _, twice = layer.apply(params["norm"], once, first, train=True)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), after["norm"], twice)


WEIGHTS: Any = np.array([[0.5, 2.0, 0.0, 0.1], [0.0, 0.0, 0.0, 0.0], [1.0, 0.25, 3.0, 0.0]], "float32")


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_weights_of_rows_steps_or_entries(axes: int) -> None:
    """`sum(w x) / sum(w)`; what weighs nothing does not count, whatever it holds."""
    weights = {1: WEIGHTS.max(1), 2: WEIGHTS, 3: np.stack([WEIGHTS, WEIGHTS[::-1]], 2)}[axes]
    x: Any = RANDOM.normal(size=(3, 4, 2)).astype("float32")
    wide = np.broadcast_to(weights.reshape(*weights.shape, *[1] * (3 - axes)), x.shape).astype("float64")
    x[wide == 0] = np.nan
    params, state = values(2)
    y, after = jg.layers.BatchNormalization(momentum=0.0).apply(params, state, x, mask=weights, train=True)
    seen = np.where(wide > 0, x, 0.0).astype("float64")
    total = wide.sum((0, 1))
    mean = (wide * seen).sum((0, 1)) / total
    variance = (wide * (seen - mean) ** 2).sum((0, 1)) / total
    reference.assert_near(after["moving_mean"], mean)
    reference.assert_near(after["moving_variance"], variance)
    want = reference.normalize(x, mean, variance, params["gamma"], params["beta"], 1e-3, -1)
    reference.assert_near(y[wide > 0], want[wide > 0])


def test_whole_weights_are_rows_repeated() -> None:
    x: Any = RANDOM.normal(size=(4, 3)).astype("float32")
    params, state = values(3)
    layer = jg.layers.BatchNormalization()
    weighed = layer.apply(params, state, x, mask=jnp.array([2, 0, 1, 3]), train=True)
    repeated = layer.apply(params, state, x[[0, 0, 2, 3, 3, 3]], train=True)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), weighed[1], repeated[1])
    np.testing.assert_allclose(
        np.asarray(weighed[0])[[0, 2, 3]], np.asarray(repeated[0])[[0, 2, 3]], rtol=1e-5, atol=1e-6
    )


def test_a_drawn_mask_of_any_rank_is_read_and_passed_on() -> None:
    x = jg.Input((4, 2), name="x")
    for shape in ((), (4,), (4, 2)):
        keep = jg.Input(shape, "bool", name="keep")
        assert jg.layers.BatchNormalization()(x, mask=keep).mask is keep


def test_renorm_goes_from_the_batch_towards_the_slow_statistics() -> None:
    """Where they are the batch's, nothing is corrected; without limits, they normalise alone."""
    x: Any = (3 * RANDOM.normal(size=(6, 2)) - 1).astype("float32")
    mean, variance = reference.batch_statistics(x, -1)
    params, plain = values(2)
    layer = jg.layers.BatchNormalization(renorm=True, renorm_clipping={"rmin": 1.0, "rmax": 1.0, "dmax": 0.0})
    slow = {"moving_stddev": np.ones(2), "renorm_mean": np.array([2.0, 1.0]), "renorm_stddev": np.array([1.0, 5.0])}
    state = plain | {name: value.astype("float32") for name, value in slow.items()}
    want = jg.layers.BatchNormalization().apply(params, plain, x, train=True)[0]
    np.testing.assert_allclose(layer.apply(params, state, x, train=True)[0], want, rtol=1e-5, atol=1e-6)
    free = jg.layers.BatchNormalization(renorm=True, momentum=0.5, renorm_momentum=0.75)
    y, after = free.apply(params, state, x, train=True)
    reference.assert_near(y, params["gamma"] * (x - slow["renorm_mean"]) / slow["renorm_stddev"] + params["beta"])
    deviation = np.sqrt(variance + 1e-3)
    reference.assert_near(after["renorm_mean"], 0.75 * slow["renorm_mean"] + 0.25 * mean)
    reference.assert_near(after["renorm_stddev"], 0.75 * slow["renorm_stddev"] + 0.25 * deviation)
    reference.assert_near(after["moving_stddev"], 0.5 + 0.5 * deviation)
    reference.assert_near(after["moving_variance"], (0.5 + 0.5 * deviation) ** 2 - 1e-3)


ON_A_MESH = """
import jax, numpy as np, jgraph as jg
jax.config.update("jax_disable_most_optimizations", True)
from jax.sharding import Mesh, NamedSharding, PartitionSpec

x = jg.Input((5, 3), name="x")
keep = jg.Input((5,), "bool", name="keep")
model = jg.Model([x, keep], jg.layers.BatchNormalization(momentum=0.5)(jg.layers.Dense(4)(x), mask=keep))
params, state = model.init(jax.random.key(0))
random = np.random.default_rng(0)
arrays = [random.normal(2.0, 3.0, (16, 5, 3)).astype("float32"), random.random((16, 5)) < 0.5]

@jax.jit
def step(params, state, arrays):
    def loss(params):
        y, after = model.apply(params, state, arrays, train=True)
        return (y ** 3).mean(), (y, after)
    return jax.value_and_grad(loss, has_aux=True)(params)

mesh = Mesh(np.array(jax.devices()), ("batch",))
split = [jax.device_put(a, NamedSharding(mesh, PartitionSpec("batch"))) for a in arrays]
assert len(split[0].sharding.device_set) == 8
one, many = step(params, state, arrays), step(params, state, split)
for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
print("equal")
"""


def test_under_a_mesh_the_statistics_are_those_of_the_whole_batch() -> None:
    """On eight devices with two rows each: values, gradients and state as on one."""
    flags = "--xla_force_host_platform_device_count=8"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", ON_A_MESH],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env=environment,
        check=False,
    )
    assert done.stdout == "equal\n", done.stderr
