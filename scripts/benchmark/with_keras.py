"""Training with Keras: `compile` and `fit`, on the backend that the environment names."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from scripts.benchmark import drawings
from scripts.benchmark.libraries import Prepared
from scripts.benchmark.tasks import Arrays, Task

EPOCHS = 1_000_000
"""More than there is time for."""


class Until(keras.callbacks.Callback):
    """Stops at the end of an epoch, where `going` says no."""

    def __init__(self, going: Callable[[], bool]) -> None:
        super().__init__()
        self.going = going

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Asks."""
        model: Any = self.model
        model.stop_training = not self.going()


def device_and_peak() -> tuple[str, Callable[[], int | None]]:
    """What the backend computes on, and how the memory there is asked for."""
    if keras.backend.backend() == "jax":
        import jax

        first = jax.devices()[0]
        words = f"{jax.default_backend()}: {first.device_kind}"
        return words, lambda: (first.memory_stats() or {}).get("peak_bytes_in_use")
    import importlib

    configuration: Any = importlib.import_module("tensorflow").config
    if not configuration.list_physical_devices("GPU"):
        return "cpu: cpu", lambda: None
    return "gpu: GPU:0", lambda: configuration.experimental.get_memory_info("GPU:0")["peak"]


def prepare(name: str, task: Task, data: tuple[Arrays, Arrays], steps: int = 1) -> Prepared:
    """Draws the model and compiles it, with so many steps an execution."""
    keras.utils.set_random_seed(0)
    model: Any = getattr(drawings, name)(keras)
    model.compile(keras.optimizers.Adam(1e-3), loss=task.losses, steps_per_execution=steps)

    def train(going: Callable[[], bool]) -> None:
        model.fit(*data, epochs=EPOCHS, batch_size=task.batch_size, callbacks=[Until(going)], verbose=0)

    count = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    return Prepared(count, train, *device_and_peak())
