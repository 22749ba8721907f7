"""Throughput: what it makes of clock and counts, and where it is written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.callbacks import Event, JSONLogger, TensorBoard, Throughput, on_step_end
from jgraph.errors import ArgumentError


def event(step: int, seconds: float, **timings: float) -> Event:
    return Event(step=step, timings={"seconds": seconds, **timings}, batch_size=32)


def rates(callback: Throughput, memory: Any, at: Event) -> dict[str, float]:
    return {name: value for name, value in callback.measures(memory, at).items() if "memory" not in name}


def test_a_rate_is_since_the_last_look() -> None:
    callback = Throughput(every_steps=10)
    memory, _ = callback.on_train_begin(callback.init(Event().train_state), event(100, 2.0))
    memory, actions = callback.on_step_end(memory, event(110, 4.0))
    assert actions == []
    assert rates(callback, memory, event(120, 6.0)) == {"steps_per_second": 5.0, "examples_per_second": 160.0}
    assert rates(callback, memory, event(110, 4.0))["steps_per_second"] == 0.0


def test_that_of_an_epoch_is_the_loop_s_own() -> None:
    callback = Throughput(operations=100.0, peak=1000.0, batch_size=8)
    assert rates(callback, callback.init(Event().train_state), event(120, 6.0, steps_per_second=4.0)) == {
        "steps_per_second": 4.0,
        "examples_per_second": 32.0,
        "operations_per_second": 400.0,
        "utilisation": 0.4,
    }


def fit(*callbacks: Any, iterable: bool = False) -> jg.Run:
    x = np.ones((24, 4), "float32")
    rows = x, x.sum(1)
    trainer = jg.Trainer(jg.Sequential([jg.Input((4,)), jg.layers.Dense(1)]), optax.sgd(0.1), loss="mse")
    data: Any = [(x[:8], x[:8].sum(1))] * 3 if iterable else rows
    return trainer.fit(data, epochs=2, batch_size=8, callbacks=list(callbacks), progress=False)


MEASURED = {"steps_per_second", "examples_per_second", "operations_per_second", "process_memory"}


def test_they_are_timings_and_every_logger_has_them(tmp_path: Path) -> None:
    seen: list[Event] = []
    run = fit(
        on_step_end(seen.append, every_steps=2),
        JSONLogger(tmp_path / "log.jsonl", every_steps=2),
        TensorBoard(tmp_path / "board", every_steps=2),
        Throughput(every_steps=2, operations=64.0),
    )
    assert set(run.timings) - {"epoch_seconds"} == MEASURED
    assert set(run.history) == {"loss"}
    for own in seen:
        assert set(own.timings) - {"seconds"} == MEASURED
        assert own.timings["examples_per_second"] == 8 * own.timings["steps_per_second"] > 0
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["step", "epoch", "step", "step", "epoch"]
    assert all(set(line["timings"]) >= MEASURED for line in lines)
    [file] = (tmp_path / "board" / "train").iterdir()
    assert b"steps/utilisation" not in file.read_bytes()
    assert b"steps/operations_per_second" in file.read_bytes()
    assert run.timings["process_memory"][0] > 2**20


def test_an_iterable_has_no_examples_unless_it_is_said_how_many() -> None:
    assert "examples_per_second" not in fit(Throughput(), iterable=True).timings
    assert "examples_per_second" in fit(Throughput(batch_size=8), iterable=True).timings


def test_members_measure_the_steps_that_they_take_together() -> None:
    x = np.ones((24, 4), "float32")
    trainer = jg.Trainer(jg.Sequential([jg.Input((4,)), jg.layers.Dense(1)]), optax.sgd(0.1), loss="mse")
    runs = trainer.fit_many((x, x.sum(1)), epochs=2, seeds=2, batch_size=8, callbacks=[Throughput()], progress=False)
    for run in runs:
        assert run.timings["examples_per_second"] == [8 * rate for rate in run.timings["steps_per_second"]]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"every_steps": 0}, "every_steps: expected an integer of at least 1"),
        ({"batch_size": 1.5}, "batch_size: expected an integer of at least 1"),
        ({"operations": 0}, "operations: expected a number above 0"),
        ({"operations": 1, "peak": float("inf")}, "peak: expected a number above 0"),
        (
            {"peak": 1e12},
            "operations: expected those of a step, beside a peak, got none. Write operations=trainer.lower",
        ),
    ],
)
def test_arguments_are_checked(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=f"Throughput, {words}"):
        Throughput(**given)
