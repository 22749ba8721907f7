"""Where what is not finite began: a step is replayed, and all that it hands from node to node is looked at."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.core.blocks import reads_of
from jgraph.core.graph import Node, Ref, refs_in
from jgraph.core.layer import InputLayer
from jgraph.core.run import Probes, run
from jgraph.core.treatment import is_floating
from jgraph.train.objective import mean_of
from jgraph.train.state import TrainState
from jgraph.train.step import Step
from jgraph.tree import divide, leaves_with_names, read, together
from jgraph.typing import Array, PyTree


@dataclasses.dataclass(frozen=True)
class Finding:
    """Where what is not finite began in a step; `print` says it in a sentence.

    `where` is `"params"` (they, or the model's state, were not finite before it), `"data"`, `"forward"`, `"loss"`,
    `"backward"`, `"update"`, or `"nowhere"`. `path` is that of the node, or the name of the leaf, input or loss;
    `layer` is what computes the node. `ranges` are what it worked on, each a name with the smallest and largest finite
    number. `step` counts from 1, as steps do for people.

    >>> from jgraph.debug import Finding
    >>> print(Finding(1204, "forward", "log", "Op(jax.numpy.log)", (("its input 'dense_2'", -0.31, 4.2),)))
    It began in the forward pass of 'log' (Op(jax.numpy.log)): its input 'dense_2' had values from -0.31 to 4.2
    """

    step: int
    where: str
    path: str = ""
    layer: str = ""
    ranges: tuple[tuple[str, float, float], ...] = ()

    def __str__(self) -> str:
        ranged = [f"{name} had values from {low:.4g} to {high:.4g}" for name, low, high in self.ranges]
        ranged = [text.replace(f"from {np.inf:.4g} to {-np.inf:.4g}", "none of which was finite") for text in ranged]
        node = f"{self.path!r} ({self.layer})" if self.layer else repr(self.path)
        begin = {
            "params": f"It began before step {self.step:,}: {node} was not finite then",
            "data": f"It came with the batch, in the input {node}",
            "forward": f"It began in the forward pass of {node}",
            "loss": f"It began in the loss of {node}",
            "backward": f"It began in the backward pass of {node}",
            "update": f"It began in the optimizer's update of {node}",
            "nowhere": f"Replaying step {self.step:,} gave nothing that is not finite",
        }[self.where]
        return ": ".join([begin, "; ".join(ranged)] if ranged else [begin])


def locate(step: Step, train_state: TrainState, batch: tuple, real: Array | None = None) -> Finding:
    """Replays a step on a bound batch, from the train state before it, and finds where it began.

    It is compiled anew, with all values of all nodes kept. A step in parts (`accumulate`) is replayed as a whole.
    """
    facts = jax.device_get(_replay(step)(train_state, batch, real))
    number = int(train_state.step) + 1
    for found in (_before, _forward, _loss, _backward, _update):
        if (finding := found(step, facts, number)) is not None:
            return finding
    return Finding(number, "nowhere")


def _replay(step: Step) -> Any:
    """The program that gives `[smallest, largest, 1 if all is finite]` of everything in a step."""
    objective, nodes = step.objective, step.objective.graph.nodes

    def replay(train_state: TrainState, batch: tuple, real: Array | None) -> dict[str, Any]:
        train_state = step.begun(train_state, False)
        key = jax.random.fold_in(train_state.key, train_state.step)
        trained, frozen = divide(train_state.params, objective.frozen)
        fed = dict(zip(objective.inputs, batch[0], strict=True))
        values = run(nodes, fed, train_state.params, train_state.model_state, True, key)[0]
        probes = _probes(nodes, values)

        def total(trained: PyTree, probes: Probes) -> tuple[Array, Any]:
            params = together(trained, frozen)
            judged = objective.evaluate(
                params, train_state.model_state, batch, real, train=True, key=key, probes=probes
            )
            losses = tuple(mean_of(loss) for loss in judged.losses)
            parts = step.loss_scale.scale(train_state.loss_scale, (losses, judged.penalty))
            return objective.balance.total(train_state.balance, train_state.step, *parts), (losses, judged.penalty)

        (grads, edges), (losses, penalty) = jax.grad(total, argnums=(0, 1), has_aux=True)(trained, probes)
        found = step.look(train_state, batch, real)
        moved = step.moved(train_state, found)
        facts = {
            "params": (train_state.params, train_state.model_state),
            "targets": batch[1],
            "values": dict(values),
            "losses": (*losses, penalty),
            "edges": edges._asdict(),
            "grads": grads,
            "known": found.grads,
            "moved": (moved.params, moved.model_state, moved.opt_state),
        }
        return jax.tree.map(_fact, facts)

    return jax.jit(replay)


def _probes(nodes: Sequence[Any], values: Mapping[int, Sequence[Any]]) -> Probes:
    """Zeros for all floating arrays that go from node to node."""

    def zero(value: Any) -> Array | None:
        return jnp.zeros(value.shape, value.dtype) if is_floating(value) else None

    def read(leaf: Any) -> Array | None:
        return zero(values[leaf.node][leaf.index]) if isinstance(leaf, Ref) else None

    own = [p for p, node in enumerate(nodes) if not node.layer.is_graph and not isinstance(node.layer, InputLayer)]
    reads = {p: [read(leaf) for leaf in jax.tree.leaves((nodes[p].args, nodes[p].kwargs))] for p in own}
    return Probes(reads, {p: [zero(value) for value in values[p]] for p in own})


def _fact(value: Any) -> Array | None:
    """`[smallest, largest, 1 if all is finite]`, over what is finite; nothing for what is no number."""
    if not any(jnp.issubdtype(value.dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_)):
        return None
    number = value.astype(jnp.float32)
    fine = jnp.isfinite(number) if jnp.issubdtype(value.dtype, jnp.floating) else jnp.ones(value.shape, bool)
    low, high = jnp.where(fine, number, jnp.inf), jnp.where(fine, number, -jnp.inf)
    return jnp.stack([low.min(initial=jnp.inf), high.max(initial=-jnp.inf), fine.all().astype(jnp.float32)])


def _fine(facts: PyTree) -> bool:
    return all(fact[2] for fact in jax.tree.leaves(facts))


def _range(name: str, fact: Any) -> tuple[str, float, float]:
    return name, float(fact[0]), float(fact[1])


def _before(step: Step, facts: Mapping[str, Any], number: int) -> Finding | None:
    """What was not finite before the step: a leaf of params or state, or an input of the batch."""
    del step
    for tree in facts["params"]:
        for name, fact in leaves_with_names(tree):
            if not fact[2]:
                return Finding(number, "params", name)
    return None


def _forward(step: Step, facts: Mapping[str, Any], number: int) -> Finding | None:
    """The first node that gave something not finite, of those that a loss which is not finite depends on.

    Some nodes give infinities on purpose, as before a softmax; these are not followed.
    """
    objective = step.objective
    nodes, values = objective.graph.nodes, facts["values"]
    ends: list[Ref] = []
    for target, loss in zip(objective.losses, facts["losses"], strict=False):
        if not loss[2]:
            ends += [ref for ref in _read_by(target) if not values[ref.node][ref.index][2]]
    seen: set[int] = set()
    waiting = [ref.node for ref in ends]
    while waiting:
        place = waiting.pop()
        if place not in seen:
            seen.add(place)
            waiting += [p for p in reads_of(nodes[place]) if not _fine(values[p])]
    if not seen:
        return None
    place = min(seen)
    if isinstance(nodes[place].layer, InputLayer):
        return Finding(number, "data", nodes[place].path)
    return _at(step, facts, number, "forward", place)


def _read_by(judged: Any) -> Iterator[Ref]:
    """The references that a loss reads."""
    yield from (ref for ref in (getattr(judged, "output", None), getattr(judged, "logits", None)) if ref is not None)
    for tree in getattr(judged, "refs", ()):
        yield from refs_in(tree)


def _loss(step: Step, facts: Mapping[str, Any], number: int) -> Finding | None:
    """The loss that is not finite though all that it reads is."""
    objective = step.objective
    for target, loss in zip(objective.losses, facts["losses"], strict=False):
        if not loss[2]:
            return Finding(number, "loss", target.name, f"{target.loss}", _compared(step, facts, target))
    return None if _fine(facts["losses"]) else Finding(number, "loss", "penalty")


def _compared(step: Step, facts: Mapping[str, Any], target: Any) -> tuple[tuple[str, float, float], ...]:
    """The ranges of what a loss compares."""
    nodes, values = step.objective.graph.nodes, facts["values"]
    ranges = [_range(f"{nodes[ref.node].path!r}", values[ref.node][ref.index]) for ref in _read_by(target)]
    for other, truth in zip(step.objective.targets, facts["targets"], strict=True):
        if other.name == target.name and truth is not None:
            ranges.append(_range("the targets", truth))
    return tuple(dict.fromkeys(ranges))


def _backward(step: Step, facts: Mapping[str, Any], number: int) -> Finding | None:
    """The last node whose gradients are not finite though those that reach it are."""
    nodes, edges = step.objective.graph.nodes, facts["edges"]
    for place in reversed(edges["gives"]):
        if not _fine(edges["gives"][place]):  # all that it hands it to are fine: so it is a loss
            judged = [t for t in step.objective.losses if any(ref.node == place for ref in _read_by(t))]
            at = judged[0] if judged else None
            ranges = () if at is None else _compared(step, facts, at)
            return Finding(number, "backward", nodes[place].path if at is None else at.name, "the loss", ranges)
        own = read(facts["grads"], nodes[place].names)
        if not _fine(edges["reads"][place]) or not _fine(own):
            return _at(step, facts, number, "backward", place)
    for name, fact in leaves_with_names(facts["grads"]):
        if not fact[2]:
            return Finding(number, "backward", name)
    return None


def _update(step: Step, facts: Mapping[str, Any], number: int) -> Finding | None:
    """The first param that the optimizer made not finite, or else the first of its own numbers."""
    del step
    known, before = dict(leaves_with_names(facts["known"])), dict(leaves_with_names(facts["params"][0]))
    for tree in facts["moved"]:
        for name, fact in leaves_with_names(tree):
            if not fact[2]:
                ranges = [("its gradient", known), ("the param", before)]
                return Finding(number, "update", name, "", tuple(_range(n, t[name]) for n, t in ranges if name in t))
    return None


def _at(step: Step, facts: Mapping[str, Any], number: int, where: str, place: int) -> Finding:
    """A finding at a node, with the ranges of what it reads and, on the way back, of the gradient that reaches it."""
    node = step.objective.graph.nodes[place]
    inputs = [(step.objective.graph.nodes[r.node].path, facts["values"][r.node][r.index]) for r in _inputs(node)]
    ranges = [_range(f"its input {path!r}", fact) for path, fact in inputs if fact is not None]
    params = read(facts["params"][0], node.names) if node.inference.params else {}
    ranges += [_range(f"its param {name!r}", fact) for name, fact in leaves_with_names(params)]
    if where == "backward":
        gives = facts["edges"]["gives"][place]
        ranges += [_range("the gradient that reached it", fact) for fact in gives if fact is not None]
    return Finding(number, where, node.path, repr(node.layer), tuple(dict.fromkeys(ranges)))


def _inputs(node: Node) -> list[Ref]:
    return refs_in((node.args, node.kwargs))
