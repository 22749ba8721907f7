"""One training step, and many of them as one program."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jgraph.train.objective import Objective
from jgraph.train.state import TrainState, rates
from jgraph.typing import Array, PyTree


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """The pure step, and the loops around it that `fit`, `evaluate` and users compile.

    A batch is (inputs, targets, weights), tuples in the order of the model's inputs and outputs. In the loops `data`
    holds all rows on the device, `order` [steps, batch_size] the rows of each batch, -1 where it is filled up.
    """

    objective: Objective
    optimizer: optax.GradientTransformationExtraArgs

    def __call__(self, train_state: TrainState, batch: tuple, real: Array | None = None) -> tuple[TrainState, Array]:
        """Takes one step: the next train state and the batch's sums."""
        key = jax.random.fold_in(train_state.key, train_state.step)

        def loss_of(params: PyTree) -> tuple[Array, tuple[Array, PyTree]]:
            loss, sums, state = self.objective.evaluate(
                params, train_state.model_state, batch, real, train=True, key=key
            )
            return loss, (sums, state)

        (loss, (sums, model_state)), grads = jax.value_and_grad(loss_of, has_aux=True)(train_state.params)
        searching = {"value": loss, "grad": grads, "value_fn": lambda params: loss_of(params)[0]}
        updates, opt_state = self.optimizer.update(grads, train_state.opt_state, train_state.params, **searching)
        scale = train_state.lr_scale
        updates = jax.tree.map(lambda u: u * scale.astype(u.dtype), updates)
        params = optax.apply_updates(train_state.params, updates)
        after = train_state.replace(
            step=train_state.step + 1, params=params, model_state=model_state, opt_state=opt_state
        )
        return after, sums

    def logged(self, train_state: TrainState, batch: tuple) -> tuple[TrainState, dict[str, Array]]:
        """Takes one step by hand: the next train state and the batch's logs."""
        train_state, sums = self(train_state, batch)
        return train_state, self.objective.logs(sums) | rates(train_state)

    def summed(
        self, train_state: TrainState, sums: Array, batch: tuple, real: Array | None = None
    ) -> tuple[TrainState, Array]:
        """Takes one step on a batch from the host and adds its sums up."""
        train_state, more = self(train_state, batch, real)
        return train_state, sums + more

    def at(
        self, train_state: TrainState, sums: Array, data: tuple, order: Array, index: Array
    ) -> tuple[TrainState, Array]:
        """Takes the step at an index of the order."""
        batch, real = gather(data, jax.lax.dynamic_index_in_dim(order, index, keepdims=False))
        train_state, more = self(train_state, batch, real)
        return train_state, sums + more

    def many(
        self, train_state: TrainState, sums: Array, data: tuple, order: Array, start: Array, count: Array
    ) -> tuple[TrainState, Array]:
        """Takes `count` steps from `start` on. The count is traced, so every cut of an epoch is the same program."""

        def body(i: Array, carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
            return self.at(*carry, data, order, start + i)

        return jax.lax.fori_loop(0, count, body, (train_state, sums))

    def measured(self, params: PyTree, state: PyTree, sums: Array, batch: tuple, real: Array | None = None) -> Array:
        """Evaluates a batch and adds its sums up."""
        return sums + self.objective.evaluate(params, state, batch, real, train=False)[1]

    def measured_at(self, params: PyTree, state: PyTree, sums: Array, data: tuple, order: Array, index: Array) -> Array:
        """Evaluates the batch at an index of the order."""
        return self.measured(
            params, state, sums, *gather(data, jax.lax.dynamic_index_in_dim(order, index, keepdims=False))
        )

    def measured_many(
        self, params: PyTree, state: PyTree, sums: Array, data: tuple, order: Array, start: Array, count: Array
    ) -> Array:
        """Evaluates `count` batches from `start` on."""

        def body(i: Array, sums: Array) -> Array:
            return self.measured_at(params, state, sums, data, order, start + i)

        return jax.lax.fori_loop(0, count, body, sums)


def gather(data: tuple, rows: Array) -> tuple[tuple, Array]:
    """The rows of a batch, and 1.0 for those that are real."""
    return jax.tree.map(lambda a: jnp.take(a, rows, axis=0, mode="clip"), data), (rows >= 0).astype(jnp.float32)


def convolves(function: Any, *args: Any) -> bool:
    """True where a function's program has a convolution, found by tracing it."""
    stack, seen = [jax.make_jaxpr(function)(*args).jaxpr], set()
    while stack:
        jaxpr = stack.pop()
        if id(jaxpr) in seen:
            continue
        seen.add(id(jaxpr))
        for equation in jaxpr.eqns:
            if equation.primitive.name == "conv_general_dilated":
                return True
            for value in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
                stack += [getattr(value, "jaxpr", value)] if _is_jaxpr(value) else []
    return False


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(getattr(value, "jaxpr", None), "eqns")
