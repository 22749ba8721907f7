"""Prediction as one tree, into arrays of the caller, and as a stream; each refuses what it cannot take."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg


def double() -> jg.Model:
    a, b = jg.Input((3,), name="a"), jg.Input((2,), name="b")
    shared = jg.layers.Dense(4, name="shared")(a)
    return jg.Model({"a": a, "b": b}, {"sum": jg.layers.Dense(2, name="down")(shared) + b, "shared": shared})


def single(dtype: str = "float32") -> jg.Model:
    x = jg.Input((3,), dtype=dtype, name="x")
    return jg.Model(x, jg.layers.Dense(2, name="y")(x) if dtype == "float32" else jg.layers.Embedding(5, 2)(x))


def mixing() -> jg.Model:
    x = jg.Input((3,), name="x")
    return jg.Model(x, jg.op(lambda x: x - jnp.mean(x, axis=0))(x))


def inputs(rows: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {name: random.normal(size=(rows, n)).astype("float32") for name, n in (("a", 3), ("b", 2))}


def begun(model: jg.Model) -> tuple[jg.Model, Any, Any]:
    return model, *model.init(jax.random.key(0))


DOUBLE, PARAMS, STATE = begun(double())


@pytest.mark.parametrize("rows", [1, 4, 9])
@pytest.mark.parametrize("size", [1, 4, 32])
def test_a_stream_is_the_whole_in_parts(rows: int, size: int) -> None:
    whole = DOUBLE.predict(PARAMS, STATE, inputs(rows), batch_size=size)
    parts = list(DOUBLE.predict_batches(PARAMS, STATE, inputs(rows), batch_size=size))
    assert [len(part["sum"]) for part in parts] == [min(size, rows - s) for s in range(0, rows, size)]
    jax.tree.map(lambda w, *p: np.testing.assert_array_equal(w, np.concatenate(p)), whole, *parts)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(parts))
    applied = DOUBLE.apply(PARAMS, STATE, inputs(rows))[0]
    jax.tree.map(lambda w, a: np.testing.assert_allclose(w, a, rtol=1e-5, atol=1e-6), whole, applied)


def test_an_iterable_is_taken_batch_by_batch_without_reading_ahead() -> None:
    read: list[int] = []

    def endless() -> Iterator[Any]:
        while True:
            read.append(4 if len(read) % 2 else 6)
            yield inputs(read[-1])

    outputs = DOUBLE.predict_batches(PARAMS, STATE, endless())
    assert not read
    for number in range(1, 5):
        part = next(outputs)
        assert len(read) == number
        want = DOUBLE.predict(PARAMS, STATE, inputs(read[-1]), batch_size=6)
        jax.tree.map(lambda p, w: np.testing.assert_allclose(p, w, rtol=1e-6), part, want)


def test_a_smaller_batch_needs_no_program_of_its_own() -> None:
    traced = []

    class Watched(jg.Layer):
        mixes_rows = False

        def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
            traced.append(x.shape)
            return x, state

    x = jg.Input((3,), name="x")
    model, params, state = begun(jg.Model(x, Watched()(x)))
    traced.clear()
    list(model.predict_batches(params, state, [np.ones((n, 3), "float32") for n in (4, 3, 1, 4)]))
    assert len(traced) == 1


def test_rows_that_are_mixed_are_not_filled_up() -> None:
    model, params, state = begun(mixing())
    batches = [np.arange(12.0, dtype="float32").reshape(4, 3), np.ones((2, 3), "float32")]
    for batch, part in zip(batches, model.predict_batches(params, state, batches), strict=True):
        np.testing.assert_allclose(part, batch - batch.mean(0))


def test_what_is_arrays_and_what_is_an_iterable_of_them() -> None:
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    model, params, state = begun(jg.Model([a, b], a + b))
    one, two = np.ones((2, 3), "float32"), np.full((2, 3), 2, "float32")
    assert [part.tolist() for part in model.predict_batches(params, state, [one, two])] == [[[3.0] * 3] * 2]
    for batches in ([[one, two], [two, two]], iter([{"a": one, "b": two}, [two, two]])):
        assert [part[0, 0] for part in model.predict_batches(params, state, batches)] == [3, 4]
    model, params, state = begun(single())
    assert len(list(model.predict_batches(params, state, [one, two]))) == 2
    assert len(list(model.predict_batches(params, state, jnp.stack([one[0]] * 40)))) == 2


def test_outputs_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    whole = DOUBLE.predict(PARAMS, STATE, inputs(9), batch_size=4)
    out = {
        "sum": np.memmap(tmp_path / "sum", dtype="float32", mode="w+", shape=(9, 2)),
        "shared": np.zeros((9, 4), "float64"),
    }
    assert DOUBLE.predict(PARAMS, STATE, inputs(9), batch_size=4, out=out) is out
    jax.tree.map(np.testing.assert_array_equal, out, whole)
    out["sum"].flush()
    np.testing.assert_array_equal(np.fromfile(tmp_path / "sum", "float32").reshape(9, 2), whole["sum"])
    trainer = jg.Trainer(DOUBLE, optax.sgd(0.1), loss={"sum": "mse", "shared": None})
    train_state = trainer.init(jax.random.key(0), PARAMS, STATE)
    again = jax.tree.map(np.zeros_like, whole)
    trainer.predict(train_state, inputs(9), 4, out=again)
    jax.tree.map(np.testing.assert_array_equal, again, whole)
    parts = list(trainer.predict_batches(train_state, inputs(9), batch_size=4))
    jax.tree.map(lambda w, *p: np.testing.assert_array_equal(w, np.concatenate(p)), whole, *parts)


def test_out_takes_the_outputs_of_a_policy() -> None:
    model, params, state = begun(single().with_policy(jg.Policy({"*": {"dtype": "bfloat16"}})))
    out = np.zeros((5, 2), "float32")
    whole = model.predict(params, state, np.ones((5, 3), "float32"))
    assert whole.dtype == "bfloat16"
    np.testing.assert_array_equal(model.predict(params, state, np.ones((5, 3), "float32"), out=out), whole)


def read_only() -> np.ndarray:
    array = np.zeros((9, 2), "float32")
    array.setflags(write=False)
    return array


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (
            np.zeros((8, 2), "float32"),
            jg.errors.ArgumentError,
            r"out: .*float32\[9, 2\], got float32\[8, 2\].*np\.empty\(",
        ),
        (np.zeros((9, 2), "float16"), jg.errors.ArgumentError, r"got float16\[9, 2\]"),
        (np.zeros((9, 2), "int64"), jg.errors.ArgumentError, r"got int64\[9, 2\]"),
        (jnp.zeros((9, 2)), jg.errors.ArgumentError, "expected a NumPy array"),
        (read_only(), jg.errors.ArgumentError, r"read only.*mode='r\+'"),
        ("out.bin", jg.errors.ArgumentError, "got a str"),
        ({"y": np.zeros((9, 2), "float32")}, jg.errors.KeyMismatchError, "expected one array, got 'y'"),
        ([np.zeros((9, 2), "float32")] * 2, jg.errors.KeyMismatchError, "expected one array"),
    ],
)
def test_arrays_that_cannot_take_the_outputs_are_refused_before_anything_is_computed(
    out: Any, error: Any, message: str
) -> None:
    model, params, state = begun(single())
    with pytest.raises(error, match=message):
        model.predict(params, state, np.ones((9, 3), "float32"), out=out)
    with pytest.raises(jg.errors.KeyMismatchError, match=r"arrays for 'shared' and 'sum'|'shared', 'sum'"):
        DOUBLE.predict(PARAMS, STATE, inputs(9), out={"sum": np.zeros((9, 2), "float32")})


def test_wrong_streams_are_refused_when_they_are_asked_for() -> None:
    for batches in (3, "text", None):
        with pytest.raises(
            jg.errors.DataError, match="predict_batches: expected the model's inputs as arrays, or an ite"
        ):
            DOUBLE.predict_batches(PARAMS, STATE, batches)
    with pytest.raises(jg.errors.ArgumentError, match="no batch_size for an iterable, got 4"):
        DOUBLE.predict_batches(PARAMS, STATE, [inputs(4)], batch_size=4)
    with pytest.raises(jg.errors.ArgumentError, match="expected a positive batch_size, got 0"):
        DOUBLE.predict_batches(PARAMS, STATE, inputs(4), batch_size=0)
    with pytest.raises(jg.errors.KeyMismatchError, match="params"):
        DOUBLE.predict_batches({}, STATE, [inputs(4)])
    with pytest.raises(jg.errors.KeyMismatchError, match="missing 'b'"):
        DOUBLE.predict_batches(PARAMS, STATE, {"a": inputs(4)["a"]})
    stream = DOUBLE.predict_batches(PARAMS, STATE, [inputs(4), {"a": inputs(4)["a"]}])
    next(stream)
    with pytest.raises(jg.errors.KeyMismatchError, match=r"predict_batches, batch 1, inputs: .*missing 'b'"):
        next(stream)


def test_a_bad_index_is_named_by_its_row_before_anything_is_computed(tmp_path: Path) -> None:
    model, params, state = begun(single("int32"))
    indices = np.memmap(tmp_path / "x", dtype="int32", mode="w+", shape=(50, 3))
    out = np.full((50, 3, 2), 7, "float32")
    indices[41, 2] = 5
    with pytest.raises(jg.errors.DataError, match="from 0 to 4, got others, the first in row 41"):
        model.predict(params, state, indices, out=out)
    assert (out == 7).all()
    indices[41, 2] = 4
    np.testing.assert_array_equal(
        model.predict(params, state, indices, out=out), model.predict(params, state, np.array(indices))
    )
