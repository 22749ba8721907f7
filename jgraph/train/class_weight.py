"""Weights by class: a pure function of the targets, which multiplies the weights of the examples."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, DataError, KeyMismatchError, listing, nearest
from jgraph.losses.loss import align
from jgraph.train.objective import Objective, Target


@dataclasses.dataclass(frozen=True)
class ClassWeights:
    """What the classes of some outputs weigh: for each output its targets' position, and an array by class.

    >>> ClassWeights(())((("inputs",), ("targets",), (None,)), "fit")
    (('inputs',), ('targets',), (None,))
    """

    tables: tuple[tuple[int, Target, np.ndarray], ...]

    def __call__(self, bound: tuple, where: str) -> tuple:
        """Bound rows whose weights are multiplied by those of their classes, as NumPy arrays of float32.

        Raises:
            DataError: what counts is no class: neither a label, nor one-hot, nor 0 or 1 of two classes.
        """
        inputs, targets, weights = bound
        weights = list(weights)
        for place, target, table in self.tables:
            array, given = np.asarray(targets[place]), weights[place]
            given = None if given is None else np.asarray(given, np.float32)
            classes = _classes(f"{where}, target {target.name!r}", target, array, given)
            inside = (classes >= 0) & (classes < len(table))  # what a mask or the loss leaves out may be any number
            own = np.where(inside, table[np.where(inside, classes, 0)], np.float32(1))
            weights[place] = own if given is None else _product(given, own)
        return inputs, targets, tuple(weights)


def class_weights_of(objective: Objective, given: Any) -> ClassWeights | None:
    """The `class_weight` of `fit`, matched to the outputs: `{class: weight}` for a single one, or a dict by output.

    Raises:
        KeyMismatchError: a key names no output, or several outputs are not told apart.
        ArgumentError: an output has no loss or no classes, a class is none of its, or a weight is no finite number of
            at least 0, or all are 0.
    """
    if given is None:
        return None
    by_name = {target.name: (place, target) for place, target in enumerate(objective.targets)}
    if not isinstance(given, Mapping):
        raise ArgumentError(
            "fit, class_weight",
            expected="a dict {class: weight}, or such dicts by output",
            got=type(given).__name__,
            cure="Write class_weight={0: 1.0, 1: 5.0}; of a list, dict(enumerate(weights)).",
        )
    if not all(isinstance(value, Mapping) or value is None for value in given.values()):
        if len(by_name) > 1:
            raise KeyMismatchError(
                "fit, class_weight",
                expected=f"a dict by output name, {listing(by_name)}",
                got=f"the keys {listing(given)}",
                cure=f"Several outputs need to be told apart: class_weight={{{next(iter(by_name))!r}: {{0: 1.0}}}}.",
            )
        given = dict.fromkeys(by_name, given)
    if extra := [name for name in given if name not in by_name]:
        raise KeyMismatchError(
            "fit, class_weight",
            expected=f"keys among the outputs {listing(by_name)}",
            got=listing(extra),
            cure=nearest(extra[0], by_name) + "Use the names of the model's outputs.",
        )
    chosen = {name: table for name, table in given.items() if table is not None}
    return ClassWeights(tuple((*by_name[name], _table(by_name[name][1], table)) for name, table in chosen.items()))


def _table(target: Target, given: Mapping[Any, Any]) -> np.ndarray:
    """The weight of each class, 1 where none is given."""
    where, sizes = f"fit, class_weight of {target.name!r}", target.spec.shape[1:]
    if not target.judges:
        raise ArgumentError(where, expected="an output with a loss", got="one without", cure="Leave it out.")
    several = target.loss is not None and target.loss.link == "sigmoid" and sizes[-1:] not in ((), (1,))
    if several or (sizes and not isinstance(sizes[-1], int)):
        raise ArgumentError(
            where,
            expected="one class for each example",
            got=f"{show(target.spec)}, of which each number is a class of its own" if several else show(target.spec),
            cure="Give weights with the data: fit((inputs, targets, weights), ...).",
        )
    count = sizes[-1] if sizes and sizes[-1] > 1 else 2
    table = np.ones(count, np.float32)
    for number, weight in given.items():
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if not whole or not 0 <= number < count:
            raise ArgumentError(
                where,
                expected=f"classes from 0 to {count - 1}, as integers",
                got=f"class {number!r}",
                cure="Leave out what is no class; a class that is not named weighs 1.",
            )
        real = isinstance(weight, int | float | np.integer | np.floating) and not isinstance(weight, bool)
        if not real or not 0 <= weight < math.inf:
            raise ArgumentError(
                where,
                expected="finite weights of at least 0",
                got=f"{weight!r} for class {number}",
                cure="Write {0: 1.0, 1: 5.0}, for example.",
            )
        table[int(number)] = weight
    if not table.any():
        raise ArgumentError(where, expected="a weight that is positive", got="zeros alone", cure="Mend the weights.")
    return table


def _classes(where: str, target: Target, array: Any, weights: np.ndarray | None) -> np.ndarray:
    """The class of each example: its label, the place of its 1, or which of two it is."""
    loss, spec = target.loss, target.spec
    labels = loss.targets == "labels" if loss else any(judge.targets == "labels" for judge in target.judges)
    if not labels and (loss is None or loss.targets == "free"):
        labels = np.issubdtype(array.dtype, np.integer) and array.shape[1:] in (
            spec.shape[1:-1],
            (*spec.shape[1:-1], 1),
        )
        labels = labels and spec.shape[-1] != 1
    if labels:
        return array[..., 0] if array.ndim == len(spec.shape) else array
    judge = target.judges[0]
    array = align(judge, array, spec) if judge.targets == "same" else array
    binary = array.ndim < 2 or array.shape[-1] == 1
    # What lies between classes is smoothed, where the loss knows classes; else it is no class at all.
    if not (loss and loss.bounds()) and target.mask is None:
        counts = np.ones(len(array), bool) if weights is None else weights.reshape(len(array), -1).any(axis=1)
        some = array[counts]
        whole = np.isin(some, (0, 1)).all() and (binary or (some.sum(axis=-1) == 1).all())
        if not whole:
            raise DataError(
                where,
                expected="0 and 1" if binary else "one-hot targets",
                got=f"{show(some)} of other numbers, which are no classes",
                cure="Leave out class_weight, and give weights with the data.",
            )
    if binary:
        return ((array[..., 0] if array.ndim == len(spec.shape) > 1 else array) > 0.5).astype(np.int32)
    return array.argmax(axis=-1)


def _product(weights: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Weights of rows times those of their steps, or the other way round."""
    rank = max(weights.ndim, own.ndim)
    weights, own = (a.reshape(*a.shape, *[1] * (rank - a.ndim)) for a in (weights, own))
    return (weights * own).astype(np.float32)
