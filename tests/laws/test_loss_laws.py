"""What holds for every loss: one value per example, of its own row alone, finite gradients, and nothing of weight 0."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph import losses
from jgraph.losses.library import LOSSES
from jgraph.losses.loss import Loss
from tests.losses.cases import data_for

OPTIONS = [
    losses.Huber(delta=3.0),
    losses.BinaryCrossentropy(label_smoothing=0.1),
    losses.CategoricalCrossentropy(label_smoothing=0.1),
    losses.BinaryFocalCrossentropy(apply_class_balancing=True, gamma=0.5),
    losses.CategoricalFocalCrossentropy(gamma=0.5, label_smoothing=0.1),
    losses.SparseCategoricalCrossentropy(ignore_class=1),
    losses.Tversky(alpha=0.2, beta=0.8),
]
EVERY_LOSS = pytest.mark.parametrize("loss", dict.fromkeys([*LOSSES.values(), *OPTIONS]), ids=str)

SHAPE, LONG = (6, 4), (6, 5, 4)
TOLERANCE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}


def shape_of(loss: Loss) -> tuple[int, ...]:
    return LONG if loss.name in ("ctc", "dice_loss", "multiclass_generalized_dice_loss") else SHAPE


@EVERY_LOSS
def test_one_value_for_each_example(loss: Loss) -> None:
    values = jax.jit(loss)(*data_for(loss, shape_of(loss)))
    assert values.shape == (6,)
    assert values.dtype == jnp.float32
    assert np.isfinite(values).all()


@EVERY_LOSS
def test_rows_may_come_in_any_order(loss: Loss) -> None:
    targets, outputs = data_for(loss, shape_of(loss))
    order = np.array([3, 0, 5, 1, 4, 2])
    run = jax.jit(loss)
    np.testing.assert_allclose(run(targets[order], outputs[order]), run(targets, outputs)[order], **TOLERANCE)


@EVERY_LOSS
def test_what_mixes_rows_says_so(loss: Loss) -> None:
    targets, outputs = data_for(loss, shape_of(loss))
    whole, part = jax.jit(loss)(targets, outputs), jax.jit(loss)(targets[:4], outputs[:4])
    assert loss.mixes_rows != np.allclose(whole[:4], part, **TOLERANCE)


@EVERY_LOSS
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_gradients_are_finite_at_any_logits(loss: Loss, size: float) -> None:
    targets, outputs = data_for(loss, shape_of(loss))
    if loss.of_probabilities:
        outputs = np.round(outputs)
    elif loss.name in ("circle", "ntxent"):
        outputs = np.sign(outputs) * (outputs == abs(outputs).max(axis=1, keepdims=True))  # some are all zeros
    elif loss.name in ("poisson", "mean_squared_logarithmic_error"):
        outputs = abs(size) * outputs
    elif loss.name == "generalized_kl_divergence":
        outputs = np.where(outputs > 0, 80, size) - 80.0 * (size > 0)  # their exponential is the loss
        outputs = np.minimum(outputs, 80)
    else:
        outputs = size * np.sign(outputs)
    outputs = jnp.asarray(outputs, jnp.float32)
    values, slopes = jax.jit(jax.value_and_grad(lambda y: loss(targets, y).sum()))(outputs)
    assert np.isfinite(values)
    assert np.isfinite(slopes).all()


@EVERY_LOSS
def test_equal_losses_are_equal_and_print_alike(loss: Loss) -> None:
    again = eval(repr(loss), dict(vars(losses)))
    assert again == loss
    assert hash(again) == hash(loss)
    assert str(again) == str(loss)


@pytest.mark.slow
def test_a_row_without_weight_is_as_if_it_were_not_there() -> None:
    """Its target may be no number: neither loss nor gradients see it. All losses are outputs of one model."""
    alone = {str(place): v for place, v in enumerate(dict.fromkeys([*LOSSES.values(), *OPTIONS])) if not v.mixes_rows}
    x = jg.Input((5, 4), name="x")
    outputs = {}
    for name, loss in alone.items():
        end = loss.link or ("sigmoid" if loss.of_probabilities else "exponential")  # some need outputs above 0
        y = jg.layers.Dense(4, activation="linear", name=f"d{name}")(x if shape_of(loss) == LONG else x[:, 0])
        outputs[name] = jg.layers.Activation(end, name=f"y{name}")(y)
    trainer = jg.Trainer(jg.Model(x, outputs), optax.sgd(0.01), loss=alone)
    start = trainer.init(jax.random.key(0))
    inputs = np.random.default_rng(5).uniform(0.1, 1, (6, 5, 4)).astype("f4")
    targets = {name: data_for(loss, shape_of(loss))[0] for name, loss in alone.items()}

    def spoiled(array: np.ndarray) -> np.ndarray:
        bad = -7 if np.issubdtype(array.dtype, np.integer) else np.nan
        return np.concatenate([array, np.full_like(array[:1], bad)])

    weights = dict.fromkeys(alone, np.array([1.0] * 6 + [0.0], "f4"))
    weighed = np.concatenate([inputs, inputs[:1]]), jax.tree.map(spoiled, targets), weights
    states, logs = zip(*(trainer.step(start, batch) for batch in ((inputs, targets), weighed)), strict=True)
    for name, value in logs[0].items():
        assert float(logs[1][name]) == pytest.approx(float(value), rel=1e-4), name
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *(s.params for s in states))


def test_smoothed_labels_under_a_mask() -> None:
    """Masked steps, whatever their targets, give nothing to a loss that smooths its targets."""
    x = jg.Input((5,), dtype="int32", name="x")
    drawn = jg.layers.Dense(3, activation="softmax", name="y")(jg.layers.Embedding(9, 4, mask_zero=True)(x))
    loss = jg.losses.CategoricalCrossentropy(label_smoothing=0.2)
    trainer = jg.Trainer(jg.Model(x, drawn), optax.sgd(0.1), loss=loss)
    start = trainer.init(jax.random.key(0))
    inputs = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0]])
    targets: Any = np.eye(3, dtype="f4")[np.random.default_rng(0).integers(0, 3, (2, 5))]
    logs = trainer.evaluate(start, (inputs, targets))
    outputs = trainer.predict(start, inputs)
    smooth = targets * 0.8 + 0.2 / 3
    values = -(smooth * np.log(outputs)).sum(-1)
    assert logs["loss"] == pytest.approx(values[inputs != 0].mean(), rel=1e-5)
    spoiled = np.where((inputs == 0)[..., None], np.nan, targets)
    after = [trainer.step(start, (inputs, t))[0].params for t in (targets, spoiled)]
    jax.tree.map(np.testing.assert_array_equal, *after)
