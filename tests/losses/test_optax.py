"""Losses against optax, whose functions take (outputs, targets): values, gradients, and how trainers take them."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.losses.loss import Loss
from jgraph.losses.resolve import OPTAX, WHOLE, resolve
from tests.losses.cases import data_for

TOLERANCE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}  # float32, in another order of sums

SHAPES = {"dice_loss": (3, 5, 4), "multiclass_sparsemax_loss": (6, 4), "binary_dice_loss": (3, 5, 6, 1)}


def prepared(name: str, targets: Any, outputs: Any) -> tuple[Any, Any]:
    """What optax wants: signs as -1 and 1, truth values for the sparsemax."""
    if name in ("hinge_loss", "perceptron_loss"):
        return 2 * targets - 1, outputs
    return (targets > 0 if name == "sparsemax_loss" else jnp.asarray(targets)), outputs


def per_example(values: Any, outputs: Any) -> Any:
    return values.mean(-1) if values.shape == outputs.shape else values


@pytest.mark.parametrize("function", OPTAX, ids=lambda f: f.__name__)
def test_values_and_gradients(function: Any) -> None:
    loss, name = resolve("here", function), function.__name__
    targets, outputs = data_for(loss, SHAPES.get(name, (3, 4)))
    given, _ = prepared(name, targets, outputs)

    def theirs(outputs: Any) -> Any:
        return per_example(function(outputs, given), outputs)

    @jax.jit
    def run(outputs: Any) -> Any:
        both = loss(targets, outputs), theirs(outputs)
        slopes = jax.grad(lambda y: loss(targets, y).sum())(outputs), jax.grad(lambda y: theirs(y).sum())(outputs)
        return both, slopes

    values, slopes = run(outputs)
    np.testing.assert_allclose(*values, **TOLERANCE)
    np.testing.assert_allclose(*slopes, **TOLERANCE)


def test_every_loss_of_optax_is_known() -> None:
    """A new one has to be taken or refused; these are no losses, or old names."""
    others = {"make_fenchel_young_loss", "smooth_labels"}
    named = {f.__name__ for f in (*OPTAX, *WHOLE)}
    known = {n for n in dir(optax.losses) if callable(getattr(optax.losses, n)) and not n.startswith("_")}
    known = {n for n in known if getattr(optax.losses, n).__module__.startswith("optax")} - others
    aliases = {"convex_kl_divergence"}
    assert known - aliases == named


@pytest.mark.parametrize("function", WHOLE, ids=lambda f: f.__name__)
def test_what_cannot_be_taken_names_ours(function: Any) -> None:
    with pytest.raises(jg.errors.ArgumentError, match=r"here: .*of optax, which is none.*Write loss=jg\.") as error:
        resolve("here", function)
    made = str(error.value).partition("loss=")[2].removesuffix(".")
    assert isinstance(eval(made, {"jg": jg}), Loss)


def test_divergences() -> None:
    random = np.random.default_rng(0)
    logits, shares = random.normal(size=(3, 4)).astype("f4"), random.dirichlet(np.ones(4), 3).astype("f4")
    log_p = jax.nn.log_softmax(logits)
    ours = jg.losses.kl_divergence(shares, logits)
    np.testing.assert_allclose(ours, optax.losses.kl_divergence(log_p, shares), **TOLERANCE)
    np.testing.assert_allclose(
        jg.losses.kl_divergence_with_log_targets(np.log(shares), logits),
        optax.losses.kl_divergence_with_log_targets(log_p, np.log(shares)),
        **TOLERANCE,
    )


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_ntxent_is_the_mean_over_pairs(temperature: float) -> None:
    random = np.random.default_rng(1)
    labels, embeddings = np.array([0, 0, 1, 1, 1, 2, 3, 3]), random.normal(size=(8, 5)).astype("f4")
    loss = jg.losses.Ntxent(temperature=temperature)

    def mean(embeddings: Any) -> Any:
        weights = loss.weights(labels)
        return jnp.sum(weights * loss(labels, embeddings)) / jnp.sum(weights)

    def theirs(embeddings: Any) -> Any:
        return optax.losses.ntxent(jnp.asarray(embeddings), jnp.asarray(labels), temperature)

    assert float(mean(embeddings)) == pytest.approx(float(theirs(embeddings)), rel=1e-5)
    np.testing.assert_allclose(jax.grad(mean)(embeddings), jax.grad(theirs)(embeddings), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"margin": 0.2, "norm_degree": 4, "eps": 1e-3}])
def test_triplets(options: dict[str, Any]) -> None:
    three = np.random.default_rng(2).normal(size=(3, 6, 4)).astype("f4")
    loss = jg.losses.TripletMarginLoss(of=["a", "p", "n"], **options)
    np.testing.assert_allclose(
        loss((None,) * 3, tuple(three)), optax.losses.triplet_margin_loss(*three, **options), **TOLERANCE
    )


@pytest.mark.parametrize("ignore", [False, True])
def test_generalized_dice_and_ranking_have_the_means_of_optax(ignore: bool) -> None:
    loss = jg.losses.MulticlassGeneralizedDiceLoss(ignore_background=ignore)
    targets, logits = data_for(loss, (3, 5, 4))
    theirs = optax.losses.multiclass_generalized_dice_loss(logits, targets, ignore_background=ignore)
    assert loss(targets, logits).shape == (3,)
    assert float(loss(targets, logits).mean()) == pytest.approx(float(theirs), rel=1e-5)
    scores, relevance = np.random.default_rng(0).uniform(0, 3, (2, 5, 4)).astype("f4")
    theirs = optax.losses.ranking_softmax_loss(scores, relevance)
    assert float(jg.losses.ranking_softmax_loss(relevance, scores).mean()) == pytest.approx(float(theirs), rel=1e-5)


def test_a_function_of_optax_trains_as_ours() -> None:
    x = jg.Input((4,), name="x")
    drawn = {"p": jg.layers.Dense(3, activation="softmax", name="p")(x), "y": jg.layers.Dense(2, name="y")(x)}
    random = np.random.default_rng(0)
    data = random.normal(size=(8, 4)).astype("f4"), {"p": random.integers(0, 3, 8), "y": random.normal(size=(8, 2))}
    given = {
        "p": optax.losses.softmax_cross_entropy_with_integer_labels,
        "y": functools.partial(optax.losses.huber_loss, delta=0.5),
    }
    same = {"p": "sparse_categorical_crossentropy", "y": jg.losses.Huber(0.5)}
    logs = []
    for loss in (given, same):
        trainer = jg.Trainer(jg.Model(x, drawn), optax.sgd(0.1), loss=loss, metrics={"p": "accuracy"})
        logs.append(trainer.evaluate(trainer.init(jax.random.key(0)), data))
    assert logs[0] == pytest.approx(logs[1], rel=1e-6)
    assert "huber_loss(delta=0.5)" in str(jg.Trainer(jg.Model(x, drawn), optax.sgd(0.1), loss=given))


@pytest.mark.parametrize(
    "value",
    [
        optax.losses.make_fenchel_young_loss(lambda scores: jnp.max(scores)),
        functools.partial(optax.losses.squared_error, 1.0),
        optax.losses.smooth_labels,
    ],
)
def test_what_is_not_known_of_optax_is_refused(value: Any) -> None:
    with pytest.raises(jg.errors.ArgumentError, match=r"of optax, which is none.*lambda targets, outputs"):
        resolve("here", value)
