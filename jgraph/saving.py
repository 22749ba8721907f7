"""Saving a model with its weights, and loading it without the code that drew it."""

import dataclasses
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jgraph.core.fingerprint import differences
from jgraph.core.model import Model
from jgraph.errors import ArgumentError, LoadError, check_flag, check_path, listing, nearest
from jgraph.storage.checkpoint import RECORD, compare, on_device, read_arrays, read_record, write
from jgraph.storage.steps import best_whole, newest_whole, read_step, steps_in
from jgraph.tree import leaves_with_names, match, overlaid, put
from jgraph.typing import Params, State

WORDS = ("best", "latest")
PARTS = (("train_state", "params"), ("train_state", "model_state"))
"""What a model needs of a step."""

AVERAGES = ("train_state", "ema")
"""Where a step has the averages of the trained params."""


def save(path: str | os.PathLike[str], model: Model, params: Params, state: State) -> None:
    """Writes one directory: the architecture as JSON and the weights by Orbax, each leaf with a hash.

    A directory that was saved before is replaced, when the new one is whole.

    Raises:
        KeyMismatchError, ShapeError: params or state are not the model's.
        SaveError: the model holds a function or class without a name, such as a lambda; or the path holds other things.
        OSError: the path cannot be written.

    >>> import jax, jgraph as jg, tempfile
    >>> model = jg.Sequential([jg.Input((3,)), jg.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     jg.save(f"{folder}/m.jgraph", model, *model.init(jax.random.key(0)))
    ...     model, params, state = jg.load(f"{folder}/m.jgraph")
    >>> params["dense"]["kernel"].shape
    (3, 2)
    """
    check_path("save, path", path)
    if not isinstance(model, Model):
        cure = "Write jg.save(path, model, params, state)."
        raise ArgumentError("save, model", expected="a jg.Model", got=repr(model)[:80], cure=cure)
    cure = "Give the trees that belong to this model."
    match(params, model.params_spec, "save, params", cure)
    match(state, model.state_spec, "save, state", cure)
    record = {"model": model.to_json(), "fingerprint": model.fingerprint}
    write(path, {"params": params, "state": state}, record)


def load(
    path: str | os.PathLike[str],
    into: Model | None = None,
    *,
    step: int | str | None = None,
    averaged: bool = False,
    partial: bool = False,
    start: tuple[Params, State] | None = None,
    allow: Iterable[Any] = (),
) -> tuple[Model, Params, State]:
    """Reads what `save` wrote, or a step that a `Checkpoint` wrote: `(model, params, state)`.

    A directory of checkpoints needs a `step`: its number, `"latest"` for the newest that is whole, or `"best"` for the
    one with the best monitored value. With `averaged` the params are the averages over the steps that
    `Trainer(..., ema=0.999)` keeps, as those of `train_state.averaged()`.

    Layers of jgraph and functions of jgraph, `jax.numpy`, `jax.nn` and `jax.lax` are found by name; layers, functions
    and Flax modules from elsewhere are given in `allow`, and so are layers of modules that no file can say. Nothing in
    the file is executed.

    With `into`, the values are for that model, and the file must hold the same graph (`model.fingerprint`). With
    `partial`, it may hold another one: the leaves that have the same path, shape and dtype are taken, the others are
    left out, or come from `start`, `(params, state)` of that model, such as `model.init(key)`; the logger `jgraph`
    lists them. To carry by layer rather than by path, load without `into` and use `jg.carry`.

    Raises:
        ArgumentError: the step is none of these, or `averaged`, `partial` and `start` are given without what they are
        for.
        LoadError: there is no such directory or step, it is damaged (the leaf is named), of a version that is not
        known, has no averages, names something that is not in `allow`, or holds another graph (the leaves that differ
        are listed with both sides).

    >>> import jgraph as jg
    >>> jg.load("nowhere.jgraph")
    Traceback (most recent call last):
    jgraph.errors.LoadError: nowhere.jgraph: expected a directory with the file jgraph.json, got ...
    >>> jg.load("runs/nowhere", step="best")
    Traceback (most recent call last):
    jgraph.errors.LoadError: runs/nowhere: expected a whole step with a score, got no steps. ...
    """
    check_path("load, path", path)
    check_flag("load", averaged=averaged, partial=partial)
    _check_into(into, partial, start)
    saved = _saved(path, step, averaged)
    if into is None:
        model = Model.from_json(saved.text, allow=allow)
        compare(saved.where, _specs(model), {n: {"shape": leaf["shape"]} for n, leaf in saved.leaves.items()})
        return (model, *_filled(model, saved.read([*saved.leaves]), None))
    if not partial:
        compare(saved.where, _specs(into), saved.leaves)
        _check_graph(saved, into)
        return (into, *_filled(into, saved.read([*saved.leaves]), None))
    fits, said = _fitting(saved, into)
    for sentence in said:
        logging.getLogger("jgraph").warning(sentence)
    return (into, *_filled(into, saved.read(fits), start))


