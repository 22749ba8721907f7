"""Timer: by the clock that an event has, over as many runs as it takes."""

from pathlib import Path
from typing import Any

import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.callbacks import Checkpoint, Event, Stop, Timer
from jgraph.errors import ArgumentError


def at(seconds: float) -> Event:
    return Event(timings={"seconds": seconds})


def test_it_stops_when_the_time_is_up() -> None:
    timer = Timer(hours=1, minutes=1.5, seconds=10)
    memory, actions = timer.on_step_end(timer.init(Event().train_state), at(3699.0))
    assert actions == []
    assert timer.on_epoch_end(memory, at(3700.0))[1] == [Stop("the time is up: 1 hours and 1.5 minutes and 10 seconds")]
    assert memory == {"before": 0.0, "used": 3699.0}


def test_the_time_of_earlier_runs_counts() -> None:
    timer = Timer(seconds=10)
    memory, _ = timer.on_train_end(timer.init(Event().train_state), at(6.0))
    memory, _ = timer.on_train_begin(memory, at(0.0))
    memory, actions = timer.on_step_end(memory, at(3.0))
    assert actions == []
    assert timer.on_step_end(memory, at(4.0))[1] != []


def test_whole_epochs_are_not_cut_off() -> None:
    assert (Timer(seconds=1).glances(), Timer(seconds=1, whole_epochs=True).glances()) == (True, False)
    assert Timer(seconds=1).step_interval() is None


def fit(folder: Path, timer: Timer) -> jg.Run:
    x = np.ones((24, 4), "float32")
    trainer = jg.Trainer(jg.Sequential([jg.Input((4,)), jg.layers.Dense(1)]), optax.sgd(0.1), loss="mse")
    options: dict[str, Any] = {"epochs": 10**6, "batch_size": 8, "progress": False, "resume": folder}
    return trainer.fit((x, x.sum(1)), callbacks=[timer, Checkpoint(folder, every_epochs=10**6)], **options)


def test_a_run_without_end_ends(tmp_path: Path) -> None:
    run = fit(tmp_path / "a", Timer(seconds=0.3))
    assert run.stopped == "the time is up: 0.3 seconds"
    assert run.memories["timer"]["used"] >= 0.3
    run = fit(tmp_path / "b", Timer(seconds=1e-6, whole_epochs=True))
    assert (run.stopped, run.position.step) == ("the time is up: 1e-06 seconds", 0)
    assert run.position.epoch == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "minutes: expected seconds, minutes or hours, got none of them"),
        ({"minutes": 0}, "minutes: expected a number above 0"),
        ({"seconds": float("inf")}, "seconds: expected a number above 0"),
        ({"hours": True}, "hours: expected a number above 0"),
        ({"hours": 1, "whole_epochs": 1}, "whole_epochs: expected True or False"),
    ],
)
def test_arguments_are_checked(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=f"Timer, {words}"):
        Timer(**given)
