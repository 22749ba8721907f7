"""The costs of a step are those of one written by hand: operations, bytes, imports, and memory that does not grow."""

import dataclasses
import functools
import gc
import json
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.train_state import TrainState as FlaxTrainState

import jgraph as jg
from jgraph.ops.convolve import convolve

L = jg.layers
ROOT = Path(__file__).parents[2]
OPTIMIZER = optax.adam(1e-3)
LIMIT = 1.02
cross_entropy = optax.losses.softmax_cross_entropy_with_integer_labels


def mlp() -> tuple[jg.Model, tuple[Any, Any]]:
    x = jg.Input((64,), name="x")
    hidden = L.Dense(128, activation="relu", name="b")(L.Dense(128, activation="relu", name="a")(x))
    model = jg.Model(x, L.Dense(10, activation="softmax", name="y")(hidden))
    return model, (jnp.zeros((32, 64)), jnp.zeros(32, jnp.int32))


def mlp_by_hand(params: Any, x: Any) -> Any:
    for name in ("a", "b"):
        x = jax.nn.relu(x @ params[name]["kernel"] + params[name]["bias"])
    return x @ params["y"]["kernel"] + params["y"]["bias"]


def convolution() -> tuple[jg.Model, tuple[Any, Any]]:
    x = jg.Input((12, 12, 3), name="x")
    hidden = L.Conv2D(16, 3, activation="relu", name="b")(L.Conv2D(16, 3, activation="relu", name="a")(x))
    model = jg.Model(x, L.Dense(10, activation="softmax", name="y")(L.Flatten()(hidden)))
    return model, (jnp.zeros((16, 12, 12, 3)), jnp.zeros(16, jnp.int32))


def same_kernel(x: Any, kernel: Any, *_: Any, **__: Any) -> Any:
    """The convolution of jgraph: a step is measured beside one on the same kernels. Flax calls it in place of JAX's."""
    return convolve(x, kernel, strides=(1, 1), padding="valid", dilation=(1, 1))


def convolution_by_hand(params: Any, x: Any) -> Any:
    for name in ("a", "b"):
        x = jax.nn.relu(same_kernel(x, params[name]["kernel"]) + params[name]["bias"])
    return x.reshape(x.shape[0], -1) @ params["y"]["kernel"] + params["y"]["bias"]


def lstm() -> tuple[jg.Model, tuple[Any, Any]]:
    x = jg.Input((20, 16), name="x")
    model = jg.Model(x, L.Dense(10, activation="softmax", name="y")(L.LSTM(32, unroll=True, name="a")(x)))
    return model, (jnp.zeros((32, 20, 16)), jnp.zeros(32, jnp.int32))


