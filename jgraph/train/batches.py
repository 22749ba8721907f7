"""What users give as data, matched to the model: inputs by name, targets and weights by output."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.arrays import as_numpy, pieces
from jgraph.core.feed import as_array, bind, check_dtype
from jgraph.core.graph import Ref, spec_of
from jgraph.core.lookups import check_lookups, check_range
from jgraph.core.model import Model
from jgraph.data.checks import check_finite, check_weights
from jgraph.data.rows import count_rows
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, DataError, KeyMismatchError, listing, nearest
from jgraph.losses.loss import align, check_targets
from jgraph.sharding.layout import Layout
from jgraph.train.objective import Objective, Target
from jgraph.typing import PyTree

Batch = tuple[tuple, tuple, tuple]


@dataclasses.dataclass(frozen=True, eq=False)
class Binding:
    """Matches (inputs, targets[, weights]) to a model and its objective, and checks shapes, dtypes and values.

    The result is (inputs, targets, weights), tuples in the order of the model's inputs and outputs, `None` where an
    output has no target or no weight.
    """

    model: Model
    objective: Objective
    layout: Layout = dataclasses.field(default_factory=Layout)

    @functools.cached_property
    def exact(self) -> bool:
        """Whether a batch must not be filled up, as rows without weight would change what the others give."""
        return self.model.mixes_rows or self.objective.mixes_rows

    def bind(self, data: Any, where: str) -> tuple[Batch, int]:
        """The rows as they are, and their number; works on tracers too.

        Raises:
            DataError, KeyMismatchError, ShapeError, DTypeError: keys, shapes, dtypes or lengths do not fit.
        """
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):  # loaders of PyTorch make lists
            keys = f" with the keys {listing(data)}" if isinstance(data, dict) else ""
            raise DataError(
                where,
                expected="a tuple (inputs, targets) or (inputs, targets, weights)",
                got=f"a {type(data).__name__}" + (f" of {len(data)}" if isinstance(data, (tuple, list)) else keys),
                cure="Put inputs and targets in one tuple" + (": (batch['x'], batch['y'])." if keys else "."),
            )
        inputs, targets, weights = data if len(data) == 3 else (*data, None)
        bound = self._inputs(inputs, where), self._targets(targets, where), self._weights(weights, where)
        arrays = jax.tree.leaves(bound, is_leaf=lambda leaf: leaf is None)
        named = {name: a for name, a in zip(self.names, arrays, strict=True) if a is not None}
        return bound, count_rows(where, named)

    def unbind(self, bound: Batch) -> tuple:
        """Bound rows in the structure that users give them in."""
        inputs, outputs = (jax.tree.structure(part) for part in (self.model.graph.inputs, self.model.graph.outputs))
        data = jax.tree.unflatten(inputs, bound[0]), jax.tree.unflatten(outputs, bound[1])
        return data if all(w is None for w in bound[2]) else (*data, jax.tree.unflatten(outputs, bound[2]))

    def check_values(self, bound: Batch, where: str) -> None:
        """Checks bound rows for numbers that are not finite, and for labels, indices and weights out of range.

        Rows that lie in a file are read piece by piece.

        Raises:
            DataError: there are some; the first row is named.
        """
        for first, part in pieces(bound):
            self._check_piece(part, where, first)

    def _check_piece(self, bound: Batch, where: str, first: int) -> None:
        inputs, targets, weights = bound
        nodes = self.objective.graph.nodes
        for node, array in zip(self.objective.inputs, inputs, strict=True):
            if array is None:
                continue
            place = f"{where}, input {nodes[node].path!r}"
            check_finite(place, array, nodes[node].layer.dtype, first)
        check_lookups(self.objective.graph, dict(zip(self.objective.inputs, inputs, strict=True)), where, first)
        for target, array, weight in zip(self.objective.targets, targets, weights, strict=True):
            if array is not None:
                self._check_target(target, _counted(array, weight), f"{where}, target {target.name!r}", first)
            if weight is not None:
                check_weights(f"{where}, weights of {target.name!r}", weight, first)

    def batch(self, data: Any, where: str) -> Batch:
        """A batch as arrays on the device; its values are not looked at, so that it works on tracers too."""
        return self.layout.rows(self.cast(self.bind(data, where)[0]))

    def cast(self, bound: Batch) -> Batch:
        """Bound rows as arrays of the drawn dtypes, on the device."""
        specs = [spec_of(self.model.graph, ref) for ref in jax.tree.leaves(self.model.graph.inputs)]
        inputs = tuple(None if a is None else as_array(a, s, "inputs") for a, s in zip(bound[0], specs, strict=True))
        targets, weights = (tuple(None if a is None else jnp.asarray(a) for a in part) for part in bound[1:])
        return inputs, targets, weights

    @functools.cached_property
    def names(self) -> list[str]:
        """What errors call each array of a batch, in the order of its leaves."""
        inputs = [self.objective.graph.nodes[place].path for place in self.objective.inputs]
        outputs = [t.name for t in self.objective.targets]
        return [
            *(f"input {n!r}" for n in inputs),
            *(f"target {n!r}" for n in outputs),
            *(f"weights of {n!r}" for n in outputs),
        ]

    def _inputs(self, inputs: PyTree, where: str) -> tuple:
        bound = bind(self.model.graph, inputs, where, check_dtype)
        return tuple(bound[ref.node] for ref in jax.tree.leaves(self.model.graph.inputs))

    def _targets(self, targets: PyTree, where: str) -> tuple:
        found = self._by_output(targets, f"{where}, targets")
        for target in self.objective.trained:
            place = f"{where}, target {target.name!r}"
            if target.name not in found:
                raise KeyMismatchError(
                    f"{where}, targets",
                    expected=f"targets for {listing(t.name for t in self.objective.trained)}",
                    got=f"none for {target.name!r}",
                    cure="Give its targets, or train the output with loss None.",
                )
            found[target.name] = value = _as_numbers(found[target.name], place)
            for judge in target.judges:
                check_targets(place, judge, value, target.spec)
        for name in self.objective.joined - {t.name for t in self.objective.trained}:
            if found.get(name) is not None:
                found[name] = _as_numbers(found[name], f"{where}, target {name!r}")
        used = {t.name for t in self.objective.trained} | self.objective.joined
        return tuple(found.get(t.name) if t.name in used else None for t in self.objective.targets)

    def _weights(self, weights: PyTree, where: str) -> tuple:
        trained = {t.name: t for t in self.objective.trained}
        if weights is None:
            found = {}
        elif isinstance(weights, (dict, list, tuple)):
            found = self._by_output(weights, f"{where}, weights")
        else:
            found = dict.fromkeys(trained, weights)
        found = {name: value for name, value in found.items() if value is not None}
        for name, value in found.items():
            place = f"{where}, weights of {name!r}"
            found[name] = value = _as_numbers(value, place)
            if name not in trained:
                raise DataError(place, expected="none, as it has no loss", got=show(value), cure="Leave it out.")
            _check_weighs(place, value, trained[name].spec)
        return tuple(found.get(t.name) for t in self.objective.targets)

    def _by_output(self, values: PyTree, where: str) -> dict[str, Any]:
        """Values by output name: given so, or as the outputs were drawn, or one array for a single output."""
        names, drawn = [t.name for t in self.objective.targets], self.model.graph.outputs
        named = isinstance(values, dict)
        values = {str(key): value for key, value in values.items()} if named else values
        if named and set(values) <= set(names):
            return dict(values)
        if not isinstance(drawn, Ref):
            with contextlib.suppress(ValueError):
                alike = type(drawn)(values) if {type(drawn), type(values)} == {list, tuple} else values
                return dict(zip(names, jax.tree.structure(drawn).flatten_up_to(alike), strict=True))
        if len(names) == 1 and not named:
            return {names[0]: values}
        extra = [n for n in values if n not in names] if named else []
        raise KeyMismatchError(
            where,
            expected=f"a {'list' if isinstance(drawn, (list, tuple)) else 'dict'} for the outputs {listing(names)}",
            got=f"the keys {listing(extra)}" if extra else f"a {type(values).__name__}",
            cure=(nearest(extra[0], names) if extra else "") + "Use the names of the model's outputs.",
        )

    def _check_target(self, target: Target, array: Any, place: str, first: int) -> None:
        """What a mask leaves out may be any number, or the usual label -1."""
        masked = target.mask is not None
        if not masked:
            check_finite(place, array, first=first)
        for judge in target.judges:
            if judge.targets == "labels" and isinstance(target.spec.shape[-1], int):
                labels = align(judge, array, target.spec)
                own = target.loss.weights(labels) if target.loss else None
                labels = labels if own is None else np.where(own, labels, 0)
                least, most = -1 if masked else 0, target.spec.shape[-1] - 1
                check_range(place, labels, least, most, f"labels of {judge.name}", first)
        bounds = target.loss.bounds() if target.loss else None
        if not masked and target.loss and bounds:
            what = f"{'probabilities' * (bounds == (0, 1)) or 'targets'} for {target.loss.name}"
            check_range(place, array, *bounds, what, first)


def _counted(array: Any, weight: Any) -> Any:
    """The targets, with 0 where a weight of 0 leaves them out."""
    if weight is None or np.all(weight):
        return array
    used = np.asarray(weight) != 0
    return np.where(used.reshape(*used.shape, *[1] * (len(array.shape) - used.ndim)), array, 0)


def _check_weighs(where: str, value: Any, output: Any) -> None:
    """Raises DataError for weights that are not one for each row, or for each entry of the output's first axes."""
    got, want = value.shape[1:], output.shape[1:-1]
    sized = all(g == w or not isinstance(w, int) for g, w in zip(got, want, strict=False))
    if not value.shape or len(got) > len(want) or not sized:
        raise DataError(
            where,
            expected=f"one weight a row{', or one a step' if want else ''}, for {show(output)}",
            got=show(value),
            cure=f"Give an array [rows]{' or [rows, time]' if want else ''}.",
        )


