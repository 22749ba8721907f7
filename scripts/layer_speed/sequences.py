"""Recurrent layers, attention, and vectors for integers."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

import jgraph as jg
from scripts.layer_speed.family import Family, Work

BATCHES, TIMES, WIDTHS = (1, 16, 64), (20, 100), (32, 128, 256)
NAMES = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "simple_rnn"}
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def lstm_step(params: Any, memory: Any, z: Any) -> Any:
    """Gates in the order i, f, c, o."""
    h, c = memory
    i, f, g, o = jnp.split(z + h @ params["recurrent_kernel"], 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


def gru_step(params: Any, memory: Any, z: Any) -> Any:
    """Gates in the order z, r, h; the bias of the memory is multiplied by r too."""
    (h,) = memory
    inner = h @ params["recurrent_kernel"] + params["bias"][1]
    (xz, xr, xh), (hz, hr, hh) = jnp.split(z, 3, axis=-1), jnp.split(inner, 3, axis=-1)
    keep, reset = jax.nn.sigmoid(xz + hz), jax.nn.sigmoid(xr + hr)
    h = keep * h + (1 - keep) * jnp.tanh(xh + reset * hh)
    return (h,), h


def simple_step(params: Any, memory: Any, z: Any) -> Any:
    """One tanh."""
    h = jnp.tanh(z + memory[0] @ params["recurrent_kernel"])
    return (h,), h


STEPS = {"LSTM": lstm_step, "GRU": gru_step, "SimpleRNN": simple_step}


def scanned(kind: str, params: Any, x: Any, sequences: bool, reverse: bool = False) -> Any:
    """A scan over time with the projection of the inputs in front of it, as one writes it by hand."""
    bias = params["bias"][0] if kind == "GRU" else params["bias"]
    z = jnp.swapaxes(x @ params["kernel"] + bias, 0, 1)
    zeros = jnp.zeros((x.shape[0], params["recurrent_kernel"].shape[0]), x.dtype)
    memory = (zeros, zeros) if kind == "LSTM" else (zeros,)

    def step(memory: Any, z: Any) -> Any:
        memory, h = STEPS[kind](params, memory, z)
        return memory, h if sequences else None

    memory, ys = jax.lax.scan(step, memory, z, reverse=reverse)
    return memory[0] if ys is None else jnp.swapaxes(ys, 0, 1)


def torch_weights(kind: str, tensor: Any, params: Any) -> list[Any]:
    """The four arrays of PyTorch's layer; PyTorch's GRU has its gates in the order r, z, h."""
    bias = jnp.asarray(params["bias"]).reshape(-1, params["kernel"].shape[-1])
    parts = [params["kernel"].T, params["recurrent_kernel"].T, bias[0], bias[1] if len(bias) > 1 else 0 * bias[0]]
    if kind == "GRU":
        parts = [jnp.concatenate([jnp.split(part, 3)[gate] for gate in (1, 0, 2)]) for part in parts]
    return [tensor(part) for part in parts]


def torch_layer(torch: Any, kind: str, weights: list[list[Any]]) -> Any:
    """PyTorch's layer with these weights, of one direction or of two."""
    units, features = weights[0][1].shape[1], weights[0][0].shape[1]
    made = getattr(torch.nn, {"SimpleRNN": "RNN"}.get(kind, kind))
    layer = made(features, units, batch_first=True, bidirectional=len(weights) == 2).to(weights[0][0].device)
    with torch.no_grad():
        for own, given in zip(layer.parameters(), [w for part in weights for w in part], strict=True):
            own.copy_(given)
    return layer


def recurrent(kind: str, batch: int, time: int, features: int, units: int, sequences: bool = False) -> Work:
    """LSTM, GRU, SimpleRNN: the last output, or all."""

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        layer = torch_layer(torch, kind, [torch_weights(kind, tensor, params)])
        return list(layer.parameters()), lambda x: layer(x)[0] if sequences else layer(x)[0][:, -1]

    layer = getattr(jg.layers, kind)(units, return_sequences=sequences)
    flops = 2.0 * batch * time * GATES[kind] * units * (features + units)
    return Work(layer, (batch, time, features), lambda params, x: scanned(kind, params, x, sequences), peer, flops)


def bidirectional(batch: int, time: int, features: int, units: int) -> Work:
    """Bidirectional LSTM: both last outputs."""

    def plain(params: Any, x: Any) -> Any:
        there = scanned("LSTM", params["forward_layer"], x, False)
        return jnp.concatenate([there, scanned("LSTM", params["backward_layer"], x, False, reverse=True)], axis=-1)

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        parts = [torch_weights("LSTM", tensor, params[f"{way}_layer"]) for way in ("forward", "backward")]
        layer = torch_layer(torch, "LSTM", parts)
        return list(layer.parameters()), lambda x: torch.cat(list(layer(x)[1][0]), dim=-1)

    flops = 2 * 2.0 * batch * time * 4 * units * (features + units)
    return Work(jg.layers.Bidirectional(jg.layers.LSTM(units)), (batch, time, features), plain, peer, flops)


def attention(batch: int, time: int, width: int, heads: int) -> Work:
    """MultiHeadAttention of a sequence to itself."""

    def plain(params: Any, x: Any) -> Any:
        from flax import linen

        named = {"out" if name == "attention_output" else name: part for name, part in params.items()}
        return linen.MultiHeadDotProductAttention(heads).apply({"params": named}, x, x)

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        kernels = [tensor(params[name]["kernel"].reshape(width, width).T) for name in ("query", "key", "value")]
        biases = [tensor(params[name]["bias"].reshape(width)) for name in ("query", "key", "value")]
        out = [tensor(params["attention_output"]["kernel"].reshape(width, width).T)]
        out.append(tensor(params["attention_output"]["bias"]))

        def function(x: Any) -> Any:
            f = torch.nn.functional
            projected = (f.linear(x, kernel, bias) for kernel, bias in zip(kernels, biases, strict=True))
            q, k, v = (p.view(batch, time, heads, -1).transpose(1, 2) for p in projected)
            return f.linear(f.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape), *out)

        return [*kernels, *biases, *out], function

    flops = 2.0 * batch * time * (4 * width * width + 2 * time * width)
    layer = jg.layers.MultiHeadAttention(heads, width // heads)
    return Work(layer, (batch, time, width), plain, peer, flops, again=True)


def embedding(batch: int, time: int, vocabulary: int, width: int) -> Work:
    """Embedding, whose gradient is a whole table."""

    def plain(params: Any, x: Any) -> Any:
        return jnp.take(params["embeddings"], x, axis=0)

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        weights = [tensor(params["embeddings"])]
        return weights, lambda x: torch.nn.functional.embedding(x, *weights)

    layer = jg.layers.Embedding(vocabulary, width)
    return Work(layer, (batch, time), plain, peer, high=vocabulary, sparse=True)


def families() -> list[Family]:
    """All of them."""
    grid = {"batch": BATCHES, "time": TIMES, "features": WIDTHS, "units": WIDTHS}
    found = [Family("bidirectional", grid, bidirectional, recurrent=True)]
    for kind in GATES:
        options = {**grid, "sequences": (False, True)}
        found.append(Family(NAMES[kind], options, functools.partial(recurrent, kind), recurrent=True))
    steps = {"batch": BATCHES, "time": TIMES}
    found.append(Family("embedding", {**steps, "vocabulary": (1_000, 10_000), "width": WIDTHS}, embedding))
    found.append(Family("multi_head_attention", {**steps, "width": (64, 256), "heads": (1, 4, 8)}, attention))
    return found
