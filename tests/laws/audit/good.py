"""A good call of everything public: what is given where an argument has no default.

`GOOD` holds these by parameter where it means the same wherever it stands, `OF` by callable where it does not.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.example_libraries import stax

import jgraph as jg
from jgraph.layers import GRUCell
from jgraph.train.state import Run, TrainState
from tests.test_public_names import public

BATCH = (np.ones((4, 3), "float32"), np.ones((4, 2), "float32"))


@functools.cache
def model() -> jg.Model:
    x = jg.Input((3,), name="x")
    return jg.Model(x, jg.layers.Dense(2, name="y")(x))


@functools.cache
def trainer() -> jg.Trainer:
    return jg.Trainer(model(), optimizer=optax.sgd, learning_rate=0.1, loss="mse")


@functools.cache
def train_state() -> TrainState:
    return trainer().init(jax.random.key(0))


@functools.cache
def spread() -> jg.Trainer:
    return dataclasses.replace(trainer(), mesh=jax.make_mesh((1,), ("data",)))


def params() -> Any:
    return train_state().params


@functools.cache
def run() -> Run:
    return trainer().fit(BATCH, epochs=1, batch_size=4, progress=False)


@functools.cache
def saved() -> Path:
    """A model's file, in a folder that is gone with the process."""
    path = Path.cwd() / "good.jgraph"
    jg.save(path, model(), *model().init(jax.random.key(0)))
    return path


@functools.cache
def adapted() -> Any:
    return jg.lora(model(), "y", rank=1).init(jax.random.key(0))[0]


