"""Scaled updates against a scaled learning rate, run for every optimizer of optax that takes a rate."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from jgraph.train.learning_rate import inexact

RATE, FACTOR, STEPS = 0.05, 0.25, 3

STARTS = {
    "prodigy": lambda rate: optax.contrib.prodigy(rate * 20, estim_lr0=0.01),
    "dadapt_adamw": lambda rate: optax.contrib.dadapt_adamw(rate, estim_lr0=0.1),
}
"""Those that find their step themselves, starting where three steps are enough for it to move."""

NOT_RUN = {
    "scale_by_learning_rate": "a part of an optimizer",
    "scale_by_rprop": "a part of rprop",
    "scale_by_madgrad": "a part of madgrad",
    "optimistic_adam": "deprecated, and warns",
    "schedule_free": "takes an optimizer beside the rate; its two forms are run, and it stands among VARIANTS",
    "noisy_sgd": "warns without a key, and stands among VARIANTS with one",
    "dpsgd": "takes one gradient for each example",
}

VARIANTS: dict[str, Callable[[Any], optax.GradientTransformation]] = {
    "noisy_sgd": lambda rate: optax.noisy_sgd(rate, key=jax.random.key(0)),
    "sgd with momentum": lambda rate: optax.sgd(rate, momentum=0.9, nesterov=True),
    "adamw with decay": lambda rate: optax.adamw(rate, weight_decay=0.1),
    "rmsprop with momentum": lambda rate: optax.rmsprop(rate, momentum=0.9),
    "centered rmsprop with momentum": lambda rate: optax.rmsprop(rate, centered=True, momentum=0.9),
    "adafactor with momentum": lambda rate: optax.adafactor(rate, momentum=0.9),
    "adafactor with decay": lambda rate: optax.adafactor(rate, weight_decay_rate=0.1),
    "lars without momentum": lambda rate: optax.lars(rate, momentum=0.0),
    "lbfgs without a search": lambda rate: optax.lbfgs(rate, linesearch=None),
    "cocob with decay": lambda rate: optax.contrib.cocob(rate, weight_decay=0.1),
    "dog with decay": lambda rate: optax.contrib.dog(rate, weight_decay=0.1),
    "momo with decay": lambda rate: optax.contrib.momo(rate, weight_decay=0.1),
    "schedule_free": lambda rate: optax.contrib.schedule_free(optax.sgd(rate), rate),
    "mechanize": lambda rate: optax.contrib.mechanize(optax.sgd(rate), s_init=0.1),
    "clip before": lambda rate: optax.chain(optax.clip_by_global_norm(0.1), optax.adam(rate)),
    "clip behind": lambda rate: optax.chain(optax.adam(rate), optax.clip(0.01)),
    "momentum behind": lambda rate: optax.chain(optax.scale_by_learning_rate(rate), optax.trace(0.9)),
    "decay behind": lambda rate: optax.chain(optax.sgd(rate), optax.add_decayed_weights(-0.1)),
    "loss scale before": lambda rate: optax.chain(optax.scale(0.01), optax.adam(rate)),
    "linear behind": lambda rate: optax.chain(optax.adam(rate), optax.zero_nans(), optax.scale_by_param_block_rms()),
    "masked": lambda rate: optax.chain(
        optax.masked(optax.adam(rate), {"w": True, "b": False}),
        optax.masked(optax.set_to_zero(), {"w": False, "b": True}),
    ),
    "partition": lambda rate: optax.partition({"w": optax.adam(rate), "b": optax.sgd(rate)}, {"w": "w", "b": "b"}),
    "partition with one that is not": lambda rate: optax.partition(
        {"w": optax.adam(rate), "b": optax.rmsprop(rate, momentum=0.9)}, {"w": "w", "b": "b"}
    ),
    "named_chain": lambda rate: optax.named_chain(("clip", optax.clip(1.0)), ("adam", optax.adam(rate))),
    "apply_if_finite": lambda rate: optax.apply_if_finite(optax.adam(rate), 3),
    "flatten": lambda rate: optax.flatten(optax.adam(rate)),
    "freeze": lambda rate: optax.chain(optax.adam(rate), optax.freeze({"w": False, "b": True})),
    "MultiSteps": lambda rate: optax.MultiSteps(optax.adam(rate), 2).gradient_transformation(),
    "a chain in a chain": lambda rate: optax.chain(optax.chain(optax.clip(1.0), optax.adam(rate)), optax.identity()),
    "added up behind": lambda rate: optax.chain(optax.sgd(rate), optax.apply_every(2)),
}


def factories() -> dict[str, Callable[..., Any]]:
    """Every function of optax that takes a learning rate; one that is new is run, or fails here."""
    found = {name: value for module in (optax, optax.contrib) for name, value in vars(module).items()}
    return {
        name: value
        for name, value in sorted(found.items())
        if inspect.isfunction(value) and name[0] != "_" and "learning_rate" in inspect.signature(value).parameters
    }


MEMBERS = {name: factory for name, factory in factories().items() if name not in NOT_RUN} | VARIANTS | STARTS
SLOW = ("lbfgs", "sophia")  # to compile
EVERY_MEMBER = pytest.mark.parametrize(
    "member", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in MEMBERS]
)


def made(member: str, rate: Any) -> optax.GradientTransformationExtraArgs:
    return optax.with_extra_args_support(MEMBERS[member](rate))


def loss_of(params: Any) -> Any:
    hidden = jnp.tanh(params["w"] @ jnp.array([0.5, -1.0, 2.0])) + params["b"]
    return jnp.sum(jnp.square(hidden - jnp.array([1.0, -0.3]))) + 0.1 * jnp.sum(params["w"] ** 4)


def trajectories(member: str) -> tuple[np.ndarray, np.ndarray]:
    """Three steps at a rate, then three at a part of it: with the rate itself changed, and with the updates scaled."""
    optimizer = optax.inject_hyperparams(lambda learning_rate: made(member, learning_rate))(learning_rate=RATE)

    @jax.jit
    def step(params: Any, state: Any, scale: Any) -> tuple[Any, Any]:
        value, grads = jax.value_and_grad(loss_of)(params)
        extra = {"value": value, "grad": grads, "value_fn": loss_of}
        extra |= {"obj_fn": loss_of} if member == "sophia" else {}
        updates, state = optimizer.update(grads, state, params, **extra)
        return optax.apply_updates(params, jax.tree.map(lambda u: u * scale, updates)), state

    def steps(params: Any, state: Any, scale: float) -> tuple[Any, Any]:
        for _ in range(STEPS):
            params, state = step(params, state, scale)
        return params, state

    params: Any = {"w": jnp.array([[0.3, -0.7, 0.2], [1.1, 0.4, -0.5]]), "b": jnp.array([0.2, -0.1])}
    params, state = steps(params, optimizer.init(params), 1.0)
    changed, _ = steps(params, state._replace(hyperparams={"learning_rate": jnp.asarray(RATE * FACTOR)}), 1.0)
    scaled, _ = steps(params, state, FACTOR)
    return flat(changed), flat(scaled)


def flat(params: Any) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])


@EVERY_MEMBER
def test_exact_is_what_runs_the_same(member: str) -> None:
    changed, scaled = trajectories(member)
    assert np.isfinite(changed).all()
    same = np.allclose(changed, scaled, rtol=1e-5, atol=1e-6)  # six steps in float32
    assert same == (inexact(made(member, RATE)) is None)


@EVERY_MEMBER
def test_a_schedule_and_injection_change_nothing(member: str) -> None:
    found = inexact(made(member, RATE))
    if member not in ("sm3", "rprop", "prodigy"):  # these take numbers alone, here
        assert inexact(made(member, optax.linear_schedule(0.0, 0.1, 5))) == found
    assert inexact(optax.inject_hyperparams(functools.partial(made, member))(rate=RATE)) == found


def test_what_is_not_run_exists() -> None:
    assert set(NOT_RUN) <= set(factories())


def test_names_are_read_from_the_optimizer() -> None:
    assert inexact(optax.contrib.prodigy()) == "prodigy"
    assert inexact(optax.lookahead(optax.sgd(0.1), 5, 0.5)) == "lookahead"
    assert inexact(optax.contrib.schedule_free_adamw(0.1)) == "schedule_free"
    assert inexact(optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.05))) == "sam"
    assert inexact(optax.rprop(0.1)) == "scale_by_rprop"
    assert inexact(optax.rmsprop(0.1, momentum=0.5)) == "trace behind the learning rate"
    assert inexact(optax.polyak_sgd()) == "scale_by_polyak behind the learning rate"


def test_dpsgd_is_exact() -> None:
    with pytest.warns(DeprecationWarning, match="seed"):
        assert inexact(optax.contrib.dpsgd(0.1, 1.0, 0.1, seed=0, momentum=0.9)) is None


@pytest.mark.parametrize("make", [optax.sgd, optax.adam, optax.contrib.dog, optax.lamb, optax.adafactor])
def test_a_rate_of_one_is_a_rate(make: Callable[..., Any]) -> None:
    assert inexact(make(1.0)) is None


def test_no_rate_at_all() -> None:
    assert inexact(optax.adafactor()) is None
    assert inexact(optax.adafactor(momentum=0.9)) is None
    assert inexact(optax.identity()) is None


def test_an_optimizer_of_ones_own() -> None:
    def own(rate: float) -> optax.GradientTransformation:
        def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
            del params
            return jax.tree.map(lambda u: -rate * u, updates), state

        return optax.GradientTransformation(lambda params: optax.EmptyState(), update)

    assert str(inexact(own(0.1))).endswith(".test_an_optimizer_of_ones_own")
    assert inexact(optax.chain(own(0.1), optax.scale(-1.0))) is not None
    assert inexact(optax.chain(own(1.0), optax.scale(-0.1))) is None
    jitted = optax.GradientTransformation(optax.sgd(0.1).init, jax.jit(optax.sgd(0.1).update))
    assert inexact(jitted) is None
    partial = optax.GradientTransformation(optax.sgd(0.1).init, functools.partial(optax.sgd(0.1).update, params=None))
    assert inexact(partial) == "functools.partial"


def test_wrappers_are_read_in_either_form() -> None:
    """`MultiSteps` is an optimizer itself, and what it gives with extra arguments is another."""
    for inner, found in ((optax.adam(0.1), None), (optax.rmsprop(0.1, momentum=0.9), "trace behind the learning rate")):
        steps: Any = optax.MultiSteps(inner, 2)
        for form in (steps, steps.gradient_transformation(), optax.with_extra_args_support(steps)):
            assert inexact(form) == found


def test_what_cannot_be_read_is_refused_and_does_no_harm() -> None:
    class Odd:
        def init(self, params: Any) -> Any:
            return params

        update = 3

    odd: Any = Odd()
    assert inexact(odd) is not None