def _as_numbers(value: Any, where: str) -> Any:
    value = as_numpy(value, where)
    try:
        array = value if hasattr(value, "dtype") else np.asarray(value)
    except ValueError as error:  # lists of differing lengths
        raise DataError(where, expected="an array", got=f"what is none: {error}", cure="Fill it up.") from error
    if not any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.integer, jnp.floating, jnp.bool_)):
        raise DataError(where, expected="an array of real numbers", got=show(array), cure="Convert it first.")
    return array


def check_weighing(bound: Batch, where: str) -> None:
    """Checks that weights over all rows are not all zero, which would leave nothing to average over.

    Raises:
        DataError: they are.
    """
    for weights in bound[2]:
        if weights is not None and not any(np.any(part) for _, part in pieces(weights)):
            raise DataError(
                f"{where}, weights", expected="some that are positive", got="zeros alone", cure="Mend them."
            )


def is_rows(data: Any) -> bool:
    """True for a tuple of arrays, false for an iterable of batches."""
    return isinstance(data, tuple)


def check_iterable(data: Any, epochs: int, where: str) -> Iterable:
    """An iterable of batches that can be read as often as there are epochs.

    Raises:
        DataError: it cannot be iterated over.
        ArgumentError: it is an iterator, which one epoch uses up, and there are several.
    """
    if not isinstance(data, Iterable) or isinstance(data, (dict, str, np.ndarray, jax.Array)):
        raise DataError(
            where,
            expected="a tuple (inputs, targets) of arrays, or an iterable of such tuples",
            got=type(data).__name__,
            cure="Write fit((inputs, targets), ...).",
        )
    if epochs > 1 and isinstance(data, Iterator):
        raise ArgumentError(
            where,
            expected="data that can be read once an epoch",
            got=f"an iterator ({type(data).__name__}), which the first epoch uses up",
            cure="Give an object whose __iter__ starts anew, or epochs=1"
            + ", or steps_per_epoch" * (where == "fit")
            + ".",
        )
    return data
