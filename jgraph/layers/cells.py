"""What a recurrent cell is: one step of a recurrence, as a layer; and how layers run one.

A cell is a layer with a `state_size` and an `apply` that takes a step and the memories, and gives an output and the
next memories:

    state_size                                   an integer, or a list of them: the width of each memory
    init(key, x, memories) -> (params, state)    x: the spec of one step; `init(key, x)` will do where no one else calls
    apply(params, state, x, memories, *, train=False, key=None) -> ((output, memories), state)

`memories` are as `state_size` says: an array [batch, size] for an integer, a list of them for a list. All steps of one
call get the same `key`, so that what is drawn from it is the same at every step. A cell may also have

    begin(params, state, x, *, train, key) -> (project, step)

which does once what serves all steps, draws dropout for instance. `project(x)` is then applied to all steps at once,
[batch, time, ...], and `step(state, z, memories) -> ((output, memories), state)` to each of what it gives.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.layer import Layer, snake_case
from jgraph.draw.specs import show_tree
from jgraph.errors import ArgumentError, ShapeError, listing
from jgraph.keys import fold
from jgraph.layers.checks import is_integer
from jgraph.layers.wrapping import Wrapping, mixing
from jgraph.tree import read, write
from jgraph.typing import Array, Key, Params, PyTree, Spec, State

Begun = tuple[Callable[..., PyTree], Callable[[State, PyTree, PyTree], tuple[tuple[Array, PyTree], State]]]
"""What `begin` gives: `project` and `step`."""


class StackedRNNCells(Wrapping):
    """Cells on top of each other as one cell: the output of each is the step of the next.

    Called on a step [batch, n] and the memories, a list with those of each cell, or all in one list; gives the last
    cell's output and the next memories, by cell. `RNN([...])` makes one of a list. Parameters: those of each cell under
    its name, or where it has none under its class in snake case, numbered: `lstm_cell`, `lstm_cell_1`. As
    `keras.layers.StackedRNNCells`.

    Raises:
        ArgumentError: there is no cell, something in the list is none, or two have one name.
        ShapeError: a cell cannot take the output of the one before.

    >>> import jgraph as jg
    >>> cells = jg.layers.StackedRNNCells([jg.layers.GRUCell(8), jg.layers.LSTMCell(4)])
    >>> jg.layers.RNN(cells)(jg.Input((10, 3)))
    <Symbol float32[batch, 4]>
    """

    cells: Sequence[Any]

    mixes_rows = mixing

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.cells, (list, tuple)) or not self.cells:
            raise ArgumentError(
                "StackedRNNCells, cells",
                expected="a list of cells",
                got=repr(self.cells),
                cure="Write [jg.layers.LSTMCell(32), jg.layers.LSTMCell(32)].",
            )
        object.__setattr__(self, "cells", tuple(self.cells))
        for cell in self.cells:
            check_cell("StackedRNNCells, cells", cell)
        given = [cell.name for cell in self.cells if cell.name is not None]
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise ArgumentError(
                "StackedRNNCells, cells",
                expected="cells with names of their own",
                got=f"several called {listing(twice)}",
                cure="Give each another name, or none.",
            )

    @property
    def state_size(self) -> list[Any]:
        """Each cell's."""
        return [cell.state_size for cell in self.cells]

    def held(self) -> dict[tuple[str, ...], Any]:
        """The cells by name."""
        return dict(zip(((name,) for name in names_of(self.cells)), self.cells, strict=True))

    def init(self, key: Key, x: Spec, memories: PyTree = None) -> tuple[Params, State]:
        """Makes what each cell keeps, for the output of the one before."""
        params, state = {}, {}
        for path, cell in self.held().items():
            own, kept = made(cell, fold(key, *path), x)
            write(params, path, own)
            write(state, path, kept)
            x = output_of(cell, own, kept, x)
        check_memories(self, self, x, memories)
        return params, state

    def apply(
        self, params: Params, state: State, x: Array, memories: PyTree, *, train: bool = False, key: Key | None = None
    ) -> tuple[PyTree, State]:
        """One step through all cells."""
        project, step = self.begin(params, state, x, train=train, key=key)
        memories = jax.tree.unflatten(jax.tree.structure(self.state_size), jax.tree.leaves(memories))
        return step(state, project(x), memories)

    def begin(self, params: Params, state: State, x: Spec | Array, *, train: bool, key: Key | None) -> Begun:
        """Begins all cells; only the first can project all steps at once."""
        begun_cells = {}
        for path, cell in self.held().items():
            own, kept = read(params, path), read(state, path)
            begun_cells[path] = begun(cell, own, kept, x, train, None if key is None else fold(key, *path))
            x = output_of(cell, own, kept, x)
        (first, _), *_ = begun_cells.values()
        return first, lambda state, z, memories: through(begun_cells, state, z, memories)


