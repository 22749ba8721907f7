"""What is asked of every layer from another library: one model of it, and the same trials for all."""

import copy
import pickle
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import LoadError

X = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")
Y = np.sin(X[:, :1] * 2).astype("float32")
KEY = jax.random.key(1)


def drawn(layer: jg.Layer, shape: tuple[int | None, ...] = (5,)) -> tuple[jg.Model, Any, Any]:
    """A model of the layer alone, its params and its state; the layer should be called `it`."""
    x = jg.Input(shape, name="x")
    model = jg.Model(x, layer(x))
    return model, *model.init(jax.random.key(0))


def assert_close(got: Any, want: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), got, want)


def value_and_grads(function: Any, params: Any, x: Any) -> Any:
    """Outputs and state, and the gradients with respect to params and x, of `function(params, x)`, compiled."""

    def loss(params: Any, x: Any) -> Any:
        outputs, state = function(params, x)
        return (jnp.sin(outputs) * outputs).sum(), (outputs, state)

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(params, x)


def assert_trains_and_resumes(layer: jg.Layer, folder: Path) -> jg.Run:
    """The loss of a fit of the layer with a dense head falls, and a run that goes on from a checkpoint is the same."""
    x = jg.Input((5,), name="x")
    trainer = jg.Trainer(jg.Model(x, jg.layers.Dense(1)(layer(x))), optax.adam(1e-2), loss="mse")
    options: dict[str, Any] = {"epochs": 8, "batch_size": 4, "progress": False}
    whole = trainer.fit((X, Y), **options)
    assert whole.history["loss"][-1] < whole.history["loss"][0]
    options["callbacks"] = [jg.callbacks.Checkpoint(folder, every_epochs=5)]
    trainer.fit((X, Y), **{**options, "epochs": 5})
    again = trainer.fit((X, Y), **options, resume=folder)
    jax.tree.map(np.testing.assert_array_equal, *(run.train_state.params for run in (again, whole)))
    jax.tree.map(np.testing.assert_array_equal, *(run.train_state.model_state for run in (again, whole)))
    assert again.history == whole.history
    return whole


def assert_saves(layer: jg.Layer, folder: Path) -> None:
    """A file says the layer's name; who loads gives the layer, and without it is told so."""
    model, params, state = drawn(layer)
    path = folder / "model.jgraph"
    jg.save(path, model, params, state)
    loaded, *trees = jg.load(path, allow=[layer])
    assert_close(trees, [params, state])
    assert_close(loaded.apply(params, state, X), model.apply(params, state, X))
    with pytest.raises(LoadError, match=r"'it'.*allow=\[layer\]"):
        jg.load(path)


def assert_shared(layer: jg.Layer) -> None:
    """Called twice it has one entry, whose gradient is the sum over both calls; dict keys are plain strings."""
    x, y = jg.Input((5,), name="x"), jg.Input((5,), name="y")
    model = jg.Model([x, y], jg.layers.add([layer(x), layer(y)]))
    params, state = model.init(jax.random.key(0))
    assert list(params) == ["it"]
    alone = drawn(layer)[0]

    def both(first: Any, second: Any) -> Any:
        one, between = alone.apply(first, state, X)
        return ((one + alone.apply(second, between, 2 * X)[0]) ** 2).sum()

    ours = jax.grad(lambda p: (model.apply(p, state, [X, 2 * X])[0] ** 2).sum())(params)
    assert_close(ours, jax.tree.map(jnp.add, *jax.grad(both, argnums=(0, 1))(params, params)))


def assert_nests(layer: jg.Layer) -> None:
    """In a model in a model, and in a stack; each time with the layer's own values."""
    inner, x = jg.Input((5,), name="inner"), jg.Input((5,), name="x")
    tower = jg.Model(inner, layer(inner), name="tower")
    model, stack = jg.Model(x, tower(x)), jg.Sequential([jg.Input((5,)), layer])
    alone, params, state = drawn(layer)
    outputs = alone.apply(params, state, X)[0]
    nested = model.init(jax.random.key(0))
    assert_close(nested, ({"tower": params}, {"tower": state} if state else {}))
    assert_close(model.apply(*nested, X)[0], outputs)
    assert_close(stack.apply(*stack.init(jax.random.key(0)), X)[0], outputs)


def assert_copies(layer: jg.Layer, pickles: bool = True) -> None:
    """A copy of the model computes the same."""
    model, params, state = drawn(layer)
    copies = [copy.copy(model), copy.deepcopy(model)]
    copies += [pickle.loads(pickle.dumps(model))] if pickles else []
    for copied in copies:
        assert_close(copied.init(jax.random.key(0)), (params, state))
        assert_close(copied.apply(params, state, X), model.apply(params, state, X))