@dataclasses.dataclass(frozen=True)
class _Saved:
    """What a file says: where it is, the model, shape and dtype of its leaves by path, and how to read some of these.

    Only names that are found to be those of a model are read.
    """

    where: str
    text: str
    fingerprint: str
    leaves: dict[str, dict[str, Any]]
    read: Callable[[list[str]], dict[str, Any]]


def _saved(path: str | os.PathLike[str], step: int | str | None, averaged: bool) -> _Saved:
    if step is not None:
        _check_step(path, step)
        return _saved_step(path, step, averaged)
    _check_no_steps(path)
    if averaged:
        cure = 'Give step="best", "latest" or a number; or save train_state.averaged().params.'
        raise ArgumentError("load, averaged", expected="a step of a Checkpoint", got="step=None", cure=cure)
    content = read_record(path)
    leaves, record = content["leaves"], content["record"]

    def read(names: list[str]) -> dict[str, Any]:
        specs: dict[str, Any] = {}
        for name in names:
            *above, last = name.split("/")
            put(specs, above, {last: jax.ShapeDtypeStruct(leaves[name]["shape"], leaves[name]["dtype"])})
        return dict(leaves_with_names(read_arrays(path, specs, {name: leaves[name] for name in names})))

    return _Saved(str(path), *_graph_of(record, str(path), "fingerprint"), leaves, read)


def _graph_of(record: dict[str, Any], where: str, key: str) -> tuple[str, str]:
    """The model's JSON and its fingerprint."""
    text, fingerprint = record.get("model"), record.get(key, "")
    if not isinstance(text, str) or not isinstance(fingerprint, str):
        raise LoadError(where, expected="a saved model", got="something else that jgraph saved", cure="Load another.")
    return text, fingerprint


def _check_into(into: Any, partial: bool, start: Any) -> None:
    if into is not None and not isinstance(into, Model):
        raise ArgumentError("load, into", expected="a jg.Model", got=repr(into), cure="Write jg.load(path, model).")
    if (partial and into is None) or (start is not None and not partial):
        raise ArgumentError(
            "load",
            expected="into=model with partial=True, and both with start=(params, state)",
            got="partial without into" if partial else "start without partial",
            cure="Write jg.load(path, into=model, partial=True, start=model.init(key)).",
        )
    if start is not None and into is not None:
        pair = start if isinstance(start, tuple) and len(start) == 2 else (None, None)
        cure = "Write start=model.init(key)."
        match(pair[0], into.params_spec, "load, start, params", cure)
        match(pair[1], into.state_spec, "load, start, state", cure)


def _specs(model: Model) -> dict[str, Any]:
    return {"params": model.params_spec, "state": model.state_spec}


def _filled(model: Model, found: dict[str, Any], start: tuple[Params, State] | None) -> tuple[Params, State]:
    """The model's trees of what was found by path, and of start values where there is nothing; else without."""
    begun = {} if start is None else dict(leaves_with_names({"params": start[0], "state": start[1]}))
    trees: dict[str, Any] = {"params": {}, "state": {}}
    for name, _ in leaves_with_names(_specs(model)):
        *above, last = name.split("/")
        if name in found or name in begun:
            put(trees, above, {last: found.get(name, begun.get(name))})
    return trees["params"], trees["state"]


