"""Checkpoints on the disk: which stay, and what is saved when an error leaves `fit`."""

import dataclasses
import itertools
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.callbacks import Checkpoint, on_epoch_begin, on_epoch_end, on_step_end
from jgraph.errors import ArgumentError, CallbackError, ResumeError
from jgraph.storage.lock import NAME
from jgraph.storage.steps import best_step, record_of, save_step, steps_in
from jgraph.train import outlets

LOSSES = [0.5, 0.7, 0.3, 0.6, 0.4, 0.9, 0.8, 0.65]
"""What the epochs are judged by: three steps each."""

EPOCHS = len(LOSSES)


def trainer(rate: float = 0.05) -> jg.Trainer:
    return jg.Trainer(jg.Sequential([jg.Input((4,)), jg.layers.Dense(1)]), optax.sgd(rate), loss="mse")


def fit(callbacks: list[Any], epochs: int = EPOCHS, **options: Any) -> jg.Run:
    x = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
    given = {"batch_size": 8, "progress": False, **options}
    return given.pop("trainer", trainer()).fit((x, x.sum(1)), epochs=epochs, callbacks=callbacks, **given)


class Judged(Checkpoint):
    """A checkpoint whose epochs have the losses above."""

    def _judged(self, event: Any) -> Any:
        return super()._judged(dataclasses.replace(event, logs={**event.logs, "loss": LOSSES[event.epoch]}))


@pytest.mark.parametrize("cut", [None, 2, 5])
def test_the_best_three_and_the_newest_stay_also_over_a_restart(tmp_path: Path, cut: int | None) -> None:
    for epochs in [e for e in (cut, EPOCHS) if e is not None]:
        best = Judged(tmp_path, monitor="loss", top_k=3, max_to_keep=4)
        fit([best], epochs, resume=tmp_path)
    assert steps_in(tmp_path) == [3, 9, 15, 24]
    assert best_step(tmp_path) == 9


def test_the_best_alone(tmp_path: Path) -> None:
    for epochs in (3, EPOCHS):
        fit([Judged(tmp_path, monitor="loss", top_k=2, best_only=True, max_to_keep=2)], epochs, resume=tmp_path)
    assert steps_in(tmp_path) == [9, 15]


@pytest.mark.parametrize("cut", [None, 5])
def test_every_third_epoch_stays_for_ever_and_does_not_count(tmp_path: Path, cut: int | None) -> None:
    for epochs in [e for e in (cut, EPOCHS) if e is not None]:
        fit([Checkpoint(tmp_path, max_to_keep=1, keep_every=3)], epochs, resume=tmp_path)
    assert steps_in(tmp_path) == [9, 18, 24]
    assert [record_of(tmp_path, step)["kept"] for step in (9, 18, 24)] == [True, True, False]


def bits(run: jg.Run) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(run.train_state.params)]


@pytest.mark.parametrize("where", [on_step_end, on_epoch_end, on_epoch_begin])
def test_an_error_leaves_the_last_good_state_behind(tmp_path: Path, where: Any) -> None:
    """It comes in the second epoch, whose end is due to be saved, and a run that goes on has the same bits."""
    whole = fit([Checkpoint(tmp_path / "whole", every_epochs=4, on_error=True)], 4)
    count = itertools.count()
    fail = where(lambda event: 1 / 0 if event.epoch == 1 and next(count) < 1 else None, name="fail")
    with pytest.raises(CallbackError, match="ZeroDivisionError") as caught:
        fit([Checkpoint(tmp_path / "a", every_epochs=4, on_error=True), fail], 4)
    [step] = steps_in(tmp_path / "a")
    run = getattr(caught.value, "run")  # noqa: B009 (errors of this kind have it from the loop)
    assert step == int(run.train_state.step) == {on_step_end: 4, on_epoch_end: 6, on_epoch_begin: 3}[where]
    again = fit([Checkpoint(tmp_path / "a", every_epochs=4, on_error=True), fail], 4, resume=tmp_path / "a")
    assert bits(again) == bits(whole)
    assert again.history == whole.history


