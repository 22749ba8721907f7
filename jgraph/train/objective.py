"""What is minimised and measured: losses, weights and metrics by output, as one vector of sums."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.graph import Graph, Ref
from jgraph.core.run import run
from jgraph.losses.loss import Loss, align, check_values
from jgraph.metrics.metric import Metric, weighted_sums, widen
from jgraph.typing import Array, Function, Key, Params, PyTree, State

LINK_FUNCTIONS: dict[str, Function] = {"softmax": jax.nn.softmax, "sigmoid": jax.nn.sigmoid}


@dataclasses.dataclass(frozen=True)
class Target:
    """One output: its name, loss, weight and metrics, and where in the graph its values, logits and mask are.

    `logits` is set where the loss is a cross-entropy; `linear` says that the output itself is those logits.
    """

    name: str
    output: Ref
    loss: Loss | None
    weight: float = 1.0
    metrics: tuple[Metric, ...] = ()
    logits: Ref | None = None
    linear: bool = False
    mask: Ref | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """Runs a graph on a batch and sums up its losses and metrics.

    The sums are one vector: for every output with a loss `[sum(weight * value), sum(weight)]` of the loss and of each
    metric, then `[penalty, 1]` of the step. One vector, because every array costs at each dispatch.
    """

    graph: Graph
    inputs: tuple[int, ...]
    targets: tuple[Target, ...]
    single: bool

    @property
    def trained(self) -> tuple[Target, ...]:
        """The outputs that have a loss or metrics."""
        return tuple(t for t in self.targets if t.loss or t.metrics)

    def init(self) -> Array:
        """The sums of no examples."""
        return jnp.zeros(2 * (sum(bool(t.loss) + len(t.metrics) for t in self.trained) + 1), jnp.float32)

    def evaluate(
        self, params: Params, state: State, batch: tuple, real: Array | None, *, train: bool, key: Key | None = None
    ) -> tuple[Array, Array, State]:
        """The loss of a batch, its sums and the next state.

        `batch` is (inputs, targets, weights), each a tuple in the order of the model's inputs and outputs; `real` has
        0 for rows that only fill the batch up.
        """
        inputs, targets, weights = batch
        fed = dict(zip(self.inputs, inputs, strict=True))
        values, state, penalty = run(self.graph.nodes, fed, params, state, train, key)
        loss, sums = jnp.asarray(penalty, jnp.float32), []
        for target, truth, weight in zip(self.targets, targets, weights, strict=True):
            if target.loss or target.metrics:
                parts = self._sums(target, values, truth, weight, real)
                sums += parts
                loss = loss + target.weight * _mean(parts[0]) if target.loss else loss
        one = jnp.ones((), jnp.float32)
        return loss, jnp.concatenate([*sums, jnp.stack([jnp.asarray(penalty, jnp.float32), one])]), state

    def _sums(self, target: Target, values: Any, truth: Array, weight: Array | None, real: Array | None) -> list[Array]:
        output = _read(values, target.output)
        logits = _read(values, target.logits) if target.logits else output
        loss, batch = target.loss, output.shape[0]
        truth = align(loss, truth, output) if loss else truth
        weights = _weights(batch, _read(values, target.mask) if target.mask else None, weight, real)
        parts = []
        if loss:
            where = f"the loss of output {target.name!r}"
            parts.append(weighted_sums(check_values(where, loss.values(truth, logits), batch), weights))
        for metric in target.metrics:
            where = f"the metric {metric.name!r} of output {target.name!r}"
            if target.logits and metric.logit_values:
                measured = metric.logit_values(truth, logits)
            else:
                link = LINK_FUNCTIONS[loss.link] if loss and loss.link and target.linear else None
                measured = metric.values(truth, link(output) if link else output)
            parts.append(weighted_sums(check_values(where, measured, batch), weights))
        return parts

    def logs(self, sums: Any) -> dict[str, Any]:
        """The sums as logs: `loss`, and each output's losses and metrics under their names.

        `loss` is the weighted sum of the outputs' losses plus the mean penalty of the steps.
        """
        logs, place, total = {}, 0, sums[-2] / sums[-1]
        for target in self.trained:
            prefix = "" if self.single else f"{target.name}/"
            if target.loss:
                mean = sums[place] / sums[place + 1]
                total, place = total + target.weight * mean, place + 2
                if not self.single:
                    logs[f"{prefix}loss"] = mean
            for metric in target.metrics:
                logs[f"{prefix}{metric.name}"] = metric.compute(sums[place : place + 2])
                place += 2
        return {"loss": total, **logs}

    def log_names(self) -> list[str]:
        """The names of all logs."""
        return list(self.logs(jnp.ones_like(self.init())))


def _read(values: Any, ref: Ref | None) -> Any:
    return None if ref is None else values[ref.node][ref.index]


def _mean(sums: Array) -> Array:
    """The mean of the batch, 0 where it has no weight at all."""
    return jnp.where(sums[1] != 0, sums[0] / jnp.where(sums[1] != 0, sums[1], 1.0), 0.0)


def _weights(batch: int, *factors: PyTree) -> Array:
    """The product of masks and weights, each [batch] or [batch, time]."""
    given = [f.astype(jnp.float32) for f in factors if f is not None]
    rank = max((f.ndim for f in given), default=1)
    product = jnp.ones((batch,) + (1,) * (rank - 1), jnp.float32)
    for factor in given:
        product = product * widen(factor, rank)
    return product
