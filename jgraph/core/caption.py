"""What a layer is, in few words and without its weights: for the boxes of a picture."""

import dataclasses
import functools
from typing import Any

import jax

from jgraph.core.graph import Node, Ref
from jgraph.core.layer import Layer, Op
from jgraph.ops.indexing import getitem

ROOMS = {
    "convolution": "convolution",
    "convolution_transpose": "convolution",
    "separable": "convolution",
    "recurrent": "recurrent",
    "recurrent_cells": "recurrent",
    "bidirectional": "recurrent",
    "cells": "recurrent",
    "attention": "attention",
    "attending": "attention",
    "multi_head_attention": "attention",
    "dense": "dense",
    "einsum_dense": "dense",
    "lora": "dense",
    "embedding": "embedding",
    "normalization": "normalization",
    "batch_normalization": "normalization",
    "pooling": "pooling",
    "resampling": "pooling",
    "merging": "merging",
    "dot": "merging",
    "activation": "activation",
    "rectifiers": "activation",
    "regularization": "regularization",
    "augmentation": "preprocessing",
    "preprocessing": "preprocessing",
    "reshaping": "reshaping",
    "borders": "reshaping",
    "masking": "reshaping",
}
"""The kind of box for the layers of each file of `jgraph.layers`."""

ACTIVATIONS = (
    *("relu", "relu6", "sigmoid", "tanh", "softmax", "log_softmax", "softplus", "soft_sign", "silu", "swish", "gelu"),
    *("elu", "selu", "celu", "leaky_relu", "mish", "hard_sigmoid", "hard_tanh", "hard_silu", "log_sigmoid", "glu"),
)
COMBINING = (
    *("add", "subtract", "multiply", "true_divide", "divide", "maximum", "minimum", "matmul"),
    *("concatenate", "stack", "where"),
)
"""Functions by name, which tell the kind of box of an operation."""

TIMES, DOT = "\N{MULTIPLICATION SIGN}", " \N{MIDDLE DOT} "

SIZES = ("kernel_size", "pool_size", "size", "strides", "dilation_rate", "cropping", "padding")
SILENT = ("use_bias", "data_format", "epsilon", "momentum", "name", "dtype", "seed", "supports_masking")
VALUES = ("padding", "activation", "interpolation", "merge_mode")
"""Fields whose value says enough."""

WORDS = {"strides": "stride", "dilation_rate": "dilation", "padding": "padding", "size": "times"}


def kind_of(layer: Layer) -> str:
    """The kind of box of a layer: one of `jgraph.draw.diagram.KINDS`.

    >>> import jgraph as jg
    >>> kind_of(jg.layers.Conv1D(8, 3)), kind_of(jg.layers.TimeDistributed(jg.layers.Dense(4)))
    ('convolution', 'dense')
    """
    if layer.is_graph:
        return "model"
    for _ in range(8):  # a wrapper is of the kind of what it wraps
        if isinstance(layer, Op):
            return _kind_of_operation(layer)
        for base in type(layer).__mro__:
            room = base.__module__.removeprefix("jgraph.layers.")
            if room != base.__module__ and room in ROOMS:
                return ROOMS[room]
        inner = getattr(layer, "layer", None)
        if not isinstance(inner, Layer):
            break
        layer = inner
    return "input" if type(layer).__name__ == "InputLayer" else "other"


def _kind_of_operation(layer: Op) -> str:
    name = layer.default_name()
    return "activation" if name in ACTIVATIONS else "merging" if name in COMBINING else "op"


def caption(node: Node) -> str:
    """What a node's layer is: its class, its sizes, and what else its user chose of what can be said briefly.

    >>> import jgraph as jg
    >>> x = jg.Input((8, 8, 3), name="x")
    >>> y = jg.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(x)
    >>> model = jg.Model(x, y[:, 0])
    >>> [caption(node).replace(TIMES, "x") for node in model.nodes]
    ['Input float32', 'Conv2D 16 · 3x3 · stride 2 · same · relu', 'x[:, 0]']
    """
    layer = node.layer
    if isinstance(layer, Op):
        return _operation(layer, node)
    words = [_class_words(layer)]
    inner = getattr(layer, "layer", None)
    if isinstance(inner, Layer) and not layer.is_graph:
        words.append(_class_words(inner))
    return DOT.join(words)


