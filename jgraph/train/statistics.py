"""The statistics of a model's layers taken anew, for params that training never had."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.treatment import is_floating
from jgraph.train.batches import Binding
from jgraph.train.plan import check_batch_size
from jgraph.train.programs import one_at_a_time
from jgraph.train.source import Source
from jgraph.train.sources import source_of
from jgraph.train.state import TrainState, check_train_state, check_trainer
from jgraph.train.step import Step
from jgraph.typing import Array, PyTree, State

FAR = 1e6
"""Where a state is put to see how it moves: far from what statistics are, so that rounding does not show."""

NEARLY = 1e-3
"""How much a momentum may differ between two looks, relative to what it leaves for the batch."""


def update_statistics(trainer: Any, train_state: TrainState, data: Any, *, batch_size: int = 32) -> TrainState:
    """The train state with the moving statistics of its layers taken anew over data, each batch counted by its rows.

    After averaging params (`AverageWeights`, `train_state.averaged()`), and wherever params are not those that the
    statistics of batch normalisation were found with. Each becomes the mean over the batches, whatever its momentum, as
    `torch.optim.swa_utils.update_bn` does. Only state that moves as an average does, `momentum * state + (1 - momentum)
    * batch`, is taken anew; all other state, of frozen layers too, and the params stay. It runs the model forward, as
    in training, on what `fit` would be given, and on the same randomness for each batch.

    Raises:
        As `fit`, for the data.

    >>> import jgraph as jg, numpy as np, optax
    >>> model = jg.Sequential([jg.Input((1,)), jg.layers.BatchNormalization(), jg.layers.Dense(1)])
    >>> trainer = jg.Trainer(model, optax.sgd(0.1), loss="mse")
    >>> data = np.array([[1.0], [3.0]]), np.array([0.0, 0.0])
    >>> train_state = jg.update_statistics(trainer, trainer.fit(data, epochs=1, progress=False).train_state, data)
    >>> [round(float(value[0]), 3) for value in train_state.model_state["batch_normalization"].values()]
    [2.0, 1.0]
    """
    check_trainer("update_statistics", trainer)
    check_train_state("update_statistics", train_state, trainer.template)
    check_batch_size("update_statistics", batch_size)
    programs = trainer.programs
    binding = Binding(trainer.model, trainer.objective)
    source = source_of(binding, programs, data, "update_statistics", 1).place(train_state)
    look, total, rows, moving = _looking(programs.step), None, 0.0, None
    for batch, real in batches(source, train_state, batch_size):
        found, moves, weight = look(train_state, batch, real)
        moving = moves if moving is None else jax.tree.map(jnp.logical_and, moving, moves)
        total = found if total is None else jax.tree.map(jnp.add, total, found)
        rows += float(weight)
    if total is None:
        source.check_given(0, None)
    state = jax.tree.map(
        lambda own, moves, sums: (sums / rows).astype(own.dtype) if moves else own,
        train_state.model_state,
        moving,
        total,
    )
    return train_state.replace(model_state=state)


def batches(source: Source, train_state: TrainState, batch_size: int) -> Iterator[tuple[Any, Any]]:
    """The batches of a source in their order, each with which of its rows are real."""
    with contextlib.closing(source.whole(train_state, batch_size)) as feed:
        yield from one_at_a_time(feed)


def _looking(step: Step) -> Any:
    """The program that finds what a batch adds to each state, times its rows, and whether the state is an average.

    An average is linear in what it was: `state -> momentum * state + (1 - momentum) * batch`.
    """
    objective = step.objective

    def look(train_state: TrainState, batch: tuple, real: Array | None) -> tuple[PyTree, PyTree, Array]:
        key = jax.random.fold_in(train_state.key, train_state.step)
        weight = jnp.asarray(len(jax.tree.leaves(batch)[0]), jnp.float32) if real is None else real.sum()

        def after(value: float) -> State:
            state = jax.tree.map(
                lambda leaf: jnp.full_like(leaf, value) if is_floating(leaf) else leaf, train_state.model_state
            )
            return objective.evaluate(train_state.params, state, batch, real, train=True, key=key).model_state

        def one(own: Array, zero: Array, far: Array, farther: Array) -> tuple[Array, Array]:
            if not is_floating(own):
                return jnp.zeros(()), jnp.zeros((), bool)
            momentum, again = (far - zero) / FAR, (farther - zero) / (2 * FAR)
            rest = 1 - momentum
            moves = (momentum > 0) & (rest > 0) & (jnp.abs(momentum - again) < NEARLY * rest)
            return weight * zero / rest, moves.all()

        found = jax.tree.map(one, train_state.model_state, after(0.0), after(FAR), after(2 * FAR))
        pick = functools.partial(jax.tree.map, is_leaf=lambda leaf: isinstance(leaf, tuple))
        return pick(lambda pair: pair[0], found), pick(lambda pair: pair[1], found), weight

    return jax.jit(look)
