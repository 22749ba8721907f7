"""What a record says: ratios of its sides, and which goals it misses."""

import math
import statistics
from collections.abc import Iterable
from typing import Any

PLAIN, SLOW, RECURRENT = 0.95, 1.0, 0.8
"""jgraph's speed is at least 0.95 of plain JAX's everywhere; where XLA:CPU is known to be slow, that of the best peer;
and for recurrent layers 0.8 of PyTorch's."""


def ratio(record: dict[str, Any], side: str) -> float:
    """The speed of jgraph over that of another side: the median over the rounds of `seconds(side) / seconds(jgraph)`.

    >>> round(ratio({"rounds": {"jgraph": [2.0, 1.0, 1.0], "plain": [3.0, 1.1, 0.9]}}, "plain"), 2)
    1.1
    """
    rounds = record.get("rounds", {})
    pairs = list(zip(rounds.get(side, []), rounds.get("jgraph", []), strict=False))
    return statistics.median(theirs / ours for theirs, ours in pairs) if pairs else math.nan


def upper(record: dict[str, Any], side: str) -> float:
    """The upper end of the interval that holds `ratio` with a probability of 0.95, by order alone.

    Of n rounds, as many lie above the median as heads come up in n throws of a coin: about n / 2 with a deviation of
    sqrt(n) / 2.

    >>> upper({"rounds": {"jgraph": [1.0] * 16, "plain": [float(n) for n in range(16)]}}, "plain")
    12.0
    """
    rounds = record.get("rounds", {})
    ratios = sorted(theirs / ours for theirs, ours in zip(rounds.get(side, []), rounds.get("jgraph", []), strict=False))
    count = len(ratios)
    return ratios[min(round(count / 2 + math.sqrt(count)), count - 1)] if ratios else math.nan


def best(record: dict[str, Any]) -> float:
    """The speed of jgraph over that of the fastest peer."""
    return min((r for side in ("plain", "torch") if not math.isnan(r := ratio(record, side))), default=math.nan)


def share(record: dict[str, Any]) -> float:
    """What part of the roof jgraph reaches; above 1 where everything fits into caches."""
    rounds = record.get("rounds", {}).get("jgraph")
    return record["roof"] / statistics.median(rounds) if rounds else math.nan


def goals(record: dict[str, Any]) -> list[tuple[str, str, float]]:
    """What a record has to reach: the goal, the side, and the least ratio to it.

    Where jgraph and plain JAX are the same program, none of them is faster, whatever the clock says.
    """
    found = [] if record.get("same") else [("plain", "plain", PLAIN)]
    if record["slow"]:
        found += [("best", side, SLOW) for side in ("plain", "torch") if side == "torch" or not record.get("same")]
    if record["recurrent"]:
        found.append(("torch", "torch", RECURRENT))
    return found


def misses(record: dict[str, Any]) -> list[str]:
    """The goals that are missed, by more than the scatter of the rounds explains: `plain`, `best`, `torch`."""
    return list(dict.fromkeys(goal for goal, side, least in goals(record) if upper(record, side) < least))


def unsure(record: dict[str, Any]) -> bool:
    """Whether a goal is missed by so little that more rounds may tell."""
    return any(0.75 * least < ratio(record, side) < least for _, side, least in goals(record))


def geometric_mean(values: Iterable[float]) -> float:
    """The geometric mean of the numbers that are none of NaN; NaN without any."""
    logs = [math.log(value) for value in values if value > 0]
    return math.exp(statistics.fmean(logs)) if logs else math.nan
