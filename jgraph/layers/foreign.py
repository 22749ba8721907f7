"""What layers from other libraries share: they hold what no file can say, and name the leaves of foreign trees."""

import contextlib
import dataclasses
import functools
import importlib
import io
import operator
import pickle
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.layer import Layer
from jgraph.errors import ArgumentError, KeyMismatchError, SaveError, is_function
from jgraph.tree import name_of
from jgraph.typing import PyTree


class Foreign(Layer):
    """A layer that holds arrays or closures of another library; a file can say no more of it than its name.

    A copy shares the immutable arrays. Pickling works where what is held can be pickled.

    Raises:
        SaveError: it is pickled, and what it holds cannot be.
    """

    written = False

    def __getstate__(self) -> dict[str, Any]:
        buffer = io.BytesIO()
        try:
            _Pickler(buffer).dump(vars(self))
        except Exception as error:
            raise SaveError(
                repr(self),
                expected="a module that can be pickled",
                got=f"{type(error).__name__}: {error}",
                cure="Draw the model where you need it and move params and state alone, or write the functions and "
                "classes that the module is made of with def and class, at the top of a file.",
            ) from error
        return {"pickled": buffer.getvalue()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(pickle.loads(state["pickled"]))

    def __copy__(self) -> "Foreign":
        return dataclasses.replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Foreign":
        return dataclasses.replace(self)


class _Pickler(pickle.Pickler):
    """Knows the functions of a file by name, compiled ones too, wherever in a module they are."""

    def reducer_override(self, obj: Any) -> Any:
        module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
        is_function = callable(obj) and not isinstance(obj, type) and obj is not find
        if is_function and isinstance(module, str) and isinstance(name, str):
            with contextlib.suppress(AttributeError, ImportError):
                if find(module, name) is obj:
                    return find, (module, name)
        return NotImplemented


def find(module: str, name: str) -> Any:
    """What a file, by the name of its module, holds under a name."""
    return operator.attrgetter(name)(importlib.import_module(module))


@dataclasses.dataclass(frozen=True)
class Packing:
    """How a tree of another library becomes nested dicts with string keys, and comes back: its leaves' paths.

    >>> packing = packing_of(([1.0, (2.0,)], ()), "example")
    >>> packing.pack(([1.0, (2.0,)], ()))
    {'0': {'0': Array(1., dtype=float32), '1': {'0': Array(2., dtype=float32)}}}
    >>> packing.unpack({"0": {"0": 3.0, "1": {"0": 4.0}}})
    ([3.0, (4.0,)], ())
    """

    paths: tuple[tuple[str, ...], ...]
    tree: Any

    def pack(self, tree: PyTree) -> dict[str, Any]:
        """The leaves, as arrays, in nested dicts."""
        packed: dict[str, Any] = {}
        for path, leaf in zip(self.paths, jax.tree.leaves(tree), strict=True):
            place = functools.reduce(lambda level, word: level.setdefault(word, {}), path[:-1], packed)
            array = jnp.asarray(leaf)
            place[path[-1]] = jnp.asarray(array, array.dtype)  # what was a number has a dtype that stays
        return packed

    def fresh(self, tree: PyTree) -> dict[str, Any]:
        """As `pack`, but copies: who donates them to a program does not empty the module that they come from."""
        return jax.tree.map(jnp.copy, self.pack(tree))

    def unpack(self, packed: dict[str, Any]) -> PyTree:
        """The tree of the other library with the leaves that the nested dicts hold."""
        return jax.tree.unflatten(self.tree, [functools.reduce(operator.getitem, path, packed) for path in self.paths])


def packing_of(tree: PyTree, where: str, box: str | None = None) -> Packing:
    """The packing of a tree; `box` is the attribute in which each leaf's box holds it, which no path names.

    Raises:
        KeyMismatchError: two leaves would have the same path.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
    boxes = [] if box is None else [f".{box}"]  # as a key path is written: an attribute, no entry of that name
    paths = tuple(tuple(name_of((k,)).replace("/", ".") for k in path if str(k) not in boxes) for path, _ in leaves)
    paths = tuple(path or ("value",) for path in paths)
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise KeyMismatchError(
            where,
            expected="leaves with paths of their own, once keys are written as strings",
            got=f"two at {'/'.join(twice)!r}",
            cure="Rename one of the keys.",
        )
    return Packing(paths, structure)


def is_module(value: Any, package: str) -> bool:
    """Looks at the names of the classes, so that a library is imported only by those who use it."""
    classes = type(value).__mro__
    return any(c.__name__ == "Module" and f"{c.__module__}.".startswith(f"{package}.") for c in classes)


def check_module(layer: Any, package: str, cure: str) -> None:
    """Checks that a layer's `module` is an object of a library's class `Module`.

    Raises:
        ArgumentError: it is something else, or a class.
    """
    if not is_module(layer.module, package):
        raise ArgumentError(
            f"{type(layer).__name__}, module", expected=f"a module of {package}", got=repr(layer.module), cure=cure
        )


def check_functions(layer: Any) -> None:
    """Checks that a layer's `init_function` and `apply_function` are functions.

    Raises:
        ArgumentError: one is not.
    """
    for name in ("init_function", "apply_function"):
        if not is_function(getattr(layer, name)):
            raise ArgumentError(
                f"{type(layer).__name__}, {name}",
                expected="a function",
                got=repr(getattr(layer, name)),
                cure="Write jg.as_layer(init, apply).",
            )