def _class_words(layer: Layer) -> str:
    head, rest = [layer.describe()], []
    axes = type(layer).__name__[-2:]
    for field in dataclasses.fields(layer):
        value = getattr(layer, field.name)
        chosen = field.default is dataclasses.MISSING or field.name == "pool_size" or _differs(value, field.default)
        if field.name in SILENT or not chosen or layer.is_graph or layer.describe() != type(layer).__name__:
            continue
        text = _value(field.name, value, axes)
        if text and field.default is dataclasses.MISSING and field.name not in SIZES and not rest:
            head.append(text if len(head) == 1 else f"{TIMES} {text}")
        elif text:
            rest.append(text)
    return DOT.join([" ".join(head), *rest])


def _differs(value: Any, default: Any) -> bool:
    """Whether a user chose something else than the default; `1` and `(1, 1)` are the same."""
    if isinstance(default, int | tuple) and isinstance(value, int | tuple):
        sizes = [v if isinstance(v, tuple) else (v,) for v in (value, default)]
        if sizes[0] and _alike((*sizes[0], *sizes[1])) and not isinstance(value, bool):
            return False
    return type(value) is not type(default) or repr(value) != repr(default)


def _alike(values: tuple) -> bool:
    """Whether all are one number or word; of lists and arrays, which a layer may hold too, it is not asked."""
    return bool(values) and all(isinstance(v, int | float | str) and v == values[0] for v in values)


def _value(name: str, value: Any, axes: str) -> str:
    """A field in words; empty where it cannot be said briefly, as an initializer."""
    if name.endswith(("_initializer", "_regularizer", "_constraint")):
        return ""
    if isinstance(value, bool):
        return name if value else f"{name}=False"
    if isinstance(value, int) and name in SIZES and axes in ("2D", "3D") and name not in ("strides", "dilation_rate"):
        value = (value,) * int(axes[0])
    if name in ("strides", "dilation_rate") and isinstance(value, tuple) and _alike(value):
        value = value[0]
    if isinstance(value, tuple) and all(isinstance(v, int | str | None) for v in value):
        text = TIMES.join(map(str, value)) if name in SIZES else str(value).replace("'", "")
    elif isinstance(value, int | float):
        text = f"{value:g}" if isinstance(value, float) else f"{value:,}"
    elif isinstance(value, str):
        text = value
    elif callable(value) and not isinstance(value, Layer):
        text = getattr(value.func if isinstance(value, functools.partial) else value, "__name__", "")
    else:
        return ""
    said = name in (*VALUES, "kernel_size", "pool_size") or name in ("units", "filters", "target_shape", "dims")
    counted = name in ("input_dim", "output_dim", "num_heads", "key_dim", "equation", "function", "rate", "n")
    return text if said or counted or not text else f"{WORDS.get(name, name.replace('_', ' '))} {text}"


def _operation(layer: Op, node: Node) -> str:
    """An operation as it is written: `x[:, 0]`, `clip(x, 0.0, 1.0)`."""
    if layer.function is getitem:
        index = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
        return f"x[{', '.join(map(_index, index))}]"
    letters = iter("xyzabcdefghijklmnopqrstuvw" * 10)
    words = [_argument(a, letters) for a in node.args]
    words += [f"{name}={_argument(a, letters)}" for name, a in node.kwargs.items()]
    return f"{layer.default_name()}({', '.join(words)})"


def _argument(value: Any, letters: Any) -> str:
    if isinstance(value, Ref):
        return next(letters, "…")
    if isinstance(value, bool | int | float | str) or value is None:
        return repr(value)
    leaves = jax.tree.leaves(value)
    if leaves and all(isinstance(leaf, Ref) for leaf in leaves) and len(leaves) < 4:
        return f"[{', '.join(next(letters, '…') for _ in leaves)}]"
    if isinstance(value, tuple | list) and len(value) < 5 and all(isinstance(v, int | float) for v in value):
        return str(value)
    return "…"


def _index(part: Any) -> str:
    if isinstance(part, slice):
        start, stop = ("" if end is None else str(end) for end in (part.start, part.stop))
        return f"{start}:{stop}" + (f":{part.step}" if part.step not in (None, 1) else "")
    return "…" if part is Ellipsis else str(part) if isinstance(part, int) else "None" if part is None else "·"
