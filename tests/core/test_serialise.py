"""Models as JSON: every layer and constant comes back, the text is stable, and nothing in it is executed."""

import dataclasses
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.core.names import FUNCTION_ROOTS, REFUSED, find_function, name_of_function
from jgraph.errors import ArgumentError, LoadError, SaveError

L = jg.layers


class Scale(jg.Layer):
    """A layer of one's own, with fields of several kinds."""

    factor: Any = 2.0
    options: Any = ()

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        return {"gain": jnp.ones(x.shape[-1])}, {}

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> tuple[Any, Any]:
        return x * params["gain"], state


class Pair(NamedTuple):
    """A constant of a class of one's own."""

    low: float
    high: float


def make_gain(key: Any, x: Any) -> tuple[Any, Any]:
    return {"gain": jnp.ones(x.shape[-1])}, {}


def use_gain(params: Any, state: Any, x: Any, *, train: bool, key: Any) -> tuple[Any, Any]:
    return x * params["gain"], state


def swap(x: Any) -> Any:
    return x[..., ::-1]


def within(x: Any, bounds: Pair) -> Any:
    return jnp.clip(x, bounds.low, bounds.high)


ALLOWED = [Scale, Pair, make_gain, use_gain, swap, within, nn.Dense, nn.BatchNorm]

VOLUME, IMAGE, STEPS, ROW, TOKENS = (3, 2, 4, 2), (6, 6, 2), (5, 3), (4,), (7,)

