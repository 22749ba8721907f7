"""From what a user writes to an objective: losses, weights and metrics matched to outputs, ends opened for logits."""

import contextlib
import dataclasses
import inspect
import itertools
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer

from jgraph.balance.balance import Balance
from jgraph.core.graph import Ref, spec_of
from jgraph.core.model import Model
from jgraph.core.spec import BATCH
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, GraphError, KeyMismatchError, LossError, NameClashError, listing, nearest
from jgraph.losses.loss import Loss
from jgraph.losses.resolve import resolve
from jgraph.metrics.library import resolve as resolve_metric
from jgraph.metrics.metric import Metric
from jgraph.train.actions import number_of
from jgraph.train.joint import join, split
from jgraph.train.objective import Objective, Target
from jgraph.train.opening import check_probabilities, checked_end, mask_of, open_ends
from jgraph.train.weights import check_kind, is_traced, make_balance, weight_of
from jgraph.tree import divide, leaves_with_names


def make_objective(model: Model, loss: Any, loss_weights: Any, metrics: Any) -> Objective:
    """Matches losses, weights and metrics to the outputs and finds the logits.

    Raises:
        KeyMismatchError: a key names no output, or an output has no loss (`None` says that it needs none).
        ArgumentError: a loss, metric or weight is not one.
        LossError: a cross-entropy on an output that ends in something else; a metric that does not fit the loss.
        NameClashError: two logs would have one name, as those of `val_a` and the validation of `a`.
        GraphError: all params of the model are frozen.
    """
    names = output_names(model)
    alone, together = split(loss, names)
    losses = by_output(model, "loss", alone, together)
    if missing := [n for n in names if n not in losses]:
        raise KeyMismatchError(
            "Trainer, loss",
            expected=f"a loss for each of the outputs {listing(names)}",
            got=f"none for {listing(missing)}",
            cure="Give None for an output that is not to be trained.",
        )
    resolved = {n: v if v is None else resolve(f"Trainer, loss of {n!r}", v) for n, v in losses.items()}
    check_kind(loss_weights)
    weights = {} if isinstance(loss_weights, Balance) else by_output(model, "loss_weights", loss_weights, together)
    wanted = by_output(model, "metrics", metrics)
    if not any(resolved.values()) and not together:
        raise ArgumentError(
            "Trainer, loss", expected="at least one loss", got=repr(loss), cure="Name a loss, such as 'mse'."
        )
    graph, ends = model.graph, {}
    targets = []
    for name, ref in zip(names, jax.tree.leaves(graph.outputs), strict=True):
        own = resolved[name]
        weight = weight_of(name, weights.get(name), own)
        spec = spec_of(graph, ref)
        chosen = tuple(metric.for_output(spec) for metric in _metrics(name, wanted.get(name), own))
        target = Target(name, spec, ref, own, weight, chosen, mask=mask_of(graph, graph.symbol(ref)))
        _check_output(target)
        if own and own.link:
            ends[name] = checked_end(name, graph, ref, own)
        elif own and own.of_probabilities:
            check_probabilities(name, graph, ref, own)
        targets.append(target)
    refs = dict(zip(names, jax.tree.leaves(graph.outputs), strict=True))
    joints = tuple(join(model, n, v, weight_of(n, weights.get(n), v), refs) for n, v in together.items())
    objective = open_ends(graph, tuple(targets), ends, joints, single=len(names) == 1 and not joints)
    given = [t.weight for t in objective.losses], {t.name: t.loss for t in objective.losses if t.loss}
    balance = make_balance(loss_weights, *given, divide(model.params_spec, objective.frozen)[0])
    objective = dataclasses.replace(objective, balance=balance)
    _check_logs(objective)
    _check_trained(model, objective)
    return objective


