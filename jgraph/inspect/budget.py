"""What a training step needs, before anything is trained: memory and operations, by estimate and as compiled."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.costs import NodeCost, activations_of, costs_of
from jgraph.core.model import Model
from jgraph.core.operations import operations_of
from jgraph.core.policy import frozen_of
from jgraph.core.residuals import size_of, used
from jgraph.core.sizes import solve
from jgraph.draw.amounts import amount, bytes_of
from jgraph.draw.terminal import table
from jgraph.errors import ArgumentError
from jgraph.inspect.recompute import Recompute, plans
from jgraph.tree import divide, read
from jgraph.typing import PyTree

COLUMNS = ("", "estimated", "compiled", "ratio")


@dataclasses.dataclass(frozen=True, eq=False)
class Budget:
    """What a training step of so many `rows` needs, as `jg.inspect.budget` finds it; `print` shows it as a table.

    Bytes: `params`, `optimizer`, `model_state`, `averages` (of `ema=`), `others` (the key, the step, what balances
    losses or scales them) and `batch` are there from the start, and together are `arguments`. `activations` are what
    the backward pass needs of the forward pass; `gradient` is the largest gradient of one layer, as each is applied
    when it is found (where an optimizer needs all of them at once, as to clip them by their norm, they come on top).
    Both are `temporaries`, and all is `memory`.

    Operations: `forward` is one pass of the model, `training` a pass forward and back, `step` the whole step with
    losses, metrics and optimizer, for the `rows` of the batch.

    Activations are those that a compiler keeps that computes cheap elementwise functions again where they are read.
    Where XLA fuses less it keeps more: on a CPU a stack of products and convolutions needs what is estimated to about a
    quarter, attention and recurrences one and a half times to twice as much. The ratio says so.

    `compiled` is the step as XLA compiled it, a `Lowered` that takes over the memory of its train state, as `fit` does.
    `plan` says what to compute again so that all fits into the `limit`.

    >>> import jgraph as jg, optax
    >>> model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(3)])
    >>> budget = jg.inspect.budget(jg.Trainer(model, optax.sgd(0.1), loss="mse"), batch_size=8)
    >>> budget.params, budget.forward, budget.arguments == budget.compiled.arguments
    (60, 216, True)
    """

    rows: int
    params: int
    optimizer: int
    model_state: int
    averages: int
    others: int
    batch: int
    activations: int
    gradient: int
    forward: int
    training: int
    step: int
    compiled: Any
    plan: Recompute | None = None

    @property
    def arguments(self) -> int:
        """The bytes of the train state and the batch."""
        return self.params + self.optimizer + self.model_state + self.averages + self.others + self.batch

    @property
    def temporaries(self) -> int:
        """The bytes that come and go within a step."""
        return self.activations + self.gradient

    @property
    def memory(self) -> int:
        """The bytes that a step needs at once."""
        return self.arguments + self.temporaries

    def __repr__(self) -> str:
        return f"Budget(batch of {self.rows}, {bytes_of(self.memory)}, {amount(self.step, 'flop')})"

    def __str__(self) -> str:
        low = self.compiled
        parts = {
            "params": self.params,
            "optimizer state": self.optimizer,
            "model state": self.model_state,
            "averages of params": self.averages,
            "key, step and others": self.others,
            "batch": self.batch,
        }
        rows = [[f"  {name}", bytes_of(size), "", ""] for name, size in parts.items() if size]
        rows.append(_compared("held", self.arguments, low.arguments, bytes_of))
        rows.append(["  activations", bytes_of(self.activations), "", ""])
        rows.append(["  a layer's gradient", bytes_of(self.gradient), "", ""])
        rows.append(_compared("in between", self.temporaries, low.temporaries + low.outputs, bytes_of))
        rows.append(_compared("memory", self.memory, low.peak_memory, bytes_of))
        rows += [["  forward", amount(self.forward, "flop"), "", ""]]
        rows += [["  forward and back", amount(self.training, "flop"), "", ""]]
        rows.append(_compared("operations", self.step, low.flops, lambda number: amount(number, "flop")))
        notes = [f"{low.loops} loops, whose bodies XLA counts once"] if low.loops else []
        notes += [] if self.plan is None else [str(self.plan)]
        notes = ["", *notes] if notes else []
        return table(f"One step on a batch of {self.rows:,}", COLUMNS, rows, notes, numbers=COLUMNS[1:])


def _compared(name: str, ours: float, theirs: float, shown: Any) -> list[str]:
    known = math.isfinite(theirs) and theirs > 0
    return [name, shown(ours), shown(theirs) if known else "-", f"{ours / theirs:.2f}" if known else "-"]


def budget(
    trainer: Any, batch: Any = None, *, batch_size: int | None = None, limit: int | float | None = None
) -> Budget:
    """What a step of a trainer needs, before training: memory and operations, each beside what XLA reports.

    The batch is one of arrays or of `jax.ShapeDtypeStruct`; `batch_size` alone is enough where all sizes follow from
    the model and its losses. Nothing is trained and no array is made, but the step is compiled.

    With `limit`, the bytes that a step may need at once, the budget has a `plan`: the policy by which the fewest
    operations are computed again so that it fits, by estimate. Blocks of nodes that follow each other keep only what
    they read (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"). XLA on a CPU finds that a block is
    computed twice and keeps it after all, unless `XLA_FLAGS=--xla_disable_hlo_passes=cse_barrier_expander` is set.

    Raises:
        ArgumentError: the trainer is none; neither batch nor `batch_size` is given, or both; or the limit cannot be
        reached: the error says the least that can. As `trainer.lower`, for the batch.

    >>> import jgraph as jg, optax
    >>> layers = [jg.layers.Dense(64, activation="tanh") for _ in range(16)]
    >>> model = jg.Sequential([jg.Input((64,)), *layers])
    >>> trainer = jg.Trainer(model, optax.sgd(0.1), loss="mse")
    >>> budget = jg.inspect.budget(trainer, batch_size=4096)
    >>> smaller = jg.inspect.budget(trainer, batch_size=4096, limit=0.7 * budget.memory)
    >>> smaller.plan.activations < budget.activations, len(model.with_policy(smaller.plan.policy).nodes)
    (True, 17)
    """
    if not isinstance(getattr(trainer, "model", None), Model) or not hasattr(trainer, "lower"):
        cure = "Write jg.inspect.budget(trainer, batch_size=64)."
        raise ArgumentError("budget, trainer", expected="a jg.Trainer", got=repr(trainer)[:80], cure=cure)
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0):
        cure = "Give it in bytes: limit=8 * 2**30."
        raise ArgumentError("budget, limit", expected="a number above 0", got=repr(limit), cure=cure)
    compiled = trainer.lower(batch, batch_size=batch_size, donate=True)
    model, template = trainer.model, trainer.template
    costs, rows = _costs(trainer, compiled)
    kept = activations_of(model.nodes, costs, model.graph.outputs)
    step = jax.make_jaxpr(trainer.programs.step.logged)(template, jax.eval_shape(compiled.binding.cast, compiled.batch))
    parts = trainer.accumulate
    made = Budget(
        rows=rows,
        params=_bytes(template.params),
        optimizer=_bytes(template.opt_state),
        model_state=_bytes(template.model_state),
        averages=_bytes(template.ema),
        others=_bytes((template.step, template.key, template.lr_scale, template.balance, template.loss_scale)),
        batch=_bytes(jax.eval_shape(compiled.binding.cast, compiled.batch)),
        activations=sum(kept),
        gradient=_bytes(model.params_spec) if parts > 1 else _largest(model),
        forward=parts * sum(found.cost.operations for found in costs if found.cost),
        training=parts * sum(found.cost.training for found in costs if found.cost),
        step=operations_of(used(step)).count,
        compiled=compiled,
    )
    return made if limit is None else dataclasses.replace(made, plan=_chosen(made, model, costs, float(limit)))


def _costs(trainer: Any, compiled: Any) -> tuple[list[NodeCost], int]:
    """The cost of each node for the rows that are in memory at once, and the rows of the batch."""
    graph = trainer.model.graph
    drawn = [graph.symbol(ref).spec for ref in jax.tree.leaves(graph.inputs)]
    given = compiled.batch[0]
    shapes = [(spec.shape, array.shape) for spec, array in zip(drawn, given, strict=True) if array is not None]
    pairs = [pair for shape, got in shapes for pair in zip(shape, got, strict=True)]
    known = solve(("budget, batch", size, got) for size, got in pairs if not isinstance(size, int))
    rows = known.pop("batch")
    return costs_of(graph.nodes, math.ceil(rows / trainer.accumulate), known), rows


def _bytes(tree: PyTree) -> int:
    """The bytes of a tree of specs or arrays; of a key, those of its numbers."""
    leaves = [
        jax.eval_shape(jax.random.key_data, leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        for leaf in jax.tree.leaves(tree)
    ]
    return sum(map(size_of, leaves))


def _largest(model: Model) -> int:
    """The bytes of the largest gradient of one layer."""
    trained, _ = divide(model.params_spec, frozen_of(model.nodes))
    return max((_bytes(read(trained, node.names)) for node in model.nodes if not node.layer.is_graph), default=0)


def _chosen(found: Budget, model: Model, costs: list[NodeCost], limit: float) -> Recompute:
    """The plan that fits with the fewest operations."""
    beside = found.memory - found.activations
    every = list(plans(model, costs))
    fitting = [plan for plan in every if beside + plan.activations <= limit]
    if not fitting:
        least = beside + min(plan.activations for plan in every)
        raise ArgumentError(
            "budget, limit",
            expected=f"at least {bytes_of(least)} ({least:,} bytes), the least that computing again can reach",
            got=f"{bytes_of(limit)} ({limit:,.0f} bytes)",
            cure="Take fewer rows, or accumulate gradients: jg.Trainer(..., accumulate=4).",
        )
    return min(fitting, key=lambda plan: (plan.operations, plan.activations))