# Every layer, in a configuration away from its defaults where there is room.
LAYERS: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "Activation": (ROW, lambda x: L.Activation(jax.nn.gelu)(x)),
    "ActivityRegularization": (STEPS, lambda x: L.ActivityRegularization(0.1, l2=0.2)(x)),
    "Add": (ROW, lambda x: L.Add()([x, x])),
    "AdditiveAttention": (STEPS, lambda x: L.AdditiveAttention(False)([x, x], use_causal_mask=True)),
    "AlphaDropout": (STEPS, lambda x: L.AlphaDropout(0.25, (None, None, 1))(x)),
    "Attention": (STEPS, lambda x: L.Attention(True, "concat", 0.5)([x, x, x], return_attention_scores=True)),
    "Average": (ROW, lambda x: L.Average()([x, x])),
    "AveragePooling1D": (STEPS, lambda x: L.AveragePooling1D(2, padding="same")(x)),
    "AveragePooling2D": (IMAGE, lambda x: L.AveragePooling2D((2, 3), strides=1, padding="same")(x)),
    "AveragePooling3D": (VOLUME, lambda x: L.AveragePooling3D((1, 2, 2), strides=1)(x)),
    "BatchNormalization": (IMAGE, lambda x: L.BatchNormalization(axis=1, momentum=0.5, scale=False)(x)),
    "Bidirectional": (STEPS, lambda x: L.Bidirectional(L.GRU(2), "ave", L.SimpleRNN(2, go_backwards=True))(x)),
    "Concatenate": (STEPS, lambda x: L.Concatenate(axis=1)([x, x])),
    "Conv1D": (STEPS, lambda x: L.Conv1D(4, 2, padding="causal", dilation_rate=2, activation="relu")(x)),
    "Conv1DTranspose": (STEPS, lambda x: L.Conv1DTranspose(4, 2, strides=3, output_padding=1)(x)),
    "Conv2D": (IMAGE, lambda x: L.Conv2D(4, (3, 1), strides=(2, 1), groups=2, use_bias=False)(x)),
    "Conv2DTranspose": (IMAGE, lambda x: L.Conv2DTranspose(4, 3, padding="same", dilation_rate=(1, 2))(x)),
    "Conv3D": (VOLUME, lambda x: L.Conv3D(2, 1, strides=(2, 1, 1), kernel_constraint="non_neg")(x)),
    "Conv3DTranspose": (VOLUME, lambda x: L.Conv3DTranspose(2, (1, 2, 1), bias_regularizer="l2")(x)),
    "Cropping1D": (STEPS, lambda x: L.Cropping1D((0, 2))(x)),
    "Cropping2D": (IMAGE, lambda x: L.Cropping2D(((1, 0), (2, 3)))(x)),
    "Cropping3D": (VOLUME, lambda x: L.Cropping3D((1, 0, 1))(x)),
    "Dense": (ROW, lambda x: L.Dense(3, jnp.tanh, bias_initializer="ones", name="named")(x)),
    "DepthwiseConv1D": (STEPS, lambda x: L.DepthwiseConv1D(2, depthwise_regularizer=jg.regularizers.L2(0.5))(x)),
    "DepthwiseConv2D": (IMAGE, lambda x: L.DepthwiseConv2D(3, depth_multiplier=2)(x)),
    "Dot": (STEPS, lambda x: L.Dot((1, -2), normalize=True)([x, x])),
    "Dropout": (STEPS, lambda x: L.Dropout(0.25, noise_shape=(None, 1, None))(x)),
    "EinsumDense": (
        STEPS,
        lambda x: L.EinsumDense("abc,cd->abd", (None, 4), "tanh", "d", kernel_constraint="unit_norm")(x),
    ),
    "ELU": (ROW, lambda x: L.ELU(0.5)(x)),
    "Embedding": (TOKENS, lambda x: L.Embedding(9, 3, mask_zero=True)(x)),
    "Flatten": (IMAGE, lambda x: L.Flatten()(x)),
    "FlaxModule": (ROW, lambda x: jg.as_layer(nn.Dense(3, use_bias=False), name="flax")(x)),
    "GRU": (STEPS, lambda x: L.GRU(3, reset_after=False, recurrent_dropout=0.5)(x)),
    "GRUCell": (ROW, lambda x: L.GRUCell(4, reset_after=False)(x, x)),
    "GaussianDropout": (ROW, lambda x: L.GaussianDropout(0.25)(x)),
    "GaussianNoise": (ROW, lambda x: L.GaussianNoise(2.0)(x)),
    "GlobalAveragePooling1D": (STEPS, lambda x: L.GlobalAveragePooling1D(keepdims=True)(x)),
    "GlobalAveragePooling2D": (IMAGE, lambda x: L.GlobalAveragePooling2D()(x)),
    "GlobalAveragePooling3D": (VOLUME, lambda x: L.GlobalAveragePooling3D(keepdims=True)(x)),
    "GlobalMaxPooling1D": (STEPS, lambda x: L.GlobalMaxPooling1D()(x)),
    "GlobalMaxPooling2D": (IMAGE, lambda x: L.GlobalMaxPooling2D(keepdims=True)(x)),
    "GlobalMaxPooling3D": (VOLUME, lambda x: L.GlobalMaxPooling3D()(x)),
    "GroupQueryAttention": (
        STEPS,
        lambda x: L.GroupQueryAttention(3, 4, 2, 0.1, sliding_window=2, use_gate=True, kernel_regularizer="l2")(
            x, key=x, value=x
        ),
    ),
    "GroupNormalization": (IMAGE, lambda x: L.GroupNormalization(-1, axis=2, gamma_regularizer="l1")(x)),
    "Identity": (ROW, lambda x: L.Identity()(x)),
    "LayerNormalization": (IMAGE, lambda x: L.LayerNormalization([1, 2], center=False)(x)),
    "LSTM": (STEPS, lambda x: L.LSTM(3, return_sequences=True, return_state=True, go_backwards=True)(x)),
    "LSTMCell": (ROW, lambda x: L.LSTMCell(4, unit_forget_bias=False)(x, [x, -x])),
    "Lambda": (STEPS, lambda x: L.Lambda(jnp.sum, arguments={"axis": -1, "keepdims": True})(x)),
    "LeakyReLU": (ROW, lambda x: L.LeakyReLU(0.1)(x)),
    "Masking": (STEPS, lambda x: L.LSTM(3)(L.Masking(mask_value=-1.0)(x))),
    "MaxPooling1D": (STEPS, lambda x: L.MaxPooling1D(2, padding="same")(x)),
    "MaxPooling2D": (IMAGE, lambda x: L.MaxPooling2D()(x)),
    "MaxPooling3D": (VOLUME, lambda x: L.MaxPooling3D(2, (1, 2, 1), "same")(x)),
    "Maximum": (ROW, lambda x: L.Maximum()([x, -x])),
    "Minimum": (ROW, lambda x: L.Minimum()([x, -x])),
    "MultiHeadAttention": (
        STEPS,
        lambda x: L.MultiHeadAttention(2, 4, output_shape=(2,), attention_axes=(1,), bias_constraint="non_neg")(
            x, x, x, attention_mask=x[:, :, None, 0] > x[:, None, :, 1]
        ),
    ),
    "Multiply": (ROW, lambda x: L.Multiply()([x, x])),
    "Normalization": (STEPS, lambda x: L.Normalization((2, 1), [1.0, 2.0, 3.0], [4.0, 5.0, 0.5], invert=True)(x)),
    "PReLU": (IMAGE, lambda x: L.PReLU("ones", jg.regularizers.L1(0.1), "non_neg", [1, -2])(x)),
    "Pair": (ROW, lambda x: jg.as_layer(make_gain, use_gain, name="pair")(x)),
    "Permute": (IMAGE, lambda x: L.Permute((3, 1, 2))(x)),
    "RNN": (STEPS, lambda x: L.RNN([L.LSTMCell(3), L.LSTMCell(2, name="top")], zero_output_for_mask=True)(x)),
    "RandomBrightness": (IMAGE, lambda x: L.RandomBrightness((-0.5, 0.25), value_range=(0.0, 1.0))(x)),
    "RandomContrast": (IMAGE, lambda x: L.RandomContrast(0.25)(x)),
    "RandomCrop": (IMAGE, lambda x: L.RandomCrop(3, 2)(x)),
    "RandomFlip": (IMAGE, lambda x: L.RandomFlip("vertical")(x)),
    "RandomRotation": (IMAGE, lambda x: L.RandomRotation(0.25, "constant", "nearest", fill_value=0.5)(x)),
    "RandomTranslation": (IMAGE, lambda x: L.RandomTranslation(0.25, (-0.5, 0.25), fill_mode="wrap")(x)),
    "RandomZoom": (IMAGE, lambda x: L.RandomZoom(0.25, fill_mode="nearest")(x)),
    "RepeatVector": (ROW, lambda x: L.RepeatVector(3)(x)),
    "RMSNormalization": (STEPS, lambda x: L.RMSNormalization((1, 2), epsilon=0.1)(x)),
    "Rescaling": (IMAGE, lambda x: L.Rescaling(0.5, np.array([1.0, -1.0]))(x)),
    "ReLU": (ROW, lambda x: L.ReLU(6.0, negative_slope=0.1, threshold=1)(x)),
    "Reshape": (IMAGE, lambda x: L.Reshape((-1, 4))(x)),
    "Resizing": (IMAGE, lambda x: L.Resizing(4, 9, "bicubic", pad_to_aspect_ratio=True, fill_value=0.5)(x)),
    "SeparableConv1D": (STEPS, lambda x: L.SeparableConv1D(4, 2, padding="same", depth_multiplier=2)(x)),
    "SeparableConv2D": (IMAGE, lambda x: L.SeparableConv2D(4, 3, activation="softmax")(x)),
    "SimpleRNN": (STEPS, lambda x: L.SimpleRNN(3, kernel_constraint="unit_norm")(x)),
    "SimpleRNNCell": (ROW, lambda x: L.SimpleRNNCell(4, "relu", kernel_regularizer="l2")(x, x)),
    "StackedRNNCells": (ROW, lambda x: L.StackedRNNCells([L.GRUCell(4), L.SimpleRNNCell(4)])(x, [x, -x])),
    "Softmax": (IMAGE, lambda x: L.Softmax((1, 2))(x, mask=x > 0.0)),
    "SpatialDropout1D": (STEPS, lambda x: L.SpatialDropout1D(0.25)(x)),
    "SpatialDropout2D": (IMAGE, lambda x: L.SpatialDropout2D(0.25)(x)),
    "SpatialDropout3D": ((2, 2, 2, 3), lambda x: L.SpatialDropout3D(0.25)(x)),
    "Subtract": (ROW, lambda x: L.Subtract()([x, 2 * x])),
    "LoRA": (STEPS, lambda x: L.LoRA(L.Dense(3, "relu"), 2, 4.0)(x)),
    "TimeDistributed": (IMAGE, lambda x: L.TimeDistributed(jg.Sequential([L.Dense(3, "relu"), L.LSTM(2)]))(x)),
    "UpSampling1D": (STEPS, lambda x: L.UpSampling1D(3)(x)),
    "UpSampling2D": (IMAGE, lambda x: L.UpSampling2D((1, 2), "lanczos3")(x)),
    "UpSampling3D": (VOLUME, lambda x: L.UpSampling3D((1, 2, 1))(x)),
    "ZeroPadding1D": (STEPS, lambda x: L.ZeroPadding1D((0, 2))(x)),
    "ZeroPadding2D": (IMAGE, lambda x: L.ZeroPadding2D(((1, 0), (2, 3)))(x)),
    "ZeroPadding3D": (VOLUME, lambda x: L.ZeroPadding3D((1, 0, 2))(x)),
    "UnitNormalization": (IMAGE, lambda x: L.UnitNormalization([1, -1])(x)),
}


