"""The trainer: a configuration of model, optimizer, losses, weights and metrics, with thin doors to training."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jgraph.core.model import Model
from jgraph.draw.terminal import table
from jgraph.errors import ArgumentError, listing
from jgraph.keys import fold
from jgraph.train.batches import Binding, check_iterable, is_rows
from jgraph.train.configure import make_objective
from jgraph.train.loop import Plan, Rows, Source, measure, train
from jgraph.train.objective import Objective
from jgraph.train.programs import Programs
from jgraph.train.state import Run, TrainState, fresh_copy
from jgraph.train.step import Step
from jgraph.data.rows import split_rows
from jgraph.tree import match
from jgraph.typing import Key, Params, PyTree, State


@dataclasses.dataclass(frozen=True, eq=False)
class Trainer:
    """Trains a model: the sum over outputs of `weight * loss`, plus penalties, with an optax optimizer.

    `loss`, `loss_weights` and `metrics` are one value for a single output, a list for a list of outputs, or a dict by
    output name. Losses are names (`"mse"`, `"sparse_categorical_crossentropy"`, ...), members of `jg.losses`, functions
    (targets, outputs) -> per-example values, or `None` for an output that is not trained. Cross-entropies are taken
    on logits: an end in softmax or sigmoid is seen through, a linear end is logits; `print(trainer)` shows which.
    With `learning_rate` (a number or a schedule), `optimizer` is a factory such as `optax.adam`.

    Raises:
        KeyMismatchError: a key names no output, or an output has no loss.
        ArgumentError: something is not a model, optimizer, loss, weight or metric.
        LossError: a cross-entropy on an output that ends in something else, or a metric that does not fit its loss.

    >>> import jax, jax.numpy as jnp, jgraph as jg, optax
    >>> x = jg.Input((4,), name="x")
    >>> model = jg.Model(x, {"y": jg.layers.Dense(3, activation="softmax", name="y")(x)})
    >>> trainer = jg.Trainer(model, optax.adam(1e-2), loss="sparse_categorical_crossentropy", metrics="accuracy")
    >>> data = jnp.eye(4), jnp.array([0, 1, 2, 0])
    >>> run = trainer.fit(data, epochs=2, seed=0, progress=False)
    >>> sorted(run.history), int(run.train_state.step)
    (['accuracy', 'loss'], 2)
    """

    model: Model
    optimizer: Any
    loss: Any
    loss_weights: Any = None
    metrics: Any = None
    learning_rate: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, Model):
            raise ArgumentError(
                "Trainer, model", expected="a jg.Model", got=repr(self.model), cure="Make one: jg.Model(inputs, outputs)."
            )
        self.step_function  # noqa: B018 (checks losses, metrics, ends and optimizer now)

    # What it is made of

    @functools.cached_property
    def objective(self) -> Objective:
        """Losses, weights and metrics, matched to the outputs."""
        return make_objective(self.model, self.loss, self.loss_weights, self.metrics)

    @functools.cached_property
    def step_function(self) -> Step:
        """The pure step, before it is compiled."""
        return Step(self.objective, make_optimizer(self.optimizer, self.learning_rate))

    @functools.cached_property
    def programs(self) -> Programs:
        """The compiled forms of the step; they live as long as the trainer."""
        return Programs(self.step_function)

    @functools.cached_property
    def _binding(self) -> Binding:
        return Binding(self.model, self.objective)

    # By hand, all pure

    def init(self, key: Key, params: Params | None = None, state: State | None = None) -> TrainState:
        """The train state before the first step, with the model's start values unless others are given.

        Raises:
            KeyMismatchError, ShapeError: params or state are not the model's.
        """
        drawn = self.model.init(fold(key, "init")) if params is None or state is None else (params, state)
        params, state = drawn[0] if params is None else params, drawn[1] if state is None else state
        match(params, self.model.params_spec, "Trainer.init, params", "Give the tree that model.init makes.")
        match(state, self.model.state_spec, "Trainer.init, state", "Give the tree that model.init makes.")
        opt_state = self.step_function.optimizer.init(params)
        scale = jnp.ones((), jnp.float32)
        return TrainState(jnp.zeros((), jnp.int32), params, state, opt_state, fold(key, "steps"), scale)

    def step(self, train_state: TrainState, batch: Any) -> tuple[TrainState, dict[str, Any]]:
        """One step on a batch (inputs, targets[, weights]): the next train state and the batch's logs, on the device.

        Compiled, and nothing is donated: it can be repeated, differentiated, mapped and scanned.
        """
        return self.programs.logged(train_state, self._binding.batch(batch, "step"))

    # Over data

    def fit(
        self,
        data: Any,
        *,
        epochs: int,
        batch_size: int = 32,
        validation_data: Any = None,
        validation_split: float = 0.0,
        shuffle: bool = True,
        seed: int = 0,
        steps_per_epoch: int | None = None,
        progress: bool = True,
        train_state: TrainState | None = None,
        run: Run | None = None,
    ) -> Run:
        """Trains until `epochs` epochs are done, and returns the run: train state, history, and all else.

        `data` is a tuple (inputs, targets) or (inputs, targets, weights) of arrays, or an iterable of such tuples, one
        a batch. `validation_split` takes the last rows, before any shuffling; the order of the rest is drawn from
        (seed, epoch). `steps_per_epoch` ends an epoch early. Start values and all randomness come from `seed`, unless
        training goes on from a `train_state`, or from a `run`, which also keeps its history and counts its epochs.
        What is given is never donated: it can be used again.

        Raises:
            ArgumentError: an argument has no meaning. DataError, KeyMismatchError, ShapeError, DTypeError: the data do
            not fit the model, are empty, of differing lengths, not finite, or hold labels or indices out of range.
        """
        plan = Plan(epochs, batch_size, seed, shuffle, steps_per_epoch, progress)
        check_plan(plan, train_state, run)
        source = self._source(data, "fit")
        held_out = None
        if validation_split:
            if source.rows is None or validation_data is not None:
                raise ArgumentError(
                    "fit, validation_split",
                    expected="arrays to split, and no validation_data beside it",
                    got="an iterable" if source.rows is None else "both",
                    cure="Give validation_data alone.",
                )
            kept, last = split_rows(source.rows.bound, source.rows.count, validation_split)
            source, held_out = source.of(kept), source.of(last)
        elif validation_data is not None:
            held_out = self._source(validation_data, "fit, validation_data")
        left = epochs - (run.position.epoch if run else 0)
        check_steps_fit(source, plan, left)
        given = run.train_state if run else train_state
        start = fresh_copy(given or self.init(jax.random.key(seed)))
        begun = dataclasses.replace(run, train_state=start, stopped=None) if run else Run(start)
        return train(begun, source, self._validation(held_out, start, batch_size, left), plan)

    def evaluate(self, train_state: TrainState, data: Any, batch_size: int = 32) -> dict[str, float]:
        """The logs of a train state on data, over all rows: `loss`, metrics, and those of each output.

        Raises:
            As `fit`, for the data.
        """
        check_batch_size(batch_size)
        source = self._source(data, "evaluate")
        if source.batches is not None:
            check_iterable(source.batches, 1, "evaluate")
        return measure(source.place(train_state), train_state, batch_size)

    def predict(self, train_state: TrainState, inputs: PyTree, batch_size: int = 32) -> PyTree:
        """The model's outputs for all rows, as NumPy arrays; as `model.predict`."""
        return self.model.predict(train_state.params, train_state.model_state, inputs, batch_size=batch_size)

    def _source(self, data: Any, where: str) -> Source:
        if not is_rows(data):
            return Source(self._binding, self.programs, batches=data, where=where)
        bound, count = self._binding.rows(data, where)
        return Source(self._binding, self.programs, Rows(bound, count, self.model.mixes_rows), where=where)

    def _validation(
        self, source: Source | None, train_state: TrainState, batch_size: int, times: int
    ) -> Callable[[TrainState], dict[str, float]] | None:
        if source is None:
            return None
        if source.batches is not None:
            check_iterable(source.batches, times, source.where)
        placed = source.place(train_state)
        return lambda train_state: measure(placed, train_state, batch_size)

    # Copies and printing

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __repr__(self) -> str:
        return f"Trainer({self.model!r}, {listing(t.name for t in self.objective.trained)})"

    def __str__(self) -> str:
        rows = []
        for target in self.objective.targets:
            loss = target.loss.name if target.loss else "none"
            on = "output" if not target.logits else "logits (the output)" if target.linear else f"logits, before {self._link(target)}"
            names = ", ".join(m.name for m in target.metrics) or "-"
            mask = "masked" if target.mask else "-"
            rows.append([target.name, loss, f"{target.weight:g}" if target.loss else "-", on if target.loss else "-", names, mask])
        columns = ["output", "loss", "weight", "taken on", "metrics", "mask"]
        return table(f"Trainer of {self.model!r}", columns, rows, numbers=["weight"])

    def _link(self, target: Any) -> str:
        return str(target.loss.link)