def test_without_it_nothing_is_saved(tmp_path: Path) -> None:
    with pytest.raises(CallbackError):
        fit([Checkpoint(tmp_path), on_step_end(lambda event: 1 / 0)])
    assert steps_in(tmp_path) == []


def test_a_state_that_is_not_finite_is_not_saved(tmp_path: Path) -> None:
    fail = on_step_end(lambda event: 1 / 0 if event.step == 12 else None)
    off = jg.callbacks.TerminateOnNaN(enabled=False)
    with pytest.raises(CallbackError) as caught:
        fit([Checkpoint(tmp_path, every_epochs=9, on_error=True), fail, off], trainer=trainer(1e30))
    assert not np.isfinite(getattr(caught.value, "run").train_state.params["dense"]["kernel"]).all()  # noqa: B009
    assert steps_in(tmp_path) == []


def test_where_saving_fails_the_error_is_the_first_one(tmp_path: Path) -> None:
    folder = tmp_path / "saved"

    def fail(event: Any) -> None:
        shutil.rmtree(folder)
        folder.write_text("something else")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        fit([Checkpoint(folder, on_error=True), on_step_end(lambda event: fail(event) if event.step == 2 else None)])
    assert any("saved" in note for note in getattr(caught.value, "__notes__", []))


def test_a_directory_is_one_runs_alone_while_it_trains(tmp_path: Path) -> None:
    def again(event: Any) -> None:
        if event.step == 2:
            fit([Checkpoint(tmp_path)], resume=tmp_path)

    with pytest.raises(CallbackError, match=r"LockedError: .*no other run writes to"):
        fit([Checkpoint(tmp_path), on_step_end(again)])
    fit([Checkpoint(tmp_path, max_to_keep=1)], resume=tmp_path)
    with pytest.raises(ArgumentError, match="epochs"):
        fit([Checkpoint(tmp_path, max_to_keep=1)], 1, resume=tmp_path)  # what fails before training lets go, too
    assert [path.name for path in tmp_path.iterdir()] == ["24"]


def test_a_lock_that_a_killed_run_has_left_is_told(tmp_path: Path) -> None:
    holder = {"process": 2**22 + 1, "host": "elsewhere", "since": "2026-11-01 10:00:00"}
    (tmp_path / NAME).write_text(json.dumps(holder))
    run = fit([Checkpoint(tmp_path)])
    words = "was held by process 4194305 on elsewhere (since 2026-11-01 10:00:00), which was killed"
    assert [text for text in run.events if words in text] == [f"{tmp_path} {words}"]


@pytest.mark.parametrize("asynchronous", [True, False])
def test_training_waits_for_a_save_that_is_not_asynchronous(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asynchronous: bool
) -> None:
    going, there = threading.Event(), []

    def slowly(*given: Any) -> None:
        going.wait(0 if not asynchronous else 60)
        save_step(*given)

    def look(event: Any) -> None:
        there.append(steps_in(tmp_path))
        if event.step == 6:
            going.set()

    monkeypatch.setattr(outlets, "save_step", slowly)
    point = Checkpoint(tmp_path, every_steps=2, max_to_keep=9, asynchronous=asynchronous)
    fit([on_step_end(look), point], 2, batch_size=8)
    assert there[2] == ([] if asynchronous else [2])
    assert steps_in(tmp_path) == [2, 3, 4, 6]


def test_steps_of_the_same_run_that_lie_ahead_stay(tmp_path: Path) -> None:
    """A best step, in a directory of its own, is there all the time, though the run has to come to it again."""
    own, best, seen = tmp_path / "own", tmp_path / "best", []

    def look(event: Any) -> None:
        seen.append(best_step(best) if event.epoch > 2 or best_is_there else None)

    def callbacks() -> list[Any]:
        judged = Judged(best, monitor="loss", best_only=True, max_to_keep=1, asynchronous=False)
        return [Checkpoint(own, max_to_keep=None), judged, on_epoch_end(look)]

    best_is_there = False
    fit(callbacks(), 8)
    for step in steps_in(own)[2:]:
        shutil.rmtree(own / str(step))
    before, best_is_there = bits_of(best), True
    stamp = (best / "9").stat().st_ctime_ns
    seen.clear()
    run = fit(callbacks(), 8, resume=own)
    assert seen == [9] * 6
    assert bits_of(best) == before
    assert any("step 9" in text and "will come to it again" in text for text in run.events)
    assert [path.name for path in best.iterdir()] == ["9"]
    assert (best / "9").stat().st_ctime_ns == stamp  # it was not even replaced


