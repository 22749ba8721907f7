"""ProgressBar: what its hooks show, and that they look at nothing themselves."""

from typing import Any

import pytest

from jgraph.callbacks.progress_bar import ProgressBar
from jgraph.draw.terminal import Bar, Line, Terminal
from jgraph.train.actions import Write
from jgraph.train.callback import Event, StepLogs
from jgraph.train.state import Position


def unread() -> Any:
    pytest.fail("the logs were read from the device")


def shown(result: Any) -> list[Any]:
    memory, actions = result
    assert memory == {}
    for action in actions:
        assert isinstance(action, Write)
        assert action.sink == Terminal()
    return [action.record for action in actions]


def test_the_bar_moves_without_looking_at_the_logs() -> None:
    logs = StepLogs(unread)
    event = Event(epoch=2, epochs=9, steps=100, position=Position(2, 40), logs=logs)
    (bar,) = shown(ProgressBar().on_step_end({}, event))
    assert isinstance(bar, Bar)
    assert (bar.epoch, bar.epochs, bar.done, bar.steps) == (2, 9, 40, 100)
    assert bar.logs is logs


def test_the_bar_is_full_after_the_last_step() -> None:
    event = Event(epoch=2, epochs=9, steps=100, position=Position(3, 0), logs=StepLogs(unread))
    assert shown(ProgressBar().on_step_end({}, event))[0].done == 100


def test_an_epoch_begins_where_it_goes_on() -> None:
    event = Event(epoch=2, epochs=9, steps=None, position=Position(2, 40), logs=StepLogs(unread))
    assert shown(ProgressBar().on_epoch_begin({}, event)) == [Bar(2, 9, 40, None, {})]


def test_an_epoch_ends_with_its_line() -> None:
    event = Event(epoch=2, epochs=10, logs={"loss": 0.5, "val_loss": 0.25}, timings={"epoch_seconds": 1.26})
    expected = [Line("epoch  3/10   1.3 s   loss 0.5   val_loss 0.25")]
    assert shown(ProgressBar().on_epoch_end({}, event)) == expected
    assert shown(ProgressBar().on_epoch_end({}, event)) == expected


def test_the_reason_is_said_where_training_stops_early() -> None:
    for hook in (ProgressBar().on_train_end, ProgressBar().on_exception):
        assert shown(hook({}, Event(stopped="val_loss is low"))) == [Line("stopped: val_loss is low")]
        assert shown(hook({}, Event())) == []


def test_it_only_glances() -> None:
    assert ProgressBar().glances()
    assert ProgressBar().step_interval() is None
    assert ProgressBar().sinks({}) == {Terminal(): 0}
    assert ProgressBar().places() == ()
    assert repr(ProgressBar()) == "ProgressBar(name=None)"
