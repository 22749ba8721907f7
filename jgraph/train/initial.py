"""The train state before the first step: its values, and its form."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.core.model import Model
from jgraph.keys import fold
from jgraph.train.precision import kept
from jgraph.train.state import TrainState
from jgraph.train.step import Step
from jgraph.tree import match
from jgraph.typing import Key, Params, State


def initial(
    model: Model, step: Step, key: Key, params: Params | None, state: State | None, precision: str | None
) -> TrainState:
    """The model's start values unless others are given, and what the step keeps beside them.

    Raises:
        KeyMismatchError, ShapeError: params or state are not the model's.
    """
    drawn: tuple[Any, Any] = model.init(fold(key, "init")) if params is None or state is None else (params, state)
    own: Any = drawn[0] if params is None else params
    rest: Any = drawn[1] if state is None else state
    match(own, model.params_spec, "Trainer.init, params", "Give the tree that model.init makes.")
    match(rest, model.state_spec, "Trainer.init, state", "Give the tree that model.init makes.")
    own = step.layout.kept(own if precision is None else kept(own, model.params_spec))
    opt_state, *memories = step.beside(own)
    start, scale = jax.device_put((np.int32(0), np.float32(1)))  # no programs for two numbers
    return step.layout.kept(TrainState(start, own, rest, opt_state, fold(key, "steps"), scale, *memories))


def template_of(model: Model, step: Step) -> TrainState:
    """A train state of specs, but for the key."""
    specs = model.params_spec, model.state_spec
    opt_state = jax.eval_shape(step.init_optimizer, specs[0])
    ema = jax.eval_shape(step.init_averages, specs[0])
    start: Any = jax.ShapeDtypeStruct((), jnp.int32)
    scale: Any = jax.ShapeDtypeStruct((), jnp.float32)
    memories = jax.eval_shape(step.init_memories)
    return TrainState(start, *specs, opt_state, jax.random.key(0), scale, *memories, ema=ema)
