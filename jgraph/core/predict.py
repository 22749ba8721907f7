"""Prediction over any number of rows: batch by batch, as one tree of arrays, into arrays of the caller, or as a stream.

One program runs on all batches. A batch that is not full is filled up where no layer mixes rows, as it then needs no
program of its own. `model` is a `Model`, and `program` its compiled `(params, state, inputs by node) -> outputs`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from jgraph.arrays import as_numpy, is_stored, let_go, pieces
from jgraph.core.feed import batch_size_of, bind, check_dtype, filled, match_inputs
from jgraph.core.graph import Graph
from jgraph.core.lookups import check_lookups
from jgraph.core.spec import BATCH
from jgraph.core.symbol import Symbol
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, DataError, KeyMismatchError, ShapeError, listing
from jgraph.tree import leaves_with_names
from jgraph.typing import PyTree, Spec

Program = Callable[..., PyTree]


def predict(model: Any, program: Program, trees: tuple, inputs: PyTree, batch_size: Any, out: PyTree) -> PyTree:
    """The outputs for all rows, as NumPy arrays or written into `out`; `trees` are params and state.

    Raises:
        ArgumentError: `batch_size` is not a positive integer, or `out` cannot take the outputs.
        ShapeError, DataError: an output has no batch axis; an index is out of range. All errors of `apply`.
    """
    where = f"{model!r}, predict"
    _check_batch_size(batch_size)
    _check_batch_axis(model, where)
    inputs, rows = _checked(model.graph, inputs, where)
    fill = batch_size if rows > batch_size and not model.mixes_rows else 0
    if out is not None:
        first = bind(model.graph, _part(inputs, 0, batch_size), where)
        specs = jax.eval_shape(program, *trees, first)
        _check_out(out, specs, rows, f"{where}, out")
    parts = _outputs(model.graph, program, trees, inputs, rows, batch_size, fill, where)
    if out is None:
        return jax.tree.map(lambda *p: np.concatenate(p), *parts)
    start = 0
    for part in parts:
        count = len(jax.tree.leaves(part)[0])
        jax.tree.map(lambda o, p, s=start: _write(o, p, s), out, part)
        start += count
    return out


def predict_batches(model: Any, program: Program, trees: tuple, batches: Any, batch_size: Any) -> Iterator[PyTree]:
    """The outputs of one batch after the other, of arrays or of an iterable of inputs; `trees` are params and state.

    Raises:
        ArgumentError: `batch_size` is not a positive integer, or is given for batches that are cut already.
        DataError: what is given is neither. ShapeError: an output has no batch axis. All errors of `apply`, with the
        number of the batch.
    """
    where = f"{model!r}, predict_batches"
    _check_batch_axis(model, where)
    if _are_inputs(model.graph, batches):
        size = 32 if batch_size is None else batch_size  # as in `predict` and `fit`
        _check_batch_size(size)
        inputs, rows = _checked(model.graph, batches, where)
        fill = size if rows > size and not model.mixes_rows else 0
        return _outputs(model.graph, program, trees, inputs, rows, size, fill, where)
    if isinstance(batches, (dict, str)) or not isinstance(batches, Iterable):
        raise DataError(
            where,
            expected="the model's inputs as arrays, or an iterable of such",
            got=f"a {type(batches).__name__}",
            cure="Give arrays in the structure that the model was drawn with.",
        )
    if batch_size is not None:
        cure = "Leave it out: each batch is taken as it comes."
        raise ArgumentError(where, expected="no batch_size for an iterable", got=repr(batch_size), cure=cure)
    return _streamed(model, program, trees, batches, where)


def _outputs(
    graph: Graph, program: Program, trees: tuple, inputs: PyTree, rows: int, size: int, fill: int, where: str
) -> Iterator[PyTree]:
    """The outputs of all batches of rows; each is dispatched before the one before it is read."""
    waiting: list[tuple[PyTree, int]] = []
    for start in range(0, max(rows, 1), size):
        part, count = _part(inputs, start, size), min(size, rows - start)
        waiting.append((_run(graph, program, trees, part, count, fill, where), count))
        for array in jax.tree.leaves(inputs):
            let_go(array)
        if len(waiting) > 1:
            yield _read(*waiting.pop(0))
    yield _read(*waiting.pop())


def _streamed(model: Any, program: Program, trees: tuple, batches: Iterable, where: str) -> Iterator[PyTree]:
    """The outputs of each batch of an iterable, given before the next batch is asked for."""
    most = 0
    for number, batch in enumerate(batches):
        place = f"{where}, batch {number}"
        inputs, count = _checked(model.graph, batch, place)
        most = max(most, count)
        fill = 0 if model.mixes_rows else most
        yield _read(_run(model.graph, program, trees, inputs, count, fill, place), count)


def _run(graph: Graph, program: Program, trees: tuple, part: PyTree, count: int, fill: int, where: str) -> PyTree:
    """The outputs of a batch on the device, filled up to `fill` rows."""
    fed = bind(graph, part, where)
    return program(*trees, jax.tree.map(lambda a: filled(a, max(fill - count, 0)), fed))


def _read(outputs: PyTree, count: int) -> PyTree:
    return jax.tree.map(lambda o: np.asarray(o)[:count], outputs)


def _part(inputs: PyTree, start: int, size: int) -> PyTree:
    return jax.tree.map(lambda a: np.asarray(a[start : start + size]), inputs)


def _checked(graph: Graph, inputs: PyTree, where: str) -> tuple[PyTree, int]:
    """The inputs as arrays, their keys, lengths, and the indices among them checked; and the number of rows."""
    match_inputs(graph, inputs, where)
    if any(isinstance(leaf, Symbol) or not hasattr(leaf, "shape") for leaf in _leaves(inputs)):
        bind(graph, inputs, where)  # which says what is no array
    inputs = jax.tree.map(lambda a: _as_array(a, where), inputs)
    rows = batch_size_of(inputs, where)
    for first, part in pieces(inputs):
        check_lookups(graph, bind(graph, part, where, check_dtype), where, first)
    return inputs, rows


def _leaves(inputs: PyTree) -> list[Any]:
    """The arrays, and what is given in their place, `None` too."""
    return jax.tree.leaves(inputs, is_leaf=lambda leaf: leaf is None)


def _as_array(value: Any, where: str) -> Any:
    value = as_numpy(value, where)
    return value if is_stored(value) else np.asarray(value)


def _are_inputs(graph: Graph, given: Any) -> bool:
    """Whether these are arrays, in the structure of a model's inputs, and not an iterable of such."""
    drawn = graph.inputs
    if isinstance(given, dict):
        return True
    alike = isinstance(given, (list, tuple)) and isinstance(drawn, (list, tuple)) and len(given) == len(drawn)
    return hasattr(given, "shape") or (alike and all(hasattr(leaf, "shape") for leaf in given))


