"""The errors of jgraph: each says where, what was expected, what was got, and how to mend it.

Every class is also the builtin that a caller would expect to catch, so `except ValueError` goes on working. Below the
classes stands what all checks of arguments share.
"""

import difflib
import os
from collections.abc import Callable, Iterable
from typing import Any, TypeGuard


class JGraphError(Exception):
    """The base of all errors of jgraph. Its message is `where: expected ..., got .... cure`.

    Every error that leaves `fit`, of whatever class, has `run`, the last good run. A copy, also one that was pickled,
    has it too, and the notes.
    """

    def __init__(self, where: str, *, expected: str, got: str, cure: str) -> None:
        self.where, self.expected, self.got, self.cure = where, expected, got, cure
        super().__init__(f"{where}: expected {expected}, got {got}. {cure}")

    def __str__(self) -> str:  # KeyError would print the repr of its message
        return str(self.args[0])

    def __reduce__(self) -> tuple:
        made = ("where", "expected", "got", "cure")
        rest = {name: value for name, value in self.__dict__.items() if name not in made}
        return _rebuild, (type(self), self.where, self.expected, self.got, self.cure), rest


def _rebuild(kind: type[JGraphError], where: str, expected: str, got: str, cure: str) -> JGraphError:
    return kind(where, expected=expected, got=got, cure=cure)


class ArgumentError(JGraphError, ValueError):
    """An argument of a layer, a model, a trainer or a call has a value that it cannot have."""


class GraphError(JGraphError, ValueError):
    """The drawing is not a whole graph: an output depends on an input that was not given, an input is named twice."""


class NameClashError(JGraphError, ValueError):
    """Two different layers of one model claim the same name."""


class ShapeError(JGraphError, ValueError):
    """A rank or an axis does not fit."""


class DTypeError(JGraphError, TypeError):
    """A dtype does not fit, or would lose values when cast."""


class SymbolError(JGraphError, TypeError):
    """A symbol stands where an array belongs, or an array where a symbol belongs."""


class KeyMismatchError(JGraphError, KeyError):
    """The keys, lengths or nesting of a tree differ from those that were drawn."""


class PathError(JGraphError, KeyError):
    """No node of the model has this path, or several do."""


class RandomKeyError(JGraphError, ValueError):
    """A layer that draws random numbers was applied with `train=True` and without a key."""


class LossError(JGraphError, ValueError):
    """A loss or metric does not fit the end of its output."""


class DataError(JGraphError, ValueError):
    """The data cannot be trained on: empty, of differing lengths, with labels out of range, or exhausted."""


class CallbackError(JGraphError, ValueError):
    """A callback raised an error (its cause), or gave back something else than its memory and actions."""


class MonitorError(JGraphError, KeyError):
    """A callback watches a log that there will not be, or one of which it is not known whether more is better."""


class WriteError(JGraphError, OSError):
    """A file or directory of a run cannot be written: no permission, no space, or not a directory."""


class LockedError(WriteError):
    """A directory is being written to by another run."""


class ResumeError(JGraphError, ValueError):
    """A checkpoint belongs to another run: another model, optimizer, seed, batch size, other data or callbacks.

    Or the data cannot go on from the midst of an epoch, or are not those that were read until there.
    """


class SaveError(JGraphError, ValueError):
    """Something in the model has no public name, or the data's state is not plain, so that no file could hold it."""


class LoadError(JGraphError, OSError):
    """A saved directory is missing, incomplete, damaged, or of a version that this jgraph does not know."""


def nearest(name: object, names: Iterable[object]) -> str:
    """`"Did you mean 'relu'? "` for a typo of a known name, else the empty string."""
    close = difflib.get_close_matches(str(name), [str(n) for n in names], n=1)
    return f"Did you mean {close[0]!r}? " if close else ""


def listing(names: Iterable[object], most: int = 12) -> str:
    """The names as `'a', 'b', 'c'`, shortened when there are many."""
    shown = [repr(str(n)) for n in names]
    return ", ".join(shown[:most]) + (f", ... ({len(shown)} in all)" if len(shown) > most else "") or "none"


def is_one_of(value: object, choices: Iterable[object]) -> bool:
    """Whether a value is one of a few: itself or an equal text, so that no array is asked for its truth.

    >>> is_one_of("same", ("valid", "same")), is_one_of(1, (True, False))
    (True, False)
    """
    return any(value is choice or (isinstance(value, str) and value == choice) for choice in choices)


def is_function(value: object) -> TypeGuard[Callable[..., Any]]:
    """Whether it can be called on arrays, which classes and layers cannot.

    >>> is_function(abs), is_function(int)
    (True, False)
    """
    return callable(value) and not isinstance(value, type) and not hasattr(value, "apply")


def check_one_of(
    where: str, name: str, value: object, choices: Iterable[object], cure: str = "Choose one of them."
) -> None:
    """Checks that an argument is one of a few values.

    Raises:
        ArgumentError: it is not; the nearest one is suggested.
    """
    choices = tuple(choices)
    if not is_one_of(value, choices):
        raise ArgumentError(
            f"{where}, {name}",
            expected=f"one of {', '.join(map(repr, choices))}",
            got=repr(value),
            cure=nearest(value, choices) + cure,
        )


def check_flag(where: str, **arguments: object) -> None:
    """Checks that each argument is true or false.

    Raises:
        ArgumentError: it is neither.
    """
    for name, value in arguments.items():
        if not isinstance(value, bool):
            raise ArgumentError(
                f"{where}, {name}", expected="True or False", got=repr(value), cure=f"Write {name}=True."
            )


def check_text(where: str, **arguments: object) -> None:
    """Checks that each argument is a text, and not the empty one.

    Raises:
        ArgumentError: it is not.
    """
    for name, value in arguments.items():
        if not isinstance(value, str) or not value:
            raise ArgumentError(
                f"{where}, {name}", expected="a text", got=repr(value), cure=f"Write it in quotes: {name}='...'."
            )


def check_path(where: str, path: object) -> None:
    """Checks that an argument names a place.

    Raises:
        ArgumentError: it is neither a text nor a path, or empty.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path) or isinstance(os.fspath(path), bytes):
        raise ArgumentError(where, expected="a path", got=repr(path), cure="Write 'runs/my_run', for example.")


def check_known(where: str, known: Iterable[str], given: Iterable[str], absent: dict[str, str]) -> None:
    """Checks that keyword arguments are among those that are known; `absent` has the cures of some that are not.

    Raises:
        ArgumentError: one is not; the nearest name is suggested.
    """
    known = tuple(known)
    for name in given:
        if name not in known:
            raise ArgumentError(
                where,
                expected=f"arguments among {listing(known, 40)}",
                got=repr(name),
                cure=absent.get(name) or f"{nearest(name, known)}See help({where}).",
            )
