"""Reading ahead in whole runs: the same bits as without it, no thread left behind, and the memory of a few batches."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.train import source


def trainer() -> jg.Trainer:
    x = jg.Input((4,), name="x")
    hidden = jg.layers.Dropout(0.3)(jg.layers.Dense(8, "tanh")(x))
    y = jg.layers.Dense(3, activation="softmax", name="y")(jg.layers.BatchNormalization()(hidden))
    return jg.Trainer(jg.Model(x, y), optax.adam(0.01), loss="sparse_categorical_crossentropy", metrics="accuracy")


TRAINER = trainer()


def data(rows: int = 50) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(rows, 4)).astype("float32"), random.integers(0, 3, rows)


class Batches:
    """Batches that count how many were read, and how many iterators are open."""

    def __init__(self, at: dict[int, Callable[[], Any]] | None = None) -> None:
        self.read, self.open, self.at = 0, 0, at or {}

    def __iter__(self) -> Iterator[Any]:
        self.open += 1
        try:
            for start in range(0, 50, 8):
                self.at.get(self.read, lambda: None)()
                self.read += 1
                yield tuple(a[start : start + 8] for a in data())
        finally:
            self.open -= 1


class Plain:
    """In place of `Prefetch`: the same items, each made when it is asked for."""

    def __init__(self, make: Callable[[], Iterator[Any]]) -> None:
        self.items = make()

    def __next__(self) -> Any:
        return next(self.items)

    def close(self) -> None:
        self.items.close()  # pyright: ignore[reportAttributeAccessIssue]


def fit(given: Any, **options: Any) -> jg.Run:
    return TRAINER.fit(given, **{"epochs": 3, "batch_size": 8, "progress": False, "data_on_device": False, **options})


def left() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "jgraph-prefetch"]


@pytest.mark.parametrize("what", ["rows", "an iterable"])
def test_reading_ahead_changes_no_bit(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> jg.Run:
        if what == "rows":
            return fit(data(), validation_split=0.2)
        return fit(Batches(), validation_data=Batches(), data_on_device=None)

    ahead = trained()
    monkeypatch.setattr(source, "Prefetch", Plain)
    behind = trained()
    jax.tree.map(
        np.testing.assert_array_equal,
        (ahead.train_state.params, ahead.train_state.model_state, ahead.train_state.opt_state, ahead.history),
        (behind.train_state.params, behind.train_state.model_state, behind.train_state.opt_state, behind.history),
    )


def test_a_stop_leaves_no_thread_and_little_read_ahead() -> None:
    batches = Batches()
    stop = jg.callbacks.on_step_end(lambda event: [jg.callbacks.Stop("enough")] if event.step == 2 else None)
    run = fit(batches, callbacks=[stop], data_on_device=None)
    assert (run.stopped, run.position.step) == ("enough", 2)
    assert not left()
    assert batches.open == 0
    assert batches.read <= 2 + 3
    whole = fit(Batches(), data_on_device=None)
    onward = fit(Batches(), run=run, data_on_device=None)
    jax.tree.map(np.testing.assert_array_equal, whole.train_state.params, onward.train_state.params)
    assert whole.history == onward.history


@pytest.mark.parametrize("where", ["data", "callback", "validation"])
def test_an_error_leaves_no_thread_and_the_last_good_run(where: str) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError

    batches = Batches({10: fails} if where == "data" else {})
    held_out = Batches({3: fails} if where == "validation" else {})
    callbacks = [jg.callbacks.on_step_end(lambda event: fails() if event.step == 4 else None)] * (where == "callback")
    with pytest.raises(jg.errors.CallbackError if where == "callback" else ZeroDivisionError) as caught:
        fit(batches, validation_data=held_out, callbacks=callbacks, data_on_device=None)
    run = caught.value.__dict__["run"]
    assert tuple(run.position) == {"data": (1, 3), "callback": (0, 4), "validation": (0, 7)}[where]
    assert not left()
    assert batches.open == held_out.open == 0
    whole = fit(Batches(), validation_data=Batches(), data_on_device=None)
    onward = fit(Batches(), validation_data=Batches(), run=run, data_on_device=None)
    assert whole.history == onward.history


def test_ctrl_c_while_a_batch_is_waited_for_leaves_no_thread() -> None:
    def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)

    batches = Batches({9: interrupted})
    run = fit(batches, data_on_device=None)
    assert run.stopped == "interrupted"
    assert not left()
    assert batches.open == 0
    onward = fit(Batches(), run=run, data_on_device=None)
    assert onward.history == fit(Batches(), data_on_device=None).history


MEMORY = """
import re, sys
from pathlib import Path
import jax, numpy as np, optax
import jgraph as jg

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

def mapped(name, rows, columns, mode="r"):
    with open(name, "ab") as file:
        file.truncate(rows * columns * 4)
    return np.memmap(name, dtype="float32", mode=mode, shape=(rows, columns))

def use(rows):
    inputs, targets = mapped("inputs", rows, 1024), mapped("targets", rows, 1)
    options = dict(callbacks=[jg.callbacks.Checkpoint(f"checkpoints-{rows}")], validation_split=0.25, progress=False)
    run = trainer.fit((inputs, targets), epochs=1, batch_size=1024, **options)
    trainer.evaluate(run.train_state, (inputs, targets), 1024)
    out = mapped("outputs", rows, 256, "r+")
    wide.predict(*wide.init(jax.random.key(0)), inputs, batch_size=1024, out=out)
    for part in wide.predict_batches(*wide.init(jax.random.key(0)), inputs, batch_size=1024):
        assert part.shape == (1024, 256)

x = jg.Input((1024,), name="x")
wide = jg.Model(x, jg.layers.Dense(256)(x))
trainer = jg.Trainer(jg.Model(x, jg.layers.Dense(1)(x)), optax.sgd(0.1), loss="mse")
use(8192)
before = peak()
use(2**17)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_a_file_larger_than_the_memory_that_is_used(tmp_path: Path) -> None:
    root = str(Path(jg.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", MEMORY],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": root,
            "JAX_PLATFORMS": "cpu",
            "MALLOC_ARENA_MAX": "1",
        },  # each thread's would keep some
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 64, "MB, of 512 that were read four times and 128 that were written"
