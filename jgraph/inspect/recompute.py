"""What to compute again rather than keep, so that a training step fits into so many bytes."""

import collections
import dataclasses
from collections.abc import Container, Iterator, Sequence
from typing import Any

from jgraph.core.blocks import blocks_of, reads_of
from jgraph.core.costs import Cost, NodeCost, activations_with
from jgraph.core.graph import Node
from jgraph.core.layer import InputLayer
from jgraph.core.policy import Policy
from jgraph.draw.amounts import amount, bytes_of

Unit = tuple[int, ...]
"""Nodes that stay together: one, or those of a nested model."""


@dataclasses.dataclass(frozen=True, eq=False)
class Recompute:
    """A plan of what to compute again: `model.with_policy(plan.policy)` follows it.

    `activations` are the bytes that are then in memory at once, the largest block that is being computed again with
    them; `operations` are those that come on top, for the rows of the budget; `blocks` are the paths of each block.

    >>> import jgraph as jg, optax
    >>> model = jg.Sequential([jg.Input((8,)), *(jg.layers.Dense(8, activation="tanh") for _ in range(9))])
    >>> trainer = jg.Trainer(model, optax.sgd(0.1), loss="mse")
    >>> plan = jg.inspect.budget(trainer, batch_size=512, limit=170_000).plan
    >>> plan.blocks[0], plan.policy.rules["dense"]["remat"]
    (('dense',), 'block 1')
    """

    policy: Policy
    activations: int
    operations: int
    blocks: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        if not self.blocks:
            return "Nothing needs to be computed again."
        ends = [b[0] if len(b) == 1 else f"{b[0]} to {b[-1]}" for b in self.blocks]
        costs = f"{bytes_of(self.activations)} of activations, {amount(self.operations, 'flop')} more"
        return f"Computed again, for {costs}: {'; '.join(ends)}"


def plans(model: Any, costs: Sequence[NodeCost]) -> Iterator[Recompute]:
    """Plans for a model: blocks of about equal weight, from two of them to one for each node, and none at all.

    Of each cutting there is one plan for every number of blocks that are computed again, the first ones of the model
    first, as what stands at the end is asked for at once.
    """
    fixed = [block for block in blocks_of(model.nodes) if model.nodes[block[-1]].treatment.remat]
    plain = activations_with(model.nodes, costs, model.graph.outputs, fixed)
    units = _units(model.nodes, {place for block in fixed for place in block})
    weights = [sum(plain[place] for place in unit) for unit in units]

    def plan(blocks: Sequence[Unit]) -> Recompute:
        kept = activations_with(model.nodes, costs, model.graph.outputs, [*fixed, *blocks])
        largest = max((sum(plain[place] for place in block) for block in blocks), default=0)
        return _plan(model, costs, blocks, sum(kept) + largest)

    cuttings = {tuple(_cut(units, weights, count)) for count in _counts(len(units))}
    several = {(): None}  # many cuttings begin alike
    for blocks in sorted(cuttings, key=lambda blocks: (len(blocks), blocks)):
        several |= {blocks[:number]: None for number in _counts(len(blocks))}
    yield from map(plan, several)


def _counts(most: int) -> list[int]:
    """Whole numbers from 1 to a bound, close together at first: each a fifth more than the one before."""
    found, number = [], 1
    while number < most:
        found.append(number)
        number = max(number + 1, number * 6 // 5)
    return [*found, most]


def _units(nodes: Sequence[Node], fixed: Container[int]) -> list[Unit]:
    """What may be computed again, in order. What is called several times, or has a block already, is left as it is.

    So is a nested model that is read from outside before it is closed.
    """
    outermost: dict[int, int] = {}
    for place in reversed(range(len(nodes))):
        owner = nodes[place].owner
        outermost[place] = place if owner is None else outermost[owner]
    groups: dict[int, list[int]] = {}
    for place, top in sorted(outermost.items()):
        groups.setdefault(top, []).append(place)
    calls = collections.Counter(node.layer for node in nodes)

    def free(place: int) -> bool:
        node = nodes[place]
        return not isinstance(node.layer, InputLayer) and calls[node.layer] == 1 and place not in fixed

    early = {  # a block is read only when it is done
        outermost[read]
        for place, node in enumerate(nodes)
        for read in reads_of(node)
        if outermost[read] != outermost[place] and place < outermost[read]
    }
    return [tuple(groups[top]) for top in sorted(groups) if top not in early and all(map(free, groups[top]))]


def _cut(units: Sequence[Unit], weights: Sequence[int], count: int) -> list[Unit]:
    """Units that follow each other as so many blocks of about equal weight."""
    share, blocks, weight = sum(weights) / max(count, 1) or 1.0, list[Unit](), 0.0
    for unit, own in zip(units, weights, strict=True):
        follows = blocks and blocks[-1][-1] + 1 == unit[0] and unit[-1] - unit[0] < len(unit)
        if not follows or int((weight + own / 2) / share) > int(weight / share):
            blocks.append(unit)
        else:
            blocks[-1] += unit
        weight += own
    return blocks


def _plan(model: Any, costs: Sequence[NodeCost], blocks: Sequence[Unit], activations: int) -> Recompute:
    """What computing these blocks again gives."""
    names = {place: f"block {number}" for number, block in enumerate(blocks, 1) for place in block}
    again = sum((costs[place].cost or Cost()).operations for place in names)
    tops = {place for place in names if model.nodes[place].owner is None}
    rules = {model.nodes[place].path: {"remat": names[place]} for place in sorted(tops)}
    paths = tuple(tuple(model.nodes[p].path for p in block if p in tops) for block in blocks)
    return Recompute(Policy(rules), activations, again, paths)
