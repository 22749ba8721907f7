"""The sides that are measured: which packages each needs, and which file of this folder trains with it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Library:
    """A side: `module` has `prepare(name, task, data, **options)`, and `environment` is set before it is imported."""

    title: str
    module: str
    packages: tuple[str, ...]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    models: tuple[str, ...] = ()
    """The only models it is for; none stands for all."""
    batches: int = 1
    """The fewest batches of an epoch that make it differ from the others."""

    def why_not(self, model: str, batches: int, installed: Mapping[str, str]) -> str | None:
        """Why a model is not measured with it, where it is not.

        >>> LIBRARIES["torch"].why_not("mlp", 256, {"jax": "0.10.2"})
        'torch is not installed'
        """
        if missing := [package for package in self.packages if package not in installed]:
            return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
        if self.models and model not in self.models:
            return f"it is written for {', '.join(self.models)} alone"
        return f"an epoch has only {batches} batches" if batches < self.batches else None


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A model that is ready to train.

    `train` trains epoch after epoch, asks `going` at the end of each, when its loss is known, and ends where the answer
    is no. `peak` gives the most bytes that were in use on the device, where it has a memory of its own.
    """

    parameters: int
    train: Callable[[Callable[[], bool]], None]
    device: str
    peak: Callable[[], int | None]


LIBRARIES = {
    "jgraph": Library("jgraph", "with_jgraph", ("jax", "optax")),
    "flax": Library("Flax, by hand", "with_flax", ("jax", "flax", "optax")),
    "loop": Library("JAX loop, by hand", "with_flax", ("jax", "flax", "optax"), options={"steps": 16}, models=("mlp",)),
    "keras-jax": Library("Keras on JAX", "with_keras", ("keras", "jax"), {"KERAS_BACKEND": "jax"}),
    "keras-jax-64": Library(
        "Keras on JAX, 64 steps", "with_keras", ("keras", "jax"), {"KERAS_BACKEND": "jax"}, {"steps": 64}, batches=64
    ),
    "torch": Library("PyTorch, eager", "with_torch", ("torch",)),
    "keras-tf": Library("Keras on TensorFlow", "with_keras", ("keras", "tensorflow"), {"KERAS_BACKEND": "tensorflow"}),
}
