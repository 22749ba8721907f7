"""One training step, and many of them as one program."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jgraph.core.run import constrained
from jgraph.core.treatment import is_floating, widened
from jgraph.keys import fold
from jgraph.sharding.layout import Layout
from jgraph.train.asking import accepted, asked, told
from jgraph.train.gradients import Gradients, Seen, View, Whole
from jgraph.train.loss_scale import Unscaled
from jgraph.train.objective import Objective
from jgraph.train.state import TrainState, fresh_copy
from jgraph.tree import divide, match, overlaid, together
from jgraph.typing import Array, Params, PyTree, State


class Found(NamedTuple):
    """What a batch says about some params: its loss and sums, the next memories, and the gradients.

    Gradients are those of the params that are trained; `loss_of` takes such. `finite` says whether all of them are,
    where a loss scale asks for it.
    """

    loss: Array
    sums: Array
    model_state: State
    balance: PyTree
    grads: PyTree
    finite: Any
    loss_of: Callable[[PyTree], Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """The pure step, and the loops around it that `fit`, `evaluate` and users compile.

    A batch is (inputs, targets, weights), tuples in the order of the model's inputs and outputs. In the loops `data`
    holds all rows on the device, `order` [steps, batch_size] the rows of each batch, -1 where it is filled up, and
    `sums` [2, n] those of the epoch so far, and those of the first step that the guard refused (0 where there is none).

    `rate` gives the learning rate of a step where the optimizer keeps it among its state (`inject_hyperparams`).
    `guard` says what has to be finite for a step of a loop to be taken: `"loss"`, `"gradients"` (both), `"update"` (the
    params after it too), or nothing.
    `gradients` is how a batch is run forward and backward, whole or in parts; the objective's balance makes one loss,
    and one gradient, of several; `loss_scale` keeps the gradients of float16 from vanishing.
    `ema` is the momentum of the averages of the trained params, where they are kept, and `validate_ema` says whether
    they are what `fit` validates. `unseen` is where in the params those are that the optimizer has never seen, if more
    of them have been frozen since. `layout` is where the train state and the rows of a batch lie.
    """

    objective: Objective
    optimizer: optax.GradientTransformationExtraArgs
    rate: Callable[[Any], Any] | None = None
    guard: str | None = "loss"
    gradients: Gradients = dataclasses.field(default_factory=Whole)
    loss_scale: Unscaled = dataclasses.field(default_factory=Unscaled)
    ema: float | None = None
    validate_ema: bool = False
    unseen: frozenset[tuple[str, ...]] | None = None
    layout: Layout = dataclasses.field(default_factory=Layout)

    def __call__(self, train_state: TrainState, batch: tuple, real: Array | None = None) -> tuple[TrainState, Array]:
        """Takes one step, whatever its loss: the next train state and the batch's sums."""
        train_state = self.begun(train_state, False)
        found = self.look(train_state, batch, real)
        return self.update(train_state, found), found.sums

    def divide(self, params: Params) -> tuple[Params, Params]:
        """The params that the optimizer knows, and those that were frozen before training."""
        return divide(params, self.objective.frozen if self.unseen is None else self.unseen)

    def init_optimizer(self, params: Params) -> PyTree:
        """The optimizer's state before the first step.

        Raises:
            ArgumentError: the optimizer cannot begin with the params of a model.
        """
        return asked(self.optimizer.init, self.divide(params)[0])

    def init_averages(self, params: Params) -> PyTree:
        """The averages of the trained params before the first step, in at least float32; nothing where none are kept.

        They are arrays of their own, as a dispatch gives up the buffers of both.
        """
        return () if self.ema is None else widened(fresh_copy(self.divide(params)[0]))

    def judged(self, train_state: TrainState) -> TrainState:
        """What `fit` validates: the averages, where that was asked for."""
        return train_state.averaged() if self.validate_ema else train_state

    @functools.cached_property
    def beside(self) -> Callable[[Params], tuple[PyTree, ...]]:
        """From params to all that a train state has beside them and grows from them, before the first step.

        `(opt_state, balance, loss_scale, ema)`, by one program: outside of one, each shape of zeros is compiled by
        itself, 25 ms each.
        """

        def beside(params: Params) -> tuple[PyTree, ...]:
            made = self.init_optimizer(params), *self.init_memories(), self.init_averages(params)
            return self.layout.kept(made)

        return jax.jit(beside)

    def init_memories(self) -> tuple[PyTree, PyTree]:
        """The memories of the balance and of the loss scale before the first step."""
        return self.objective.balance.init(len(self.objective.losses)), self.loss_scale.init()

    @functools.cached_property
    def init(self) -> Callable[[], Array]:
        """Makes the sums of an epoch without steps."""

        def init() -> Array:
            return self.layout.whole(jnp.stack([self.objective.init()] * 2))

        return jax.jit(init)

    def begun(self, train_state: TrainState, first: Any) -> TrainState:
        """The train state as a step begins, which may be the first one of an epoch."""
        return train_state.replace(balance=self.objective.balance.begin(train_state.balance, first))

    def look(self, train_state: TrainState, batch: tuple, real: Array | None) -> Found:
        """Runs a batch forward and backward: losses are scaled, balanced, differentiated; gradients are unscaled."""
        balance, memory, scale = self.objective.balance, train_state.balance, train_state.loss_scale
        batch, real = self.layout.rows((batch, real))
        key = jax.random.fold_in(train_state.key, train_state.step)
        trained, frozen = divide(train_state.params, self.objective.frozen)
        view = View(self.objective, frozen, train_state.model_state, batch, real, key)

        def derive(see: Callable[[PyTree], Seen], trained: PyTree) -> tuple[Seen, PyTree]:
            def scaled(trained: PyTree) -> tuple[Any, Seen]:
                seen = see(trained)
                return self.loss_scale.scale(scale, (seen.losses, seen.penalty)), seen

            return balance.pull(memory, train_state.step, scaled, trained)

        def total(seen: Seen) -> Array:
            return balance.total(memory, train_state.step, seen.losses, seen.penalty)

        def loss_of(known: PyTree) -> Array:
            moving = divide(known, self.objective.frozen)[0]
            return total(self.gradients(view, lambda see, trained: (see(trained), ()), moving)[0])

        seen, pulled = self.gradients(view, derive, trained)
        pulled, finite = self.loss_scale.unscale(scale, pulled)
        loss, counted = total(seen), jnp.stack(seen.counts) != 0
        return Found(
            loss,
            self.objective.minimised(seen.sums, loss),
            seen.model_state,
            balance.update(memory, jnp.stack(seen.losses), counted, pulled),
            self.completed(balance.grads(memory, train_state.step, pulled, fold(key, "balance")), train_state.params),
            finite,
            loss_of,
        )

    def completed(self, grads: PyTree, params: Params) -> PyTree:
        """The gradients of all params that the optimizer knows: 0 for those that have been frozen since."""
        return grads if self.unseen is None else overlaid(jax.tree.map(jnp.zeros_like, self.divide(params)[0]), grads)

    def kept(self, before: Params, after: Params) -> Params:
        """The params after an update, of which those stay that have been frozen since the optimizer began."""
        return after if self.unseen is None else overlaid(after, divide(before, self.objective.frozen)[1])

    def update(self, train_state: TrainState, found: Found) -> TrainState:
        """Applies the gradients, unless a loss scale skips the step: then its count goes on alone."""
        after = self.loss_scale.choose(
            found.finite,
            lambda: self.moved(train_state, found),
            lambda: train_state.replace(step=train_state.step + 1),
        )
        after = after.replace(loss_scale=self.loss_scale.update(train_state.loss_scale, found.finite))
        return self.layout.kept(after)

    def moved(self, train_state: TrainState, found: Found) -> TrainState:
        """Applies gradients, at the step's rate where it is known, else with the updates scaled; then constrains."""
        opt_state, scale = train_state.opt_state, train_state.lr_scale
        if self.rate is not None:
            opt_state = with_rate(opt_state, self.learning_rate(train_state))
        trained, frozen = self.divide(train_state.params)
        extra = accepted(self.optimizer.update, told(found, trained))
        updates, moved_state = asked(self.optimizer.update, found.grads, opt_state, trained, **extra)
        if self.rate is None:
            updates = jax.tree.map(lambda u: u * scale.astype(u.dtype), updates)
        moved: Any = optax.apply_updates(trained, updates)
        params = constrained(self.objective.graph.nodes, together(moved, frozen))
        params = self.kept(train_state.params, params)
        return train_state.replace(
            step=train_state.step + 1,
            params=params,
            model_state=found.model_state,
            opt_state=jax.tree.map(_in_dtype_of, opt_state, moved_state),
            balance=found.balance,
            ema=self.average(train_state, params),
        )

    def average(self, train_state: TrainState, params: Params) -> PyTree:
        """The averages after a step: `ema * average + (1 - ema) * param`; after the first one, the params themselves.

        So they need no correction of a bias, as in Keras (`use_ema`).

        Raises:
            KeyMismatchError: the train state has averages that this step does not keep, or lacks those that it does.
        """
        trained = self.divide(params)[0]
        cure = "Give a train state of trainer.init, of a trainer with the same `ema`."
        match(train_state.ema, () if self.ema is None else trained, "train state, ema", cure)
        if self.ema is None:
            return ()
        skipped = self.loss_scale.logs(train_state.loss_scale).get("skipped_steps", 0)
        momentum = jnp.where(train_state.step == skipped, 0.0, self.ema)

        def one(average: Array, param: Array) -> Array:
            if not is_floating(param):
                return param
            weight = momentum.astype(average.dtype)
            return weight * average + (1 - weight) * param.astype(average.dtype)

        return jax.tree.map(one, train_state.ema, trained)

    def learning_rate(self, train_state: TrainState) -> Array | None:
        """The learning rate of the next step, as scaled, where it is known."""
        return None if self.rate is None else self.rate(train_state.step) * train_state.lr_scale

    def rate_log(self, train_state: TrainState) -> dict[str, Array]:
        """The log `learning_rate`: that of the last step, where the optimizer keeps its rate among its state."""
        held = getattr(train_state.opt_state, "hyperparams", {}).get("learning_rate")
        if held is None:
            return {}
        return {"learning_rate": held if self.rate is not None else held * train_state.lr_scale}

    def state_log(self, train_state: TrainState) -> dict[str, Array]:
        """The logs that a train state gives: learning rate, weights of the losses, steps that were skipped."""
        weights = self.objective.weight_logs(train_state.balance, train_state.step)
        return {**self.rate_log(train_state), **weights, **self.loss_scale.logs(train_state.loss_scale)}

    def logged(self, train_state: TrainState, batch: tuple) -> tuple[TrainState, dict[str, Array]]:
        """Takes one step by hand: the next train state and the batch's logs."""
        train_state, sums = self(train_state, batch)
        return train_state, self.objective.logs(sums) | self.state_log(train_state)

    def summed(
        self, train_state: TrainState, sums: Array, batch: tuple, real: Array | None = None
    ) -> tuple[TrainState, Array]:
        """Takes one step on a batch from the host and adds its sums up.

        Where the guard finds something that is not finite, nothing changes, in this step and all later ones, but that
        the sums keep those of the first such step.
        """
        train_state = self.begun(train_state, sums[0, -1] == 0)
        found = self.look(train_state, batch, real)

        def take() -> tuple[TrainState, Array]:
            added = self.loss_scale.choose(
                found.finite,
                lambda: self.objective.merge(sums[0], found.sums),
                lambda: sums[0],
            )
            return self.update(train_state, found), sums.at[0].set(added)

        if self.guard is None:
            return self.placed(take())
        watched = found.loss
        if self.guard in ("gradients", "update"):  # a sum is finite only where all its terms are
            watched = watched + sum(jnp.sum(g).astype(jnp.float32) for g in jax.tree.leaves(found.grads))
        fine = jnp.isfinite(watched) | self.loss_scale.forgives(train_state.loss_scale, found.finite)
        going = ~refused(sums)
        if self.guard == "update":
            taken = take()
            fine &= jax.tree.reduce(
                jnp.logical_and, jax.tree.map(lambda a: jnp.isfinite(a).all(), taken[0].params), jnp.array(True)
            )
            take = functools.partial(lambda taken: taken, taken)
        # Only the update stands in the branch: selecting each leaf instead cost 11 % of the MLP's steps, this nothing.
        return self.placed(
            jax.lax.cond(
                fine & going,
                take,
                lambda: (train_state, jnp.where(going, sums.at[1].set(found.sums), sums)),
            )
        )

    def placed(self, carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
        """A train state and sums where they lie, so that every dispatch finds them as the one before has left them."""
        return self.layout.kept(carry[0]), self.layout.whole(carry[1])

    def at(
        self, train_state: TrainState, sums: Array, data: tuple, order: Array, index: Array
    ) -> tuple[TrainState, Array]:
        """Takes the step at an index of the order."""
        return self.summed(train_state, sums, *gather(data, jax.lax.dynamic_index_in_dim(order, index, keepdims=False)))

    def many(
        self, train_state: TrainState, sums: Array, data: tuple, order: Array, start: Array, count: Array
    ) -> tuple[TrainState, Array]:
        """Takes `count` steps from `start` on, or fewer where the guard refuses one.

        The count is traced, so every cut of an epoch is the same program.
        """

        def goes_on(carry: tuple[Array, TrainState, Array]) -> Array:
            return (carry[0] < count) & ~refused(carry[2])

        def body(carry: tuple[Array, TrainState, Array]) -> tuple[Array, TrainState, Array]:
            i, train_state, sums = carry
            return i + 1, *self.at(train_state, sums, data, order, start + i)

        return self.placed(jax.lax.while_loop(goes_on, body, (jnp.zeros((), jnp.int32), train_state, sums))[1:])

    def measured(self, params: PyTree, state: PyTree, sums: Array, batch: tuple, real: Array | None = None) -> Array:
        """Evaluates a batch and adds its sums up."""
        batch, real = self.layout.rows((batch, real))
        found = self.objective.evaluate(params, state, batch, real, train=False)
        return self.layout.whole(self.objective.merge(sums, found.sums))

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


def _in_dtype_of(old: Any, new: Any) -> Any:
    """A leaf of a memory in the dtype that it had: a rate in float32 would widen the state of bfloat16 params."""
    kept = getattr(old, "dtype", None) in (None, getattr(new, "dtype", None))
    return new if kept else jnp.asarray(new, old.dtype)


def refused(sums: Any) -> Any:
    """Whether the guard has refused a step: the last of its sums counts the steps."""
    return sums[1, -1] != 0


def with_rate(opt_state: Any, rate: Array | None) -> Any:
    """The state of an optimizer that has its learning rate among it, with another one."""
    held = opt_state.hyperparams["learning_rate"]
    return opt_state._replace(hyperparams={**opt_state.hyperparams, "learning_rate": jnp.asarray(rate, held.dtype)})


def gather(data: tuple, rows: Array) -> tuple[tuple, Array]:
    """The rows of a batch, and 1.0 for those that are real."""
    return jax.tree.map(lambda a: jnp.take(a, rows, axis=0, mode="clip"), data), (rows >= 0).astype(jnp.float32)
