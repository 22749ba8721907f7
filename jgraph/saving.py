"""Saving a model with its weights, and loading it without the code that drew it."""

import os
from collections.abc import Iterable
from typing import Any

from jgraph.core.model import Model
from jgraph.errors import LoadError
from jgraph.storage.checkpoint import read_arrays, read_record, write
from jgraph.tree import match
from jgraph.typing import Params, State


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


def load(path: str | os.PathLike[str], *, allow: Iterable[Any] = ()) -> tuple[Model, Params, State]:
    """Reads what `save` wrote: `(model, params, state)`.

    Layers of jgraph and functions of jgraph, `jax.numpy`, `jax.nn` and `jax.lax` are found by name; layers, functions
    and Flax modules from elsewhere are given in `allow`. Nothing in the file is executed.

    Raises:
        LoadError: there is no such directory, it is damaged (the leaf is named), of a version that is not known, or
        names something that is not in `allow`.

    >>> import jgraph as jg
    >>> jg.load("nowhere.jgraph")
    Traceback (most recent call last):
    jgraph.errors.LoadError: nowhere.jgraph: expected a directory with the file jgraph.json, got ...
    """
    content = read_record(path)
    text = content["record"].get("model")
    if text is None:
        raise LoadError(
            str(path), expected="a saved model", got="something else that jgraph saved", cure="Load another."
        )
    model = Model.from_json(text, allow=allow)
    specs = {"params": model.params_spec, "state": model.state_spec}
    tree = read_arrays(path, specs, content["leaves"])
    return model, tree["params"], tree["state"]
