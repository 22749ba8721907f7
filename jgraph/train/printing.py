"""How a trainer is shown: which loss is taken on what, with which weight and metrics."""

from collections.abc import Sequence

from jgraph.balance.balance import Balance
from jgraph.draw.terminal import table
from jgraph.train.joint import Joint
from jgraph.train.objective import Objective, Target

COLUMNS = ("output", "loss", "weight", "taken on", "metrics", "mask")


def table_of(objective: Objective, title: str, balance: Balance | None, notes: Sequence[str]) -> str:
    """A row for each output and for each loss over several places; notes stand below."""
    title += f", losses balanced by {balance!r}" * (balance is not None)
    rows = map(_row, (*objective.targets, *objective.joints))
    return table(title, COLUMNS, rows, ["", *notes] if notes else [], numbers=["weight"])


def _row(target: Target | Joint) -> list[str]:
    """How one output is trained."""
    metrics = ", ".join(m.name for m in target.metrics) or "-"
    weight = f"{target.weight:g}" if isinstance(target.weight, float) else "traced"
    weight = "schedule" if callable(target.weight) else weight
    if isinstance(target, Joint):
        return [target.name, str(target.loss.name), weight, ", ".join(map(str, target.loss.of)), "-", "-"]
    mask = "masked" if target.mask else "-"
    if target.loss is None:
        return [target.name, "none", "-", "-", metrics, mask]
    end = "logits (the output)" if target.linear else f"logits, before {target.loss.link}"
    return [target.name, str(target.loss), weight, end if target.logits else "output", metrics, mask]
