"""Layers that compute in bfloat16, with weights in float32, against Keras' under `mixed_bfloat16`, within rounding."""

from typing import Any

import numpy as np
import pytest

from tests.references.keras_twin import TOLERANCES, Part, differences, make_twin


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape).astype("float32")


STEPS, PICTURES = numbers(3, 5, 4), numbers(2, 6, 5, 3)
CASES: list[tuple[str, dict[str, Any], tuple]] = [
    ("Dense", {"units": 3, "activation": "gelu"}, (STEPS,)),
    ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": (None, 6), "bias_axes": "d"}, (STEPS,)),
    ("Embedding", {"input_dim": 7, "output_dim": 4}, (np.array([[0, 6, 2], [1, 1, 3]], "int32"),)),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same", "activation": "relu"}, (PICTURES,)),
    ("Conv1DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2}, (STEPS,)),
    ("DepthwiseConv2D", {"kernel_size": 3}, (PICTURES,)),
    ("SeparableConv1D", {"filters": 5, "kernel_size": 3}, (STEPS,)),
    ("AveragePooling2D", {"pool_size": 2, "padding": "same"}, (PICTURES,)),
    ("MaxPooling1D", {"pool_size": 2}, (STEPS,)),
    ("BatchNormalization", {}, (STEPS,)),
    ("LayerNormalization", {}, (STEPS,)),
    ("GroupNormalization", {"groups": 2}, (STEPS,)),
    ("RMSNormalization", {}, (STEPS,)),
    ("UnitNormalization", {}, (STEPS,)),
    ("LSTM", {"units": 3, "return_sequences": True}, (STEPS,)),
    ("GRU", {"units": 3}, (STEPS,)),
    ("SimpleRNN", {"units": 3}, (STEPS,)),
    ("Bidirectional", {"layer": Part("LSTM", {"units": 2})}, (STEPS,)),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}, (STEPS, STEPS[:, :3])),
    ("GroupQueryAttention", {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}, (STEPS, STEPS)),
    ("Attention", {"use_scale": True}, ([STEPS, STEPS[:, :3]],)),
    ("AdditiveAttention", {}, ([STEPS, STEPS[:, :3]],)),
    ("Dot", {"axes": -1, "normalize": True}, ([STEPS, STEPS],)),
    ("Average", {}, ([STEPS, STEPS[::-1]],)),
    ("PReLU", {}, (STEPS,)),
    ("Softmax", {}, (STEPS,)),
    ("Activation", {"activation": "mish"}, (STEPS,)),
    ("UpSampling2D", {"interpolation": "bilinear"}, (PICTURES,)),
    ("Rescaling", {"scale": 0.3, "offset": -1.0}, (PICTURES,)),
]


@pytest.mark.parametrize(("name", "config", "inputs"), CASES, ids=[case[0] for case in CASES])
def test_values_and_gradients(name: str, config: dict[str, Any], inputs: tuple) -> None:
    found = differences(name, config, *inputs, train=True, dtype="bfloat16")
    assert max(found.values()) <= TOLERANCES["bfloat16"], found


def test_both_compute_in_it() -> None:
    twin = make_twin("Dense", {"units": 3}, (STEPS,), dtype="bfloat16")
    for function in twin.functions():
        assert function(twin.params, (STEPS,), False, None)[0].dtype == "bfloat16"