def _check_graph(saved: _Saved, into: Model) -> None:
    """Compares the graphs, once their leaves are found to be the same."""
    if saved.fingerprint == into.fingerprint:
        return
    both = differences(saved.text, into.to_json())
    raise LoadError(
        saved.where,
        expected="the same graph: " + "; ".join(f"{p or 'its ends'}: {b[1]}" for p, b in both.items()),
        got="; ".join(f"{p or 'its ends'}: {b[0]}" for p, b in both.items()),
        cure="Load it without into=, or with partial=True, which takes the leaves that fit.",
    )


def _fitting(saved: _Saved, into: Model) -> tuple[list[str], list[str]]:
    """The leaves that can be taken, and what is to be said of the others."""
    here = {name: (list(s.shape), str(s.dtype)) for name, s in leaves_with_names(_specs(into))}
    there = {name: (leaf["shape"], leaf["dtype"]) for name, leaf in saved.leaves.items()}
    fits = [name for name in here if there.get(name) == here[name]]
    lists = {
        "are new here": [name for name in here if name not in there],
        "are not needed here": [name for name in there if name not in here],
        "have another shape or dtype here": [name for name in here if name in there and name not in fits],
    }
    said = [f"load {saved.where}: {listing(names, 1000)} {what}" for what, names in lists.items() if names]
    if not fits:
        raise LoadError(
            saved.where, expected="a leaf that fits", got="none", cure="It is the file of another model. " + said[0]
        )
    return fits, said


def _check_no_steps(path: str | os.PathLike[str]) -> None:
    if Path(path).is_dir() and not (Path(path) / RECORD).exists() and (steps := steps_in(path)):
        raise LoadError(
            str(path),
            expected="a step to be named, as this is a directory of checkpoints",
            got=f"step=None and the steps {listing(steps)}",
            cure='Give step="best", step="latest" or one of the numbers.',
        )


def _check_step(path: str | os.PathLike[str], step: int | str) -> None:
    number = isinstance(step, int | np.integer) and not isinstance(step, bool) and step >= 0
    if not number and not (isinstance(step, str) and step in WORDS):
        raise ArgumentError(
            "load, step",
            expected='"best", "latest" or the number of a step',
            got=repr(step),
            cure=nearest(step, WORDS) + "Leave it out for what jg.save wrote.",
        )
    if (Path(path) / RECORD).is_file():
        raise LoadError(
            str(path),
            expected="a directory of checkpoints, as a step is named",
            got="a model that jg.save wrote",
            cure="Leave out step=.",
        )


def _saved_step(path: str | os.PathLike[str], step: int | str, averaged: bool) -> _Saved:
    tree, record, where = _read(path, step, (*PARTS, AVERAGES) if averaged else PARTS)
    state = tree.get("train_state", {})
    params = state.get("params", {})
    if averaged and not state.get("ema"):
        cure = "Leave out averaged=True, or train with jg.Trainer(..., ema=0.999)."
        raise LoadError(str(where), expected="averages of the params", got="none", cure=cure)
    if averaged:
        params = jax.tree.map(lambda own, new: new.astype(own.dtype), params, overlaid(params, state["ema"]))
    found = dict(leaves_with_names({"params": params, "state": state.get("model_state", {})}))
    leaves = {name: {"shape": list(leaf.shape), "dtype": str(leaf.dtype)} for name, leaf in found.items()}

    def read(names: list[str]) -> dict[str, Any]:
        return on_device({name: found[name] for name in names}, str(where))

    return _Saved(str(where), *_graph_of(record, str(where), "graph"), leaves, read)


def _read(
    path: str | os.PathLike[str], step: int | str, parts: tuple[tuple[str, str], ...]
) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """What is needed of the step that is meant, its record, and its place."""
    if step == "best":
        number, tree, record = best_whole(path, parts)
    elif step == "latest":
        found = newest_whole(path, parts)
        if found is None:
            raise LoadError(
                str(path), expected="a directory of checkpoints", got="no steps", cure="Give that of a Checkpoint."
            )
        number, tree, record, said = found
        for sentence in said:
            logging.getLogger("jgraph").warning(sentence)
    else:
        number, (tree, record) = step, read_step(path, int(step), parts)
    return tree, record, Path(path) / str(number)
