"""Indices out of range are refused at every door, wherever the layer is that looks them up."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import DataError

L = jg.layers


def embedding() -> Any:
    return L.Embedding(5, 2, name="words")


def inner() -> jg.Model:
    tokens = jg.Input((3,), "int32", name="tokens")
    return jg.Model(tokens, embedding()(tokens), name="inner")


DRAWINGS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "an input": (lambda x: embedding()(x), "words"),
    "a nested model": (lambda x: inner()(x), "inner/words"),
    "a nested stack": (lambda x: jg.Sequential([inner()], name="outer")(x), "outer/inner/words"),
    "every step": (lambda x: L.TimeDistributed(embedding(), name="each")(x), "each"),
    "a stack at every step": (lambda x: L.TimeDistributed(jg.Sequential([embedding()]), name="each")(x), "each"),
    "a model at every step": (lambda x: L.TimeDistributed(inner(), name="each")(x[:, None]), "each"),
    "a slice": (lambda x: embedding()(x[:, 1:]), "words"),
    "a layer without weights": (lambda x: embedding()(L.Flatten()(x[:, :, None])), "words"),
    "arithmetic": (lambda x: embedding()(2 * x - x), "words"),
}


def trainer(make: Callable[[Any], Any]) -> jg.Trainer:
    x = jg.Input((3,), "int32", name="x")
    return jg.Trainer(jg.Model(x, L.Dense(1)(L.Flatten()(make(x)))), optax.sgd(0.1), loss="mse")


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_door_refuses_an_index_out_of_range(name: str) -> None:
    make, path = DRAWINGS[name]
    one, y = trainer(make), np.zeros((6, 1))
    good, bad = np.full((6, 3), 4), np.full((6, 3), 4)
    bad[2, 1] = 5
    run = one.fit((good, y), epochs=1, progress=False)
    doors: dict[str, Callable[[], Any]] = {
        "fit, ": lambda: one.fit((bad, y), epochs=1, progress=False),
        "fit, batch 1, ": lambda: one.fit([(good, y), (bad, y)], epochs=1, progress=False),
        "fit, validation_data, ": lambda: one.fit((good, y), epochs=1, validation_data=(bad, y), progress=False),
        "evaluate, ": lambda: one.evaluate(run.train_state, (bad, y)),
        "predict, ": lambda: one.predict(run.train_state, bad, batch_size=4),
        "Model.*, predict, ": lambda: one.model.predict(run.train_state.params, {}, bad),
    }
    for where, call in doors.items():
        with pytest.raises(DataError, match=f"{where}input 'x': expected indices of '{path}' from 0 to 4.*in row 2"):
            call()


def test_what_is_not_looked_up_is_free() -> None:
    one = trainer(lambda x: embedding()(x[:, 1:]))
    x = np.full((6, 3), 4)
    x[:, 0] = 100
    assert np.isfinite(one.fit((x, np.zeros((6, 1))), epochs=1, progress=False).history["loss"]).all()


def test_indices_from_weights_or_other_rows_are_not_known_before() -> None:
    """An argmax over learned scores, or a rank among the batch, is what it is when the model runs."""
    x = jg.Input((3,), name="x")
    learned = jg.op(jnp.argmax)(L.Dense(4)(x), -1)
    ranked = jg.op(jnp.argsort)(jg.op(jnp.argsort)(x[:, 0]))
    model = jg.Model(x, [L.Embedding(4, 2)(learned), L.Embedding(4, 2)(ranked)])
    params, state = model.init(jax.random.key(0))
    outputs = model.predict(params, state, np.ones((8, 3), "float32"), batch_size=4)
    assert [y.shape for y in outputs] == [(8, 2), (8, 2)]


class Shift(jg.Layer):
    """A shift that is looked up where it is given: beside other numbers, and perhaps absent."""

    def apply(self, params: Any, state: Any, x: Any, y: Any, *, train: bool = False, key: Any = None) -> Any:
        return x if y is None else x + jnp.arange(3.0)[y][:, None], state

    def index_range(self) -> int:
        return 3


def test_only_integers_that_are_there_are_looked_at() -> None:
    x, y = jg.Input((2,), name="x"), jg.Input((), "int32", optional=True, name="y")
    model = jg.Model({"x": x, "y": y}, Shift()(x, y))
    numbers = np.full((3, 2), 7.5, "float32")
    np.testing.assert_array_equal(model.predict({}, {}, {"x": numbers, "y": None}), numbers)
    np.testing.assert_array_equal(model.predict({}, {}, {"x": numbers, "y": np.array([0, 0, 2])})[2], [9.5, 9.5])
    with pytest.raises(DataError, match=r"predict, input 'y': expected indices of 'shift' from 0 to 2.*in row 1"):
        model.predict({}, {}, {"x": numbers, "y": np.array([0, 3, 0])})