def _check_logs(objective: Objective) -> None:
    """No two logs may have one name, those of the validation included."""
    names = ["loss", "learning_rate", "skipped_steps"]
    for target in objective.judged:
        prefix = "" if objective.single else f"{target.name}/"
        own = [] if objective.single or target.loss is None else ["loss"]
        own += ["weight"] if objective.balance.moves and target.loss else []
        names += [prefix + name for name in (*own, *(m.name for m in target.metrics))]
    counts = Counter([*names, *(f"val_{name}" for name in names)])
    if twice := [name for name, count in counts.items() if count > 1]:
        raise NameClashError(
            "Trainer",
            expected="logs of different names",
            got=f"{listing(twice)} twice",
            cure="Rename an output or metric.",
        )


def _check_trained(model: Model, objective: Objective) -> None:
    """There must be something to train, unless the model has no params at all."""
    holders = [node.path for node in model.nodes if node.call == 0 and node.inference.params]
    if holders and not jax.tree.leaves(divide(model.params_spec, objective.frozen)[0]):
        raise GraphError(
            "Trainer, model",
            expected="a layer whose params are trained",
            got=f"only frozen ones: {listing(holders)}",
            cure="Unfreeze what is to be trained: model.unfreeze('head').",
        )


def output_names(model: Model) -> list[str]:
    """What the outputs are called: by the user's key, else by their layer's name, made unique by position."""
    found = leaves_with_names(model.graph.outputs)
    names = []
    for place, (key, ref) in enumerate(found):
        own = key if key and not isinstance(model.graph.outputs, (list, tuple)) else model.nodes[ref.node].path
        numbered = (f"{own}_{number}" for number in itertools.count(place))
        names.append(next(name for name in itertools.chain([own], numbered) if name not in names))
    return names


def by_output(model: Model, where: str, value: Any, beside: Iterable[str] = ()) -> dict[str, Any]:
    """One value for a single output, a tree like the outputs, or a dict by output name, as a dict.

    The dict may have the names of the losses that stand `beside` those of outputs.

    Raises:
        KeyMismatchError: a key names no output, or a list has another length.
    """
    names, drawn = output_names(model), model.graph.outputs
    if value is None and where != "loss":
        return {}
    known = {*names, *beside}
    if not isinstance(drawn, Ref) and not (isinstance(value, dict) and {str(key) for key in value} <= known):
        with contextlib.suppress(ValueError):  # given as the outputs are
            return dict(zip(names, jax.tree.structure(drawn).flatten_up_to(value), strict=True))
    if isinstance(value, dict):
        value = {str(key): v for key, v in value.items()}
        if extra := [key for key in value if key not in known]:
            raise KeyMismatchError(
                f"Trainer, {where}",
                expected=f"keys among the outputs {listing(names)}",
                got=listing(extra),
                cure=nearest(extra[0], [*names, *beside]) + "Use the names of the model's outputs.",
            )
        return value
    listed = isinstance(value, (list, tuple))
    if listed and isinstance(drawn, (list, tuple)) and len(value) == len(names):
        return dict(zip(names, value, strict=True))
    if len(names) == 1:
        return {names[0]: value}
    raise KeyMismatchError(
        f"Trainer, {where}",
        expected=f"a dict by output name, {listing(names)}"
        + f", or a {type(drawn).__name__} like theirs" * (not isinstance(drawn, Ref)),
        got=f"{type(value).__name__}" + (f" of {len(value)}" if listed else f" {value!r}"),
        cure="Several outputs need to be told apart.",
    )


def _metrics(name: str, value: Any, loss: Loss | None) -> tuple[Metric, ...]:
    given = () if value is None else value if isinstance(value, (list, tuple)) else (value,)
    metrics = tuple(resolve_metric(f"Trainer, metrics of {name!r}", v, loss) for v in given)
    names = [m.name for m in metrics]
    if len(set(names)) < len(names) or "loss" in names:
        raise ArgumentError(
            f"Trainer, metrics of {name!r}",
            expected="different names, none of them 'loss'",
            got=listing(names),
            cure="Rename.",
        )
    return metrics


