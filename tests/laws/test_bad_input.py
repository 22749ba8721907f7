"""Bad input: every argument of everything public, with what is wrong for it, and the error that says so."""

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import jgraph as jg
from jgraph.errors import JGraphError
from tests.laws.audit.bad import BY_ENDING, BY_NAME, LOG, NAME, Bad
from tests.laws.audit.good import arguments, call, everything
from tests.laws.audit.methods import METHODS, METHODS_ANY, METHODS_BY_NAME, METHODS_OF, METHODS_SAID_BY
from tests.laws.audit.of import ANY, JUDGED, OF, SAID_BY, WEIGHTS, WORDS

PUBLIC = everything()


def parameters_of(name: str) -> list[str]:
    return list(inspect.signature(PUBLIC[name]).parameters)


def bad_for(name: str, parameter: str) -> tuple[Bad, ...] | None:
    """What is wrong for an argument, or `None` where nothing is."""
    own = f"{name}.{parameter}"
    if name in ANY or own in ANY:
        return None
    if own in OF:
        found = OF[own]
        return found if isinstance(found, tuple) else (found,)
    if not isinstance(PUBLIC[name], type) and isinstance(PUBLIC[name], (jg.Loss, jg.metrics.Metric)):
        return (WEIGHTS if parameter == "weights" else JUDGED,)
    if parameter == "name":
        return (LOG if name.startswith(("losses.", "metrics.", "Loss")) else NAME,)
    ending = next((bad for end, bad in BY_ENDING.items() if parameter.endswith(end)), None)
    return (ending or BY_NAME[parameter],)


def refusal(function: Callable[..., Any], given: dict[str, Any], value: Any) -> JGraphError:
    """The error that a call raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call(function, given)
    except JGraphError as error:
        return error
    except Exception as error:
        pytest.fail(f"{value!r} leaves a traceback of the inside: {type(error).__name__}: {error}")
    pytest.fail(f"{value!r} is silently accepted")


def said_by(name: str, parameter: str, function: Any) -> tuple[str, ...]:
    """Whom an error may name: the callable, or the object whose method it is, unless it only hands the argument on."""
    given = {**SAID_BY, **METHODS_SAID_BY}
    own = getattr(function, "name", None) or name.rpartition(".")[2]
    owner = (repr(function.__self__),) if inspect.ismethod(function) else ()
    return (own, *owner, *(given[n] for n in (f"{name}.{parameter}", name) if n in given))


def plain(text: str) -> str:
    """`OnEpochEnd` and `on_epoch_end` alike."""
    return text.lower().replace("_", "")


def faults(name: str, function: Callable[..., Any], given: dict[str, Any], parameter: str, bad: Bad) -> list[str]:
    """What is wrong with the errors of one argument."""
    found: list[str] = []
    for value in bad.values + tuple(typo for typo, _ in bad.typos):
        try:
            error = refusal(function, {**given, parameter: value}, value)
        except pytest.fail.Exception as failure:
            found.append(f"{parameter}: {failure}")
            continue
        if type(error) is not bad.error:
            found.append(f"{parameter}: {value!r} raises {type(error).__name__}, not {bad.error.__name__}: {error}")
        names = any(plain(said) in plain(error.where) for said in said_by(name, parameter, function))
        word = WORDS.get(f"{name}.{parameter}", WORDS.get(parameter, parameter))
        if not names or word not in str(error):
            found.append(f"{parameter}: {value!r} is not said to be that of {name}: {error}")
        if not (error.expected and error.got and error.cure):
            found.append(f"{parameter}: {value!r}, something is not said: {error}")
    for typo, meant in bad.typos:
        error = refusal(function, {**given, parameter: typo}, typo)
        if f"Did you mean {meant!r}?" not in error.cure:
            found.append(f"{parameter}: {typo!r} is no {meant!r}: {error}")
    return found


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_bad_argument_is_an_error_that_says_so(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = []
    for parameter in parameters_of(name):
        bads = bad_for(name, parameter)
        for bad in bads or ():
            found += faults(name, PUBLIC[name], arguments(name, PUBLIC[name]), parameter, bad)
    assert not found, "\n".join([f"{len(found)} of {name}", *found])


HELD = (jg.Model, jg.Trainer, jg.TrainState, jg.Run)


def methods() -> list[str]:
    """The public methods of what users hold, their own ones."""
    return [
        f"{kind.__name__}.{name}"
        for kind in HELD
        for name, method in vars(kind).items()
        if (not name.startswith("_") or name == "__call__") and (inspect.isfunction(method) or is_static(method))
    ] + ["Model.plot"]


def is_static(method: Any) -> bool:
    return isinstance(method, (staticmethod, classmethod))


def bad_for_method(name: str, parameter: str) -> tuple[Bad, ...]:
    """What is wrong for an argument of a method; nothing where the tables say why."""
    own = f"{name}.{parameter}"
    return () if own in METHODS_ANY else METHODS_OF[own] if own in METHODS_OF else METHODS_BY_NAME[parameter]


@pytest.mark.parametrize("name", methods())
def test_every_bad_argument_of_a_method_is_an_error_that_says_so(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    owner, given = METHODS[name]
    method = getattr(owner(), name.partition(".")[2])
    good = {parameter: make() for parameter, make in given.items()}
    call(method, good)
    found = []
    for parameter in inspect.signature(method).parameters:
        for bad in bad_for_method(name, parameter):
            found += faults(name, method, good, parameter, bad)
    assert not found, "\n".join([f"{len(found)} of {name}", *found])


def test_the_tables_name_nothing_that_is_not_there() -> None:
    known = {f"{name}.{parameter}" for name in PUBLIC for parameter in parameters_of(name)} | set(PUBLIC)
    assert {*OF, *ANY, *SAID_BY} <= known
    used = {parameter for name in PUBLIC for parameter in parameters_of(name)}
    assert set(BY_NAME) <= used


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_the_good_call_is_good(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    computes = isinstance(PUBLIC[name], (jg.Loss, jg.metrics.Metric))  # which takes long, and has laws of its own
    if not computes and not ANY.get(name, "").startswith(("abstract", "a record")):
        call(PUBLIC[name], arguments(name, PUBLIC[name]))
