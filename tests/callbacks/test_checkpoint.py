"""Checkpoints: when the run is saved, what stays, and what does not go together."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from jgraph.callbacks import Checkpoint, Save
from jgraph.errors import ArgumentError, MonitorError
from jgraph.train.callback import Event, Setup
from jgraph.train.state import Position

EPOCH = 4
NAN = math.nan


class Loop:
    """What the loop does with a checkpoint, epoch by epoch, of four steps each; `saves` are by the step."""

    def __init__(self, callback: Checkpoint, memory: Any = None, seconds: float = 0.0) -> None:
        self.callback, self.seconds, self.saves = callback, seconds, []
        self.memory = callback.init(None) if memory is None else memory  # pyright: ignore[reportArgumentType]
        self.step, self.steps = 0, EPOCH

    def fire(self, hook: str, **facts: Any) -> None:
        event = Event(step=self.step, steps=self.steps, timings={"seconds": self.seconds}, **facts)
        self.memory, actions = getattr(self.callback, hook)(self.memory, event)
        for action in actions:
            assert isinstance(action, Save)
            self.saves.append((self.step, action))

    def run(self, values: Sequence[float], seconds_a_step: float = 1.0, end: bool = True, mode: str = "min") -> "Loop":
        self.fire("on_train_begin")
        interval, first = self.callback.step_interval(), self.step // EPOCH
        for epoch, value in enumerate(values, first):
            for done in range(1, EPOCH + 1):
                self.step, self.seconds = self.step + 1, self.seconds + seconds_a_step
                if self.callback.glances() or (interval is not None and self.step % interval == 0):
                    self.fire("on_step_end", epoch=epoch, position=Position(epoch, done))
            logs, directions = {"loss": 1.0, "val_loss": value}, {"val_loss": mode}
            self.fire("on_epoch_end", epoch=epoch, position=Position(epoch + 1), logs=logs, directions=directions)
        if end:
            self.fire("on_train_end")
        return self

    def at(self) -> list[int]:
        return [step for step, _ in self.saves]


def test_every_epoch_and_not_twice_at_the_end() -> None:
    assert Loop(Checkpoint("runs/x")).run([1.0] * 3).at() == [4, 8, 12]


def test_every_second_epoch_and_the_end() -> None:
    assert Loop(Checkpoint("runs/x", every_epochs=2)).run([1.0] * 5).at() == [8, 16, 20]


def test_intervals_add_up_and_an_epoch_s_last_step_is_left_to_its_end() -> None:
    loop = Loop(Checkpoint("runs/x", every_steps=2)).run([1.0] * 2)
    assert loop.at() == [2, 4, 6, 8]
    loop = Loop(Checkpoint("runs/x", monitor="val_loss", every_steps=2)).run([1.0] * 2)
    assert [save.score for _, save in loop.saves] == [None, 1.0, None, 1.0]


def test_steps_alone() -> None:
    assert Loop(Checkpoint("runs/x", every_epochs=None, every_steps=3)).run([1.0] * 3, end=False).at() == [3, 6, 9, 12]
    assert Loop(Checkpoint("runs/x", every_epochs=None, every_steps=5)).run([1.0] * 3).at() == [5, 10, 12]


def test_an_epoch_s_last_step_is_saved_where_its_end_will_not_be() -> None:
    assert Loop(Checkpoint("runs/x", every_epochs=2, every_steps=4)).run([1.0] * 3, end=False).at() == [4, 8, 12]


def test_the_end_of_an_epoch_of_unknown_length_is_saved_over_its_last_step() -> None:
    loop = Loop(Checkpoint("runs/x", every_steps=2, monitor="val_loss"))
    loop.steps = None  # pyright: ignore[reportAttributeAccessIssue]
    assert loop.run([1.0, 0.5]).at() == [2, 4, 4, 6, 8, 8]
    assert (loop.memory["best"], loop.memory["best_step"]) == (0.5, 8)


def test_minutes_count_from_the_last_save() -> None:
    callback = Checkpoint("runs/x", every_epochs=None, every_minutes=1)
    loop = Loop(callback).run([1.0] * 3, seconds_a_step=25.0, end=False)
    assert loop.at() == [3, 6, 9, 12]
    callback = Checkpoint("runs/x", every_minutes=1)
    assert Loop(callback).run([1.0] * 2, seconds_a_step=25.0, end=False).at() == [3, 4, 7, 8]


def test_the_clock_starts_anew_where_a_run_goes_on() -> None:
    callback = Checkpoint("runs/x", every_epochs=None, every_minutes=1)
    first = Loop(callback).run([1.0], seconds_a_step=100.0)
    assert first.memory["saved_at"] == 400.0
    again = Loop(callback, first.memory)
    again.fire("on_train_begin")
    assert again.memory["saved_at"] == 0.0


def test_a_memory_without_a_clock_is_reproducible() -> None:
    slow, fast = (
        Loop(Checkpoint("runs/x", every_steps=3)).run([1.0] * 2, seconds_a_step=s).memory for s in (100.0, 0.1)
    )
    assert repr(slow) == repr(fast)
    assert slow["saved_at"] == 0.0


def test_what_is_called_at_other_steps_too_saves_at_its_own() -> None:
    callback = Checkpoint("runs/x", every_epochs=None, every_steps=3, every_minutes=1e6)
    assert callback.glances()
    assert Loop(callback).run([1.0] * 2, end=False).at() == [3, 6]


@pytest.mark.parametrize("stopped", [None, "interrupted", "not finite at step 6"])
def test_the_end_is_saved_whoever_stopped(stopped: str | None) -> None:
    loop = Loop(Checkpoint("runs/x"))
    loop.run([1.0], end=False)
    loop.step += 2
    loop.fire("on_train_end", stopped=stopped)
    assert loop.at() == [4, 6]
    loop.fire("on_train_end", stopped=stopped)
    assert loop.at() == [4, 6]


def test_the_best_is_protected_and_scored() -> None:
    loop = Loop(Checkpoint("runs/x", monitor="val_loss", max_to_keep=2)).run([0.5, 0.7, 0.4, NAN, 0.6])
    assert [(step, save.score, save.protect) for step, save in loop.saves] == [
        (4, 0.5, (4,)),
        (8, 0.7, (4,)),
        (12, 0.4, (12,)),
        (16, None, (12,)),
        (20, 0.6, (12,)),
    ]
    assert {(save.monitor, save.mode) for _, save in loop.saves} == {("val_loss", "min"), (None, None)}
    assert loop.memory["best"] == 0.4


def test_the_best_by_a_mode() -> None:
    loop = Loop(Checkpoint("runs/x", monitor="val_loss", mode="max")).run([0.5, 0.7, 0.4])
    assert [save.protect for _, save in loop.saves] == [(4,), (8,), (8,)]
    assert {save.mode for _, save in loop.saves} == {"max"}
    assert Loop(Checkpoint("runs/x", monitor="val_loss")).run([0.5, 0.7], mode="max").memory["best"] == 0.7


def test_best_only() -> None:
    loop = Loop(Checkpoint("runs/x", monitor="val_loss", best_only=True, max_to_keep=1)).run([NAN, 0.5, 0.7, 0.4, 0.4])
    assert [(step, save.score, save.protect) for step, save in loop.saves] == [(8, 0.5, ()), (16, 0.4, ())]


def test_the_best_three_are_protected_the_best_first() -> None:
    callback = Checkpoint("runs/x", monitor="val_loss", top_k=3, max_to_keep=4)
    loop = Loop(callback).run([0.5, 0.7, NAN, 0.4, 0.5, 0.6, 0.3])
    assert [save.protect for _, save in loop.saves] == [
        (4,),
        (4, 8),
        (4, 8),
        (16, 4, 8),
        (16, 4, 20),
        (16, 4, 20),
        (28, 16, 4),
    ]


def test_only_what_is_among_the_best_two_is_saved() -> None:
    callback = Checkpoint("runs/x", monitor="val_loss", top_k=2, best_only=True, max_to_keep=2)
    loop = Loop(callback).run([0.5, 0.7, 0.8, 0.6, NAN, 0.6, 0.1])
    assert [(step, save.protect) for step, save in loop.saves] == [(4, (4,)), (8, (4, 8)), (16, (4, 16)), (28, (28, 4))]


def test_the_ranks_outlive_a_restart() -> None:
    callback = Checkpoint("runs/x", monitor="val_loss", top_k=2)
    again = Loop(callback, Loop(callback).run([0.5, 0.3]).memory)
    again.step = 2 * EPOCH
    again.run([0.6, 0.4], end=False)
    assert [save.protect for _, save in again.saves if save.replace] == [(8, 4), (8, 16)]


def test_every_third_epoch_stays_for_ever() -> None:
    loop = Loop(Checkpoint("runs/x", keep_every=3, every_steps=3)).run([1.0] * 6)
    assert [step for step, save in loop.saves if save.keep] == [12, 24]


def test_best_only_among_the_epochs_that_are_due() -> None:
    callback = Checkpoint("runs/x", monitor="val_loss", best_only=True, every_epochs=2)
    assert Loop(callback).run([0.1, 0.5, 0.1, 0.4]).at() == [8, 16]


def test_a_run_that_goes_on_knows_what_is_saved() -> None:
    callback = Checkpoint("runs/x", monitor="val_loss")
    first = Loop(callback).run([0.5, 0.7])
    again = Loop(callback, first.memory)
    again.step = first.step
    again.fire("on_train_end")
    assert again.at() == []
    again.run([0.6])
    assert [save.protect for _, save in again.saves if save.replace] == [(4,)]


def test_a_save_carries_the_directory_and_how_many_stay() -> None:
    path = Path("runs") / "x"
    loop = Loop(Checkpoint(path, max_to_keep=None)).run([1.0])
    assert loop.saves == [(4, Save(path, max_to_keep=None))]
    assert Checkpoint(path).places() == Checkpoint(path).directories() == (str(path),)
    assert Checkpoint(path).configuration()["directory"] == str(path)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("directory", value) for value in (None, 3, b"runs", "", ["runs"])),
        *(("every_epochs", value) for value in (0, -1, 1.5, True, "1")),
        *(("every_steps", value) for value in (0, -1, 1.5, True, "1")),
        *(("every_minutes", value) for value in (0, -1, NAN, math.inf, True, "1")),
        *(("max_to_keep", value) for value in (0, -1, 1.5, True, "1")),
        *(("best_only", value) for value in (1, None, "yes")),
        *(("on_error", value) for value in (1, None, "yes")),
        *(("top_k", value) for value in (0, None, True, 1.5)),
        *(("keep_every", value) for value in (0, True, 1.5)),
        *(("monitor", value) for value in (1, "", ["loss"])),
        *(("mode", value) for value in ("best", 1, None)),
    ],
)
def test_arguments_are_checked_when_given(argument: str, value: object) -> None:
    given: dict[str, Any] = {"directory": "runs/x", argument: value}
    with pytest.raises(ArgumentError, match=rf"Checkpoint, {argument}: expected"):
        Checkpoint(**given)


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"every_epochs": None}, "every_epochs"),
        ({"best_only": True}, "monitor"),
        ({"mode": "max"}, "monitor"),
        ({"monitor": "loss", "best_only": True, "every_steps": 5}, "best_only"),
        ({"monitor": "loss", "best_only": True, "every_minutes": 5}, "best_only"),
        ({"monitor": "loss", "max_to_keep": 1}, "max_to_keep"),
        ({"top_k": 2}, "top_k"),
        ({"monitor": "loss", "top_k": 3}, "max_to_keep"),
        ({"monitor": "loss", "top_k": 4, "best_only": True}, "max_to_keep"),
        ({"every_epochs": 2, "keep_every": 3}, "keep_every"),
        ({"every_epochs": None, "every_steps": 2, "keep_every": 3}, "keep_every"),
    ],
)
def test_what_does_not_go_together(given: dict[str, Any], argument: str) -> None:
    with pytest.raises(ArgumentError, match=rf"Checkpoint, {argument}: expected"):
        Checkpoint("runs/x", **given)


def test_a_checkpoint_without_a_monitor_fits_any_run() -> None:
    Checkpoint("runs/x").check(Setup())
    with pytest.raises(MonitorError):
        Checkpoint("runs/x", monitor="val_loss").check(Setup(logs=("loss",)))
