"""How a trainer is shown: which loss is taken on what, with which weight and metrics."""

from typing import Any

from jgraph.balance.balance import Balance
from jgraph.draw.terminal import table
from jgraph.sharding.layout import Spread
from jgraph.train.joint import Joint
from jgraph.train.objective import Target

COLUMNS = ("output", "loss", "weight", "taken on", "metrics", "mask")


def shown(trainer: Any) -> str:
    """A row for each output and for each loss over several places; what else a trainer is told stands below."""
    objective, balanced = trainer.objective, isinstance(trainer.loss_weights, Balance)
    title = f"Trainer of {trainer.model!r}" + f", losses balanced by {objective.balance!r}" * balanced
    rows = [_row(target, balanced) for target in (*objective.targets, *objective.joints)]
    notes = [f"Precision: {trainer.precision}"] if trainer.precision else []
    notes += [f"Averages: {trainer.ema:g}" + ", validated" * trainer.validate_ema] if trainer.ema is not None else []
    if isinstance(trainer.layout, Spread):
        notes += ["Mesh: " + ", ".join(f"{axis}={size}" for axis, size in trainer.layout.sizes.items())]
    return table(title, COLUMNS, rows, ["", *notes] if notes else [], numbers=["weight"])


def _row(target: Target | Joint, balanced: bool) -> list[str]:
    """How one output is trained."""
    metrics = ", ".join(m.name for m in target.metrics) or "-"
    weight = f"{target.weight:g}" if isinstance(target.weight, float) else "traced"
    weight = "balanced" if balanced else "schedule" if callable(target.weight) else weight
    if isinstance(target, Joint):
        return [target.name, str(target.loss.name), weight, ", ".join(map(str, target.loss.of)), "-", "-"]
    mask = "masked" if target.mask else "-"
    if target.loss is None:
        return [target.name, "none", "-", "-", metrics, mask]
    end = "logits (the output)" if target.linear else f"logits, before {target.loss.link}"
    return [target.name, str(target.loss), weight, end if target.logits else "output", metrics, mask]
