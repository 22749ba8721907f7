"""What users give as data, matched to the model: inputs by name, targets and weights by output."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.core.feed import as_array, check_dtype, match_inputs
from jgraph.core.graph import Ref, spec_of
from jgraph.core.model import Model
from jgraph.core.spec import check_feed
from jgraph.data.checks import check_finite, check_range, check_weights
from jgraph.data.rows import count_rows
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, DataError, KeyMismatchError, listing, nearest
from jgraph.losses.loss import align, check_targets
from jgraph.train.objective import Objective, Target
from jgraph.tree import leaves_with_names
from jgraph.typing import PyTree

Batch = tuple[tuple, tuple, tuple]


@dataclasses.dataclass(frozen=True, eq=False)
class Binding:
    """Matches (inputs, targets[, weights]) to a model and its objective, and checks shapes and dtypes.

    The result is (inputs, targets, weights), tuples in the order of the model's inputs and outputs, `None` where an
    output has no target or no weight.
    """

    model: Model
    objective: Objective

    def batch(self, data: Any, where: str) -> Batch:
        """A batch as arrays of the drawn dtypes; works on tracers too."""
        inputs, targets, weights = self._parts(data, where)
        return self._cast(self._inputs(inputs, where), self._targets(targets, where), self._weights(weights, where))

    def rows(self, data: Any, where: str) -> tuple[Batch, int]:
        """All rows, as they are, and their number; the values are checked too."""
        inputs, targets, weights = self._parts(data, where)
        bound = self._inputs(inputs, where), self._targets(targets, where), self._weights(weights, where)
        names = self._names(where)
        rows = count_rows(where, {n: a for n, a in zip(names, jax.tree.leaves(bound, is_leaf=_none), strict=True) if a is not None})
        self._check_values(*bound, where)
        return bound, rows

    def cast(self, bound: Batch) -> Batch:
        """Bound rows as arrays of the drawn dtypes, on the device."""
        return self._cast(*bound)

    def _names(self, where: str) -> list[str]:
        del where
        outputs = [t.name for t in self.objective.targets]
        inputs = [self.model.nodes[place].path for place in self.objective.inputs]
        return [*(f"input {n!r}" for n in inputs), *(f"target {n!r}" for n in outputs), *(f"weights of {n!r}" for n in outputs)]

    def _parts(self, data: Any, where: str) -> tuple[Any, Any, Any]:
        if not isinstance(data, tuple) or len(data) not in (2, 3):
            raise DataError(
                where,
                expected="a tuple (inputs, targets) or (inputs, targets, weights)",
                got=f"a {type(data).__name__}" + (f" of {len(data)}" if isinstance(data, (tuple, list)) else ""),
                cure="Put inputs and targets in one tuple.",
            )
        return data[0], data[1], data[2] if len(data) == 3 else None

    def _inputs(self, inputs: PyTree, where: str) -> tuple:
        graph, sizes, bound = self.model.graph, {}, {}
        for name, ref, value in match_inputs(graph, inputs, where):
            place, spec = f"{where}, input {name or graph.nodes[ref.node].path!r}", spec_of(graph, ref)
            bound[ref.node] = check_dtype(value, spec, place)
            check_feed(place, bound[ref.node], spec, sizes)
        return tuple(bound[ref.node] for ref in jax.tree.leaves(graph.inputs))

    def _targets(self, targets: PyTree, where: str) -> tuple:
        found = self._by_output(targets, f"{where}, targets")
        for target in self.objective.targets:
            place = f"{where}, target {target.name!r}"
            if target.name in found:
                found[target.name] = value = _as_numbers(found[target.name], place)
                spec = self._spec(target)
                if target.loss:
                    check_targets(place, target.loss, value, spec)
            elif target.loss or target.metrics:
                raise KeyMismatchError(
                    f"{where}, targets",
                    expected=f"targets for {listing(t.name for t in self.objective.trained)}",
                    got=f"none for {target.name!r}",
                    cure="Give its targets, or train the output with loss None.",
                )
        return tuple(found.get(t.name) if t.loss or t.metrics else None for t in self.objective.targets)

    def _weights(self, weights: PyTree, where: str) -> tuple:
        targets = self.objective.targets
        if weights is not None and not isinstance(weights, (dict, list, tuple)):
            weights = {t.name: weights for t in targets if t.loss or t.metrics}
        found = {} if weights is None else self._by_output(weights, f"{where}, weights")
        for name, value in found.items():
            target = next(t for t in targets if t.name == name)
            found[name] = value = _as_numbers(value, f"{where}, weights of {name!r}")
            want = tuple(self._spec(target).shape[1:-1])
            got = tuple(value.shape[1:])
            if not len(value.shape) or len(got) > len(want) or any(g != w for g, w in zip(got, want, strict=False) if isinstance(w, int)):
                raise DataError(
                    f"{where}, weights of {name!r}",
                    expected=f"one weight a row{', or one a step' if want else ''}, for {show(self._spec(target))}",
                    got=show(value),
                    cure="Give an array [rows]" + (" or [rows, time]." if want else "."),
                )
        return tuple(found.get(t.name) for t in targets)

    def _by_output(self, values: PyTree, where: str) -> dict[str, Any]:
        """One array for a single output, a list for a list of outputs, or a dict by name, as a dict."""
        names = [t.name for t in self.objective.targets]
        drawn = self.model.graph.outputs
        if isinstance(drawn, (list, tuple)) and isinstance(values, (list, tuple)) and len(values) == len(names):
            return dict(zip(names, values, strict=True))
        if not isinstance(values, dict):
            if len(names) == 1:
                return {names[0]: values}
            raise KeyMismatchError(
                where,
                expected=f"a {'list' if isinstance(drawn, (list, tuple)) else 'dict'} for the outputs {listing(names)}",
                got=type(values).__name__ + (f" of {len(values)}" if isinstance(values, (list, tuple)) else ""),
                cure="Name each output.",
            )
        found = dict(leaves_with_names(values)) if isinstance(drawn, dict) else values
        if extra := [n for n in found if n not in names]:
            cure = nearest(extra[0], names) + "Use the names of the model's outputs."
            raise KeyMismatchError(where, expected=f"keys among {listing(names)}", got=listing(extra), cure=cure)
        return dict(found)

    def _spec(self, target: Target) -> Any:
        return spec_of(self.objective.graph, target.output)

    def _cast(self, inputs: tuple, targets: tuple, weights: tuple) -> Batch:
        specs = [spec_of(self.model.graph, ref) for ref in jax.tree.leaves(self.model.graph.inputs)]
        cast = tuple(as_array(a, spec, "fit") for a, spec in zip(inputs, specs, strict=True))
        return cast, *(tuple(None if a is None else jnp.asarray(a) for a in part) for part in (targets, weights))

    def _check_values(self, inputs: tuple, targets: tuple, weights: tuple, where: str) -> None:
        for node, array in zip(self.objective.inputs, inputs, strict=True):
            place = f"{where}, input {self.model.nodes[node].path!r}"
            check_finite(place, array)
            for reader in self.model.nodes:
                size = reader.layer.index_range()
                if size is not None and any(isinstance(a, Ref) and a.node == node for a in reader.args):
                    check_range(place, array, size, f"indices of {reader.path!r},")
        for target, array, weight in zip(self.objective.targets, targets, weights, strict=True):
            place = f"{where}, target {target.name!r}"
            if array is not None:
                check_finite(place, array)
                if target.loss and target.loss.targets == "labels":
                    check_range(place, align(target.loss, array, self._spec(target)), self._spec(target).shape[-1], "labels")
            if weight is not None:
                check_weights(f"{where}, weights of {target.name!r}", weight)


def _none(value: Any) -> bool:
    return value is None


def _as_numbers(value: Any, where: str) -> Any:
    array = value if hasattr(value, "dtype") else np.asarray(value)
    if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == np.bool_):
        raise DataError(where, expected="an array of numbers", got=show(array), cure="Convert it to numbers first.")
    return array


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
    if epochs > 1 and iter(data) is data:
        raise ArgumentError(
            where,
            expected="data that can be read once an epoch",
            got=f"an iterator ({type(data).__name__}), which the first epoch uses up",
            cure="Give an object whose __iter__ starts anew, or epochs=1.",
        )
    return data
