"""The trainer: a configuration of model, optimizer, losses, weights and metrics, with thin doors to training."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax

from jgraph.callbacks.progress_bar import ProgressBar
from jgraph.callbacks.terminate_on_nan import TerminateOnNaN
from jgraph.core.model import Model
from jgraph.core.predict import Program, predict, predict_batches
from jgraph.core.treatment import widened
from jgraph.errors import ArgumentError, check_flag, listing
from jgraph.sharding.layout import Layout
from jgraph.train.batches import Binding
from jgraph.train.beginning import begin
from jgraph.train.caching import caching, check_cache
from jgraph.train.callback import Callback
from jgraph.train.configure import check_averages, make_objective, make_optimizer
from jgraph.train.devices import DevicePlan, plan_of
from jgraph.train.gradients import Accumulated
from jgraph.train.initial import initial, template_of
from jgraph.train.layout import layout_of, placed
from jgraph.train.loop import train
from jgraph.train.lowered import Lowered, lower
from jgraph.train.many import fit_members
from jgraph.train.members import members_of
from jgraph.train.objective import Objective
from jgraph.train.outlets import Outlets
from jgraph.train.plan import Plan, Validation, check_integer, check_plan
from jgraph.train.precision import loss_scale_of, with_precision
from jgraph.train.printing import shown
from jgraph.train.programs import Programs
from jgraph.train.sources import evaluated, sources_of
from jgraph.train.start import cast_of
from jgraph.train.state import Run, TrainState, check_kind, check_train_state
from jgraph.train.step import Step
from jgraph.typing import Key, Params, PyTree, State


@dataclasses.dataclass(frozen=True, eq=False)
class Trainer:
    """Trains a model: the sum over outputs of `weight * loss`, plus penalties, with an optax optimizer.

    `loss`, `loss_weights` and `metrics` are one value for a single output, a list for a list of outputs, or a dict by
    output name. Losses are names (`"mse"`, `"sparse_categorical_crossentropy"`, ...), members of `jg.losses`, functions
    (targets, outputs) -> per-example values, or `None` for an output that is not trained; a `jg.Loss` with `of` is over
    several outputs or inner nodes, and stands in the dict under a name of its own. Cross-entropies are taken
    on logits: an end in softmax or sigmoid is seen through, a linear end is logits; `print(trainer)` shows which.
    With `learning_rate` (a number or a schedule), `optimizer` is a factory such as `optax.adam`.
    Rate and weights may be traced, as where a function that makes a trainer is differentiated by them.

    A loss weight is a number or a schedule, a function of the step; or `loss_weights` is one of `jg.balance`, which
    finds the weights of all losses while training. Where weights move, `loss` is the mean over the steps of what each
    minimised, `val_loss` is taken with the weights of its moment, and `age/weight` logs those of the next step.

    `accumulate=k` runs each batch in k parts, one after the other, so that the activations of only one are in memory:
    losses, gradients and sums are those of the whole batch to rounding, and the optimizer moves once. Batch
    normalisation sees the parts by themselves. Where rows depend on each other, k has to divide every batch.

    Frozen layers (`model.freeze(...)`) keep their params and state: the optimizer never sees them, and they get no
    gradients. Gradients come in the dtypes of the params; losses and metrics are taken in at least float32.

    `ema=0.999` keeps averages of the trained params over the steps: `train_state.averaged()` has them as its params,
    to evaluate, predict and save. They are `ema * average + (1 - ema) * param`, from the params after the first step
    on, as Keras' `use_ema`; with `validate_ema` they are also what `fit` validates, so what its callbacks watch.

    `precision` is what the model is computed in, where its policy says nothing else: `"mixed_bfloat16"` computes in
    bfloat16 and keeps the params in float32, `"bfloat16"` keeps them in it too (steps below 1/256 of a param are then
    lost), `"mixed_float16"` computes in float16 with losses scaled dynamically (a step whose gradients overflow is
    skipped, and counted in the log `skipped_steps`), `"float32"` does all in float32; `None` leaves the model as it was
    drawn. The statistics of norms, the weights of attention, losses, metrics, penalties and averages are taken in
    float32 all the same, and `predict` gives float32. `trainer.model` is the model with this precision.

    `mesh`, a `jax.sharding.Mesh` (`jax.make_mesh((4, 2), ("data", "model"))`), spreads training over its devices by
    `sharding`, a plan of `jg.sharding` (without one, rows are split over all axes): the results are those of one device
    to rounding, statistics of norms those of the whole batch, and `print(trainer.plan(batch_size=64))` shows what each
    device gets. Checkpoints of any mesh go on with any other.

    `compilation_cache` is a directory in which `fit`, `fit_many`, `evaluate`, `predict` and `lower` keep their compiled
    programs: another process finds them there, and starts sooner, to the same bits. What lies in it is run as it is, so
    it must be yours alone.

    Raises:
        KeyMismatchError: a key names no output, or an output has no loss.
        ArgumentError: something is not a model, optimizer, loss, weight, metric, momentum or precision.
        DataError: while training, parts cannot share a batch evenly though rows depend on each other.
        LossError: a cross-entropy on an output that ends in something else, or a metric that does not fit its loss.
        GraphError: all params of the model are frozen. WriteError: the cache cannot be written. PathError: a rule of
        the plan matches nothing. ShapeError: the devices cannot share a dimension evenly.

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
    accumulate: int = 1
    ema: float | None = None
    validate_ema: bool = False
    precision: str | None = None
    compilation_cache: str | os.PathLike[str] | None = None
    mesh: Any = None
    sharding: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, Model):
            raise ArgumentError(
                "Trainer, model",
                expected="a jg.Model",
                got=repr(self.model),
                cure="Make one: jg.Model(inputs, outputs).",
            )
        check_integer("Trainer, accumulate", self.accumulate, 1)
        check_averages(self.ema, self.validate_ema)
        check_cache("Trainer, compilation_cache", self.compilation_cache)
        object.__setattr__(self, "model", with_precision(self.model, self.precision))
        self.template  # noqa: B018 (checks losses, metrics, ends and optimizer now)

    # What it is made of

    @functools.cached_property
    def objective(self) -> Objective:
        """Losses, weights and metrics, matched to the outputs."""
        return make_objective(placed(self.model, self.layout), self.loss, self.loss_weights, self.metrics)

    @functools.cached_property
    def layout(self) -> Layout:
        """Where arrays lie: on one device, or on those of the mesh."""
        return layout_of(self.model, self.mesh, self.sharding)

    @functools.cached_property
    def step_function(self) -> Step:
        """The pure step, before it is compiled."""
        optimizer, rate = make_optimizer(self.optimizer, self.learning_rate)
        own = {"ema": self.ema, "validate_ema": self.validate_ema, "loss_scale": loss_scale_of(self.precision)}
        step = Step(self.objective, optimizer, rate, **own, layout=self.layout)
        if self.accumulate == 1:
            return step
        return dataclasses.replace(step, gradients=Accumulated(self.accumulate, fills=not self._binding.exact))

    @property
    def programs(self) -> Programs:
        """The compiled forms of the step."""
        return self.compiled("loss", ())

    @functools.cached_property
    def compiled(self) -> Callable[[str | None, tuple[str, ...]], Programs]:
        """The compiled forms by what the step's guard watches and the patterns frozen since; each is made once."""

        @functools.cache
        def compiled(guard: str | None, frozen: tuple[str, ...]) -> Programs:
            step = dataclasses.replace(self.step_function, guard=guard)
            if frozen:
                model = placed(self.model.freeze(*frozen), self.layout)
                objective = make_objective(model, self.loss, self.loss_weights, self.metrics)
                step = dataclasses.replace(step, objective=objective, unseen=self.objective.frozen)
            return Programs(step)

        return compiled

    @functools.cached_property
    def _binding(self) -> Binding:
        return Binding(self.model, self.objective, self.layout)

    # By hand, all pure

    def init(self, key: Key, params: Params | None = None, state: State | None = None) -> TrainState:
        """The train state before the first step, with the model's start values unless others are given.

        Raises:
            KeyMismatchError, ShapeError: params or state are not the model's.
        """
        return initial(self.model, self.step_function, key, params, state, self.precision)

    def step(self, train_state: TrainState, batch: Any) -> tuple[TrainState, dict[str, Any]]:
        """One step on a batch (inputs, targets[, weights]): the next train state and the batch's logs, on the device.

        Compiled, and nothing is donated: it can be repeated, differentiated, mapped and scanned.
        """
        check_kind("step", train_state)
        return self.programs.logged(train_state, self._binding.batch(batch, "step"))

    def lower(self, batch: Any = None, *, batch_size: int | None = None, donate: bool = False) -> Lowered:
        """The step compiled ahead of time, without data: what it costs, and a `step` for batches of this kind alone.

        `batch` is (inputs, targets[, weights]) of arrays or `jax.ShapeDtypeStruct`, with the batch axis; `batch_size`
        alone is enough where the sizes of inputs and targets follow from the model and its losses. With `donate`, it
        takes the memory of its train state over, as in `fit`.

        Raises:
            ArgumentError: neither is given, or both. As `step`, for the batch; ShapeError: an axis is free.
        """
        check_flag("lower", donate=donate)
        with caching(self.compilation_cache):
            return lower(self.programs, self._binding, self.template, batch, batch_size, donate)

    def plan(self, batch: Any = None, *, batch_size: int | None = None) -> DevicePlan:
        """What the devices of the mesh get: each leaf's place and bytes, and what a step takes and sends; print it.

        `batch` and `batch_size` are as in `lower`, and nothing is computed.

        Raises:
            ArgumentError: there is no mesh. As `lower`, for the batch.
        """
        compiled = functools.partial(self.lower, batch, batch_size=batch_size, donate=True)
        return plan_of(self.model, self.layout, self.template, compiled)

    # Over data

    def fit(
        self,
        data: Any,
        *,
        epochs: int,
        batch_size: int = 32,
        validation_data: Any = None,
        validation_split: float = 0.0,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_every: int = 1,
        shuffle: bool = True,
        drop_last: bool = False,
        data_on_device: bool | None = None,
        seed: int = 0,
        callbacks: Sequence[Callback] = (),
        class_weight: Any = None,
        steps_per_epoch: int | None = None,
        initial_epoch: int = 0,
        progress: bool = True,
        train_state: TrainState | None = None,
        run: Run | None = None,
        resume: str | os.PathLike[str] | None = None,
    ) -> Run:
        """Trains until `epochs` epochs are done, and returns the run: train state, history, and all else.

        `data` is a tuple (inputs, targets) or (inputs, targets, weights) of arrays, or an iterable of such tuples, one
        a batch: a loader of Grain, PyTorch or `tf.data`, a list, a generator (for one epoch, or in `steps_per_epoch`).
        Small arrays lie on the device, or as `data_on_device` says; others are read ahead. `drop_last` leaves out what
        does not fill a batch; rows are ordered by (seed, epoch); `steps_per_epoch` ends an epoch early.
        `validation_split` takes the last rows, before any shuffling; `validation_every` validates every so many epochs,
        on `validation_steps` batches of `validation_batch_size` rows. `class_weight`, `{class: weight}` or such dicts
        by output, multiplies the weights of training rows by those of their classes, 1 where a class is not named.
        Start values and all randomness come from `seed`, unless training goes on from a `train_state` (at
        `initial_epoch`), a `run`, or the newest whole checkpoint in the directory `resume` (if there is none, it starts
        anew, and says so), to the same bits as if it had never stopped. Data with `get_state` and `set_state`, or
        `state_dict` and `load_state_dict`, go on at their state; other iterables are read again up to there, which is
        said, and their first and last batch compared; an iterator without a state is refused. Validation data are read
        from their start. `callbacks` are those of `jg.callbacks`, or one's own, besides `TerminateOnNaN` and, with
        `progress`, `ProgressBar`. Ctrl-C returns the run as "interrupted", again it raises; SIGTERM saves first.

        Raises:
            ArgumentError: an argument has no meaning. DataError, KeyMismatchError, ShapeError, DTypeError: data do not
            fit, are empty, not finite, of differing lengths, or hold indices out of range. MonitorError,
            NameClashError, CallbackError: a callback does not fit, or raised. ResumeError, LoadError: the checkpoint or
            the data are another run's, or not whole. WriteError: no file can be written. All have `run`, the last good.
        """
        validation = Validation(validation_split, validation_steps, validation_batch_size, validation_every)
        rest = initial_epoch, drop_last, data_on_device, validation, class_weight
        plan = Plan(epochs, batch_size, seed, shuffle, steps_per_epoch, progress, *rest)
        try:
            with caching(self.compilation_cache):
                check_plan(plan, train_state, run, resume)
                cast = cast_of(callbacks), cast_of([*callbacks, *_defaults(callbacks, plan.progress)])
                sources = functools.partial(sources_of, self._binding, plan, data, validation_data, run)
                session, source, held_out = begin(self, plan, sources, *cast, train_state, run, resume, Outlets())
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
        plan = Plan(epochs, batch_size, 0, shuffle, steps_per_epoch, progress, validation=Validation(validation_split))
        check_plan(plan, None, None)
        with caching(self.compilation_cache):
            given = data, validation_data
            return fit_members(self, plan, given, members_of(seeds, learning_rate), callbacks, _defaults, self.layout)

    @functools.cached_property
    def template(self) -> TrainState:
        """A train state of specs, but for the key."""
        return template_of(self.model, self.step_function)

    def learning_rate_of(self, train_state: TrainState) -> Any:
        """The learning rate of a train state's next step, as callbacks have scaled it; `None` where it is not known.

        It is known where the trainer was given `learning_rate`.
        """
        check_kind("learning_rate_of", train_state)
        return self.step_function.learning_rate(train_state)

    def evaluate(
        self, train_state: TrainState, data: Any, batch_size: int = 32, *, steps: int | None = None
    ) -> dict[str, float]:
        """The logs of a train state on data: `loss`, metrics, and those of each output.

        They are over all rows, or those of the first `steps` batches.

        Raises:
            As `fit`, for the data.
        """
        self._check_train_state("evaluate", train_state)
        with caching(self.compilation_cache):
            return evaluated(self._binding, self.programs, train_state, data, batch_size, steps)

    @functools.cached_property
    def _program(self) -> Program:
        """From params, state and inputs by node to outputs: the model's own, in float32 where there is a precision."""
        program, layout = self.model.program, self.layout
        if self.precision is None and self.mesh is None:
            return program
        wide = widened if self.precision is not None else lambda outputs: outputs
        return jax.jit(lambda params, state, fed: wide(program(params, state, layout.rows(fed))))

    def predict(self, train_state: TrainState, inputs: PyTree, batch_size: int = 32, out: PyTree = None) -> PyTree:
        """The model's outputs for all rows, as NumPy arrays, or written into `out`; as `model.predict`.

        Of a trainer with a `precision` they are float32.
        """
        self._check_train_state("predict", train_state)
        trees = self.layout.kept((train_state.params, train_state.model_state))
        with caching(self.compilation_cache):
            return predict(self.model, self._program, trees, inputs, batch_size, out)

    def predict_batches(
        self, train_state: TrainState, batches: Any, *, batch_size: int | None = None
    ) -> Iterator[PyTree]:
        """The model's outputs batch by batch, for arrays or an iterable of inputs; as `model.predict_batches`.

        >>> import jax, jgraph as jg, numpy as np, optax
        >>> trainer = jg.Trainer(jg.Sequential([jg.Input((4,)), jg.layers.Dense(3)]), optax.sgd(0.1), loss="mse")
        >>> train_state = trainer.init(jax.random.key(0))
        >>> [y.shape for y in trainer.predict_batches(train_state, [np.ones((4, 4)), np.ones((2, 4))])]
        [(4, 3), (2, 3)]
        """
        self._check_train_state("predict_batches", train_state)
        trees = self.layout.kept((train_state.params, train_state.model_state))
        return predict_batches(self.model, self._program, trees, batches, batch_size)

    def _check_train_state(self, where: str, given: Any) -> None:
        check_train_state(where, given, self.template)

    # Copies and printing

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __repr__(self) -> str:
        return f"Trainer({self.model!r}, {listing(t.name for t in self.objective.judged)})"

    def __str__(self) -> str:
        return shown(self)


def _defaults(callbacks: Iterable[Callback], progress: bool) -> list[Callback]:
    """The callbacks that are there in any case, where users give none of their kind."""
    wanted = [TerminateOnNaN(), *([ProgressBar()] if progress else [])]
    return [own for own in wanted if not any(isinstance(given, type(own)) for given in callbacks)]