def nested(x: Any) -> Any:
    inner = jg.Input((4,))
    tower = jg.Model(inner, L.Dense(4)(jg.Sequential([L.Dense(4, "relu"), Scale()])(inner)), name="tower")
    outer = jg.Input((4,))
    both = jg.Model(outer, tower(outer) + tower(outer * 2.0))
    return both(tower(x))


def masked(tokens: Any) -> Any:
    embedded = L.Embedding(9, 3, mask_zero=True)(tokens)
    by_hand = jg.op(jnp.greater)(tokens, 1)
    return [L.LSTM(3)(embedded), L.LSTM(3)(embedded, mask=by_hand), L.LSTM(2)(L.Dropout(0.1)(embedded))]


def sliced(x: Any) -> Any:
    return {"a": x[:, 1:4:2], "b": x[:, None, ..., -1], "c": x[:, np.array([2, 0])], "d": x[..., 0] + x[:, 1]}


def constants(x: Any) -> Any:
    numbers = np.array([1.0, np.inf, -np.inf, 0.1], "float32")
    return [
        jg.op(jnp.where)(x > 0, x, numbers),
        x * jnp.asarray([1.5, 2.5, 3.5, 4.5], jnp.bfloat16),
        jg.op(jnp.clip)(x, -0.5, max=np.float64(0.5)),
        jg.op(within)(x, Pair(-1.0, 1.0)),
        jg.op(swap)(x),
        jg.op(jnp.full_like)(x, float("-inf"), dtype=jnp.float32),
        x + 1j,
        jg.op(jnp.sum)(x, axis=(1,), keepdims=True),
        x @ np.arange(8, dtype="float32").reshape(4, 2),
    ]