def test_a_step_that_is_damaged_is_replaced(tmp_path: Path) -> None:
    def callbacks() -> list[Any]:
        return [Checkpoint(tmp_path / "own", max_to_keep=None), Checkpoint(tmp_path / "b", max_to_keep=9, name="b")]

    fit(callbacks(), 3)
    for step in (6, 9):
        shutil.rmtree(tmp_path / "own" / str(step))
    wanted = bits_of(tmp_path / "b", "latest")
    data = max((tmp_path / "b" / "9" / "arrays").rglob("d/*"), key=lambda path: path.stat().st_size)
    data.write_bytes(bytes(data.stat().st_size))
    fit(callbacks(), 3, resume=tmp_path / "own")
    assert bits_of(tmp_path / "b", "latest") == wanted


def test_steps_ahead_of_another_future_are_put_aside(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    fit([Checkpoint(own, max_to_keep=None), Checkpoint(other, name="other")], 4)
    for step in steps_in(own)[1:]:
        shutil.rmtree(own / str(step))
    new = on_epoch_end(lambda event: [jg.callbacks.ScaleLearningRate(0.5)])
    fit([Checkpoint(own, max_to_keep=None), Checkpoint(other, name="other"), new], 2, resume=own)
    assert {"9.aside", "12.aside"} <= {path.name for path in other.iterdir()}


def bits_of(directory: Path, step: str = "best") -> list[bytes]:
    _, params, state = jg.load(directory, step=step)
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((params, state))]


def test_a_run_that_was_killed_before_its_first_save_begins_again(tmp_path: Path) -> None:
    """What it has saved in another directory is that of the same run; another run is refused."""

    def callbacks() -> list[Any]:
        return [Checkpoint(tmp_path / "own"), Judged(tmp_path / "best", monitor="loss", best_only=True)]

    whole = fit(callbacks(), 4, resume=tmp_path / "own")
    before = bits_of(tmp_path / "best")
    shutil.rmtree(tmp_path / "own")
    with pytest.raises(ResumeError, match="another run"):
        fit(callbacks(), 4, resume=tmp_path / "own", seed=1)
    again = fit(callbacks(), 4, resume=tmp_path / "own")
    assert bits(again) == bits(whole)
    assert bits_of(tmp_path / "best") == before


@pytest.mark.parametrize("keep", [None, 3])
def test_what_a_kill_has_kept_from_the_disk_is_saved_again(tmp_path: Path, keep: int | None) -> None:
    """The run remembers a best step in another directory, at the step that it goes on from, whose save was lost."""

    def callbacks() -> list[Any]:
        best = Judged(tmp_path / "best", monitor="loss", best_only=True, max_to_keep=1, keep_every=keep)
        return [Checkpoint(tmp_path / "own", max_to_keep=None), best]

    fit(callbacks(), 8)
    before = bits_of(tmp_path / "best"), steps_in(tmp_path / "best")
    record = record_of(tmp_path / "best", 9)
    for step in (s for s in steps_in(tmp_path / "own") if s > 9):
        shutil.rmtree(tmp_path / "own" / str(step))
    shutil.rmtree(tmp_path / "best" / "9")
    fit(callbacks(), 3, resume=tmp_path / "own")
    assert (bits_of(tmp_path / "best"), steps_in(tmp_path / "best")) == before
    again = record_of(tmp_path / "best", 9)
    assert (again["score"], again["kept"]) == (record["score"], record["kept"])