def through(cells: dict[tuple[str, ...], Begun], state: State, z: PyTree, memories: PyTree) -> tuple[PyTree, State]:
    """One step through cells that have begun, from what the first one's projection gave."""
    new, states = [], {}
    for (path, (project, step)), memory in zip(cells.items(), memories, strict=True):
        z = project(z) if new else z
        (z, memory), kept = step(read(state, path), z, memory)
        new.append(memory)
        write(states, path, kept)
    return (z, new), states


def names_of(cells: Sequence[Layer]) -> list[str]:
    """The name of each cell, or its class in snake case, numbered where it is taken.

    >>> import jgraph as jg
    >>> names_of([jg.layers.GRUCell(1), jg.layers.GRUCell(1), jg.layers.GRUCell(1, name="last")])
    ['gru_cell', 'gru_cell_1', 'last']
    """
    taken = {cell.name for cell in cells}
    names = []
    for cell in cells:
        kind, count = snake_case(type(cell).__name__), 0
        name = cell.name or kind
        while cell.name is None and name in taken:
            count += 1
            name = f"{kind}_{count}"
        taken.add(name)
        names.append(name)
    return names


def begun(cell: Any, params: Params, state: State, x: Spec | Array, train: bool, key: Key | None) -> Begun:
    """What a cell's `begin` gives; a cell without one is applied to each step as it is."""
    if hasattr(cell, "begin"):
        return cell.begin(params, state, x, train=train, key=key)
    return lambda x: x, lambda state, x, memories: cell.apply(params, state, x, memories, train=train, key=key)


def made(cell: Any, key: Key, x: Spec) -> tuple[Params, State]:
    """What the cell's `init` makes for a step, and for its memories if it asks for them."""
    every = len(inspect.signature(cell.init).parameters) > 2
    return cell.init(key, x, *[memory_specs(cell, {}, x)] * every)


def memory_specs(cell: Any, params: Params, x: Spec | Array) -> PyTree:
    """The memories that `state_size` says, in the dtype of what is computed from a step and params."""
    dtypes = [leaf.dtype for leaf in (x, *jax.tree.leaves(params)) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    dtype = jax.dtypes.canonicalize_dtype(jnp.result_type(*(dtypes or [jnp.float32])))
    return jax.tree.map(lambda size: jax.ShapeDtypeStruct((x.shape[0], size), dtype), cell.state_size)


def output_of(cell: Any, params: Params, state: State, x: Spec | Array) -> Spec:
    """The spec of what a cell gives for a step.

    Raises:
        ShapeError: it does not give an output and memories of the sizes that it says.
    """
    memories = memory_specs(cell, params, x)
    (y, new), _ = jax.eval_shape(
        lambda x, m: cell.apply(params, state, x, m), jax.ShapeDtypeStruct(x.shape, x.dtype), memories
    )
    shapes = [[leaf.shape for leaf in jax.tree.leaves(tree)] for tree in (new, memories)]
    if not isinstance(y, jax.ShapeDtypeStruct) or shapes[0] != shapes[1]:
        raise ShapeError(
            repr(cell),
            expected=f"apply to return ((output, memories), state), with one output and memories {show_tree(memories)}",
            got=f"the output {show_tree(y)}, and memories {show_tree(new)}",
            cure="Return memories of the sizes that state_size says.",
        )
    return y


def check_memories(layer: Any, cell: Any, x: Any, given: PyTree) -> None:
    """Checks memories that are given to a cell, or to a layer as its `initial_state`.

    Raises:
        ShapeError: there are not as many as the cell has, or one has another shape.
    """
    wanted = memory_specs(cell, {}, x)
    shapes = [[leaf.shape for leaf in jax.tree.leaves(tree)] for tree in (given, wanted)]
    if given is not None and shapes[0] != shapes[1]:
        raise ShapeError(
            f"{layer!r}, the memories that it is given",
            expected=show_tree(wanted),
            got=show_tree(given),
            cure="Give one tensor [batch, size] for each memory, such as those that return_state=True gives.",
        )


def check_cell(where: str, cell: Any) -> None:
    """Checks that an argument is a cell.

    Raises:
        ArgumentError: it is no layer with a `state_size`, or one with a penalty, which a scan would lose.
    """
    sizes = jax.tree.leaves(getattr(cell, "state_size", None))
    known = sizes and all(is_integer(n) and n > 0 for n in sizes)
    if not isinstance(cell, Layer) or not known:
        raise ArgumentError(
            where,
            expected="a cell: a layer whose state_size is a positive integer, or a list of them",
            got=repr(cell),
            cure="Write jg.layers.RNN(jg.layers.LSTMCell(32)); jg.layers.LSTM(32) is such a layer itself.",
        )
    if cell.penalizes():
        raise ArgumentError(
            where,
            expected="a cell without a penalty, which would be lost between the steps",
            got=repr(cell),
            cure="Give the penalty to a layer on the sequence of outputs.",
        )
