"""Losses over several outputs or inner nodes: found by their names in a model, and computed from a batch's values."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from jgraph.core.find import node_at
from jgraph.core.graph import Ref
from jgraph.core.model import Model
from jgraph.core.spec import BATCH
from jgraph.core.symbol import Symbol
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, LossError, PathError, listing, nearest
from jgraph.losses.loss import Loss
from jgraph.metrics.metric import Metric
from jgraph.typing import Array, PyTree


@dataclasses.dataclass(frozen=True)
class Joint:
    """One such loss: its name, its weight, and where in the graph each entry of `of` has its values.

    `outputs` are the names of those that are outputs, `None` for inner nodes; a node of several outputs has a tree of
    references.
    """

    name: str
    loss: Loss
    weight: Any
    refs: tuple[PyTree, ...]
    outputs: tuple[str | None, ...]

    @property
    def judges(self) -> tuple[Loss | Metric, ...]:
        """The loss, as outputs have a loss and metrics."""
        return (self.loss,)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """None: metrics are those of outputs."""
        return ()

    def values(self, rows: int, outputs: Sequence[Any], targets: Mapping[str, Any]) -> Array:
        """One value per example, of what the entries give and the targets of those that are outputs.

        Raises:
            LossError: the function does not give one value per example.
        """
        given = tuple(None if name is None else targets.get(name) for name in self.outputs)
        try:
            values = self.loss.values(given, tuple(outputs))
        except Exception as error:
            error.add_note(f"In the loss {self.name!r} of {listing(map(str, self.loss.of))}.")
            raise
        if getattr(values, "shape", ())[:1] != (rows,):
            raise LossError(
                f"the loss {self.name!r}",
                expected=f"one value per example, [{rows}]",
                got=show(values) if hasattr(values, "shape") else type(values).__name__,
                cure="Do not average over the batch, which is the first axis of everything that it is given.",
            )
        return values


def split(losses: Any, outputs: Sequence[str]) -> tuple[Any, dict[str, Loss]]:
    """What a user gave as losses, without those that are over several outputs or nodes; and these.

    Raises:
        ArgumentError: one stands for an output.
    """
    if not isinstance(losses, Mapping):
        given = losses if isinstance(losses, list | tuple) else [losses]
        losses = dict(zip(outputs, given, strict=False)) if any(map(_is_joint, given)) else losses
    joint = {str(k): v for k, v in losses.items() if _is_joint(v)} if isinstance(losses, Mapping) else {}
    if clash := [name for name in outputs if name in joint]:
        name = clash[0]
        raise ArgumentError(
            f"Trainer, loss of {name!r}",
            expected="a loss of that output alone, or None",
            got="one with `of`",
            cure=f"Give it a name of its own beside the outputs: loss={{{name!r}: None, 'together': jg.Loss(...)}}.",
        )
    return {k: v for k, v in losses.items() if str(k) not in joint} if joint else losses, joint


def _is_joint(loss: Any) -> bool:
    return isinstance(loss, Loss) and bool(loss.of)


def join(model: Model, name: str, loss: Loss, weight: Any, outputs: Mapping[str, Ref]) -> Joint:
    """A loss with the places that its entries have in a model: names of outputs come first, then paths.

    Raises:
        PathError: an entry names neither, or a layer with several calls, of which none is named.
        LossError: an entry has no batch axis.
    """
    where, refs = f"Trainer, loss {name!r}", []
    for place in loss.of:
        path, call = place if isinstance(place, tuple) else (place, None)
        if call is None and path in outputs:
            refs.append(outputs[path])
        elif path in model.graph.places:
            number, node = node_at(model, path, call, where)
            refs.append(
                jax.tree.unflatten(node.inference.tree, [Ref(number, i) for i in range(len(node.inference.outputs))])
            )
        else:
            known = [*outputs, *(p for p in model.graph.places if p not in outputs)]
            raise PathError(
                f"{where}, of",
                expected="names of outputs, or paths of nodes",
                got=repr(path),
                cure=f"{nearest(path, known)}Known: {listing(known)}.",
            )
    for place, tree in zip(loss.of, refs, strict=True):
        for ref in jax.tree.leaves(tree):
            _check_rows(f"{where}, of {place!r}", model.graph.symbol(ref))
    names = (None if isinstance(p, tuple) or p not in outputs else p for p in loss.of)
    return Joint(name, loss, weight, tuple(refs), tuple(names))


def _check_rows(where: str, symbol: Symbol) -> None:
    if symbol.spec.shape[:1] != (BATCH,):
        raise LossError(
            where,
            expected="one row per row of the inputs",
            got=show(symbol.spec),
            cure="Take a node from before the batch axis is reduced or reshaped.",
        )