def dtypes(x: Any) -> Any:
    casts = [jg.op(jnp.astype)(x, dtype) for dtype in (jnp.bfloat16, np.int32, np.dtype("float16"))]
    return [*casts, jg.op(jax.lax.convert_element_type)(x, jnp.int8)]


def own_arrays(x: Any) -> Any:
    return Scale(factor=np.arange(4.0), options=[jnp.ones(2, jnp.bfloat16), 1 - 2j, np.array([1j, np.inf])])(x)


def own_fields(x: Any) -> Any:
    layer = L.Dense(4)
    options = {"a": [1, (2.0, None)], 3: slice(1, None), "more": ..., "f": jax.nn.relu, "nan": float("nan")}
    return Scale(factor=layer, options=options)(layer(x))


DRAWINGS: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "nested and shared models": (ROW, nested),
    "masks": (TOKENS, masked),
    "slices": (ROW, sliced),
    "constants": (ROW, constants),
    "dtypes": (ROW, dtypes),
    "fields of a layer of one's own": (ROW, own_fields),
    "arrays as fields": (ROW, own_arrays),
    "a flax module with state": (ROW, lambda x: jg.as_layer(nn.BatchNorm(momentum=0.5))(x)),
}
EVERYTHING = {**LAYERS, **DRAWINGS}


