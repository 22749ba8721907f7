"""The tests of meshes, in a process with eight devices on this machine's CPU."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

ONE_OF_TWO = """
import sys
import jax
jax.distributed.initialize(f"127.0.0.1:{sys.argv[1]}", 2, int(sys.argv[2]))
import jgraph as jg, optax
x = jg.Input((8,), name="x")
model = jg.Model(x, jg.layers.Dense(4, name="y")(x))
trainer = jg.Trainer(model, optax.sgd(0.1), "mse", mesh=jax.make_mesh((2,), ("data",)))
assert trainer.plan(batch_size=4).sent > 0
try:
    trainer.init(jax.random.key(0))
except jg.errors.ArgumentError as error:
    assert "2 devices, of which this process has 1" in str(error), error
else:
    raise AssertionError("silently accepted")
"""


def test_on_eight_devices() -> None:
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    for inherited in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[inherited]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/mesh"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_devices_of_other_processes_are_planned_for_and_not_computed_on() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    environment.pop("XLA_FLAGS", None)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_OF_TWO, port, str(number)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(2)
    ]
    said = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