def _check_batch_size(batch_size: Any) -> None:
    if not isinstance(batch_size, (int, np.integer)) or isinstance(batch_size, bool) or batch_size < 1:
        cure = "Write batch_size=32."
        raise ArgumentError("predict", expected="a positive batch_size", got=repr(batch_size), cure=cure)


def _check_batch_axis(model: Any, where: str) -> None:
    for symbol in jax.tree.leaves(model.outputs):
        if symbol.shape[:1] != (BATCH,):
            place, cure = f"{where}, output {symbol.call.path!r}", "Use apply, or keep the batch axis in front."
            raise ShapeError(place, expected="one row per row of the inputs", got=show(symbol.spec), cure=cure)


def _check_out(out: PyTree, specs: PyTree, rows: int, where: str) -> None:
    """Raises ArgumentError where the arrays that are to take the outputs are of another structure, shape or dtype."""
    given, wanted = (dict(leaves_with_names(tree)) for tree in (out, specs))
    if jax.tree.structure(out) != jax.tree.structure(specs):
        raise KeyMismatchError(
            where,
            expected=f"arrays for {listing(wanted)}" if all(wanted) else "one array",
            got=listing(given) if all(given) else f"a {type(out).__name__}",
            cure="Give them in the structure of the model's outputs.",
        )
    for name, spec in wanted.items():
        array, place = given[name], where + f" {name!r}" * bool(name)
        _check_takes(array, jax.ShapeDtypeStruct((rows, *spec.shape[1:]), spec.dtype), place)


def _check_takes(array: Any, spec: Spec, where: str) -> None:
    fits = (
        tuple(getattr(array, "shape", ())) == spec.shape and hasattr(array, "dtype") and hasattr(array, "__setitem__")
    )
    if not fits or isinstance(array, jax.Array) or not np.can_cast(spec.dtype, array.dtype):
        got = show(array) if hasattr(array, "dtype") else f"a {type(array).__name__}"
        cure = f"Make it by np.empty({spec.shape}, {str(spec.dtype)!r}), or as a np.memmap of that."
        raise ArgumentError(where, expected=f"a NumPy array {show(spec)}", got=got, cure=cure)
    if isinstance(array, np.ndarray) and not array.flags.writeable:
        cure = "Open it with mode='r+', or 'w+' for a new file."
        raise ArgumentError(where, expected="an array that can be written", got="one that is read only", cure=cure)


def _write(out: Any, part: np.ndarray, start: int) -> None:
    out[start : start + len(part)] = part
    let_go(out)
