"""JSONLogger: its lines, and that there is one for each epoch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.callbacks import Checkpoint, JSONLogger, on_epoch_end
from jgraph.errors import ArgumentError
from jgraph.storage.json_file import JSONFile


def fit(epochs: int, folder: Path, *more: Any, **options: Any) -> jg.Run:
    random = np.random.default_rng(0)
    x = random.normal(size=(24, 4)).astype("float32")
    trainer = jg.Trainer(jg.Sequential([jg.Input((4,)), jg.layers.Dense(1)]), optax.sgd, "mse", learning_rate=0.05)
    callbacks = [JSONLogger(folder / "log.jsonl", every_steps=2), Checkpoint(folder / "saved", max_to_keep=None), *more]
    return trainer.fit((x, x.sum(1)), epochs=epochs, batch_size=8, callbacks=callbacks, progress=False, **options)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def untimed(folder: Path) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name != "timings"} for line in lines(folder)]


def test_a_line_has_all_that_is_known(tmp_path: Path) -> None:
    run = fit(2, tmp_path)
    found = lines(tmp_path)
    assert [(line["event"], line["epoch"], line["step"]) for line in found] == [
        ("step", 0, 2),
        ("epoch", 0, 3),
        ("step", 1, 4),
        ("step", 1, 6),
        ("epoch", 1, 6),
    ]
    logs = [line["logs"] for line in found if line["event"] == "epoch"]
    assert {name: [log[name] for log in logs] for name in logs[0]} == run.history
    assert all(abs(line["learning_rate"] - 0.05) < 1e-8 for line in found)
    assert set(found[1]["timings"]) == {"seconds", "epoch_seconds", "steps_per_second"}


def test_a_run_that_broke_has_each_line_once(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    fit(4, whole)
    fail = on_epoch_end(lambda event: 1 / 0 if event.epoch == 2 else None, name="fail")
    for _ in range(2):
        with pytest.raises(jg.errors.CallbackError):
            fit(4, broken, fail, resume=broken / "saved")
    fit(4, broken, resume=broken / "saved")
    assert untimed(broken) == untimed(whole)


def test_it_says_where_it_writes() -> None:
    callback = JSONLogger(Path("runs") / "log.jsonl")
    assert callback.places() == ("runs/log.jsonl",)
    assert callback.sinks({"lines": 7}) == {JSONFile("runs/log.jsonl"): 7}
    assert callback.default_name() == "json_logger"


def test_what_is_no_path_or_count_is_refused() -> None:
    with pytest.raises(ArgumentError, match="JSONLogger, path"):
        JSONLogger("")
    with pytest.raises(ArgumentError, match="JSONLogger, every_steps: expected an integer of at least 1"):
        JSONLogger("log.jsonl", every_steps=0)
