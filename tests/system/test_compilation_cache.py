"""A second process reads what the first one compiled, and computes the same bits."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import hashlib, sys
import jax, numpy as np, optax
import jgraph as jg

events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event.rsplit("/", 1)[-1]))
x = jg.Input((6, 6, 2), name="x")
h = jg.layers.BatchNormalization()(jg.layers.Conv2D(4, 3, activation="relu")(x))
y = jg.layers.Dense(3, activation="softmax")(jg.layers.Dropout(0.5)(jg.layers.LSTM(5)(jg.layers.Reshape((16, 4))(h))))
trainer = jg.Trainer(
    jg.Model(x, y), optax.adam(1e-2), loss="sparse_categorical_crossentropy", metrics="accuracy",
    compilation_cache=sys.argv[1] or None,
)
random = np.random.default_rng(0)
data = random.normal(size=(22, 6, 6, 2)).astype("float32"), random.integers(0, 3, 22)
run = trainer.fit(data, epochs=2, batch_size=8, validation_split=0.2, progress=False)
found = trainer.predict(run.train_state, data[0])
bits = b"".join(np.asarray(a).tobytes() for a in jax.tree.leaves((run.train_state.params, found)))
print(events.count("cache_hits"), events.count("cache_misses"), hashlib.sha256(bits).hexdigest(), run.history)
"""


def started(cache: str) -> tuple[int, int, str]:
    """How many programs a fresh process read and compiled for the cache, and what it computed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    command = [sys.executable, "-W", "error", "-c", SCRIPT, cache]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=own)
    hits, misses, computed = done.stdout.split(maxsplit=2)
    return int(hits), int(misses), computed


def test_a_second_process_compiles_nothing_and_computes_the_same(tmp_path: Path) -> None:
    first, second, bare = (started(cache) for cache in (str(tmp_path), str(tmp_path), ""))
    assert first[1] > 5
    assert first[0] <= 2  # a program may be asked for twice in one process
    assert second[:2] == (first[0] + first[1], 0)
    assert bare[:2] == (0, 0)
    assert first[2] == second[2] == bare[2]
