"""Ctrl-C and SIGTERM, sent to real processes and to this one, while `fit` runs."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.storage.steps import steps_in

K = jg.callbacks
ROWS = (np.random.default_rng(0).normal(size=(64, 4)).astype("float32"), np.zeros(64, "float32"))


def trainer() -> jg.Trainer:
    model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(4, "relu"), jg.layers.Dropout(0.2), jg.layers.Dense(1)])
    return jg.Trainer(model, optax.adam(1e-2), loss="mse")


def send(number: signal.Signals, at: int, again: bool = False) -> K.Callback:
    """Sends a signal to this process at a step; `again`: at each step from there on."""

    def look(event: K.Event) -> None:
        if event.step == at or (again and event.step > at):
            signal.raise_signal(number)

    return K.on_step_end(look, name="send")


def leaves(tree: Any) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def test_ctrl_c_returns_the_run_and_it_goes_on() -> None:
    own, given = trainer(), {"batch_size": 8, "progress": False, "seed": 1}
    run = own.fit(ROWS, epochs=4, callbacks=[send(signal.SIGINT, 11)], **given)
    assert (run.stopped, run.position, int(run.train_state.step)) == ("interrupted", (1, 3), 11)
    assert len(run.history["loss"]) == 1
    assert any("SIGINT" in text for text in run.events)
    on = own.fit(ROWS, epochs=4, run=run, **given)
    whole = own.fit(ROWS, epochs=4, **given)
    assert on.stopped is None
    assert on.history == whole.history
    assert leaves(on.train_state.params) == leaves(whole.train_state.params)
    assert own.predict(run.train_state, ROWS[0]).shape == (64, 1)  # nothing of the interrupted run was deleted


def test_ctrl_c_saves_where_there_is_a_checkpoint(tmp_path: Path) -> None:
    own, given = trainer(), {"batch_size": 8, "progress": False}
    run = own.fit(ROWS, epochs=4, callbacks=[send(signal.SIGINT, 11), K.Checkpoint(tmp_path)], **given)
    assert run.stopped == "interrupted"
    assert steps_in(tmp_path) == [8, 11]
    on = own.fit(ROWS, epochs=4, callbacks=[send(signal.SIGINT, -1), K.Checkpoint(tmp_path)], resume=tmp_path, **given)
    assert (on.stopped, on.position) == (None, (4, 0))


def test_a_second_ctrl_c_raises_and_the_run_is_whole() -> None:
    class Impatient(K.Callback):
        def on_step_end(self, memory: Any, event: K.Event) -> Any:
            if event.step == 5:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            return memory, []

    own = trainer()
    with pytest.raises(KeyboardInterrupt) as caught:
        own.fit(ROWS, epochs=4, batch_size=8, callbacks=[Impatient()], progress=False)
    run: Any = caught.value.__dict__["run"]
    assert int(run.train_state.step) == 5
    assert own.fit(ROWS, epochs=1, batch_size=8, run=run, progress=False).position == (1, 0)


def test_the_old_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    trainer().fit(ROWS, epochs=1, callbacks=[send(signal.SIGINT, 1)], progress=False)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    with pytest.raises(jg.errors.CallbackError):
        trainer().fit(ROWS, epochs=1, callbacks=[K.on_epoch_end(lambda event: 1 / 0)], progress=False)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_sigterm_goes_on_to_the_old_handler() -> None:
    seen: list[int] = []
    old = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        run = trainer().fit(ROWS, epochs=4, batch_size=8, callbacks=[send(signal.SIGTERM, 3)], progress=False)
    finally:
        signal.signal(signal.SIGTERM, old)
    assert (seen, run.stopped, int(run.train_state.step)) == ([signal.SIGTERM], "interrupted", 3)


def test_sigterm_is_sent_on_though_an_error_comes() -> None:
    def fail(event: K.Event) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise OSError("the log server")

    seen: list[int] = []
    old = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with pytest.raises(jg.errors.CallbackError):
            trainer().fit(ROWS, epochs=4, batch_size=8, callbacks=[K.on_epoch_end(fail)], progress=False)
    finally:
        signal.signal(signal.SIGTERM, old)
    assert seen == [signal.SIGTERM]


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    old = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        run = trainer().fit(ROWS, epochs=2, batch_size=8, callbacks=[send(signal.SIGTERM, 3)], progress=False)
    finally:
        signal.signal(signal.SIGTERM, old)
    assert (run.stopped, run.position) == (None, (2, 0))


def test_other_threads_handle_no_signals() -> None:
    found: list[jg.Run] = []
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=lambda: found.append(trainer().fit(ROWS, epochs=2, progress=False)))
    thread.start()
    thread.join()
    assert found[0].position == (2, 0)
    assert signal.getsignal(signal.SIGINT) == before


CHILD = """
import sys, time, numpy as np, optax, jgraph as jg
from tests.system.test_signals import ROWS, trainer
def slowly(event):
    time.sleep(0.01)
    print("step", event.step, flush=True)
callbacks = [jg.callbacks.on_step_end(slowly), jg.callbacks.Checkpoint(sys.argv[1], every_epochs=1000)]
run = trainer().fit(ROWS, epochs=500, batch_size=8, callbacks=callbacks, progress=False, resume=sys.argv[1])
print("stopped:", run.stopped, int(run.train_state.step), flush=True)
"""


def child(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("step"), line + process.communicate()[1]
    return process


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_saves_what_it_has_done_before_it_ends(number: signal.Signals, tmp_path: Path) -> None:
    process = child(tmp_path)
    time.sleep(0.3)
    os.kill(process.pid, number)
    said, errors = process.communicate(timeout=60)
    steps = [int(line.split()[1]) for line in said.splitlines() if line.startswith("step")]
    if number == signal.SIGTERM:
        assert process.returncode == -signal.SIGTERM, errors
    else:
        assert process.returncode == 0, errors
        assert f"stopped: interrupted {steps[-1]}" in said
    assert steps_in(tmp_path) == [steps[-1]]  # not one step is lost
    again = child(tmp_path)
    assert again.stdout is not None
    assert again.stdout.readline().split() == ["step", str(steps[-1] + 2)]
    again.kill()
    again.communicate()
