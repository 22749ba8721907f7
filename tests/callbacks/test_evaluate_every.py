"""Evaluations every so many steps: when they are asked for, and the files that they are written to."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.callbacks import Checkpoint, CSVLogger, EvaluateEvery, Event, JSONLogger, TensorBoard
from jgraph.errors import ArgumentError
from jgraph.storage.event_file import read_records
from jgraph.train.actions import Evaluate


def rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(24, 4)).astype("float32")
    return x, np.sum(x, axis=1).astype("float32")


def fit(epochs: int, callbacks: list[Any], **options: Any) -> jg.Run:
    model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(1)])
    trainer = jg.Trainer(model, optax.sgd(0.05), loss="mse")
    given = {"batch_size": 8, "validation_data": rows(1), "progress": False, **options}
    return trainer.fit(rows(0), epochs=epochs, callbacks=callbacks, **given)


def test_a_step_is_measured_once() -> None:
    callback = EvaluateEvery(every_steps=3, every_epochs=2)
    memory, actions = callback.on_step_end(callback.init(Event().train_state), Event(step=6, epoch=1))
    assert actions == [Evaluate()]
    assert callback.on_epoch_end(memory, Event(step=6, epoch=1)) == (memory, [])
    assert callback.on_epoch_end(memory, Event(step=7, epoch=1)) == ({"last_step": 7}, [Evaluate()])
    assert callback.on_epoch_end(memory, Event(step=7, epoch=2)) == (memory, [])
    assert (callback.step_interval(), EvaluateEvery(every_epochs=1).step_interval()) == (3, None)


def test_every_logger_has_them_once_however_often_the_run_goes_on(tmp_path: Path) -> None:
    """3 steps an epoch, measured every 2 steps; the second half is done twice, as if a kill had lost it."""

    def callbacks(folder: Path) -> list[Any]:
        return [
            EvaluateEvery(every_steps=2),
            CSVLogger(folder / "log.csv", evaluations=folder / "evaluations.csv"),
            JSONLogger(folder / "log.jsonl"),
            TensorBoard(folder / "board"),
            Checkpoint(folder / "saved"),
        ]

    fit(4, callbacks(tmp_path / "a"), validation_every=4)
    folder = tmp_path / "b"
    fit(2, callbacks(folder), validation_every=4)
    lost = {path: path.read_bytes() for path in folder.glob("*.*")}
    for path in lost:
        path.write_bytes(lost[path] + b'9,9\n{"event": "torn')
    fit(4, callbacks(folder), validation_every=4, resume=folder / "saved")
    for name in ("log.csv", "evaluations.csv"):
        assert (folder / name).read_text() == (tmp_path / "a" / name).read_text()
    table = list(csv.DictReader((folder / "evaluations.csv").read_text().splitlines()))
    assert [(row["epoch"], row["step"]) for row in table] == [
        ("0", "2"),
        ("1", "4"),
        ("1", "6"),
        ("2", "8"),
        ("3", "10"),
        ("3", "12"),
    ]
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    found = [line for line in lines if line["event"] == "evaluation"]
    assert [repr(line["logs"]["val_loss"]) for line in found] == [row["val_loss"] for row in table]
    assert [line["step"] for line in lines if line["event"] == "epoch"] == [3, 6, 9, 12]
    [events] = (folder / "board" / "validation").iterdir()
    assert len(list(read_records(events))) == 1 + 6 + 1, "the version, six evaluations and the validation of fit"


def test_the_history_is_that_of_a_run_without() -> None:
    assert fit(2, [EvaluateEvery(every_steps=1)]).history == fit(2, []).history


def test_without_validation_data_it_is_refused_before_training() -> None:
    with pytest.raises(ArgumentError, match="EvaluateEvery: expected validation data, got none"):
        fit(1, [EvaluateEvery(every_epochs=1)], validation_data=None)


def test_neither_is_refused() -> None:
    with pytest.raises(ArgumentError, match="EvaluateEvery, every_steps: expected a number of steps or of epochs"):
        EvaluateEvery()


@pytest.mark.parametrize("argument", ["every_steps", "every_epochs"])
@pytest.mark.parametrize("value", [0, True, 1.5])
def test_what_is_no_count_is_refused(argument: str, value: Any) -> None:
    with pytest.raises(ArgumentError, match=f"EvaluateEvery, {argument}: expected an integer of at least 1"):
        EvaluateEvery(**{argument: value})
