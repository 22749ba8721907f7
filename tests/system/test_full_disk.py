"""A disk that is full while `fit` runs: one clear error, soon, with the last good run; nothing hangs or is torn."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jgraph.storage.steps import newest_whole, steps_in

# The system refuses to let any file of this process grow beyond a few bytes more than it has, as a full disk would.
CHILD = """
import os, resource, signal, sys
import numpy as np, optax, jgraph as jg
kind, folder = sys.argv[1:]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
K = jg.callbacks
kinds = {
    "csv": lambda: K.CSVLogger(folder + "/log.csv"),
    "tensorboard": lambda: K.TensorBoard(folder + "/tensorboard", every_steps=1),
    "checkpoint": lambda: K.Checkpoint(folder + "/run", every_steps=1, max_to_keep=None),
}
def fill(event):
    print("step", event.step, flush=True)
    if event.step == 6:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(40), jg.layers.Dense(1)])
trainer = jg.Trainer(model, optax.adam(1e-2), loss="mse")
rows = np.random.default_rng(0).normal(size=(8, 4)), np.zeros(8)
def slowly(event):
    import time
    time.sleep(0.1)
callbacks = [K.on_step_end(fill, name="fill"), kinds[kind](), K.on_step_end(slowly, name="slowly")]
try:
    trainer.fit(rows, epochs=60, batch_size=4, callbacks=callbacks, progress=False)
except jg.errors.WriteError as error:
    print("error:", error)
    print("last:", int(error.run.train_state.step), trainer.evaluate(error.run.train_state, rows)["loss"] >= 0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), [("csv", "log.csv"), ("tensorboard", "tfevents"), ("checkpoint", "run")])
def test_a_full_disk_is_one_clear_error(kind: str, name: str, tmp_path: Path) -> None:
    # Without the compilation cache of the tests, as what the child writes there after the limit would be torn.
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    command = [sys.executable, "-c", CHILD, kind, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    error = next((line for line in lines if line.startswith("error:")), "")
    assert name in error, done.stdout[-500:]
    assert "bytes free on its disk" in error
    last = lines[-1].split()
    assert (last[0], last[2]) == ("last:", "True")
    # A record fails at its own event; a save is written beside the loop, and fails a few slow steps later.
    assert int(last[1]) <= 6 + (40 if kind == "checkpoint" else 2 if kind == "csv" else 1)
    if kind == "checkpoint":
        assert len(steps_in(tmp_path / "run")) >= 3
        found = newest_whole(tmp_path / "run")
        assert found is not None
        assert found[3] == []
        assert not list((tmp_path / "run").glob("*tmp*"))
