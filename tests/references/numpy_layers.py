"""Layers in NumPy and float64, written from their formulas, with loops where the formula has an index."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray


def assert_near(got: Any, want: Array, tolerance: float = 1e-5) -> None:
    """Checks a float32 result against float64: the error, in parts of the largest element, of some hundred sums."""
    assert np.shape(got) == want.shape
    error = np.max(np.abs(np.asarray(got, "float64") - want), initial=0.0)
    assert error <= tolerance * np.max(np.abs(want), initial=1e-6), f"an error of {error:.2e}"


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def dense(x: Array, kernel: Array, bias: Array) -> Array:
    """`y[..., j] = sum_i x[..., i] kernel[i, j] + bias[j]`."""
    return np.einsum("...i,ij->...j", x.astype("float64"), kernel.astype("float64")) + bias


def embedding(x: Array, embeddings: Array) -> Array:
    """`y[place] = embeddings[x[place]]`, NaN where there is no such row."""
    y = np.full((*x.shape, embeddings.shape[1]), np.nan)
    for place in np.ndindex(*x.shape):
        if 0 <= x[place] < len(embeddings):
            y[place] = embeddings[x[place]]
    return y


def padded(sizes: Sequence[int], reach: Sequence[int], strides: Sequence[int], padding: str) -> list[tuple[int, int]]:
    """What is added before and after each axis: for `same`, so much that there are ceil(size / stride) windows."""
    if padding == "valid":
        return [(0, 0)] * len(sizes)
    if padding == "causal":
        return [(r - 1, 0) for r in reach]
    totals = [max((-(-n // s) - 1) * s + r - n, 0) for n, r, s in zip(sizes, reach, strides, strict=True)]
    return [(t // 2, t - t // 2) for t in totals]


def windows(
    x: Array, window: Sequence[int], strides: Sequence[int], padding: str, dilation: Sequence[int], fill: float
) -> Array:
    """The elements under each window: [batch, *space, n] -> [batch, *space', *window, n]; `fill` where padded."""
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    pads = padded(x.shape[1:-1], reach, strides, padding)
    wide = np.pad(x.astype("float64"), [(0, 0), *pads, (0, 0)], constant_values=fill)
    space = [(n - r) // s + 1 for n, r, s in zip(wide.shape[1:-1], reach, strides, strict=True)]
    y = np.empty((len(x), *space, *window, x.shape[-1]))
    for place in np.ndindex(*space):
        for tap in np.ndindex(*window):
            at = tuple(p * s + t * d for p, s, t, d in zip(place, strides, tap, dilation, strict=True))
            y[(slice(None), *place, *tap)] = wide[(slice(None), *at)]
    return y


def convolve(
    x: Array, kernel: Array, strides: Sequence[int], padding: str, dilation: Sequence[int], groups: int = 1
) -> Array:
    """`y[b, p, o] = sum over t and i of x[b, p * stride + t * dilation, i] kernel[t, i, o]`, i in the group of o."""
    window = kernel.shape[:-2]
    seen = windows(x, window, strides, padding, dilation, 0.0)
    space = seen.shape[1 : 1 + len(window)]
    inputs, outputs = kernel.shape[-2], kernel.shape[-1] // groups
    flat = seen.reshape(len(x), *space, -1, x.shape[-1])
    taps = kernel.astype("float64").reshape(-1, inputs, kernel.shape[-1])
    parts = [
        np.einsum(
            "...ti,tio->...o",
            flat[..., g * inputs : (g + 1) * inputs],
            taps[:, :, g * outputs : (g + 1) * outputs],
        )
        for g in range(groups)
    ]
    return np.concatenate(parts, axis=-1)


def depthwise(x: Array, kernel: Array, strides: Sequence[int], padding: str, dilation: Sequence[int]) -> Array:
    """Channel i with its own kernels [*window, i, m], the outputs in the order i, m."""
    parts = [
        convolve(x[..., i : i + 1], kernel[..., i : i + 1, :], strides, padding, dilation) for i in range(x.shape[-1])
    ]
    return np.concatenate(parts, axis=-1)


def transposed(x: Array, kernel: Array, strides: Sequence[int], dilation: Sequence[int]) -> Array:
    """`y[b, p * stride + t * dilation, o] += x[b, p, i] kernel[t, o, i]` for every p and t, as far as that reaches."""
    window, space = kernel.shape[:-2], x.shape[1:-1]
    places = list(zip(space, strides, window, dilation, strict=True))
    y = np.zeros((len(x), *((n - 1) * s + (k - 1) * d + 1 for n, s, k, d in places), kernel.shape[-2]))
    for place in np.ndindex(*space):
        for tap in np.ndindex(*window):
            at = tuple(p * s + t * d for p, s, t, d in zip(place, strides, tap, dilation, strict=True))
            y[(slice(None), *at)] += x[(slice(None), *place)].astype("float64") @ kernel[tap].T
    return y


def pool(kind: str, x: Array, window: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    """The maximum or mean of each window, over the elements that are there."""
    seen = windows(x, window, strides, padding, [1] * len(window), np.nan)
    axes = tuple(range(1 + len(window), seen.ndim - 1))
    return np.nanmax(seen, axis=axes) if kind == "max" else np.nanmean(seen, axis=axes)


def batch_statistics(x: Array, axis: int, mask: Array | None = None) -> tuple[Array, Array]:
    """Mean and biased variance of each entry of an axis, over the positions that a mask keeps."""
    x = np.moveaxis(x.astype("float64"), axis, -1)
    rows = x.reshape(-1, x.shape[-1]) if mask is None else x[mask.astype(bool)].reshape(-1, x.shape[-1])
    mean = rows.mean(0)
    return mean, ((rows - mean) ** 2).mean(0)


def normalize(x: Array, mean: Array, variance: Array, gamma: Array, beta: Array, epsilon: float, axis: int) -> Array:
    """`gamma (x - mean) / sqrt(variance + epsilon) + beta`."""
    y = gamma * (np.moveaxis(x.astype("float64"), axis, -1) - mean) / np.sqrt(variance + epsilon) + beta
    return np.moveaxis(y, -1, axis)


def lstm(
    x: Array, params: dict[str, Array], mask: Array | None = None, backwards: bool = False
) -> tuple[Array, Array, Array]:
    """Every h [batch, time, units], the last h and the last c, row by row and step by step."""
    kernel, recurrent, bias = (params[k].astype("float64") for k in ("kernel", "recurrent_kernel", "bias"))
    batch, time, _ = x.shape
    units = recurrent.shape[0]
    sequence, last, cells = np.zeros((batch, time, units)), np.zeros((batch, units)), np.zeros((batch, units))
    for row in range(batch):
        h, c = np.zeros(units), np.zeros(units)
        for place, step in enumerate(reversed(range(time)) if backwards else range(time)):
            if mask is None or mask[row, step]:
                i, f, g, o = np.split(x[row, step].astype("float64") @ kernel + h @ recurrent + bias, 4)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
            sequence[row, place] = h
        last[row], cells[row] = h, c
    return sequence, last, cells