def draw(name: str) -> jg.Model:
    shape, make = EVERYTHING[name]
    x = jg.Input(shape, dtype="int32" if shape == TOKENS else "float32", name="x")
    return jg.Model({"x": x}, make(x))


def results(model: jg.Model) -> Any:
    """Start values, and outputs for numbers that fit every input here."""
    shape, random = model.inputs["x"].shape[1:], np.random.default_rng(0)
    x = random.integers(0, 9, (2, *shape)) if shape == TOKENS else random.normal(size=(2, *shape)).astype("float32")
    params, state = model.init(jax.random.key(0))
    return params, state, model.apply(params, state, {"x": x})


def test_every_layer_is_tried_here() -> None:
    public = {name for name, kind in vars(L).items() if inspect.isclass(kind) and issubclass(kind, jg.Layer)}
    assert {name for name in public if vars(L)[name].written} == set(LAYERS)


@pytest.mark.parametrize("name", EVERYTHING)
def test_models_come_back(name: str) -> None:
    model = draw(name)
    text = model.to_json()
    again = jg.Model.from_json(text, allow=ALLOWED)
    assert again.to_json() == text
    assert again.summary() == model.summary()
    expected, found = results(model), results(again)
    assert jax.tree.structure(expected) == jax.tree.structure(found)
    for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)


def test_fields_of_a_layer_come_back() -> None:
    again = jg.Model.from_json(draw("fields of a layer of one's own").to_json(), allow=[Scale])
    scale = again.layers["scale"]
    assert isinstance(scale, Scale)
    assert scale.factor is again.layers["dense"]
    assert repr(scale.options) == repr(
        {"a": [1, (2.0, None)], 3: slice(1, None), "more": ..., "f": jax.nn.relu, "nan": float("nan")}
    )


def test_shared_layers_and_models_stay_shared() -> None:
    again = jg.Model.from_json(draw("nested and shared models").to_json(), allow=[Scale])
    towers = [node.layer for node in again.nodes if node.path in ("model/tower", "tower")]
    assert len(towers) == 3
    assert len(set(towers)) == 1


def test_the_text_is_the_same_in_another_process() -> None:
    """Hashes of strings, addresses and the order of drawing differ there."""
    code = (
        "from tests.core.test_serialise import EVERYTHING, draw\n"
        "for name in reversed(EVERYTHING): print(repr(draw(name).to_json()))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [repr(draw(name).to_json()) for name in reversed(EVERYTHING)]


# What a file may say


def x_input() -> Any:
    return jg.Input((4,), name="x")


def closure(name: str) -> Callable[[Any], Any]:
    def inner(x: Any) -> Any:
        return x

    inner.__name__ = name
    return inner


@dataclasses.dataclass(frozen=True)
class Hidden:
    """Something that holds what JSON cannot say."""

    content: Any


UNSAYABLE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a lambda": (lambda x: jg.op(lambda y: y)(x), r"Write it with def.*allow="),
    "a partial function": (lambda x: jg.op(jax.tree_util.Partial(jnp.add, 1))(x), "Write it with def"),
    "an activation without a name": (lambda x: L.Dense(3, activation=lambda y: y)(x), "Write it with def"),
    "a set": (lambda x: Scale(options={1, 2})(x), r"Scale.*options.*numbers, strings.*set"),
    "bytes": (lambda x: Scale(options=b"raw")(x), "bytes"),
    "a key": (lambda x: Scale(options=jax.random.key(0))(x), "numbers, strings, arrays"),
    "an object within": (lambda x: Scale(options=Hidden(object()))(x), r"options\.content.*object"),
    "two functions of one name": (lambda x: jg.op(closure("f"))(jg.op(closure("f"))(x)), "'f', as another one.*Rename"),
}


