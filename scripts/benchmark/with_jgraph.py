"""Training with jgraph: `Trainer.fit`, as its README has it."""

from collections.abc import Callable
from typing import Any

import jax
import optax

import jgraph as jg
from scripts.benchmark import drawings
from scripts.benchmark.libraries import Prepared
from scripts.benchmark.tasks import Arrays, Task

EPOCHS = 1_000_000
"""More than there is time for."""


def device() -> str:
    """What JAX computes on, in words."""
    return f"{jax.default_backend()}: {jax.devices()[0].device_kind}"


def peak() -> int | None:
    """The most bytes in use on JAX's device, where it counts them."""
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def prepare(name: str, task: Task, data: tuple[Arrays, Arrays]) -> Prepared:
    """Draws the model and makes its trainer."""
    model: Any = getattr(drawings, name)(jg)
    trainer = jg.Trainer(model, optax.adam(1e-3), loss=task.losses)

    def train(going: Callable[[], bool]) -> None:
        until = jg.callbacks.on_epoch_end(lambda event: None if going() else jg.callbacks.Stop("the time is up"))
        trainer.fit(data, epochs=EPOCHS, batch_size=task.batch_size, callbacks=[until], progress=False)

    return Prepared(sum(leaf.size for leaf in jax.tree.leaves(model.params_spec)), train, device(), peak)
