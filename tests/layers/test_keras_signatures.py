"""Arguments as in Keras: every field of a layer is an argument of Keras', in its order and with its default."""

import dataclasses
import inspect
from typing import Any

import keras
import pytest

import jgraph as jg
from jgraph.initializers.initializer import INITIALIZERS
from jgraph.ops.activations import ACTIVATIONS

LACKED = {
    "data_format": "channels are always last",
    "dtype": "the policy of a model says its dtypes",
    "flash_attention": "kernels are chosen per platform",
    "gptq_unpacked_column_size": "the policy of a model says its dtypes",
    "lora_alpha": "adaptation of trained models is a layer of its own",
    "lora_rank": "adaptation of trained models is a layer of its own",
    "output_shape": "found by tracing",
    "quantization_config": "the policy of a model says its dtypes",
    "seed": "keys come from the path of the node",
    "stateful": "a layer keeps nothing between calls but its state",
    "synchronized": "under jit the batch is whole on every number of devices",
    "use_cudnn": "kernels are chosen per platform",
    "weights": "start values are given to trainer.init(params=...)",
}
"""What Keras has and jgraph leaves out, with the reason."""

LACKED_ACTIVATIONS = {"threshold"}  # a name alone, to which Keras gives no numbers: it fails when it is called

SHARED = sorted(
    name
    for name, value in vars(jg.layers).items()
    if isinstance(value, type) and issubclass(value, jg.Layer) and hasattr(keras.layers, name)
)


def arguments(name: str) -> dict[str, Any]:
    """Keras' arguments and their defaults; those that every layer of Keras takes are left out."""
    parameters = inspect.signature(getattr(keras.layers, name)).parameters
    found = {k: p.default for k, p in parameters.items() if k not in ("name", "kwargs")}
    return {k: "zeros" if default == "Zeros" else default for k, default in found.items()}  # PReLU names the class


def fields(name: str) -> dict[str, Any]:
    found = dataclasses.fields(getattr(jg.layers, name))
    return {f.name: inspect.Parameter.empty if f.default is dataclasses.MISSING else f.default for f in found[1:]}


@pytest.mark.parametrize("name", SHARED)
def test_arguments_and_defaults(name: str) -> None:
    theirs = arguments(name)
    assert fields(name) == {k: v for k, v in theirs.items() if k in fields(name)}
    assert list(fields(name)) == [k for k in theirs if k in fields(name)]


@pytest.mark.parametrize("name", SHARED)
def test_types_of_defaults(name: str) -> None:
    assert {k: type(v) for k, v in fields(name).items()} == {
        k: type(v) for k, v in arguments(name).items() if k in fields(name)
    }


@pytest.mark.parametrize("name", SHARED)
def test_name_is_keyword_only(name: str) -> None:
    parameters = inspect.signature(getattr(jg.layers, name)).parameters
    assert parameters["name"].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["name"].default is None


def test_what_is_lacked_is_listed() -> None:
    assert {k for name in SHARED for k in arguments(name) if k not in fields(name)} == set(LACKED)


def test_our_own_layers_are_few() -> None:
    layers = {n for n, v in vars(jg.layers).items() if isinstance(v, type) and issubclass(v, jg.Layer)}
    assert layers - set(SHARED) == {"LoRA", "FlaxModule", "Pair", "NNXModule", "EquinoxModule", "StaxPair"}


def test_activation_names() -> None:
    from keras.src.activations import ALL_OBJECTS_DICT

    assert set(ALL_OBJECTS_DICT) - set(ACTIVATIONS) == LACKED_ACTIVATIONS
    assert set(ACTIVATIONS) <= set(ALL_OBJECTS_DICT)


def test_initializer_names() -> None:
    from keras.src.initializers import ALL_OBJECTS_DICT

    theirs = {n for n in ALL_OBJECTS_DICT if n.islower()} - {"initializer", "one", "zero"}  # the base, two aliases
    assert set(INITIALIZERS) == theirs


def test_functional_names() -> None:
    """In Keras' order; what Keras hands on as `**kwargs` has to be named."""
    for name in ("add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate", "dot"):
        ours = inspect.signature(getattr(jg.layers, name)).parameters.values()
        theirs = inspect.signature(getattr(keras.layers, name)).parameters.values()
        named = [p for p in ours if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        assert [(p.name, p.default) for p in named] == [(p.name, p.default) for p in theirs][:-1]