def _check_output(target: Target) -> None:
    """Checks that an output can be judged at all: numbers with a batch axis, and classes for labels."""
    spec, where = target.spec, f"output {target.name!r}"
    if not target.judges:
        return
    if spec.shape[:1] != (BATCH,) or not (jnp.issubdtype(spec.dtype, jnp.floating) or target.loss is None):
        raise LossError(
            where,
            expected="floating-point numbers, one row per row of the inputs",
            got=show(spec),
            cure="Give None as its loss and no metrics, or end it before it is reduced or cut off.",
        )
    softmax = target.loss is not None and target.loss.link == "softmax"
    labels = any(judge.targets == "labels" for judge in target.judges)
    if (softmax or labels) and (len(spec.shape) < 2 or spec.shape[-1] == 1):
        raise LossError(
            where,
            expected="an axis of at least two classes",
            got=show(spec),
            cure="For two classes with one unit, use sigmoid and binary_crossentropy.",
        )


def check_averages(ema: Any, validate_ema: Any) -> None:
    """Checks the momentum of the averages of the params, and whether they are what is validated.

    Raises:
        ArgumentError: it is not a number from 0 to 1, 1 excluded, or there are no averages to be validated.
    """
    if ema is not None and not 0 <= number_of(ema) < 1:
        cure = "Write ema=0.999, which averages over about 1000 steps."
        raise ArgumentError("Trainer, ema", expected="a number from 0 to 1, 1 excluded", got=repr(ema), cure=cure)
    if not isinstance(validate_ema, bool) or (validate_ema and ema is None):
        got = repr(validate_ema) + " without ema" * (validate_ema is True)
        expected, cure = "True or False, and averages to validate", "Write ema=0.999, validate_ema=True."
        raise ArgumentError("Trainer, validate_ema", expected=expected, got=got, cure=cure)


def make_optimizer(optimizer: Any, learning_rate: Any) -> tuple[optax.GradientTransformationExtraArgs, Any]:
    """The optimizer as it is, or made by its factory with the learning rate among its state; and the rate of a step.

    Either way it may be told the loss and how to compute it, as line searches need. The rate is a function of the
    step, `None` where only the optimizer knows it.

    Raises:
        ArgumentError: it is not an optax optimizer, the factory takes no learning rate, or the rate is none.
    """
    where, cure = "Trainer, optimizer", "Write optimizer=optax.adam(1e-3), or optimizer=optax.adam, learning_rate=1e-3."
    if learning_rate is None:
        if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
            raise ArgumentError(where, expected="an optax optimizer", got=repr(optimizer), cure=cure)
        return optax.with_extra_args_support(optimizer), None
    if not callable(optimizer):
        raise ArgumentError(where, expected="a factory, beside learning_rate", got=type(optimizer).__name__, cure=cure)
    fixed = not callable(learning_rate) and not is_traced(learning_rate)
    if fixed and not 0 <= number_of(learning_rate) < math.inf:
        raise ArgumentError(
            "Trainer, learning_rate",
            expected="a finite number of at least 0, or a schedule from steps to such numbers",
            got=repr(learning_rate),
            cure="Write learning_rate=1e-3, or a schedule of optax.",
        )
    rate: Any = learning_rate if callable(learning_rate) else optax.constant_schedule(learning_rate)
    first = rate(0)  # while JAX traces, also what a schedule computes has no value yet
    first = first if isinstance(first, Tracer) else float(first)
    try:
        factory: Any = optimizer
        others = [name for name in inspect.signature(factory).parameters if name != "learning_rate"]
        # Only the rate: the decay 0.999 of Adam, kept in the dtype of bfloat16 params, would be 1, and the update NaN.
        return optax.inject_hyperparams(factory, static_args=others)(learning_rate=first), rate
    except TypeError as error:
        raise ArgumentError(where, expected="a factory that takes learning_rate", got=str(error), cure=cure) from error
