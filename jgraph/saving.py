"""Saving a model with its weights, and loading it without the code that drew it."""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.core.model import Model
from jgraph.errors import ArgumentError, LoadError, listing, nearest
from jgraph.storage.checkpoint import RECORD, compare, read_arrays, read_record, write
from jgraph.storage.steps import best_whole, newest_whole, read_step, steps_in
from jgraph.tree import leaves_with_names, match, name_of
from jgraph.typing import Params, State

WORDS = ("best", "latest")
PARTS = (("train_state", "params"), ("train_state", "model_state"))
"""What a model needs of a step."""


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
    cure = "Give the trees that belong to this model."
    match(params, model.params_spec, "save, params", cure)
    match(state, model.state_spec, "save, state", cure)
    write(path, {"params": params, "state": state}, {"model": model.to_json()})


def load(
    path: str | os.PathLike[str], *, step: int | str | None = None, allow: Iterable[Any] = ()
) -> tuple[Model, Params, State]:
    """Reads what `save` wrote, or a step that a `Checkpoint` wrote: `(model, params, state)`.

    A directory of checkpoints needs a `step`: its number, `"latest"` for the newest that is whole, or `"best"` for the
    one with the best monitored value.

    Layers of jgraph and functions of jgraph, `jax.numpy`, `jax.nn` and `jax.lax` are found by name; layers, functions
    and Flax modules from elsewhere are given in `allow`. Nothing in the file is executed.

    Raises:
        ArgumentError: the step is none of these.
        LoadError: there is no such directory or step, it is damaged (the leaf is named), of a version that is not
        known, or names something that is not in `allow`.

    >>> import jgraph as jg
    >>> jg.load("nowhere.jgraph")
    Traceback (most recent call last):
    jgraph.errors.LoadError: nowhere.jgraph: expected a directory with the file jgraph.json, got ...
    >>> jg.load("runs/nowhere", step="best")
    Traceback (most recent call last):
    jgraph.errors.LoadError: runs/nowhere: expected a whole step with a score, got no steps. ...
    """
    if step is not None:
        _check_step(path, step)
        return _load_step(path, step, allow)
    _check_no_steps(path)
    content = read_record(path)
    model = _model(path, content["record"], allow)
    specs = {"params": model.params_spec, "state": model.state_spec}
    tree = read_arrays(path, specs, content["leaves"])
    return model, tree["params"], tree["state"]


def _model(path: str | os.PathLike[str], record: dict[str, Any], allow: Iterable[Any]) -> Model:
    text = record.get("model")
    if text is None:
        raise LoadError(
            str(path), expected="a saved model", got="something else that jgraph saved", cure="Load another."
        )
    return Model.from_json(text, allow=allow)


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


def _load_step(path: str | os.PathLike[str], step: int | str, allow: Iterable[Any]) -> tuple[Model, Params, State]:
    tree, record, where = _read(path, step)
    model, saved = _model(where, record, allow), tree.get("train_state", {})
    found = {"params": saved.get("params", {}), "state": saved.get("model_state", {})}
    shapes = {name: {"shape": list(leaf.shape)} for name, leaf in leaves_with_names(found)}
    compare(where, {"params": model.params_spec, "state": model.state_spec}, shapes)
    tree = jax.tree_util.tree_map_with_path(lambda at, leaf: _on_device(leaf, f"{where}, leaf {name_of(at)!r}"), found)
    return model, tree["params"], tree["state"]


def _read(path: str | os.PathLike[str], step: int | str) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """What is needed of the step that is meant, its record, and its place."""
    if step == "best":
        number, tree, record = best_whole(path, PARTS)
    elif step == "latest":
        found = newest_whole(path, PARTS)
        if found is None:
            raise LoadError(
                str(path), expected="a directory of checkpoints", got="no steps", cure="Give that of a Checkpoint."
            )
        number, tree, record, said = found
        for sentence in said:
            logging.getLogger("jgraph").warning(sentence)
    else:
        number, (tree, record) = step, read_step(path, int(step), PARTS)
    return tree, record, Path(path) / str(number)


def _on_device(leaf: np.ndarray, where: str) -> jax.Array:
    if jax.dtypes.canonicalize_dtype(leaf.dtype) != leaf.dtype:
        cure = "Switch on jax_enable_x64, as it was when saving."
        raise LoadError(where, expected="a dtype of at most 32 bits", got=str(leaf.dtype), cure=cure)
    return jnp.asarray(leaf)