def make_optimizer(optimizer: Any, learning_rate: Any) -> optax.GradientTransformation:
    """The optimizer as it is, or made by its factory with the learning rate among its state.

    Raises:
        ArgumentError: it is not an optax optimizer, or a factory without a learning rate.
    """
    where, cure = "Trainer, optimizer", "Write optimizer=optax.adam(1e-3), or optimizer=optax.adam, learning_rate=1e-3."
    if learning_rate is None:
        if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
            raise ArgumentError(where, expected="an optax optimizer", got=repr(optimizer), cure=cure)
        return optimizer
    if not callable(optimizer):
        raise ArgumentError(where, expected="a factory, beside learning_rate", got=type(optimizer).__name__, cure=cure)
    return optax.inject_hyperparams(optimizer)(learning_rate=learning_rate)


def check_plan(plan: Plan, train_state: TrainState | None, run: Run | None) -> None:
    """Checks the arguments of `fit` that need no data.

    Raises:
        ArgumentError: one has no meaning.
    """
    check_batch_size(plan.batch_size)
    for name, value, least in (("epochs", plan.epochs, 0), ("seed", plan.seed, 0), ("steps_per_epoch", plan.steps_per_epoch, 1)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise ArgumentError(f"fit, {name}", expected=f"an integer of at least {least}", got=repr(value), cure="Mend it.")
    if train_state is not None and run is not None:
        raise ArgumentError("fit", expected="train_state or run", got="both", cure="A run holds its train state: give run=.")
    if run is not None and plan.epochs < run.position.epoch:
        raise ArgumentError(
            "fit, epochs",
            expected=f"at least the {run.position.epoch} epochs that the run has done",
            got=str(plan.epochs),
            cure="`epochs` counts from the start of the run.",
        )


def check_batch_size(batch_size: Any) -> None:
    """Checks a batch size.

    Raises:
        ArgumentError: it is not a positive integer.
    """
    if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
        raise ArgumentError("batch_size", expected="a positive integer", got=repr(batch_size), cure="Write batch_size=32.")


def check_steps_fit(source: Source, plan: Plan, epochs: int) -> None:
    """Checks that the data last for the epochs.

    Raises:
        ArgumentError: there are fewer batches than steps, or an iterator would be read twice.
    """
    if source.rows is None:
        check_iterable(source.batches, epochs, "fit")
    elif plan.steps_per_epoch is not None and plan.steps_per_epoch > (steps := -(-source.rows.count // plan.batch_size)):
        raise ArgumentError(
            "fit, steps_per_epoch",
            expected=f"at most the {steps} batches that {source.rows.count} rows give",
            got=str(plan.steps_per_epoch),
            cure="Leave it out for all rows.",
        )
