"""The trainer: a configuration of model, optimizer, losses, weights and metrics, with thin doors to training."""

import dataclasses
import functools
import os
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.callbacks.progress_bar import ProgressBar
from jgraph.callbacks.terminate_on_nan import TerminateOnNaN
from jgraph.core.model import Model
from jgraph.data.rows import split_rows
from jgraph.draw.terminal import table
from jgraph.errors import ArgumentError, listing
from jgraph.keys import fold
from jgraph.train.batches import Binding, check_iterable, check_weighing, is_rows
from jgraph.train.callback import Callback, Setup
from jgraph.train.configure import make_objective, make_optimizer
from jgraph.train.learning_rate import inexact
from jgraph.train.loop import train
from jgraph.train.lowered import Lowered, lower
from jgraph.train.many import train_members
from jgraph.train.members import Member, at_rate, callbacks_of, members_of
from jgraph.train.objective import Objective, Target
from jgraph.train.plan import Plan, check_batch_size, check_batches, check_epochs, check_plan, check_steps
from jgraph.train.programs import Pace, Programs
from jgraph.train.session import Session, Setting
from jgraph.train.source import Rows, Source, measure
from jgraph.train.start import about_run, cast_of, check_cast, prepare_directories, resumed, sinks_of, with_memories
from jgraph.train.state import Run, TrainState, check_kind, check_train_state, fresh_copy
from jgraph.train.step import Step
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
    Rate and weights may be traced, as where a function that makes a trainer is differentiated by them.
    Frozen layers (`model.freeze(...)`) keep their params and state: the optimizer never sees them, and they get no
    gradients. Gradients come in the dtypes of the params; losses and metrics are taken in at least float32.

    Raises:
        KeyMismatchError: a key names no output, or an output has no loss.
        ArgumentError: something is not a model, optimizer, loss, weight or metric.
        LossError: a cross-entropy on an output that ends in something else, or a metric that does not fit its loss.
        GraphError: all params of the model are frozen.

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
                "Trainer, model",
                expected="a jg.Model",
                got=repr(self.model),
                cure="Make one: jg.Model(inputs, outputs).",
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
        return Step(self.objective, *make_optimizer(self.optimizer, self.learning_rate))

    @functools.cached_property
    def programs(self) -> Programs:
        """The compiled forms of the step; they live as long as the trainer."""
        return Programs(self.step_function)

    @functools.cached_property
    def _guarded(self) -> dict[str | None, Programs]:
        """The compiled forms by what the step's guard watches."""
        other = {guard: dataclasses.replace(self.step_function, guard=guard) for guard in (None, "gradients")}
        return {"loss": self.programs, **{guard: Programs(step) for guard, step in other.items()}}

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
        opt_state = self.step_function.init_optimizer(params)
        scale = jnp.ones((), jnp.float32)
        return TrainState(jnp.zeros((), jnp.int32), params, state, opt_state, fold(key, "steps"), scale)

    def step(self, train_state: TrainState, batch: Any) -> tuple[TrainState, dict[str, Any]]:
        """One step on a batch (inputs, targets[, weights]): the next train state and the batch's logs, on the device.

        Compiled, and nothing is donated: it can be repeated, differentiated, mapped and scanned.
        """
        check_kind("step", train_state)
        return self.programs.logged(train_state, self._binding.batch(batch, "step"))

    def lower(self, batch: Any = None, *, batch_size: int | None = None) -> Lowered:
        """The step compiled ahead of time, without data: what it costs, and a `step` for batches of this kind alone.

        `batch` is (inputs, targets[, weights]) of arrays or `jax.ShapeDtypeStruct`, with the batch axis; `batch_size`
        alone is enough where the sizes of inputs and targets follow from the model and its losses.

        Raises:
            ArgumentError: neither is given, or both. As `step`, for the batch; ShapeError: an axis is free.
        """
        return lower(self.programs, self._binding, self._template, batch, batch_size)

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
        callbacks: Sequence[Callback] = (),
        steps_per_epoch: int | None = None,
        progress: bool = True,
        train_state: TrainState | None = None,
        run: Run | None = None,
        resume: str | os.PathLike[str] | None = None,
    ) -> Run:
        """Trains until `epochs` epochs are done, and returns the run: train state, history, and all else.

        `data` is a tuple (inputs, targets) or (inputs, targets, weights) of arrays, or an iterable of such tuples, one
        a batch. `validation_split` takes the last rows, before any shuffling; the order of the rest is drawn from
        (seed, epoch). `steps_per_epoch` ends an epoch early. Start values and all randomness come from `seed`, unless
        training goes on from a `train_state`; from a `run`, which keeps its history, seed and count of epochs; or from
        the newest whole checkpoint in the directory `resume`, to the same bits as if it had never stopped (where there
        is none, it starts anew and says so). What is given is never donated: it can be used again.

        `callbacks` are those of `jg.callbacks`, or one's own. `TerminateOnNaN` and, with `progress`, `ProgressBar` are
        there in any case. Ctrl-C ends the dispatch and returns the run with `stopped="interrupted"`, a second one
        raises; SIGTERM does the same, saves where there is a `Checkpoint`, and is then sent on to the old handler.

        Raises:
            ArgumentError: an argument has no meaning. DataError, KeyMismatchError, ShapeError, DTypeError: the data do
            not fit the model, are empty, of differing lengths, not finite, or hold labels or indices out of range.
            MonitorError, NameClashError: a callback does not fit the run, or two claim one name or place.
            ResumeError, LoadError: the checkpoint is another run's, or none is whole. CallbackError: a callback raised.
            WriteError: a file cannot be written. Every error has `run`, the last good run.
        """
        plan = Plan(epochs, batch_size, seed, shuffle, steps_per_epoch, progress, validation_split)
        try:
            check_plan(plan, train_state, run, resume)
            sources = functools.partial(self._sources, plan, data, validation_data, run)
            session, source, held_out = self._begin(plan, sources, callbacks, train_state, run, resume)
        except BaseException as error:
            error.__dict__["run"] = run
            raise
        return train(session, source, held_out)

    def fit_many(
        self,
        data: Any,
        *,
        epochs: int,
        seeds: int | Sequence[int] = (0,),
        learning_rate: Any = None,
        batch_size: int = 32,
        validation_data: Any = None,
        validation_split: float = 0.0,
        shuffle: bool = True,
        callbacks: Sequence[Callback] = (),
        steps_per_epoch: int | None = None,
        progress: bool = True,
    ) -> list[Run]:
        """Trains an ensemble or a sweep in one compiled program: the run of each member, as `fit` would give it.

        `seeds` are one for each member (8 stands for `range(8)`), `learning_rate` one for all, or one for each; a
        single seed is that of all rates. Each member has start values, order of data and randomness of its own, stops
        on its own, and is then kept as it is; its callbacks see its logs alone, and write to `directory/member_0` or
        `file_member_0.csv`. They act at epochs. A run goes on by `fit(run=, seed=run.seed)`, or from its checkpoints.

        Raises:
            As `fit`; an error while training has `runs`. ArgumentError: seeds and rates do not go together, the trainer
            does not know its rate, or a callback acts at steps. DataError: data are not arrays that lie on the device.
        """
        plan = Plan(epochs, batch_size, 0, shuffle, steps_per_epoch, progress, validation_split)
        check_plan(plan, None, None)
        sources = functools.cache(functools.partial(self._sources, plan, data, validation_data, None))

        def begin(member: Member) -> tuple[Session, Source, Source | None]:
            own = dataclasses.replace(plan, seed=member.seed, progress=False)
            start = at_rate(member, self.init(jax.random.key(member.seed)), self.step_function)
            return self._begin(own, sources, callbacks_of(member, callbacks), start, None, None, member.number)

        return train_members(members_of(seeds, learning_rate), begin, progress)

    def _begin(
        self, plan: Plan, sources: Any, callbacks: Any, train_state: Any, run: Any, resume: Any, member: Any = None
    ) -> tuple[Session, Source, Source | None]:
        """Everything that `fit` finds out before training."""
        cast = cast_of(callbacks)
        everyone = cast_of([*callbacks, *_defaults(cast.values(), plan.progress)])
        programs = self._guarded[next((g for c in everyone.values() if (g := c.guards())), None)]
        source, held_out, validation_data = sources(programs)
        check_cast(everyone, self._setup(plan, held_out is not None))
        about = functools.cache(
            lambda: about_run(self.model, programs.step, self.optimizer, plan, source, held_out, cast)
        )
        if any(callback.directories() for callback in everyone.values()):
            about()
        found, said = (None, []) if resume is None else resumed(resume, self._template, cast, about)
        if found is not None:
            check_epochs(plan, found)
        given = (found or run).train_state if found or run else train_state
        if given is not None:
            self._check_train_state("fit", given)
        start = fresh_copy(given or self.init(jax.random.key(plan.seed)))
        batches = check_batches(plan, source.rows and source.rows.count, found or run)
        begun = dataclasses.replace(found or run or Run(start, seed=plan.seed), train_state=start, batches=batches)
        if found is None:
            begun = dataclasses.replace(begun, stopped=None)
        begun, new = with_memories(begun, everyone)
        said += prepare_directories(everyone, new, begun, resume, about)
        sinks = sinks_of(everyone, begun.memories, new, anew=resume is not None and found is None)
        setting = Setting(self, programs, plan, everyone, validation_data, sinks, about, member)
        session = Session(begun, setting)
        for level, text in said:
            session.say(text, level)
        return session, source, held_out

    def _sources(
        self, plan: Plan, data: Any, validation_data: Any, run: Run | None, programs: Programs
    ) -> tuple[Source, Source | None, Any]:
        """Checked data for training and validation, and the validation data as users gave or would give them."""
        left = plan.epochs - (run.position.epoch if run else 0)
        source, held_out = self._source(data, "fit", programs, times=left), None
        if plan.validation_split:
            if source.rows is None or validation_data is not None:
                raise ArgumentError(
                    "fit, validation_split",
                    expected="arrays to split, and no validation_data beside it",
                    got="an iterable" if source.rows is None else "both",
                    cure="Give validation_data alone.",
                )
            kept, last = split_rows(source.rows.bound, source.rows.count, plan.validation_split)
            source, held_out, validation_data = source.of(kept), source.of(last), self._binding.unbind(last)
        elif validation_data is not None:
            held_out = self._source(validation_data, "fit, validation_data", programs, times=left)
        if source.rows is not None:
            check_steps(plan, source.rows.count)
        return source, held_out, validation_data

    def _setup(self, plan: Plan, validates: bool) -> Setup:
        """What callbacks may know before training."""
        step, objective = self.step_function, self.objective
        known = objective.logs(np.ones(objective.init().shape))
        measured = [*known, *(["learning_rate"] if step.rate_log(self._template) else [])]
        return Setup(
            trainer=self,
            logs=(*measured, *(f"val_{name}" for name in known if validates)),
            step_logs=tuple(known),
            directions=objective.directions(),
            rate_known=step.rate is not None,
            inexact=None if step.rate is not None else inexact(step.optimizer),
            epochs=plan.epochs,
        )

    @functools.cached_property
    def _template(self) -> TrainState:
        """A train state of specs, but for the key."""
        specs = self.model.params_spec, self.model.state_spec
        opt_state = jax.eval_shape(self.step_function.init_optimizer, specs[0])
        step: Any = jax.ShapeDtypeStruct((), jnp.int32)
        scale: Any = jax.ShapeDtypeStruct((), jnp.float32)
        return TrainState(step, *specs, opt_state, jax.random.key(0), scale)

    def learning_rate_of(self, train_state: TrainState) -> Any:
        """The learning rate of a train state's next step, as callbacks have scaled it; `None` where it is not known.

        It is known where the trainer was given `learning_rate`.
        """
        return self.step_function.learning_rate(train_state)

    def evaluate(self, train_state: TrainState, data: Any, batch_size: int = 32) -> dict[str, float]:
        """The logs of a train state on data, over all rows: `loss`, metrics, and those of each output.

        Raises:
            As `fit`, for the data.
        """
        check_batch_size(batch_size)
        self._check_train_state("evaluate", train_state)
        source = self._source(data, "evaluate", self.programs, times=1)
        return measure(source.place(train_state), train_state, batch_size, Pace())

    def predict(self, train_state: TrainState, inputs: PyTree, batch_size: int = 32) -> PyTree:
        """The model's outputs for all rows, as NumPy arrays; as `model.predict`."""
        self._check_train_state("predict", train_state)
        return self.model.predict(train_state.params, train_state.model_state, inputs, batch_size=batch_size)

    def _source(self, data: Any, where: str, programs: Programs, *, times: int) -> Source:
        """Checked data: rows, or batches that can be read so many times."""
        if not is_rows(data):
            return Source(self._binding, programs, batches=check_iterable(data, times, where), where=where)
        bound, count = self._binding.bind(data, where)
        self._binding.check_values(bound, where)
        check_weighing(bound, where)
        return Source(self._binding, programs, Rows(bound, count), where=where)

    def _check_train_state(self, where: str, given: Any) -> None:
        check_train_state(where, given, self.model.params_spec, self.model.state_spec, self._template.opt_state)

    # Copies and printing

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __repr__(self) -> str:
        return f"Trainer({self.model!r}, {listing(t.name for t in self.objective.trained)})"

    def __str__(self) -> str:
        columns = ["output", "loss", "weight", "taken on", "metrics", "mask"]
        return table(f"Trainer of {self.model!r}", columns, map(_row, self.objective.targets), numbers=["weight"])


def _defaults(callbacks: Iterable[Callback], progress: bool) -> list[Callback]:
    """The callbacks that are there in any case, where users give none of their kind."""
    wanted = [TerminateOnNaN(), *([ProgressBar()] if progress else [])]
    return [own for own in wanted if not any(isinstance(given, type(own)) for given in callbacks)]


def _row(target: Target) -> list[str]:
    """How one output is trained, for the table."""
    metrics = ", ".join(m.name for m in target.metrics) or "-"
    mask = "masked" if target.mask else "-"
    if target.loss is None:
        return [target.name, "none", "-", "-", metrics, mask]
    end = "logits (the output)" if target.linear else f"logits, before {target.loss.link}"
    weight = f"{target.weight:g}" if isinstance(target.weight, float) else "traced"
    return [target.name, target.loss.name, weight, end if target.logits else "output", metrics, mask]
