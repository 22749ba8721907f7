"""A plan of what to compute again, followed by a stack of convolutions: the compiled step takes less memory."""

import dataclasses
from typing import Any

import jax
import optax
import pytest

import jgraph as jg

L = jg.layers


def convolutional() -> jg.Model:
    blocks = [
        L.Conv2D(8, 3, padding="same", name=f"c{i}") if k == 0 else L.Activation("relu", name=f"a{i}")
        for i in range(6)
        for k in range(2)
    ]
    return jg.Sequential([jg.Input((16, 16, 8)), *blocks, L.GlobalAveragePooling2D(), L.Dense(4)])


def temporaries(trainer: jg.Trainer, like: Any) -> int:
    """What the compiled step needs in between, where XLA on a CPU does not undo what is computed again."""
    batch = jax.eval_shape(like.binding.cast, like.batch)
    step: Any = jax.jit(trainer.step_function.logged, donate_argnums=0).lower(trainer.template, batch)
    options = {"xla_disable_hlo_passes": "cse_barrier_expander"}
    return step.compile(compiler_options=options).memory_analysis().temp_size_in_bytes


def test_a_plan_takes_the_memory_that_it_says() -> None:
    model = convolutional()
    trainer = jg.Trainer(model, optax.sgd(0.1), loss="mse")
    whole = jg.inspect.budget(trainer, batch_size=32)
    plan = jg.inspect.budget(trainer, batch_size=32, limit=0.8 * whole.memory).plan
    assert plan is not None
    again = dataclasses.replace(trainer, model=model.with_policy(plan.policy))
    less = temporaries(again, whole.compiled)
    assert less < 0.85 * temporaries(trainer, whole.compiled)
    assert less == pytest.approx(plan.activations + whole.gradient, rel=0.4)
