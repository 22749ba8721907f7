"""What is minimised and measured: losses, weights and metrics by output, as one vector of sums."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.balance.balance import Balance
from jgraph.balance.numbers import Numbers
from jgraph.core.graph import Graph, Ref, specs_of
from jgraph.core.policy import frozen_of
from jgraph.core.run import Probes, run
from jgraph.core.treatment import widened
from jgraph.losses.loss import Loss, align, check_differentiable
from jgraph.metrics.metric import Metric, check_values, weighted_sums, widen
from jgraph.train.joint import Joint
from jgraph.tree import match
from jgraph.typing import Array, Function, Key, Params, PyTree, Spec, State

LINK_FUNCTIONS: dict[str, Function] = {"softmax": jax.nn.softmax, "sigmoid": jax.nn.sigmoid}


@dataclasses.dataclass(frozen=True)
class Target:
    """One output: its name, spec, loss, weight and metrics, and where in the graph its values, logits and mask are.

    `logits` is set where the loss is a cross-entropy; `linear` says that the output itself is those logits.
    `weight` is what its loss was given: a number or a schedule.
    """

    name: str
    spec: Spec
    output: Ref
    loss: Loss | None
    weight: Any = 1.0
    metrics: tuple[Metric, ...] = ()
    logits: Ref | None = None
    linear: bool = False
    mask: Ref | None = None

    @property
    def judges(self) -> tuple[Loss | Metric, ...]:
        """The loss, if there is one, and the metrics."""
        return (*([self.loss] if self.loss else []), *self.metrics)


class Judged(NamedTuple):
    """What a batch says of a model: `[sum(weight * loss), sum(weight)]` of each output with a loss, and all else."""

    losses: tuple[Array, ...]
    penalty: Array
    sums: Array
    model_state: State


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """Runs a graph on a batch and sums up its losses and metrics.

    The sums are one vector: for every output `[sum(weight * value), sum(weight)]` of its loss and what each metric
    keeps, the same two for each loss over several places, then `[penalty, 1]` of the step, or `[loss, 1]` of one whose
    weights move. One vector, because every array costs at each dispatch. Whatever a node computes in, losses and
    metrics are taken in at least float32.

    `balance` makes one number of the losses.
    """

    graph: Graph
    inputs: tuple[int, ...]
    targets: tuple[Target, ...]
    single: bool
    joints: tuple[Joint, ...] = ()
    balance: Balance = dataclasses.field(default_factory=Numbers)

    @property
    def losses(self) -> tuple[Target | Joint, ...]:
        """The outputs that have a loss, and the losses over several places."""
        return tuple(target for target in self.judged if target.loss)

    @property
    def trained(self) -> tuple[Target, ...]:
        """The outputs that have a loss or metrics."""
        return tuple(t for t in self.targets if t.judges)

    @property
    def judged(self) -> tuple[Target | Joint, ...]:
        """The outputs that have a loss or metrics, and the losses over several places."""
        return (*self.trained, *self.joints)

    @functools.cached_property
    def joined(self) -> frozenset[str]:
        """The outputs whose targets a loss over several places takes, where there are such."""
        return frozenset(name for joint in self.joints for name in joint.outputs if name is not None)

    @property
    def mixes_rows(self) -> bool:
        """Whether a loss, a metric or a penalty may depend on several rows of the batch at once."""
        judges = any(judge.mixes_rows for target in self.judged for judge in target.judges)
        return judges or any(node.layer.penalizes() for node in self.graph.nodes)

    @functools.cached_property
    def frozen(self) -> frozenset[tuple[str, ...]]:
        """Where in the params those are that are not trained."""
        return frozen_of(self.graph.nodes)

    @functools.cached_property
    def parts(self) -> tuple[tuple[Target | Joint, Loss | Metric, slice], ...]:
        """Every loss and metric, with its output and where its sums are."""
        found, start = [], 0
        for target in self.judged:
            for judge in target.judges:
                size = jax.eval_shape(judge.init).shape[0] if isinstance(judge, Metric) else 2
                found.append((target, judge, slice(start, start := start + size)))
        return tuple(found)

    @functools.cached_property
    def init(self) -> Callable[[], Array]:
        """Makes the sums of no examples, by one program, as each operation outside of one is compiled by itself."""

        def init() -> Array:
            own = [judge.init() if isinstance(judge, Metric) else jnp.zeros(2) for _, judge, _ in self.parts]
            return jnp.concatenate([*own, jnp.zeros(2)], dtype=jnp.float32)

        return jax.jit(init)

    def merge(self, a: Array, b: Array) -> Array:
        """The sums of two sets of batches together."""
        merged = a + b
        for _, judge, place in self.parts:
            if isinstance(judge, Metric) and type(judge).merge is not Metric.merge:
                merged = merged.at[place].set(judge.merge(a[place], b[place]))
        return merged

    def evaluate(
        self,
        params: Params,
        state: State,
        batch: tuple,
        real: Array | None,
        *,
        train: bool,
        key: Key | None = None,
        probes: Probes | None = None,
    ) -> Judged:
        """Runs the model on a batch; `probes` are added to what nodes hand to each other.

        `batch` is (inputs, targets, weights), each a tuple in the order of the model's inputs and outputs; `real` has
        0 for rows that only fill the batch up.

        Raises:
            KeyMismatchError, ShapeError: params or state are not the model's.
            LossError: a loss or metric does not give one value per example.
        """
        cure = "Give the train state of a trainer of this model."
        match(params, specs_of(self.graph.nodes, "params"), "train state, params", cure)
        match(state, specs_of(self.graph.nodes, "state"), "train state, model_state", cure)
        inputs, targets, weights = batch
        fed = dict(zip(self.inputs, inputs, strict=True))
        values, state, penalty = run(self.graph.nodes, fed, params, state, train, key, probes)
        losses, sums = [], []
        for target, truth, weight in zip(self.targets, targets, weights, strict=True):
            if target.judges:
                parts = self._sums(target, values, truth, weight, real)
                sums += parts
                losses += parts[:1] if target.loss else []
        truths = {target.name: truth for target, truth in zip(self.targets, targets, strict=True)}
        rows = next(len(array) for array in inputs if array is not None)
        joined = [_joint_sums(joint, values, truths, rows, real) for joint in self.joints]
        penalty, one = jnp.asarray(penalty, jnp.float32), jnp.ones((), jnp.float32)
        sums = jnp.concatenate([*sums, *joined, jnp.stack([penalty, one])])
        return Judged((*losses, *joined), penalty, sums, state)

    def _sums(self, target: Target, values: Any, truth: Array, weight: Array | None, real: Array | None) -> list[Array]:
        output = _read(values, target.output)
        logits = _read(values, target.logits) if target.logits else output
        mask = _read(values, target.mask)
        weights = _weights(output.shape[0], mask, weight, real)
        own = target.loss.weights(align(target.loss, truth, output)) if target.loss else None
        trained = weights if own is None else _weights(output.shape[0], weights, own)
        counted = weights if own is None else _weights(output.shape[0], weights, own != 0)
        cleared = truth if mask is None and weight is None else _counted(truth, weights)
        undone = target.loss.link if target.loss else None
        link = LINK_FUNCTIONS[undone] if undone and target.linear else None
        found = []
        for judge in target.judges:
            aligned = align(judge, truth if _compares(judge, truth) else cleared, output)
            if isinstance(judge, Metric):
                raw = judge.on_logits(undone) if target.logits and undone else None
                seen = logits if raw else link(output) if link else output
                found.append(sums_of(raw or judge, target.name, aligned, seen, counted))
                continue
            found.append(_loss_sums(judge, target.name, aligned, logits, trained))
        return found

    def combined(self, memory: PyTree, step: Any) -> Callable[[list[Any], Any], Any]:
        """How a measured loss is made of the means of the losses and the penalty, with the weights of that moment."""
        return functools.partial(self.balance.total, memory, step)

    def logs(self, sums: Any, combined: Callable[[list[Any], Any], Any] | None = None) -> dict[str, Any]:
        """The sums as logs: `loss`, and each output's losses and metrics under their names.

        `loss` is the weighted sum of the outputs' losses plus the mean penalty of the steps, over the outputs that had
        any weight; NaN where there is nothing to average over. Where weights move, the sums of training have the mean
        of what the steps minimised, and those of measuring need to be `combined`.
        """
        numbers = np if isinstance(sums, np.ndarray) else jnp
        logs: dict[str, Any] = {"loss": None}
        losses, weight = [], 0.0
        for target, judge, place in self.parts:
            prefix, own = "" if self.single else f"{target.name}/", sums[place]
            if isinstance(judge, Metric):
                logs[f"{prefix}{judge.name}"] = judge.compute(own)
                continue
            losses.append(mean_of(own, numbers))
            logs[f"{prefix}loss"] = numbers.where(own[1] != 0, losses[-1], numbers.nan)
            weight = weight + own[1]
        last = sums[-2] / sums[-1]
        if combined is None and not self.balance.moves:
            combined = self.combined((), 0)
        total = last if combined is None else combined(losses, last)
        logs["loss"] = numbers.where(weight != 0, total, numbers.nan)
        return logs

    def minimised(self, sums: Array, loss: Array) -> Array:
        """The sums of a step that minimised this."""
        return sums.at[-2].set(loss) if self.balance.moves else sums

    def weight_logs(self, memory: PyTree, step: Any) -> dict[str, Any]:
        """The logs `weight` of the outputs, where weights move."""
        if not self.balance.moves:
            return {}
        weights = zip(self.losses, self.balance.weights(memory, step), strict=True)
        return {"weight" if self.single else f"{t.name}/weight": jnp.asarray(w, jnp.float32) for t, w in weights}

    def directions(self) -> dict[str, str]:
        """`min` or `max` for each log, with `val_` in front too, where it is known which is better."""
        known = {"loss": "min"}
        for target in self.judged:
            prefix = "" if self.single else f"{target.name}/"
            known |= {f"{prefix}{m.name}": m.direction for m in target.metrics if m.direction is not None}
            known |= {f"{prefix}loss": "min"} if target.loss else {}
        return known | {f"val_{name}": way for name, way in known.items()}


def sums_of(metric: Metric, output: str, truth: Array, values: Array, weights: Array) -> Array:
    """The sums of one metric for a batch; an error says which output it is of."""
    try:
        return metric.update(metric.init(), truth, values, weights)
    except Exception as error:
        error.add_note(f"In the metric {metric.name!r} of output {output!r}.")
        raise


def _loss_sums(loss: Loss, output: str, truth: Array, outputs: Array, weights: Array) -> Array:
    """The sums of a loss for a batch; an error says which output it is of."""
    try:
        value = loss.values(truth, outputs)
    except Exception as error:
        error.add_note(f"In the loss {loss.name!r} of output {output!r}.")
        raise
    value = check_differentiable(output, value)
    where = f"{loss.name!r}, the loss of output {output!r}"
    return weighted_sums(check_values(where, value, outputs, weights), weights)


def _joint_sums(joint: Joint, values: Any, truths: dict[str, Any], rows: int, real: Array | None) -> Array:
    """The sums of a loss over several places for a batch."""
    seen = [jax.tree.map(lambda ref: _read(values, ref), tree) for tree in joint.refs]
    value = check_differentiable(joint.name, joint.values(rows, seen, truths))
    return weighted_sums(value, _weights(rows, real))


def _compares(judge: Loss | Metric, truth: Array) -> bool:
    """Whether the integers that are targets stand for rows which are compared, where 0 would be another row's."""
    return judge.mixes_rows and judge.targets == "free" and jnp.issubdtype(truth.dtype, jnp.integer)


def _counted(truth: Array, weights: Array) -> Array:
    """The targets, with 0 where nothing counts: a NaN there would reach the gradients even under a weight of 0."""
    sizes = zip(weights.shape, truth.shape, strict=False)
    if truth.ndim < weights.ndim or any(own not in (1, size) for own, size in sizes):
        return truth
    return jnp.where(widen(weights, truth.ndim) != 0, truth, jnp.zeros((), truth.dtype))


def _read(values: Any, ref: Ref | None) -> Any:
    return None if ref is None else widened(values[ref.node][ref.index])


def mean_of(sums: Any, numbers: Any = jnp) -> Any:
    """The mean, 0 where there is no weight at all."""
    return sums[0] / numbers.where(sums[1] != 0, sums[1], 1.0)


def _weights(batch: int, *factors: PyTree) -> Array:
    """The product of masks and weights, each [batch] or [batch, time]."""
    given = [f.astype(jnp.float32) for f in factors if f is not None]
    rank = max((f.ndim for f in given), default=1)
    product = jnp.ones((batch,) + (1,) * (rank - 1), jnp.float32)
    for factor in given:
        product = product * widen(factor, rank)
    return product
