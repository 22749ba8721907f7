"""Functions as callbacks: called in their hook alone, what they may return, and how they are shown."""

import functools
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from jgraph import callbacks
from jgraph.callbacks import Callback, Event, ScaleLearningRate, Stop
from jgraph.errors import ArgumentError, CallbackError
from jgraph.train.callback import HOOKS
from jgraph.train.hooks import has_hook

STOP, SCALE = Stop("enough"), ScaleLearningRate(0.5)
EVERY_HOOK = pytest.mark.parametrize("hook", HOOKS)


def factory(hook: str) -> Callable[..., Callback]:
    return getattr(callbacks, hook)


def nothing(event: Event) -> None:
    del event


@EVERY_HOOK
def test_it_is_called_in_its_hook_with_the_event(hook: str) -> None:
    seen = []
    callback, event, memory = factory(hook)(seen.append), Event(epoch=3), {}
    for other in HOOKS:
        after, actions = getattr(callback, other)(memory, event)
        assert after is memory
        assert list(actions) == []
    assert seen == [event]
    assert [other for other in HOOKS if has_hook(callback, other)] == [hook]


@EVERY_HOOK
@pytest.mark.parametrize(
    ("returned", "expected"),
    [(None, []), (STOP, [STOP]), ([], []), ((), []), ([STOP, SCALE], [STOP, SCALE]), ((SCALE,), [SCALE])],
)
def test_what_it_may_return(hook: str, returned: Any, expected: list) -> None:
    _, actions = getattr(factory(hook)(lambda event: returned), hook)({}, Event())
    assert actions == expected


@EVERY_HOOK
@pytest.mark.parametrize("returned", [True, 0.5, "stop", Stop, {"stop": 1}, [STOP, None], [[STOP]]])
def test_anything_else_is_an_error_that_names_the_function(hook: str, returned: Any) -> None:
    def mistaken(event: Event) -> Any:
        return returned

    with pytest.raises(CallbackError, match=f"{hook}, mistaken: expected an action, a list of actions, or None"):
        getattr(factory(hook)(mistaken), hook)({}, Event())


@EVERY_HOOK
@pytest.mark.parametrize("given", [None, 3, "print", [print]])
def test_what_is_not_a_function_is_refused(hook: str, given: object) -> None:
    with pytest.raises(ArgumentError, match=f"{hook}, function: expected a function of the event"):
        factory(hook)(given)


@pytest.mark.parametrize("hook", ["on_step_begin", "on_step_end"])
def test_every_steps(hook: str) -> None:
    assert factory(hook)(print).step_interval() == 1
    assert factory(hook)(print, every_steps=5).step_interval() == 5
    for wrong in (0, -1, 1.5, True, None, "2"):
        with pytest.raises(ArgumentError, match=f"{hook}, every_steps: expected"):
            factory(hook)(print, every_steps=wrong)


@EVERY_HOOK
def test_names(hook: str) -> None:
    assert factory(hook)(print).default_name() == hook
    assert factory(hook)(print, name="mine").name == "mine"
    with pytest.raises(ArgumentError, match="name"):
        factory(hook)(print, name="a/b")


def test_how_they_are_shown() -> None:
    assert repr(callbacks.on_epoch_end(nothing)) == "on_epoch_end(nothing)"
    assert repr(callbacks.on_train_end(lambda event: None)) == "on_train_end(<lambda>)"
    assert repr(callbacks.on_train_begin(functools.partial(nothing), name="x")) == "on_train_begin(partial, name='x')"
    assert repr(callbacks.on_step_end(nothing, every_steps=7)) == "on_step_end(nothing, every_steps=7)"


@EVERY_HOOK
def test_they_are_values(hook: str) -> None:
    callback = factory(hook)(nothing)
    assert callback == factory(hook)(nothing) == pickle.loads(pickle.dumps(callback))
    assert callback != factory(hook)(print)
    assert callback.configuration()["function"].endswith("test_functions:nothing")
