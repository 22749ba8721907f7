"""What is minimised and measured: losses, weights and metrics by output, as one vector of sums."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.core.graph import Graph, Ref, specs_of
from jgraph.core.policy import frozen_of
from jgraph.core.run import run
from jgraph.core.treatment import widened
from jgraph.losses.loss import Loss, align, check_differentiable
from jgraph.metrics.metric import Metric, check_values, weighted_sums, widen
from jgraph.tree import match
from jgraph.typing import Array, Function, Key, Params, PyTree, Spec, State

LINK_FUNCTIONS: dict[str, Function] = {"softmax": jax.nn.softmax, "sigmoid": jax.nn.sigmoid}


@dataclasses.dataclass(frozen=True)
class Target:
    """One output: its name, spec, loss, weight and metrics, and where in the graph its values, logits and mask are.

    `logits` is set where the loss is a cross-entropy; `linear` says that the output itself is those logits.
    """

    name: str
    spec: Spec
    output: Ref
    loss: Loss | None
    weight: Array | float = 1.0
    metrics: tuple[Metric, ...] = ()
    logits: Ref | None = None
    linear: bool = False
    mask: Ref | None = None

    @property
    def judges(self) -> tuple[Loss | Metric, ...]:
        """The loss, if there is one, and the metrics."""
        return (*([self.loss] if self.loss else []), *self.metrics)


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """Runs a graph on a batch and sums up its losses and metrics.

    The sums are one vector: for every output `[sum(weight * value), sum(weight)]` of its loss and what each metric
    keeps, then `[penalty, 1]` of the step. One vector, because every array costs at each dispatch. Whatever a node
    computes in, losses and metrics are taken in at least float32.
    """

    graph: Graph
    inputs: tuple[int, ...]
    targets: tuple[Target, ...]
    single: bool

    @property
    def trained(self) -> tuple[Target, ...]:
        """The outputs that have a loss or metrics."""
        return tuple(t for t in self.targets if t.judges)

    @property
    def mixes_rows(self) -> bool:
        """Whether a loss, a metric or a penalty may depend on several rows of the batch at once."""
        judges = any(judge.mixes_rows for target in self.targets for judge in target.judges)
        return judges or any(node.layer.penalizes() for node in self.graph.nodes)

    @functools.cached_property
    def frozen(self) -> frozenset[tuple[str, ...]]:
        """Where in the params those are that are not trained."""
        return frozen_of(self.graph.nodes)

    @functools.cached_property
    def parts(self) -> tuple[tuple[Target, Loss | Metric, slice], ...]:
        """Every loss and metric, with its output and where its sums are."""
        found, start = [], 0
        for target in self.trained:
            for judge in target.judges:
                size = jax.eval_shape(judge.init).shape[0] if isinstance(judge, Metric) else 2
                found.append((target, judge, slice(start, start := start + size)))
        return tuple(found)

    def init(self) -> Array:
        """The sums of no examples."""
        own = [judge.init() if isinstance(judge, Metric) else jnp.zeros(2) for _, judge, _ in self.parts]
        return jnp.concatenate([*own, jnp.zeros(2)], dtype=jnp.float32)

    def merge(self, a: Array, b: Array) -> Array:
        """The sums of two sets of batches together."""
        merged = a + b
        for _, judge, place in self.parts:
            if isinstance(judge, Metric) and type(judge).merge is not Metric.merge:
                merged = merged.at[place].set(judge.merge(a[place], b[place]))
        return merged

    def evaluate(
        self, params: Params, state: State, batch: tuple, real: Array | None, *, train: bool, key: Key | None = None
    ) -> tuple[Array, Array, State]:
        """The loss of a batch, its sums and the next state.

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
        values, state, penalty = run(self.graph.nodes, fed, params, state, train, key)
        loss, sums = jnp.asarray(penalty, jnp.float32), []
        for target, truth, weight in zip(self.targets, targets, weights, strict=True):
            if target.judges:
                parts = self._sums(target, values, truth, weight, real)
                sums += parts
                loss = loss + target.weight * _mean(parts[0]) if target.loss else loss
        one = jnp.ones((), jnp.float32)
        return loss, jnp.concatenate([*sums, jnp.stack([jnp.asarray(penalty, jnp.float32), one])]), state

    def _sums(self, target: Target, values: Any, truth: Array, weight: Array | None, real: Array | None) -> list[Array]:
        output = _read(values, target.output)
        logits = _read(values, target.logits) if target.logits else output
        mask = _read(values, target.mask)
        weights = _weights(output.shape[0], mask, weight, real)
        truth = truth if mask is None and weight is None else _counted(truth, weights)
        undone = target.loss.link if target.loss else None
        link = LINK_FUNCTIONS[undone] if undone and target.linear else None
        found = []
        for judge in target.judges:
            aligned = align(judge, truth, output)
            if isinstance(judge, Metric):
                raw = judge.on_logits(undone) if target.logits and undone else None
                seen = logits if raw else link(output) if link else output
                found.append(sums_of(raw or judge, target.name, aligned, seen, weights))
                continue
            value = check_differentiable(target.name, judge.values(aligned, logits))
            where = f"{judge.name!r}, the loss of output {target.name!r}"
            found.append(weighted_sums(check_values(where, value, output, weights), weights))
        return found

    def logs(self, sums: Any) -> dict[str, Any]:
        """The sums as logs: `loss`, and each output's losses and metrics under their names.

        `loss` is the weighted sum of the outputs' losses plus the mean penalty of the steps, over the outputs that had
        any weight; NaN where there is nothing to average over.
        """
        numbers = np if isinstance(sums, np.ndarray) else jnp
        logs: dict[str, Any] = {"loss": None}
        total, weight = sums[-2] / sums[-1], 0.0
        for target, judge, place in self.parts:
            prefix, own = "" if self.single else f"{target.name}/", sums[place]
            if isinstance(judge, Metric):
                logs[f"{prefix}{judge.name}"] = judge.compute(own)
                continue
            mean = _mean(own, numbers)
            logs[f"{prefix}loss"] = numbers.where(own[1] != 0, mean, numbers.nan)
            total, weight = total + target.weight * mean, weight + own[1]
        logs["loss"] = numbers.where(weight != 0, total, numbers.nan)
        return logs

    def directions(self) -> dict[str, str]:
        """`min` or `max` for each log, with `val_` in front too, where it is known which is better."""
        known = {"loss": "min"}
        for target in self.trained:
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


def _counted(truth: Array, weights: Array) -> Array:
    """The targets, with 0 where nothing counts: a NaN there would reach the gradients even under a weight of 0."""
    if truth.ndim < weights.ndim:
        return truth
    return jnp.where(widen(weights, truth.ndim) != 0, truth, jnp.zeros((), truth.dtype))


def _read(values: Any, ref: Ref | None) -> Any:
    return None if ref is None else widened(values[ref.node][ref.index])


def _mean(sums: Any, numbers: Any = jnp) -> Any:
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
