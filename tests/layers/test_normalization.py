"""Batch normalisation against its formulas, in training and after it, with masks and narrow dtypes."""

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
