"""Public names of functions and layers: what a saved file may say, and how it is looked up again.

A file names things of jgraph, `jax.numpy`, `jax.nn` and `jax.lax`; anything else is given by the one who loads. Names
are looked up, never imported from the file's word and never executed.
"""

import dataclasses
import importlib
import inspect
from collections.abc import Iterable
from typing import Any

import jax

from jgraph.core.layer import Layer
from jgraph.errors import LoadError, SaveError, listing, nearest
from jgraph.typing import Function

FUNCTION_ROOTS = (
    "jax.nn",
    "jax.nn.initializers",
    "jax.numpy",
    "jax.numpy.linalg",
    "jax.numpy.fft",
    "jax.lax",
    "jgraph.ops",
    "jgraph.ops.activations",
)
LAYER_ROOTS = ("jgraph.layers", "jgraph.core.layer", "jgraph.core.sequential")
VALUE_ROOTS = ("jgraph.initializers", "jgraph.regularizers", "jgraph.constraints")
"""Where classes are that layers hold objects of; a file says `regularizers.L2`."""

REFUSED = (
    *("save", "savez", "load", "fromfile", "set_printoptions", "printoptions"),
    *("frompyfunc", "vectorize", "fromfunction", "apply_along_axis"),
)
"""Functions that read or write files, change settings, or wrap Python functions: no model needs them."""


def name_of_function(function: Function) -> str:
    """The public name of a function, or `custom:` and its own name.

    Raises:
        SaveError: it has neither, as a lambda.

    >>> import jax
    >>> name_of_function(jax.nn.relu)
    'jax.nn.relu'
    """
    own = getattr(function, "__name__", "")
    for root in FUNCTION_ROOTS:
        if callable(function) and _public(root, own) is function:
            return f"{root}.{own}"
    return _custom(function, own)


def find_function(name: str, allow: Iterable[Any], where: str) -> Function:
    """The function of that name.

    Raises:
        LoadError: it is not public, or was not allowed.
    """
    if name.startswith("custom:"):
        return _allowed(name, allow, where)
    root, _, own = name.rpartition(".")
    found = _public(root, own) if root in FUNCTION_ROOTS else None
    if found is None:
        raise LoadError(
            where,
            expected=f"a public function of {listing(FUNCTION_ROOTS)}",
            got=repr(name),
            cure="The file is not sound.",
        )
    return found


def _public(root: str, own: str) -> Any:
    """The function of that name in a module, where it is one that models may need; else `None`."""
    found = getattr(importlib.import_module(root), own or " ", None)
    home = getattr(found, "__module__", None) or type(found).__module__
    refused = not callable(found) or inspect.isclass(found) or own.startswith("_") or own in REFUSED
    return None if refused or not home.startswith(("jax", "jgraph.ops")) else found


def name_of_class(kind: type) -> str:
    """The name of a class of layers of jgraph, or of values that they hold, or `custom:` and its own name.

    Raises:
        SaveError: it has none that a file could say.
    """
    own = kind.__name__
    for root in VALUE_ROOTS:
        if getattr(importlib.import_module(root), own, None) is kind:
            return f"{root.removeprefix('jgraph.')}.{own}"
    return own if any(found is kind for found in _classes(own)) else _custom(kind, own)


def find_class(name: str, allow: Iterable[Any], where: str) -> Any:
    """The class of that name.

    Raises:
        LoadError: it is no layer of jgraph, or was not allowed.
    """
    if name.startswith("custom:"):
        return _allowed(name, allow, where)
    root, _, own = name.rpartition(".")
    if f"jgraph.{root}" in VALUE_ROOTS:
        found = getattr(importlib.import_module(f"jgraph.{root}"), own, None)
        if dataclasses.is_dataclass(found) and inspect.isclass(found):
            return found
    for found in _classes(name):
        if inspect.isclass(found) and issubclass(found, Layer):
            return found
    raise LoadError(where, expected="a class of jgraph", got=repr(name), cure="Load it with the jgraph that saved it.")


def find_layer(name: str, allow: Iterable[Any], where: str) -> Layer:
    """The layer of that name among what is allowed, for a file that says no more of it.

    Raises:
        LoadError: there is none, or there are several.
    """
    given = [thing for thing in allow if isinstance(thing, Layer) and not thing.written]
    found = list(dict.fromkeys(layer for layer in given if layer.name == name))
    if len(found) != 1:
        names = [layer.name for layer in given]
        raise LoadError(
            where,
            expected=f"the layer {name!r} among what is allowed, once",
            got=listing(names),
            cure=f"{nearest(name, names)}Make it as it was made, and write jg.load(path, allow=[layer]).",
        )
    return found[0]


def _classes(name: str) -> list[Any]:
    """What the modules of layers have under a name."""
    return [getattr(importlib.import_module(root), name, None) for root in LAYER_ROOTS]


def _custom(thing: Any, own: str) -> str:
    if not own.isidentifier():
        raise SaveError(
            repr(thing),
            expected="a function or class with a name of its own",
            got=own or type(thing).__name__,
            cure="Write it with def, and give it to jg.load(path, allow=[...]) when you load.",
        )
    if getattr(thing, "__globals__", None) is jax.nn.initializers.he_normal.__globals__:  # where JAX makes initializers
        raise SaveError(
            repr(thing),
            expected="a function that JAX gives a public name",
            got=f"{own!r}, which one of JAX's functions made",
            cure="Name it where there is a name, as in kernel_initializer='he_normal'; or write it with def.",
        )
    return f"custom:{own}"


def _allowed(name: str, allow: Iterable[Any], where: str) -> Any:
    own = name.removeprefix("custom:")
    given = [(str(getattr(thing, "__name__", thing)), thing) for thing in allow]
    found = list(dict.fromkeys(thing for known, thing in given if known == own))
    if len(found) != 1:
        raise LoadError(
            where,
            expected=f"{own!r} among what is allowed, once",
            got=listing(known for known, _ in given),
            cure=f"{nearest(own, dict(given))}It is not part of jgraph: write jg.load(path, allow=[{own}]).",
        )
    return found[0]