def lstm_by_hand(params: Any, x: Any) -> Any:
    projected = jnp.swapaxes(x @ params["a"]["kernel"] + params["a"]["bias"], 0, 1)

    def advance(carry: Any, z: Any) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(z + h @ params["a"]["recurrent_kernel"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), None

    zeros = jnp.zeros((x.shape[0], 32))
    (h, _), _ = jax.lax.scan(advance, (zeros, zeros), projected, unroll=True)  # the body of a loop is counted once
    return h @ params["y"]["kernel"] + params["y"]["bias"]


CASES = {"mlp": (mlp, mlp_by_hand), "convolution": (convolution, convolution_by_hand), "lstm": (lstm, lstm_by_hand)}


def step_by_hand(apply: Callable[[Any, Any], Any]) -> Any:
    """What people write: loss, gradients, update, and loss and accuracy added up."""

    def step(params: Any, opt_state: Any, sums: Any, batch: Any) -> Any:
        def loss_of(params: Any) -> Any:
            logits = apply(params, batch[0])
            return jnp.mean(cross_entropy(logits, batch[1])), logits

        (loss, logits), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, opt_state = OPTIMIZER.update(grads, opt_state, params)
        right = jnp.mean(jnp.argmax(logits, -1) == batch[1])
        return optax.apply_updates(params, updates), opt_state, sums + jnp.stack([loss, right])

    return step


def costs(function: Any, *args: Any) -> tuple[float, float]:
    analysis: Any = jax.jit(function, donate_argnums=0).lower(*args).compile().cost_analysis()
    return analysis["flops"], analysis["bytes accessed"]


@pytest.mark.parametrize("case", CASES)
def test_operations_and_bytes_of_a_step(case: str, record_property: Callable[[str, object], None]) -> None:
    draw, apply = CASES[case]
    model, batch = draw()
    trainer = jg.Trainer(model, OPTIMIZER, loss="sparse_categorical_crossentropy", metrics="accuracy")
    train_state = trainer.init(jax.random.key(0))
    sums = trainer.step_function.init()
    ours = costs(trainer.step_function.summed, train_state, sums, ((batch[0],), (batch[1],), (None,)))
    theirs = costs(step_by_hand(apply), train_state.params, train_state.opt_state, jnp.zeros(2), batch)
    for name, a, b in zip(("operations", "bytes"), ours, theirs, strict=True):
        record_property(f"{case}: {name}", a / b)
        assert a <= LIMIT * b, f"{name}: {a:.0f}, by hand {b:.0f}: {a / b:.4f}"


class FlaxMLP(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        for _ in range(2):
            x = nn.relu(nn.Dense(128)(x))
        return nn.Dense(10)(x)


class FlaxConvolution(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        for _ in range(2):
            x = nn.relu(nn.Conv(16, (3, 3), padding="VALID", conv_general_dilated=same_kernel)(x))
        return nn.Dense(10)(x.reshape(x.shape[0], -1))


FLAX = {"mlp": FlaxMLP(), "convolution": FlaxConvolution()}


def flax_step(train_state: Any, sums: Any, batch: Any, guarded: bool) -> Any:
    """What people write with Flax and optax; `guarded`: only where the loss is finite, as `fit` does."""

    def loss_of(params: Any) -> Any:
        logits = train_state.apply_fn({"params": params}, batch[0])
        return jnp.mean(cross_entropy(logits, batch[1])), logits

    (loss, logits), grads = jax.value_and_grad(loss_of, has_aux=True)(train_state.params)

    def take() -> Any:
        right = jnp.mean(jnp.argmax(logits, -1) == batch[1])
        return train_state.apply_gradients(grads=grads), sums + jnp.stack([loss, right])

    return jax.lax.cond(jnp.isfinite(loss), take, lambda: (train_state, sums)) if guarded else take()


def peak(function: Any, *args: Any) -> int:
    """The bytes that a step holds at most: what it is given and gives, which is donated, and what it needs between."""
    found: Any = jax.jit(function, donate_argnums=0).lower(*args).compile().memory_analysis()
    held = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    return held + found.temp_size_in_bytes


@pytest.mark.parametrize("guarded", [False, True], ids=["free", "guarded"])
@pytest.mark.parametrize("case", FLAX)
def test_peak_memory_of_a_step(case: str, guarded: bool, record_property: Callable[[str, object], None]) -> None:
    """The guard of `fit` holds all gradients until the loss is known: compared with a step of Flax that has one too."""
    model, batch = CASES[case][0]()
    trainer = jg.Trainer(model, OPTIMIZER, loss="sparse_categorical_crossentropy", metrics="accuracy")
    step = dataclasses.replace(trainer.step_function, guard="loss" if guarded else None)
    ours = peak(step.summed, trainer.init(jax.random.key(0)), step.init(), ((batch[0],), (batch[1],), (None,)))
    module = FLAX[case]
    params = module.init(jax.random.key(0), batch[0])["params"]
    theirs_state = FlaxTrainState.create(apply_fn=module.apply, params=params, tx=OPTIMIZER)
    theirs = peak(functools.partial(flax_step, guarded=guarded), theirs_state, jnp.zeros(2), batch)
    record_property(f"{case}: peak bytes", ours / theirs)
    assert ours <= LIMIT * theirs, f"{ours} bytes, Flax {theirs}: {ours / theirs:.4f}"


def test_the_workspace_of_a_convolution_does_not_grow_with_the_batch() -> None:
    def extra(batch: int) -> int:
        x, kernel = jnp.zeros((batch, 32, 32, 8)), jnp.zeros((3, 3, 8, 8))

        def theirs(x: Any, kernel: Any) -> Any:
            return jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

        memories: Any = [
            jax.jit(jax.grad(lambda k, x, f=f: jnp.sum(f(x, k) ** 2))).lower(kernel, x).compile().memory_analysis()
            for f in (same_kernel, theirs)
        ]
        ours, plain = memories
        return ours.temp_size_in_bytes - plain.temp_size_in_bytes

    assert extra(64) <= 2**21
    assert extra(256) <= max(extra(64), 0) + 2**16


def test_what_averages_and_precision_cost() -> None:
    """Averages cost one copy of the params; half precision halves what is kept, and mixed what lies between."""
    model, batch = mlp()
    peaks = {}
    for name, options in {
        "plain": {},
        "averages": {"ema": 0.999},
        "bfloat16": {"precision": "bfloat16"},
    }.items():
        trainer = jg.Trainer(model, OPTIMIZER, loss="sparse_categorical_crossentropy", **options)
        step, train_state = trainer.step_function, trainer.init(jax.random.key(0))
        peaks[name] = peak(step.summed, train_state, step.init(), ((batch[0],), (batch[1],), (None,)))
    params = sum(leaf.nbytes for leaf in jax.tree.leaves(model.init(jax.random.key(0))[0]))
    assert peaks["averages"] <= peaks["plain"] + 1.1 * params
    assert peaks["bfloat16"] < 0.75 * peaks["plain"]


def test_the_loop_program_holds_one_step() -> None:
    """The body of the loop is compiled once, and costs what a single step on gathered rows costs."""
    model, batch = mlp()
    trainer = jg.Trainer(model, OPTIMIZER, loss="sparse_categorical_crossentropy", metrics="accuracy")
    train_state, rows = trainer.init(jax.random.key(0)), ((batch[0],), (batch[1],), (None,))
    order, one = jnp.zeros((4, 32), jnp.int32), np.int32(1)
    carry = train_state, trainer.step_function.init()
    single = costs(trainer.step_function.at, *carry, rows, order, one)
    looped = costs(trainer.step_function.many, *carry, rows, order, one, one)
    assert looped[0] <= LIMIT * single[0]


IMPORTS = """
import json, sys
import jax, optax
before = set(sys.modules)
import jgraph
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_importing_jgraph_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True, cwd=ROOT)
    added = [name for name in json.loads(done.stdout) if not name.startswith("jgraph")]
    heavy = {
        "equinox",
        "flax",
        "grain",
        "keras",
        "matplotlib",
        "orbax",
        "rich",
        "sklearn",
        "tensorboardX",
        "tensorflow",
        "torch",
    }
    assert not heavy & {name.split(".")[0] for name in added}
    assert {name.split(".")[0] for name in added if not name.startswith("_")} <= {"jax", *sys.stdlib_module_names}


def test_memory_does_not_grow_over_models_and_fits() -> None:
    data = np.ones((8, 4), "float32"), np.zeros((8, 3))

    def cycle() -> list[weakref.ref[Any]]:
        x = jg.Input((4,), name="x")
        model = jg.Model(x, L.Dense(3)(x))
        trainer = jg.Trainer(model, optax.sgd(0.1), loss="mse")
        run = trainer.fit(data, epochs=1, batch_size=8, progress=False)
        return [weakref.ref(thing) for thing in (model, trainer, trainer.programs, run)]

    counts = []
    for _ in range(30):
        things = cycle()
        gc.collect()
        assert all(thing() is None for thing in things)
        counts.append(len(jax.live_arrays()))
    assert counts[-1] <= counts[2]
