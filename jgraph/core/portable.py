"""Functions by name, for pickle and copy: compiled functions of a module, as most of `jax.numpy`, know no other way."""

import dataclasses
import functools
import importlib
import operator
import sys
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class ByName:
    """What stands for the function while it travels."""

    module: str
    name: str


@dataclasses.dataclass(frozen=True)
class ByPart:
    """What stands for a `functools.partial` while it travels."""

    function: Any
    args: tuple
    keywords: dict[str, Any]


class Portable:
    """An object whose attributes may be compiled functions, also inside tuples, lists, dicts and partial functions."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: _mapped(_named, value) for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({name: _mapped(_found, value) for name, value in state.items()})


def _named(value: Any) -> Any:
    if type(value) is functools.partial:
        return ByPart(*(_mapped(_named, part) for part in (value.func, value.args, value.keywords)))
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    module = getattr(value, "__module__", None)
    if isinstance(value, type) or not isinstance(name, str) or not isinstance(module, str):
        return value
    try:
        found = operator.attrgetter(name)(sys.modules.get(module))
    except AttributeError:
        return value
    return ByName(module, name) if found is value else value


def _found(value: Any) -> Any:
    if isinstance(value, ByPart):
        return functools.partial(
            _found(value.function), *_mapped(_found, value.args), **_mapped(_found, value.keywords)
        )
    if not isinstance(value, ByName):
        return value
    return operator.attrgetter(value.name)(importlib.import_module(value.module))


def _mapped(function: Callable[[Any], Any], value: Any) -> Any:
    if type(value) in (tuple, list):
        return type(value)(_mapped(function, v) for v in value)
    if type(value) is dict:
        return {k: _mapped(function, v) for k, v in value.items()}
    return function(value)