@pytest.mark.parametrize("name", UNSAYABLE)
def test_what_cannot_be_said_is_refused_with_the_cure(name: str) -> None:
    make, message = UNSAYABLE[name]
    x = x_input()
    with pytest.raises(SaveError, match=message):
        jg.Model(x, make(x)).to_json()


def test_things_of_ones_own_must_be_allowed() -> None:
    text = draw("nested and shared models").to_json()
    with pytest.raises(LoadError, match=r"'Scale' among what is allowed.*got none.*allow=\[Scale\]"):
        jg.Model.from_json(text)
    with pytest.raises(LoadError, match="got 'swap'"):
        jg.Model.from_json(text, allow=[swap])
    with pytest.raises(LoadError, match="among what is allowed, once"):
        jg.Model.from_json(text, allow=[Scale, dataclasses.make_dataclass("Scale", [])])
    assert jg.Model.from_json(text, allow=[Scale, Scale, swap]).to_json() == text


@pytest.mark.parametrize("root", FUNCTION_ROOTS)
def test_public_functions_are_found_by_their_names(root: str) -> None:
    module = sys.modules[root]
    found = [getattr(module, n) for n in dir(module) if not n.startswith("_")]
    names = [
        (f, name_of_function(f))
        for f in found
        if inspect.isfunction(f) and f.__module__.startswith(("jax", "jgraph.ops"))
    ]
    for function, name in names:
        assert name.startswith("custom:") or find_function(name, (), "here") is function
    custom = {name.removeprefix("custom:") for _, name in names if name.startswith("custom:")}
    assert custom <= {*REFUSED, "up_and_broadcast"}


@pytest.mark.parametrize(
    "name",
    [
        *(f"jax.numpy.{name}" for name in REFUSED),
        *("os.system", "builtins.eval", "builtins.exec", "subprocess.run", "jax.numpy.__loader__", "jax.numpy._dtype"),
        *(
            "jax.numpy.linalg",
            "jax.numpy.ndarray",
            "jax.numpy.nothing",
            "jax.numpy",
            "eval",
        ),
        *("", ".", "jgraph.ops.activations.jax", "jgraph.saving.load", "numpy.save", "pickle.loads"),
        *("jgraph.ops.activations.nearest", "jgraph.ops.activations.Function", "jax.numpy.array_repr"),
    ],
)
def test_functions_that_no_model_needs_are_not_found(name: str) -> None:
    x = x_input()
    text = jg.Model(x, jg.op(jnp.abs)(x)).to_json()
    assert '"jax.numpy.abs"' in text
    with pytest.raises(LoadError, match=r"a public function of 'jax\.nn'.*The file is not sound"):
        jg.Model.from_json(text.replace('"jax.numpy.abs"', json.dumps(name)))


@pytest.mark.parametrize("name", ["Layer", "Nothing", "os", "jax", "Input", "check_name", "__class__", "custom:Dense"])
def test_classes_that_are_no_layers_are_not_found(name: str) -> None:
    x = x_input()
    text = jg.Model(x, L.Dense(3)(x)).to_json()
    with pytest.raises(LoadError):
        jg.Model.from_json(text.replace('"class": "Dense"', f'"class": "{name}"'))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", '"text"', "{}", '{"format": "jgraph model"}', "[" * 100_000]
)
def test_what_is_no_model_is_refused(text: str) -> None:
    with pytest.raises(LoadError, match=r"expected a jgraph model of version 2"):
        jg.Model.from_json(text)


