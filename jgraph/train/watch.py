"""Looking into steps while training: how params, gradients, updates and activations are distributed, every few steps.

A step that is watched is computed twice: by a program of its own, which gives distributions and changes nothing, and
then by the program that takes all steps. So a run that is watched has the same bits as one that is not.
"""

import dataclasses
import fnmatch
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.core.graph import Node
from jgraph.core.layer import InputLayer
from jgraph.core.run import Values, run
from jgraph.core.treatment import is_floating
from jgraph.errors import ArgumentError, PathError, listing, nearest
from jgraph.ops.distribution import Distribution, distribution_of, distributions
from jgraph.train.state import TrainState
from jgraph.train.step import Found, Step
from jgraph.tree import leaves_with_names, read
from jgraph.typing import Array, PyTree

KINDS = ("params", "gradients", "updates", "activations")
"""What can be watched."""

MOST_BINS = 1024


@dataclasses.dataclass(frozen=True)
class Watch:
    """What a callback wants to know of every n-th step: distributions of params, gradients, updates and activations.

    `of` names what is watched. Params are those before the step, gradients what the optimizer is given, updates what
    the step adds to the params, and activations what each node gives in the step's own forward pass. `nodes` are
    patterns of paths, as in `jg.Policy`; a nested model stands for all that is in it. `bins` are of equal width.

    A callback returns it from `watches()`, and finds the distributions of these steps, at `on_step_end` of each, in
    `event.watched.get(watch)`, by tags such as
    `gradients/dense/kernel` and `activations/lstm`. They are computed by a program of their own, on the same train
    state, batch and random key as the step: the step itself is the same with and without it, to the bit, and a watched
    step takes about twice as long.

    Raises:
        ArgumentError: a field has a value that it cannot have.

    >>> import jgraph as jg
    >>> jg.callbacks.Watch(every_steps=100, of=("gradients",), nodes=("encoder/*",))
    Watch(every_steps=100, of=('gradients',), nodes=('encoder/*',), bins=64)
    """

    every_steps: int = 100
    of: tuple[str, ...] = KINDS
    nodes: tuple[str, ...] = ("*",)
    bins: int = 64

    def __post_init__(self) -> None:
        self._check_count("every_steps", self.every_steps, 1, 2**31 - 1)
        self._check_count("bins", self.bins, 1, MOST_BINS)
        for name, example in (("of", "of=('gradients',)"), ("nodes", "nodes=('encoder/*',)")):
            value = getattr(self, name)
            words = isinstance(value, list | tuple) and value and all(isinstance(v, str) and v for v in value)
            if not words:
                expected, cure = "a tuple of texts", f"Write {example}."
                raise ArgumentError(f"Watch, {name}", expected=expected, got=repr(value), cure=cure)
            object.__setattr__(self, name, tuple(value))
        if unknown := [kind for kind in self.of if kind not in KINDS]:
            cure = f"{nearest(unknown[0], KINDS)}Known: {listing(KINDS)}."
            raise ArgumentError("Watch, of", expected="kinds that can be watched", got=listing(unknown), cure=cure)

    def _check_count(self, name: str, value: Any, least: int, most: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            expected, cure = f"an integer from {least} to {most}", f"Write {name}=50, for example."
            raise ArgumentError(f"Watch, {name}", expected=expected, got=repr(value), cure=cure)

    def until(self, step: int) -> int:
        """How many steps there are before the next one that is watched; 0 where that is the next one."""
        return -(step + 1) % self.every_steps

    def means(self, path: str) -> bool:
        """Whether a node at this path is watched."""
        return any(fnmatch.fnmatchcase(path, p) or fnmatch.fnmatchcase(path, f"{p}/*") for p in self.nodes)

    def check(self, where: str, nodes: Sequence[Node]) -> None:
        """Checks that every pattern matches a node.

        Raises:
            PathError: one matches none; the nearest path is suggested.
        """
        paths = list(dict.fromkeys(node.path for node in nodes if not isinstance(node.layer, InputLayer)))
        for pattern in self.nodes:
            if not any(dataclasses.replace(self, nodes=(pattern,)).means(path) for path in paths):
                raise PathError(
                    f"{where}, nodes",
                    expected="patterns that match a node of the model",
                    got=repr(pattern),
                    cure=f"{nearest(pattern, paths)}Known: {listing(paths)}.",
                )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Distributions:
    """The distributions of many arrays, in two: `moments` [tags, 4] and `counts` [tags, bins + 2]."""

    tags: tuple[str, ...] = dataclasses.field(metadata={"static": True})
    moments: Array
    counts: Array

    def read(self) -> dict[str, Distribution]:
        """The distributions by tag, read from the device."""
        moments, counts = np.asarray(self.moments).tolist(), np.asarray(self.counts).tolist()
        return {tag: distribution_of(own, count) for tag, own, count in zip(self.tags, moments, counts, strict=True)}


def look_into(
    step: Step, watch: Watch, train_state: TrainState, sums: Array, batch: tuple, real: Array | None = None
) -> Distributions:
    """What a watch wants to know of the step that `step.summed` takes on the same arguments.

    Where gradients are accumulated over parts of the batch, activations are those of the whole batch at once.
    """
    train_state = step.begun(train_state, sums[0, -1] == 0)
    found = list(inside(step, watch, train_state, batch, real))
    if not found:
        return Distributions((), jnp.zeros((0, 4)), jnp.zeros((0, watch.bins + 2), jnp.int32))
    tags, arrays = zip(*found, strict=True)
    own = [real if tag.startswith("activations/") else None for tag in tags]
    kept, left_out = zip(*map(real_rows, arrays, own), strict=True)
    return Distributions(tags, *distributions(kept, watch.bins, left_out))


def inside(
    step: Step, watch: Watch, train_state: TrainState, batch: tuple, real: Array | None
) -> Iterator[tuple[str, Array]]:
    """All that is watched of a step, by tag."""
    nodes = step.objective.graph.nodes
    seen: dict[str, PyTree] = {"params": train_state.params}
    if {"gradients", "updates"} & set(watch.of):
        found: Found = step.look(train_state, batch, real)
        seen["gradients"] = found.grads
        if "updates" in watch.of:
            after = step.update(train_state, found).params
            seen["updates"] = jax.tree.map(jnp.subtract, after, train_state.params)
    for kind in watch.of:
        if kind in seen:
            yield from ((f"{kind}/{name}", leaf) for name, leaf in leaves_of(nodes, seen[kind], watch))
    if "activations" in watch.of:
        values = values_of(step, train_state, batch)
        yield from ((f"activations/{name}", array) for name, array in outputs_of(nodes, values, watch))


def values_of(step: Step, train_state: TrainState, batch: tuple) -> Values:
    """What every node of the graph gives in the forward pass of a step on a batch: outputs and masks, by place."""
    objective = step.objective
    fed = dict(zip(objective.inputs, batch[0], strict=True))
    key = jax.random.fold_in(train_state.key, train_state.step)
    return run(objective.graph.nodes, fed, train_state.params, train_state.model_state, True, key)[0]


def outputs_of(nodes: Sequence[Node], values: Values, watch: Watch) -> Iterator[tuple[str, Array]]:
    """The outputs of the nodes that are watched, as `path`, `path/1` for a second call, `path#1` for a second output.

    Where the graph was opened before a last activation, `path/logits` is what the node gave until there. Inputs, masks,
    integers, and what only closes a nested model are not among them.
    """
    for place, node in enumerate(nodes):
        path = node.path.partition(":")[0]
        if isinstance(node.layer, InputLayer) or node.layer.is_graph or not watch.means(path):
            continue
        opened = place + 1 < len(nodes) and nodes[place + 1].path.startswith(f"{path}:")
        name = path + (f"/{node.call}" if node.call else "") + "/logits" * opened
        outputs = values[place][: len(node.inference.outputs)]
        for index, array in enumerate(outputs):
            if is_floating(array):
                yield (f"{name}#{index}" if len(outputs) > 1 else name), array


def leaves_of(nodes: Sequence[Node], tree: PyTree, watch: Watch) -> Iterator[tuple[str, Array]]:
    """The leaves of a tree like the params that belong to the nodes that are watched."""
    for path, names in {node.path: node.names for node in nodes if node.inference.params}.items():
        if watch.means(path):
            for name, leaf in leaves_with_names(read(tree, names)):
                if is_floating(leaf):
                    yield f"{path}/{name}", leaf


def real_rows(array: Array, real: Array | None) -> tuple[Array, Any]:
    """An array with NaN in the rows that only fill the batch up, where it has rows, and how many numbers that are."""
    if real is None or array.ndim == 0 or array.shape[0] != real.shape[0]:
        return array, 0
    kept = real.reshape(-1, *(1,) * (array.ndim - 1)) != 0
    return jnp.where(kept, array, jnp.nan), (real == 0).sum(dtype=jnp.int32) * (array.size // len(array))
