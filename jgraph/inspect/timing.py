"""How long each node of a model takes, measured by running it alone."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jgraph.core.feed import bind
from jgraph.core.graph import Node, Ref
from jgraph.core.infer import Question, outgoing_masks, takes_mask
from jgraph.core.layer import InputLayer
from jgraph.core.model import Model
from jgraph.core.treatment import applied
from jgraph.draw.terminal import table
from jgraph.errors import ArgumentError
from jgraph.tree import match, read
from jgraph.typing import Params, PyTree, State

BAR = 20
"""The columns that the longest bar of a table has."""


@dataclasses.dataclass(frozen=True)
class NodeTime:
    """How long one node takes alone, in seconds.

    >>> import jgraph as jg
    >>> jg.inspect.NodeTime("dense", 0, "Dense", 0.002).seconds
    0.002
    """

    path: str
    call: int
    layer: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class Timings:
    """How long the nodes of a model take alone, and all of them as one program; `print` shows them with their shares.

    The sum of the nodes is more than the `whole`: as one program, XLA fuses nodes with what reads them, and each call
    of a program takes a little time itself.

    >>> import jax, jax.numpy as jnp, jgraph as jg
    >>> model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(3)])
    >>> timings = jg.inspect.measure(model, *model.init(jax.random.key(0)), jnp.ones((8, 4)), repeats=2)
    >>> [node.path for node in timings.nodes], timings.whole > 0
    (['dense'], True)
    """

    rows: int
    nodes: tuple[NodeTime, ...]
    whole: float

    def __str__(self) -> str:
        total = sum(node.seconds for node in self.nodes) or 1.0
        most = max((node.seconds for node in self.nodes), default=0.0) or 1.0
        rows = []
        for node in self.nodes:
            path = f"{node.path} [{node.call}]" if node.call else node.path
            bar = "▇" * round(BAR * node.seconds / most) or "▏"
            rows.append([path, node.layer, f"{1e3 * node.seconds:.3f}", f"{100 * node.seconds / total:.1f} %", bar])
        notes = ["", f"Nodes one by one: {1e3 * total:.3f} ms", f"As one program: {1e3 * self.whole:.3f} ms"]
        columns = ("path", "layer", "ms", "share", "")
        return table(f"A prediction of {self.rows:,} rows", columns, rows, notes, numbers=("ms", "share"))


def measure(model: Model, params: Params, state: State, inputs: PyTree, *, repeats: int = 10) -> Timings:
    """How long each node's forward pass takes: the median of several runs of the node alone, compiled and warm.

    Nodes that only hand arrays on, as the end of a nested model, are left out. Equal layers on inputs of one kind share
    a program. Times are those of this machine as it is now: measure on a quiet one.

    Raises:
        ArgumentError: the model is none, or `repeats` not a positive integer. As `model.apply`, for params, state and
        inputs.

    >>> import jax, jax.numpy as jnp, jgraph as jg
    >>> x = jg.Input((16,), name="x")
    >>> model = jg.Model(x, jg.layers.Dense(4, name="small")(jg.layers.Dense(64, name="large")(x)))
    >>> timings = jg.inspect.measure(model, *model.init(jax.random.key(0)), jnp.ones((32, 16)), repeats=3)
    >>> [node.path for node in timings.nodes]
    ['large', 'small']
    """
    if not isinstance(model, Model):
        cure = "Write jg.inspect.measure(model, params, state, inputs)."
        raise ArgumentError("measure, model", expected="a jg.Model", got=repr(model)[:80], cure=cure)
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        cure = "Write repeats=10."
        raise ArgumentError("measure, repeats", expected="a positive integer", got=repr(repeats), cure=cure)
    match(params, model.params_spec, "measure, params", "Give this model's own tree.")
    match(state, model.state_spec, "measure, state", "Give this model's own tree.")
    fed = bind(model.graph, inputs, "measure")
    programs: dict[Any, Callable[..., Any]] = {}
    values: dict[int, Sequence[Any]] = {}
    times = []
    for place, node in enumerate(model.nodes):
        if isinstance(node.layer, InputLayer):
            values[place] = (fed[place],)
            continue
        args, kwargs, mask = _resolved((node.args, node.kwargs, node.mask), values)
        if node.layer.is_graph:
            values[place] = jax.tree.leaves(args)
            continue
        leaves = jax.tree.leaves((args, kwargs, mask))
        program = _program(node, (args, kwargs, mask), programs)
        given = read(params, node.names), read(state, node.names), [x for x in leaves if isinstance(x, jax.Array)]
        values[place], seconds = _timed(program, given, repeats)
        times.append(NodeTime(node.path, node.call, node.layer.describe(), seconds))
    _, whole = _timed(model.program, (params, state, fed), repeats)
    rows = next((array.shape[0] for array in fed.values() if array is not None and array.ndim), 1)
    return Timings(rows, tuple(times), whole)


def _resolved(tree: PyTree, values: dict[int, Sequence[Any]]) -> Any:
    return jax.tree.map(lambda leaf: values[leaf.node][leaf.index] if isinstance(leaf, Ref) else leaf, tree)


def _program(node: Node, given: tuple[Any, Any, Any], programs: dict[Any, Callable[..., Any]]) -> Callable[..., Any]:
    """The node as a program of params, state and arrays; that of an equal node, if there was one."""
    leaves, tree = jax.tree.flatten(given)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]
    specs = [jax.ShapeDtypeStruct(x.shape, x.dtype) if i in places else x for i, x in enumerate(leaves)]
    layer, treatment, masks = node.layer, node.treatment, node.inference.masks
    makes_masks = any(fate is not None and not isinstance(fate, int) for fate in masks)
    rest = [None if i in places else leaf for i, leaf in enumerate(leaves)]

    def program(params: Params, state: State, arrays: list[Any]) -> list[Any]:
        full = [*rest]
        for place, array in zip(places, arrays, strict=True):
            full[place] = array
        args, kwargs, mask = jax.tree.unflatten(tree, full)
        options = {**kwargs, "mask": mask} if takes_mask(type(layer)) else kwargs
        outputs = jax.tree.leaves(applied(layer, treatment, params, state, args, options)[0])
        return outputs + (outgoing_masks(layer, mask, args, len(outputs)) if makes_masks else [])

    args, kwargs, mask = jax.tree.unflatten(tree, specs)
    question = Question(layer, args, kwargs, mask, treatment, frozenset())
    try:
        return programs.setdefault(question, jax.jit(program))
    except TypeError:  # an unhashable constant or field: a program of its own
        return jax.jit(program)


def _timed(program: Callable[..., Any], given: tuple, repeats: int) -> tuple[Any, float]:
    """What a program gives, and the median of the seconds that it takes once it is compiled."""
    made = jax.block_until_ready(program(*given))
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        jax.block_until_ready(program(*given))
        seconds.append(time.perf_counter() - begun)
    return made, statistics.median(seconds)