def call(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    """Calls it with arguments by name, those of `*args` and `**kwargs` too; what it yields is looked at."""
    kinds = {name: p.kind for name, p in inspect.signature(function).parameters.items()}
    given = dict(given)
    args = [given.pop(name) for name in [*given] if kinds[name] is inspect.Parameter.VAR_POSITIONAL]
    words = [given.pop(name) for name in [*given] if kinds[name] is inspect.Parameter.VAR_KEYWORD]
    if args:  # what stands before them has no name
        before = [name for name in kinds if kinds[name] is inspect.Parameter.POSITIONAL_OR_KEYWORD]
        args = [*(given.pop(name) for name in before), *args]
    made = function(*args, **given, **(words[0] if words else {}))
    return [*made] if inspect.isgenerator(made) else made


def arguments(name: str, value: Any) -> dict[str, Any]:
    """The arguments of a good call of something public."""
    own = OF.get(name, {})
    labels = {"targets": lambda: jnp.ones(4, int)} if getattr(value, "targets", "") == "labels" else {}
    parameters = inspect.signature(value).parameters.values()
    needed = [p.name for p in parameters if p.name in own or p.default is p.empty]
    return {n: (own.get(n) or labels.get(n) or GOOD[n])() for n in needed}


FILES = (jg.constraints, jg.optimizers, jg.regularizers)
"""What is public of these says so in its example."""


def everything() -> dict[str, Any]:
    """Everything public by its full name, that in files of classes or functions too."""
    found = public()
    for face in FILES:
        names = {f"{face.__name__.removeprefix('jgraph.')}.{name}": value for name, value in vars(face).items()}
        found |= {name: value for name, value in names.items() if f"jg.{name}(" in (value.__doc__ or "")}
    return found


GOOD: dict[str, Callable[[], Any]] = {
    "directory": lambda: "runs/it",
    "path": lambda: "log.file",
    "function": lambda: abs,
    "filters": lambda: 4,
    "kernel_size": lambda: 2,
    "units": lambda: 4,
    "rate": lambda: 0.5,
    "pool_size": lambda: 2,
    "height": lambda: 3,
    "width": lambda: 3,
    "factor": lambda: 0.5,
    "model": model,
    "trainer": trainer,
    "train_state": train_state,
    "targets": lambda: jnp.ones((4, 3)),
    "outputs": lambda: jnp.ones((4, 3)) / 3,
    "num_classes": lambda: 3,
    "target_class_ids": lambda: [0, 1],
    "name": lambda: "it",
}
"""By parameter."""

PAIR = {"init_function": lambda: lambda key, x: ({}, {}), "apply_function": lambda: lambda p, s, x, train, key: (x, s)}
MERGED = {"inputs": lambda: [jg.Input((3,)), jg.Input((3,))]}

OF: dict[str, dict[str, Callable[[], Any]]] = {
    "callbacks.Images": {"inputs": lambda: np.ones((2, 3), "float32")},
    "callbacks.Projector": {"node": lambda: "y"},
    "callbacks.LearningRateScheduler": {"schedule": lambda: lambda epoch: 0.1},
    "callbacks.Freeze": {"pattern": lambda: "y"},
    "callbacks.Stop": {"reason": lambda: "enough"},
    "callbacks.Write": {"sink": lambda: lambda record: None, "record": lambda: 1},
    "inspect.budget": {"batch": lambda: BATCH},
    "debug.locate_nan": {"batch": lambda: BATCH},
    "inspect.report": {
        "run": run,
        "path": lambda: "report.html",
        "model": model,
        "monitor": lambda: "loss",
        "batch_size": lambda: None,
    },
    "inspect.measure": {
        "params": lambda: model().init(jax.random.key(0))[0],
        "state": dict,
        "inputs": lambda: BATCH[0],
        "repeats": lambda: 1,
    },
    "layers.Activation": {"activation": lambda: "relu"},
    "layers.RandomTranslation": {"height_factor": lambda: 0.1, "width_factor": lambda: 0.1},
    "layers.RandomZoom": {"height_factor": lambda: 0.1},
    "layers.Bidirectional": {"layer": lambda: jg.layers.GRU(2)},
    "layers.StackedRNNCells": {"cells": lambda: [GRUCell(2)]},
    "layers.Dot": {"axes": lambda: 1},
    "layers.dot": {**MERGED, "axes": lambda: 1},
    "layers.EinsumDense": {"equation": lambda: "ab,bc->ac", "output_shape": lambda: 3},
    "layers.Embedding": {"input_dim": lambda: 5, "output_dim": lambda: 2},
    "layers.EquinoxModule": {"module": lambda: eqx.nn.Linear(3, 4, key=jax.random.key(0))},
    "layers.FlaxModule": {"module": lambda: nn.Dense(2)},
    "layers.NNXModule": {"module": lambda: nnx.Linear(3, 4, rngs=nnx.Rngs(0))},
    "layers.Lambda": {"function": lambda: jnp.tanh},
    "layers.Pair": PAIR,
    "layers.StaxPair": {"init_function": lambda: stax.Dense(3)[0], "apply_function": lambda: stax.Dense(3)[1]},
    "layers.LoRA": {"layer": lambda: jg.layers.Dense(4), "rank": lambda: 2},
    **{
        f"layers.{name}": MERGED
        for name in ["add", "average", "concatenate", "maximum", "minimum", "multiply", "subtract"]
    },
    "layers.GroupQueryAttention": {
        "head_dim": lambda: 4,
        "num_query_heads": lambda: 4,
        "num_key_value_heads": lambda: 2,
    },
    "layers.MultiHeadAttention": {"num_heads": lambda: 2, "key_dim": lambda: 3},
    "layers.Rescaling": {"scale": lambda: 0.5},
    "layers.RNN": {"cell": lambda: GRUCell(2)},
    "layers.GaussianNoise": {"stddev": lambda: 0.5},
    "layers.Permute": {"dims": lambda: (2, 1)},
    "layers.RepeatVector": {"n": lambda: 2},
    "layers.Reshape": {"target_shape": lambda: (-1, 2)},
    "layers.TimeDistributed": {"layer": lambda: jg.layers.Dense(2)},
    "losses.ctc": {"targets": lambda: jnp.ones((4, 2), int), "outputs": lambda: jnp.ones((4, 5, 3))},
    **{f"losses.{name}": {"targets": lambda: jnp.ones(4, int)} for name in ("circle", "ntxent")},
    "losses.dice_loss": {"targets": lambda: jnp.ones((4, 2, 3)), "outputs": lambda: jnp.ones((4, 2, 3))},
    "losses.TripletMarginLoss": {"of": lambda: ["a", "b", "c"]},
    "callbacks.EvaluateEvery": {"every_steps": lambda: 5},
    "callbacks.Timer": {"minutes": lambda: 5},
    **{name: {"fn": lambda: lambda targets, outputs: abs(targets - outputs)} for name in ("Loss", "losses.Loss")},
    "metrics.Mean": {"values": lambda: lambda targets, outputs: abs(targets - outputs)},
    "metrics.PrecisionAtRecall": {"recall": lambda: 0.5},
    "metrics.RecallAtPrecision": {"precision": lambda: 0.5},
    "metrics.SensitivityAtSpecificity": {"specificity": lambda: 0.5},
    "metrics.SpecificityAtSensitivity": {"sensitivity": lambda: 0.5},
    "optimizers.by_path": {"optimizers": lambda: {"*": optax.sgd(0.1)}},
    "optimizers.clip_by_norm": {"max_norm": lambda: 1.0},
    "optimizers.decay_mask": {"params": params},
    "carry": {"old_model": model, "new_model": model, "tree": lambda: train_state().params},
    "Input": {"shape": lambda: (3,)},
    "Model": {"inputs": lambda: model().inputs, "outputs": lambda: model().outputs},
    "Policy": {"rules": lambda: {"*": {"remat": True}}},
    "Sequential": {"layers": lambda: [jg.Input((3,)), jg.layers.Dense(2)]},
    "as_layer": {"init": PAIR["init_function"], "apply": PAIR["apply_function"]},
    "lora": {"patterns": lambda: "y", "rank": lambda: 2},
    "merge_lora": {"model": lambda: jg.lora(model(), "y", rank=1), "params": lambda: adapted()},
    "load": {"path": saved},
    "save": {
        "path": lambda: "it.jgraph",
        "params": lambda: train_state().params,
        "state": lambda: train_state().model_state,
    },
    "find_learning_rate": {"data": lambda: BATCH, "steps": lambda: 10, "batch_size": lambda: 4},
    "update_statistics": {"data": lambda: BATCH},
    "TrainState": {
        n: lambda n=n: getattr(train_state(), n)
        for n in ["step", "params", "model_state", "opt_state", "key", "lr_scale"]
    },
    **{f"sharding.{name}": {"axes": lambda: "data"} for name in ("data_parallel", "fsdp")},
    "sharding.tensor_parallel": {"rules": lambda: {"y": {"units": "model"}}},
    "sharding.combine": {"plans": lambda: jg.sharding.fsdp("data")},
    "Trainer": {"optimizer": lambda: optax.sgd(0.1), "loss": lambda: "mse"},
}
"""By callable and parameter."""