@pytest.mark.parametrize("version", [3, 1, 0, None, "2"])
def test_another_version_is_refused(version: Any) -> None:
    content = {**json.loads(draw("Dense").to_json()), "version": version}
    with pytest.raises(LoadError, match=r"version 2, got version .*Load it with the jgraph that saved it"):
        jg.Model.from_json(json.dumps(content))


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The path of every value within JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def changed(content: Any, path: tuple, value: Any) -> Any:
    """The JSON with one value replaced, or taken out where it is `...`."""
    copy = json.loads(json.dumps(content))
    *way, last = path
    inner = copy
    for key in way:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return copy


@pytest.mark.parametrize(
    "value", [..., None, -1, 10**30, 1.5, "", "x", [], {}, {"$what": 1}, {"$ref": [99, 0]}, True], ids=repr
)
def test_tampered_files_give_load_errors_or_models(value: Any) -> None:
    tokens = jg.Input((5,), dtype="int32", name="tokens")
    h = L.LSTM(3)(L.Embedding(9, 3, mask_zero=True)(tokens), mask=tokens > 1)
    text = jg.Model(tokens, {"y": jg.op(jnp.clip)(h[:, 1:], 0.0, np.ones(2, "float32"))}).to_json()
    content = json.loads(text)
    refused = 0
    for path in places(content)[1:]:
        try:
            jg.Model.from_json(json.dumps(changed(content, path, value)))
        except LoadError:
            refused += 1
    assert refused > len(places(content)) / 4


def test_what_would_not_be_read_is_refused() -> None:
    content = json.loads(draw("nested and shared models").to_json())
    objects = [path for path in places(content) if isinstance(at(content, path), dict)]
    assert len(objects) > 20
    for path in objects:
        with pytest.raises(LoadError):
            jg.Model.from_json(json.dumps(changed(content, (*path, "unknown"), 1)), allow=[Scale])
    with pytest.raises(LoadError, match=r"expected only 'format', .* got 'unknown'. The file is not sound"):
        jg.Model.from_json(json.dumps({**content, "unknown": 1}), allow=[Scale])
    twice = json.dumps(content).replace('"version": 2', '"version": 2, "version": 2')
    with pytest.raises(LoadError, match="expected a jgraph model of version 2"):
        jg.Model.from_json(twice, allow=[Scale])


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_not_finite_have_a_tag(number: str) -> None:
    x = x_input()
    text = jg.Model(x, L.Dropout(0.25)(x)).to_json()
    assert text.count("0.25") == 1
    with pytest.raises(LoadError, match=r"(nan|inf) without its tag"):
        jg.Model.from_json(text.replace("0.25", number))


def at(content: Any, path: tuple) -> Any:
    for key in path:
        content = content[key]
    return content


def test_treatments_nested_calls_and_edits_come_back() -> None:
    model = draw("nested and shared models").freeze("tower")
    for edited in (model, model.insert_after("tower/dense", L.Identity()), model.replace("tower/dense", L.Dense(4))):
        again = jg.Model.from_json(edited.to_json(), allow=[Scale])
        assert again.to_json() == edited.to_json()
        seen = [
            [(n.path, n.call, n.treatment, n.owner, n.origin, repr(n.given)) for n in m.nodes] for m in (edited, again)
        ]
        assert seen[0] == seen[1]
        assert again.insert_after("tower/dense", L.Dropout(0.5)).layers.keys() == (
            edited.insert_after("tower/dense", L.Dropout(0.5)).layers.keys()
        )


def test_initializers_of_jax_are_named_or_refused() -> None:
    x = jg.Input((3,), name="x")
    model = jg.Model(x, L.Dense(2, kernel_initializer=jax.nn.initializers.zeros)(x))
    assert jg.Model.from_json(model.to_json()).to_json() == model.to_json()
    made = jg.Model(x, L.Dense(2, kernel_initializer=jax.nn.initializers.he_normal())(x))
    with pytest.raises(SaveError, match=r"one of JAX's functions made.*'he_normal'"):
        made.to_json()


def test_what_is_allowed_is_a_list() -> None:
    text = draw("Dense").to_json()
    with pytest.raises(ArgumentError, match="allow: expected a list"):
        jg.Model.from_json(text, allow=jnp.tanh)  # pyright: ignore[reportArgumentType]
