"""Statistics taken from data in one piece or in batches, scaling by them there and back, and rescaling."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, DataError, ShapeError
from tests.references import numpy_layers as reference

L = jg.layers
layers: Any = jg.layers
keras_layers: Any = keras.layers
RANDOM = np.random.default_rng(0)
DATA: Any = (1000 + RANDOM.normal(size=(30, 4, 3)) * [1, 5, 100]).astype("float32")


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), (-1, -2), None], ids=str)
def test_statistics_of_data(axis: Any) -> None:
    """The same from an array, a list of ragged batches, and a generator of batches with targets."""
    kept = () if axis is None else tuple(sorted(a % 3 for a in ((axis,) if isinstance(axis, int) else axis)))
    over = tuple(a for a in range(3) if a not in kept)
    mean, variance = DATA.astype("float64").mean(over), DATA.astype("float64").var(over)
    pieces = [DATA[:7], DATA[7:8], DATA[8:8], DATA[8:]]

    def batches() -> Iterator[Any]:
        yield from ((jnp.asarray(piece), np.zeros(len(piece))) for piece in pieces)

    start = L.Normalization(axis=axis, name="scale")
    for data in (DATA, jnp.asarray(DATA), pieces, batches()):
        layer = start.adapt(data)
        np.testing.assert_allclose(layer.mean, mean, rtol=1e-12)
        np.testing.assert_allclose(layer.variance, variance, rtol=1e-9)
        assert layer.name == "scale"
    assert start.mean is None
    y, _ = start.adapt(DATA).apply({}, {}, DATA)
    shape = [n if a in kept else 1 for a, n in enumerate(DATA.shape)]
    want = (DATA - mean.reshape(shape)) / np.sqrt(variance.reshape(shape))
    np.testing.assert_allclose(y, want, atol=2e-4)  # 1000 has 6e-5 in float32, which a deviation of 1 divides
    theirs = keras_layers.Normalization(axis=axis)
    theirs.adapt(DATA.astype("float64"))
    assert np.shape(layer.mean) == theirs.adapt_mean.shape
    np.testing.assert_allclose(y, theirs(DATA), atol=5e-4)


def test_there_and_back() -> None:
    x: Any = RANDOM.normal(size=(5, 3)).astype("float32")
    mean, variance = [1.0, 2.0, 3.0], np.array([4.0, 0.25, 0.0])
    there, _ = L.Normalization(mean=mean, variance=variance).apply({}, {}, x)
    reference.assert_near(there[:, :2], (x[:, :2] - [1.0, 2.0]) / [2.0, 0.5])
    back, _ = L.Normalization(mean=mean, variance=variance, invert=True).apply({}, {}, there)
    np.testing.assert_allclose(back, x, atol=1e-5)


def test_dtypes_and_masks() -> None:
    x = L.Masking()(jg.Input((4, 3), name="x"))
    pixels = jg.Input((4, 3), "uint8", name="pixels")
    half = jg.Input((4, 3), "bfloat16", name="half")
    for layer in (L.Normalization(mean=2.0, variance=4.0), L.Rescaling([1.0, 2.0, 3.0], offset=-1.0)):
        assert layer(x).mask is x.mask
        assert layer(pixels).dtype == "float32"
        assert layer(half).dtype == "bfloat16"
    bytes_ = np.array([[[0, 128, 255]]], "uint8")
    y, _ = L.Rescaling(1 / 127.5, offset=-1).apply({}, {}, jnp.asarray(bytes_))
    np.testing.assert_allclose(y, bytes_ / 127.5 - 1, atol=1e-6)


def test_arrays_are_held_as_tuples_of_floats() -> None:
    layer = L.Normalization(axis=(1, 2), mean=np.ones((2, 3), "int32"), variance=[[1, 2, 3]] * 2)
    assert layer.mean == ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    assert repr(L.Rescaling(np.float32(0.5), jnp.ones(2))) == "Rescaling(0.5, offset=(1.0, 1.0))"
    model = jg.Model(x := jg.Input((2, 3)), layer(x))
    again = jg.Model.from_json(model.to_json())
    assert repr(again.layers["normalization"]) == repr(layer)


BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda: L.Normalization()(jg.Input((3,))), ArgumentError, r"with mean and variance.*layer\.adapt\(data\)"),
    (
        lambda: L.Normalization(mean=1.0),
        ArgumentError,
        "Normalization, variance: expected mean and variance, or neither",
    ),
    (lambda: L.Normalization(mean=[1.0, 2.0], variance=1.0), ArgumentError, "of one shape"),
    (lambda: L.Normalization(mean=[[1.0]], variance=[[1.0]]), ArgumentError, "at most 1 axes"),
    (lambda: L.Normalization(axis=None, mean=[1.0], variance=[1.0]), ArgumentError, "at most 0 axes"),
    (lambda: L.Normalization(mean=1.0, variance=-1.0), ArgumentError, "no variance below 0"),
    (lambda: L.Normalization(mean=float("nan"), variance=1.0), ArgumentError, "mean: expected finite"),
    (lambda: layers.Normalization(mean="a", variance=1.0), ArgumentError, "mean: expected finite"),
    (lambda: L.Normalization(axis=0), ArgumentError, "Normalization, axis.*batch axis"),
    (lambda: layers.Normalization(axis="last"), ArgumentError, "Normalization, axis"),
    (lambda: L.Normalization(mean=[1, 2], variance=[1, 2])(jg.Input((3,))), ShapeError, "broadcast to the axes"),
    (lambda: L.Normalization(mean=1, variance=1)(jg.Input((None,))), ShapeError, "a known size of axis -1"),
    (lambda: L.Normalization(axis=2, mean=1, variance=1)(jg.Input((3,))), ShapeError, "an axis 2"),
    (lambda: L.Normalization(axis=(1, -1), mean=1, variance=1)(jg.Input((3,))), ShapeError, "different axes"),
    (lambda: L.Normalization().adapt(np.ones(3)), ShapeError, r"axes \(-1,\).*axis=None"),
    (lambda: L.Normalization().adapt([np.ones((2, 3)), np.ones((2, 4))]), ShapeError, "batch 1.*as in the first"),
    (lambda: L.Normalization().adapt(np.ones((0, 3))), DataError, "expected rows"),
    (lambda: L.Normalization().adapt([]), DataError, "expected rows"),
    (lambda: L.Normalization().adapt(np.array([[1.0], [np.nan]])), DataError, "batch 0.*finite numbers.*row 1"),
    (lambda: L.Normalization().adapt((np.ones((2, 3)), np.ones(2))), DataError, "got a tuple.*inputs alone"),
    (lambda: L.Normalization().adapt([[1.0, 2.0]]), DataError, "batch 0: expected an array, got a list"),
    (lambda: L.Normalization().adapt(3), DataError, "an iterable of batches, got a int"),
    (lambda: layers.Rescaling("a"), ArgumentError, "Rescaling, scale: expected finite numbers"),
    (lambda: layers.Rescaling(True), ArgumentError, "Rescaling, scale"),
    (lambda: L.Rescaling(1.0, offset=float("inf")), ArgumentError, "Rescaling, offset"),
    (lambda: L.Rescaling([1.0, 2.0])(jg.Input((3,))), ShapeError, r"scale: expected.*last axes, got shape \(2,\)"),
    (lambda: L.Rescaling(1.0, [[1.0], [2.0]])(jg.Input((3,))), ShapeError, "offset: expected"),
]


@pytest.mark.parametrize(("make", "kind", "message"), BAD, ids=[message for _, _, message in BAD])
def test_what_is_refused(make: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        make()


def test_a_model_begins_with_it() -> None:
    x = jg.Input((4, 3), name="x")
    model = jg.Model(x, L.Normalization().adapt(DATA)(x))
    params, state = model.init(jax.random.key(0))
    assert (params, state) == ({}, {})
    y = model.predict(params, state, DATA)
    np.testing.assert_allclose(y.mean((0, 1)), 0, atol=1e-3)
    np.testing.assert_allclose(y.std((0, 1)), 1, rtol=1e-3)
